/* report_leaks.c - what is still live at the end, by site.
 *
 * "Still live" is all that is known: a block that was never freed may be a leak, a cache or a table
 * that is meant to stay. The report says what, how much, since when, and from where.
 */
#include <inttypes.h>
#include <stdio.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/names.h"
#include "analyzer/core/where.h"
#include "analyzer/report/show.h"

/* An estimate is over the limit when it is by more than two standard errors; where the limit lies within them, that is
 * said and nothing is claimed. */
static bool leaks_fail_above(
    const struct report *r, uint64_t live, double variance, const char *unit)
{
    uint64_t limit = r->options->fail_above;
    if (variance < 0) /* of blocks at an earlier moment: not known */
        variance = (double)live * (double)live;
    switch (gm_estimate_compare(live, variance, limit)) {
    case GM_ESTIMATE_ABOVE:
        return true;
    case GM_ESTIMATE_UNDECIDED:
        report_fail(REPORT_DONE,
            "--fail-on: %" PRIu64 " %s is within the margin of the estimate, %" PRIu64
            " +/- %.0f (two standard errors): not taken for more; record every event to be sure",
            limit, unit, live, 2 * gm_estimate_error(variance));
        return false;
    case GM_ESTIMATE_BELOW:
        break;
    }
    return false;
}

static bool leaks_fail(const struct report *r, const struct selection *s)
{
    switch (r->options->fail_on) {
    case FAIL_NEVER:
        return false;
    case FAIL_LIVE_BYTES:
        return leaks_fail_above(r, s->live_bytes, s->live_bytes_var, "bytes");
    case FAIL_LIVE_BLOCKS:
        break;
    }
    return leaks_fail_above(r, s->live_blocks, s->live_blocks_var, "blocks");
}

/* Sorted sites that have live blocks come first: their number. */
static size_t leaks_sort(struct report *r, struct selection *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i]->sum.live_blocks)
            s->list[n++] = s->list[i];
    s->n = n;
    selection_sort(
        s, r->options->from.set ? GM_SITE_BY_growth : GM_SITE_BY_live, r->run.duration_ns);
    return n;
}

static int leaks_json(struct report *r, const struct selection *s)
{
    struct json *j = &r->json;
    size_t rows = show_rows(r, s->n, s->n);
    int e = 0;
    show_json_head(r, "leaks");
    json_put_count(j, "live_blocks", s->live_blocks);
    json_put_count(j, "live_bytes", s->live_bytes);
    show_json_error(r, "live_bytes_se", s->live_bytes_var);
    json_put_count(j, "allocations", s->allocs);
    json_put_count(j, "allocated_bytes", s->alloc_bytes);
    json_put_count(j, "site_count", s->n);
    json_put_array(j, "sites", false);
    for (size_t i = 0; e == 0 && i < rows; i++) {
        json_put_object(j, NULL, false);
        json_put_count(j, "rank", i + 1);
        show_json_site(r, s, s->list[i]);
        json_put_real(j, "percent",
            s->live_bytes ? 100.0 * (double)s->list[i]->sum.live_bytes / (double)s->live_bytes : 0);
        e = show_json_stack(r, s->list[i]->sum.stack_id);
        json_put_close(j);
    }
    if (e < 0)
        return e;
    json_put_close(j);
    json_put_close(j);
    json_end(j);
    return 0;
}

static void leaks_total(struct report *r, const struct selection *s)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES];
    char at[32] = "at the end", margin[32];
    if (r->to_ns < r->run.duration_ns)
        show_moment(r->to_ns, at);
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "STILL LIVE");
    out_printf(&r->out, "  %s B%s in %s block%s %s%s", show_count(r, a, s->live_bytes),
        show_margin_text(r, margin, s->live_bytes, s->live_bytes_var),
        show_count(r, b, s->live_blocks), gm_figure_plural(s->live_blocks),
        r->to_ns < r->run.duration_ns ? "at " : "", at);
    out_printf(&r->out, ", from %s site%s", gm_figure_count(c, s->n), gm_figure_plural(s->n));
    if (!r->ranged && !gm_run_is_estimated(&r->run))
        out_printf(&r->out, " (%s of %s allocated)",
            show_percent(r, a, (double)s->live_bytes, (double)s->alloc_bytes),
            show_bytes(r, d, s->alloc_bytes));
    out_printf(&r->out, "\n");
}

static int leaks_row(struct report *r, const struct selection *s, size_t i)
{
    const struct gm_site *site = &s->list[i]->sum;
    char bytes[GM_FIGURE_BYTES], blocks[GM_FIGURE_BYTES], share[GM_FIGURE_BYTES], age[32],
        promoted[GM_FIGURE_BYTES];
    char where[512];
    int e = show_where(r, site->stack_id, where, sizeof where);
    if (e < 0)
        return e;
    if (r->options->from.set)
        show_change(r, age, (double)gm_site_growth_bytes(site));
    else
        show_age(r, site, age);
    if (r->ranged)
        snprintf(promoted, sizeof promoted, "-");
    else
        show_percent(r, promoted, (double)site->promoted[0], (double)site->allocs);
    out_printf(&r->out, "%4zu %9s %9s %6s %9s %8s  ", i + 1, show_bytes(r, bytes, site->live_bytes),
        show_count(r, blocks, site->live_blocks),
        show_percent(r, share, (double)site->live_bytes, (double)s->live_bytes), age, promoted);
    show_margin(r, site->live_bytes, site->live_bytes_var, site->samples);
    out_cut(&r->out, where, OUT_COLUMNS - 52 - show_margin_columns(r));
    out_printf(&r->out, "\n");
    return 0;
}

