/* pause.c - the collections that were, and how long each stopped the program.
 *
 * Written by the collector's thread alone (one collection ends at a time), read when profiling has ended.
 * Pauses go into a histogram of 16 buckets for each doubling, so that a percentile is off by 6 % at most, and
 * into the ten of the report, whose bounds people think in.
 */
#include <string.h>

#include "libgeomem/profile/profile.h"

#define SUB_LOG2 4u
#define SUB_BUCKETS (1u << SUB_LOG2)

static struct gm_profile_pauses pauses_now;

static uint32_t bucket_of(uint64_t ns)
{
    if (ns < SUB_BUCKETS)
        return (uint32_t)ns;
    uint32_t log2 = 63u - (uint32_t)__builtin_clzll(ns);
    return (log2 - SUB_LOG2 + 1) * SUB_BUCKETS + (uint32_t)(ns >> (log2 - SUB_LOG2)) % SUB_BUCKETS;
}

static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket;
    uint32_t shift = bucket / SUB_BUCKETS - 1;
    return ((uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS + 1) << shift) - 1;
}

void gm_profile_pauses_add_stop(uint64_t ns)
{
    struct gm_profile_pauses *p = &pauses_now;
    static const uint64_t ends_us[GEOMEM_PAUSE_BUCKETS - 1] = {
        100, 200, 500, 1000, 2000, 5000, 10000, 50000, 200000};
    uint32_t coarse = 0;
    while (coarse < GEOMEM_PAUSE_BUCKETS - 1 && ns >= ends_us[coarse] * 1000)
        coarse++;
    p->pauses.histogram[coarse]++;
    p->bucket[bucket_of(ns)]++;
    p->pauses.count++;
    p->pauses.total_ns += ns;
    if (ns > p->pauses.max_ns)
        p->pauses.max_ns = ns;
}

void gm_profile_pauses_reset(void)
{
    memset(&pauses_now, 0, sizeof pauses_now);
}

void gm_profile_pauses_add(const struct geomem_gc_cycle *cycle)
{
    struct gm_profile_pauses *p = &pauses_now;
    if (cycle->kind == GEOMEM_GC_YOUNG)
        p->collections.young++;
    else
        p->collections.full++;
    p->collections.by_trigger[cycle->trigger < 6 ? cycle->trigger : 0]++;
    p->collections.cpu_ns += cycle->cpu_ns;
    p->collections.collected_blocks += cycle->swept_blocks;
    p->collections.collected_bytes += cycle->swept_bytes;
    if (cycle->footprint_bytes > p->footprint_peak_bytes)
        p->footprint_peak_bytes = cycle->footprint_bytes;
}

static uint64_t percentile(const struct gm_profile_pauses *p, uint64_t percent)
{
    uint64_t wanted = (p->pauses.count * percent + 99) / 100, seen = 0;
    for (uint32_t bucket = 0; wanted && bucket < sizeof p->bucket / sizeof *p->bucket; bucket++) {
        seen += p->bucket[bucket];
        if (seen >= wanted)
            return bucket_end(bucket) < p->pauses.max_ns ? bucket_end(bucket) : p->pauses.max_ns;
    }
    return 0;
}

void gm_profile_pauses_read(struct gm_profile_pauses *ret_pauses)
{
    *ret_pauses = pauses_now;
    ret_pauses->pauses.p50_ns = percentile(ret_pauses, 50);
    ret_pauses->pauses.p99_ns = percentile(ret_pauses, 99);
}
