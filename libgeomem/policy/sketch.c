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

/* Where a key's counters are: the word and the shift in it, for each row. */
struct places {
    _Atomic uint64_t *word[ROWS];
    unsigned shift[ROWS];
};

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

/* A line by multiplication: any number of lines, no division; and when lines double, line i's keys are those of 2i and 2i + 1. */
static struct places places_of(const struct gm_sketch *sketch, uint64_t hash)
{
    uint32_t lines = atomic_load_explicit(&sketch->lines, memory_order_relaxed);
    uint64_t mixed = hash * 0x9e3779b97f4a7c15u;
    uint64_t line = ((mixed >> 32) * lines) >> 32;
    _Atomic uint64_t *words = sketch->words + line * LINE_WORDS;
    uint64_t picks = gm_policy_mix(hash);
    struct places places;
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned pick = (unsigned)(picks >> (8 * row)) & 31;
        places.word[row] = words + row * 2 + (pick >> 4);
        places.shift[row] = (pick & 15) * 4;
    }
    return places;
}

static unsigned places_least(const struct places *places, unsigned counters[ROWS])
{
    unsigned least = GM_SKETCH_MOST;
    for (unsigned row = 0; row < ROWS; row++) {
        uint64_t word = atomic_load_explicit(places->word[row], memory_order_relaxed);
        counters[row] = (unsigned)(word >> places->shift[row]) & GM_SKETCH_MOST;
        if (counters[row] < least)
            least = counters[row];
    }
    return least;
}

void gm_sketch_add(struct gm_sketch *sketch, uint64_t hash)
{
    struct places places = places_of(sketch, hash);
    unsigned counters[ROWS];
    unsigned least = places_least(&places, counters);
    if (least == GM_SKETCH_MOST)
        return;
    for (unsigned row = 0; row < ROWS; row++) {
        if (counters[row] != least)
            continue;
        uint64_t word = atomic_load_explicit(places.word[row], memory_order_relaxed);
        /* Another thread may have raised it to the most meanwhile: an addition would spill into its neighbour. */
        if (((word >> places.shift[row]) & GM_SKETCH_MOST) != GM_SKETCH_MOST)
            atomic_store_explicit(
                places.word[row], word + ((uint64_t)1 << places.shift[row]), memory_order_relaxed);
    }
}

unsigned gm_sketch_estimate(const struct gm_sketch *sketch, uint64_t hash)
{
    struct places places = places_of(sketch, hash);
    unsigned counters[ROWS];
    return places_least(&places, counters);
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
