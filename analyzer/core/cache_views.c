/* cache_views.c - see cache_views.h. */
#include "analyzer/core/cache_views.h"

#include <errno.h>
#include <stdlib.h>

#include "analyzer/core/query.h"

static int no_memory(struct gm_recording *recording)
{
    return gm_recording_fail_text(recording, -ENOMEM, "not enough memory");
}

/* Pins that were open at an earlier moment: those of the end that had been taken by then. */
static void pins_rewind(struct gm_cache_pins *pins, int64_t at_ns)
{
    size_t n = 0;
    for (; n < pins->n && pins->v[n].ns <= at_ns; n++)
        if (pins->v[n].age_ns > at_ns - pins->v[n].ns)
            pins->v[n].age_ns = at_ns - pins->v[n].ns;
    pins->n = n;
}

static int view_load(struct gm_recording *recording, const struct gm_processes *processes,
    int64_t at_ns, struct gm_cache_view *v)
{
    const struct gm_process *p = gm_process_find(processes, v->cache.process_id);
    int e = 0;
    /* A program may have thousands of caches that are hardly used. */
    if (v->cache.samples)
        e = gm_cache_curve_load(recording, v->cache.cache_id, &v->curve);
    if (e == 0 && v->cache.open_pins)
        e = gm_cache_pins_load(recording, v->cache.cache_id, &v->pins);
    if (e < 0)
        return e;
    pins_rewind(&v->pins, at_ns);
    /* Where a record was lost, a pin may seem to be open that is not; the number of open ones is the cache's own. */
    v->leaked = gm_cache_pins_leaked(&v->pins, p && p->end_kind);
    if (v->leaked > v->cache.pinned_entries)
        v->leaked = (size_t)v->cache.pinned_entries;
    gm_cache_advise(&v->cache, &v->curve, v->leaked, &v->advice);
    return 0;
}

int gm_cache_views_load(struct gm_recording *recording, const struct gm_process_set *set,
    const struct gm_processes *processes, bool ranged, int64_t from_ns, int64_t to_ns,
    struct gm_cache_views *ret_views)
{
    struct gm_caches caches;
    struct gm_cache_views views = {0};
    int e = gm_caches_load(recording, set, ranged, from_ns, to_ns, &caches);
    if (e < 0)
        return e;
    views.v = calloc(caches.n + 1, sizeof *views.v);
    if (!views.v) {
        gm_caches_done(&caches);
        return no_memory(recording);
    }
    for (; views.n < caches.n; views.n++)
        views.v[views.n].cache = caches.v[views.n];
    free(caches.v); /* the names have moved */
    for (size_t i = 0; e == 0 && i < views.n; i++)
        e = view_load(recording, processes, ranged ? to_ns : INT64_MAX, &views.v[i]);
    if (e < 0)
        gm_cache_views_done(&views);
    else
        *ret_views = views;
    return e;
}

void gm_cache_views_done(struct gm_cache_views *views)
{
    for (size_t i = 0; i < views->n; i++) {
        free(views->v[i].cache.name);
        gm_cache_curve_done(&views->v[i].curve);
        gm_cache_pins_done(&views->v[i].pins);
    }
    free(views->v);
    *views = (struct gm_cache_views){0};
}

static size_t split_choose(const struct gm_cache_views *views, const struct gm_cache **caches,
    const struct gm_cache_curve **curves)
{
    size_t n = 0;
    for (size_t i = 0; i < views->n; i++) {
        const struct gm_cache_view *v = &views->v[i];
        if (!v->advice.now.capacity_bytes || (n && v->cache.process_id != caches[0]->process_id))
            continue;
        caches[n] = &v->cache;
        curves[n++] = &v->curve;
    }
    return n < 2 ? 0 : n;
}

int gm_cache_split_load(struct gm_recording *recording, const struct gm_cache_views *views,
    struct gm_cache_split *ret_split)
{
    struct gm_cache_split split = {.caches = calloc(views->n + 1, sizeof *split.caches),
        .shares = calloc(views->n + 1, sizeof *split.shares)};
    const struct gm_cache_curve **curves = calloc(views->n + 1, sizeof *curves);
    bool memory = split.caches && split.shares && curves;
    if (memory) {
        split.n = split_choose(views, split.caches, curves);
        split.gained = gm_caches_split(split.caches, curves, split.n, split.shares);
    }
    free(curves);
    if (!memory || split.gained < 0) {
        gm_cache_split_done(&split);
        return no_memory(recording);
    }
    *ret_split = split;
    return 0;
}

void gm_cache_split_done(struct gm_cache_split *split)
{
    free(split->caches);
    free(split->shares);
    *split = (struct gm_cache_split){0};
}
