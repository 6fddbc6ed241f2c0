/* entry.h - the block of an entry: where key and value lie, and what is charged for it.
 *
 *   slot.place ──▶ | extra, if any: 32 bytes | key, rounded up to 16 | value |
 *
 * In the heap: an explicit block, or one that the collector reads as a root if the value is a pointer to a collected block. How
 * long key and value are stands in the slot. Nothing changes it but idle time and hits in the extra, by whoever has a pin.
 */
#ifndef GM_CACHE_ENTRY_H
#define GM_CACHE_ENTRY_H

#include "geomem/cache.h"
#include "libgeomem/cache/slot.h"
#include "libgeomem/heap/size_class.h"

#define GM_KEY_BYTES_MAX 0xffffu

/* Of entries whose time runs out, and of those that a recorder is told of. */
struct gm_entry_extra {
    uint64_t stored_ns;
    uint32_t expires_s; /* of the cache's seconds; 0: never */
    uint32_t idle_s;    /* 0: never */
    _Atomic uint32_t used_s;
    _Atomic uint32_t hits;
    uint64_t unused;
};
static_assert(sizeof(struct gm_entry_extra) == 32, "values stay aligned to 16");

/* The value of an entry with GM_ENTRY_COLLECTED. */
struct gm_entry_collected {
    void *block;
    uint64_t unused; /* the block is 16 bytes longer than its key, rounded up: at least 32 bytes */
};

static inline size_t gm_entry_key_room(size_t key_bytes)
{
    return (key_bytes + 15) & ~(size_t)15;
}
static inline unsigned gm_entry_flags(const struct gm_cache_slot *slot)
{
    return (unsigned)slot->place & GM_ENTRY_FLAGS;
}
static inline size_t gm_entry_key_bytes(const struct gm_cache_slot *slot)
{
    return (size_t)(slot->place >> GM_PLACE_KEY_SHIFT);
}
static inline void *gm_entry_block(const struct gm_cache_slot *slot)
{
    uint64_t address = slot->place & (((uint64_t)1 << GM_PLACE_KEY_SHIFT) - 1 - GM_ENTRY_FLAGS);
    return (void *)(uintptr_t)address; /* NOLINT */
}
/* NULL: it has none. */
static inline struct gm_entry_extra *gm_entry_extra(const struct gm_cache_slot *slot)
{
    return slot->place & GM_ENTRY_EXTRA ? gm_entry_block(slot) : NULL;
}
static inline unsigned char *gm_entry_key(const struct gm_cache_slot *slot)
{
    return (unsigned char *)gm_entry_block(slot) +
           (slot->place & GM_ENTRY_EXTRA ? sizeof(struct gm_entry_extra) : 0);
}
/* Behind the key: bytes, or a struct gm_entry_collected. */
static inline void *gm_entry_value(const struct gm_cache_slot *slot)
{
    return gm_entry_key(slot) + gm_entry_key_room(gm_entry_key_bytes(slot));
}
static inline void *gm_entry_data(const struct gm_cache_slot *slot)
{
    void *value = gm_entry_value(slot);
    return slot->place & GM_ENTRY_COLLECTED ? ((struct gm_entry_collected *)value)->block : value;
}

static inline size_t gm_entry_block_bytes(size_t key_bytes, size_t value_bytes, unsigned flags)
{
    return (flags & GM_ENTRY_EXTRA ? sizeof(struct gm_entry_extra) : 0) +
           gm_entry_key_room(key_bytes) +
           (flags & GM_ENTRY_COLLECTED ? sizeof(struct gm_entry_collected) : value_bytes);
}
/* What the heap makes of it. */
static inline uint64_t gm_entry_rounded(uint64_t bytes)
{
    if (bytes <= GM_SIZE_CLASS_MAX_BYTES)
        return gm_size_class_bytes(gm_size_class(bytes));
    return (bytes + GM_SLICE_BYTES - 1) & ~(uint64_t)(GM_SLICE_BYTES - 1);
}
/* What an entry takes of the capacity: being recorded must not make a cache smaller. value_bytes of a collected block: what is charged for it. */
static inline uint64_t gm_entry_charge(size_t key_bytes, uint64_t value_bytes, unsigned flags)
{
    if (flags & GM_ENTRY_WATCHED)
        flags &= ~(unsigned)GM_ENTRY_EXTRA;
    uint64_t block = gm_entry_rounded(gm_entry_block_bytes(key_bytes, value_bytes, flags));
    return GEOMEM_CACHE_ENTRY_BYTES + block + (flags & GM_ENTRY_COLLECTED ? value_bytes : 0);
}
static inline uint64_t gm_slot_charge(const struct gm_cache_slot *slot)
{
    return gm_entry_charge(gm_entry_key_bytes(slot), slot->value_bytes, gm_entry_flags(slot));
}

#endif
