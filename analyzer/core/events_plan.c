/* events_plan.c - see events_plan.h.
 *
 * Bounds may be wider than what a query asks for, never narrower: SQLite looks at each row again, but for the
 * arguments, of which it is told that they are dealt with.
 */
#include "analyzer/core/events_plan.h"

#include <string.h>

#define EVENTS_GUESSED 1e7 /* events of a recording, for the planner; arbitrary */

/* First letters of idxStr: a range is 'a' + enum events_range. */
#define LETTER_KIND 'K'
#define LETTER_PROCESS 'P' /* arguments */
#define LETTER_FROM 'F'
#define LETTER_TO 'T'

unsigned gm_log_kind_code(const char *name)
{
#define GM_X(code, kind, text) \
    if (strcmp(name, #kind) == 0) \
        return code;
    GM_LOG_KINDS(GM_X)
#undef GM_X
    return 0;
}

static char column_letter(int column)
{
    switch (column) {
    case EVENTS_chunk_id:
        return 'a' + RANGE_CHUNK;
    case EVENTS_time_ns:
        return 'a' + RANGE_TIME;
    case EVENTS_process_id:
        return 'a' + RANGE_PROCESS;
    case EVENTS_thread_id:
        return 'a' + RANGE_THREAD;
    case EVENTS_site_id:
        return 'a' + RANGE_SITE;
    case EVENTS_address:
        return 'a' + RANGE_ADDRESS;
    case EVENTS_kind:
        return LETTER_KIND;
    case EVENTS_of_process:
        return LETTER_PROCESS;
    case EVENTS_from_ns:
        return LETTER_FROM;
    case EVENTS_to_ns:
        return LETTER_TO;
    default:
        return 0;
    }
}

/* Second letters. */
static char operator_letter(unsigned op)
{
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        return '=';
    case SQLITE_INDEX_CONSTRAINT_GT:
        return '>';
    case SQLITE_INDEX_CONSTRAINT_GE:
        return 'g';
    case SQLITE_INDEX_CONSTRAINT_LT:
        return '<';
    case SQLITE_INDEX_CONSTRAINT_LE:
        return 'l';
    case SQLITE_INDEX_CONSTRAINT_NE:
        return '!';
    default:
        return 0;
    }
}

static bool plan_can_use(char column, char op)
{
    if (op == '!')
        return column == 'a' + RANGE_CHUNK;
    return column >= 'a' ? op != 0 : column && op == '=';
}

/* How much of the rows is thought to be left; only the order matters. */
static double share_left(char column, char op)
{
    if (column == 'a' + RANGE_ADDRESS || column == 'a' + RANGE_SITE || column == 'a' + RANGE_CHUNK)
        return op == '=' ? 0.001 : 0.3;
    return op == '=' ? 0.2 : 0.5;
}

static bool plan_is_argument(char column)
{
    return column == LETTER_PROCESS || column == LETTER_FROM || column == LETTER_TO;
}

int gm_events_plan(sqlite3_index_info *info)
{
    char *plan = sqlite3_malloc(2 * info->nConstraint + 1);
    int n = 0;
    double rows = EVENTS_GUESSED;
    if (!plan)
        return SQLITE_NOMEM;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        char column = column_letter(c->iColumn), op = operator_letter(c->op);
        if (plan_is_argument(column) && op == '=' && !c->usable) {
            sqlite3_free(plan);
            return SQLITE_CONSTRAINT; /* its value comes from a table that must be read first */
        }
        if (!c->usable || !plan_can_use(column, op))
            continue;
        if (column == LETTER_KIND && strcmp(sqlite3_vtab_collation(info, i), "BINARY") != 0)
            continue;
        plan[2 * n] = column;
        plan[2 * n + 1] = op;
        info->aConstraintUsage[i].argvIndex = ++n;
        info->aConstraintUsage[i].omit = plan_is_argument(column);
        rows *= share_left(column, op);
    }
    plan[2 * n] = 0;
    info->idxStr = plan;
    info->needToFreeIdxStr = 1;
    info->estimatedRows = (sqlite3_int64)rows + 1;
    info->estimatedCost = rows + 1;
    info->orderByConsumed =
        info->nOrderBy == 1 && info->aOrderBy[0].iColumn == -1 && !info->aOrderBy[0].desc;
    return SQLITE_OK;
}

