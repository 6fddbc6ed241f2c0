/* thread_ends.c N - N threads, one after the other; for each, libc frees a buffer (of strerror) after the thread's
 * last destructor has run. Prints by how many bytes the address space has grown since the first. */
#include <pthread.h>

#include "target.h"

static void *thread_run(void *unused)
{
    free(target_opaque(malloc(10)));
    REQUIRE(target_opaque(strerror(12345)));
    return unused;
}

static void thread_once(void)
{
    pthread_t id;
    REQUIRE(!pthread_create(&id, NULL, thread_run, NULL) && !pthread_join(id, NULL));
}

static long address_space(void)
{
    long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 100;
    thread_once();
    long before = address_space();
    for (int i = 1; i < threads; i++)
        thread_once();
    printf("%ld\n", address_space() - before);
    return 0;
}
