/* store_caches.c - see store_caches.h. Rows of a batch have current values, which replace those in the file; only slices of
 * time are added to. */
#include "collector/store_caches.h"

#include <stdlib.h>

#include "collector/store_bind.h"
#include "schemas/event_kinds.h"

enum statement {
    S_CACHE,
    S_EVICTION,
    S_INTERVAL,
    S_CHANGE,
    S_MRC_VOID,
    S_MRC,
    S_SITE,
    S_CLASS,
    S_PINS_VOID,
    S_PIN,
    S_HISTOGRAM,
    S_COUNT,
};

static const char *const statements[S_COUNT] = {
    [S_CACHE] =
        "INSERT OR REPLACE INTO cache (cache_id, process_id, number, name, policy, choice, "
        "switches, first_ns, last_ns, closed_ns, capacity_bytes, used_bytes, entries, "
        "pinned_entries, pinned_bytes, hits, hit_bytes, misses, stores, store_bytes, loads, "
        "load_failures, load_waits, load_ns, sample_rate, sample_rate_min, samples, sample_hits, "
        "sample_misses, sample_left, one_hit_wonders, premature_misses, refills, refill_ns, "
        "belady_uses, belady_hits, belady_real_hits, open_pins, unmatched_unpins) VALUES (?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?)",
    [S_EVICTION] = "INSERT OR REPLACE INTO cache_eviction (cache_id, cause, evictions, "
                   "evicted_bytes) VALUES (?, ?, ?, ?)",
    [S_INTERVAL] =
        "INSERT INTO cache_interval (interval_id, cache_id, hits, hit_bytes, misses, stores, "
        "store_bytes, loads, load_ns, evictions, evicted_bytes, premature_misses, capacity_bytes, "
        "used_bytes, entries, pinned_entries, pinned_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET hits = hits + excluded.hits,"
        " hit_bytes = hit_bytes + excluded.hit_bytes, misses = misses + excluded.misses,"
        " stores = stores + excluded.stores, store_bytes = store_bytes + excluded.store_bytes,"
        " loads = loads + excluded.loads, load_ns = load_ns + excluded.load_ns,"
        " evictions = evictions + excluded.evictions,"
        " evicted_bytes = evicted_bytes + excluded.evicted_bytes,"
        " premature_misses = premature_misses + excluded.premature_misses,"
        " capacity_bytes = excluded.capacity_bytes, used_bytes = excluded.used_bytes,"
        " entries = excluded.entries, pinned_entries = excluded.pinned_entries,"
        " pinned_bytes = excluded.pinned_bytes",
    [S_CHANGE] = "INSERT INTO cache_change (cache_id, change, ns, kind, from_value, to_value)"
                 " VALUES (?, ?, ?, ?, ?, ?)",
    [S_MRC_VOID] = "DELETE FROM cache_mrc WHERE cache_id = ?",
    [S_MRC] = "INSERT OR REPLACE INTO cache_mrc (cache_id, capacity_bytes, hit_ratio, "
              "byte_hit_ratio, error, samples, sample_entries, policy) VALUES (?, ?, ?, ?, ?, ?, "
              "?, ?)",
    [S_SITE] = "INSERT OR REPLACE INTO cache_site (cache_id, stack_id, samples, hits, hit_bytes, "
               "misses, premature_misses, stores, store_bytes, loads, load_ns, pins, open_pins, "
               "open_pin_bytes, oldest_pin_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
               "?)",
    [S_CLASS] = "INSERT OR REPLACE INTO cache_class (cache_id, key_class, name, samples, hits, "
                "hit_bytes, misses, premature_misses, stores, store_bytes, loads, load_ns) VALUES "
                "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [S_PINS_VOID] = "DELETE FROM cache_pin WHERE cache_id = ?",
    [S_PIN] = "INSERT INTO cache_pin (cache_id, pin, key, stack_id, ns, bytes) VALUES (?, ?, ?, "
              "?, ?, ?)",
    [S_HISTOGRAM] = "INSERT OR REPLACE INTO cache_histogram (cache_id, kind, bucket, count)"
                    " VALUES (?, ?, ?, ?)",
};

