/* cache_rows.c - what is told of caches to the store: the part of caches.h that events do not touch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/caches.h"
#include "collector/rollup.h"

/* Sums of what a hostile target says may be larger than any integer. */
static uint64_t rounded(double value)
{
    return value < 0 ? 0 : value < 0x1p62 ? (uint64_t)(value + 0.5) : 1ull << 62;
}

/* ---- pins ---- */

static bool pin_is_told(const struct gm_cache_pin *pin, int64_t end_ns, bool last)
{
    return last || end_ns - pin->ns >= GM_CACHE_PIN_OLD_NS;
}

static int pins_fill(struct gm_batch *b, const struct gm_cache *cache, int64_t end_ns, bool last)
{
    const struct gm_cache_keys *k = &cache->keys;
    uint32_t told = 0;
    for (uint32_t id = k->oldest_pin; id && told < GM_CACHE_PINS_TOLD;) {
        const struct gm_cache_pin *pin = gm_cache_pin_at(k, id);
        if (!pin_is_told(pin, end_ns, last))
            break; /* nor are those after it */
        struct gm_row_cache_pin *row = gm_rows_add(&b->cache_pins);
        if (!row)
            return -ENOMEM;
        *row = (struct gm_row_cache_pin){.cache_id = cache->row.cache_id,
            .pin = ++told,
            .stack_id = cache->sites.uses.v[pin->site].id,
            .key = pin->key,
            .bytes = pin->bytes,
            .ns = pin->ns};
        id = pin->newer;
    }
    return 0;
}

/* What is open now at each site, in the order of sites; marks those where that is not what was told last. */
struct open_pins {
    uint64_t pins, bytes;
    int64_t oldest_ns;
};

static int sites_count_pins(struct gm_cache *cache)
{
    const struct gm_cache_keys *k = &cache->keys;
    struct open_pins *open = calloc(cache->sites.uses.n, sizeof *open);
    if (!open)
        return -ENOMEM;
    for (uint32_t id = k->oldest_pin; id; id = gm_cache_pin_at(k, id)->newer) {
        const struct gm_cache_pin *pin = gm_cache_pin_at(k, id);
        struct open_pins *o = &open[pin->site];
        if (o->pins++ == 0)
            o->oldest_ns = pin->ns;
        o->bytes += pin->bytes;
    }
    for (size_t i = 0; i < cache->sites.uses.n; i++) {
        struct gm_cache_uses *u = &cache->sites.uses.v[i];
        int64_t oldest_ns = open[i].pins ? open[i].oldest_ns : -1;
        u->changed |= u->open_pins != open[i].pins || u->open_pin_bytes != open[i].bytes ||
                      u->oldest_pin_ns != oldest_ns;
        u->open_pins = open[i].pins;
        u->open_pin_bytes = open[i].bytes;
        u->oldest_pin_ns = oldest_ns;
    }
    free(open);
    return 0;
}

/* ---- sites and classes ---- */

static int uses_fill(
    struct gm_batch *b, const struct gm_cache *cache, struct gm_cache_uses *u, bool is_class)
{
    struct gm_row_cache_uses *row = gm_rows_add(&b->cache_uses);
    if (!row)
        return -ENOMEM;
    *row = (struct gm_row_cache_uses){.cache_id = cache->row.cache_id,
        .id = u->id,
        .is_class = is_class,
        .name = u->name ? strdup(u->name) : NULL,
        .samples = u->samples,
        .hits = rounded(u->hits),
        .hit_bytes = rounded(u->hit_bytes),
        .misses = rounded(u->misses),
        .premature_misses = rounded(u->premature_misses),
        .stores = rounded(u->stores),
        .store_bytes = rounded(u->store_bytes),
        .loads = rounded(u->loads),
        .load_ns = rounded(u->load_ns),
        .pins = rounded(u->pins),
        .open_pins = rounded((double)u->open_pins * cache->weight),
        .open_pin_bytes = rounded((double)u->open_pin_bytes * cache->weight),
        .oldest_pin_ns = u->oldest_pin_ns};
    u->changed = false;
    return 0;
}

static int ledger_fill(
    struct gm_batch *b, const struct gm_cache *cache, struct gm_cache_ledger *ledger, bool is_class)
{
    int r = 0;
    for (size_t i = 0; i < ledger->uses.n && r == 0; i++)
        if (ledger->uses.v[i].changed)
            r = uses_fill(b, cache, &ledger->uses.v[i], is_class);
    return r;
}

/* ---- the rest ---- */

static int times_fill(struct gm_batch *b, struct gm_cache *cache)
{
    for (unsigned kind = 0; kind < GM_CACHE_TIMES; kind++) {
        for (uint64_t left = cache->times_changed[kind]; left; left &= left - 1) {
            unsigned bucket = (unsigned)__builtin_ctzll(left);
            struct gm_row_cache_bucket *row = gm_rows_add(&b->cache_buckets);
            if (!row)
                return -ENOMEM;
            *row = (struct gm_row_cache_bucket){cache->row.cache_id, (uint8_t)kind, (uint8_t)bucket,
                rounded(cache->times[kind][bucket])};
        }
        cache->times_changed[kind] = 0;
    }
    return 0;
}

