/* report_generations.c - how old blocks get: by process, by site, and as histograms. */
#include <inttypes.h>
#include <stdio.h>

#include "analyzer/core/figures.h"
#include "analyzer/core/collections.h"
#include "analyzer/core/generations.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/show.h"
#include "analyzer/report/show_gc.h"

static void json_generations(struct json *j, const struct report *r, const struct gm_generation *g)
{
    json_put_array(j, "generations", false);
    for (int i = 0; i < 4; i++) {
        json_put_object(j, NULL, true);
        json_put_integer(j, "generation", i);
        json_put_count(j, "from_age_bytes", i ? r->run.g_age_bytes[i - 1] : 0);
        json_put_count(j, "born", g[i].born);
        json_put_count(j, "died", g[i].died);
        json_put_count(j, "died_bytes", g[i].died_bytes);
        json_put_count(j, "promoted", g[i].promoted);
        if (g[i].born && i < 3)
            json_put_real(j, "rate", (double)g[i].promoted / (double)g[i].born);
        else
            json_put_null(j, "rate");
        json_put_count(j, "live_blocks", g[i].live_blocks);
        json_put_close(j);
    }
    json_put_close(j);
}

static int generations_of(struct report *r, uint32_t process_id, struct gm_generation g[static 4])
{
    struct gm_process_set one = {&process_id, 1};
    return gm_generations_load(r->recording, process_id ? &one : &r->set, r->from_ns, r->to_ns, g);
}

static int generations_json(
    struct report *r, const struct selection *s, const struct gm_lifetimes *lifetimes)
{
    struct json *j = &r->json;
    struct gm_generation g[4];
    size_t rows = show_rows(r, s->n, s->n);
    int e = generations_of(r, 0, g);
    if (e < 0)
        return e;
    struct gm_gc_generation gc[2];
    e = gm_gc_generations_load(r->recording, &r->set, r->from_ns, r->to_ns, gc);
    if (e < 0)
        return e;
    show_json_head(r, "generations");
    json_generations(j, r, g);
    if (gc[0].born.blocks || gc[1].born.blocks)
        show_json_gc_generations(j, gc);
    show_json_histogram(j, "lifetimes_bytes", lifetimes->bytes);
    show_json_histogram(j, "lifetimes_ns", lifetimes->ns);
    json_put_array(j, "processes", false);
    for (size_t i = 0; e == 0 && i < r->processes.n; i++) {
        const struct gm_process *p = &r->processes.v[i];
        if (!gm_process_set_has(&r->set, p->process_id))
            continue;
        e = generations_of(r, p->process_id, g);
        json_put_object(j, NULL, false);
        json_put_count(j, "process_id", p->process_id);
        json_put_integer(j, "pid", p->pid);
        json_generations(j, r, g);
        json_put_close(j);
    }
    json_put_close(j);
    if (e == 0)
        e = show_json_sites(r, s, rows);
    if (e < 0)
        return e;
    json_put_close(j);
    json_end(j);
    return 0;
}

static void generations_table(struct report *r, const struct gm_generation g[static 4])
{
    out_styled(&r->out, OUT_BOLD, "  %-14s %12s %12s %12s %8s %12s\n", "AGE", "BORN", "DIED HERE",
        "PROMOTED", "RATE", "LIVE BLOCKS");
    for (int i = 0; i < 4; i++) {
        char age[GM_FIGURE_BYTES], name[48], a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES],
            c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES], l[GM_FIGURE_BYTES];
        snprintf(name, sizeof name, "g%d %s+", i,
            gm_figure_binary(age, i ? r->run.g_age_bytes[i - 1] : 0));
        out_printf(&r->out, "  %-14s %12s %12s %12s %8s %12s\n", name, show_count(r, a, g[i].born),
            show_count(r, b, g[i].died), i < 3 ? show_count(r, c, g[i].promoted) : "-",
            i < 3 ? show_percent(r, d, (double)g[i].promoted, (double)g[i].born) : "-",
            show_count(r, l, g[i].live_blocks));
    }
}

