/* caches.c - see caches.h. The caches themselves; what belongs to one of them is in cache_parts.c. */
#include "analyzer/core/caches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "analyzer/core/rows.h"

#define COMMA_NAME(name, ...) ", c." #name
#define CACHE_FIRST_FIGURE 11

static void cache_read(struct gm_query *q, struct gm_cache *c)
{
    int column = CACHE_FIRST_FIGURE;
    *c = (struct gm_cache){.cache_id = gm_query_id(q, 0),
        .process_id = gm_query_id(q, 1),
        .number = gm_query_count(q, 2),
        .name = gm_query_text_or_empty(q, 3),
        .policy = "other",
        .choice = gm_query_count(q, 5),
        .switches = gm_query_count(q, 6),
        .first_ns = gm_query_time(q, 7),
        .last_ns = gm_query_time(q, 8),
        .closed_ns = gm_query_is_null(q, 9) ? -1 : gm_query_time(q, 9)};
    const char *policy = (const char *)sqlite3_column_text(q->stmt, 4);
#define GM_X(code, text) \
    if (policy && strcmp(policy, #text) == 0) \
        c->policy = #text;
    GM_CACHE_POLICIES(GM_X)
#undef GM_X
    c->sample_rate_min = gm_query_real(q, 10);
#define GM_X(name, ...) c->name = gm_query_count(q, column++);
    GM_CACHE_FIGURES(GM_X)
    GM_CACHE_SAMPLED(GM_X)
#undef GM_X
    c->sample_rate = gm_query_real(q, column);
}

static int caches_load_all(struct gm_recording *recording, const struct gm_process_set *processes,
    struct gm_caches *caches)
{
    struct gm_rows rows = {.size = sizeof(struct gm_cache)};
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT c.cache_id, c.process_id, c.number, c.name, c.policy, c.choice, c.switches,"
        " c.first_ns, c.last_ns, c.closed_ns, c.sample_rate_min" GM_CACHE_FIGURES(COMMA_NAME)
            GM_CACHE_SAMPLED(COMMA_NAME) ", c.sample_rate FROM cache c ORDER BY 1");
    while (gm_query_next(&q)) {
        struct gm_cache *c;
        if (!gm_process_set_has(processes, gm_query_id(&q, 1)))
            continue;
        if (!(c = gm_rows_add(&rows)))
            break;
        cache_read(&q, c);
    }
    caches->v = rows.v;
    caches->n = rows.n;
    return gm_rows_close(&rows, &q);
}

static struct gm_cache *caches_find(const struct gm_caches *caches, uint32_t cache_id)
{
    for (size_t i = 0; i < caches->n; i++)
        if (caches->v[i].cache_id == cache_id)
            return &caches->v[i];
    return NULL;
}

static unsigned cause_code(const char *name)
{
    for (unsigned code = 1; name && code < GM_CAUSE_COUNT; code++)
        if (strcmp(gm_cache_cause_name(code), name) == 0)
            return code;
    return 0;
}

static int caches_load_evictions(struct gm_recording *recording, struct gm_caches *caches)
{
    struct gm_query q;
    gm_query_open(
        recording, &q, "SELECT cache_id, cause, evictions, evicted_bytes FROM cache_eviction");
    while (gm_query_next(&q)) {
        struct gm_cache *c = caches_find(caches, gm_query_id(&q, 0));
        unsigned cause = cause_code((const char *)sqlite3_column_text(q.stmt, 1));
        if (!c || !cause)
            continue;
        c->evictions[cause] = gm_query_count(&q, 2);
        c->evicted_bytes[cause] = gm_query_count(&q, 3);
        c->evictions[0] += c->evictions[cause];
        c->evicted_bytes[0] += c->evicted_bytes[cause];
    }
    return gm_query_close(&q);
}

/* What a cache did within the time, in place of all it did. */
static void cache_read_range(struct gm_query *q, struct gm_cache *c)
{
    uint64_t *const sums[] = {&c->hits, &c->hit_bytes, &c->misses, &c->stores, &c->store_bytes,
        &c->loads, &c->load_ns, &c->evictions[0], &c->evicted_bytes[0], &c->premature_misses};
    uint64_t *const last[] = {
        &c->capacity_bytes, &c->used_bytes, &c->entries, &c->pinned_entries, &c->pinned_bytes};
    memset(c->evictions, 0, sizeof c->evictions);
    memset(c->evicted_bytes, 0, sizeof c->evicted_bytes);
    for (size_t i = 0; i < 10; i++)
        *sums[i] = gm_query_count(q, 1 + (int)i);
    for (size_t i = 0; i < 5; i++)
        *last[i] = gm_query_count(q, 11 + (int)i);
}

static int caches_load_range(
    struct gm_recording *recording, int64_t from_ns, int64_t to_ns, struct gm_caches *caches)
{
    struct gm_query q;
    bool *seen = calloc(caches->n + 1, sizeof *seen);
    if (!seen)
        return gm_recording_fail_text(recording, -ENOMEM, "not enough memory");
    /* max(interval_id): the bare columns are those of its row */
    gm_query_open(recording, &q,
        "SELECT t.cache_id, total(t.hits), total(t.hit_bytes), total(t.misses), total(t.stores),"
        " total(t.store_bytes), total(t.loads), total(t.load_ns), total(t.evictions),"
        " total(t.evicted_bytes), total(t.premature_misses), t.capacity_bytes, t.used_bytes,"
        " t.entries, t.pinned_entries, t.pinned_bytes, max(t.interval_id)"
        " FROM interval i JOIN cache_interval t USING (interval_id)"
        " WHERE i.end_ns > ?1 AND i.start_ns < ?2 GROUP BY 1");
    gm_query_bind(&q, 1, from_ns);
    gm_query_bind(&q, 2, to_ns);
    while (gm_query_next(&q)) {
        struct gm_cache *c = caches_find(caches, gm_query_id(&q, 0));
        if (!c)
            continue;
        cache_read_range(&q, c);
        c->closed_ns = c->closed_ns > to_ns ? -1 : c->closed_ns;
        seen[c - caches->v] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < caches->n; i++)
        if (seen[i])
            caches->v[kept++] = caches->v[i];
        else
            free(caches->v[i].name);
    caches->n = kept;
    free(seen);
    return gm_query_close(&q);
}

static int cache_compare(const void *a, const void *b)
{
    const struct gm_cache *x = a, *y = b;
    uint64_t uses[] = {x->hits + x->misses, y->hits + y->misses};
    if (uses[0] != uses[1])
        return uses[0] < uses[1] ? 1 : -1;
    return (x->cache_id > y->cache_id) - (x->cache_id < y->cache_id);
}

int gm_caches_load(struct gm_recording *recording, const struct gm_process_set *processes,
    bool ranged, int64_t from_ns, int64_t to_ns, struct gm_caches *ret_caches)
{
    struct gm_caches caches = {0};
    int e = caches_load_all(recording, processes, &caches);
    if (e == 0)
        e = caches_load_evictions(recording, &caches);
    if (e == 0 && ranged)
        e = caches_load_range(recording, from_ns, to_ns, &caches);
    if (e < 0) {
        gm_caches_done(&caches);
        return e;
    }
    if (caches.n)
        qsort(caches.v, caches.n, sizeof *caches.v, cache_compare);
    *ret_caches = caches;
    return 0;
}

void gm_caches_done(struct gm_caches *caches)
{
    for (size_t i = 0; i < caches->n; i++)
        free(caches->v[i].name);
    free(caches->v);
    *caches = (struct gm_caches){0};
}

int gm_caches_exist(struct gm_recording *recording, bool *ret_exist)
{
    struct gm_query q;
    bool exist = false;
    gm_query_open(recording, &q, "SELECT EXISTS (SELECT 1 FROM cache)");
    if (gm_query_next(&q))
        exist = gm_query_integer(&q, 0) != 0;
    int e = gm_query_close(&q);
    if (e == 0)
        *ret_exist = exist;
    return e;
}

/* ---- what follows from them ---- */

static double share(uint64_t part, uint64_t rest)
{
    double whole = (double)part + (double)rest;
    return whole > 0 ? (double)part / whole : -1;
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole ? (double)(part < whole ? part : whole) / (double)whole : -1;
}

double gm_cache_hit_ratio(const struct gm_cache *cache)
{
    return share(cache->hits, cache->misses);
}

/* What a miss would have brought is what is stored: the bytes of a miss itself are not known. */
double gm_cache_byte_hit_ratio(const struct gm_cache *cache)
{
    return share(cache->hit_bytes, cache->store_bytes);
}

double gm_cache_one_hit_ratio(const struct gm_cache *cache)
{
    return ratio(cache->one_hit_wonders, cache->sample_left);
}

double gm_cache_premature_ratio(const struct gm_cache *cache)
{
    return ratio(cache->premature_misses, cache->sample_misses);
}

double gm_cache_miss_cost_ns(const struct gm_cache *cache)
{
    if (cache->loads)
        return (double)cache->load_ns / (double)cache->loads;
    return cache->refills ? (double)cache->refill_ns / (double)cache->refills : -1;
}

const char *gm_cache_miss_cost_source(const struct gm_cache *cache)
{
    return cache->loads ? "loads" : cache->refills ? "refills" : NULL;
}

double gm_cache_belady_distance(const struct gm_cache *cache)
{
    if (!cache->belady_uses)
        return -1;
    return cache->belady_hits > cache->belady_real_hits
               ? ratio(cache->belady_hits - cache->belady_real_hits, cache->belady_uses)
               : 0;
}

bool gm_cache_is_estimated(const struct gm_cache *cache)
{
    return cache->sample_rate_min < 1;
}
