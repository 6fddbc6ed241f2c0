/* A random mutator against a precise model: what the model can reach must be there, unchanged, after any number of
 * collections of any kind. Each thread has a graph of its own. The model's pointers stand in malloc's memory, which is no
 * root; those of the program's are in a table given to gm_roots_add.
 *
 * Blocks that the program frees are pointed to by roots alone. Else garbage that looks reachable, because of some word on a
 * stack, could still point to the address of one, and nobody would have told the collector when a new block came to
 * lie there: harmless to the program, but the verifier could not tell it from a write that was missed.
 *
 * gc_random [STEPS [THREADS [TRACKING [SEED]]]], TRACKING as enum geomem_write_tracking. The verifier looks at each collection.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "geomem/geomem.h"
#include "libgeomem/gc/cycle.h"

enum { NODES = 2000, LINKS = 4, ROOTS = 64 };

/* A block as the program sees it. Leaf blocks end behind `seal`. */
struct node {
    uint64_t id;
    uint64_t seal; /* ~id */
    struct node *link[LINKS];
};

/* What the model knows of a block. */
struct known {
    struct node *node; /* NULL: no such block */
    uint64_t id;
    int link[LINKS]; /* index, or -1 */
    int is_leaf;
    int is_private; /* no block points to it */
    int is_reachable;
};

struct graph {
    uint64_t random;
    uint64_t next_id;
    struct known *known; /* NODES */
    struct node **roots; /* ROOTS, the program's */
    int root[ROOTS];     /* the model's */
    int *stack;          /* NODES */
    unsigned steps;
    int errors;
};

static int uses_barrier;

static uint32_t graph_random(struct graph *graph, uint32_t below)
{
    graph->random = graph->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((graph->random >> 33) % below);
}

static void store(void *block, struct node **slot, struct node *value)
{
    if (uses_barrier)
        geomem_write(block, slot, value);
    else
        *slot = value;
}

/* ---- the model ---- */

static void graph_push(struct graph *graph, int *top, int index)
{
    if (index < 0 || graph->known[index].is_reachable)
        return;
    graph->known[index].is_reachable = 1;
    graph->stack[(*top)++] = index;
}

/* Forgets what cannot be reached any more: the collector may have taken it. */
static void graph_trace(struct graph *graph)
{
    int top = 0;
    for (int i = 0; i < NODES; i++)
        graph->known[i].is_reachable = 0;
    for (int i = 0; i < ROOTS; i++)
        graph_push(graph, &top, graph->root[i]);
    while (top > 0) {
        const struct known *known = &graph->known[graph->stack[--top]];
        for (int i = 0; i < LINKS; i++)
            graph_push(graph, &top, known->link[i]);
    }
    for (int i = 0; i < NODES; i++)
        if (!graph->known[i].is_reachable)
            graph->known[i].node = NULL;
}

static void graph_check(struct graph *graph)
{
    for (int i = 0; i < NODES; i++) {
        const struct known *known = &graph->known[i];
        if (!known->node)
            continue;
        int wrong = known->node->id != known->id || known->node->seal != ~known->id;
        for (int l = 0; l < LINKS && !known->is_leaf; l++)
            wrong |= known->node->link[l] !=
                     (known->link[l] < 0 ? NULL : graph->known[known->link[l]].node);
        if (wrong) {
            fprintf(stderr, "block %p, id %lu, is not as it was left\n", (void *)known->node,
                known->id);
            graph->errors++;
        }
    }
}

/* A random block that can be reached, or -1. */
static int graph_pick(struct graph *graph)
{
    int index = graph->root[graph_random(graph, ROOTS)];
    for (uint32_t hops = graph_random(graph, 20); index >= 0 && hops > 0; hops--) {
        int next = graph->known[index].link[graph_random(graph, LINKS)];
        if (next < 0)
            break;
        index = next;
    }
    return index;
}

/* One that a block may point to. */
static int graph_pick_target(struct graph *graph)
{
    int index = graph_pick(graph);
    return index >= 0 && graph->known[index].is_private ? -1 : index;
}

/* ---- what the program does ---- */

static struct node *node_allocate(struct graph *graph, int *ret_is_leaf)
{
    static const uint64_t map[1] = {0x3c};
    static const struct geomem_layout layout = {
        .struct_bytes = sizeof layout, .element_bytes = sizeof(struct node), .pointers = map};
    size_t bytes = sizeof(struct node);
    *ret_is_leaf = 0;
    switch (graph_random(graph, 16)) {
    case 0:
        *ret_is_leaf = 1;
        return geomem_gc_alloc_leaf(16 + graph_random(graph, 3000));
    case 1:
        return geomem_gc_alloc_typed(bytes, &layout);
    case 2:
        return geomem_gc_alloc_old(bytes, 0);
    case 3:
        return geomem_gc_alloc(bytes + graph_random(graph, 5000));
    case 4:
        if (graph_random(graph, 20) == 0)
            return geomem_gc_alloc(bytes + graph_random(graph, 300000));
        /* fall through */
    default:
        return geomem_gc_alloc(bytes);
    }
}

