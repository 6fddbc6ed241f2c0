/* mutator.h - the workloads. Each returns a sum over what it built, the same for every collector; that of one that
 * finds its data changed is 0. `threads` share the work; where a workload has no use for more, it takes one. */
#ifndef MUTATOR_H
#define MUTATOR_H

#include <stdint.h>

#include "adapter.h"

typedef uint64_t mutator_run(unsigned size, unsigned threads);
mutator_run gcbench_run, trees_run, quads_run, linked_run, scattered_run, queue_run, splay_run,
    strings_run;

/* Runs work(arg, i) for i in [0, threads), the last of them on the calling thread; returns the sum. */
uint64_t threads_run(unsigned threads, uint64_t (*work)(void *arg, unsigned index), void *arg);

/* xorshift64* (S. Vigna, 2016) */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

/* A number below `bound`, without a division. */
static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(((random_next(state) >> 32) * bound) >> 32);
}

#endif
