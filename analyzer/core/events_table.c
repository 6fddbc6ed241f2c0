/* events_table.c - see events_table.h. An eponymous virtual table: a connection that knows it can name it without
 * creating anything.
 *
 *   table event_chunk --[rows that the bounds allow]--> decode --[events that the bounds allow]--> SQLite
 *
 * A chunk that cannot be decoded ends the query with an error that names it. What is in the chunks around it can be had
 * with a condition on chunk_id, as chunks outside of it are not touched.
 */
#include "analyzer/core/events_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/events_plan.h"
#include "schemas/event_kinds.h"

#define STACKS_CACHED 4096u

struct events_table {
    sqlite3_vtab base; /* SQLite's part comes first */
    sqlite3 *db;
};

struct events_cursor {
    sqlite3_vtab_cursor base;
    struct events_bounds bounds;
    sqlite3_stmt *chunks;
    struct gm_chunk_reader *reader;
    const struct gm_log_event *events; /* of the chunk */
    uint32_t next, count;
    int64_t chunk_id;
    struct gm_log_event event; /* the row */
    bool at_end;
    sqlite3_stmt *stacks; /* stack_id of a site; NULL: not asked for yet */
    struct {
        uint32_t site_id;
        int64_t stack_id; /* 0: NULL */
    } cache[STACKS_CACHED];
};

static struct events_table *table_of(struct events_cursor *c)
{
    return (struct events_table *)c->base.pVtab;
}

static int table_fail(struct events_table *t, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    sqlite3_free(t->base.zErrMsg);
    t->base.zErrMsg = sqlite3_vmprintf(format, args);
    va_end(args);
    return code;
}

/* ---- the module ---- */

/* Of ordinary risk to SQLite: usable in views where the schema is trusted, as by default; not in those of a file that
 * geomem-report opens. */
static int events_connect(sqlite3 *db, void *data, int argc, const char *const *argv,
    sqlite3_vtab **ret_table, char **ret_message)
{
    (void)data, (void)argc, (void)argv, (void)ret_message;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE gm_events ("
#define GM_X(name, declaration) #name " " declaration ","
        EVENTS_COLUMNS(GM_X)
#undef GM_X
            "CHECK (1))"); /* each column ends with a comma */
    struct events_table *t = rc == SQLITE_OK ? sqlite3_malloc(sizeof *t) : NULL;
    if (!t)
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    memset(t, 0, sizeof *t);
    t->db = db;
    *ret_table = &t->base;
    return SQLITE_OK;
}

static int events_disconnect(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

static int events_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    return gm_events_plan(info);
}

static int events_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
    (void)table;
    struct events_cursor *c = sqlite3_malloc(sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    memset(c, 0, sizeof *c);
    *ret_cursor = &c->base;
    return SQLITE_OK;
}

static int events_close(sqlite3_vtab_cursor *cursor)
{
    struct events_cursor *c = (struct events_cursor *)cursor;
    sqlite3_finalize(c->chunks);
    sqlite3_finalize(c->stacks);
    gm_chunk_reader_free(c->reader);
    sqlite3_free(c);
    return SQLITE_OK;
}

/* ---- chunks ---- */

static const char sql_chunks[] =
    "SELECT chunk_id, events, allocs, frees, first_ns, last_ns, min_process_id, max_process_id,"
    " min_thread_id, max_thread_id, checksum, data FROM main.event_chunk"
    " WHERE chunk_id BETWEEN ?1 AND ?2 AND last_ns >= ?3 AND first_ns <= ?4"
    " AND max_process_id >= ?5 AND min_process_id <= ?6 AND max_thread_id >= ?7 AND min_thread_id "
    "<= ?8"
    " ORDER BY chunk_id";

/* A recording without a log is not one without events: it is told from one that has none yet. */
static const char sql_has_log[] =
    "SELECT EXISTS (SELECT 1 FROM main.event_chunk)"
    " OR EXISTS (SELECT 1 FROM main.run WHERE json_extract(options, '$.events') = 'all')";

static int cursor_check_log(struct events_cursor *c)
{
    struct events_table *t = table_of(c);
    sqlite3_stmt *stmt = NULL;
    bool has_log = false;
    int rc = sqlite3_prepare_v2(t->db, sql_has_log, -1, &stmt, NULL);
    if ((rc & 0xff) == SQLITE_ERROR)
        return table_fail(t, SQLITE_ERROR,
            "gm_events: the main database is no recording of this version of geomem (%s); see "
            "geomem-report check",
            sqlite3_errmsg(t->db));
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        has_log = sqlite3_column_int(stmt, 0);
    int end = sqlite3_finalize(stmt);
    rc = rc == SQLITE_OK ? end : rc;
    if (rc != SQLITE_OK || has_log)
        return rc;
    return table_fail(t, SQLITE_ERROR,
        "gm_events: the recording has no log of events; record with geomem-record --events=all");
}

