/* nursery.c - see nursery.h. */
#include "libgeomem/event/nursery.h"

_Atomic uint64_t gm_freed_elsewhere[GM_NURSERY_SLOTS];

/* The latest stamp stays: one thread may be held up between its clock and this. */
void gm_nursery_freed_elsewhere(uint64_t address, uint64_t stamp)
{
    _Atomic uint64_t *slot = &gm_freed_elsewhere[gm_nursery_slot(address)];
    uint64_t there = atomic_load_explicit(slot, memory_order_relaxed);
    stamp |= !stamp;
    while ((there == 0 || (int64_t)((stamp - there) << (64 - GM_STAMP_BITS)) > 0) &&
           !atomic_compare_exchange_weak_explicit(
               slot, &there, stamp, memory_order_relaxed, memory_order_relaxed))
        ;
}
