/* gc_counts.c - what geomem_heap_statistics says was freed by the program, and what by the collector, where it is known. */
#include <inttypes.h>
#include <string.h>

#include "gc_hidden.h"

enum { BLOCKS = 1000, KEPT = 100, KEPT_LATER = 60, FREED = 50, LARGE = 3 };
#define BLOCK_BYTES 48u
#define LARGE_BYTES ((size_t)1 << 20)

static struct geomem_heap *heap;
static int failures;

/* A root block of another heap: an array of KEPT pointers. */
static void blocks_make(void *root)
{
    void **kept = root;
    for (int i = 0; i < BLOCKS; i++) {
        void *block = geomem_heap_gc_alloc(heap, BLOCK_BYTES, 0, GEOMEM_YOUNG);
        if (i < KEPT)
            kept[i] = block;
        else if (i < KEPT + FREED)
            geomem_free(block);
    }
    for (int i = 0; i < LARGE; i++)
        geomem_heap_gc_alloc(heap, LARGE_BYTES, 1, GEOMEM_YOUNG);
}

static void check(const char *what, const char *figure, uint64_t got, uint64_t wanted)
{
    if (got == wanted)
        return;
    printf("%s: %s %" PRIu64 ", not %" PRIu64 "\n", what, figure, got, wanted);
    failures++;
}

static void check_all(const char *what, uint64_t small, uint64_t large, uint64_t live)
{
    struct geomem_heap_statistics s = {.struct_bytes = sizeof s};
    if (geomem_heap_statistics(heap, &s) != 0)
        abort();
    check(what, "allocated_blocks", s.allocated_blocks, BLOCKS + LARGE);
    check(what, "freed_blocks", s.freed_blocks, FREED);
    check(what, "freed_bytes", s.freed_bytes, FREED * BLOCK_BYTES);
    check(what, "collected_blocks", s.collected_blocks, small + large);
    check(what, "collected_bytes", s.collected_bytes, small * BLOCK_BYTES + large * LARGE_BYTES);
    check(what, "live blocks", s.young_blocks + s.old_blocks, live);
}

static void collect(enum geomem_generation generation)
{
    if (geomem_gc(heap, generation) != 0)
        abort();
}

int main(void)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .gc_mode = GEOMEM_GC_OFF};
    void **root = geomem_alloc_root(KEPT * sizeof *root);
    if (!root || geomem_heap_create(&options, &heap) != 0)
        abort();
    in_thread(blocks_make, root);
    check_all("before", 0, 0, BLOCKS - FREED + LARGE);
    collect(GEOMEM_YOUNG);
    check_all("young", BLOCKS - FREED - KEPT, LARGE, KEPT);
    memset(root + KEPT_LATER, 0, (KEPT - KEPT_LATER) * sizeof *root);
    collect(GEOMEM_YOUNG);
    check_all("young again", BLOCKS - FREED - KEPT, LARGE, KEPT);
    collect(GEOMEM_OLD);
    check_all("full", BLOCKS - FREED - KEPT_LATER, LARGE, KEPT_LATER);
    puts(failures ? "failed" : "ok");
    return failures != 0;
}
