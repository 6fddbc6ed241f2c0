/* cache_parts.c - what belongs to one cache: see caches.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/caches.h"
#include "analyzer/core/query.h"
#include "analyzer/core/rows.h"

/* ---- curves ---- */

static double share_bounded(double share)
{
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

int gm_cache_curve_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_curve *ret_curve)
{
    struct gm_rows rows = {.size = sizeof(struct gm_cache_point)};
    struct gm_cache_point *p;
    struct gm_query q;
    const char *policy = NULL;
    gm_query_open(recording, &q,
        "SELECT capacity_bytes, hit_ratio, byte_hit_ratio, error, samples, sample_entries, policy"
        " FROM cache_mrc WHERE cache_id = ?1 ORDER BY 1");
    gm_query_bind(&q, 1, cache_id);
    while (gm_query_next(&q) && (p = gm_rows_add(&rows))) {
        const char *name = (const char *)sqlite3_column_text(q.stmt, 6);
        *p = (struct gm_cache_point){.capacity_bytes = gm_query_count(&q, 0),
            .hit_ratio = share_bounded(gm_query_real(&q, 1)),
            .byte_hit_ratio = share_bounded(gm_query_real(&q, 2)),
            .error = share_bounded(gm_query_real(&q, 3)),
            .samples = gm_query_count(&q, 4),
            .entries = gm_query_count(&q, 5)};
#define GM_X(code, text) \
    if (name && strcmp(name, #text) == 0) \
        policy = #text;
        GM_CACHE_POLICIES(GM_X)
#undef GM_X
    }
    *ret_curve = (struct gm_cache_curve){.v = rows.v, .n = rows.n, .policy = policy};
    int e = gm_rows_close(&rows, &q);
    if (e < 0)
        gm_cache_curve_done(ret_curve);
    return e;
}

void gm_cache_curve_done(struct gm_cache_curve *curve)
{
    free(curve->v);
    *curve = (struct gm_cache_curve){0};
}

/* ---- parts ---- */

static void part_read(struct gm_query *q, struct gm_cache_part *p, bool site)
{
    uint64_t *const fields[] = {&p->samples, &p->hits, &p->hit_bytes, &p->misses,
        &p->premature_misses, &p->stores, &p->store_bytes, &p->loads, &p->load_ns, &p->pins,
        &p->open_pins, &p->open_pin_bytes};
    p->id = gm_query_id(q, 0);
    for (int i = 0; i < (site ? 12 : 9); i++)
        *fields[i] = gm_query_count(q, 1 + i);
    if (!site)
        p->name = gm_query_text(q, 10);
    p->oldest_pin_ns = site && !gm_query_is_null(q, 13) ? gm_query_time(q, 13) : -1;
}

static int parts_load(struct gm_recording *recording, uint32_t cache_id, const char *sql, bool site,
    struct gm_cache_parts *ret_parts)
{
    struct gm_rows rows = {.size = sizeof(struct gm_cache_part)};
    struct gm_cache_part *p;
    struct gm_query q;
    gm_query_open(recording, &q, sql);
    gm_query_bind(&q, 1, cache_id);
    while (gm_query_next(&q) && (p = gm_rows_add(&rows)))
        part_read(&q, p, site);
    *ret_parts = (struct gm_cache_parts){.v = rows.v, .n = rows.n};
    int e = gm_rows_close(&rows, &q);
    if (e < 0)
        gm_cache_parts_done(ret_parts);
    return e;
}

#define PART_STRETCHED(column, by) "CAST(round(p." #column " * x." #by ") AS INTEGER), "
#define PART_COLUMNS \
    "p.samples, " PART_STRETCHED(hits, hits) PART_STRETCHED(hit_bytes, hits) \
        PART_STRETCHED(misses, misses) \
            PART_STRETCHED(premature_misses, misses) "p.stores, p.store_bytes, p.loads, p.load_ns"

int gm_cache_classes_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_parts *ret_parts)
{
    return parts_load(recording, cache_id,
        "SELECT p.key_class, " PART_COLUMNS ", p.name"
        " FROM cache_class p JOIN v_cache_stretch x USING (cache_id) WHERE p.cache_id = ?1"
        " ORDER BY p.hits * x.hits + p.misses * x.misses DESC, 1",
        false, ret_parts);
}

int gm_cache_sites_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_parts *ret_parts)
{
    return parts_load(recording, cache_id,
        "SELECT p.stack_id, " PART_COLUMNS
        ", p.pins, p.open_pins, p.open_pin_bytes, p.oldest_pin_ns"
        " FROM cache_site p JOIN v_cache_stretch x USING (cache_id) WHERE p.cache_id = ?1"
        " ORDER BY p.hits * x.hits + p.misses * x.misses DESC, p.pins DESC, 1",
        true, ret_parts);
}

