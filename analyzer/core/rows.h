/* rows.h - an array that grows while a query is read; for the core's own files only.
 *
 *   struct gm_rows rows = {.size = sizeof(struct thing)};
 *   while (gm_query_next(&q) && (thing = gm_rows_add(&rows)))
 *       ...
 *   ret->v = rows.v, ret->n = rows.n;
 *   return gm_rows_close(&rows, &q);
 */
#ifndef GM_ANALYZER_CORE_ROWS_H
#define GM_ANALYZER_CORE_ROWS_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

struct gm_rows {
    void *v;
    size_t n, room, size;
    bool failed;
};

/* One more row, zeroed; NULL without memory, which gm_rows_close tells. */
static inline void *gm_rows_add(struct gm_rows *rows)
{
    if (rows->n == rows->room) {
        size_t room = rows->room ? rows->room * 2 : 16;
        void *v = reallocarray(rows->v, room, rows->size);
        if (!v) {
            rows->failed = true;
            return NULL;
        }
        rows->v = v;
        rows->room = room;
    }
    return memset((char *)rows->v + rows->size * rows->n++, 0, rows->size);
}

/* Closes the query the rows were read from: 0 or a negative errno. The rows stay with the caller. */
static inline int gm_rows_close(const struct gm_rows *rows, struct gm_query *query)
{
    struct gm_recording *recording = query->recording;
    int e = gm_query_close(query);
    return rows->failed ? gm_recording_fail_text(recording, -ENOMEM, "not enough memory") : e;
}

#endif
