/* report_caches.c - what the program's caches did, and what other capacities would have done. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/figures.h"
#include "analyzer/report/caches_json.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/show.h"
#include "analyzer/report/show_caches.h"

#define CACHES_SHOWN 5 /* in full, unless more are asked for */

static char *time_text(char text[static GM_FIGURE_BYTES], double ns)
{
    return gm_figure_time(text, ns < 9e18 ? (int64_t)ns : INT64_MAX);
}

/* ---- one cache: verdict ---- */

/* Misses that would not have been, and what they took. */
static void text_saved(struct report *r, const struct gm_cache_view *s)
{
    char n[GM_FIGURE_BYTES], t[GM_FIGURE_BYTES];
    const struct gm_cache *c = &s->cache;
    double uses = (double)c->hits + (double)c->misses, cost = gm_cache_miss_cost_ns(c);
    double saved = (s->advice.then.hit_ratio - s->advice.now.hit_ratio) * uses;
    out_printf(
        &r->out, "          %c%s misses fewer", OUT_ABOUT, gm_figure_count(n, (uint64_t)saved));
    if (cost > 0)
        out_printf(&r->out, ", which took %c%s", OUT_ABOUT, time_text(t, cost * saved));
    out_printf(&r->out, "; %s\n",
        s->advice.enough ? "more than that would not matter" : "even more would give more");
}

static void text_growth(struct report *r, const struct gm_cache_view *s)
{
    char bytes[GM_FIGURE_BYTES], now[32], then[32];
    const struct gm_cache_advice *a = &s->advice;
    out_printf(&r->out, "%s would give %s%c%.1f hits instead of %s\n",
        gm_figure_bytes(bytes, a->then.capacity_bytes), show_ratio(then, a->then.hit_ratio),
        OUT_PLUS_MINUS, gm_cache_points(a->then.error), show_ratio(now, a->now.hit_ratio));
}

static void text_verdict(struct report *r, const struct gm_cache_view *s)
{
    char a[GM_FIGURE_BYTES], b[32];
    const struct gm_cache_advice *advice = &s->advice;
    switch (advice->verdict) {
    case GM_CACHE_UNKNOWN:
        out_printf(&r->out, "  too few uses to say what another capacity would do\n");
        break;
    case GM_CACHE_PINS:
        out_styled(&r->out, OUT_WARN, "  PINS    ");
        out_printf(&r->out, "%s value%s still held, the oldest for %s: see below\n",
            gm_figure_count(a, s->leaked), gm_figure_plural(s->leaked),
            time_text(b, (double)s->pins.v[0].age_ns));
        break;
    case GM_CACHE_NO_REUSE:
        out_styled(&r->out, OUT_WARN, "  NO REUSE");
        out_printf(&r->out, "  even %s would give %s hits: its keys do not come again\n",
            gm_figure_bytes(a, s->curve.v[s->curve.n - 1].capacity_bytes),
            show_ratio(b, s->curve.v[s->curve.n - 1].hit_ratio));
        break;
    case GM_CACHE_GROW:
        out_styled(&r->out, OUT_BOLD, "  GROW    ");
        text_growth(r, s);
        text_saved(r, s);
        break;
    case GM_CACHE_SHRINK:
        out_styled(&r->out, OUT_BOLD, "  SHRINK  ");
        text_growth(r, s);
        break;
    case GM_CACHE_FINE:
        out_styled(&r->out, OUT_BOLD, "  FINE    ");
        out_printf(&r->out, "neither half nor several times its capacity would change much\n");
        break;
    }
}

/* ---- one cache: over time ---- */

static int text_time(struct report *r, const struct gm_cache *c)
{
    struct gm_cache_slices slices;
    int e = gm_cache_slices_load(r->recording, c->cache_id, r->from_ns, r->to_ns, &slices);
    if (e < 0)
        return e;
    struct chart_point *hits = calloc(slices.n + 1, sizeof *hits);
    double least = 1, most = 0;
    size_t n = 0;
    for (size_t i = 0; hits && i < slices.n; i++) {
        const struct gm_cache_slice *s = &slices.v[i];
        uint64_t uses = s->hits + s->misses;
        if (!uses)
            continue;
        double ratio = (double)s->hits / (double)uses;
        least = ratio < least ? ratio : least;
        most = ratio > most ? ratio : most;
        hits[n++] = (struct chart_point){s->start_ns, (uint64_t)(ratio * 1e6)};
    }
    if (n > 1) {
        char a[32], b[32];
        out_printf(&r->out, "  hits    ");
        chart_spark(&r->out, hits, n, 0, r->from_ns, r->to_ns, 48);
        out_printf(&r->out, " %s to %s over time\n", show_ratio(a, least), show_ratio(b, most));
    }
    free(hits);
    gm_cache_slices_done(&slices);
    return 0;
}

