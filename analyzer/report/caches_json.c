/* caches_json.c - see caches_json.h. */
#include "analyzer/report/caches_json.h"

#include <stdio.h>

#include "analyzer/report/show.h"
#include "analyzer/report/show_caches.h"

/* Within a part of the time causes are not known. */
static void json_causes(
    struct report *r, const char *key, const uint64_t counts[static GM_CAUSE_COUNT])
{
    json_put_object(&r->json, key, true);
    for (unsigned cause = 1; cause < GM_CAUSE_COUNT; cause++) {
        if (r->ranged)
            json_put_null(&r->json, gm_cache_cause_name(cause));
        else
            json_put_count(&r->json, gm_cache_cause_name(cause), counts[cause]);
    }
    json_put_close(&r->json);
}

static void json_counts(struct report *r, const struct gm_cache *c)
{
    struct json *j = &r->json;
#define GM_X(name, text) json_put_count(j, #name, c->name);
    GM_CACHE_FIGURES(GM_X)
#undef GM_X
    show_json_ratio(j, "hit_ratio", gm_cache_hit_ratio(c));
    show_json_ratio(j, "byte_hit_ratio", gm_cache_byte_hit_ratio(c));
    json_causes(r, "evictions", c->evictions);
    json_causes(r, "evicted_bytes", c->evicted_bytes);
    show_json_ratio(j, "miss_cost_ns", gm_cache_miss_cost_ns(c));
    json_put_text(j, "miss_cost_source", gm_cache_miss_cost_source(c));
}

static void json_sample(struct json *j, const struct gm_cache *c)
{
    json_put_bool(j, "estimated", gm_cache_is_estimated(c));
    json_put_real(j, "sample_rate", c->sample_rate_min);
    json_put_count(j, "samples", c->samples);
    show_json_ratio(j, "one_hit_ratio", gm_cache_one_hit_ratio(c));
    show_json_ratio(j, "premature_ratio", gm_cache_premature_ratio(c));
    show_json_ratio(j, "belady_hit_ratio",
        c->belady_uses ? (double)c->belady_hits / (double)c->belady_uses : -1);
    show_json_ratio(j, "belady_distance", gm_cache_belady_distance(c));
    json_put_count(j, "open_pins", c->open_pins);
}

static void json_point(struct json *j, const char *key, const struct gm_cache_point *p)
{
    json_put_object(j, key, true);
    json_put_count(j, "capacity_bytes", p->capacity_bytes);
    json_put_real(j, "hit_ratio", p->hit_ratio);
    json_put_real(j, "error", p->error);
    json_put_close(j);
}

static void json_point_or_null(struct json *j, const char *key, const struct gm_cache_point *p)
{
    if (p && p->capacity_bytes)
        json_point(j, key, p);
    else
        json_put_null(j, key);
}

static void json_curve(struct json *j, const struct gm_cache_view *s)
{
    json_put_array(j, "mrc", false);
    for (size_t i = 0; i < s->curve.n; i++)
        json_point(j, NULL, &s->curve.v[i]);
    json_put_close(j);
    json_put_text(j, "mrc_policy", s->curve.policy);
    json_point_or_null(j, "mrc_knee", gm_cache_curve_knee(&s->curve));
    json_point_or_null(j, "mrc_enough", gm_cache_curve_enough(&s->curve));
    json_put_text(j, "verdict", gm_cache_verdict_names[s->advice.verdict]);
    json_point_or_null(j, "advised", &s->advice.then);
}

static int json_times(struct report *r, const struct gm_cache *c)
{
    struct gm_cache_times times;
    int e = gm_cache_times_load(r->recording, c->cache_id, &times);
    for (int i = 0; e == 0 && i < GM_CACHE_TIME_COUNT; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_ns", gm_cache_time_names[i]);
        show_json_histogram(&r->json, key, times.v[i]);
    }
    return e;
}

static void json_part(struct json *j, const struct gm_cache_part *p)
{
    json_put_count(j, "samples", p->samples);
    json_put_count(j, "hits", p->hits);
    json_put_count(j, "hit_bytes", p->hit_bytes);
    json_put_count(j, "misses", p->misses);
    json_put_count(j, "premature_misses", p->premature_misses);
    json_put_count(j, "stores", p->stores);
    json_put_count(j, "store_bytes", p->store_bytes);
    json_put_count(j, "loads", p->loads);
    json_put_count(j, "load_ns", p->load_ns);
}

static int json_classes(struct report *r, const struct gm_cache *c)
{
    struct json *j = &r->json;
    struct gm_cache_parts parts;
    int e = gm_cache_classes_load(r->recording, c->cache_id, &parts);
    if (e < 0)
        return e;
    json_put_array(j, "classes", false);
    for (size_t i = 0; i < parts.n; i++) {
        json_put_object(j, NULL, true);
        json_put_count(j, "key_class", parts.v[i].id);
        json_put_text(j, "name", parts.v[i].name);
        json_part(j, &parts.v[i]);
        json_put_close(j);
    }
    json_put_close(j);
    gm_cache_parts_done(&parts);
    return 0;
}

