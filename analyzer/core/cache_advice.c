/* cache_advice.c - see cache_advice.h. */
#include "analyzer/core/cache_advice.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define USES_MIN 200u       /* fewer say nothing; arbitrary */
#define BEND_MIN 0.1        /* of the curve's height and width: less is no knee; arbitrary */
#define NO_REUSE_RATIO 0.05 /* hits so few that no one would miss the cache; arbitrary */

const char *const gm_cache_verdict_names[GM_CACHE_FINE + 1] = {
    "unknown", "pins", "no_reuse", "grow", "shrink", "fine"};

double gm_cache_matters(double hit_ratio)
{
    double tenth = (1 - hit_ratio) / 10;
    return tenth < 0.002 ? 0.002 : tenth > 0.01 ? 0.01 : tenth;
}

double gm_cache_points(double error)
{
    return error > 1e-12 ? ceil(error * 1000 - 1e-9) / 10 : 0;
}

/* ---- curves ---- */

bool gm_cache_curve_at(
    const struct gm_cache_curve *curve, uint64_t capacity_bytes, struct gm_cache_point *ret_point)
{
    size_t i = 0;
    while (i < curve->n && curve->v[i].capacity_bytes < capacity_bytes)
        i++;
    if (i == curve->n || (i == 0 && curve->v[0].capacity_bytes > capacity_bytes))
        return false;
    const struct gm_cache_point *b = &curve->v[i], *a = i ? b - 1 : b;
    double width = (double)(b->capacity_bytes - a->capacity_bytes);
    double at = width > 0 ? (double)(capacity_bytes - a->capacity_bytes) / width : 1;
    *ret_point = *b;
    ret_point->capacity_bytes = capacity_bytes;
    ret_point->hit_ratio = a->hit_ratio + (b->hit_ratio - a->hit_ratio) * at;
    ret_point->byte_hit_ratio = a->byte_hit_ratio + (b->byte_hit_ratio - a->byte_hit_ratio) * at;
    ret_point->error = a->error > b->error ? a->error : b->error;
    return true;
}

const struct gm_cache_point *gm_cache_curve_enough(const struct gm_cache_curve *curve)
{
    double most = 0;
    for (size_t i = 0; i < curve->n; i++)
        most = curve->v[i].hit_ratio > most ? curve->v[i].hit_ratio : most;
    for (size_t i = 0; i + 1 < curve->n; i++)
        if (most - curve->v[i].hit_ratio < gm_cache_matters(most))
            return &curve->v[i];
    return NULL;
}

const struct gm_cache_point *gm_cache_curve_knee(const struct gm_cache_curve *curve)
{
    const struct gm_cache_point *knee = NULL;
    double farthest = BEND_MIN;
    if (curve->n < 3)
        return NULL;
    const struct gm_cache_point *first = &curve->v[0], *last = &curve->v[curve->n - 1];
    double width = (double)(last->capacity_bytes - first->capacity_bytes);
    double height = last->hit_ratio - first->hit_ratio;
    if (width <= 0 || height < gm_cache_matters(last->hit_ratio))
        return NULL;
    for (size_t i = 1; i + 1 < curve->n; i++) {
        const struct gm_cache_point *p = &curve->v[i];
        double above = (p->hit_ratio - first->hit_ratio) / height -
                       (double)(p->capacity_bytes - first->capacity_bytes) / width;
        if (above > farthest) {
            farthest = above;
            knee = p;
        }
    }
    return knee;
}

/* ---- verdict ---- */

static bool advise_growth(const struct gm_cache_curve *curve, struct gm_cache_advice *a)
{
    const struct gm_cache_point *enough = gm_cache_curve_enough(curve);
    const struct gm_cache_point *last = &curve->v[curve->n - 1];
    const struct gm_cache_point *to = enough ? enough : last;
    double gain = to->hit_ratio - a->now.hit_ratio;
    if (to->capacity_bytes <= a->now.capacity_bytes || gain < gm_cache_matters(a->now.hit_ratio) ||
        gain < to->error)
        return false;
    a->verdict = GM_CACHE_GROW;
    a->then = *to;
    a->enough = enough != NULL;
    return true;
}

static bool advise_less(const struct gm_cache_curve *curve, struct gm_cache_advice *a)
{
    for (size_t i = 0; i < curve->n; i++) {
        const struct gm_cache_point *p = &curve->v[i];
        if (p->capacity_bytes > a->now.capacity_bytes / 2)
            return false;
        if (a->now.hit_ratio - p->hit_ratio + p->error >= gm_cache_matters(a->now.hit_ratio))
            continue;
        a->verdict = GM_CACHE_SHRINK;
        a->then = *p;
        a->enough = true;
        return true;
    }
    return false;
}

