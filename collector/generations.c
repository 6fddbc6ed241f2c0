/* generations.c - see generations.h. */
#include "collector/generations.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

const uint64_t gm_generation_age_bytes[GM_GENERATIONS - 1] = {
    GM_G1_AGE_BYTES, GM_G2_AGE_BYTES, GM_G3_AGE_BYTES};

/* The same in granules. */
static const uint64_t limits[GM_GENERATIONS - 1] = {GM_G1_AGE_BYTES / GM_GRANULE_BYTES,
    GM_G2_AGE_BYTES / GM_GRANULE_BYTES, GM_G3_AGE_BYTES / GM_GRANULE_BYTES};

#define TAKEN_BYTES (GM_GENERATION_SLOTS / 8)
#define SITES_BYTES (GM_GENERATION_SLOTS * sizeof(uint32_t))
static_assert(GM_GENERATION_SLOTS % 64 == 0, "words of the bitmap do not straddle its end");

void gm_generations_init(struct gm_generations *generations)
{
    memset(generations, 0, sizeof *generations);
}

void gm_generations_done(struct gm_generations *generations)
{
    if (generations->taken)
        munmap(generations->taken, TAKEN_BYTES + SITES_BYTES);
    if (generations->blocks)
        munmap(generations->blocks, SITES_BYTES);
    generations->taken = NULL;
    generations->sites = generations->blocks = NULL;
}

/* Pages of a mapping come with their first use: a small process has a small window. */
static void *map_zeroed(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static bool window_map(struct gm_generations *generations)
{
    char *map = generations->taken ? NULL : map_zeroed(TAKEN_BYTES + SITES_BYTES);
    if (map) {
        generations->taken = (uint64_t *)(void *)map;
        generations->sites = (uint32_t *)(void *)(map + TAKEN_BYTES);
    }
    return generations->taken != NULL;
}

void gm_generations_enter_first(struct gm_generations *generations, uint32_t site, uint64_t blocks)
{
    /* From the first block that stands for more than itself; a count of 0 says 1. */
    bool counts = generations->blocks || blocks != 1;
    if (!window_map(generations) ||
        (counts && !generations->blocks && !(generations->blocks = map_zeroed(SITES_BYTES)))) {
        generations->out_of_memory = true;
        return;
    }
    uint64_t slot = generations->clock % GM_GENERATION_SLOTS;
    generations->taken[slot / 64] |= 1ull << slot % 64;
    generations->sites[slot] = site;
    if (counts)
        generations->blocks[slot] = blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks;
}

static uint64_t slot_blocks(const struct gm_generations *generations, uint64_t slot)
{
    uint32_t blocks = generations->blocks ? generations->blocks[slot] : 0;
    return blocks ? blocks : 1;
}

/* The births that are of age `limit` or above at this reading of the clock are those below. */
static uint64_t births_end(uint64_t clock, uint64_t limit)
{
    return clock + 1 > limit ? clock + 1 - limit : 0;
}

/* Passes over slots first <= slot < end, all of one word of the bitmap. */
static void window_pass_word(struct gm_generations *generations, unsigned g, uint64_t first,
    uint64_t end, gm_generation_promoted *promoted, void *arg)
{
    uint64_t mask = ~0ull << first % 64, base = first & ~63ull;
    if (end - base < 64)
        mask &= (1ull << (end - base)) - 1;
    uint64_t hit = generations->taken[base / 64] & mask;
    if (g == GM_GENERATIONS - 2)
        generations->taken[base / 64] &= ~mask;
    for (; hit; hit &= hit - 1) {
        uint64_t slot = base + (unsigned)__builtin_ctzll(hit);
        promoted(arg, generations->sites[slot], g, slot_blocks(generations, slot));
    }
}

/* Passes over what was born in [first, end). */
static void window_pass(struct gm_generations *generations, unsigned g, uint64_t first,
    uint64_t end, gm_generation_promoted *promoted, void *arg)
{
    while (first < end) {
        uint64_t slot = first % GM_GENERATION_SLOTS, n = 64 - slot % 64;
        if (n > end - first)
            n = end - first;
        window_pass_word(generations, g, slot, slot + n, promoted, arg);
        first += n;
    }
}

void gm_generations_pass(struct gm_generations *generations, uint64_t last_birth,
    gm_generation_promoted *promoted, void *arg)
{
    uint64_t before = generations->settled, now = generations->clock;
    /* From the lowest limit to the highest: one large step may carry a block over several. */
    for (unsigned g = 0; generations->taken && g < GM_GENERATIONS - 1; g++) {
        uint64_t end = births_end(now, limits[g]);
        if (end > last_birth + 1)
            end = last_birth + 1;
        window_pass(generations, g, births_end(before, limits[g]), end, promoted, arg);
    }
    generations->settled = now;
}

static bool window_holds(const struct gm_generations *generations, uint64_t birth)
{
    return generations->taken &&
           birth >= births_end(generations->settled, limits[GM_GENERATIONS - 2]);
}

unsigned gm_generations_death_old(
    struct gm_generations *generations, uint64_t birth, gm_generation_promoted *promoted, void *arg)
{
    uint64_t age = generations->clock - birth, slot = birth % GM_GENERATION_SLOTS;
    bool held = window_holds(generations, birth);
    unsigned g = 0;
    for (; g < GM_GENERATIONS - 1 && age >= limits[g]; g++)
        if (held && birth >= births_end(generations->settled, limits[g]))
            promoted(arg, generations->sites[slot], g, slot_blocks(generations, slot));
    if (held)
        generations->taken[slot / 64] &= ~(1ull << slot % 64);
    return g;
}

/* Pages that were never used are not held. */
uint64_t gm_generations_bytes(const struct gm_generations *generations)
{
    uint64_t used =
        generations->clock < GM_GENERATION_SLOTS ? generations->clock : GM_GENERATION_SLOTS;
    uint64_t columns = 1 + (generations->blocks != NULL);
    return generations->taken ? used / 8 + columns * used * sizeof(uint32_t) : 0;
}
