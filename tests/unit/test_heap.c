/* test_heap.c - blocks of libgeomem, beside a model that knows what each of them must hold. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/geomem.h"
#include "libgeomem/base/os.h"
#include "libgeomem/gc/cycle.h"
#include "libgeomem/gc/dirty_internal.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/heap.h"
#include "libgeomem/heap/listener.h"
#include "libgeomem/heap/thread.h"

static char misuse_text[256];
static void misuse_note(const char *text, const void *address)
{
    (void)address;
    snprintf(misuse_text, sizeof misuse_text, "%s", text);
}
static const char *misuse(void)
{
    static char text[256];
    snprintf(text, sizeof text, "%s", misuse_text);
    misuse_text[0] = 0;
    return text;
}

/* ---- the model: slots with a size and a pattern ---- */

#define SLOTS 3000
struct slot {
    unsigned char *block;
    size_t size;
    unsigned char pattern;
};
struct model {
    struct slot slot[SLOTS];
    uint64_t random;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t size_random(uint64_t *random)
{
    uint64_t number = random_next(random);
    if (number % 2000 == 0)
        return number >> 20 & 0xffffff;
    return (number >> 20) & (((uint64_t)1 << (4 + number % 13)) - 1);
}

static void slot_fill(struct slot *slot, void *block, size_t size, unsigned char pattern)
{
    cr_assert_not_null(block);
    cr_assert_eq((uintptr_t)block % 16, 0u);
    cr_assert_geq(geomem_usable_size(block), size);
    *slot = (struct slot){block, size, pattern};
    memset(block, pattern, size);
}

static void slot_verify(const struct slot *slot, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (slot->block[i] != slot->pattern)
            cr_assert_fail("byte %zu of %zu changed", i, slot->size);
}

static void zero_verify(const unsigned char *block, size_t size)
{
    for (size_t i = 0; block != NULL && i < size; i++)
        if (block[i] != 0)
            cr_assert_fail("byte %zu of %zu is not zero", i, size);
}

static void model_step(struct model *model)
{
    uint64_t number = random_next(&model->random);
    struct slot *slot = &model->slot[(number >> 8) % SLOTS];
    unsigned char pattern = (unsigned char)(number >> 40);
    size_t size = size_random(&model->random), old = slot->size;
    if (slot->block != NULL && number % 8 == 0) {
        slot_verify(slot, old);
        unsigned char *block = geomem_realloc(slot->block, size);
        slot->block = block;
        slot_verify(slot, old < size ? old : size);
        slot_fill(slot, block, size, pattern);
        return;
    }
    if (slot->block != NULL) {
        slot_verify(slot, old);
        geomem_free(slot->block);
        slot->block = NULL;
        return;
    }
    size_t alignment = (size_t)16 << (number >> 16) % 9;
    switch (number % 8) {
    case 0:
        slot->block = geomem_calloc(1, size);
        zero_verify(slot->block, size);
        break;
    case 1:
        slot->block = geomem_aligned(alignment, size);
        cr_assert_eq((uintptr_t)slot->block % alignment, 0u);
        break;
    case 2:
        slot->block = geomem_gc_alloc(size);
        zero_verify(slot->block, size);
        break;
    case 3:
        slot->block = geomem_gc_alloc_leaf(size);
        break;
    case 4:
        slot->block = geomem_alloc_root(size);
        zero_verify(slot->block, size);
        break;
    default:
        slot->block = geomem_alloc(size);
        break;
    }
    slot_fill(slot, slot->block, size, pattern);
}

static void heap_verify(struct geomem_heap *heap)
{
    cr_assert_eq(geomem_heap_check(heap, 3, stderr), 0);
}

/* The model's blocks are reachable from the C library's memory only. */
static void collect_never(void)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .gc_mode = GEOMEM_GC_OFF};
    int error = geomem_heap_configure(NULL, &options);
    cr_assert(error == 0 || error == -EBUSY);
}