static int curve_fill(struct gm_batch *b, struct gm_cache *cache, struct gm_cache_curves *curves)
{
    struct gm_cache_curve_point points[GM_CACHE_CURVE_POINTS];
    cache->row.mrc_told =
        cache->curve && gm_cache_curve_read(curves, cache->curve, points, &cache->best);
    for (unsigned i = 0; cache->row.mrc_told && i < GM_CACHE_CURVE_POINTS; i++) {
        struct gm_row_cache_point *row = gm_rows_add(&b->cache_points);
        if (!row)
            return -ENOMEM;
        *row = (struct gm_row_cache_point){.cache_id = cache->row.cache_id,
            .policy = gm_cache_curve_policy_name(cache->curve),
            .capacity_bytes = points[i].capacity_bytes,
            .samples = points[i].samples,
            .sample_entries = points[i].entries,
            .hit_ratio = points[i].hit_ratio,
            .byte_hit_ratio = points[i].byte_hit_ratio,
            .error = points[i].error};
    }
    return 0;
}

static void estimates_fill(struct gm_cache *cache)
{
    struct gm_cache_estimates *e = &cache->row.estimates;
    e->samples = cache->samples;
    e->hits = rounded(cache->hits);
    e->misses = rounded(cache->misses);
    e->left = rounded(cache->left);
    e->one_hit_wonders = rounded(cache->one_hit_wonders);
    e->premature_misses = rounded(cache->premature_misses);
    e->refills = rounded(cache->refills);
    e->refill_ns = rounded(cache->refill_ns);
    e->belady_uses = cache->best.uses;
    e->belady_hits = cache->best.hits;
    e->belady_real_hits = cache->best.real_hits;
    if (!cache->released)
        e->open_pins = rounded((double)cache->keys.open_pins * cache->weight);
    e->unmatched_unpins = rounded(cache->unmatched_unpins);
}

static void differences_fill(struct gm_cache *cache)
{
    struct gm_row_cache *row = &cache->row;
    for (unsigned i = GM_CACHE_hits; i < GM_CACHE_FIGURE_COUNT; i++)
        row->d_counts[i] = row->figures[i] - cache->told[i];
    memcpy(cache->told, row->figures, sizeof cache->told);
    row->d_premature_misses = row->estimates.premature_misses - rounded(cache->premature_told);
    cache->premature_told = cache->premature_misses;
}

static int cache_tell(struct gm_batch *b, struct gm_cache *cache)
{
    estimates_fill(cache);
    differences_fill(cache);
    struct gm_row_cache *row = gm_rows_add(&b->caches);
    if (!row)
        return -ENOMEM;
    *row = cache->row;
    row->name = strdup(cache->row.name);
    if (row->name)
        return 0;
    b->caches.n--;
    return -ENOMEM;
}

/* Open pins grow old while nothing happens. */
static bool cache_has_pins(const struct gm_cache *cache, int64_t end_ns, bool last)
{
    const struct gm_cache_keys *k = &cache->keys;
    return cache->had_pins ||
           (k->oldest_pin && pin_is_told(gm_cache_pin_at(k, k->oldest_pin), end_ns, last));
}

static bool cache_has_news(
    const struct gm_cache *cache, struct gm_cache_curves *curves, int64_t end_ns, bool last)
{
    return cache->changed || cache_has_pins(cache, end_ns, last) ||
           (cache->curve && gm_cache_curve_has_news(curves, cache->curve));
}

static int cache_fill(struct gm_rollup *rollup, struct gm_cache *cache, int64_t end_ns, bool last)
{
    struct gm_batch *b = rollup->batch;
    size_t pins_before = b->cache_pins.n;
    bool had_pins = cache->had_pins;
    int r = cache->pins_changed ? sites_count_pins(cache) : 0;
    if (r == 0)
        r = pins_fill(b, cache, end_ns, last);
    cache->had_pins = b->cache_pins.n > pins_before;
    cache->row.pins_told = cache->had_pins || had_pins;
    cache->pins_changed = false;
    if (r == 0)
        r = ledger_fill(b, cache, &cache->sites, false);
    if (r == 0)
        r = ledger_fill(b, cache, &cache->classes, true);
    if (r == 0)
        r = times_fill(b, cache);
    if (r == 0)
        r = curve_fill(b, cache, rollup->curves);
    if (r == 0)
        r = cache_tell(b, cache);
    cache->changed = r < 0;
    return r;
}

int gm_process_caches_fill(struct gm_process *p, int64_t end_ns, bool last)
{
    int r = 0;
    for (uint32_t i = 0; i < p->caches.count && r == 0; i++) {
        struct gm_cache *cache = p->caches.v[i];
        bool over = last || cache->row.closed_ns >= 0;
        if (cache_has_news(cache, p->rollup->curves, end_ns, over))
            r = cache_fill(p->rollup, cache, end_ns, over);
        if (over && r == 0)
            gm_cache_release(p->rollup, cache);
    }
    return r;
}
