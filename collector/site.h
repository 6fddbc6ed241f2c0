/* site.h - what is kept of a call site for as long as the recording lasts, and of its changes until
 * the next commit.
 *
 *   struct gm_site      one per site, 64 bytes: what is live, and the two peaks
 *   struct gm_row_site_delta + lifetimes    one per site that changed since the last commit
 *
 * Cumulative figures live in the file alone: the store adds the deltas up.
 *
 * Peaks are exact and cost O(1) per event. A process counts in peak_epoch how often its live bytes
 * rose above all they had been. A site's figures at the last of these moments are its present ones,
 * unless they changed since; so before they change, they are saved once per epoch (peak_seen,
 * peak_*). The same with all processes together (run_peak_*), kept only once there is a second
 * process.
 *
 * Stands within the roll-up.
 */
#ifndef GM_COLLECTOR_SITE_H
#define GM_COLLECTOR_SITE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/batch.h"

struct gm_site {
    uint64_t live_bytes;
    uint64_t birth_sum_us; /* of the live blocks */
    uint64_t peak_seen, peak_bytes;
    uint64_t live_blocks, peak_blocks;
    uint32_t stack_id, process_id;
    uint32_t delta; /* index + 1 into the batch's site_deltas; 0: unchanged since the last commit */
    uint8_t function;
};
static_assert(sizeof(struct gm_site) <= 64, "a hundred thousand sites fit in 6.4 MB");

struct gm_site_run_peak {
    uint64_t seen, bytes, blocks;
};

/* Lifetimes of one site since the last commit, sparse: a chain of these. A bucket has one place in each: those of one
 * site lie close to each other, so that a second node is seldom needed. */
#define GM_LIFE_NODE_KEYS 16u
struct gm_life_node {
    uint32_t next; /* index + 1 */
    uint8_t keys
        [2]
        [GM_LIFE_NODE_KEYS]; /* by unit, and by bucket % GM_LIFE_NODE_KEYS: bucket + 1; 0: free */
    uint32_t blocks[2][GM_LIFE_NODE_KEYS]; /* more go into another node */
};

struct gm_sites {
    struct gm_batch *batch; /* borrowed */
    struct gm_site **chunks;
    struct gm_site_run_peak **run_chunks; /* NULL while there is one process */
    size_t chunk_room;
    uint32_t count;
    GM_ROWS(struct gm_life_node) life;
};

#define GM_SITE_CHUNK 4096u

void gm_sites_init(struct gm_sites *sites);
void gm_sites_done(struct gm_sites *sites);

static inline struct gm_site *gm_site(const struct gm_sites *sites, uint32_t site_id)
{
    return &sites->chunks[(site_id - 1) / GM_SITE_CHUNK][(site_id - 1) % GM_SITE_CHUNK];
}
static inline struct gm_site_run_peak *gm_site_run_peak(
    const struct gm_sites *sites, uint32_t site_id)
{
    return &sites->run_chunks[(site_id - 1) / GM_SITE_CHUNK][(site_id - 1) % GM_SITE_CHUNK];
}

/* A new site and its row. 0 without memory. */
uint32_t gm_sites_add(
    struct gm_sites *sites, uint32_t process_id, uint32_t stack_id, uint8_t function);

/* From now on peaks of all processes together are kept apart from those of each. -ENOMEM. */
int gm_sites_split_peaks(struct gm_sites *sites);

struct gm_row_site_delta *gm_sites_delta_new(struct gm_sites *sites, uint32_t site_id);
/* Where the changes of a site since the last commit go; NULL without memory. Good until the next
 * call. */
static inline struct gm_row_site_delta *gm_sites_delta(struct gm_sites *sites, uint32_t site_id)
{
    const struct gm_site *site = gm_site(sites, site_id);
    return site->delta ? &sites->batch->site_deltas.v[site->delta - 1]
                       : gm_sites_delta_new(sites, site_id);
}

/* Bucket of a lifetime: its length in bits. */
static inline unsigned gm_life_bucket(uint64_t value)
{
    unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;
    return bits < GM_LIFE_BUCKETS ? bits : GM_LIFE_BUCKETS - 1;
}
int gm_sites_count_life_first(
    struct gm_sites *sites, uint32_t *head, unsigned unit, unsigned bucket, uint64_t blocks);
static inline int gm_sites_count_bucket(
    struct gm_sites *sites, uint32_t *head, unsigned unit, unsigned bucket, uint64_t blocks)
{
    if (*head) {
        struct gm_life_node *node = &sites->life.v[*head - 1];
        uint32_t *count = &node->blocks[unit][bucket % GM_LIFE_NODE_KEYS];
        if (node->keys[unit][bucket % GM_LIFE_NODE_KEYS] == bucket + 1 &&
            *count + blocks <= UINT32_MAX) {
            *count += (uint32_t)blocks;
            return 0;
        }
    }
    return gm_sites_count_life_first(sites, head, unit, bucket, blocks);
}
/* Counts blocks that died at one age, in the delta of their site. -ENOMEM. */
static inline int gm_sites_count_life(struct gm_sites *sites, struct gm_row_site_delta *delta,
    uint64_t bytes, uint64_t ns, uint64_t blocks)
{
    int r = gm_sites_count_bucket(sites, &delta->life_first, 0, gm_life_bucket(bytes), blocks);
    return r < 0 ? r
                 : gm_sites_count_bucket(sites, &delta->life_first, 1, gm_life_bucket(ns), blocks);
}

/* Completes the deltas of the batch and forgets them: the next change of a site begins a new one.
 */
int gm_sites_fill(struct gm_sites *sites);

#endif
