/* slot.h - an entry's place among the entries of a shard: who has it pinned, and where its block is.
 *
 *   chunk of 64 KB, aligned to that, never moved and never unmapped while the cache lives
 *   | shard, first number | slot | slot | ... 4,095 slots |
 *
 *   word:   | epoch 6 | state 2 | pins 24 |           place:  | key bytes 16 | block 48, low 4 bits: flags |
 *
 * A pin handed to the program is the address of the slot. Since slots stay slots, anybody may look at the word of any slot
 * at any time, which is what lets lookups do without a lock: a thread that reads the word as live adds 1 to it by
 * compare-and-swap, and has then pinned whatever entry is in the slot at that moment; then it looks which one that is.
 *
 *   free ──(shard's lock)──▶ live ──last pin gone, or none: evicted──▶ free
 *                             │ removed or replaced while pinned
 *                             ▼
 *                            dead ──last pin gone──▶ free
 *
 * Only a live slot gains pins from lookups. A slot that has ever had GM_SLOT_PINS_STUCK pins keeps what it has then: whoever
 * leaks so many loses the entry, and nobody what he has pinned. value_bytes and place are written while the slot is free, and are readable by
 * whoever has a pin. The epoch changes each time a slot becomes live: for telling one entry from the next, as far as 64.
 */
#ifndef GM_CACHE_SLOT_H
#define GM_CACHE_SLOT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/cache/alone.h"

#define GM_SLOT_PINS 0x00ffffffu
/* Far enough below the most that no number of threads (4,194,304 in Linux) which are about to count down gets past it. */
#define GM_SLOT_PINS_STUCK 0x00b00000u
#define GM_SLOT_LIVE 0x01000000u
#define GM_SLOT_DEAD 0x02000000u
#define GM_SLOT_STATE 0x03000000u
#define GM_SLOT_EPOCH 0xfc000000u
#define GM_SLOT_EPOCH_ONE 0x04000000u

struct gm_cache_slot {
    _Atomic uint32_t word;
    uint32_t value_bytes; /* while free: number of the next free slot, 0: none */
    uint64_t place;
};
static_assert(sizeof(struct gm_cache_slot) == 16, "part of an entry's overhead");

/* In the low bits of place. */
enum gm_entry_flag {
    GM_ENTRY_COLLECTED = 1u, /* the value is a pointer to a collected block */
    GM_ENTRY_EXTRA = 2u,     /* the block begins with a struct gm_entry_extra */
    GM_ENTRY_WATCHED = 4u,   /* which is there for a recorder only: not charged */
};
#define GM_ENTRY_FLAGS 15u
#define GM_PLACE_KEY_SHIFT 48

struct gm_shard;

#define GM_CHUNK_LOG2 16u
#define GM_CHUNK_BYTES ((size_t)1 << GM_CHUNK_LOG2)
#define GM_CHUNK_SLOTS_LOG2 12u
#define GM_CHUNK_SLOTS (1u << GM_CHUNK_SLOTS_LOG2) /* the first is the header */

struct gm_slot_chunk {
    struct gm_shard *shard;
    uint32_t first; /* number of its slot 0, which is none */
    uint32_t unused;
};
static_assert(
    sizeof(struct gm_slot_chunk) == sizeof(struct gm_cache_slot), "takes the first place");

typedef _Atomic(struct gm_slot_chunk *) gm_slot_chunks;
/* The slots of a shard. Under its lock, but for the members of `chunks`, which are set once. */
struct gm_slots {
    gm_slot_chunks *chunks;
    uint32_t limit; /* numbers are below: a multiple of GM_CHUNK_SLOTS */
    uint32_t free;  /* the first of the free ones; 0: none */
    uint32_t fresh; /* numbers from here on have never been used */
};

/* Room for numbers below `limit`, rounded up. 0 or -ENOMEM. */
int gm_slots_init(struct gm_slots *slots, struct gm_shard *shard, uint32_t limit);
void gm_slots_done(struct gm_slots *slots);
/* A free slot's number; 0: all are taken, or there is no memory. */
uint32_t gm_slot_take(struct gm_slots *slots, struct gm_shard *shard);
/* It is free: in no index, nobody's. */
void gm_slot_give(struct gm_slots *slots, uint32_t number);

