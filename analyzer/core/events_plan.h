/* events_plan.h - what of a query's WHERE gm_events can use: ranges by which whole chunks are passed over, and events
 * before SQLite sees them.
 *
 *   xBestIndex: constraints --plan--> idxStr, two letters for each argument --xFilter: values--> bounds
 */
#ifndef GM_ANALYZER_CORE_EVENTS_PLAN_H
#define GM_ANALYZER_CORE_EVENTS_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/core/events_sqlite.h"
#include "schemas/event_chunk.h"

/* X(name, declaration) in the order of the table. The last three are arguments: gm_events(process, from, to). */
#define EVENTS_COLUMNS(X) \
    X(time_ns, "INTEGER") \
    X(kind, "TEXT") \
    X(function, "TEXT") \
    X(process_id, "INTEGER") \
    X(thread_id, "INTEGER") \
    X(address, "INTEGER") \
    X(size_bytes, "INTEGER") \
    X(site_id, "INTEGER") \
    X(stack_id, "INTEGER") \
    X(realloc, "INTEGER") \
    X(implicit, "INTEGER") \
    X(chunk_id, "INTEGER") \
    X(collected, "INTEGER") \
    X(of_process, "INTEGER HIDDEN") \
    X(from_ns, "INTEGER HIDDEN") \
    X(to_ns, "INTEGER HIDDEN")

enum events_column {
#define GM_X(name, declaration) EVENTS_##name,
    EVENTS_COLUMNS(GM_X)
#undef GM_X
};

/* Columns that a query can give a range of. */
enum events_range {
    RANGE_CHUNK,
    RANGE_TIME,
    RANGE_PROCESS,
    RANGE_THREAD,
    RANGE_SITE,
    RANGE_ADDRESS,
    RANGE_COUNT
};

#define EVENTS_LEFT_OUT 16 /* arbitrary; more are read and dropped again */

struct events_bounds {
    struct {
        int64_t least, most; /* both included */
    } range[RANGE_COUNT];
    uint32_t kinds;                    /* bits by enum gm_log_kind */
    bool nothing;                      /* no event can be meant */
    int64_t left_out[EVENTS_LEFT_OUT]; /* chunks not to be touched: damaged ones */
    int left_out_count;
};

int gm_events_plan(sqlite3_index_info *info);
/* The bounds that a plan has with these values. */
void gm_events_plan_bounds(
    const char *plan, int n, sqlite3_value **values, struct events_bounds *ret_bounds);

/* The code of a kind's name; 0: there is none. */
unsigned gm_log_kind_code(const char *name);

static inline bool gm_events_bounds_hold(
    const struct events_bounds *b, enum events_range range, int64_t value)
{
    return value >= b->range[range].least && value <= b->range[range].most;
}

#endif
