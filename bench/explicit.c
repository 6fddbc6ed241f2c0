/* explicit.c SHAPE THREADS PAIRS - THREADS threads do PAIRS pairs of allocation and free each, of 16 to 256 bytes, all of
 * which is written to. Prints nanoseconds of CPU time per pair. Compiled for malloc, or with -DGEOMEM for libgeomem; with
 * -DCOLLECTED, too, nothing is freed, but collected.
 *
 *   pair     each block is freed at once
 *   window   of 4096 blocks a random one is freed and allocated anew
 *   live     the same of 400,000
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef GEOMEM
#include "geomem/geomem.h"
#ifdef COLLECTED
#define block_new geomem_gc_alloc
#define block_free(block) ((void)(block))
#else
#define block_new geomem_alloc
#define block_free geomem_free
#endif
#else
#define block_new malloc
#define block_free free
#endif

#define THREADS_MAX 64

static long pairs;
static uint32_t slots; /* 0: no window */
static pthread_barrier_t start;

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *block_make(uint64_t random)
{
    size_t size = 16 + (random >> 8 & 240);
    char *block = block_new(size);
    if (!block)
        exit(3);
    block[0] = block[size - 1] = 1;
    __asm__ volatile("" : "+r"(block));
    return block;
}

static void pairs_run(uint64_t random)
{
    for (long i = 0; i < pairs; i++)
        block_free(block_make(random_next(&random)));
}

static void window_run(void **block, uint64_t random)
{
    for (uint32_t i = 0; i < slots; i++)
        block[i] = block_make(random_next(&random));
    for (long i = 0; i < pairs; i++) {
        uint64_t number = random_next(&random);
        void **slot = &block[(number >> 32) * slots >> 32];
        block_free(*slot);
        *slot = block_make(number);
    }
    for (uint32_t i = 0; i < slots; i++)
        block_free(block[i]);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *thread_main(void *ret_cpu)
{
    void **block = calloc(slots + 1, sizeof *block);
    if (!block)
        exit(3);
    pthread_barrier_wait(&start);
    double before = seconds();
    if (slots)
        window_run(block, (uintptr_t)ret_cpu | 1);
    else
        pairs_run((uintptr_t)ret_cpu | 1);
    *(double *)ret_cpu = seconds() - before;
    free(block);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS_MAX];
    double cpu[THREADS_MAX], total = 0;
    int threads = argc == 4 ? atoi(argv[2]) : 0;
    if (threads < 1 || threads > THREADS_MAX || (pairs = atol(argv[3])) < 1)
        return 2;
    slots = !strcmp(argv[1], "live") ? 400000 : !strcmp(argv[1], "window") ? 4096 : 0;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, thread_main, &cpu[i]))
            return 1;
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        total += cpu[i];
    }
    printf("%.3f\n", total * 1e9 / ((double)pairs * threads));
    return 0;
}