static void graph_allocate(struct graph *graph)
{
    int index = 0;
    for (int tries = 0; graph->known[index = (int)graph_random(graph, NODES)].node; tries++) {
        if (tries > 20)
            graph_trace(graph);
        if (tries > 40)
            return;
    }
    struct known *known = &graph->known[index];
    struct node *node = node_allocate(graph, &known->is_leaf);
    if (!node)
        abort();
    known->id = node->id = graph->next_id++;
    node->seal = ~node->id;
    known->is_private = graph_random(graph, 8) == 0;
    int parent = known->is_private ? -1 : graph_pick(graph);
    for (int i = 0; i < LINKS; i++) {
        known->link[i] = known->is_leaf || i > 1 ? -1 : graph_pick_target(graph);
        if (known->link[i] >= 0)
            store(node, &node->link[i], graph->known[known->link[i]].node);
    }
    known->node = node;
    if (parent >= 0 && !graph->known[parent].is_leaf && graph_random(graph, 4) != 0) {
        uint32_t link = graph_random(graph, LINKS);
        graph->known[parent].link[link] = index;
        store(graph->known[parent].node, &graph->known[parent].node->link[link], node);
    } else {
        uint32_t root = graph_random(graph, ROOTS);
        graph->root[root] = index;
        graph->roots[root] = node;
    }
}

static void graph_relink(struct graph *graph)
{
    int from = graph_pick(graph), to = graph_random(graph, 3) ? graph_pick_target(graph) : -1;
    if (from < 0 || graph->known[from].is_leaf)
        return;
    uint32_t link = graph_random(graph, LINKS);
    graph->known[from].link[link] = to;
    store(graph->known[from].node, &graph->known[from].node->link[link],
        to < 0 ? NULL : graph->known[to].node);
}

/* All pointers to it go first, but for one on the stack: a collection would take it. */
static void graph_free(struct graph *graph)
{
    int victim = graph->root[graph_random(graph, ROOTS)];
    if (victim < 0 || !graph->known[victim].is_private)
        return;
    struct node *volatile node = graph->known[victim].node;
    for (int i = 0; i < ROOTS; i++)
        if (graph->root[i] == victim)
            graph->root[i] = -1, graph->roots[i] = NULL;
    geomem_free(node);
    graph->known[victim].node = NULL;
    for (int l = 0; l < LINKS; l++)
        graph->known[victim].link[l] = -1;
}

static void graph_step(struct graph *graph)
{
    uint32_t what = graph_random(graph, 1000);
    if (what < 600) {
        graph_allocate(graph);
    } else if (what < 920) {
        graph_relink(graph);
    } else if (what < 940) {
        uint32_t root = graph_random(graph, ROOTS);
        graph->root[root] = graph_pick(graph);
        graph->roots[root] = graph->root[root] < 0 ? NULL : graph->known[graph->root[root]].node;
    } else if (what < 994) {
        graph_free(graph);
    } else if (what < 998) {
        geomem_gc(NULL, GEOMEM_YOUNG);
    } else if (what < 999) {
        geomem_gc(NULL, GEOMEM_OLD);
    } else {
        graph_trace(graph);
        graph_check(graph);
    }
}

static void *graph_run(void *arg)
{
    struct graph *graph = arg;
    for (unsigned i = 0; i < graph->steps && !graph->errors; i++)
        graph_step(graph);
    graph_trace(graph);
    graph_check(graph);
    return NULL;
}

static void graph_init(struct graph *graph, uint64_t seed, unsigned steps)
{
    *graph = (struct graph){.random = seed * 2654435761u, .next_id = 1, .steps = steps};
    graph->known = calloc(NODES, sizeof *graph->known);
    graph->stack = calloc(NODES, sizeof *graph->stack);
    graph->roots = calloc(ROOTS, sizeof *graph->roots);
    if (!graph->known || !graph->stack || !graph->roots ||
        gm_roots_add(graph->roots, ROOTS * sizeof *graph->roots) < 0)
        abort();
    memset(graph->root, -1, sizeof graph->root);
    for (int i = 0; i < NODES; i++)
        memset(graph->known[i].link, -1, sizeof graph->known[i].link);
}

static void graph_done(struct graph *graph)
{
    gm_roots_remove(graph->roots, ROOTS * sizeof *graph->roots);
    free(graph->known);
    free(graph->stack);
    free(graph->roots);
}

int main(int argc, char **argv)
{
    unsigned steps = argc > 1 ? (unsigned)atoi(argv[1]) : 20000;
    int threads = argc > 2 ? atoi(argv[2]) : 4;
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .young_bytes = 1 << 20};
    options.tracking = argc > 3 ? (enum geomem_write_tracking)atoi(argv[3]) : GEOMEM_TRACK_AUTO;
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : (uint64_t)time(NULL);
    uses_barrier = options.tracking == GEOMEM_TRACK_BARRIER;
    setenv("GEOMEM_VERIFY", "1", 1);
    printf("gc_random: seed %lu\n", seed);
    if (geomem_heap_configure(NULL, &options) < 0)
        return 1;
    struct graph *graphs = calloc((size_t)threads, sizeof *graphs);
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    int errors = 0;
    for (int i = 0; i < threads; i++)
        graph_init(&graphs[i], seed + (uint64_t)i, steps);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, graph_run, &graphs[i]) != 0)
            abort();
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        errors += graphs[i].errors;
        graph_done(&graphs[i]);
    }
    printf("gc_random: %lu young and %lu full collections, %lu faults found by the verifier\n",
        gm_gc.totals.young_collections, gm_gc.totals.full_collections, gm_gc.verify.faults);
    if (gm_gc.totals.young_collections == 0 || gm_gc.totals.full_collections == 0)
        errors++;
    free(graphs);
    free(ids);
    return errors || gm_gc.verify.faults;
}