static uint32_t column_u32(sqlite3_stmt *stmt, int column, bool *bad)
{
    int64_t value = sqlite3_column_int64(stmt, column);
    *bad |= value < 0 || value > UINT32_MAX;
    return (uint32_t)value;
}

/* Decodes the chunk in the current row. */
static int cursor_decode(struct events_cursor *c)
{
    sqlite3_stmt *s = c->chunks;
    bool bad = false;
    c->chunk_id = sqlite3_column_int64(s, 0);
    const struct gm_chunk_info info = {
        .events = column_u32(s, 1, &bad),
        .allocs = column_u32(s, 2, &bad),
        .frees = column_u32(s, 3, &bad),
        .first_ns = sqlite3_column_int64(s, 4),
        .last_ns = sqlite3_column_int64(s, 5),
        .min_process_id = column_u32(s, 6, &bad),
        .max_process_id = column_u32(s, 7, &bad),
        .min_thread_id = column_u32(s, 8, &bad),
        .max_thread_id = column_u32(s, 9, &bad),
    };
    uint32_t checksum = column_u32(s, 10, &bad);
    const void *data = sqlite3_column_blob(s, 11);
    size_t bytes = (size_t)sqlite3_column_bytes(s, 11);
    if (!c->reader && !(c->reader = gm_chunk_reader_create()))
        return SQLITE_NOMEM;
    int error = bad || !data ? -EBADMSG
                             : gm_chunk_decode(c->reader, &info, checksum, data, bytes, &c->events);
    c->next = 0;
    c->count = error == 0 ? info.events : 0;
    if (error == 0)
        return SQLITE_OK;
    if (error == -ENOMEM)
        return SQLITE_NOMEM;
    return table_fail(table_of(c), error == -ENOTSUP ? SQLITE_ERROR : SQLITE_CORRUPT_VTAB,
        "gm_events: chunk %lld %s; the others can be read with: chunk_id <> %lld", c->chunk_id,
        bad || !data ? "has figures that cannot be" : gm_chunk_reader_reason(c->reader),
        c->chunk_id);
}

/* ---- rows ---- */

static bool event_is_asked_for(const struct events_bounds *b, const struct gm_log_event *e)
{
    return (b->kinds >> e->kind & 1) && gm_events_bounds_hold(b, RANGE_TIME, e->time_ns) &&
           gm_events_bounds_hold(b, RANGE_PROCESS, e->process_id) &&
           gm_events_bounds_hold(b, RANGE_THREAD, e->thread_id) &&
           gm_events_bounds_hold(b, RANGE_SITE, e->site_id) &&
           gm_events_bounds_hold(b, RANGE_ADDRESS, (int64_t)e->address);
}

static bool chunk_is_left_out(const struct events_bounds *b, int64_t chunk_id)
{
    for (int i = 0; i < b->left_out_count; i++)
        if (b->left_out[i] == chunk_id)
            return true;
    return false;
}

static int events_next(sqlite3_vtab_cursor *cursor)
{
    struct events_cursor *c = (struct events_cursor *)cursor;
    for (;;) {
        while (c->next < c->count) {
            const struct gm_log_event *e = &c->events[c->next++];
            if (event_is_asked_for(&c->bounds, e)) {
                c->event = *e;
                return SQLITE_OK;
            }
        }
        int rc = sqlite3_step(c->chunks);
        if (rc == SQLITE_ROW)
            rc = chunk_is_left_out(&c->bounds, sqlite3_column_int64(c->chunks, 0))
                     ? SQLITE_OK
                     : cursor_decode(c);
        if (rc == SQLITE_OK)
            continue;
        c->at_end = true;
        /* A lock is let go of at the end. */
        sqlite3_reset(c->chunks);
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    }
}

static int events_filter(
    sqlite3_vtab_cursor *cursor, int number, const char *plan, int argc, sqlite3_value **argv)
{
    struct events_cursor *c = (struct events_cursor *)cursor;
    static const enum events_range ranges[] = {
        RANGE_CHUNK, RANGE_TIME, RANGE_PROCESS, RANGE_THREAD};
    (void)number;
    int rc = cursor_check_log(c);
    if (rc == SQLITE_OK && !c->chunks)
        rc = sqlite3_prepare_v2(table_of(c)->db, sql_chunks, -1, &c->chunks, NULL);
    if (rc != SQLITE_OK)
        return rc;
    gm_events_plan_bounds(plan, argc, argv, &c->bounds);
    sqlite3_reset(c->chunks);
    c->next = c->count = 0;
    memset(c->cache, 0, sizeof c->cache);
    c->at_end = c->bounds.nothing;
    if (c->at_end)
        return SQLITE_OK;
    for (int i = 0; i < 4; i++) {
        sqlite3_bind_int64(c->chunks, 2 * i + 1, c->bounds.range[ranges[i]].least);
        sqlite3_bind_int64(c->chunks, 2 * i + 2, c->bounds.range[ranges[i]].most);
    }
    return events_next(cursor);
}