static void random_operations(uint64_t seed, int steps)
{
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    collect_never();
    struct model *model = calloc(1, sizeof *model);
    model->random = seed;
    for (int i = 0; i < steps; i++) {
        model_step(model);
        if (i % (steps / 8) == 0)
            heap_verify(NULL);
    }
    struct geomem_heap_statistics figures = {.struct_bytes = sizeof figures};
    uint64_t blocks = 0;
    for (int i = 0; i < SLOTS; i++)
        blocks += model->slot[i].block != NULL;
    cr_assert_eq(geomem_heap_statistics(NULL, &figures), 0);
    cr_assert_eq(figures.explicit_blocks + figures.young_blocks + figures.old_blocks, blocks);
    cr_assert_eq(figures.allocated_blocks - figures.freed_blocks, blocks);
    for (int i = 0; i < SLOTS; i++)
        geomem_free(model->slot[i].block);
    heap_verify(NULL);
    cr_assert_eq(geomem_heap_statistics(NULL, &figures), 0);
    cr_assert_eq(figures.explicit_bytes + figures.young_bytes + figures.old_bytes, 0u);
    free(model);
}

Test(heap, random_operations_agree_with_the_model)
{
    const char *wanted = getenv("GM_TEST_SEED");
    uint64_t seed = wanted != NULL ? strtoull(wanted, NULL, 0) : 88172645463325252u;
    for (uint64_t i = 0; i < 4; i++)
        random_operations(seed + i * 7919, 60000);
}

/* ---- misuse ---- */

Test(misuse, each_kind_is_named, .init = NULL)
{
    geomem_misuse_handler(misuse_note);
    char *block = geomem_alloc(40), on_stack[16], *large = geomem_alloc(100000),
         *huge = geomem_alloc(9 << 20);
    geomem_free(on_stack);
    cr_assert_not_null(strstr(misuse(), "not memory of libgeomem"));
    geomem_free((void *)0xffff800000000000);
    cr_assert_not_null(strstr(misuse(), "not memory of libgeomem"));
    geomem_free(block + 8);
    cr_assert_not_null(strstr(misuse(), "points 8 bytes into a block of 48 bytes"));
    geomem_free(large + 70000);
    cr_assert_not_null(strstr(misuse(), "points 70000 bytes into a block of 102400 bytes"));
    geomem_free(huge + (5 << 20));
    cr_assert_not_null(strstr(misuse(), "points 5242880 bytes into a block"));
    geomem_free((char *)((uintptr_t)block & ~(GM_SEGMENT_BYTES - 1)));
    cr_assert_not_null(strstr(misuse(), "no block has been handed out there"));
    geomem_free(block);
    cr_assert_str_empty(misuse());
    geomem_free(block);
    cr_assert_not_null(strstr(misuse(), "the block of 48 bytes is free already"));
    cr_assert_null(geomem_realloc(block, 10));
    cr_assert_not_null(strstr(misuse(), "geomem_realloc"));
    geomem_free(large);
    geomem_free(huge);
    cr_assert_str_empty(misuse());
    geomem_free(huge);
    cr_assert_not_null(strstr(misuse(), "geomem_free"));
    geomem_free(NULL);
    cr_assert_str_empty(misuse());
    heap_verify(NULL);
}

Test(misuse, sizes_that_overflow_fail_with_enomem)
{
    errno = 0;
    cr_assert_null(geomem_alloc(SIZE_MAX));
    cr_assert_eq(errno, ENOMEM);
    cr_assert_null(geomem_alloc(PTRDIFF_MAX));
    cr_assert_null(geomem_calloc(SIZE_MAX / 2, 3));
    cr_assert_null(geomem_aligned(4096, SIZE_MAX - 100));
    cr_assert_null(geomem_gc_alloc(SIZE_MAX));
    errno = 0;
    cr_assert_null(geomem_aligned(24, 10));
    cr_assert_eq(errno, EINVAL);
    heap_verify(NULL);
}

Test(aligned, any_power_of_two_up_to_64_megabytes)
{
    for (size_t alignment = 1; alignment <= (size_t)64 << 20; alignment *= 2)
        for (size_t size = 1; size < 20000000; size = size * 17 + 5) {
            char *block = geomem_aligned(alignment, size);
            cr_assert_not_null(block);
            cr_assert_eq((uintptr_t)block % alignment, 0u);
            block[0] = block[size - 1] = 1;
            struct geomem_block found;
            cr_assert_eq(geomem_block_at(block + size - 1, &found), 0);
            cr_assert_eq(found.start, block);
            geomem_free(block);
        }
    heap_verify(NULL);
}

/* ---- several heaps, walking ---- */