static int generations_sites(struct report *r, const struct selection *s)
{
    size_t rows = show_rows(r, 15, s->n);
    int e = 0;
    show_title(r, "SITES by promoted blocks");
    out_styled(&r->out, OUT_BOLD, "%6s %10s %10s %10s %7s %10s  %s%s\n", "SITE", "BORN",
        "DIED IN G0", "PROMOTED", "RATE", "TO G3", show_margin_title(r), "WHERE");
    for (size_t i = 0; e == 0 && i < rows; i++) {
        const struct gm_site *site = &s->list[i]->sum;
        char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES],
            f[GM_FIGURE_BYTES];
        char where[512];
        e = show_where(r, site->stack_id, where, sizeof where);
        if (e < 0)
            break;
        out_printf(&r->out, "%6" PRIu32 " %10s %10s %10s %7s %10s  ", site->site_id,
            show_count(r, a, site->allocs), show_count(r, b, site->died[0]),
            show_count(r, c, site->promoted[0]),
            show_percent(r, d, (double)site->promoted[0], (double)site->allocs),
            show_count(r, f, site->promoted[2]));
        show_margin(r, site->allocs, site->allocs_var, site->samples);
        out_cut(&r->out, where, OUT_COLUMNS - 60 - show_margin_columns(r));
        out_printf(&r->out, "\n");
    }
    if (e == 0 && rows < s->n)
        out_printf(&r->out, "       %zu more sites (--all lists them)\n", s->n - rows);
    return e;
}

/* Where there is a collector: its own. */
static int generations_collector(struct report *r)
{
    struct gm_gc_generation g[2];
    int e = gm_gc_generations_load(r->recording, &r->set, r->from_ns, r->to_ns, g);
    if (e < 0 || (!g[0].born.blocks && !g[1].born.blocks))
        return e;
    show_title(r, "GENERATIONS of the collector");
    show_gc_generations(r, g);
    return 0;
}

static int generations_text(
    struct report *r, const struct selection *s, const struct gm_lifetimes *lifetimes)
{
    struct gm_generation g[4];
    int e = show_head(r, "generations");
    if (e == 0)
        e = generations_of(r, 0, g);
    if (e < 0)
        return e;
    out_printf(&r->out, "\nA block's age is what its process allocated since its birth.\n");
    generations_table(r, g);
    size_t shown = 0;
    for (size_t i = 0;
         e == 0 && r->processes.n > 1 && i < r->processes.n && shown < show_rows(r, 8, SIZE_MAX);
         i++) {
        const struct gm_process *p = &r->processes.v[i];
        if (!gm_process_set_has(&r->set, p->process_id) || !p->totals.allocs)
            continue;
        e = generations_of(r, p->process_id, g);
        out_printf(&r->out, "\n#%" PRIu32 " pid %" PRId64 "  ", p->process_id, p->pid);
        out_cut(&r->out, p->command, 60);
        out_printf(&r->out, "\n");
        generations_table(r, g);
        shown++;
    }
    if (e == 0)
        e = generations_collector(r);
    if (e < 0 || r->ranged)
        return e; /* sites and lifetimes are known for the whole recording only */
    e = generations_sites(r, s);
    show_title(r, "LIFETIMES of freed blocks, in bytes allocated meanwhile");
    chart_lifetimes(&r->out, lifetimes->bytes, GM_LIFETIME_BUCKETS, CHART_BYTES);
    show_title(r, "LIFETIMES of freed blocks, in time");
    chart_lifetimes(&r->out, lifetimes->ns, GM_LIFETIME_BUCKETS, CHART_NS);
    return e;
}

int report_generations(struct report *report)
{
    struct selection s;
    struct gm_lifetimes lifetimes;
    int e = selection_load(report, 0, WEIGHT_ALLOCATED, &s);
    if (e < 0)
        return e;
    selection_sort(&s, GM_SITE_BY_promoted, report->run.duration_ns);
    e = selection_lifetimes(report, &s, &lifetimes);
    if (e == 0)
        e = report->options->json ? generations_json(report, &s, &lifetimes)
                                  : generations_text(report, &s, &lifetimes);
    selection_done(&s);
    return e;
}