static int json_sites(struct report *r, const struct gm_cache *c)
{
    struct json *j = &r->json;
    struct gm_cache_parts parts;
    int e = gm_cache_sites_load(r->recording, c->cache_id, &parts);
    if (e < 0)
        return e;
    json_put_array(j, "sites", false);
    for (size_t i = 0; e == 0 && i < parts.n; i++) {
        json_put_object(j, NULL, false);
        json_part(j, &parts.v[i]);
        json_put_count(j, "pins", parts.v[i].pins);
        json_put_count(j, "open_pins", parts.v[i].open_pins);
        json_put_count(j, "open_pin_bytes", parts.v[i].open_pin_bytes);
        json_put_time(j, "oldest_pin_ns", parts.v[i].oldest_pin_ns);
        e = show_json_stack(r, parts.v[i].id);
        json_put_close(j);
    }
    json_put_close(j);
    gm_cache_parts_done(&parts);
    return e;
}

static int json_pins(struct report *r, const struct gm_cache_view *s)
{
    struct json *j = &r->json;
    int e = 0;
    json_put_array(j, "leaked_pins", false);
    for (size_t i = 0; e == 0 && i < s->leaked; i++) {
        json_put_object(j, NULL, false);
        json_put_integer(j, "taken_ns", s->pins.v[i].ns);
        json_put_integer(j, "age_ns", s->pins.v[i].age_ns);
        json_put_count(j, "bytes", s->pins.v[i].bytes);
        e = show_json_stack(r, s->pins.v[i].stack_id);
        json_put_close(j);
    }
    json_put_close(j);
    return e;
}

static int json_over_time(struct report *r, const struct gm_cache *c)
{
    struct json *j = &r->json;
    struct gm_cache_slices slices;
    int e = gm_cache_slices_load(r->recording, c->cache_id, r->from_ns, r->to_ns, &slices);
    if (e < 0)
        return e;
    json_put_array(j, "over_time", false);
    for (size_t i = 0; i < slices.n; i++) {
        const struct gm_cache_slice *s = &slices.v[i];
        json_put_object(j, NULL, true);
        json_put_integer(j, "start_ns", s->start_ns);
        json_put_integer(j, "end_ns", s->end_ns);
        json_put_count(j, "hits", s->hits);
        json_put_count(j, "misses", s->misses);
        json_put_count(j, "hit_bytes", s->hit_bytes);
        json_put_count(j, "store_bytes", s->store_bytes);
        json_put_count(j, "evictions", s->evictions);
        json_put_count(j, "capacity_bytes", s->capacity_bytes);
        json_put_count(j, "used_bytes", s->used_bytes);
        json_put_close(j);
    }
    json_put_close(j);
    gm_cache_slices_done(&slices);
    return 0;
}

static int json_changes(struct report *r, const struct gm_cache *c)
{
    struct json *j = &r->json;
    struct gm_cache_changes changes;
    int e = gm_cache_changes_load(r->recording, c->cache_id, &changes);
    if (e < 0)
        return e;
    json_put_array(j, "changes", false);
    for (size_t i = 0; i < changes.n; i++) {
        json_put_object(j, NULL, true);
        json_put_integer(j, "ns", changes.v[i].ns);
        json_put_text(j, "kind", changes.v[i].kind);
        json_put_count(j, "from", changes.v[i].from);
        json_put_count(j, "to", changes.v[i].to);
        json_put_close(j);
    }
    json_put_close(j);
    gm_cache_changes_done(&changes);
    return 0;
}

static int json_cache(struct report *r, const struct gm_cache_view *s)
{
    struct json *j = &r->json;
    const struct gm_cache *c = &s->cache;
    json_put_object(j, NULL, false);
    json_put_count(j, "cache_id", c->cache_id);
    json_put_count(j, "process_id", c->process_id);
    json_put_text(j, "name", c->name);
    json_put_text(j, "policy", c->policy);
    json_put_count(j, "policy_choice", c->choice);
    json_put_count(j, "policy_switches", c->switches);
    json_put_integer(j, "first_ns", c->first_ns);
    json_put_integer(j, "last_ns", c->last_ns);
    json_put_time(j, "closed_ns", c->closed_ns);
    json_counts(r, c);
    json_sample(j, c);
    json_curve(j, s);
    int (*const parts[])(struct report *, const struct gm_cache *) = {
        json_times, json_classes, json_sites, json_over_time, json_changes};
    int e = json_pins(r, s);
    for (size_t i = 0; e == 0 && i < sizeof parts / sizeof *parts; i++)
        e = parts[i](r, c);
    json_put_close(j);
    return e;
}

static void json_split(struct json *j, const struct gm_cache_split *split)
{
    json_put_array(j, "best_split", false);
    for (size_t i = 0; i < split->n; i++) {
        const struct gm_cache_share *share = &split->shares[i];
        json_put_object(j, NULL, true);
        json_put_count(j, "cache_id", split->caches[i]->cache_id);
        json_put_text(j, "name", split->caches[i]->name);
        json_put_count(j, "capacity_bytes", share->capacity_bytes);
        json_put_real(j, "hit_ratio", share->hit_ratio);
        json_put_real(j, "hit_ratio_now", share->hit_ratio_now);
        json_put_real(j, "error", share->error);
        json_put_close(j);
    }
    json_put_close(j);
}

int caches_json(struct report *report, const struct gm_cache_views *views)
{
    struct gm_cache_split split;
    size_t rows = show_rows(report, views->n, views->n);
    int e = gm_cache_split_load(report->recording, views, &split);
    if (e < 0)
        return e;
    show_json_head(report, "caches");
    json_put_array(&report->json, "caches", false);
    for (size_t i = 0; e == 0 && i < rows; i++)
        e = json_cache(report, &views->v[i]);
    if (e == 0) {
        json_put_close(&report->json);
        json_split(&report->json, &split);
        json_put_close(&report->json);
        json_end(&report->json);
    }
    gm_cache_split_done(&split);
    return e;
}
