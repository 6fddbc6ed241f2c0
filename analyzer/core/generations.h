/* generations.h - how old blocks get: generations and lifetimes.
 *
 * A block's age is the number of bytes its process has allocated since its birth. It is born in
 * generation 0, and is promoted when its age passes run.g_age_bytes[0], [1], [2].
 */
#ifndef GM_ANALYZER_CORE_GENERATIONS_H
#define GM_ANALYZER_CORE_GENERATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"
#include "analyzer/core/timeline.h"

struct gm_generation {
    uint64_t born, died, died_bytes, promoted; /* within the time asked for */
    uint64_t live_blocks;                      /* at its end */
};

/* Sums over processes, for slices that overlap from_ns..to_ns. */
int gm_generations_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t from_ns, int64_t to_ns, struct gm_generation ret_generations[static 4]);

#define GM_LIFETIME_BUCKETS 64

/* Freed blocks by lifetime; bucket b holds 2^(b-1) .. 2^b - 1, bucket 0 the lifetime 0. */
struct gm_lifetimes {
    uint64_t bytes[GM_LIFETIME_BUCKETS]; /* lifetime in bytes allocated meanwhile */
    uint64_t ns[GM_LIFETIME_BUCKETS];
};

/* Sums over the sites whose id passes `wants` (NULL: all), over the whole recording. */
int gm_lifetimes_load(struct gm_recording *recording, bool (*wants)(uint32_t site_id, void *data),
    void *data, struct gm_lifetimes *ret_lifetimes);
/* Of one site. */
int gm_lifetimes_of_site(
    struct gm_recording *recording, uint32_t site_id, struct gm_lifetimes *ret_lifetimes);

/* Lower end of a bucket. */
uint64_t gm_lifetime_from(unsigned bucket);

#endif
