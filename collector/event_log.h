/* event_log.h - the full log of events, as far as the main thread has to do with it: what the roll-up has taken in goes,
 * event by event, into the batch. The store makes chunks of it (store_events.h).
 *
 * Does nothing unless rollup.log_events is set. Each function stands where the roll-up counts the same event, so
 * that the log and the tables agree in every commit.
 */
#ifndef GM_COLLECTOR_EVENT_LOG_H
#define GM_COLLECTOR_EVENT_LOG_H

#include "collector/rollup.h"
#include "schemas/event_chunk.h"

/* Events in one batch before a commit is asked for: 10 MB. */
#define GM_EVENT_LOG_BATCH_MAX (4u * GM_CHUNK_EVENTS)

/* An event with these fields; thread may be NULL. */
void gm_event_log_add(struct gm_process *process, const struct gm_process_thread *thread,
    const struct gm_log_event *event);

static inline void gm_event_log_alloc(struct gm_process *p, const struct gm_process_thread *thread,
    const struct gm_event *alloc, uint32_t site_id, int64_t ns)
{
    if (p->rollup->log_events)
        gm_event_log_add(p, thread,
            &(struct gm_log_event){.time_ns = ns,
                .address = alloc->address,
                .size_bytes = alloc->size_bytes,
                .site_id = site_id,
                .kind = GM_LOG_alloc,
                .function = alloc->function,
                .flags = alloc->realloc ? GM_LOG_REALLOC : 0});
}

/* block: what was known of it; NULL: nothing. */
static inline void gm_event_log_free(struct gm_process *p, const struct gm_process_thread *thread,
    const struct gm_event *free, const struct gm_block *block, int64_t ns)
{
    if (p->rollup->log_events)
        gm_event_log_add(p, thread,
            &(struct gm_log_event){.time_ns = ns,
                .address = free->address,
                .size_bytes = block ? block->size_bytes : 0,
                .site_id = block ? block->site : 0,
                .kind = GM_LOG_free,
                .flags = free->realloc ? GM_LOG_REALLOC : 0});
}

/* Nobody called free: a collector found the block dead (GM_LOG_COLLECTED), or its address came out again
 * (GM_LOG_IMPLICIT). */
static inline void gm_event_log_free_unseen(struct gm_process *p,
    const struct gm_process_thread *thread, const struct gm_block *block, enum gm_log_flag flag,
    int64_t ns)
{
    if (p->rollup->log_events)
        gm_event_log_add(p, thread,
            &(struct gm_log_event){.time_ns = ns,
                .address = block->address,
                .size_bytes = block->size_bytes,
                .site_id = block->site,
                .kind = GM_LOG_free,
                .flags = (uint8_t)flag});
}

/* The starts and ends of threads and processes. */
static inline void gm_event_log_life(
    struct gm_process *p, const struct gm_process_thread *thread, enum gm_log_kind kind, int64_t ns)
{
    if (p->rollup->log_events)
        gm_event_log_add(p, thread, &(struct gm_log_event){.time_ns = ns, .kind = (uint8_t)kind});
}

/* process NULL: from outside. */
void gm_event_log_mark(struct gm_rollup *rollup, const struct gm_process *process, int64_t ns);

#endif
