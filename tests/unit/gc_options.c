/* gc_options.c - options of a heap that are its own, and those that must agree with what other heaps have. */
#include <errno.h>

#include "gc_hidden.h"

static int failures;
#define CHECK(x) \
    do { \
        if (!(x)) { \
            printf("line %d: %s\n", __LINE__, #x); \
            failures++; \
        } \
    } while (0)

static struct geomem_heap *heap_make(struct geomem_heap_options options, int wanted)
{
    struct geomem_heap *heap = NULL;
    options.struct_bytes = sizeof options;
    CHECK(geomem_heap_create(&options, &heap) == wanted);
    return heap;
}

static uint64_t blocks_left(struct geomem_heap *heap)
{
    struct geomem_heap_statistics s = {.struct_bytes = sizeof s};
    CHECK(geomem_heap_statistics(heap, &s) == 0);
    return s.young_blocks + s.old_blocks;
}

struct places {
    struct geomem_heap *heap;
    char ***root;
};

/* A block of the heap, known by a pointer into it only, which stands in another block. */
static void block_make(void *arg)
{
    struct places *places = arg;
    *places->root = geomem_heap_gc_alloc(NULL, 64, 0, GEOMEM_YOUNG);
    **places->root = (char *)geomem_heap_gc_alloc(places->heap, 64, 0, GEOMEM_YOUNG) + 8;
}

static uint64_t blocks_kept(struct geomem_heap *heap)
{
    struct places places = {heap, geomem_alloc_root(sizeof(char **))};
    in_thread(block_make, &places);
    CHECK(geomem_gc(heap, GEOMEM_OLD) == 0);
    return blocks_left(heap);
}

int main(void)
{
    struct geomem_heap *early =
        heap_make((struct geomem_heap_options){.tracking = GEOMEM_TRACK_NONE}, 0);
    struct geomem_heap *exact =
        heap_make((struct geomem_heap_options){.exact_pointers = 1, .young_bytes = 2 << 20}, 0);
    struct geomem_heap *other = heap_make((struct geomem_heap_options){0}, 0);
    CHECK(geomem_gc_alloc(48));
    CHECK(blocks_kept(exact) == 0);
    CHECK(blocks_kept(other) == 1);
    CHECK(!geomem_heap_gc_alloc(early, 48, 0, GEOMEM_YOUNG));
    CHECK(geomem_heap_alloc(early, 48));
    heap_make((struct geomem_heap_options){.tracking = GEOMEM_TRACK_MPROTECT}, -EINVAL);
    heap_make((struct geomem_heap_options){.tracking = GEOMEM_TRACK_NONE}, -EINVAL);
    heap_make((struct geomem_heap_options){.young_bytes = 1 << 20}, -EINVAL);
    heap_make((struct geomem_heap_options){.young_bytes = 2 << 20}, 0);
    heap_make((struct geomem_heap_options){.tracking = GEOMEM_TRACK_BARRIER}, 0);
    puts(failures ? "failed" : "ok");
    return failures != 0;
}
