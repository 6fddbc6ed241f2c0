/* stop.c THREADS STATE STOPS: how long it takes to stop THREADS threads that are in STATE, and to let them go.
 *
 *   running   compute without a system call
 *   asleep    wait in clock_nanosleep, called so that no safe region is around it
 *   region    wait in a safe region
 *   pages     write to memory of their own
 * One line for each stop: nanoseconds until all had stopped, nanoseconds until all had been searched for roots. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/world.h"

static const char *state;
static _Atomic int done, ready;

static void *thread(void *arg)
{
    static const struct timespec long_time = {.tv_sec = 1};
    volatile uint64_t sum = (uintptr_t)arg;
    char *pages = malloc(1 << 20);
    atomic_fetch_add(&ready, 1);
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        if (state[0] == 'a')
            gm_sys2(SYS_nanosleep, &long_time, 0);
        else if (state[0] == 'p')
            memset(pages, (int)sum, 1 << 20);
        sum = sum * 3 + 1;
        if (state[0] != 'r' || state[1] != 'e')
            continue;
        gm_world_region_enter();
        gm_sys2(SYS_nanosleep, &long_time, 0);
        gm_world_region_leave();
    }
    free(pages);
    return NULL;
}

static void count(const void *start, size_t bytes, void *arg)
{
    (void)start;
    *(size_t *)arg += bytes;
}

int main(int argc, char **argv)
{
    int threads = argc > 3 ? atoi(argv[1]) : 8, stops = argc > 3 ? atoi(argv[3]) : 1000;
    pthread_t t;
    size_t bytes = 0;
    state = argc > 3 ? argv[2] : "running";
    if (gm_world_init() < 0)
        return 1;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&t, NULL, thread, NULL) != 0)
            return 1;
    while (atomic_load(&ready) < threads)
        gm_sys_sleep_ns(100000);
    gm_sys_sleep_ns(10000000);
    for (int i = 0; i < stops; i++) {
        struct gm_world_stop_figures figures;
        gm_world_lock();
        if (gm_world_stop(&figures) < 0)
            return 1;
        uint64_t stopped = gm_sys_monotonic_ns();
        gm_roots_visit(GM_ROOTS_ALL, count, &bytes);
        uint64_t visited = gm_sys_monotonic_ns();
        gm_world_start();
        gm_world_unlock();
        printf("%llu %llu\n", (unsigned long long)figures.stop_ns,
            (unsigned long long)(visited - stopped));
        gm_sys_sleep_ns(500000);
    }
    atomic_store(&done, 1);
    return 0;
}
