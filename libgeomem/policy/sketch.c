/* sketch.c - see sketch.h. */
#include "libgeomem/policy/sketch.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/policy/kind.h"

#define LINE_BYTES 64u
#define LINE_WORDS (LINE_BYTES / sizeof(uint64_t))
#define LINE_ENTRIES 8u
/* Lines in use at first are the most, halved until no more than this: arbitrary. */
#define LINES_FIRST 512u
#define ROWS 4u

static uint32_t lines_first(uint32_t most)
{
    while (most > LINES_FIRST)
        most = (most + 1) / 2;
    return most;
}

static uint32_t lines_for(uint32_t entries)
{
    return entries / LINE_ENTRIES + 1;
}

int gm_sketch_init(struct gm_sketch *sketch, uint32_t entries)
{
    uint32_t first = lines_first(lines_for(entries));
    uint32_t most = first;
    while (most < lines_for(entries))
        most *= 2;
    sketch->bytes = (size_t)most * LINE_BYTES;
    sketch->memory = gm_policy_memory(sketch->bytes);
    sketch->words = sketch->memory;
    sketch->lines_most = most;
    atomic_init(&sketch->lines, first);
    return sketch->memory ? 0 : -ENOMEM;
}

void gm_sketch_done(struct gm_sketch *sketch)
{
    gm_policy_memory_free(sketch->memory, sketch->bytes);
    sketch->memory = NULL;
}

void gm_sketch_clear(struct gm_sketch *sketch)
{
    uint32_t lines = atomic_load_explicit(&sketch->lines, memory_order_relaxed);
    for (size_t i = 0; i < lines * LINE_WORDS; i++)
        atomic_store_explicit(&sketch->words[i], 0, memory_order_relaxed);
}

/* Where a key's counters are. One product gives both: its upper half the line, by another multiplication, so that any number of
 * lines will do, and when they double line i's keys are those of 2i and 2i + 1; the upper part of its lower half which counter of
 * each row, since the lowest bits of hashes may be all the same in a shard. */
struct places {
    _Atomic uint64_t *line;
    uint32_t picks; /* 5 bits a row */
};

static inline struct places places_of(const struct gm_sketch *sketch, uint64_t hash)
{
    uint64_t lines = atomic_load_explicit(&sketch->lines, memory_order_relaxed);
    uint64_t product = hash * 0x9e3779b97f4a7c15u;
    uint64_t line = ((product >> 32) * lines) >> 32;
    return (struct places){sketch->words + line * LINE_WORDS, (uint32_t)product >> 12};
}

static inline _Atomic uint64_t *place_word(struct places places, unsigned row)
{
    return places.line + row * 2 + (places.picks >> (row * 5 + 4) & 1);
}

static inline unsigned place_shift(struct places places, unsigned row)
{
    return (places.picks >> row * 5 & 15) * 4;
}

static inline unsigned place_read(struct places places, unsigned row)
{
    uint64_t word = atomic_load_explicit(place_word(places, row), memory_order_relaxed);
    return (unsigned)(word >> place_shift(places, row)) & GM_SKETCH_MOST;
}

static inline unsigned places_least(struct places places)
{
    unsigned least = GM_SKETCH_MOST;
#pragma GCC unroll 4
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned counter = place_read(places, row);
        least = counter < least ? counter : least;
    }
    return least;
}

void gm_sketch_add(struct gm_sketch *sketch, uint64_t hash)
{
    struct places places = places_of(sketch, hash);
    unsigned least = places_least(places);
    if (least == GM_SKETCH_MOST)
        return;
#pragma GCC unroll 4
    for (unsigned row = 0; row < ROWS; row++) {
        uint64_t word = atomic_load_explicit(place_word(places, row), memory_order_relaxed);
        /* Read again: another thread may have raised it, and an addition to the most would spill into its neighbour. */
        if (((word >> place_shift(places, row)) & GM_SKETCH_MOST) == least)
            atomic_store_explicit(place_word(places, row),
                word + ((uint64_t)1 << place_shift(places, row)), memory_order_relaxed);
    }
}

unsigned gm_sketch_estimate(const struct gm_sketch *sketch, uint64_t hash)
{
    return places_least(places_of(sketch, hash));
}

/* Each line becomes two, from the last to the first. */
static void lines_double(struct gm_sketch *sketch)
{
    uint32_t lines = atomic_load_explicit(&sketch->lines, memory_order_relaxed);
    for (size_t i = lines * LINE_WORDS; i-- > 0;) {
        size_t line = i / LINE_WORDS;
        size_t word = i % LINE_WORDS;
        uint64_t value = atomic_load_explicit(&sketch->words[i], memory_order_relaxed);
        atomic_store_explicit(
            &sketch->words[(2 * line + 1) * LINE_WORDS + word], value, memory_order_relaxed);
        atomic_store_explicit(
            &sketch->words[2 * line * LINE_WORDS + word], value, memory_order_relaxed);
    }
    atomic_store_explicit(&sketch->lines, lines * 2, memory_order_relaxed);
}

void gm_sketch_grow(struct gm_sketch *sketch, uint32_t entries)
{
    uint32_t wanted = lines_for(entries);
    for (;;) {
        uint32_t lines = atomic_load_explicit(&sketch->lines, memory_order_relaxed);
        if (lines >= wanted || lines * 2 > sketch->lines_most)
            return;
        lines_double(sketch);
    }
}

void gm_sketch_halve(struct gm_sketch *sketch)
{
    uint32_t lines = atomic_load_explicit(&sketch->lines, memory_order_relaxed);
    for (size_t i = 0; i < lines * LINE_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&sketch->words[i], memory_order_relaxed);
        atomic_store_explicit(
            &sketch->words[i], (word >> 1) & 0x7777777777777777u, memory_order_relaxed);
    }
}
