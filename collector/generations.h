/* generations.h - ages of blocks on the logical clock of their process, and when they pass into the
 * next generation.
 *
 * The clock counts allocated memory in granules of 16 bytes. A block is born at the reading after
 * its own allocation; its age is how far the clock has gone since. It enters generation g + 1 when
 * its age reaches the g-th limit, and that is counted at the very allocation that makes it so,
 * however many blocks pass.
 *
 *   window, one slot per granule up to the greatest limit and some more, used as a circle:
 *
 *        [ birth 8 ] [ - ] [ birth 10 ] ... [ - ] [ birth 90 ] ... [ - ] [ birth 99 ] | clock
 *          ^ 16 MiB ago                ^ 1 MiB ago          ^ 64 KiB ago
 *
 * A bitmap says which slots are taken; a death clears its slot. For each limit there is a place in the window which
 * the clock carries along: a block that it passes over has outlived that generation. Passing over empty slots costs a
 * word per 64, and it is done for many allocations at once: a death looks whether its block is still to be passed
 * over. So promotions are complete only after gm_generations_settle, which is to be called before they are told.
 *
 * Stands within the roll-up; knows sites as numbers only.
 */
#ifndef GM_COLLECTOR_GENERATIONS_H
#define GM_COLLECTOR_GENERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/batch.h"

#define GM_GRANULE_BYTES 16u

/* Ages in bytes at which generations 1, 2 and 3 begin. Powers of 16 from 64 KiB on: arbitrary,
 * chosen so that the first holds what a cache-sized nursery would have held. */
#define GM_G1_AGE_BYTES (64ull << 10)
#define GM_G2_AGE_BYTES (1ull << 20)
#define GM_G3_AGE_BYTES (16ull << 20)
extern const uint64_t gm_generation_age_bytes[GM_GENERATIONS - 1];

/* The clock runs ahead of what has been passed over by less than this. */
#define GM_GENERATION_LAG 4096u
#define GM_GENERATION_SLOTS (GM_G3_AGE_BYTES / GM_GRANULE_BYTES + GM_GENERATION_LAG)

struct gm_generations {
    uint64_t clock;     /* granules */
    uint64_t settled;   /* the clock up to which blocks have been passed over */
    uint64_t *taken;    /* a bit per slot; NULL: none was ever used */
    uint32_t *sites;    /* a site per slot, meaningful where the bit is set */
    uint32_t *blocks;   /* how many blocks it stands for, where that is not always one; else NULL */
    bool out_of_memory; /* the window could not be had: promotions are missing from here on */
};

/* A block of `site`, which stands for so many, has left generation `from` for the next. */
typedef void gm_generation_promoted(void *arg, uint32_t site, unsigned from, uint64_t blocks);

void gm_generations_init(struct gm_generations *generations);
void gm_generations_done(struct gm_generations *generations);

/* Granules a block of this size takes. */
static inline uint64_t gm_granules(uint64_t size_bytes)
{
    return size_bytes ? (size_bytes + GM_GRANULE_BYTES - 1) / GM_GRANULE_BYTES : 1;
}

/* Tells all promotions up to now; nobody was born after `last_birth`. */
void gm_generations_pass(struct gm_generations *generations, uint64_t last_birth,
    gm_generation_promoted *promoted, void *arg);
static inline void gm_generations_settle(
    struct gm_generations *generations, gm_generation_promoted *promoted, void *arg)
{
    gm_generations_pass(generations, generations->clock, promoted, arg);
}

/* The clock goes on. */
static inline void gm_generations_advance(struct gm_generations *generations, uint64_t granules,
    gm_generation_promoted *promoted, void *arg)
{
    uint64_t before = generations->clock;
    generations->clock += granules;
    if (generations->clock - generations->settled >= GM_GENERATION_LAG)
        gm_generations_pass(generations, before, promoted, arg);
}

void gm_generations_enter_first(struct gm_generations *generations, uint32_t site, uint64_t blocks);
/* A block is born that stands for so many (at most UINT32_MAX; more are counted as so many). The clock must have gone
 * on since the last. */
static inline void gm_generations_enter(
    struct gm_generations *generations, uint32_t site, uint64_t blocks)
{
    if (!generations->taken || generations->blocks || blocks != 1) {
        gm_generations_enter_first(generations, site, blocks);
        return;
    }
    uint64_t slot = generations->clock % GM_GENERATION_SLOTS;
    generations->taken[slot / 64] |= 1ull << slot % 64;
    generations->sites[slot] = site;
}

/* Both, for a block of this size. Its birth is the new `clock`. */
static inline void gm_generations_birth(struct gm_generations *generations, uint64_t size_bytes,
    uint32_t site, gm_generation_promoted *promoted, void *arg)
{
    gm_generations_advance(generations, gm_granules(size_bytes), promoted, arg);
    gm_generations_enter(generations, site, 1);
}

unsigned gm_generations_death_old(struct gm_generations *generations, uint64_t birth,
    gm_generation_promoted *promoted, void *arg);
/* The generation of a block that dies now; it leaves the window, and is promoted as far as it should have been. */
static inline unsigned gm_generations_death(
    struct gm_generations *generations, uint64_t birth, gm_generation_promoted *promoted, void *arg)
{
    if (generations->clock - birth >= GM_G1_AGE_BYTES / GM_GRANULE_BYTES || !generations->taken)
        return gm_generations_death_old(generations, birth, promoted, arg);
    uint64_t slot = birth % GM_GENERATION_SLOTS;
    generations->taken[slot / 64] &= ~(1ull << slot % 64);
    return 0;
}

/* Bytes held. */
uint64_t gm_generations_bytes(const struct gm_generations *generations);

#endif