const char *gm_cache_class_text(const struct gm_cache_part *part, char text[static 16])
{
    snprintf(text, 16, part->id ? "%" PRIu32 : "-", part->id);
    return part->name ? part->name : text;
}

void gm_cache_parts_done(struct gm_cache_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++)
        free(parts->v[i].name);
    free(parts->v);
    *parts = (struct gm_cache_parts){0};
}

int gm_cache_pins_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_pins *ret_pins)
{
    struct gm_rows rows = {.size = sizeof(struct gm_cache_pin)};
    struct gm_cache_pin *p;
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT stack_id, ns, bytes, max(0, coalesce(p.end_ns, r.duration_ns) - ns)"
        " FROM cache_pin JOIN cache USING (cache_id) JOIN process p USING (process_id) JOIN run r"
        " WHERE cache_id = ?1 ORDER BY pin");
    gm_query_bind(&q, 1, cache_id);
    while (gm_query_next(&q) && (p = gm_rows_add(&rows)))
        *p = (struct gm_cache_pin){.stack_id = gm_query_id(&q, 0),
            .ns = gm_query_time(&q, 1),
            .bytes = gm_query_count(&q, 2),
            .age_ns = gm_query_time(&q, 3)};
    *ret_pins = (struct gm_cache_pins){.v = rows.v, .n = rows.n};
    int e = gm_rows_close(&rows, &q);
    if (e < 0)
        gm_cache_pins_done(ret_pins);
    return e;
}

void gm_cache_pins_done(struct gm_cache_pins *pins)
{
    free(pins->v);
    *pins = (struct gm_cache_pins){0};
}

/* ---- times ---- */

const char *const gm_cache_time_names[GM_CACHE_TIME_COUNT] = {
    "eviction_age", "reuse_time", "refill_time", "load_time", "pin_time"};

int gm_cache_times_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_times *ret_times)
{
    struct gm_query q;
    memset(ret_times, 0, sizeof *ret_times);
    gm_query_open(
        recording, &q, "SELECT kind, bucket, count FROM cache_histogram WHERE cache_id = ?1");
    gm_query_bind(&q, 1, cache_id);
    while (gm_query_next(&q)) {
        const char *kind = (const char *)sqlite3_column_text(q.stmt, 0);
        uint64_t bucket = gm_query_count(&q, 1);
        for (int i = 0; kind && bucket < GM_LIFETIME_BUCKETS && i < GM_CACHE_TIME_COUNT; i++)
            if (strcmp(kind, gm_cache_time_names[i]) == 0)
                ret_times->v[i][bucket] += gm_query_count(&q, 2);
    }
    return gm_query_close(&q);
}

int64_t gm_cache_times_percentile(
    const uint64_t buckets[static GM_LIFETIME_BUCKETS], double percent)
{
    double total = 0, below = 0;
    for (unsigned b = 0; b < GM_LIFETIME_BUCKETS; b++)
        total += (double)buckets[b];
    for (unsigned b = 0; b + 1 < GM_LIFETIME_BUCKETS && total > 0; b++) {
        below += (double)buckets[b];
        if (below >= total * percent / 100)
            return (int64_t)gm_lifetime_from(b + 1) - (b > 0);
    }
    return total > 0 ? INT64_MAX : -1;
}

/* ---- over time ---- */

