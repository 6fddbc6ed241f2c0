/* object.c - see object.h.
 *
 * The filter has one bit for each hash of a link map's address. A bit is never taken back: two objects may share it,
 * and a false answer only empties caches that fill again. 2 KB: with 100 objects one free in 160 of the loader's own
 * is mistaken for the end of one.
 */
#include "libgeomem/unwind/object.h"

#include <stdatomic.h>

#define FILTER_BITS_LOG2 14

static _Atomic uint64_t filter[(1u << FILTER_BITS_LOG2) / 64];
struct gm_object_loader gm_object_loader;

extern void _dl_mcount(
    uintptr_t, uintptr_t); /* never called: a function that stands in the loader; NOLINT */

static uint32_t filter_bit(const void *link_map)
{
    return (uint32_t)((uintptr_t)link_map * 0x9e3779b97f4a7c15ull >> (64 - FILTER_BITS_LOG2));
}

bool gm_object_is_known(const void *p)
{
    uint32_t bit = filter_bit(p);
    /* relaxed: what set the bit happened before the object could be unloaded, by the loader's lock */
    return atomic_load_explicit(&filter[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
}

bool gm_object_find(uintptr_t pc, struct dl_find_object *ret_object)
{
    if (_dl_find_object((void *)pc, ret_object) != 0) /* NOLINT */
        return false;
    uint32_t bit = filter_bit(ret_object->dlfo_link_map);
    if (!gm_object_is_known(ret_object->dlfo_link_map))
        atomic_fetch_or_explicit(&filter[bit / 64], 1ull << bit % 64, memory_order_relaxed);
    return true;
}

void gm_object_watch(void)
{
    struct dl_find_object loader;
    if (_dl_find_object((void *)(uintptr_t)_dl_mcount, &loader) != 0)
        return;
    gm_object_loader.start = (uintptr_t)loader.dlfo_map_start;
    gm_object_loader.bytes = (uintptr_t)loader.dlfo_map_end - (uintptr_t)loader.dlfo_map_start;
}
