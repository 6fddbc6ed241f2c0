/* realloc_race.c THREADS ROUNDS - threads that realloc and malloc each other's sizes, so that an address
 * one of them gives up is taken by another at once. A recorder that stamps a realloc after the old address
 * is free again reports leaks that are not there. Nothing is live at the end but what the threads cost. */
#include <pthread.h>

#include "target.h"

enum { SLOTS = 64 };
static long rounds;

static NOINLINE void race_round(void **slots, unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    unsigned slot = *seed >> 26, bytes = 16 + (*seed >> 10) % 1000;
    if (*seed & 1) {
        void *block = realloc(slots[slot], bytes);
        REQUIRE(block);
        slots[slot] = block;
    } else {
        free(slots[slot]);
        slots[slot] = malloc(bytes);
    }
}

static void *race_run(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    void *slots[SLOTS] = {0};
    for (long i = 0; i < rounds; i++)
        race_round(slots, &seed);
    for (int i = 0; i < SLOTS; i++)
        free(slots[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    rounds = argc > 2 ? atol(argv[2]) : 1000000;
    pthread_t ids[64];
    REQUIRE(threads <= 64);
    for (int i = 0; i < threads; i++)
        REQUIRE(pthread_create(&ids[i], NULL, race_run, (void *)(uintptr_t)(i + 1)) == 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
