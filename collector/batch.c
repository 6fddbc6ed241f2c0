/* batch.c - the rows of one batch: growing, clearing, freeing. What a batch is: batch.h. */
#include "collector/batch.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_FIRST 64 /* arbitrary */

void *gm_rows_grow(void **v, size_t *n, size_t *room, size_t row_bytes)
{
    if (*n == *room) {
        size_t more = *room ? *room * 2 : ROWS_FIRST;
        void *grown = more > *room ? reallocarray(*v, more, row_bytes) : NULL;
        if (!grown)
            return NULL;
        *v = grown;
        *room = more;
    }
    void *row = (char *)*v + *n * row_bytes;
    memset(row, 0, row_bytes);
    ++*n;
    return row;
}

static void batch_free_texts(struct gm_batch *batch)
{
    for (size_t i = 0; i < batch->modules.n; i++)
        free(batch->modules.v[i].path);
    for (size_t i = 0; i < batch->processes.n; i++) {
        free(batch->processes.v[i].exe);
        free(batch->processes.v[i].command);
    }
    for (size_t i = 0; i < batch->marks.n; i++)
        free(batch->marks.v[i].text);
    for (size_t i = 0; i < batch->caches.n; i++)
        free(batch->caches.v[i].name);
    for (size_t i = 0; i < batch->cache_uses.n; i++)
        free(batch->cache_uses.v[i].name);
}

void gm_batch_clear(struct gm_batch *batch)
{
    batch_free_texts(batch);
    batch->start_ns = batch->end_ns = 0;
    memset(&batch->run, 0, sizeof batch->run);
    batch->modules.n = 0;
    batch->mappings.n = 0;
    batch->frames.n = 0;
    batch->stacks.n = 0;
    batch->sites.n = 0;
    batch->site_deltas.n = 0;
    batch->life.n = 0;
    batch->processes.n = 0;
    batch->threads.n = 0;
    batch->samples.n = 0;
    batch->losses.n = 0;
    batch->marks.n = 0;
    batch->cycles.n = 0;
    batch->gc_stops.n = 0;
    batch->gc_stop_buckets.n = 0;
    batch->caches.n = 0;
    batch->cache_changes.n = 0;
    batch->cache_points.n = 0;
    batch->cache_uses.n = 0;
    batch->cache_pins.n = 0;
    batch->cache_buckets.n = 0;
    batch->events.n = 0;
}

void gm_batch_done(struct gm_batch *batch)
{
    if (!batch)
        return;
    batch_free_texts(batch);
    free(batch->modules.v);
    free(batch->mappings.v);
    free(batch->frames.v);
    free(batch->stacks.v);
    free(batch->sites.v);
    free(batch->site_deltas.v);
    free(batch->life.v);
    free(batch->processes.v);
    free(batch->threads.v);
    free(batch->samples.v);
    free(batch->losses.v);
    free(batch->marks.v);
    free(batch->cycles.v);
    free(batch->gc_stops.v);
    free(batch->gc_stop_buckets.v);
    free(batch->caches.v);
    free(batch->cache_changes.v);
    free(batch->cache_points.v);
    free(batch->cache_uses.v);
    free(batch->cache_pins.v);
    free(batch->cache_buckets.v);
    free(batch->events.v);
    memset(batch, 0, sizeof *batch);
}
