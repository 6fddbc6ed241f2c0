/* region.h - safe regions, for the wrappers of system calls.
 *
 *     struct gm_mutator *region = gm_region_enter();
 *     result = real_poll(...);
 *     gm_region_leave(region);
 */
#ifndef GM_GC_REGION_H
#define GM_GC_REGION_H

struct gm_mutator;

/* NULL: the thread is not registered, or in a region already; a stop then comes as a signal. */
struct gm_mutator *gm_region_enter(void);
/* Waits while the world is stopped. NULL is ignored. errno is kept. */
void gm_region_leave(struct gm_mutator *m);

#endif
