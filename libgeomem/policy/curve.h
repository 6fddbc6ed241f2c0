/* curve.h - what a cache would hit at other capacities, from a sample of its uses: its miss-ratio curve.
 *
 *     uses of sampled keys ──▶ 7 simulations: 1/8, 1/4, 1/2, 1, 2, 4, 8 times the capacity ──▶ hit ratio ± error
 *     all uses, counted    ──────────────────────────────────────────────────────────────────────┘
 *
 * Each simulation runs the cache's own policy, in small: keys are sampled by hash, and a simulation takes as many of them as it has
 * some 2,048 entries for, with the same part of its capacity. A sample has too many or too few uses of the hottest keys, which
 * hit at any capacity; so what is taken from it are its misses, and the uses they are a part of are counted outside
 * (SHARDS-adj). The error is twice the standard error of those misses, from how they differ between 16 groups of keys.
 *
 * Memory is bounded, some 2 MB for the adaptive policy and 1 MB for others. One thread.
 */
#ifndef GM_POLICY_CURVE_H
#define GM_POLICY_CURVE_H

#include "libgeomem/policy/policy.h"

#define GM_CURVE_POINTS 7u
/* The point of the capacity itself; those before are half each, those after double. */
#define GM_CURVE_PRESENT 3u

struct gm_curve;

struct gm_curve_config {
    enum gm_policy_kind kind; /* of a cache whose policy is not known: GM_POLICY_LRU */
    enum gm_policy_goal goal;
    uint64_t capacity;  /* of the cache, in the unit of charges; >= 1 */
    uint64_t entry;     /* mean charge of an entry; 0: not known, and the first use's is taken */
    uint64_t threshold; /* which keys are fed: those whose hash is not above it; UINT64_MAX: all */
    uint64_t seed;
};

struct gm_curve_point {
    uint64_t capacity;
    double hit_ratio; /* of uses since the simulation began; 0 .. 1 */
    double
        error; /* the true one is likely, 95 of 100, within this of it; 1 while there is too little to tell */
    uint64_t uses; /* of sampled keys that it rests on */
};

/* 0, -EINVAL or -ENOMEM. Free with gm_curve_free, which takes NULL. */
int gm_curve_create(const struct gm_curve_config *config, struct gm_curve **ret_curve);
void gm_curve_free(struct gm_curve *curve);

/* A use, hit or miss, of a key at or under the threshold: its hash and charge. Others are ignored. */
void gm_curve_use(struct gm_curve *curve, uint64_t hash, uint64_t charge, uint64_t cost);
/* The program took the key out. */
void gm_curve_remove(struct gm_curve *curve, uint64_t hash);
/* So many uses there were, of all keys, sampled or not, since the curve was made. Told before gm_curve_read. */
void gm_curve_total(struct gm_curve *curve, uint64_t uses);
/* Takes half of the keys from now on, when there is no time for more: all simulations begin anew. */
void gm_curve_thin(struct gm_curve *curve);
/* The capacity is another one: all simulations begin anew. */
int gm_curve_resize(struct gm_curve *curve, uint64_t capacity);
/* Points in order of capacity. A capacity below that of one sampled entry has hit ratio 0 and error 1. */
void gm_curve_read(const struct gm_curve *curve, struct gm_curve_point ret_points[GM_CURVE_POINTS]);

#endif
