/* report_gc.c - what the program's collector did: collections, pauses, what it promoted and for what. */
#include <inttypes.h>
#include <stdio.h>

#include "analyzer/core/collections.h"
#include "analyzer/core/figures.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/show.h"
#include "analyzer/report/show_gc.h"

struct gc_report {
    struct report *report;
    struct gm_gc gc;
    struct gm_gc_generation generations[2];
    struct gm_gc_sites sites;
};

static int gc_load(struct gc_report *t)
{
    struct report *r = t->report;
    int e = gm_gc_read(r->recording, &r->set, r->from_ns, r->to_ns, &t->gc);
    if (e == 0)
        e = gm_gc_generations_load(r->recording, &r->set, r->from_ns, r->to_ns, t->generations);
    if (e == 0)
        e = gm_gc_sites_load(r->recording, &r->set, &t->sites);
    return e;
}

static void gc_done(struct gc_report *t)
{
    gm_gc_done(&t->gc);
    gm_gc_sites_done(&t->sites);
}

static const char *kind_text(unsigned kind)
{
    return kind == GM_GC_mostly_concurrent ? "mostly concurrent"
           : gm_gc_kind_name(kind)         ? gm_gc_kind_name(kind)
                                           : "unknown";
}

/* Bucket of chart_lifetimes: its length in bits. */
static void pauses_histogram(const struct gm_pauses *pauses, uint64_t buckets[GM_LIFETIME_BUCKETS])
{
    for (size_t i = 0; i < pauses->n; i++) {
        uint64_t ns = pauses->v[i].ns;
        unsigned bits = ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;
        buckets[bits < GM_LIFETIME_BUCKETS ? bits : GM_LIFETIME_BUCKETS - 1] += pauses->v[i].count;
    }
}

/* ---- JSON ---- */

static const struct {
    const char *name;
    double percent;
} percentiles[] = {
    {"p50_ns", 50}, {"p90_ns", 90}, {"p99_ns", 99}, {"p999_ns", 99.9}, {"max_ns", 100}};

static void json_pauses(struct json *j, const struct gm_pauses *pauses)
{
    json_put_object(j, "pauses", true);
    json_put_count(j, "count", pauses->count);
    json_put_count(j, "total_ns", pauses->sum_ns);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
        json_put_count(
            j, percentiles[i].name, gm_pauses_percentile(pauses, percentiles[i].percent));
    json_put_close(j);
}

static void json_figures(struct json *j, const struct gm_gc_of_kind *k)
{
    static const char *const names[GM_CYCLE_FIGURE_COUNT] = {
#define GM_X(name, text) [GM_CYCLE_##name] = #name,
        GM_CYCLE_FIGURES(GM_X)
#undef GM_X
    };
    /* Sums; those of what there was before and after a collection say nothing. */
    for (int i = GM_CYCLE_stop_ns; i <= GM_CYCLE_promoted_bytes; i++)
        if (i != GM_CYCLE_threads_stopped)
            json_put_count(j, names[i], k->figures[i]);
}

static void json_kind(struct json *j, const struct gm_gc_of_kind *k, unsigned kind)
{
    json_put_object(j, NULL, false);
    json_put_text(j, "kind", kind ? gm_gc_kind_name(kind) : "all");
    json_put_count(j, "collections", k->collections);
    json_put_object(j, "causes", true);
    for (unsigned i = 1; i < GM_GC_TRIGGERS_ROOM; i++)
        json_put_count(j, gm_gc_trigger_name(i), k->triggers[i]);
    json_put_close(j);
    json_pauses(j, &k->pauses);
    json_figures(j, k);
    json_put_close(j);
}

static int json_cycle(void *arg, int64_t id, const struct gm_gc_cycle *c)
{
    struct json *j = arg;
    json_put_object(j, NULL, true);
    json_put_count(j, "cycle_id", (uint64_t)id);
    json_put_count(j, "process_id", c->process_id);
    json_put_count(j, "heap", c->heap);
    json_put_count(j, "number", c->number);
    json_put_text(j, "kind", gm_gc_kind_name(c->kind));
    json_put_text(j, "cause", gm_gc_trigger_name(c->trigger));
    json_put_integer(j, "start_ns", c->start_ns);
    json_put_integer(j, "end_ns", c->end_ns);
    if (c->collections > 1)
        json_put_count(j, "collections", c->collections);
#define GM_X(name, text) json_put_count(j, #name, c->figures[GM_CYCLE_##name]);
    GM_CYCLE_FIGURES(GM_X)
#undef GM_X
    json_put_close(j);
    return 0;
}

