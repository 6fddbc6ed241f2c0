/* heap_stress.c [THREADS [STEPS [SEED]]] - many threads allocate, hand blocks to each other, free what others allocated,
 * end and begin anew, and one of them forks: the heap is whole, and no block is ever had by two.
 *
 * A plain program, so that it runs under ThreadSanitizer. Each block carries its own address and a number in its first
 * words, so that a block that was given out twice is found.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "geomem/geomem.h"

#define MAIL_SLOTS 512
#define OWN_SLOTS 400

static _Atomic(uint64_t *) mail[MAIL_SLOTS]; /* blocks on their way from one thread to another */
static long steps;
static uint64_t seed;

static void die(const char *what)
{
    fprintf(stderr, "heap_stress: %s (seed %llu)\n", what, (unsigned long long)seed);
    abort();
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t *block_make(uint64_t number)
{
    size_t size = 24 + (number >> 10) % (number % 1000 == 0    ? 300000
                                            : number % 20 == 0 ? 5000
                                                               : 200);
    uint64_t *block = number % 4 == 0 ? geomem_gc_alloc_leaf(size) : geomem_alloc(size);
    if (block == NULL)
        die("no memory");
    block[0] = (uintptr_t)block;
    block[1] = ~(uintptr_t)block;
    block[2] = size;
    return block;
}

static void block_drop(uint64_t *block)
{
    if (block == NULL)
        return;
    if (block[0] != (uintptr_t)block || block[1] != ~(uintptr_t)block ||
        geomem_usable_size(block) < block[2])
        die("a block was written to by another owner");
    block[0] = block[1] = 0;
    geomem_free(block);
}

static void *worker_life(void *arg)
{
    uint64_t random = seed ^ ((uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u);
    uint64_t *own[OWN_SLOTS] = {0};
    for (long i = 0; i < steps; i++) {
        uint64_t number = random_next(&random);
        uint64_t **slot = &own[(number >> 30) % OWN_SLOTS];
        block_drop(*slot);
        *slot = block_make(number);
        if (number % 3 == 0)
            /* acq_rel: the block's words travel with it */
            *slot = atomic_exchange_explicit(
                &mail[(number >> 40) % MAIL_SLOTS], *slot, memory_order_acq_rel);
    }
    for (int i = 0; i < OWN_SLOTS; i++)
        block_drop(own[i]);
    return NULL;
}

/* A worker that ends and is begun anew, so that its spans and caches change hands. */
static void *worker_main(void *arg)
{
    uintptr_t number = (uintptr_t)arg;
    for (uintptr_t life = 1; life <= 4; life++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_life, (void *)(number * 16 + life)) != 0)
            die("no thread");
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* In the child, whose only thread was in the middle of nothing, the heap must be usable and whole. */
static void fork_once(void)
{
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        alarm(60);
        for (uint64_t i = 0; i < 2000; i++)
            block_drop(block_make(i * 7919));
        _exit(geomem_heap_check(NULL, 2, stderr) == 0 ? 0 : 1);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        die("a forked child found the heap broken, or hung");
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? atol(argv[1]) : 8;
    steps = argc > 2 ? atol(argv[2]) : 20000;
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 0x5eed5eed5eedu;
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .gc_mode = GEOMEM_GC_OFF};
    if (geomem_heap_configure(NULL, &options) != 0)
        die("configure");
    pthread_t thread[64];
    for (long i = 0; i < threads && i < 64; i++)
        if (pthread_create(&thread[i], NULL, worker_main, (void *)(uintptr_t)(i + 1)) != 0)
            die("no thread");
#if !defined(__SANITIZE_THREAD__) /* which takes no fork of a program with threads */
    for (int i = 0; i < 10; i++)
        fork_once();
#else
    (void)fork_once;
#endif
    for (long i = 0; i < threads && i < 64; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < MAIL_SLOTS; i++)
        block_drop(atomic_load(&mail[i]));
    struct geomem_heap_statistics figures = {.struct_bytes = sizeof figures};
    if (geomem_heap_check(NULL, 3, stderr) != 0 || geomem_heap_statistics(NULL, &figures) != 0)
        die("the heap is not whole");
    if (figures.explicit_blocks + figures.young_blocks + figures.old_blocks != 0)
        die("blocks are left");
    return 0;
}
