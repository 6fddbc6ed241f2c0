/* rollup_internal.h - between rollup.c (events) and rollup_rows.c (processes and batches). */
#ifndef GM_COLLECTOR_ROLLUP_INTERNAL_H
#define GM_COLLECTOR_ROLLUP_INTERNAL_H

#include "collector/rollup.h"

/* Live bytes of the process have changed. */
void gm_sampler_note(struct gm_process *process, int64_t ns);

/* The thread on a ring, if any, has ended: tells its row and frees the place. */
void gm_process_end_thread(
    struct gm_process *process, struct gm_process_thread *thread, int64_t ns);

/* Blocks that died in the nursery of a ring, no later than at its `position`, are freed. */
void gm_process_young_die(
    struct gm_process *process, struct gm_process_thread *ring, uint64_t position, int64_t ns);

#endif