static int leaks_table(struct report *r, const struct selection *s)
{
    size_t rows = show_rows(r, 20, s->n);
    uint64_t rest = s->live_bytes;
    int e = 0;
    out_styled(&r->out, OUT_BOLD, "\n%4s %9s %9s %6s %9s %8s  %s%s\n", "#", "LIVE", "BLOCKS", "%",
        r->options->from.set ? "GROWTH" : "MEAN AGE", "PROMOTED", show_margin_title(r), "WHERE");
    for (size_t i = 0; e == 0 && i < rows; i++) {
        e = leaks_row(r, s, i);
        rest -= s->list[i]->sum.live_bytes;
    }
    if (e == 0 && rows < s->n) {
        char n[GM_FIGURE_BYTES], bytes[GM_FIGURE_BYTES];
        out_printf(&r->out, "     %9s in %s other site%s (--all lists them)\n",
            show_bytes(r, bytes, rest), gm_figure_count(n, s->n - rows),
            gm_figure_plural(s->n - rows));
    }
    return e;
}

/* "512 B each", "24 B to 176 B each" */
static void leaks_sizes(struct report *r, const struct gm_site *site)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES];
    if (site->min_bytes == site->max_bytes)
        out_printf(&r->out, " of %s", gm_figure_bytes(a, site->min_bytes));
    else
        out_printf(&r->out, " of %s to %s", gm_figure_bytes(a, site->min_bytes),
            gm_figure_bytes(b, site->max_bytes));
}

static void leaks_times(struct report *r, const struct gm_site *site)
{
    char first[32], last[32];
    out_printf(&r->out, "     first at %s, last at %s, ", show_moment(site->first_ns, first),
        show_moment(site->last_ns, last));
    if (site->last_free_ns < 0)
        out_printf(&r->out, "freed never\n");
    else
        out_printf(&r->out, "last freed at %s\n", show_moment(site->last_free_ns, first));
}

static int leaks_detail(struct report *r, const struct selection *s, size_t i)
{
    const struct gm_site_group *g = s->list[i];
    struct gm_stack stack;
    char live[GM_FIGURE_BYTES], blocks[GM_FIGURE_BYTES], allocs[GM_FIGURE_BYTES];
    int e = gm_stack_load(r->recording, g->sum.stack_id, &stack);
    if (e < 0)
        return e;
    out_styled(&r->out, OUT_BOLD, "\n#%zu", i + 1);
    out_printf(&r->out, "  %s B in %s block%s", show_count(r, live, g->sum.live_bytes),
        show_count(r, blocks, g->sum.live_blocks), gm_figure_plural(g->sum.live_blocks));
    leaks_sizes(r, &g->sum);
    if (!r->ranged && gm_run_is_estimated(&r->run))
        out_printf(&r->out, ", by %s", g->sum.allocator);
    else if (!r->ranged)
        out_printf(&r->out, ", of %s allocated by %s", show_count(r, allocs, g->sum.allocs),
            g->sum.allocator);
    out_printf(&r->out, " \u00b7 site %" PRIu32, g->sum.site_id);
    if (g->n > 1)
        out_printf(&r->out, " and %" PRIu32 " more", g->n - 1);
    else if (r->processes.n > 1)
        out_printf(&r->out, " \u00b7 process #%" PRIu32, g->sum.process_id);
    out_printf(&r->out, "\n");
    show_stack(r, &stack, 12);
    gm_stack_done(&stack);
    if (!r->ranged)
        leaks_times(r, &g->sum);
    return 0;
}

static int leaks_text(struct report *r, const struct selection *s)
{
    int e = show_head(r, "still live");
    if (e < 0)
        return e;
    leaks_total(r, s);
    if (s->n == 0) {
        out_printf(&r->out, "\nEverything that was allocated%s was freed.\n",
            s->filtered ? " by the sites asked for" : "");
        return 0;
    }
    e = leaks_table(r, s);
    for (size_t i = 0; e == 0 && i < show_rows(r, 20, s->n) && i < 5; i++)
        e = leaks_detail(r, s, i);
    if (e == 0) {
        out_printf(&r->out,
            "\nStill live is not leaked: tables and caches look the same until they grow.\n");
        out_styled(&r->out, OUT_BOLD, "NEXT");
        out_printf(&r->out, "  geomem-report site %" PRIu32 " ", s->list[0]->sum.site_id);
        show_file(r);
        out_printf(&r->out, "    when it allocated, how old its blocks get\n"
                            "      geomem-report sites --sort=growth ");
        show_file(r);
        out_printf(&r->out, "    what grew\n");
    }
    return e;
}

int report_leaks(struct report *report)
{
    struct selection s;
    int e = selection_load(report, 0, WEIGHT_LIVE, &s);
    if (e < 0)
        return e;
    leaks_sort(report, &s);
    e = report->options->json ? leaks_json(report, &s) : leaks_text(report, &s);
    int exit = e < 0 ? e : leaks_fail(report, &s) ? REPORT_FINDINGS : REPORT_DONE;
    selection_done(&s);
    return exit;
}