struct seen {
    int blocks;
    size_t bytes;
};
static int see(const struct geomem_block *block, void *arg)
{
    struct seen *seen = arg;
    seen->blocks++;
    seen->bytes += block->bytes;
    return 0;
}

Test(heaps, are_apart_and_go_as_a_whole)
{
    for (int round = 0; round < 3; round++) {
        struct geomem_heap *heap;
        struct seen seen = {0}, of_default = {0};
        void *block[1000];
        cr_assert_eq(geomem_heap_create(NULL, &heap), 0);
        for (int i = 0; i < 1000; i++)
            block[i] = geomem_heap_alloc(heap, 100);
        geomem_heap_alloc(heap, 5000000);
        geomem_free(block[3]);
        block[4] = geomem_realloc(block[4], 3000);
        cr_assert_eq(geomem_heap_walk(heap, see, &seen), 0);
        cr_assert_eq(seen.blocks, 1000);
        cr_assert_eq(seen.bytes, 998u * 112 + 3072 + 5001216);
        cr_assert_eq(geomem_heap_walk(NULL, see, &of_default), 0);
        cr_assert_eq(of_default.blocks, 0);
        heap_verify(heap);
        geomem_heap_destroy(heap);
        cr_assert_not(geomem_owns(block[5]));
    }
    heap_verify(NULL);
}

Test(heaps, a_limit_is_kept)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .max_bytes = 3 << 20};
    struct geomem_heap *heap;
    cr_assert_eq(geomem_heap_create(&options, &heap), 0);
    int blocks = 0;
    while (geomem_heap_alloc(heap, 1000) != NULL)
        blocks++;
    cr_assert_gt(blocks, 2000);
    struct geomem_heap_statistics figures = {.struct_bytes = sizeof figures};
    cr_assert_eq(geomem_heap_statistics(heap, &figures), 0);
    cr_assert_leq(figures.footprint_bytes, 3u << 20);
    heap_verify(heap);
    geomem_heap_destroy(heap);
}

static size_t watched_pages(void)
{
    const struct gm_dirty *dirty = gm_gc.cards.dirty;
    size_t pages = 0;
    for (size_t from, to = dirty->low;
         gm_dirty_bits_run(dirty->watched, NULL, false, to, dirty->high, &from, &to);)
        pages += to - from;
    return pages;
}

Test(heaps, no_page_of_one_that_went_is_watched)
{
    enum { BLOCKS = 2000 };
    static void *block[BLOCKS]; /* roots */
    struct geomem_heap_options options = {
        .struct_bytes = sizeof options, .tracking = GEOMEM_TRACK_MPROTECT};
    struct geomem_heap *heap;
    cr_assert_eq(geomem_heap_create(&options, &heap), 0);
    for (int i = 0; i < BLOCKS; i++)
        block[i] = geomem_heap_gc_alloc(heap, i == 0 ? 5000000 : 1000, 0, GEOMEM_YOUNG);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(geomem_gc(heap, GEOMEM_YOUNG), 0);
    cr_assert_gt(watched_pages(), 100);
    memset(block, 0, sizeof block);
    geomem_heap_destroy(heap);
    cr_assert_eq(watched_pages(), 0);
}

Test(purge, gives_everything_back)
{
    enum { BLOCKS = 100000 };
    static void *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        block[i] = geomem_alloc(200);
    for (int i = 0; i < BLOCKS; i++)
        geomem_free(block[i]);
    cr_assert_eq(geomem_heap_purge(NULL), 0);
    struct geomem_heap_statistics figures = {.struct_bytes = sizeof figures};
    cr_assert_eq(geomem_heap_statistics(NULL, &figures), 0);
    cr_assert_leq(figures.footprint_bytes, 400000u);
    heap_verify(NULL);
}

/* ---- typed blocks ---- */

Test(typed, the_layout_stands_in_the_last_word)
{
    static const uint64_t map[1] = {1};
    static const struct geomem_layout layout = {
        .struct_bytes = sizeof layout, .element_bytes = 16, .pointers = map};
    void **block = geomem_gc_alloc_typed(56, &layout);
    cr_assert_eq(geomem_usable_size(block), 56u);
    cr_assert_eq(block[7], (void *)(uintptr_t)&layout);
    cr_assert_null(geomem_gc_alloc_typed(10, NULL));
}

/* ---- the listener ---- */

