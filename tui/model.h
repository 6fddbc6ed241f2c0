/* model.h - what geomem-top shows, as plain figures: the table's rows, the header, the chart, the stacks.
 *
 *   analyzer/core/live -> [model: sites grouped by place, sorted, filtered] -> view, batch
 *
 * Screen, replay and batch use this one model, so they cannot disagree. No curses and no SQL here. Sites
 * (call stacks) that allocate at the same place of the program are one row; its stacks are the detail.
 */
#ifndef GM_TUI_MODEL_H
#define GM_TUI_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/live.h"
#include "analyzer/core/stacks.h"
#include "tui/chart.h"
#include "tui/columns.h"
#include "tui/filter.h"

enum gm_top_state {
    GM_TOP_LIVE,   /* the program runs and is being recorded */
    GM_TOP_EXITED, /* it ended while we watched */
    GM_TOP_REPLAY, /* a finished recording, or a moment in the past */
    GM_TOP_CUT,    /* the recorder died */
};

struct gm_row {
    char *where; /* "function file.c:12" */
    const struct gm_live_place *place;
    bool present; /* some site of it is shown at this moment */
    uint32_t
        first_site; /* index of its heaviest site + 1; the others follow by gm_model.next_site */
    uint32_t stacks;
    uint64_t live_bytes, live_blocks;
    bool past; /* a moment in the past: what follows, up to the times, is of the whole recording */
    uint64_t allocs, alloc_bytes, promoted;
    double growth_bytes_per_min, allocs_per_s, frees_per_s;
    double promotion_rate; /* 0..1; < 0: not known */
    int64_t mean_age_ns;   /* < 0: not known */
    double age_sum_ns;     /* ages of all live blocks, while adding up */
    uint64_t min_bytes, max_bytes;
    int64_t first_ns, last_ns, last_free_ns; /* last_free < 0: never */
    bool estimated;                          /* blocks and bytes are estimates, ... */
    uint64_t samples;                        /* ... from so many sampled allocations */
    double live_bytes_var;                   /* at a moment in the past a bound */
    /* What the row was last placed by; see order.h. */
    double placed_value, placed_live;
};

/* One stack of the row shown in detail. */
struct gm_detail_stack {
    struct gm_site site;
    double growth_bytes_per_min;
    struct gm_stack stack;
};

struct gm_model {
    const struct gm_live_picture *picture;
    enum gm_top_state state;
    char program[128];

    struct gm_row *rows; /* by place */
    size_t row_count, row_room;
    uint32_t *next_site; /* by site index: index + 1 of the next site of the same row */
    size_t next_room;

    /* The table: indexes of rows that pass the filter, in order. */
    uint32_t *order;
    size_t order_count, order_room;
    enum gm_column placed_by; /* the column of the rows' placed_value */
    size_t present_count;     /* rows there are without the filter */

    struct gm_chart_point *points;
    size_t point_count, point_room;

    struct gm_detail_stack *detail;
    size_t detail_count;
    uint32_t detail_row; /* row + 1; 0: none loaded */
};

struct gm_sorting {
    enum gm_column column;
    bool invert;
    bool frozen; /* keep the order; new rows come last */
    bool steady; /* a row moves only when its value changed by more than 5 % */
};

void gm_model_done(struct gm_model *model);

/* Takes in a picture, which must live until the next update. `watched` says that the program was seen
 * running earlier. -ENOMEM. */
int gm_model_update(struct gm_model *model, const struct gm_live_picture *picture, bool watched);

/* Sorts and filters anew. -ENOMEM. */
int gm_model_arrange(
    struct gm_model *model, const struct gm_sorting *sorting, const struct gm_filter *filter);

/* Loads the stacks of a row, heaviest first, at most `most`. Between begin and end of the recording, or
 * outside of them for a state of its own. */
int gm_model_load_detail(
    struct gm_model *model, struct gm_recording *recording, uint32_t row, size_t most);

/* Position of a row in the order; order_count if the filter hides it. */
size_t gm_model_find(const struct gm_model *model, uint32_t row);

#endif
