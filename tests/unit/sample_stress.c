/* Threads hand each other blocks that are in the set of taken blocks, with no more order between them than a program's
 * own hand-over gives: whoever frees a block must find it there. With enough blocks at a time that the set spills. */
#include "libgeomem/event/sample.c"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define BLOCKS 60000u
#define ROUNDS 6

union gm_process_page gm_process_page;
static pthread_barrier_t barrier;
static _Atomic uintptr_t handed[THREADS][BLOCKS];
static _Atomic uint64_t missed;

static uintptr_t block_address(uint64_t thread, uint64_t round, uint64_t i)
{
    return 0x550000000000ull + (thread << 32) + (mix(round * BLOCKS + i) % (1u << 28) & ~15ull);
}

/* Adds its own and at the same time removes its neighbour's of this round. */
static void *run(void *arg)
{
    uint64_t me = (uint64_t)(uintptr_t)arg, other = (me + 1) % THREADS;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t taken = 0, given = 0;
        pthread_barrier_wait(&barrier);
        while (taken < BLOCKS) {
            for (unsigned k = 0; k < 64 && given < BLOCKS; k++, given++) {
                uintptr_t block = block_address(me, round, given);
                gm_sample_set_add((const void *)block); /* NOLINT */
                atomic_store_explicit(&handed[me][given], block, memory_order_release);
            }
            uintptr_t block = atomic_load_explicit(&handed[other][taken], memory_order_acquire);
            if (!block)
                continue;
            const void *p = (const void *)block; /* NOLINT */
            if (atomic_load_explicit(gm_sample_page(p), memory_order_relaxed) == 0 ||
                !gm_sample_set_remove(p))
                atomic_fetch_add(&missed, 1);
            atomic_store_explicit(&handed[other][taken++], 0, memory_order_relaxed);
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, (void *)i); /* NOLINT */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (missed)
        printf("%lu of %u blocks were not found\n", (unsigned long)missed, THREADS * ROUNDS * BLOCKS);
    return missed != 0;
}