static inline struct gm_cache_slot *gm_slot_at(const gm_slot_chunks *chunks, uint32_t number)
{
    /* relaxed: whoever read the number saw the slot being made before */
    struct gm_slot_chunk *chunk =
        atomic_load_explicit(&chunks[number >> GM_CHUNK_SLOTS_LOG2], memory_order_relaxed);
    return (struct gm_cache_slot *)chunk + (number & (GM_CHUNK_SLOTS - 1));
}
static inline const struct gm_slot_chunk *gm_slot_chunk(const struct gm_cache_slot *slot)
{
    return (const struct gm_slot_chunk *)((uintptr_t)slot & ~(GM_CHUNK_BYTES - 1)); /* NOLINT */
}
static inline struct gm_shard *gm_slot_shard(const struct gm_cache_slot *slot)
{
    return gm_slot_chunk(slot)->shard;
}
static inline uint32_t gm_slot_number(const struct gm_cache_slot *slot)
{
    const struct gm_slot_chunk *chunk = gm_slot_chunk(slot);
    return chunk->first + (uint32_t)(slot - (const struct gm_cache_slot *)chunk);
}

static inline bool gm_word_is_live(uint32_t word)
{
    return (word & GM_SLOT_STATE) == GM_SLOT_LIVE;
}

/* True: the caller has a pin. A slot with all pins it can count is as good as gone. */
static inline bool gm_slot_pin(struct gm_cache_slot *slot)
{
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    while (gm_word_is_live(word) && (word & GM_SLOT_PINS) != GM_SLOT_PINS)
        /* acquire: pairs with the release in gm_slot_publish: value_bytes, place and the block are there */
        if (gm_word_replace(&slot->word, &word, word + 1))
            return true;
    return false;
}
/* One more, by who has one; with all pins it can count it is stuck, and needs none. */
static inline void gm_slot_repin(struct gm_cache_slot *slot)
{
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    while ((word & GM_SLOT_PINS) != GM_SLOT_PINS && !gm_word_replace(&slot->word, &word, word + 1))
        ;
}
/* Returns the word as it was before: with one pin and dead, the caller has to clear up. */
static inline uint32_t gm_slot_unpin(struct gm_cache_slot *slot)
{
    /* acq_rel: what was done with the entry comes before its end, by whichever thread */
    uint32_t word = gm_word_add(&slot->word, UINT32_MAX, memory_order_acq_rel);
    if (__builtin_expect((word & GM_SLOT_PINS) >= GM_SLOT_PINS_STUCK, 0))
        gm_word_add(&slot->word, 1, memory_order_relaxed);
    return word;
}
static inline bool gm_word_is_last_of_dead(uint32_t word)
{
    return (word & (GM_SLOT_STATE | GM_SLOT_PINS)) == (GM_SLOT_DEAD | 1);
}

/* A free slot that has been filled in becomes `state`, with so many pins. */
static inline void gm_slot_publish(struct gm_cache_slot *slot, uint32_t state, uint32_t pins)
{
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint32_t epoch = (word + GM_SLOT_EPOCH_ONE) & GM_SLOT_EPOCH;
    /* release: pairs with the acquire in gm_slot_pin */
    atomic_store_explicit(&slot->word, epoch | state | pins, memory_order_release);
}
/* A live word's, with pins, made dead: one more, unless it is stuck. */
static inline uint32_t gm_word_dead(uint32_t word)
{
    uint32_t pins = word & GM_SLOT_PINS;
    return (word & GM_SLOT_EPOCH) | GM_SLOT_DEAD | (pins + (pins != GM_SLOT_PINS));
}
/* Takes a live slot out of the reach of lookups, shard's lock held. True: nobody has it pinned, and it is the caller's to
 * give back. False: it is dead, and freed with its last pin, of which the caller has one. */
static inline bool gm_slot_kill(struct gm_cache_slot *slot)
{
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed), dead;
    do
        dead = (word & GM_SLOT_PINS) == 0 ? word & GM_SLOT_EPOCH : gm_word_dead(word);
    /* acquire: pairs with the release in gm_slot_unpin: others are done with it */
    while (!gm_word_replace(&slot->word, &word, dead));
    return (word & GM_SLOT_PINS) == 0;
}
/* The same, only if nobody has it pinned. */
static inline bool gm_slot_kill_unpinned(struct gm_cache_slot *slot)
{
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    while ((word & GM_SLOT_PINS) == 0)
        /* acquire: as in gm_slot_kill */
        if (gm_word_replace(&slot->word, &word, word & GM_SLOT_EPOCH))
            return true;
    return false;
}

#endif
