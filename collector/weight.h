/* weight.h - what a sampled block stands for.
 *
 * A block of s bytes, sampled at the interval R, was in the sample with the probability p = 1 - exp(-s / R); one of no
 * bytes counts as one byte. It stands for 1/p blocks and s/p bytes: the estimator of Horvitz and Thompson (1952), which
 * jemalloc, tcmalloc and pprof use for heap profiles too. Each sum over sampled blocks is then unbiased, whatever R
 * was at which block, and an unbiased estimate of its variance is the sum of (1 - p) / p^2 * x^2, as blocks are
 * sampled independently of each other.
 *
 * Figures are integers. Bytes are rounded to the nearest, an error below a millionth of what a block stands for;
 * blocks at random, up with the probability of the fraction, so that the mean is 1/p. The random number is a hash of
 * what the live set keeps of the block, so that its free takes off what its allocation put on.
 */
#ifndef GM_COLLECTOR_WEIGHT_H
#define GM_COLLECTOR_WEIGHT_H

#include <stdint.h>

struct gm_weight {
    uint64_t blocks, bytes;
    double blocks_variance, bytes_variance; /* 0 where every event is recorded */
};

struct gm_weight gm_weight_sampled(uint64_t size_bytes, uint32_t interval_log2, uint64_t salt);

/* interval_log2 0: not sampled, the block stands for itself. `salt`: anything that is the block's own. */
static inline struct gm_weight gm_weight_of(
    uint64_t size_bytes, uint32_t interval_log2, uint64_t salt)
{
    if (interval_log2 == 0)
        return (struct gm_weight){.blocks = 1, .bytes = size_bytes};
    return gm_weight_sampled(size_bytes, interval_log2, salt);
}

#endif