static int told_alloc, told_free, told_realloc;
static void tell_alloc(const void *block, size_t size, int collected, int generation)
{
    (void)block, (void)size, (void)collected, (void)generation;
    told_alloc++;
}
static void tell_free(const void *block)
{
    (void)block;
    told_free++;
}
static void tell_realloc(
    const void *old, const void *block, size_t size, int collected, int generation)
{
    (void)old, (void)block, (void)size, (void)collected, (void)generation;
    told_realloc++;
}

Test(listener, is_told_of_each_call_from_attach_to_detach)
{
    static const struct geomem_listener listener = {.version = GEOMEM_LISTENER_VERSION,
        .alloc = tell_alloc,
        .free = tell_free,
        .realloc = tell_realloc};
    for (int i = 0; i < 100; i++)
        geomem_free(geomem_alloc(50));
    gm_listener_attach(&listener);
    for (int i = 0; i < 100; i++) {
        void *block = geomem_alloc(50);
        block = geomem_realloc(block, 5000);
        geomem_free(block);
        geomem_free(geomem_gc_alloc(20));
    }
    gm_listener_attach(NULL);
    for (int i = 0; i < 100; i++)
        geomem_free(geomem_alloc(50));
    cr_assert_eq(told_alloc, 200);
    cr_assert_eq(told_free, 200);
    cr_assert_eq(told_realloc, 100);
    heap_verify(NULL);
}

/* ---- the system says no ---- */

/* Some of everything; blocks that could not be had are NULL. Each is written to. */
static void some_of_everything(void)
{
    static void *block[150];
    for (int i = 0; i < 150; i++) {
        size_t size = (size_t)i * i * i / 8 + 1;
        block[i] = i % 4 == 0   ? geomem_gc_alloc(size)
                   : i % 4 == 1 ? geomem_calloc(1, size)
                   : i % 4 == 2 ? geomem_alloc_root(size)
                                : geomem_alloc(size);
        if (block[i] != NULL)
            memset(block[i], 1, size);
        struct geomem_heap *heap;
        if (i % 50 == 0 && geomem_heap_create(NULL, &heap) == 0) {
            geomem_heap_alloc(heap, 3000);
            geomem_heap_destroy(heap);
        }
    }
    for (int i = 0; i < 150; i++)
        geomem_free(block[i]);
    geomem_heap_purge(NULL);
}

Test(memory, failure_of_any_system_call_leaves_a_whole_heap)
{
    collect_never();
    uint64_t before = gm_os_calls();
    some_of_everything();
    uint64_t calls = gm_os_calls() - before;
    cr_assert_gt(calls, 10u);
    for (uint64_t i = 0; i < 2 * calls; i++) {
        gm_os_fail_after(i, i % 3 == 0 ? 1000 : 1);
        some_of_everything();
        gm_os_fail_after(0, 0);
        heap_verify(NULL);
    }
    some_of_everything();
    struct geomem_heap_statistics figures = {.struct_bytes = sizeof figures};
    cr_assert_eq(geomem_heap_statistics(NULL, &figures), 0);
    cr_assert_eq(figures.explicit_blocks, 0u);
}

/* ---- quarantine ---- */

/* As GEOMEM_HEAP_DEBUG=1 does. Small blocks that waited first must not let large ones in one for one. */
Test(quarantine, holds_no_more_bytes_than_it_may)
{
    enum { SMALL = 4000, LARGE = 200 };
    static void *small[SMALL];
    gm_checkers |= GM_CHECKER_POISON;
    gm_fast_paths(false);
    for (int i = 0; i < SMALL; i++)
        small[i] = geomem_alloc(16);
    for (int i = 0; i < SMALL; i++)
        geomem_free(small[i]);
    for (int i = 0; i < LARGE; i++)
        geomem_free(geomem_alloc((size_t)1 << 20));
    geomem_heap_purge(NULL);
    struct geomem_heap_statistics s = {.struct_bytes = sizeof s};
    cr_assert_eq(geomem_heap_statistics(NULL, &s), 0);
    cr_expect_leq(s.footprint_bytes, (uint64_t)24 << 20);
    /* The last to be freed waits still. */
    geomem_misuse_handler(misuse_note);
    void *block = geomem_alloc(100);
    geomem_free(block);
    geomem_free(block);
    cr_expect_neq(strstr(misuse(), "freed"), NULL);
}