struct gm_store_caches {
    sqlite3_stmt *s[S_COUNT];
};

int gm_store_caches_create(sqlite3 *db, struct gm_store_caches **ret_caches)
{
    struct gm_store_caches *caches = calloc(1, sizeof *caches);
    if (!caches)
        return SQLITE_NOMEM;
    int rc = gm_statements_prepare(db, statements, S_COUNT, caches->s);
    if (rc != SQLITE_OK) {
        gm_store_caches_free(caches);
        return rc;
    }
    *ret_caches = caches;
    return SQLITE_OK;
}

void gm_store_caches_free(struct gm_store_caches *caches)
{
    if (!caches)
        return;
    gm_statements_finalize(caches->s, S_COUNT);
    free(caches);
}

static int write_cache(struct gm_store_caches *caches, const struct gm_row_cache *c)
{
    const struct gm_cache_estimates *e = &c->estimates;
    return gm_row_write(caches->s[S_CACHE], "iiitsiiiiniiiiiiiiiiiiiiddiiiiiiiiiiiii",
        I(c->cache_id), I(c->process_id), I(c->number), c->name, gm_cache_policy_name(c->policy),
        I(c->choice), I(c->switches), c->first_ns, c->last_ns, c->closed_ns,
#define GM_X(name, text) I(c->figures[GM_CACHE_##name]),
        GM_CACHE_FIGURES(GM_X)
#undef GM_X
            e->sample_rate,
        e->sample_rate_min, I(e->samples), I(e->hits), I(e->misses), I(e->left),
        I(e->one_hit_wonders), I(e->premature_misses), I(e->refills), I(e->refill_ns),
        I(e->belady_uses), I(e->belady_hits), I(e->belady_real_hits), I(e->open_pins),
        I(e->unmatched_unpins));
}

static int write_evictions(struct gm_store_caches *caches, const struct gm_row_cache *c)
{
    int rc = SQLITE_OK;
    for (unsigned cause = 1; cause < GM_CAUSE_COUNT && rc == SQLITE_OK; cause++)
        if (c->d_counts[GM_CACHE_evictions + cause - 1])
            rc = gm_row_write(caches->s[S_EVICTION], "isii", I(c->cache_id),
                gm_cache_cause_name(cause), I(c->figures[GM_CACHE_evictions + cause - 1]),
                I(c->figures[GM_CACHE_evicted_bytes + cause - 1]));
    return rc;
}

/* Of what made room, by itself or because its time was up: see table cache_interval. */
static uint64_t cache_evicted(const struct gm_row_cache *c, enum gm_cache_figure first)
{
    return c->d_counts[first + GM_CAUSE_size - 1] + c->d_counts[first + GM_CAUSE_expired - 1] +
           c->d_counts[first + GM_CAUSE_pressure - 1];
}

static int write_slice(
    struct gm_store_caches *caches, const struct gm_row_cache *c, int64_t interval_id)
{
    const uint64_t *d = c->d_counts, *f = c->figures;
    return gm_row_write(caches->s[S_INTERVAL], "iiiiiiiiiiiiiiiii", interval_id, I(c->cache_id),
        I(d[GM_CACHE_hits]), I(d[GM_CACHE_hit_bytes]), I(d[GM_CACHE_misses]), I(d[GM_CACHE_stores]),
        I(d[GM_CACHE_store_bytes]), I(d[GM_CACHE_loads]), I(d[GM_CACHE_load_ns]),
        I(cache_evicted(c, GM_CACHE_evictions)), I(cache_evicted(c, GM_CACHE_evicted_bytes)),
        I(c->d_premature_misses), I(f[GM_CACHE_capacity_bytes]), I(f[GM_CACHE_used_bytes]),
        I(f[GM_CACHE_entries]), I(f[GM_CACHE_pinned_entries]), I(f[GM_CACHE_pinned_bytes]));
}

