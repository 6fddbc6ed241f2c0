/* gc_known.c - a program on libgeomem whose blocks die when it is known: collections are asked for, and stacks and
 * registers are kept clear of old pointers. What follows from it stands in tests/e2e/test_collector.py. */
#include <geomem/geomem.h>

#include "target.h"

#define LISTS 100

struct node {
    struct node *next;
    char rest[40];
};

static struct node *volatile kept, *volatile cached; /* globals: roots */

/* 48 bytes a node. */
NOINLINE static struct node *node_new(struct node *next)
{
    struct node *n = geomem_gc_alloc(sizeof *n);
    REQUIRE(n);
    n->next = next;
    return n;
}

NOINLINE static struct node *keep_list(int n)
{
    struct node *list = NULL;
    for (int i = 0; i < n; i++)
        list = node_new(list);
    return list;
}

NOINLINE static void drop_leaves(int n)
{
    for (int i = 0; i < n; i++)
        memset(geomem_gc_alloc_leaf(200), 1, 200);
}

/* Overwrites what the calls before have left on the stack. */
NOINLINE static void stack_clear(void)
{
    volatile char room[16384];
    memset((void *)room, 0, sizeof room);
    target_opaque((void *)room);
}

NOINLINE static void explicit_blocks(void)
{
    void *blocks[20];
    for (int i = 0; i < 20; i++)
        REQUIRE(blocks[i] = geomem_alloc(64));
    REQUIRE(blocks[0] = geomem_realloc(blocks[0], 5000));
    for (int i = 0; i < 15; i++)
        geomem_free(blocks[i]);
    memset(blocks, 0, sizeof blocks);
}

static void collect(enum geomem_generation generation)
{
    stack_clear();
    REQUIRE(geomem_gc(NULL, generation) == 0);
}

int main(void)
{
    explicit_blocks();
    kept = keep_list(LISTS);
    cached = keep_list(50);
    drop_leaves(1000);
    collect(GEOMEM_YOUNG); /* kept and cached are promoted, leaves die */
    cached = NULL;
    drop_leaves(500);
    collect(GEOMEM_YOUNG); /* 500 leaves */
    collect(GEOMEM_OLD);   /* 50 cached ones die, promoted in vain */
    kept = NULL;
    collect(GEOMEM_OLD); /* 100 that were seasoned */
    geomem_free(geomem_gc_alloc(100)); /* freed while young */
    return 0;
}