static int json_sites(struct report *r, const struct gm_gc_sites *sites)
{
    struct json *j = &r->json;
    size_t rows = show_rows(r, sites->n, sites->n);
    int e = 0;
    json_put_array(j, "sites", false);
    for (size_t i = 0; e == 0 && i < rows; i++) {
        const struct gm_gc_site *s = &sites->v[i];
        json_put_object(j, NULL, false);
        json_put_count(j, "site_id", s->site_id);
        show_json_gc_sum(j, "born", &s->born);
        show_json_gc_sum(j, "died_young", &s->died_young);
        show_json_gc_sum(j, "died_old", &s->died_old);
        show_json_gc_sum(j, "freed", &s->freed);
        show_json_gc_sum(j, "promoted", &s->promoted);
        show_json_gc_sum(j, "premature", &s->premature);
        show_json_gc_sum(j, "nepotism_at_most", &s->nepotism);
        e = show_json_stack(r, s->stack_id);
        json_put_close(j);
    }
    json_put_close(j);
    return e;
}

static int gc_json(struct gc_report *t)
{
    struct report *r = t->report;
    struct json *j = &r->json;
    uint64_t buckets[GM_LIFETIME_BUCKETS] = {0};
    show_json_head(r, "gc");
    json_put_array(j, "collections", false);
    for (unsigned kind = 0; kind < GM_GC_KINDS_ROOM; kind++)
        if (kind == 0 || t->gc.kinds[kind].collections)
            json_kind(j, &t->gc.kinds[kind], kind);
    json_put_close(j);
    pauses_histogram(&t->gc.kinds[0].pauses, buckets);
    show_json_histogram(j, "pause_histogram", buckets);
    show_json_gc_generations(j, t->generations);
    int e = json_sites(r, &t->sites);
    json_put_array(j, "cycles", false);
    if (e == 0)
        e = gm_gc_walk(r->recording, &r->set, 0, r->from_ns, r->to_ns, json_cycle, j);
    if (e < 0)
        return e;
    json_put_close(j);
    json_put_close(j);
    json_end(j);
    return 0;
}

/* ---- text ---- */

static char *time_text(char text[static GM_FIGURE_BYTES], uint64_t ns)
{
    return gm_figure_time(text, ns > INT64_MAX ? INT64_MAX : (int64_t)ns);
}

static void text_kind(struct report *r, const struct gm_gc_of_kind *k, const char *name)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES],
        e[GM_FIGURE_BYTES], f[GM_FIGURE_BYTES], g[GM_FIGURE_BYTES];
    const struct gm_pauses *p = &k->pauses;
    out_printf(&r->out, "  %-18s %9s %8s %8s %8s %8s %9s %9s\n", name,
        gm_figure_count(a, k->collections), time_text(b, gm_pauses_percentile(p, 50)),
        time_text(c, gm_pauses_percentile(p, 90)), time_text(d, gm_pauses_percentile(p, 99)),
        time_text(e, gm_pauses_percentile(p, 100)), time_text(f, p->sum_ns),
        time_text(g, k->figures[GM_CYCLE_cpu_ns]));
}

/* "by allocation 12, explicit 1" */
static void text_causes(struct report *r, const struct gm_gc_of_kind *k)
{
    const char *between = "  because of ";
    for (unsigned i = 1; i < GM_GC_TRIGGERS_ROOM; i++) {
        char n[GM_FIGURE_BYTES];
        if (!k->triggers[i])
            continue;
        out_printf(
            &r->out, "%s%s %s", between, gm_gc_trigger_name(i), gm_figure_count(n, k->triggers[i]));
        between = ", ";
    }
    out_printf(&r->out, "\n");
}

static void text_collections(struct report *r, const struct gm_gc *gc)
{
    char share[GM_FIGURE_BYTES];
    const struct gm_gc_of_kind *all = &gc->kinds[0];
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "%-20s %9s %8s %8s %8s %8s %9s %9s\n", "COLLECTIONS", "COUNT",
        "P50", "P90", "P99", "LONGEST", "PAUSED", "CPU");
    unsigned kinds = 0;
    for (unsigned kind = 1; kind < GM_GC_KINDS_ROOM; kind++) {
        if (!gc->kinds[kind].collections)
            continue;
        text_kind(r, &gc->kinds[kind], kind_text(kind));
        kinds++;
    }
    if (kinds != 1)
        text_kind(r, all, "all");
    text_causes(r, all);
    out_printf(&r->out, "  the world stood still for %s of the time\n",
        gm_figure_percent(share, (double)all->pauses.sum_ns, (double)(r->to_ns - r->from_ns)));
}

static void text_phases(struct report *r, const struct gm_gc_of_kind *all)
{
    static const struct {
        enum gm_cycle_figure figure;
        const char *name;
    } phases[] = {{GM_CYCLE_stop_ns, "stopping"}, {GM_CYCLE_roots_ns, "roots"},
        {GM_CYCLE_mark_ns, "marking"}, {GM_CYCLE_notes_ns, "notes"},
        {GM_CYCLE_sweep_ns, "sweeping"}};
    const char *between = "  phases: ";
    char concurrent[GM_FIGURE_BYTES];
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        char text[GM_FIGURE_BYTES];
        if (!all->figures[phases[i].figure])
            continue;
        out_printf(&r->out, "%s%s %s", between, phases[i].name,
            time_text(text, all->figures[phases[i].figure]));
        between = ", ";
    }
    out_printf(&r->out, "\n");
    if (all->figures[GM_CYCLE_concurrent_mark_ns])
        out_printf(&r->out, "  and while the program ran: marking %s\n",
            time_text(concurrent, all->figures[GM_CYCLE_concurrent_mark_ns]));
}

