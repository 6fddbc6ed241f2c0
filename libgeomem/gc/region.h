/* region.h - safe regions, for the wrappers of system calls.
 *
 *     struct gm_mutator *region = gm_region_enter();
 *     result = real_poll(...);
 *     gm_region_leave(region);
 */
#ifndef GM_GC_REGION_H
#define GM_GC_REGION_H

#include <stdbool.h>
#include <stdint.h>

struct gm_mutator;

/* NULL: the thread is not registered, or in a region already; a stop then comes as a signal. */
struct gm_mutator *gm_region_enter(void);
/* Waits while the world is stopped. NULL is ignored. errno is kept. */
void gm_region_leave(struct gm_mutator *m);

/* Around a handler of the program's, which may have interrupted a region. */
struct gm_suspended_region {
    struct gm_mutator *mutator; /* NULL: of no registered thread */
    bool inside;                /* it had */
    uintptr_t sp;
    uintptr_t saved[6];
};
void gm_region_suspend(struct gm_suspended_region *ret_region);
void gm_region_resume(const struct gm_suspended_region *region);

/* EINTR, but no handler of the program's has run in the region: ours has, its signal having been on the way when the
 * region was entered. The call is to be made again. */
bool gm_region_interrupted_by_us(struct gm_mutator *m);

#endif