static void text_change(struct report *r, const struct gm_cache_change *c)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], moment[32];
    out_printf(&r->out, "  at %s  ", show_moment(c->ns, moment));
    if (strcmp(c->kind, "resized") == 0)
        out_printf(&r->out, "resized from %s B to %s B\n", gm_figure_count(a, c->from),
            gm_figure_count(b, c->to));
    else
        out_printf(
            &r->out, "the policy chose anew: %" PRIu64 " after %" PRIu64 "\n", c->to, c->from);
}

static int text_changes(struct report *r, const struct gm_cache *c)
{
    struct gm_cache_changes changes;
    int e = gm_cache_changes_load(r->recording, c->cache_id, &changes);
    if (e < 0)
        return e;
    size_t shown = 0, more = 0;
    for (size_t i = 0; i < changes.n; i++) {
        const struct gm_cache_change *change = &changes.v[i];
        if ((strcmp(change->kind, "resized") != 0 && strcmp(change->kind, "switched") != 0) ||
            change->ns < r->from_ns || change->ns > r->to_ns)
            continue;
        if (shown >= show_cache_rows(r, 4, SIZE_MAX)) {
            more++;
            continue;
        }
        text_change(r, change);
        shown++;
    }
    if (more)
        out_printf(&r->out, "  and %zu more changes of capacity or policy (--all)\n", more);
    gm_cache_changes_done(&changes);
    return 0;
}

/* ---- one cache: the curve ---- */

/* "half", "double" */
static char *factor_text(char text[static 24], uint64_t capacity, uint64_t now)
{
    double factor = now ? (double)capacity / (double)now : 0;
    if (capacity == now)
        snprintf(text, 24, "now");
    else if (factor == 0.5 || factor == 2)
        snprintf(text, 24, "%s", factor < 1 ? "half" : "double");
    else if (factor == (double)(int)factor)
        snprintf(text, 24, "%d times", (int)factor);
    else if (factor > 0 && 1 / factor == (double)(int)(1 / factor))
        snprintf(text, 24, "1/%d", (int)(1 / factor));
    else
        *text = 0; /* between two of those */
    return text;
}

static void text_curve_row(struct report *r, const struct gm_cache_view *s,
    const struct gm_cache_point *p, const struct gm_cache_point *knee,
    const struct gm_cache_point *enough)
{
    char factor[24], bytes[GM_FIGURE_BYTES], ratio[32];
    bool now = p->capacity_bytes == s->cache.capacity_bytes;
    out_styled(&r->out, now ? OUT_BOLD : OUT_PLAIN, "  %10s %10s %7s%c%-4.1f ",
        factor_text(factor, p->capacity_bytes, s->cache.capacity_bytes),
        gm_figure_bytes(bytes, p->capacity_bytes), show_ratio(ratio, p->hit_ratio), OUT_PLUS_MINUS,
        gm_cache_points(p->error));
    out_bar(&r->out, 1 - p->hit_ratio, 1, 34);
    if (p == knee && p == enough)
        out_printf(&r->out, " the knee, and enough");
    else if (p == knee)
        out_printf(&r->out, " the knee");
    else if (p == enough)
        out_printf(&r->out, " enough");
    out_printf(&r->out, "\n");
}

