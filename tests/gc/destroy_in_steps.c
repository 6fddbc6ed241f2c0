/* destroy_in_steps.c [ROUNDS] - heaps that are destroyed while the old generation is marked in steps, so that the marker's stacks
 * hold addresses in them, and others that get their address space. The verifier looks at each collection.
 *
 * A heap that goes points into the default heap, by lists, by typed blocks and by large ones; nothing points into it any more
 * when it goes.
 */
#include <stdio.h>

#include "geomem/geomem.h"
#include "libgeomem/gc/cycle.h"
#include "tests/gc/world.h"

enum { NODES = 40000, LARGE_WORDS = 50000 };

struct node {
    struct node *next, *other;
    uintptr_t number;
    uintptr_t rest[5];
};
static struct node *kept;       /* in the default heap, of all rounds */
static struct node *lists[2];   /* in the heap that goes, and in the one that comes */
static struct node **tables[2]; /* large blocks there */
static unsigned in_steps;

static struct node *node_make(struct geomem_heap *heap, struct node *next, uintptr_t number)
{
    struct node *node = geomem_heap_gc_alloc(heap, sizeof *node, 0, GEOMEM_YOUNG);
    CHECK(node);
    node->next = next;
    node->number = number;
    return node;
}

static struct geomem_heap *heap_fill(int which)
{
    struct geomem_heap *heap;
    CHECK(geomem_heap_create(NULL, &heap) == 0);
    tables[which] =
        geomem_heap_gc_alloc(heap, LARGE_WORDS * sizeof(struct node *), 0, GEOMEM_YOUNG);
    for (uintptr_t i = 0; i < NODES; i++) {
        lists[which] = node_make(heap, lists[which], i);
        lists[which]->other = kept;
        tables[which][i] = i % 3 == 0 ? lists[which] : kept;
    }
    return heap;
}

static void list_check(const struct node *list, uintptr_t count)
{
    for (; list; list = list->next)
        CHECK(list->number == --count);
    CHECK(count == 0);
}

/* Until the old generation is being marked. Returns how many nodes there are. */
static uintptr_t kept_grow(uintptr_t count)
{
    while (!gm_gc.in_steps)
        kept = node_make(NULL, kept, count++);
    return count;
}

static void round_run(unsigned number)
{
    struct geomem_heap *goes = heap_fill(0);
    uintptr_t count = kept_grow(0);
    /* In the middle of a step, at the beginning, or near the end. */
    uint64_t stops = gm_gc.cycles + number % 4;
    while (gm_gc.in_steps && gm_gc.cycles < stops)
        kept = node_make(NULL, kept, count++);
    list_check(lists[0], NODES);
    lists[0] = NULL;
    tables[0] = NULL;
    in_steps += gm_gc.in_steps;
    geomem_heap_destroy(goes);
    struct geomem_heap *comes = heap_fill(1);
    while (gm_gc.in_steps)
        kept = node_make(NULL, kept, count++);
    list_check(kept, count);
    list_check(lists[1], NODES);
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0 && geomem_heap_check(comes, 3, stderr) == 0);
    CHECK(geomem_gc(NULL, GEOMEM_OLD) == 0);
    list_check(kept, count);
    list_check(lists[1], NODES);
    kept = lists[1] = NULL;
    tables[1] = NULL;
    geomem_heap_destroy(comes);
    CHECK(geomem_gc(NULL, GEOMEM_OLD) == 0);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 12;
    setenv("GEOMEM_VERIFY", "1", 1);
    for (unsigned i = 0; i < rounds; i++)
        round_run(i);
    CHECK(!gm_gc.verifies || gm_gc.verify.faults == 0);
    printf("%u of %u in steps\n", in_steps, rounds);
    CHECK(in_steps > 0);
    puts("ok");
    return 0;
}
