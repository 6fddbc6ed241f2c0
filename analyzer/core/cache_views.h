/* cache_views.h - the caches of a recording with what is to be said of each: report and top show the same. */
#ifndef GM_ANALYZER_CORE_CACHE_VIEWS_H
#define GM_ANALYZER_CORE_CACHE_VIEWS_H

#include "analyzer/core/cache_advice.h"
#include "analyzer/core/caches.h"
#include "analyzer/core/run.h"

struct gm_cache_view {
    struct gm_cache cache;
    struct gm_cache_curve curve;
    struct gm_cache_pins pins;
    size_t leaked; /* the first so many of the pins */
    struct gm_cache_advice advice;
};
struct gm_cache_views {
    struct gm_cache_view *v; /* most uses first */
    size_t n;
};
/* As gm_caches_load; curves are those of the whole recording, pins those of them that were open at to_ns. */
int gm_cache_views_load(struct gm_recording *recording, const struct gm_process_set *set,
    const struct gm_processes *processes, bool ranged, int64_t from_ns, int64_t to_ns,
    struct gm_cache_views *ret_views);
void gm_cache_views_done(struct gm_cache_views *views);

/* The best split between the caches of one process, which is the one whose caches are used most: at least two that have a
 * curve, or none. */
struct gm_cache_split {
    const struct gm_cache **caches;
    struct gm_cache_share *shares;
    size_t n;
    double gained; /* hits */
};
int gm_cache_split_load(struct gm_recording *recording, const struct gm_cache_views *views,
    struct gm_cache_split *ret_split);
void gm_cache_split_done(struct gm_cache_split *split);

#endif
