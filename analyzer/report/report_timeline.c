/* report_timeline.c - live memory over time: a chart, and a table of slices. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/names.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/show.h"

#define TIMELINE_POINTS 4000 /* more than a chart of 72 columns can show */

static int timeline_json(struct report *r, const struct gm_slices *slices,
    const struct gm_samples *samples, const struct gm_marks *marks)
{
    struct json *j = &r->json;
    show_json_head(r, "timeline");
    json_put_array(j, "slices", false);
    for (size_t i = 0; i < slices->n; i++) {
        const struct gm_slice *s = &slices->v[i];
        json_put_object(j, NULL, true);
        json_put_integer(j, "start_ns", s->start_ns);
        json_put_integer(j, "end_ns", s->end_ns);
        json_put_count(j, "allocations", s->allocs);
        json_put_count(j, "allocated_bytes", s->alloc_bytes);
        json_put_count(j, "frees", s->frees);
        json_put_count(j, "freed_bytes", s->free_bytes);
        json_put_count(j, "live_blocks", s->live_blocks);
        json_put_count(j, "live_bytes", s->live_bytes);
        json_put_count(j, "peak_bytes", s->peak_bytes);
        json_put_count(j, "rss_bytes", s->rss_bytes);
        json_put_count(j, "lost_events", s->lost_events);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_array(j, "samples", false);
    for (size_t i = 0; i < samples->n; i++) {
        json_put_object(j, NULL, true);
        json_put_integer(j, "ns", samples->v[i].ns);
        json_put_count(j, "live_bytes", samples->v[i].live_bytes);
        json_put_count(j, "live_blocks", samples->v[i].live_blocks);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_array(j, "marks", false);
    for (size_t i = 0; i < marks->n; i++) {
        json_put_object(j, NULL, true);
        json_put_integer(j, "ns", marks->v[i].ns);
        if (marks->v[i].process_id)
            json_put_count(j, "process_id", marks->v[i].process_id);
        else
            json_put_null(j, "process_id");
        json_put_text(j, "text", marks->v[i].text);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
    json_end(j);
    return 0;
}

/* Adds slice b to a, which goes before it. */
static void slice_merge(struct gm_slice *a, const struct gm_slice *b)
{
    a->end_ns = b->end_ns;
    a->allocs += b->allocs;
    a->alloc_bytes += b->alloc_bytes;
    a->frees += b->frees;
    a->free_bytes += b->free_bytes;
    a->live_blocks = b->live_blocks;
    a->live_bytes = b->live_bytes;
    a->rss_bytes = b->rss_bytes;
    a->lost_events += b->lost_events;
    if (b->peak_bytes > a->peak_bytes)
        a->peak_bytes = b->peak_bytes;
}

static void timeline_row(struct report *r, const struct gm_slice *s, uint64_t most)
{
    char end[32], allocs[GM_FIGURE_BYTES], bytes[GM_FIGURE_BYTES], frees[GM_FIGURE_BYTES],
        live[GM_FIGURE_BYTES], peak[GM_FIGURE_BYTES], rss[GM_FIGURE_BYTES];
    snprintf(end, sizeof end, "%.2f", (double)s->end_ns / 1e9);
    out_printf(&r->out, "%10s %10s %9s %10s %9s %9s %9s  ", end, show_count(r, allocs, s->allocs),
        show_bytes(r, bytes, s->alloc_bytes), show_count(r, frees, s->frees),
        show_bytes(r, live, s->live_bytes), show_bytes(r, peak, s->peak_bytes),
        s->rss_bytes ? gm_figure_bytes(rss, s->rss_bytes) : "-");
    show_margin(
        r, s->live_bytes, gm_estimate_bytes_variance_bound(&r->run, s->live_bytes), UINT64_MAX);
    out_bar(&r->out, (double)s->live_bytes, (double)most,
        s->lost_events || gm_run_is_estimated(&r->run) ? 6 : 14);
    if (s->lost_events)
        out_styled(&r->out, OUT_WARN, " %s lost", gm_figure_short(allocs, s->lost_events));
    out_printf(&r->out, "\n");
}

/* The slices in at most `rows` rows, neighbours put together. */
static void timeline_table(struct report *r, const struct gm_slices *slices, size_t rows)
{
    uint64_t most = 0;
    for (size_t i = 0; i < slices->n; i++)
        most = slices->v[i].live_bytes > most ? slices->v[i].live_bytes : most;
    out_styled(&r->out, OUT_BOLD, "\n%10s %10s %9s %10s %9s %9s %9s  %s%s\n", "UNTIL s", "ALLOCS",
        "BYTES", "FREES", "LIVE", "PEAK", "RSS", show_margin_title(r), "LIVE");
    size_t per_row = rows ? (slices->n + rows - 1) / rows : 1;
    for (size_t i = 0; i < slices->n; i += per_row) {
        struct gm_slice sum = slices->v[i];
        for (size_t k = i + 1; k < i + per_row && k < slices->n; k++)
            slice_merge(&sum, &slices->v[k]);
        timeline_row(r, &sum, most);
    }
    if (per_row > 1)
        out_printf(&r->out, "  each row holds %zu slices (--all shows them all)\n", per_row);
}

static int timeline_text(struct report *r, const struct gm_slices *slices,
    const struct gm_samples *samples, const struct gm_marks *marks)
{
    size_t n = samples->n ? samples->n : slices->n;
    struct chart_point *points = malloc((n + 1) * sizeof *points);
    int e = points ? show_head(r, "live memory over time") : -1;
    if (e < 0) {
        free(points);
        return e;
    }
    for (size_t i = 0; i < n; i++)
        points[i] = samples->n ? (struct chart_point){samples->v[i].ns, samples->v[i].live_bytes}
                               : (struct chart_point){slices->v[i].end_ns, slices->v[i].live_bytes};
    out_printf(&r->out, "\n");
    chart_draw(&r->out, points, n, r->from_ns && n ? points[0].value : 0, r->from_ns, r->to_ns, 10);
    free(points);
    for (size_t i = 0; i < marks->n; i++) {
        char moment[32];
        if (marks->v[i].ns < r->from_ns || marks->v[i].ns > r->to_ns)
            continue;
        out_printf(&r->out, "  mark %10s  ", show_moment(marks->v[i].ns, moment));
        out_cut(&r->out, marks->v[i].text, OUT_COLUMNS - 20);
        out_printf(&r->out, "\n");
    }
    timeline_table(r, slices, r->options->all ? 0 : r->options->top ? r->options->top : 40);
    return 0;
}

int report_timeline(struct report *report)
{
    struct gm_slices slices = {0};
    struct gm_samples samples = {0};
    struct gm_marks marks = {0};
    struct gm_recording *rec = report->recording;
    int e = gm_slices_load(rec, &report->set, 0, report->from_ns, report->to_ns, &slices);
    if (e == 0)
        e = gm_samples_load(rec, &report->set, report->from_ns - 1, report->to_ns,
            report->options->json ? 0 : TIMELINE_POINTS, &samples);
    if (e == 0)
        e = gm_marks_load(rec, &marks);
    if (e == 0)
        e = report->options->json ? timeline_json(report, &slices, &samples, &marks)
                                  : timeline_text(report, &slices, &samples, &marks);
    gm_slices_done(&slices);
    gm_samples_done(&samples);
    gm_marks_done(&marks);
    return e;
}
