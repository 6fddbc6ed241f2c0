/* notes.c - what bench/notes runs: the costs of finalizers, weak references and ephemerons, a line for each: name, value. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "geomem/geomem.h"

enum { COUNT = 200000 };
struct node {
    struct node *next;
    uintptr_t number;
};
static struct node **nodes; /* explicit blocks that are roots */
static struct geomem_weak **weaks;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void finalize(void *block, void *data)
{
    (void)block, (void)data;
}

static void nobody_is_told(void) {}

static double collect_ms(enum geomem_generation generation)
{
    double start = now();
    geomem_gc(NULL, generation);
    return (now() - start) / 1e6;
}

static void *make_nodes(void *arg)
{
    for (int i = 0; i < COUNT; i++)
        nodes[i] = geomem_gc_alloc(sizeof **nodes);
    return arg;
}

static void *make_finalizers(void *arg)
{
    double start = now();
    for (int i = 0; i < COUNT; i++)
        geomem_finalizer_set(nodes[i], finalize, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL);
    printf("geomem_finalizer_set: ns\t%.1f\n", (now() - start) / COUNT);
    return arg;
}

static void *make_weaks(void *arg)
{
    double start = now();
    for (int i = 0; i < COUNT; i++)
        geomem_weak_create(nodes[i], 0, &weaks[i]);
    printf("geomem_weak_create: ns\t%.1f\n", (now() - start) / COUNT);
    start = now();
    uintptr_t seen = 0;
    for (int i = 0; i < COUNT; i++)
        seen += geomem_weak_get(weaks[i]) != NULL;
    printf("geomem_weak_get: ns\t%.2f\n", (now() - start) / (double)seen);
    return arg;
}

static void *make_ephemerons(void *arg)
{
    double start = now();
    for (int i = COUNT - 2; i >= 0; i--)
        geomem_ephemeron_create(nodes[i], nodes[i + 1], &weaks[i]);
    printf("geomem_ephemeron_create: ns\t%.1f\n", (now() - start) / COUNT);
    for (int i = 1; i < COUNT; i++)
        nodes[i] = NULL;
    return arg;
}

static void run(void *(*function)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, NULL) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

static void drop(void)
{
    for (int i = 0; i < COUNT; i++)
        nodes[i] = NULL, weaks[i] = NULL;
    collect_ms(GEOMEM_OLD);
    geomem_finalizers_run();
    collect_ms(GEOMEM_OLD);
}

/* Collections of the same blocks, without notes and with them. */
static void measure(const char *what, void *(*make)(void *))
{
    run(make_nodes);
    collect_ms(GEOMEM_YOUNG);
    collect_ms(GEOMEM_OLD);
    double plain = collect_ms(GEOMEM_OLD);
    drop();
    run(make_nodes);
    run(make);
    printf(
        "%s of 200,000 young blocks, young collection: ms\t%.3f\n", what, collect_ms(GEOMEM_YOUNG));
    collect_ms(GEOMEM_YOUNG);
    printf(
        "%s of 200,000 old blocks, young collection: ms\t%.3f\n", what, collect_ms(GEOMEM_YOUNG));
    printf("%s of 200,000 old blocks, full collection: ms\t%.3f\n", what, collect_ms(GEOMEM_OLD));
    printf("%s: the same full collection without: ms\t%.3f\n", what, plain);
    for (int i = 0; i < COUNT; i++)
        nodes[i] = NULL;
    printf("%s of 200,000 dead blocks, full collection: ms\t%.3f\n", what, collect_ms(GEOMEM_OLD));
    double start = now();
    size_t count = geomem_finalizers_run();
    if (count > 0)
        printf("%s: calling one: ns\t%.1f\n", what, (now() - start) / (double)count);
    drop();
}

int main(void)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .gc_mode = GEOMEM_GC_OFF};
    if (geomem_heap_configure(NULL, &options) != 0)
        return 1;
    geomem_finalizers_notify(nobody_is_told);
    nodes = geomem_alloc_root(COUNT * sizeof *nodes);
    weaks = geomem_alloc_root(COUNT * sizeof *weaks);
    measure("finalizers", make_finalizers);
    measure("weak references", make_weaks);
    measure("a chain of ephemerons", make_ephemerons);
    return 0;
}
