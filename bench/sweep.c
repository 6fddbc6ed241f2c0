/* sweep.c ROUNDS - what it costs a recorded program to tell of its collected blocks: plays a heap of 4,096 blocks that are
 * allocated, half of them found dead by the word, and the rest one call each. With a third argument a second thread
 * has had events before, so that stamps must be exact. Prints CPU nanoseconds: per allocation, per block found dead
 * by the word, per block freed by itself. Compiled and run by bench/sweep. */
#include <geomem/listener.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCKS 4096
#define BLOCK 64

static const struct geomem_listener *listener;
static char *const heap = (char *)0x100000000; /* never touched */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

__attribute__((noinline)) static void block_new(int i)
{
    listener->alloc(heap + i * BLOCK, 48, 1, 0);
}

static void *other(void *arg)
{
    listener->alloc(heap - BLOCK, 48, 1, 0);
    return arg;
}

int main(int argc, char **argv)
{
    double allocated = 0, swept = 0, freed = 0;
    long rounds = argc > 1 ? atol(argv[1]) : 1000;
    pthread_t thread;
    listener = geomem_recorder_listener ? geomem_recorder_listener() : NULL;
    if (!listener)
        return 1;
    if (argc > 2 && pthread_create(&thread, NULL, other, NULL) == 0)
        pthread_join(thread, NULL);
    for (long r = 0; r < rounds; r++) {
        double start = now();
        for (int i = 0; i < BLOCKS; i++)
            block_new(i);
        double full = now();
        for (int i = 0; i < BLOCKS; i += 64) {
            struct geomem_swept s = {.heap = 1,
                .first = heap + i * BLOCK,
                .block_bytes = BLOCK,
                .dead = 0x5555555555555555};
            listener->swept(&s);
        }
        double half = now();
        for (int i = 1; i < BLOCKS; i += 2)
            listener->free(heap + i * BLOCK);
        allocated += full - start;
        swept += half - full;
        freed += now() - half;
    }
    double blocks = (double)rounds * BLOCKS;
    printf("%.2f %.2f %.2f\n", allocated / blocks, swept / blocks * 2, freed / blocks * 2);
    return 0;
}
