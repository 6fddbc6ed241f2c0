/* segment.h - the reserved range, the segments in it, and the slices of segments.
 *
 * The range is reserved once: 1 TB of addresses, or less where that much is not to be had. A segment gets memory when
 * a heap takes it (gm_os_commit) and loses it when it is given back. Slices that are not used keep their memory for a
 * while (GM_PURGE_DELAY_NS), since the next span may need it; then it goes back to the system.
 *
 * Stands below span.h.
 */
#ifndef GM_HEAP_SEGMENT_H
#define GM_HEAP_SEGMENT_H

#include "libgeomem/heap/heap.h"

/* How long memory stays with an unused slice: arbitrary, as others have it (mimalloc 2: 100 ms to 500 ms). */
#define GM_PURGE_DELAY_NS UINT64_C(100000000)
/* Blocks of more slices have segments of their own. */
#define GM_LARGE_SLICES_MAX 30u

/* Reserves the range. Any number of calls. 0 or -ENOMEM. */
int gm_range_init(void);
extern struct gm_lock gm_range_lock;

/* `slices` adjacent slices, whose number (up to GM_LARGE_SLICES_MAX) divides no segment; heap's lock held. The first of
 * them lies on a multiple of `alignment` slices. Returns the segment and the index of the first slice, and whether all of
 * it is known to read as zero; NULL: no memory. `state_bytes` > 0: with as many states, all 0. */
struct gm_segment *gm_slices_take(struct gm_heap *heap, uint32_t slices, uint32_t alignment,
    uint32_t state_bytes, uint32_t *ret_first, uint8_t **ret_states, bool *ret_zero);
void gm_slices_give(struct gm_segment *segment, uint32_t first, uint32_t slices, uint8_t *states,
    uint32_t state_bytes);

/* A run of segments for one block of `bytes` on a multiple of `alignment`; heap's lock held. Its memory reads as zero.
 * The header covers cards for all of it and one state. */
struct gm_segment *gm_segments_take(
    struct gm_heap *heap, size_t bytes, size_t alignment, uintptr_t *ret_start);
void gm_segments_give(struct gm_segment *segment);

/* Heap's lock held. */
void gm_purge_if_due(struct gm_heap *heap);
static inline uint64_t gm_slice_mask(uint32_t first, uint32_t slices)
{
    return (slices >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << slices) - 1) << first;
}

#endif