static void text_curve(struct report *r, const struct gm_cache_view *s)
{
    const struct gm_cache_curve *curve = &s->curve;
    const struct gm_cache_point *knee = gm_cache_curve_knee(curve);
    const struct gm_cache_point *enough = gm_cache_curve_enough(curve);
    if (!curve->n)
        return;
    out_printf(&r->out, "\n");
    out_styled(
        &r->out, OUT_BOLD, "  %10s %10s %7s  %-4s %s\n", "", "IF IT HAD", "HITS", "", "MISSES");
    for (size_t i = 0; i < curve->n; i++)
        text_curve_row(r, s, &curve->v[i], knee, enough);
    if (strcmp(s->cache.policy, "other") == 0)
        out_printf(&r->out,
            "  how it evicts is not known: simulated as if it evicted the least recently used\n");
}

/* ---- one cache: entries and misses ---- */

static void text_left(struct report *r, const struct gm_cache *c)
{
    const char *between = "  left    ";
    for (unsigned cause = 1; cause < GM_CAUSE_COUNT; cause++) {
        char n[GM_FIGURE_BYTES], bytes[GM_FIGURE_BYTES];
        if (!c->evictions[cause])
            continue;
        out_printf(&r->out, "%s%s %s (%s)", between, gm_cache_cause_name(cause),
            gm_figure_count(n, c->evictions[cause]),
            gm_figure_bytes(bytes, c->evicted_bytes[cause]));
        between = ", ";
    }
    if (*between == ',')
        out_printf(&r->out, "\n");
}

static void text_ages(
    struct report *r, const struct gm_cache *c, const struct gm_cache_times *times)
{
    static const struct {
        enum gm_cache_time time;
        const char *text;
    } lines[] = {{GM_CACHE_EVICTION_AGE, "  age     until they had to leave"},
        {GM_CACHE_REUSE_TIME, "  reuse   until a key was used again"}};
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], share[32];
    if (gm_cache_one_hit_ratio(c) >= 0)
        out_printf(&r->out, "          %s of what left had never been hit (one-hit wonders)\n",
            show_cache_ratio(c, share, gm_cache_one_hit_ratio(c)));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const uint64_t *v = times->v[lines[i].time];
        if (gm_cache_times_percentile(v, 50) >= 0)
            out_printf(&r->out, "%s: half up to %s, 90%% up to %s\n", lines[i].text,
                time_text(a, (double)gm_cache_times_percentile(v, 50)),
                time_text(b, (double)gm_cache_times_percentile(v, 90)));
    }
}

static void text_misses(struct report *r, const struct gm_cache *c)
{
    char a[32], b[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES];
    double cost = gm_cache_miss_cost_ns(c), seconds = (double)(r->to_ns - r->from_ns) / 1e9;
    double premature = gm_cache_premature_ratio(c), distance = gm_cache_belady_distance(c);
    if (premature >= 0)
        out_printf(&r->out, "  misses  %s of them premature: the key had left shortly before\n",
            show_cache_ratio(c, a, premature));
    if (cost >= 0 && c->misses && seconds > 0)
        out_printf(&r->out, "  cost    %s a miss (%s), %s of every second\n", time_text(b, cost),
            c->loads ? "its loader" : "until the value was stored",
            time_text(d, cost * (double)c->misses / seconds));
    if (distance >= 0)
        out_printf(&r->out,
            "  best    had the future been known, %s more of the uses would have been hits\n",
            show_cache_ratio(c, a, distance));
}

/* ---- one cache ---- */

static void text_contents(struct report *r, const struct gm_cache *c)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES];
    out_printf(&r->out, "  holds %s in %s entr%s", gm_figure_bytes(a, c->used_bytes),
        gm_figure_count(b, c->entries), c->entries == 1 ? "y" : "ies");
    if (c->pinned_entries)
        out_printf(&r->out, "; handed out %s (%s)", gm_figure_count(a, c->pinned_entries),
            gm_figure_bytes(b, c->pinned_bytes));
    out_printf(&r->out, "\n");
}

