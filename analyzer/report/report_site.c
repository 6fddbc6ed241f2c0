/* report_site.c - everything about one site. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/generations.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/show.h"

struct site_view {
    struct selection selection; /* holds all sites; the group below stands alone */
    struct gm_site_group group;
    const struct gm_site *member;
    struct gm_lifetimes lifetimes;
    struct gm_slices slices;
};

static int site_json(struct report *r, const struct site_view *v)
{
    struct json *j = &r->json;
    show_json_head(r, "site");
    show_json_site(r, &v->selection, &v->group);
    show_json_histogram(j, "lifetimes_bytes", v->lifetimes.bytes);
    show_json_histogram(j, "lifetimes_ns", v->lifetimes.ns);
    json_put_array(j, "timeline", false);
    for (size_t i = 0; i < v->slices.n; i++) {
        const struct gm_slice *s = &v->slices.v[i];
        json_put_object(j, NULL, true);
        json_put_integer(j, "end_ns", s->end_ns);
        json_put_count(j, "allocations", s->allocs);
        json_put_count(j, "allocated_bytes", s->alloc_bytes);
        json_put_count(j, "frees", s->frees);
        json_put_count(j, "freed_bytes", s->free_bytes);
        json_put_count(j, "live_blocks", s->live_blocks);
        json_put_count(j, "live_bytes", s->live_bytes);
        json_put_close(j);
    }
    json_put_close(j);
    int e = show_json_stack(r, v->group.sum.stack_id);
    if (e < 0)
        return e;
    json_put_close(j);
    json_end(j);
    return 0;
}

static void site_margins(struct report *r, const struct gm_site *s)
{
    char n[GM_FIGURE_BYTES], a[32], b[32], c[32];
    out_printf(&r->out, "  from %s sample%s%s:%s allocations,%s bytes,%s bytes still live\n",
        gm_figure_count(n, s->samples), gm_figure_plural(s->samples),
        s->samples < GM_ESTIMATE_FEW ? ", too few to rely on" : "",
        show_margin_text(r, a, s->allocs, s->allocs_var),
        show_margin_text(r, b, s->alloc_bytes, s->alloc_bytes_var),
        show_margin_text(r, c, s->live_bytes, s->live_bytes_var));
}

static void site_figures(struct report *r, const struct gm_site *s)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], age[32], first[32], last[32],
        freed[32];
    struct out *o = &r->out;
    out_printf(o, "\n  allocations   %15s   %15s B   by %s", show_count(r, a, s->allocs),
        show_count(r, b, s->alloc_bytes), s->allocator);
    if (s->reallocs)
        out_printf(o, ", %s by realloc", show_count(r, c, s->reallocs));
    out_printf(o, "\n  frees         %15s   %15s B\n", show_count(r, a, s->allocs - s->live_blocks),
        show_count(r, b, s->alloc_bytes - s->live_bytes));
    out_printf(o, "  still live    %15s   %15s B   mean age %s\n", show_count(r, a, s->live_blocks),
        show_count(r, b, s->live_bytes), show_age(r, s, age));
    out_printf(o, "  at the peak   %15s   %15s B   of its process\n",
        show_count(r, a, s->peak_blocks), show_count(r, b, s->peak_bytes));
    if (gm_run_is_estimated(&r->run))
        site_margins(r, s);
    out_printf(o, "  block sizes   %s to %s\n", gm_figure_bytes(a, s->min_bytes),
        gm_figure_bytes(b, s->max_bytes));
    if (s->last_free_ns < 0)
        snprintf(freed, sizeof freed, "never");
    else
        show_moment(s->last_free_ns, freed);
    out_printf(o, "  first at %s, last at %s, last freed %s\n", show_moment(s->first_ns, first),
        show_moment(s->last_ns, last), freed);
}

static void site_generations(struct report *r, const struct gm_site *s)
{
    uint64_t born = s->allocs;
    show_title(r, "GENERATIONS          BORN    DIED HERE     PROMOTED     RATE");
    for (int g = 0; g < 4; g++) {
        char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES];
        uint64_t promoted = g < 3 ? s->promoted[g] : 0;
        out_printf(&r->out, "  g%d         %12s %12s %12s %8s\n", g, show_count(r, a, born),
            show_count(r, b, s->died[g]), g < 3 ? show_count(r, c, promoted) : "-",
            g < 3 ? show_percent(r, d, (double)promoted, (double)born) : "-");
        born = promoted;
    }
}

static int site_text(struct report *r, const struct site_view *v)
{
    char title[64];
    struct gm_stack stack;
    struct chart_point *points = malloc((v->slices.n + 1) * sizeof *points);
    snprintf(title, sizeof title, "site %" PRIu32, v->member->site_id);
    int e = points ? show_head(r, title) : -1;
    if (e == 0)
        e = gm_stack_load(r->recording, v->member->stack_id, &stack);
    if (e < 0) {
        free(points);
        return e;
    }
    const struct gm_process *p = gm_process_find(&r->processes, v->member->process_id);
    if (p && r->processes.n > 1)
        out_printf(&r->out, "  in process #%" PRIu32 ", pid %" PRId64 "\n", p->process_id, p->pid);
    site_figures(r, v->member);
    show_title(r, "STACK");
    show_stack(r, &stack, 0);
    gm_stack_done(&stack);
    uint64_t most = 0;
    for (size_t i = 0; i < v->slices.n; i++) {
        points[i] = (struct chart_point){v->slices.v[i].end_ns, v->slices.v[i].live_bytes};
        most = points[i].value > most ? points[i].value : most;
    }
    if (most) {
        show_title(r, "LIVE OVER TIME, at the end of each slice");
        chart_draw(&r->out, points, v->slices.n, 0, 0, r->run.duration_ns, 6);
    }
    free(points);
    site_generations(r, v->member);
    show_title(r, "LIFETIMES of freed blocks, in bytes allocated meanwhile");
    chart_lifetimes(&r->out, v->lifetimes.bytes, GM_LIFETIME_BUCKETS, CHART_BYTES);
    show_title(r, "LIFETIMES of freed blocks, in time");
    chart_lifetimes(&r->out, v->lifetimes.ns, GM_LIFETIME_BUCKETS, CHART_NS);
    return 0;
}

int report_site(struct report *report)
{
    struct site_view v = {0};
    int e = gm_sites_load(report->recording, &v.selection.sites);
    if (e < 0)
        return e;
    v.member = gm_site_find(&v.selection.sites, report->options->site_id);
    if (!v.member) {
        e = report_fail(REPORT_USAGE,
            "there is no site %" PRIu32 "; geomem-report sites FILE lists them",
            report->options->site_id);
        goto out;
    }
    v.group = (struct gm_site_group){.sum = *v.member, .first = 0, .n = 1};
    v.selection.groups.members = &v.member;
    e = gm_lifetimes_of_site(report->recording, v.member->site_id, &v.lifetimes);
    if (e == 0)
        e = gm_site_slices_load(report->recording, v.member->site_id, &v.slices);
    if (e == 0)
        e = report->options->json ? site_json(report, &v) : site_text(report, &v);
    v.selection.groups.members = NULL;
out:
    gm_slices_done(&v.slices);
    gm_sites_done(&v.selection.sites);
    return e;
}
