/* generations.c - see generations.h. */
#include "collector/generations.h"

#include <string.h>
#include <sys/mman.h>

const uint64_t gm_generation_age_bytes[GM_GENERATIONS - 1] = {
    GM_G1_AGE_BYTES, GM_G2_AGE_BYTES, GM_G3_AGE_BYTES};

/* Slots of each window: powers of two. */
static const uint64_t window_slots[GM_GENERATIONS - 1] = {GM_G1_AGE_BYTES / GM_GRANULE_BYTES,
    GM_G2_AGE_BYTES / GM_GRANULE_BYTES, GM_G3_AGE_BYTES / GM_GRANULE_BYTES};

static size_t window_bytes(unsigned g)
{
    return window_slots[g] / 8 + window_slots[g] * 4;
}

static size_t window_blocks_bytes(unsigned g)
{
    return window_slots[g] * 4;
}

void gm_generations_init(struct gm_generations *generations)
{
    memset(generations, 0, sizeof *generations);
}

void gm_generations_done(struct gm_generations *generations)
{
    for (unsigned g = 0; g < GM_GENERATIONS - 1; g++) {
        if (generations->windows[g].taken)
            munmap(generations->windows[g].taken, window_bytes(g));
        if (generations->windows[g].blocks)
            munmap(generations->windows[g].blocks, window_blocks_bytes(g));
    }
    memset(generations->windows, 0, sizeof generations->windows);
}

/* Pages of a mapping come with their first use: a small process has small windows. */
static void *map_zeroed(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static bool window_map(struct gm_generation_window *window, unsigned g)
{
    void *map = map_zeroed(window_bytes(g));
    if (!map)
        return false;
    window->taken = map;
    window->sites = (uint32_t *)((char *)map + window_slots[g] / 8);
    return true;
}

/* From the first block that stands for more than itself; a count of 0 says 1. */
static void window_set_blocks(
    struct gm_generations *generations, unsigned g, uint64_t slot, uint64_t blocks)
{
    struct gm_generation_window *window = &generations->windows[g];
    if (!window->blocks && blocks == 1)
        return;
    if (!window->blocks && !(window->blocks = map_zeroed(window_blocks_bytes(g)))) {
        generations->out_of_memory = true;
        return;
    }
    window->blocks[slot] = blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks;
}

static uint64_t window_get_blocks(const struct gm_generation_window *window, uint64_t slot)
{
    uint32_t blocks = window->blocks ? window->blocks[slot] : 0;
    return blocks ? blocks : 1;
}

static void window_enter(
    struct gm_generations *generations, unsigned g, uint64_t birth, uint32_t site, uint64_t blocks)
{
    struct gm_generation_window *window = &generations->windows[g];
    if (!window->taken && !window_map(window, g)) {
        generations->out_of_memory = true;
        return;
    }
    uint64_t slot = birth & (window_slots[g] - 1);
    window->taken[slot / 64] |= 1ull << slot % 64;
    window->sites[slot] = site;
    window->count++;
    window_set_blocks(generations, g, slot, blocks);
}

static void window_pass_word(struct gm_generations *generations, unsigned g, uint64_t first_birth,
    uint64_t mask, gm_generation_promoted *promoted, void *arg)
{
    struct gm_generation_window *window = &generations->windows[g];
    uint64_t base = first_birth & (window_slots[g] - 1) & ~63ull;
    uint64_t hit = window->taken[base / 64] & mask;
    window->taken[base / 64] &= ~mask;
    while (hit) {
        unsigned bit = (unsigned)__builtin_ctzll(hit);
        hit &= hit - 1;
        uint32_t site = window->sites[base + bit];
        uint64_t blocks = window_get_blocks(window, base + bit);
        window->count--;
        promoted(arg, site, g, blocks);
        if (g + 1 < GM_GENERATIONS - 1)
            window_enter(generations, g + 1, (first_birth & ~63ull) + bit, site, blocks);
    }
}

/* Promotes what was born in [first, end). */
static void window_pass(struct gm_generations *generations, unsigned g, uint64_t first,
    uint64_t end, gm_generation_promoted *promoted, void *arg)
{
    while (first < end && generations->windows[g].count > 0) {
        uint64_t word_end = (first & ~63ull) + 64;
        uint64_t mask = ~0ull << first % 64;
        if (word_end > end)
            mask &= ~0ull >> (word_end - end);
        window_pass_word(generations, g, first, mask, promoted, arg);
        first = word_end;
    }
}

void gm_generations_advance(struct gm_generations *generations, uint64_t granules,
    gm_generation_promoted *promoted, void *arg)
{
    uint64_t before = generations->clock, now = before + granules;
    /* From the youngest window to the oldest: one large step may carry a block through several. */
    for (unsigned g = 0; g < GM_GENERATIONS - 1; g++) {
        uint64_t n = window_slots[g];
        uint64_t first = before + 1 > n ? before + 1 - n : 0;
        uint64_t end = now + 1 > n ? now + 1 - n : 0;
        window_pass(generations, g, first, end < before + 1 ? end : before + 1, promoted, arg);
    }
    generations->clock = now;
}

void gm_generations_enter(struct gm_generations *generations, uint32_t site, uint64_t blocks)
{
    window_enter(generations, 0, generations->clock, site, blocks);
}

void gm_generations_birth(struct gm_generations *generations, uint64_t size_bytes, uint32_t site,
    gm_generation_promoted *promoted, void *arg)
{
    gm_generations_advance(generations, gm_granules(size_bytes), promoted, arg);
    gm_generations_enter(generations, site, 1);
}

unsigned gm_generations_death(struct gm_generations *generations, uint64_t birth)
{
    uint64_t age = generations->clock - birth;
    for (unsigned g = 0; g < GM_GENERATIONS - 1; g++) {
        if (age >= window_slots[g])
            continue;
        struct gm_generation_window *window = &generations->windows[g];
        uint64_t slot = birth & (window_slots[g] - 1), bit = 1ull << slot % 64;
        if (window->taken && window->taken[slot / 64] & bit) {
            window->taken[slot / 64] &= ~bit;
            window->count--;
        }
        return g;
    }
    return GM_GENERATIONS - 1;
}

uint64_t gm_generations_bytes(const struct gm_generations *generations)
{
    uint64_t bytes = 0;
    for (unsigned g = 0; g < GM_GENERATIONS - 1; g++)
        bytes += (generations->windows[g].taken ? window_bytes(g) : 0) +
                 (generations->windows[g].blocks ? window_blocks_bytes(g) : 0);
    return bytes;
}
