/* report_sites.c - the table of call sites, in any order. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/report/show.h"

static enum report_weight sites_weight(enum gm_site_order order)
{
    switch (order) {
    case GM_SITE_BY_allocs:
    case GM_SITE_BY_bytes:
    case GM_SITE_BY_rate:
    case GM_SITE_BY_promoted:
        return WEIGHT_ALLOCATED;
    case GM_SITE_BY_peak:
        return WEIGHT_PEAK;
    case GM_SITE_BY_live:
    case GM_SITE_BY_blocks:
    case GM_SITE_BY_growth:
    case GM_SITE_BY_age:
    case GM_SITE_BY_id:
    case GM_SITE_ORDER_COUNT:
        break;
    }
    return WEIGHT_LIVE;
}

static int sites_json(struct report *r, const struct selection *s)
{
    struct json *j = &r->json;
    size_t rows = show_rows(r, s->n, s->n);
    show_json_head(r, "sites");
    json_put_text(j, "sort", gm_site_order_names[r->options->sort]);
    json_put_integer(j, "window_from_ns", s->sites.from_ns);
    json_put_integer(j, "window_to_ns", s->sites.to_ns);
    json_put_count(j, "site_count", s->n);
    int e = show_json_sites(r, s, rows);
    if (e < 0)
        return e;
    json_put_close(j);
    json_end(j);
    return 0;
}

/* The figure whose standard error is shown: the one that sites are ordered by, or what it is made of. */
static enum gm_site_order sites_measure(const struct report *r)
{
    switch (r->options->sort) {
    case GM_SITE_BY_growth:
    case GM_SITE_BY_age:
    case GM_SITE_BY_id:
    case GM_SITE_ORDER_COUNT:
        return GM_SITE_BY_live;
    case GM_SITE_BY_rate:
    case GM_SITE_BY_promoted:
        return GM_SITE_BY_allocs;
    case GM_SITE_BY_live:
    case GM_SITE_BY_blocks:
    case GM_SITE_BY_allocs:
    case GM_SITE_BY_bytes:
    case GM_SITE_BY_peak:
        break;
    }
    return r->options->sort;
}

/* Of a column of bytes; a mark takes one more. */
static int sites_width(const struct report *r)
{
    return gm_run_is_estimated(&r->run) ? 9 : 8;
}

static int sites_row(struct report *r, const struct selection *s, const struct gm_site *site)
{
    char live[GM_FIGURE_BYTES], growth[GM_FIGURE_BYTES], allocs[GM_FIGURE_BYTES],
        bytes[GM_FIGURE_BYTES];
    char rate[GM_FIGURE_BYTES], promoted[GM_FIGURE_BYTES] = "-", age[32], where[512];
    double window_s = (double)(s->sites.to_ns - s->sites.from_ns) / 1e9;
    int e = show_where(r, site->stack_id, where, sizeof where);
    if (e < 0)
        return e;
    if (!r->ranged)
        show_percent(r, promoted, (double)site->promoted[0], (double)site->allocs);
    uint64_t per_second =
        window_s > 0 ? (uint64_t)((double)site->window.allocs / window_s + 0.5) : 0;
    int w = sites_width(r);
    out_printf(&r->out, "%6" PRIu32 " %*s %*s %6s %*s %6s %6s %7s  ", site->site_id, w,
        show_bytes(r, live, site->live_bytes), w,
        show_change(r, growth, (double)gm_site_growth_bytes(site)),
        show_short(r, allocs, site->allocs), w, show_bytes(r, bytes, site->alloc_bytes),
        show_short(r, rate, per_second), promoted, show_age(r, site, age));
    show_margin(r, (uint64_t)fabs(gm_site_order_value(site, sites_measure(r), 0)),
        gm_site_order_variance(&r->run, site, sites_measure(r)), site->samples);
    out_cut(&r->out, where, OUT_COLUMNS - 40 - 3 * (size_t)w - show_margin_columns(r));
    out_printf(&r->out, "\n");
    return 0;
}

static int sites_text(struct report *r, const struct selection *s)
{
    char title[64], from[32], to[32], n[GM_FIGURE_BYTES];
    size_t rows = show_rows(r, 40, s->n);
    int w = sites_width(r);
    snprintf(title, sizeof title, "sites by %s", gm_site_order_names[r->options->sort]);
    int e = show_head(r, title);
    if (e < 0)
        return e;
    out_printf(&r->out, "  growth and allocations/s within %s to %s\n",
        show_moment(s->sites.from_ns, from), show_moment(s->sites.to_ns, to));
    out_styled(&r->out, OUT_BOLD, "\n%6s %*s %*s %6s %*s %6s %6s %7s  %s%s\n", "SITE", w, "LIVE", w,
        "GROWTH", "ALLOCS", w, "BYTES", "/s", "PROM", "AGE", show_margin_title(r), "WHERE");
    for (size_t i = 0; e == 0 && i < rows; i++)
        e = sites_row(r, s, &s->list[i]->sum);
    if (e == 0 && rows < s->n)
        out_printf(
            &r->out, "       %s more sites (--all lists them)\n", gm_figure_count(n, s->n - rows));
    if (e == 0 && s->n == 0)
        out_printf(&r->out, "       no site%s\n", s->filtered ? " is left by the filters" : "");
    return e;
}

int report_sites(struct report *report)
{
    struct selection s;
    int e = selection_load(report, SELECT_GROWTH, sites_weight(report->options->sort), &s);
    if (e < 0)
        return e;
    selection_sort(&s, report->options->sort, report->run.duration_ns);
    e = report->options->json ? sites_json(report, &s) : sites_text(report, &s);
    selection_done(&s);
    return e;
}
