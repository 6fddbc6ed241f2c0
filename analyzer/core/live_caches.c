/* live_caches.c - see live_caches.h. */
#include "analyzer/core/live_caches.h"

#include <string.h>

#include "analyzer/core/stacks.h"
#include "analyzer/core/where.h"

static int pin_where(
    struct gm_recording *recording, const struct gm_cache_view *view, char *text, size_t text_bytes)
{
    struct gm_stack stack;
    if (!view->leaked)
        return 0;
    int e = gm_stack_load(recording, view->pins.v[0].stack_id, &stack);
    if (e < 0)
        return e;
    gm_where_text(&stack, text, text_bytes);
    gm_stack_done(&stack);
    return 0;
}

int gm_live_caches_load(struct gm_recording *recording, const struct gm_processes *processes,
    bool past, int64_t at_ns, struct gm_live_caches *caches)
{
    const struct gm_process_set all = {0};
    struct gm_cache_views views;
    int e = gm_cache_views_load(recording, &all, processes, past, 0, at_ns, &views);
    if (e < 0)
        return e;
    gm_live_caches_done(caches);
    caches->views = views;
    for (size_t i = 0; e == 0 && i < views.n && i < GM_LIVE_CACHES_MOST; i++) {
        struct gm_live_cache *c = &caches->v[i];
        e = gm_cache_slices_recent(recording, views.v[i].cache.cache_id, past ? at_ns : INT64_MAX,
            GM_LIVE_CACHE_RECENT, &c->recent);
        if (e == 0)
            e = pin_where(recording, &views.v[i], c->pin_where, sizeof c->pin_where);
    }
    return e;
}

void gm_live_caches_done(struct gm_live_caches *caches)
{
    for (size_t i = 0; i < GM_LIVE_CACHES_MOST; i++)
        gm_cache_slices_done(&caches->v[i].recent);
    gm_cache_views_done(&caches->views);
    memset(caches, 0, sizeof *caches);
}
