/* gc_steps.c OPERATIONS THREADS TRACKING SEED - the old generation is marked in steps as small as can be while threads move the
 * only pointers to blocks about: from blocks that are marked to some that are not, and the reverse. Under the verifier.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"
#include "libgeomem/gc/cycle.h"
#include "libgeomem/heap/listener.h"

/* GARBAGE: else full collections would take over, since most of the young live. */
enum {
    TABLES = 200,
    SLOTS = 250,
    EDGES = 3,
    GARBAGE = 4,
    CARRIED = 500,
    PART = 4,
    PART_OPERATIONS = 300
};

struct node {
    struct node *edge[EDGES];
    uint64_t self; /* its address, inverted: it is still what it was */
};
struct table {
    struct node *slot[SLOTS];
};
struct root {
    struct table *table[TABLES];
};

static struct root *root;
static bool uses_barrier;
static _Atomic uint64_t stale;
static uint64_t operations, young_in_steps, in_steps, steps_begun, seed;

static void on_begin(uint64_t heap, uint64_t number, uint32_t kind, uint32_t trigger)
{
    (void)heap, (void)number, (void)trigger;
    if (kind == GEOMEM_GC_MOSTLY_CONCURRENT)
        in_steps = 1, steps_begun++;
    else if (kind == GEOMEM_GC_YOUNG)
        young_in_steps += in_steps;
}
static void on_end(const struct geomem_gc_cycle *cycle)
{
    if (cycle->kind == GEOMEM_GC_MOSTLY_CONCURRENT)
        in_steps = 0;
}
static const struct geomem_listener listener = {
    .version = GEOMEM_LISTENER_VERSION, .gc_begin = on_begin, .gc_end = on_end};

static void store(void *object, struct node **slot, struct node *value)
{
    if (uses_barrier)
        geomem_write(object, slot, value);
    else
        __atomic_store_n(slot, value, __ATOMIC_RELAXED);
}

static struct node *load(struct node **slot)
{
    return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

static uint32_t below(uint64_t *random, uint32_t end)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)(*random >> 32) % end;
}

static struct node *node_checked(struct node *node)
{
    if (node && node->self != ~(uint64_t)(uintptr_t)node)
        stale++;
    return node;
}

static struct node *node_make(void)
{
    struct node *node = geomem_gc_alloc(sizeof *node);
    if (!node)
        abort();
    node->self = ~(uint64_t)(uintptr_t)node;
    return node;
}

/* A new block takes the place of another, which becomes unreachable but for edges to it, and leads nowhere. */
static void slot_replace(struct table *table, uint32_t slot, struct node *friend, uint64_t *random)
{
    struct node *node = node_make(), *before = node_checked(load(&table->slot[slot]));
    store(node, &node->edge[below(random, EDGES)], friend);
    store(table, &table->slot[slot], node);
    for (int i = 0; before && i < EDGES; i++)
        store(before, &before->edge[i], NULL);
}

/* Behind the collector's back: the only pointer goes from one block into another. */
static void node_move(
    struct table *from, uint32_t slot, struct table *to, uint32_t to_slot, uint64_t *random)
{
    struct node *moved = node_checked(load(&from->slot[slot]));
    struct node *holder = node_checked(load(&to->slot[to_slot]));
    uint32_t edge = below(random, EDGES);
    if (!moved || !holder || moved == holder)
        return;
    struct node *freed = load(&holder->edge[edge]);
    store(from, &from->slot[slot], freed ? node_checked(freed) : NULL);
    store(holder, &holder->edge[edge], moved);
}

/* A new block comes in between, and has the only pointer: no marked block that is written to has it. */
static void node_wrap(struct table *table, uint32_t slot)
{
    struct node *wrapped = node_checked(load(&table->slot[slot])), *node = node_make();
    store(node, &node->edge[0], wrapped);
    store(table, &table->slot[slot], node);
}

/* For a while only a register, or the stack, has the pointer. */
static void node_carry(struct table *table, uint32_t slot)
{
    struct node *carried = load(&table->slot[slot]);
    store(table, &table->slot[slot], NULL);
    for (int i = 0; i < CARRIED; i++)
        node_make();
    store(table, &table->slot[slot], node_checked(carried));
}

/* What is written to lies in a part that moves on: else each page would be written to again before it matters. */
static void operation(struct root *own, uint64_t number, uint64_t *random)
{
    uint32_t part = (uint32_t)(number / PART_OPERATIONS);
    struct table *table = own->table[(part + below(random, PART)) % TABLES];
    struct table *other = own->table[(part + below(random, PART)) % TABLES];
    uint32_t slot = below(random, SLOTS), other_slot = below(random, SLOTS);
    for (int i = 0; i < GARBAGE; i++)
        node_make();
    uint32_t kind = below(random, 64);
    if (kind == 0)
        node_carry(table, slot);
    else if (kind < 8)
        node_wrap(table, slot);
    else if (kind < 20)
        node_move(table, slot, other, other_slot, random);
    else
        slot_replace(table, slot, node_checked(load(&other->slot[other_slot])), random);
}

/* A full collection ends the steps, and then looks by itself: what only an explicit block points to is alive, and old. */
static void full_in_steps(struct root *own, uint64_t *random)
{
    while (!in_steps)
        operation(own, below(random, 1u << 30), random);
    geomem_gc(NULL, GEOMEM_OLD);
}

static void *run(void *arg)
{
    struct root *own = arg;
    uint64_t random = seed + (uintptr_t)(own - root) * 7919 + 1;
    for (int i = 0; i < TABLES; i++) {
        own->table[i] = geomem_gc_alloc(sizeof *own->table[i]);
        if (!own->table[i])
            abort();
    }
    for (uint64_t i = 0; i < operations; i++)
        operation(own, i, &random);
    for (int i = 0; i < TABLES; i++)
        for (int k = 0; k < SLOTS; k++)
            node_checked(own->table[i]->slot[k]);
    return NULL;
}

int main(int argc, char **argv)
{
    operations = argc > 1 ? strtoull(argv[1], NULL, 0) : 200000;
    int threads = argc > 2 ? atoi(argv[2]) : 2;
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .young_bytes = 1 << 19};
    options.tracking = argc > 3 ? (enum geomem_write_tracking)atoi(argv[3]) : GEOMEM_TRACK_AUTO;
    seed = argc > 4 ? strtoull(argv[4], NULL, 0) : (uint64_t)time(NULL);
    uses_barrier = options.tracking == GEOMEM_TRACK_BARRIER;
    setenv("GEOMEM_VERIFY", "1", 1);
    printf("gc_steps: seed %" PRIu64 "\n", seed);
    fflush(stdout);
    if (threads < 1 || threads > 8 || geomem_heap_configure(NULL, &options) < 0)
        return 1;
    gm_listener_attach(&listener);
    root = geomem_alloc_root((size_t)threads * sizeof *root);
    pthread_t id[8];
    for (int i = 0; i < threads; i++)
        if (pthread_create(&id[i], NULL, run, &root[i]) != 0)
            abort();
    for (int i = 0; i < threads; i++)
        pthread_join(id[i], NULL);
    full_in_steps(root, &seed);
    printf("gc_steps: %" PRIu64 " collections in steps, %" PRIu64 " young ones meanwhile; %" PRIu64
           " blocks lost, %" PRIu64 " faults found by the verifier\n",
        steps_begun, young_in_steps, stale, gm_gc.verify.faults);
    return stale || gm_gc.verify.faults || steps_begun == 0 || young_in_steps <= steps_begun;
}
