/* report_peak.c - what was live when most was live. The sites' figures add up to the peak exactly.
 */
#include <inttypes.h>
#include <stdio.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/where.h"
#include "analyzer/report/show.h"

/* The peak of one process, or of all together. */
struct peak {
    uint64_t bytes, blocks;
    int64_t ns;
    double bytes_var;
};

static struct peak peak_of(const struct report *r)
{
    if (r->set.n == 1) {
        const struct gm_process *p = gm_process_find(&r->processes, r->set.ids[0]);
        return (struct peak){p->peak_bytes, p->peak_blocks, p->peak_ns, p->peak_bytes_var};
    }
    return (struct peak){
        r->run.peak_bytes, r->run.peak_blocks, r->run.peak_ns, r->run.peak_bytes_var};
}

static void peak_keep_live(struct selection *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i]->sum.run_peak_blocks)
            s->list[n++] = s->list[i];
    s->n = n;
}

static int peak_json(struct report *r, const struct selection *s, const struct peak *peak)
{
    struct json *j = &r->json;
    size_t rows = show_rows(r, s->n, s->n);
    int e = 0;
    show_json_head(r, "peak");
    json_put_count(j, "peak_bytes", peak->bytes);
    show_json_error(r, "peak_bytes_se", peak->bytes_var);
    json_put_count(j, "peak_blocks", peak->blocks);
    json_put_integer(j, "peak_ns", peak->ns);
    json_put_bool(j, "exact",
        s->filtered || (s->peak_bytes == peak->bytes && s->peak_blocks == peak->blocks));
    json_put_count(j, "site_count", s->n);
    json_put_array(j, "sites", false);
    for (size_t i = 0; e == 0 && i < rows; i++) {
        const struct gm_site *site = &s->list[i]->sum;
        json_put_object(j, NULL, false);
        show_json_site(r, s, s->list[i]);
        json_put_real(j, "percent",
            peak->bytes ? 100.0 * (double)site->run_peak_bytes / (double)peak->bytes : 0);
        e = show_json_stack(r, site->stack_id);
        json_put_close(j);
    }
    if (e < 0)
        return e;
    json_put_close(j);
    json_put_close(j);
    json_end(j);
    return 0;
}

static int peak_row(struct report *r, const struct gm_site *site, const struct peak *peak)
{
    char bytes[GM_FIGURE_BYTES], blocks[GM_FIGURE_BYTES], share[GM_FIGURE_BYTES],
        live[GM_FIGURE_BYTES];
    char where[512];
    int e = show_where(r, site->stack_id, where, sizeof where);
    if (e < 0)
        return e;
    out_printf(&r->out, "%6" PRIu32 " %9s %10s %6s %9s  ", site->site_id,
        show_bytes(r, bytes, site->run_peak_bytes), show_count(r, blocks, site->run_peak_blocks),
        show_percent(r, share, (double)site->run_peak_bytes, (double)peak->bytes),
        show_bytes(r, live, site->live_bytes));
    show_margin(r, site->run_peak_bytes,
        gm_estimate_bytes_variance_bound(&r->run, site->run_peak_bytes), site->samples);
    out_cut(&r->out, where, OUT_COLUMNS - 47 - show_margin_columns(r));
    out_printf(&r->out, "\n");
    return 0;
}

static int peak_text(struct report *r, const struct selection *s, const struct peak *peak)
{
    char bytes[GM_FIGURE_BYTES], blocks[GM_FIGURE_BYTES], moment[32], margin[32];
    size_t rows = show_rows(r, 20, s->n);
    uint64_t rest = s->peak_bytes;
    int e = show_head(r, "live at the peak");
    if (e < 0)
        return e;
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "PEAK");
    out_printf(&r->out, "  %s B%s in %s blocks at %s%s\n", show_count(r, bytes, peak->bytes),
        show_margin_text(r, margin, peak->bytes, peak->bytes_var),
        show_count(r, blocks, peak->blocks), show_moment(peak->ns, moment),
        r->set.n == 0 && r->processes.n > 1 ? ", all processes together" : "");
    if (!s->filtered && (s->peak_bytes != peak->bytes || s->peak_blocks != peak->blocks))
        out_styled(&r->out, OUT_WARN,
            "  the sites add up to %" PRIu64 " B instead: the recording is inconsistent\n",
            s->peak_bytes);
    out_styled(&r->out, OUT_BOLD, "\n%6s %9s %10s %6s %9s  %s%s\n", "SITE", "AT PEAK", "BLOCKS",
        "%", "AT END", show_margin_title(r), "WHERE");
    for (size_t i = 0; e == 0 && i < rows; i++) {
        e = peak_row(r, &s->list[i]->sum, peak);
        rest -= s->list[i]->sum.run_peak_bytes;
    }
    if (e == 0 && rows < s->n)
        out_printf(&r->out, "       %9s in %zu other site%s (--all lists them)\n",
            show_bytes(r, bytes, rest), s->n - rows, gm_figure_plural(s->n - rows));
    return e;
}

int report_peak(struct report *report)
{
    struct selection s;
    if (report->set.n > 1)
        return report_fail(REPORT_USAGE,
            "pid %" PRId64 " ran several programs in turn, each with a peak of its own;"
            " name one: --process '#%u'",
            gm_process_find(&report->processes, report->set.ids[0])->pid,
            report->set.ids[report->set.n - 1]);
    int e = selection_load(report, 0, WEIGHT_PEAK, &s);
    if (e < 0)
        return e;
    const struct peak peak = peak_of(report);
    peak_keep_live(&s);
    selection_sort(&s, GM_SITE_BY_peak, report->run.duration_ns);
    e = report->options->json ? peak_json(report, &s, &peak) : peak_text(report, &s, &peak);
    selection_done(&s);
    return e;
}
