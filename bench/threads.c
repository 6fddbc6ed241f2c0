/* threads.c THREADS PAIRS - THREADS threads each do PAIRS pairs of malloc and free, 20 frames deep, through eight
 * call sites, at full rate. Prints for all together: wall seconds, and nanoseconds of CPU time per pair. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))
#define DEPTH 17
#define KEPT 8

static long pairs;
static int threads;
static pthread_barrier_t start;
static volatile int sink;

static NOINLINE void *site_a(size_t n)
{
    void *p = malloc(n);
    sink++;
    return p;
}
static NOINLINE void *site_b(size_t n)
{
    void *p = malloc(n);
    sink += 2;
    return p;
}
static NOINLINE void *site_c(size_t n)
{
    void *p = site_a(n);
    sink += 3;
    return p;
}
static NOINLINE void *site_d(size_t n)
{
    void *p = site_b(n);
    sink += 4;
    return p;
}

static NOINLINE void work(void)
{
    static void *(*const sites[])(size_t) = {site_a, site_b, site_c, site_d};
    void *kept[KEPT] = {NULL};
    unsigned seed = 1;
    for (long i = 0; i < pairs; i++) {
        seed = seed * 1664525u + 1013904223u;
        free(kept[i % KEPT]);
        kept[i % KEPT] = sites[seed >> 20 & 3](16 + (seed >> 22 & 255));
    }
    for (int i = 0; i < KEPT; i++)
        free(kept[i]);
}

static NOINLINE void descend(int depth)
{
    if (depth)
        descend(depth - 1);
    else
        work();
    sink++;
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *thread_main(void *ret_cpu)
{
    pthread_barrier_wait(&start);
    double before = seconds(CLOCK_THREAD_CPUTIME_ID);
    descend(DEPTH);
    *(double *)ret_cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - before;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[256];
    double cpu[256], total = 0;
    if (argc != 3 || (threads = atoi(argv[1])) < 1 || threads > 256 || (pairs = atol(argv[2])) < 1)
        return 2;
    pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, thread_main, &cpu[i]))
            return 1;
    pthread_barrier_wait(&start);
    double wall = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        total += cpu[i];
    }
    printf("%.6f %.3f\n", seconds(CLOCK_MONOTONIC) - wall, total * 1e9 / ((double)pairs * threads));
    return 0;
}
