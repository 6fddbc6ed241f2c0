/* many_threads.c AT_ONCE TOTAL - TOTAL threads, AT_ONCE of them alive together, each with a name, each keeping
 * one block of 72 B and freeing 10. */
#include <pthread.h>

#include "target.h"

static pthread_barrier_t barrier;

static NOINLINE void thread_work(void)
{
    REQUIRE(target_opaque(malloc(72))); /* LEAK thread */
    for (int i = 0; i < 10; i++)
        free(target_opaque(malloc(30)));
}

static void *thread_run(void *argument)
{
    char name[16];
    snprintf(name, sizeof name, "worker-%d", (int)(uintptr_t)argument);
    pthread_setname_np(pthread_self(), name);
    thread_work();
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(int argc, char **argv)
{
    int at_once = argc > 1 ? atoi(argv[1]) : 200, total = argc > 2 ? atoi(argv[2]) : 200;
    static pthread_t ids[1024];
    REQUIRE(at_once <= 1024 && total % at_once == 0);
    REQUIRE(!pthread_barrier_init(&barrier, NULL, (unsigned)at_once));
    for (int done = 0; done < total; done += at_once) {
        for (int i = 0; i < at_once; i++)
            REQUIRE(!pthread_create(&ids[i], NULL, thread_run, (void *)(uintptr_t)(done + i)));
        for (int i = 0; i < at_once; i++)
            pthread_join(ids[i], NULL);
    }
    return 0;
}