static void text_title(struct report *r, const struct gm_cache_view *s, size_t i)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], ratio[32], bytes[32];
    const struct gm_cache *c = &s->cache;
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "#%zu ", i + 1);
    out_cut(&r->out, c->name, 40);
    out_printf(&r->out, "  %s, %s%s", c->policy, gm_figure_bytes(a, c->capacity_bytes),
        c->closed_ns >= 0 ? ", closed" : "");
    if (r->processes.n > 1)
        out_printf(&r->out, ", process #%" PRIu32, c->process_id);
    out_printf(&r->out, "\n  %s hits, %s misses: %s of the uses, %s of the bytes\n",
        gm_figure_count(a, c->hits), gm_figure_count(b, c->misses),
        show_ratio(ratio, gm_cache_hit_ratio(c)), show_ratio(bytes, gm_cache_byte_hit_ratio(c)));
    if (c->closed_ns < 0 || c->entries)
        text_contents(r, c);
    if (gm_cache_is_estimated(c))
        out_printf(&r->out, "  what is marked is estimated from %s uses of %.3g%% of the keys\n",
            gm_figure_count(a, c->samples), c->sample_rate_min * 100);
}

static int text_cache(struct report *r, const struct gm_cache_view *s, size_t i)
{
    struct gm_cache_times times;
    text_title(r, s, i);
    text_verdict(r, s);
    int e = text_time(r, &s->cache);
    if (e == 0)
        e = text_changes(r, &s->cache);
    if (e < 0 || r->ranged) /* the rest is known for the whole recording only */
        return e;
    e = gm_cache_times_load(r->recording, s->cache.cache_id, &times);
    if (e < 0)
        return e;
    text_left(r, &s->cache);
    text_ages(r, &s->cache, &times);
    text_misses(r, &s->cache);
    text_curve(r, s);
    return show_cache_parts(r, s);
}

/* ---- all of them ---- */

static void text_split(struct report *r, const struct gm_cache_split *split)
{
    char gained[GM_FIGURE_BYTES];
    if (!split->n)
        return;
    show_title(r, "BEST SPLIT of the same bytes");
    out_styled(&r->out, OUT_BOLD, "  %-24s %10s %10s %8s %12s\n", "CACHE", "NOW", "BEST",
        "HITS NOW", "THEN");
    for (size_t i = 0; i < split->n; i++) {
        const struct gm_cache_share *share = &split->shares[i];
        char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[32], d[32];
        out_printf(&r->out, "  ");
        out_padded(&r->out, split->caches[i]->name, 24);
        out_printf(&r->out, " %10s %10s %8s %7s%c%.1f\n",
            gm_figure_bytes(a, split->caches[i]->capacity_bytes),
            gm_figure_bytes(b, share->capacity_bytes), show_ratio(c, share->hit_ratio_now),
            show_ratio(d, share->hit_ratio), OUT_PLUS_MINUS, gm_cache_points(share->error));
    }
    out_printf(&r->out, "  %c%s misses fewer\n", OUT_ABOUT,
        gm_figure_count(gained, (uint64_t)split->gained));
}

static void text_next(struct report *r, const struct gm_cache_views *s)
{
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "NEXT");
    out_printf(&r->out, "  geomem-top ");
    show_file(r);
    out_printf(&r->out, "    key K: the caches, as they fill\n");
    if (s->n) {
        out_printf(&r->out, "      geomem-report caches --all ");
        show_file(r);
        out_printf(&r->out, "    every cache, class and call site\n");
    }
}

static int caches_text(struct report *r, const struct gm_cache_views *s)
{
    struct gm_cache_split split = {0};
    int e = show_head(r, "caches");
    if (e < 0)
        return e;
    if (!s->n) {
        out_printf(&r->out,
            "\nNo cache was recorded%s: a program has caches where it uses libgeomem's, or tells "
            "of\n"
            "its own (geomem/cache_probe.h).\n",
            r->ranged ? " in this time" : "");
        return 0;
    }
    show_caches_table(r, s, 20);
    for (size_t i = 0; e == 0 && i < show_rows(r, CACHES_SHOWN, s->n); i++)
        e = text_cache(r, &s->v[i], i);
    if (e == 0 && !r->ranged)
        e = gm_cache_split_load(r->recording, s, &split);
    if (e == 0) {
        text_split(r, &split);
        text_next(r, s);
    }
    gm_cache_split_done(&split);
    return e;
}

int report_caches(struct report *report)
{
    struct gm_cache_views views;
    int e = gm_cache_views_load(report->recording, &report->set, &report->processes, report->ranged,
        report->from_ns, report->to_ns, &views);
    if (e < 0)
        return e;
    e = report->options->json ? caches_json(report, &views) : caches_text(report, &views);
    gm_cache_views_done(&views);
    return e;
}
