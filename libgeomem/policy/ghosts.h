/* ghosts.h - which keys were evicted lately (S3-FIFO's ghost queue), as 16 bits of their hash and of the time, 4 bytes a key.
 *
 *     hash ──▶ a set of 8 ghosts; the oldest of a full set gives way
 *
 * Time is counted in evictions, in steps of 1/1024 of a ghost's life. Under the shard's lock.
 */
#ifndef GM_POLICY_GHOSTS_H
#define GM_POLICY_GHOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gm_ghost {
    uint16_t print; /* 0: none */
    uint16_t when;
};

struct gm_ghosts {
    struct gm_ghost *ghosts;
    uint32_t sets; /* in use; like a sketch's lines, they double */
    uint32_t sets_most;
    uint32_t life; /* in evictions */
    uint32_t part; /* evictions in this step of time */
    uint16_t now;  /* in steps */
    size_t bytes;
};

/* For up to `entries` entries of the cache, and as many ghosts. 0 or -ENOMEM. */
int gm_ghosts_init(struct gm_ghosts *ghosts, uint32_t entries);
void gm_ghosts_done(struct gm_ghosts *ghosts);
void gm_ghosts_clear(struct gm_ghosts *ghosts);
/* So many entries are in the cache now: a ghost lives as many evictions. */
void gm_ghosts_grow(struct gm_ghosts *ghosts, uint32_t entries);

void gm_ghosts_put(struct gm_ghosts *ghosts, uint64_t hash);
/* Whether the key was evicted lately; it is forgotten. */
bool gm_ghosts_take(struct gm_ghosts *ghosts, uint64_t hash);

#endif