static void text_longest(struct report *r, const struct gm_gc *gc)
{
    size_t rows = show_rows(r, GM_GC_LONGEST, gc->longest_count);
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "%-18s %-17s %-10s %8s %9s %9s %9s\n", "LONGEST PAUSES", "KIND",
        "CAUSE", "PAUSE", "BEFORE", "AFTER", "PROMOTED");
    for (size_t i = 0; i < rows && i < gc->longest_count; i++) {
        const struct gm_gc_cycle *c = &gc->longest[i];
        const uint64_t *f = c->figures;
        char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES], e[GM_FIGURE_BYTES],
            moment[32], at[48];
        snprintf(at, sizeof at, "at %s", show_moment(c->end_ns, moment));
        out_printf(&r->out, "  %-16s %-17s %-10s %8s %9s %9s %9s\n", at, kind_text(c->kind),
            gm_gc_trigger_name(c->trigger) ? gm_gc_trigger_name(c->trigger) : "unknown",
            time_text(a, f[GM_CYCLE_max_pause_ns]),
            gm_figure_bytes(b, f[GM_CYCLE_young_before_bytes] + f[GM_CYCLE_old_before_bytes]),
            gm_figure_bytes(d, f[GM_CYCLE_young_after_bytes] + f[GM_CYCLE_old_after_bytes]),
            gm_figure_bytes(e, f[GM_CYCLE_promoted_bytes]));
    }
}

static int text_sites(struct report *r, const struct gm_gc_sites *sites)
{
    size_t rows = show_rows(r, 15, sites->n);
    int e = 0;
    show_title(r, "SITES by promoted bytes");
    out_styled(&r->out, OUT_BOLD, "%6s %6s %6s %8s %6s %8s %8s  %s\n", "SITE", "BORN", "DIED",
        "PROMOTED", "RATE", "IN VAIN", "NEPOTISM", "WHERE");
    for (size_t i = 0; e == 0 && i < rows; i++) {
        const struct gm_gc_site *s = &sites->v[i];
        char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES],
            f[GM_FIGURE_BYTES], g[GM_FIGURE_BYTES], where[512];
        e = show_where(r, s->stack_id, where, sizeof where);
        if (e < 0)
            break;
        out_printf(&r->out, "%6" PRIu32 " %6s %6s %8s %6s %8s %8s  ", s->site_id,
            show_short(r, a, s->born.blocks),
            show_short(r, b, s->died_young.blocks + s->died_old.blocks),
            show_short(r, c, s->promoted.blocks),
            show_percent(r, d, (double)s->promoted.blocks, (double)s->born.blocks),
            show_short(r, f, s->premature.blocks), show_short(r, g, s->nepotism.blocks));
        out_cut(&r->out, where, OUT_COLUMNS - 56);
        out_printf(&r->out, "\n");
    }
    if (e == 0 && rows < sites->n)
        out_printf(&r->out, "       %zu more sites (--all lists them)\n", sites->n - rows);
    return e;
}

static int gc_text(struct gc_report *t)
{
    struct report *r = t->report;
    uint64_t buckets[GM_LIFETIME_BUCKETS] = {0};
    int e = show_head(r, "gc");
    if (e < 0)
        return e;
    if (!t->gc.kinds[0].collections && !t->generations[0].born.blocks &&
        !t->generations[1].born.blocks) {
        out_printf(&r->out,
            "\nNo collection was recorded%s: a program has collections where it uses "
            "libgeomem.\n",
            r->ranged ? " in this time" : "");
        return 0;
    }
    if (t->gc.kinds[0].collections) {
        text_collections(r, &t->gc);
        text_phases(r, &t->gc.kinds[0]);
        show_title(r, "PAUSES");
        pauses_histogram(&t->gc.kinds[0].pauses, buckets);
        chart_lifetimes(&r->out, buckets, GM_LIFETIME_BUCKETS, CHART_NS);
        text_longest(r, &t->gc);
    }
    show_title(r, "GENERATIONS of the collector");
    show_gc_generations(r, t->generations);
    /* sites are known for the whole recording only */
    return r->ranged || t->sites.n == 0 ? 0 : text_sites(r, &t->sites);
}

int report_gc(struct report *report)
{
    struct gc_report t = {.report = report};
    int e = gc_load(&t);
    if (e == 0)
        e = report->options->json ? gc_json(&t) : gc_text(&t);
    gc_done(&t);
    return e;
}
