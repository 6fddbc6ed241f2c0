/* rollup_internal.h - between rollup.c (events) and rollup_rows.c (processes and batches). */
#ifndef GM_COLLECTOR_ROLLUP_INTERNAL_H
#define GM_COLLECTOR_ROLLUP_INTERNAL_H

#include "collector/rollup.h"

/* Ends the open slice, if there is one, and begins the one of this moment. */
void gm_sampler_begin(struct gm_process *process, int64_t ns);
/* Live bytes of the process have changed. */
static inline void gm_sampler_note(struct gm_process *p, int64_t ns)
{
    struct gm_sampler *s = &p->sampler;
    if (ns >= s->slice_end_ns) /* also where none is open */
        gm_sampler_begin(p, ns);
    s->last_ns = ns;
    s->last_bytes = p->row.live_bytes;
    s->last_blocks = p->row.live_blocks;
    if (s->last_bytes > s->peak_bytes) {
        s->peak_bytes = s->last_bytes;
        s->peak_blocks = s->last_blocks;
        s->peak_ns = ns;
    }
}

/* The thread on a ring, if any, has ended: tells its row and frees the place. */
void gm_process_end_thread(
    struct gm_process *process, struct gm_process_thread *thread, int64_t ns);

/* Blocks that died in the nursery of a ring, no later than at its `position`, are freed. */
void gm_process_young_die(
    struct gm_process *process, struct gm_process_thread *ring, uint64_t position, int64_t ns);

/* Blocks of a site have outlived a generation: gm_generation_promoted, of a process. */
void gm_process_promoted(void *process, uint32_t site_id, unsigned from, uint64_t blocks);

/* How a block ended. */
struct gm_death {
    int64_t life_ns;
    bool collected; /* a collector found it dead */
};

/* rollup.c */
void gm_process_free_block(struct gm_process *process, const struct gm_block *block, int64_t ns,
    const struct gm_death *death);
/* thread: of the free; may be NULL. */
void gm_process_count_free(
    struct gm_process *process, struct gm_process_thread *thread, const struct gm_block *block);
struct gm_weight gm_process_weight(const struct gm_process *process, const struct gm_block *block);
/* NULL without memory, which is noted. */
static inline struct gm_row_site_delta *gm_rollup_delta(struct gm_rollup *rollup, uint32_t site_id)
{
    struct gm_row_site_delta *delta = gm_sites_delta(&rollup->sites, site_id);
    if (!delta)
        rollup->out_of_memory = true;
    return delta;
}

static inline int64_t gm_block_life_ns(const struct gm_block *block, int64_t ns)
{
    return ns - (int64_t)block->birth_ns;
}

/* rollup_gc.c: gm_block.gc of a block that this function (enum gm_alloc_function) gave out; its birth and its death,
 * where that is not 0; and what a collector tells. */
uint16_t gm_gc_born(uint8_t function);
void gm_process_gc_born(struct gm_process *process, struct gm_row_site_delta *delta,
    const struct gm_block *block, const struct gm_weight *weight);
void gm_process_gc_died(struct gm_process *process, const struct gm_block *block,
    const struct gm_weight *weight, const struct gm_death *death);
/* A block that is not known has gone: that it was promoted is no news of the next one there. Returns whether it was. */
bool gm_process_gc_forget(struct gm_process *process, uint64_t address);
void gm_process_sweep(
    struct gm_process *process, struct gm_process_thread *thread, const struct gm_event *sweep);
void gm_process_cycle(struct gm_process *process, const struct gm_event *event);
void gm_process_gc_stop(struct gm_process *process, const struct gm_event *event);
int gm_process_gc_stops_fill(struct gm_process *process); /* -ENOMEM */

#endif