void gm_cache_advise(const struct gm_cache *cache, const struct gm_cache_curve *curve,
    size_t leaked, struct gm_cache_advice *ret_advice)
{
    struct gm_cache_advice a = {.verdict = GM_CACHE_UNKNOWN};
    bool known = cache->hits + cache->misses >= USES_MIN &&
                 gm_cache_curve_at(curve, cache->capacity_bytes, &a.now);
    if (leaked)
        a.verdict = GM_CACHE_PINS;
    else if (known && curve->v[curve->n - 1].hit_ratio < NO_REUSE_RATIO)
        a.verdict = GM_CACHE_NO_REUSE;
    else if (known && !advise_growth(curve, &a) && !advise_less(curve, &a))
        a.verdict = GM_CACHE_FINE;
    *ret_advice = a;
}

size_t gm_cache_pins_leaked(const struct gm_cache_pins *pins, bool ended)
{
    size_t n = 0;
    while (n < pins->n && (ended || pins->v[n].age_ns >= GM_CACHE_PIN_LEAKED_NS))
        n++;
    return n;
}

/* ---- the best split ---- */

/* A straight piece of a cache's hull. */
struct piece {
    size_t cache;
    double bytes, hits; /* it takes, it gives */
};

/* The upper convex hull of a curve that begins with nothing for nothing. Returns the pieces added. */
static size_t hull_pieces(
    const struct gm_cache_curve *curve, double uses, size_t cache, struct piece *pieces)
{
    double at_bytes = 0, at_hits = 0;
    size_t n = 0;
    for (size_t i = 0; i < curve->n;) {
        size_t best = i;
        double steepest = -1;
        for (size_t k = i; k < curve->n; k++) {
            double bytes = (double)curve->v[k].capacity_bytes - at_bytes;
            double slope = bytes > 0 ? (curve->v[k].hit_ratio * uses - at_hits) / bytes : -1;
            if (slope >= steepest) {
                steepest = slope;
                best = k;
            }
        }
        if (steepest <= 0)
            break;
        pieces[n++] = (struct piece){cache, (double)curve->v[best].capacity_bytes - at_bytes,
            curve->v[best].hit_ratio * uses - at_hits};
        at_bytes = (double)curve->v[best].capacity_bytes;
        at_hits = curve->v[best].hit_ratio * uses;
        i = best + 1;
    }
    return n;
}

static int piece_compare(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    double slopes[] = {x->hits / x->bytes, y->hits / y->bytes};
    return (slopes[0] < slopes[1]) - (slopes[0] > slopes[1]);
}

static double cache_uses(const struct gm_cache *c)
{
    return (double)c->hits + (double)c->misses;
}

/* What the caches have now, by their curves; the bytes that may be divided. */
static double split_begin(const struct gm_cache *const *caches,
    const struct gm_cache_curve *const *curves, size_t n, struct gm_cache_share *shares)
{
    double budget = 0;
    for (size_t i = 0; i < n; i++) {
        struct gm_cache_point now = {0};
        shares[i] = (struct gm_cache_share){.capacity_bytes = caches[i]->capacity_bytes};
        if (!gm_cache_curve_at(curves[i], caches[i]->capacity_bytes, &now))
            continue;
        budget += (double)caches[i]->capacity_bytes;
        shares[i] = (struct gm_cache_share){.hit_ratio_now = now.hit_ratio, .error = now.error};
    }
    return budget;
}

double gm_caches_split(const struct gm_cache *const *caches,
    const struct gm_cache_curve *const *curves, size_t n, struct gm_cache_share *ret_shares)
{
    size_t room = 1, count = 0;
    double budget = split_begin(caches, curves, n, ret_shares), gained = 0;
    for (size_t i = 0; i < n; i++)
        room += curves[i]->n;
    struct piece *pieces = calloc(room, sizeof *pieces);
    if (!pieces)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (ret_shares[i].capacity_bytes == 0)
            count += hull_pieces(curves[i], cache_uses(caches[i]), i, pieces + count);
    if (count)
        qsort(pieces, count, sizeof *pieces, piece_compare);
    for (size_t i = 0; i < count && budget > 0; i++) {
        struct gm_cache_share *share = &ret_shares[pieces[i].cache];
        double bytes = pieces[i].bytes < budget ? pieces[i].bytes : budget;
        double hits = pieces[i].hits * bytes / pieces[i].bytes;
        share->capacity_bytes += (uint64_t)bytes;
        share->hit_ratio += hits / cache_uses(caches[pieces[i].cache]);
        budget -= bytes;
    }
    for (size_t i = 0; i < n; i++)
        gained += (ret_shares[i].hit_ratio - ret_shares[i].hit_ratio_now) * cache_uses(caches[i]);
    free(pieces);
    return gained > 0 ? gained : 0;
}
