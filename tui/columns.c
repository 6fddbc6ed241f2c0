/* columns.c - see columns.h. */
#include "tui/columns.h"

#include <string.h>

#include "tui/figures.h"
#include "tui/model.h"

const struct gm_column_info gm_columns[GM_COLUMN_COUNT] = {
#define GM_X(name, title, width, from, text) {#name, title, width, from, text},
    GM_COLUMNS(GM_X)
#undef GM_X
};

enum gm_column gm_column_by_name(const char *name)
{
    for (int i = 0; i < GM_COLUMN_COUNT; i++)
        if (strcmp(gm_columns[i].name, name) == 0)
            return (enum gm_column)i;
    return GM_COLUMN_COUNT;
}

static double row_average(const struct gm_row *row)
{
    return row->live_blocks ? (double)row->live_bytes / (double)row->live_blocks : -1;
}

double gm_column_value(const struct gm_row *row, enum gm_column column)
{
    switch (column) {
    case GM_COLUMN_live:
        return (double)row->live_bytes;
    case GM_COLUMN_growth:
        return row->growth_bytes_per_min;
    case GM_COLUMN_blocks:
        return (double)row->live_blocks;
    case GM_COLUMN_allocs:
        return row->allocs_per_s;
    case GM_COLUMN_frees:
        return row->frees_per_s;
    case GM_COLUMN_promote:
        return row->promotion_rate;
    case GM_COLUMN_age:
        return (double)row->mean_age_ns;
    case GM_COLUMN_average:
        return row_average(row);
    case GM_COLUMN_total:
        return row->past ? -1 : (double)row->alloc_bytes;
    case GM_COLUMN_stacks:
        return row->stacks;
    case GM_COLUMN_where:
    case GM_COLUMN_COUNT:
        return 0;
    }
    return 0;
}

static char *column_figure(
    const struct gm_row *row, enum gm_column column, char out[static GM_COLUMN_TEXT_BYTES])
{
    double value = gm_column_value(row, column);
    switch (column) {
    case GM_COLUMN_live:
    case GM_COLUMN_blocks:
    case GM_COLUMN_stacks:
        return gm_short_count(out, value);
    case GM_COLUMN_growth:
        return gm_short_change(out, value);
    case GM_COLUMN_allocs:
    case GM_COLUMN_frees:
        return gm_short_rate(out, value);
    case GM_COLUMN_promote:
        return gm_short_percent(out, value);
    case GM_COLUMN_age:
        return gm_short_age(out, row->mean_age_ns);
    case GM_COLUMN_average:
    case GM_COLUMN_total:
        return value < 0 ? strcpy(out, "-") : gm_short_count(out, value);
    case GM_COLUMN_where:
    case GM_COLUMN_COUNT:
        break;
    }
    *out = 0;
    return out;
}

/* A mean age and the number of stacks are what they are, whatever was sampled. */
static bool column_is_estimated(const struct gm_row *row, enum gm_column column)
{
    return row->estimated && column != GM_COLUMN_age && column != GM_COLUMN_stacks &&
           column != GM_COLUMN_where;
}

char *gm_column_text(
    const struct gm_row *row, enum gm_column column, char out[static GM_COLUMN_TEXT_BYTES])
{
    column_figure(row, column, out);
    size_t length = strlen(out);
    if (!column_is_estimated(row, column) || strcmp(out, "-") == 0 ||
        length + 2 > GM_COLUMN_TEXT_BYTES)
        return out;
    memmove(out + 1, out, length + 1);
    *out = '~';
    return out;
}
