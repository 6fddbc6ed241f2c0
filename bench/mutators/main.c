/* main.c WORKLOAD SIZE THREADS MODE - runs one workload on the collector that it was compiled for, and prints
 *
 *   sum S  collections N  collector_ns N
 *   pauses NS NS...               with MUTATOR_PAUSES in the environment
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mutator.h"

#define THREADS_MAX 64

static const struct {
    const char *name;
    mutator_run *run;
} mutators[] = {
    {"gcbench", gcbench_run},
    {"trees", trees_run},
    {"quads", quads_run},
    {"linked", linked_run},
    {"scattered", scattered_run},
    {"queue", queue_run},
    {"splay", splay_run},
    {"strings", strings_run},
};

void gc_out_of_memory(void)
{
    fputs("mutator: the collector has no memory left\n", stderr);
    exit(3);
}

struct share {
    uint64_t (*work)(void *arg, unsigned index);
    void *arg;
    unsigned index;
    uint64_t sum;
};

static void *share_run(void *arg)
{
    struct share *share = arg;
    share->sum = share->work(share->arg, share->index);
    return NULL;
}

uint64_t threads_run(unsigned threads, uint64_t (*work)(void *arg, unsigned index), void *arg)
{
    struct share share[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    uint64_t sum = 0;
    for (unsigned i = 0; i < threads; i++)
        share[i] = (struct share){work, arg, i, 0};
    for (unsigned i = 0; i + 1 < threads; i++)
        if (gc_thread_start(&thread[i], share_run, &share[i]) != 0)
            exit(4);
    share_run(&share[threads - 1]);
    for (unsigned i = 0; i < threads; i++) {
        if (i + 1 < threads)
            gc_thread_join(thread[i]);
        sum += share[i].sum;
    }
    return sum;
}

static void result_print(uint64_t sum)
{
    struct gc_counts counts;
    const uint64_t *pauses_ns;
    size_t count = gc_pauses(&pauses_ns);
    gc_counts(&counts);
    printf("sum %" PRIu64 " collections %" PRIu64 " collector_ns %" PRIu64 "\n", sum,
        counts.collections, counts.collector_cpu_ns);
    if (getenv("MUTATOR_PAUSES"))
        printf("pauses");
    for (size_t i = 0; i < count; i++)
        printf(" %" PRIu64, pauses_ns[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    unsigned size = (unsigned)atoi(argv[2]), threads = (unsigned)atoi(argv[3]);
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    int r = gc_start(argv[4], getenv("MUTATOR_PAUSES") != NULL);
    if (r < 0) {
        fprintf(stderr, "mutator: the collector does not start in mode %s: %s\n", argv[4],
            strerror(-r));
        return 2;
    }
    for (size_t i = 0; i < sizeof mutators / sizeof *mutators; i++) {
        if (strcmp(mutators[i].name, argv[1]) != 0)
            continue;
        uint64_t sum = mutators[i].run(size, threads);
        result_print(sum);
        return sum ? 0 : 1;
    }
    return 2;
}