static int events_eof(sqlite3_vtab_cursor *cursor)
{
    return ((struct events_cursor *)cursor)->at_end;
}

/* Number of the event in the log: all chunks but the last are full. */
static int events_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_rowid)
{
    const struct events_cursor *c = (const struct events_cursor *)cursor;
    *ret_rowid = (sqlite3_int64)((uint64_t)c->chunk_id - 1) * GM_CHUNK_EVENTS + c->next;
    return SQLITE_OK;
}

/* ---- columns ---- */

static int cursor_stack(struct events_cursor *c, uint32_t site_id, int64_t *ret_stack_id)
{
    size_t place = site_id % STACKS_CACHED;
    int rc = SQLITE_OK;
    if (c->cache[place].site_id != site_id) {
        if (!c->stacks)
            rc = sqlite3_prepare_v2(table_of(c)->db,
                "SELECT stack_id FROM main.site WHERE site_id = ?", -1, &c->stacks, NULL);
        if (rc != SQLITE_OK)
            return rc;
        sqlite3_bind_int64(c->stacks, 1, site_id);
        rc = sqlite3_step(c->stacks);
        c->cache[place].site_id = site_id;
        c->cache[place].stack_id = rc == SQLITE_ROW ? sqlite3_column_int64(c->stacks, 0) : 0;
        rc = sqlite3_reset(c->stacks);
    }
    *ret_stack_id = c->cache[place].stack_id;
    return rc;
}

static const char *kind_name(unsigned kind)
{
    switch (kind) {
#define GM_X(code, name, text) \
    case code: \
        return #name;
        GM_LOG_KINDS(GM_X)
#undef GM_X
    default:
        return NULL;
    }
}

static const char *function_name(unsigned function)
{
    switch (function) {
#define GM_X(code, name) \
    case code: \
        return #name;
        GM_ALLOC_FUNCTIONS(GM_X)
#undef GM_X
    default:
        return NULL;
    }
}

static void result_name(sqlite3_context *context, const char *name)
{
    if (name)
        sqlite3_result_text(context, name, -1, SQLITE_STATIC);
}

static void result_integer(sqlite3_context *context, int64_t value, bool applies)
{
    if (applies)
        sqlite3_result_int64(context, value);
}

/* What no result is set for is NULL. */
static int events_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    struct events_cursor *c = (struct events_cursor *)cursor;
    const struct gm_log_event *e = &c->event;
    bool alloc = e->kind == GM_LOG_alloc, block = alloc || e->kind == GM_LOG_free;
    bool known = alloc || (block && (e->site_id || e->size_bytes));
    int64_t stack_id = 0;
    int rc = SQLITE_OK;
    switch ((enum events_column)column) {
    case EVENTS_time_ns:
        result_integer(context, e->time_ns, true);
        break;
    case EVENTS_kind:
        result_name(context, kind_name(e->kind));
        break;
    case EVENTS_function:
        result_name(context, alloc ? function_name(e->function) : NULL);
        break;
    case EVENTS_process_id:
        result_integer(context, e->process_id, e->process_id != 0);
        break;
    case EVENTS_thread_id:
        result_integer(context, e->thread_id, e->thread_id != 0);
        break;
    case EVENTS_address:
        result_integer(context, (int64_t)e->address, block);
        break;
    case EVENTS_size_bytes:
        result_integer(context, (int64_t)e->size_bytes, known);
        break;
    case EVENTS_site_id:
        result_integer(context, e->site_id, e->site_id != 0);
        break;
    case EVENTS_stack_id:
        if (e->site_id)
            rc = cursor_stack(c, e->site_id, &stack_id);
        result_integer(context, stack_id, stack_id != 0);
        break;
    case EVENTS_realloc:
        result_integer(context, e->flags == GM_LOG_REALLOC, block);
        break;
    case EVENTS_implicit:
        result_integer(context, e->flags == GM_LOG_IMPLICIT, block);
        break;
    case EVENTS_collected:
        result_integer(context, e->flags == GM_LOG_COLLECTED, block);
        break;
    case EVENTS_chunk_id:
        result_integer(context, c->chunk_id, true);
        break;
    case EVENTS_of_process:
    case EVENTS_from_ns:
    case EVENTS_to_ns:
        break;
    }
    return rc;
}

int gm_events_table_register(struct sqlite3 *db)
{
    static const sqlite3_module module = {
        .xConnect = events_connect,
        .xDisconnect = events_disconnect,
        .xBestIndex = events_best_index,
        .xOpen = events_open,
        .xClose = events_close,
        .xFilter = events_filter,
        .xNext = events_next,
        .xEof = events_eof,
        .xColumn = events_column,
        .xRowid = events_rowid,
    };
    return sqlite3_create_module_v2(db, "gm_events", &module, NULL, NULL);
}
