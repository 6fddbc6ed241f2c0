/* sketch.h - how often keys were used lately, for keys in the cache and others: a count-min sketch (TinyLFU).
 *
 *        hash ──▶ one line of 64 bytes: four quarters of 32 counters of 4 bits
 *                 one counter of each quarter; the estimate is the least of the four, and only the least are raised
 *
 * All of a key's counters stand in one cache line. Sixteen counters for each entry, 8 bytes. Counters are raised with relaxed
 * loads and stores by any thread, and threads that meet lose some; they are halved now and then, so old uses fade.
 *
 * Memory is reserved for the most entries; lines in use double as entries come, and each new one starts as a copy of the line its
 * keys had before.
 */
#ifndef GM_POLICY_SKETCH_H
#define GM_POLICY_SKETCH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The largest estimate. */
#define GM_SKETCH_MOST 15u

struct gm_sketch {
    _Atomic uint64_t *words; /* 8 a line */
    _Atomic uint32_t lines;  /* in use */
    uint32_t lines_most;
    void *memory;
    size_t bytes;
};

/* For up to `entries`. 0 or -ENOMEM. */
int gm_sketch_init(struct gm_sketch *sketch, uint32_t entries);
void gm_sketch_done(struct gm_sketch *sketch);
void gm_sketch_clear(struct gm_sketch *sketch);

/* Any thread. */
void gm_sketch_add(struct gm_sketch *sketch, uint64_t hash);
unsigned gm_sketch_estimate(const struct gm_sketch *sketch, uint64_t hash);

/* One caller at a time: makes lines enough for so many entries; halves all counters. */
void gm_sketch_grow(struct gm_sketch *sketch, uint32_t entries);
void gm_sketch_halve(struct gm_sketch *sketch);

#endif