static int write_caches(
    struct gm_store_caches *caches, const struct gm_batch *b, int64_t interval_id)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->caches.n && rc == SQLITE_OK; i++) {
        const struct gm_row_cache *c = &b->caches.v[i];
        rc = write_cache(caches, c);
        if (rc == SQLITE_OK)
            rc = write_evictions(caches, c);
        if (rc == SQLITE_OK)
            rc = write_slice(caches, c, interval_id);
        if (rc == SQLITE_OK && c->pins_told)
            rc = gm_row_write(caches->s[S_PINS_VOID], "i", I(c->cache_id));
        if (rc == SQLITE_OK && c->mrc_told)
            rc = gm_row_write(caches->s[S_MRC_VOID], "i", I(c->cache_id));
    }
    return rc;
}

static int write_uses(struct gm_store_caches *caches, const struct gm_row_cache_uses *u)
{
    if (u->is_class)
        return gm_row_write(caches->s[S_CLASS], u->name ? "iitiiiiiiiii" : "iisiiiiiiiii",
            I(u->cache_id), I(u->id), u->name, I(u->samples), I(u->hits), I(u->hit_bytes),
            I(u->misses), I(u->premature_misses), I(u->stores), I(u->store_bytes), I(u->loads),
            I(u->load_ns));
    return gm_row_write(caches->s[S_SITE], "iiiiiiiiiiiiiin", I(u->cache_id), I(u->id),
        I(u->samples), I(u->hits), I(u->hit_bytes), I(u->misses), I(u->premature_misses),
        I(u->stores), I(u->store_bytes), I(u->loads), I(u->load_ns), I(u->pins), I(u->open_pins),
        I(u->open_pin_bytes), u->oldest_pin_ns);
}

static int write_details(struct gm_store_caches *caches, const struct gm_batch *b)
{
    static const char *const times[GM_CACHE_TIMES] = {
        [GM_CACHE_EVICTION_AGE] = "eviction_age",
        [GM_CACHE_REUSE_TIME] = "reuse_time",
        [GM_CACHE_REFILL_TIME] = "refill_time",
        [GM_CACHE_LOAD_TIME] = "load_time",
        [GM_CACHE_PIN_TIME] = "pin_time",
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->cache_changes.n && rc == SQLITE_OK; i++) {
        const struct gm_row_cache_change *h = &b->cache_changes.v[i];
        rc = gm_row_write(caches->s[S_CHANGE], "iiisii", I(h->cache_id), I(h->change), h->ns,
            h->kind, I(h->from_value), I(h->to_value));
    }
    for (size_t i = 0; i < b->cache_uses.n && rc == SQLITE_OK; i++)
        rc = write_uses(caches, &b->cache_uses.v[i]);
    for (size_t i = 0; i < b->cache_pins.n && rc == SQLITE_OK; i++) {
        const struct gm_row_cache_pin *p = &b->cache_pins.v[i];
        rc = gm_row_write(caches->s[S_PIN], "iiiiii", I(p->cache_id), I(p->pin), I(p->key),
            I(p->stack_id), p->ns, I(p->bytes));
    }
    for (size_t i = 0; i < b->cache_buckets.n && rc == SQLITE_OK; i++) {
        const struct gm_row_cache_bucket *k = &b->cache_buckets.v[i];
        rc = gm_row_write(caches->s[S_HISTOGRAM], "isii", I(k->cache_id), times[k->kind],
            I(k->bucket), I(k->count));
    }
    return rc;
}

static int write_curves(struct gm_store_caches *caches, const struct gm_batch *b)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->cache_points.n && rc == SQLITE_OK; i++) {
        const struct gm_row_cache_point *p = &b->cache_points.v[i];
        rc = gm_row_write(caches->s[S_MRC], "iidddiis", I(p->cache_id), I(p->capacity_bytes),
            p->hit_ratio, p->byte_hit_ratio, p->error, I(p->samples), I(p->sample_entries),
            p->policy);
    }
    return rc;
}

int gm_store_caches_batch(
    struct gm_store_caches *caches, const struct gm_batch *batch, int64_t interval_id)
{
    int rc = write_caches(caches, batch, interval_id);
    if (rc == SQLITE_OK)
        rc = write_details(caches, batch);
    return rc == SQLITE_OK ? write_curves(caches, batch) : rc;
}
