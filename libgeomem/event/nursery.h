/* nursery.h - the event nursery: joins a block's allocation with its free while both are young.
 *
 *   own ring:   tail ........ claim ............. head
 *               the recorder's |  [ALLOC a] [ALLOC b] [ALLOC c]     free(b): the second word of b's record,
 *                              |             ^                      its address, becomes its death. No FREE
 *   index:      hash(b) -------+-------------'                      record, no second stamp.
 *
 * The young end of a ring is the nursery itself (schemas/wire.h, docs/design/nursery.md). This is the thread's own
 * index into it: where the record of a block lies. It is direct-mapped, and whatever it has forgotten is freed by
 * a FREE record: a miss costs words, never exactness.
 *
 * What the index knows may be out of date where others free: a block of ours, freed by another thread, allocated
 * again by a third and freed by us. So whoever frees a block that is not in his index, while there is more than one
 * thread, leaves a stamp under the address's hash before the allocator can hand the address out again; a
 * record older than that stamp is not taken for the block's.
 *
 * All functions are async-signal-safe, take no lock and do not allocate. An index belongs to one thread.
 */
#ifndef GM_EVENT_NURSERY_H
#define GM_EVENT_NURSERY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/ring/ring.h"

/* Measured with bench/programs: half of it folds 1 to 3 % fewer blocks of cc1plus and python3, twice gains less
 * than its cache misses cost. */
#define GM_NURSERY_SLOTS 4096u
#define GM_NURSERY_NONE UINT64_MAX

struct gm_nursery {
    uint64_t record_at[GM_NURSERY_SLOTS]; /* position in the own ring */
};

/* Stamps of frees that folded nothing, by address hash; 0: none. */
extern _Atomic uint64_t gm_freed_elsewhere[GM_NURSERY_SLOTS];

static inline uint32_t gm_nursery_slot(uint64_t address)
{
    return (uint32_t)((address >> 4) * 0x9e3779b97f4a7c15ull >> 52) & (GM_NURSERY_SLOTS - 1);
}

/* The record of the block was written at `position`. */
static inline void gm_nursery_enter(struct gm_nursery *n, uint64_t address, uint64_t position)
{
    n->record_at[gm_nursery_slot(address)] = position;
}

/* To be called before the allocator gets a block that gm_nursery_find does not know. `stamp`: of the free. */
void gm_nursery_freed_elsewhere(uint64_t address, uint64_t stamp);

/* Stamps are compared as differences: they wrap. */
static inline bool gm_nursery_is_stale(uint64_t address, uint64_t birth)
{
    /* relaxed: who frees the address now has it from an allocation after that other free, and whatever handed it
     * over orders the store before this load */
    uint64_t freed =
        atomic_load_explicit(&gm_freed_elsewhere[gm_nursery_slot(address)], memory_order_relaxed);
    return freed != 0 && (int64_t)((freed - birth) << (64 - GM_STAMP_BITS)) >= 0;
}

/* Where the record of the block lies that is live at `address`, or GM_NURSERY_NONE: it may be another thread's, or have
 * left the nursery. (One that has left it is in the recorder's cache by now: it is not looked at.) */
static inline uint64_t gm_nursery_find(
    const struct gm_nursery *n, const struct gm_producer *p, uint64_t address)
{
    uint64_t position = n->record_at[gm_nursery_slot(address)], mask = p->words - 1;
    uint64_t since = p->head - position;
    /* relaxed: gm_nursery_fold asks again */
    if (since - 1 >= p->words ||
        position < atomic_load_explicit(&p->ring->claim, memory_order_relaxed) ||
        p->data[(position + 1) & mask] != address ||
        gm_nursery_is_stale(address, gm_rec_stamp(p->data[position & mask])))
        return GM_NURSERY_NONE;
    return position;
}

/* Folds the free of a block into its record, as found, unless that is no longer in the nursery. `now`: a stamp, not
 * before any of this ring; `how`: as in gm_death_pack. False: nothing was done, and a record of the free is due. */
static inline bool gm_nursery_fold(
    struct gm_producer *p, uint64_t position, uint64_t now, uint64_t how)
{
    uint64_t mask = p->words - 1, since = p->head - position;
    uint64_t birth = gm_rec_stamp(p->data[position & mask]);
    if (since > p->words || since > GM_DEATH_WORDS_MAX)
        return false;
    /* The compiler must not move the load of claim up; what the processor may do is covered by the consumer's
     * waiting (wire.h). */
    uint32_t folds = atomic_load_explicit(&p->ring->folding, memory_order_relaxed);
    atomic_store_explicit(&p->ring->folding, folds + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    bool young = position >= atomic_load_explicit(&p->ring->claim, memory_order_relaxed);
    if (young)
        p->data[(position + 1) & mask] = gm_death_pack(since, (now - birth) & GM_STAMP_MASK, how);
    /* release: the word before it; pairs with the consumer's acquire of folding */
    atomic_store_explicit(&p->ring->folding, folds + 2, memory_order_release);
    return young;
}

/* The fold that a handler left by longjmp is over. */
static inline void gm_nursery_abandon_fold(struct gm_producer *p)
{
    uint32_t folds = atomic_load_explicit(&p->ring->folding, memory_order_relaxed);
    atomic_store_explicit(&p->ring->folding, (folds + 1) & ~1u, memory_order_release);
}

#endif