/* ---- values ---- */

/* The whole numbers next to a real one, within range. */
static int64_t real_floor(double value)
{
    if (value >= 9.2e18)
        return INT64_MAX;
    if (value <= -9.2e18)
        return INT64_MIN;
    int64_t whole = (int64_t)value;
    return (double)whole > value ? whole - 1 : whole;
}
static int64_t real_ceiling(double value)
{
    int64_t whole = real_floor(value);
    return whole < INT64_MAX && (double)whole < value ? whole + 1 : whole;
}

static void bounds_narrow(
    struct events_bounds *b, enum events_range range, int64_t least, int64_t most)
{
    if (least > b->range[range].least)
        b->range[range].least = least;
    if (most < b->range[range].most)
        b->range[range].most = most;
}

static void bounds_leave_out(struct events_bounds *b, int64_t chunk_id)
{
    if (b->left_out_count < EVENTS_LEFT_OUT)
        b->left_out[b->left_out_count++] = chunk_id;
}

/* `exact`: the value is the whole number least = most, else it lies between them. */
static void bounds_apply(struct events_bounds *b, enum events_range range, char op, int64_t least,
    int64_t most, bool exact)
{
    if (op == '!' && exact)
        bounds_leave_out(b, least);
    else if (op == '=')
        bounds_narrow(b, range, least, most);
    else if (op == '>' || op == 'g')
        bounds_narrow(
            b, range, op == '>' && exact && least < INT64_MAX ? least + 1 : least, INT64_MAX);
    else if (op == '<' || op == 'l')
        bounds_narrow(
            b, range, INT64_MIN, op == '<' && exact && most > INT64_MIN ? most - 1 : most);
}

static void bounds_compare(
    struct events_bounds *b, enum events_range range, char op, sqlite3_value *value)
{
    int64_t whole = 0;
    switch (sqlite3_value_type(value)) {
    case SQLITE_NULL: /* nothing compares with NULL */
        b->nothing = true;
        return;
    case SQLITE_INTEGER:
        whole = sqlite3_value_int64(value);
        bounds_apply(b, range, op, whole, whole, true);
        return;
    case SQLITE_FLOAT:
        bounds_apply(b, range, op, real_ceiling(sqlite3_value_double(value)),
            real_floor(sqlite3_value_double(value)), false);
        return;
    default: /* what SQLite makes of texts is its own affair */
        return;
    }
}

static void bounds_kind(struct events_bounds *b, sqlite3_value *value)
{
    const char *name =
        sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
    unsigned code = name ? gm_log_kind_code(name) : 0;
    b->kinds &= code ? 1u << code : 0;
}

/* NULL stands for an argument left open. */
static void bounds_argument(struct events_bounds *b, char letter, sqlite3_value *value)
{
    int64_t given = sqlite3_value_int64(value);
    if (sqlite3_value_type(value) == SQLITE_NULL)
        return;
    if (letter == LETTER_PROCESS)
        bounds_narrow(b, RANGE_PROCESS, given, given);
    else if (letter == LETTER_FROM)
        bounds_narrow(b, RANGE_TIME, given, INT64_MAX);
    else if (given == INT64_MIN)
        b->nothing = true;
    else
        bounds_narrow(b, RANGE_TIME, INT64_MIN, given - 1);
}

void gm_events_plan_bounds(
    const char *plan, int n, sqlite3_value **values, struct events_bounds *ret_bounds)
{
    struct events_bounds b = {.kinds = UINT32_MAX};
    for (int i = 0; i < RANGE_COUNT; i++) {
        b.range[i].least = INT64_MIN;
        b.range[i].most = INT64_MAX;
    }
    for (int i = 0; i < n; i++) {
        char column = plan[2 * i], op = plan[2 * i + 1];
        if (column >= 'a')
            bounds_compare(&b, (enum events_range)(column - 'a'), op, values[i]);
        else if (column == LETTER_KIND)
            bounds_kind(&b, values[i]);
        else
            bounds_argument(&b, column, values[i]);
    }
    for (int i = 0; i < RANGE_COUNT; i++)
        b.nothing |= b.range[i].least > b.range[i].most;
    b.nothing |= b.kinds == 0;
    *ret_bounds = b;
}
