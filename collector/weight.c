/* weight.c - see weight.h. */
#include "collector/weight.h"

#include <math.h>

static uint64_t weight_random(uint64_t salt, uint64_t size_bytes)
{
    uint64_t h = salt ^ size_bytes * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull; /* finalizer of SplitMix64 */
    h = (h ^ h >> 27) * 0x94d049bb133111ebull;
    return h ^ h >> 31;
}

struct gm_weight gm_weight_sampled(uint64_t size_bytes, uint32_t interval_log2, uint64_t salt)
{
    double s = size_bytes ? (double)size_bytes : 1;
    double p = -expm1(-ldexp(s, -(int)interval_log2));
    double blocks = 1 / p, whole = floor(blocks), fraction = blocks - whole;
    double u = (double)(weight_random(salt, size_bytes) >> 11) * 0x1p-53;
    /* The second term is the variance of the rounding. */
    return (struct gm_weight){
        .blocks = (uint64_t)whole + (u < fraction),
        .bytes = size_bytes ? (uint64_t)(s / p + 0.5) : 0,
        .blocks_variance = (1 - p) / (p * p) + fraction * (1 - fraction),
        .bytes_variance = size_bytes ? (1 - p) / (p * p) * s * s : 0,
    };
}
