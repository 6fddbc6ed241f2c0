/* world_storm.c - stops while threads run, wait, are made and end: all are stopped, none is delayed for long or lost.
 *
 * Each runner counts; while the world is stopped no count may change. Seed: argument 2. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "libgeomem/base/sys.h"
#include "tests/gc/world.h"

enum { RUNNERS = 6 };
static _Atomic uint64_t counts[RUNNERS + 2];
static _Atomic int done;

static void *run(void *arg)
{
    _Atomic uint64_t *count = arg;
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
        if (atomic_load_explicit(count, memory_order_relaxed) % 1024 == 0) {
            void *p = malloc(100);
            *(volatile char *)p = 1;
            free(p);
        }
    }
    return NULL;
}

static void *run_shortly(void *arg)
{
    for (int i = 0; i < 1000; i++)
        atomic_fetch_add_explicit((_Atomic uint64_t *)arg, 1, memory_order_relaxed);
    return NULL;
}

/* Makes threads that make a thread. */
static void *breed(void *arg)
{
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    while (!atomic_load(&done)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_shortly, arg) == 0)
            pthread_join(thread, NULL);
        if (pthread_create(&thread, &detached, run_shortly, arg) != 0)
            usleep(1000);
    }
    return NULL;
}

/* Holds the lock of the table and of the loader and of malloc at times; waits in the kernel at others. */
static void *wait_often(void *arg)
{
    struct timespec little = {.tv_nsec = 50000};
    while (!atomic_load(&done)) {
        nanosleep(&little, NULL);
        atomic_fetch_add_explicit((_Atomic uint64_t *)arg, 1, memory_order_relaxed);
    }
    return NULL;
}

/* Not seen by a sanitizer: a stopped thread may hold the lock that ThreadSanitizer has for each atomic word. */
static GM_UNSANITIZED uint64_t stops_until(uint64_t deadline_ns, uint64_t *ret_worst_ns)
{
    uint64_t stops = 0;
    while (gm_sys_monotonic_ns() < deadline_ns) {
        struct gm_world_stop_figures figures;
        uint64_t before[RUNNERS + 2];
        gm_world_lock();
        int err = gm_world_stop(&figures);
        if (err < 0)
            fprintf(stderr, "stop: %s, thread %d\n", strerror(-err), figures.slowest_tid);
        CHECK(err == 0);
        for (int i = 0; i < RUNNERS + 2; i++)
            before[i] = atomic_load(&counts[i]);
        if (stops % 16 == 0)
            gm_sys_sleep_ns(300000);
        for (int i = 0; i < RUNNERS + 2; i++)
            CHECK(before[i] == atomic_load(&counts[i]));
        gm_world_start();
        gm_world_unlock();
        if (figures.stop_ns > *ret_worst_ns)
            *ret_worst_ns = figures.stop_ns;
        stops++;
        if (stops % 8 == 0)
            gm_sys_sleep_ns(200000);
    }
    return stops;
}

int main(int argc, char **argv)
{
    unsigned ms = argc > 1 ? (unsigned)atoi(argv[1]) : 1500;
    pthread_t threads[RUNNERS + 4];
    uint64_t worst = 0;
    CHECK(gm_world_init() == 0);
    for (int i = 0; i < RUNNERS; i++)
        CHECK(pthread_create(&threads[i], NULL, run, &counts[i]) == 0);
    CHECK(pthread_create(&threads[RUNNERS], NULL, breed, &counts[RUNNERS]) == 0);
    CHECK(pthread_create(&threads[RUNNERS + 1], NULL, breed, &counts[RUNNERS]) == 0);
    CHECK(pthread_create(&threads[RUNNERS + 2], NULL, wait_often, &counts[RUNNERS + 1]) == 0);
    CHECK(pthread_create(&threads[RUNNERS + 3], NULL, wait_often, &counts[RUNNERS + 1]) == 0);
    uint64_t stops = stops_until(gm_sys_monotonic_ns() + ms * 1000000ull, &worst);
    atomic_store(&done, 1);
    for (int i = 0; i < RUNNERS + 4; i++)
        pthread_join(threads[i], NULL);
    printf("%llu stops, the slowest %.3f ms, %llu threads made\n", (unsigned long long)stops,
        worst / 1e6, (unsigned long long)atomic_load(&counts[RUNNERS]) / 1000);
    return 0;
}
