/* pair.c SHAPE ROUNDS - prints the nanoseconds of CPU time that one malloc+free pair takes, 20 frames deep.
 *
 *   same     always from the same call site
 *   varying  through five different ways of two or three frames above the same 17
 *   tree     in every node of a binary recursion that begins at 12 frames
 *   foreign  as same, but another thread frees, 256 blocks at a time; both threads' time, without their waiting
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

static long rounds, pairs;
static volatile int sink;

static NOINLINE void pair(void)
{
    void *block = malloc(48);
    __asm__ volatile("" : "+r"(block));
    free(block);
    pairs++;
}

static NOINLINE void way_a(void)
{
    pair();
    sink++;
}
static NOINLINE void way_b(void)
{
    pair();
    sink += 2;
}
static NOINLINE void way_c(void)
{
    way_a();
    sink += 3;
}
static NOINLINE void way_d(void)
{
    way_b();
    sink += 4;
}
static NOINLINE void way_e(void)
{
    way_c();
    sink += 5;
}

static NOINLINE void shape_same(void)
{
    for (long i = 0; i < rounds; i++)
        pair();
}

static NOINLINE void shape_varying(void)
{
    static void (*const ways[])(void) = {way_a, way_b, way_c, way_d, way_e};
    unsigned seed = 1;
    for (long i = 0; i < rounds; i++) {
        seed = seed * 1664525u + 1013904223u;
        ways[(seed >> 16) % 5]();
    }
}

static NOINLINE void tree_node(int levels)
{
    pair();
    if (levels) {
        tree_node(levels - 1);
        tree_node(levels - 1);
    }
    sink++;
}

static NOINLINE void shape_tree(void)
{
    while (pairs < rounds)
        tree_node(12);
}

static double cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* ---- foreign ---- */

#define BATCH 256
static void *batch[BATCH];
static pthread_barrier_t filled, emptied;
static double waited_ns, freeing_ns;

static NOINLINE void *take(void)
{
    void *block = malloc(48);
    __asm__ volatile("" : "+r"(block));
    pairs++;
    return block;
}

static void *free_batches(void *unused)
{
    for (long i = 0; i < rounds / BATCH; i++) {
        pthread_barrier_wait(&filled);
        double start = cpu_ns();
        for (int k = 0; k < BATCH; k++)
            free(batch[k]);
        freeing_ns += cpu_ns() - start;
        pthread_barrier_wait(&emptied);
    }
    return unused;
}

static NOINLINE void shape_foreign(void)
{
    for (long i = 0; i < rounds / BATCH; i++) {
        for (int k = 0; k < BATCH; k++)
            batch[k] = take();
        double start = cpu_ns();
        pthread_barrier_wait(&filled);
        pthread_barrier_wait(&emptied);
        waited_ns += cpu_ns() - start;
    }
}

static NOINLINE void descend(int depth, void (*shape)(void))
{
    if (depth)
        descend(depth - 1, shape);
    else
        shape();
    sink++;
}

static const struct {
    const char *name;
    void (*shape)(void);
    int depth; /* of what is above it */
} shapes[] = {{"same", shape_same, 14}, {"varying", shape_varying, 14}, {"tree", shape_tree, 5},
    {"foreign", shape_foreign, 14}};

int main(int argc, char **argv)
{
    unsigned s = 0;
    pthread_t other;
    while (argc == 3 && s < 4 && strcmp(shapes[s].name, argv[1]) != 0)
        s++;
    if (argc != 3 || s == 4)
        return 2;
    rounds = atol(argv[2]);
    int foreign = shapes[s].shape == shape_foreign;
    if (foreign &&
        (pthread_barrier_init(&filled, NULL, 2) || pthread_barrier_init(&emptied, NULL, 2) ||
            pthread_create(&other, NULL, free_batches, NULL)))
        return 1;
    double start = cpu_ns();
    descend(shapes[s].depth, shapes[s].shape);
    double taken = cpu_ns() - start - waited_ns;
    if (foreign)
        pthread_join(other, NULL);
    printf("%.3f\n", (taken + freeing_ns) / (double)pairs);
    return 0;
}
