/* idle_threads.c READY THREADS - each thread keeps ten blocks of 100 B, reallocates one of them to 200 B and frees three
 * more of 50 B that it had; then all sleep. The file READY appears when they do. Ends by a signal only. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "target.h"

static pthread_barrier_t asleep;

static NOINLINE void *idle_keep(void)
{
    return malloc(100); /* LEAK kept */
}

static NOINLINE void *idle_scratch(void)
{
    return malloc(50);
}

static NOINLINE void *idle_grow(void *block)
{
    return realloc(block, 200); /* LEAK grown */
}

static void *idle_run(void *argument)
{
    void *scratch[3], *kept[10];
    for (int i = 0; i < 3; i++)
        scratch[i] = target_opaque(idle_scratch());
    for (int i = 0; i < 10; i++)
        kept[i] = target_opaque(idle_keep());
    REQUIRE(target_opaque(idle_grow(kept[4])));
    for (int i = 0; i < 3; i++)
        free(scratch[i]);
    pthread_barrier_wait(&asleep);
    for (;;)
        pause();
    return argument;
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 3);
    unsigned threads = (unsigned)atoi(argv[2]);
    pthread_t id;
    REQUIRE(pthread_barrier_init(&asleep, NULL, threads + 1) == 0);
    for (unsigned i = 0; i < threads; i++)
        REQUIRE(pthread_create(&id, NULL, idle_run, NULL) == 0);
    pthread_barrier_wait(&asleep);
    REQUIRE(open(argv[1], O_CREAT | O_WRONLY, 0600) >= 0);
    for (;;)
        pause();
}