#define SLICE_COLUMNS \
    "SELECT i.start_ns, i.end_ns, t.hits, t.hit_bytes, t.misses, t.stores, t.store_bytes," \
    " t.evictions, t.capacity_bytes, t.used_bytes" \
    " FROM interval i JOIN cache_interval t USING (interval_id) WHERE t.cache_id = ?1 AND "

static int slices_load(struct gm_recording *recording, const char *sql, uint32_t cache_id,
    int64_t first, int64_t second, struct gm_cache_slices *ret_slices)
{
    struct gm_rows rows = {.size = sizeof(struct gm_cache_slice)};
    struct gm_cache_slice *s;
    struct gm_query q;
    gm_query_open(recording, &q, sql);
    gm_query_bind(&q, 1, cache_id);
    gm_query_bind(&q, 2, first);
    gm_query_bind(&q, 3, second);
    while (gm_query_next(&q) && (s = gm_rows_add(&rows))) {
        uint64_t *const fields[] = {&s->hits, &s->hit_bytes, &s->misses, &s->stores,
            &s->store_bytes, &s->evictions, &s->capacity_bytes, &s->used_bytes};
        s->start_ns = gm_query_time(&q, 0);
        s->end_ns = gm_query_time(&q, 1);
        for (int i = 0; i < 8; i++)
            *fields[i] = gm_query_count(&q, 2 + i);
    }
    *ret_slices = (struct gm_cache_slices){.v = rows.v, .n = rows.n};
    int e = gm_rows_close(&rows, &q);
    if (e < 0)
        gm_cache_slices_done(ret_slices);
    return e;
}

int gm_cache_slices_load(struct gm_recording *recording, uint32_t cache_id, int64_t from_ns,
    int64_t to_ns, struct gm_cache_slices *ret_slices)
{
    return slices_load(recording,
        SLICE_COLUMNS "i.end_ns > ?2 AND i.start_ns < ?3 ORDER BY i.interval_id", cache_id, from_ns,
        to_ns, ret_slices);
}

int gm_cache_slices_recent(struct gm_recording *recording, uint32_t cache_id, int64_t to_ns,
    size_t most, struct gm_cache_slices *ret_slices)
{
    static const char sql[] = SLICE_COLUMNS
        "i.interval_id > (SELECT max(interval_id) FROM interval WHERE start_ns < ?2) - ?3"
        " AND i.start_ns < ?2 ORDER BY i.interval_id";
    /* the newest interval of all needs no search for it */
    static const char sql_end[] = SLICE_COLUMNS "i.interval_id > (SELECT max(interval_id) FROM "
                                                "interval) - ?3 AND ?2 ORDER BY i.interval_id";
    return slices_load(
        recording, to_ns == INT64_MAX ? sql_end : sql, cache_id, to_ns, (int64_t)most, ret_slices);
}

void gm_cache_slices_done(struct gm_cache_slices *slices)
{
    free(slices->v);
    *slices = (struct gm_cache_slices){0};
}

int gm_cache_changes_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_changes *ret_changes)
{
    struct gm_rows rows = {.size = sizeof(struct gm_cache_change)};
    struct gm_cache_change *c;
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT ns, kind, from_value, to_value FROM cache_change WHERE cache_id = ?1 ORDER BY "
        "change");
    gm_query_bind(&q, 1, cache_id);
    while (gm_query_next(&q) && (c = gm_rows_add(&rows))) {
        const char *kind = (const char *)sqlite3_column_text(q.stmt, 1);
        c->ns = gm_query_time(&q, 0);
        strncpy(c->kind, kind ? kind : "", sizeof c->kind - 1);
        c->from = gm_query_count(&q, 2);
        c->to = gm_query_count(&q, 3);
    }
    *ret_changes = (struct gm_cache_changes){.v = rows.v, .n = rows.n};
    int e = gm_rows_close(&rows, &q);
    if (e < 0)
        gm_cache_changes_done(ret_changes);
    return e;
}

void gm_cache_changes_done(struct gm_cache_changes *changes)
{
    free(changes->v);
    *changes = (struct gm_cache_changes){0};
}
