/* generations.h - ages of blocks on the logical clock of their process, and when they pass into the
 * next generation.
 *
 * The clock counts allocated memory in granules of 16 bytes. A block is born at the reading after
 * its own allocation; its age is how far the clock has gone since. It enters generation g + 1 when
 * its age reaches the g-th limit, and that is counted at the very allocation that makes it so,
 * however many blocks pass.
 *
 *   window of generation 0, one slot per granule of its limit, used as a circle:
 *        ... [ birth 8 ] [ - ] [ birth 10 ] [ - ] [ - ] [ birth 13 ] | clock
 *
 * An advance of the clock passes over slots; a block still in one has outlived the window: it is
 * promoted, and enters the window of the next generation at the slot of its birth. A death clears
 * its slot. A bitmap says which slots are taken, so that passing over empty ones costs a word
 * per 64.
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

struct gm_generation_window {
    uint64_t *taken;  /* a bit per slot; NULL: none was ever used */
    uint32_t *sites;  /* a site per slot, meaningful where the bit is set */
    uint32_t *blocks; /* how many blocks it stands for, where that is not always one; else NULL */
    uint32_t count;   /* bits set */
};

struct gm_generations {
    uint64_t clock; /* granules */
    struct gm_generation_window windows[GM_GENERATIONS - 1];
    bool out_of_memory; /* a window could not be had: promotions are missing from here on */
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

/* An allocation: the clock goes on, old blocks are promoted, the new one is entered. Its birth is
 * the new `clock`. */
void gm_generations_birth(struct gm_generations *generations, uint64_t size_bytes, uint32_t site,
    gm_generation_promoted *promoted, void *arg);

/* The two halves of it, where a block stands for many (at most UINT32_MAX; more are counted as so many). A birth needs
 * a clock that has gone on since the last. */
void gm_generations_advance(struct gm_generations *generations, uint64_t granules,
    gm_generation_promoted *promoted, void *arg);
void gm_generations_enter(struct gm_generations *generations, uint32_t site, uint64_t blocks);

/* The generation of a block that dies now; it leaves its window. */
unsigned gm_generations_death(struct gm_generations *generations, uint64_t birth);

/* Bytes held. */
uint64_t gm_generations_bytes(const struct gm_generations *generations);

#endif
