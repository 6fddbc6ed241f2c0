/* report_summary.c - the whole recording on one page. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/cache_views.h"
#include "analyzer/core/collections.h"
#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/generations.h"
#include "analyzer/core/names.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/show.h"
#include "analyzer/report/show_caches.h"

/* Totals of what was asked for: all or some processes, all or some of the time. */
struct summary {
    struct gm_totals totals;
    uint64_t peak_bytes, peak_blocks, lost_events, sites;
    double peak_bytes_var;
    int64_t peak_ns;
    size_t processes, threads;
    struct gm_generation generations[4];
    struct gm_gc gc;
    struct gm_gc_generation gc_generations[2];
    struct gm_cache_views caches;
    struct selection selection;
    struct gm_slices slices;
};

static void totals_add(struct gm_totals *sum, const struct gm_totals *t)
{
    sum->allocs += t->allocs;
    sum->alloc_bytes += t->alloc_bytes;
    sum->frees += t->frees;
    sum->free_bytes += t->free_bytes;
    sum->reallocs += t->reallocs;
    sum->unmatched_frees += t->unmatched_frees;
    sum->implicit_frees += t->implicit_frees;
    sum->live_blocks += t->live_blocks;
    sum->live_bytes += t->live_bytes;
    sum->rss_bytes += t->rss_bytes;
    sum->samples += t->samples;
    sum->allocs_var += t->allocs_var;
    sum->alloc_bytes_var += t->alloc_bytes_var;
    sum->live_blocks_var += t->live_blocks_var;
    sum->live_bytes_var += t->live_bytes_var;
}

/* Figures of the processes asked for, over the whole recording. */
static void summary_of_processes(const struct report *r, struct summary *s)
{
    s->peak_bytes = r->run.peak_bytes;
    s->peak_blocks = r->run.peak_blocks;
    s->peak_ns = r->run.peak_ns;
    s->peak_bytes_var = r->run.peak_bytes_var;
    for (size_t i = 0; i < r->processes.n; i++) {
        const struct gm_process *p = &r->processes.v[i];
        if (!gm_process_set_has(&r->set, p->process_id))
            continue;
        s->processes++;
        s->lost_events += p->lost_events;
        totals_add(&s->totals, &p->totals);
        if (r->set.n && (s->processes == 1 || p->peak_bytes > s->peak_bytes)) {
            s->peak_bytes = p->peak_bytes;
            s->peak_blocks = p->peak_blocks;
            s->peak_ns = p->peak_ns;
            s->peak_bytes_var = p->peak_bytes_var;
        }
    }
    if (!r->set.n)
        s->lost_events = r->run.lost_events;
}

/* Figures within --from..--to, from the slices. */
static void summary_of_range(const struct report *r, struct summary *s)
{
    struct gm_totals t = {0};
    s->peak_bytes = s->peak_blocks = 0;
    s->lost_events = 0;
    for (size_t i = 0; i < s->slices.n; i++) {
        const struct gm_slice *slice = &s->slices.v[i];
        t.allocs += slice->allocs;
        t.alloc_bytes += slice->alloc_bytes;
        t.frees += slice->frees;
        t.free_bytes += slice->free_bytes;
        t.live_blocks = slice->live_blocks;
        t.live_bytes = slice->live_bytes;
        t.rss_bytes = slice->rss_bytes;
        s->lost_events += slice->lost_events;
        if (slice->peak_bytes > s->peak_bytes) {
            s->peak_bytes = slice->peak_bytes;
            s->peak_ns = slice->end_ns;
        }
    }
    t.alloc_bytes_var = gm_estimate_bytes_variance_bound(&r->run, t.alloc_bytes);
    t.live_bytes_var = gm_estimate_bytes_variance_bound(&r->run, t.live_bytes);
    s->peak_bytes_var = gm_estimate_bytes_variance_bound(&r->run, s->peak_bytes);
    s->totals = t;
}

static int summary_load(struct report *r, struct summary *s)
{
    struct gm_threads threads = {0};
    int e = gm_slices_load(r->recording, &r->set, 0, r->from_ns, r->to_ns, &s->slices);
    if (e == 0)
        e = gm_threads_load(r->recording, &threads);
    if (e == 0)
        e = gm_generations_load(r->recording, &r->set, r->from_ns, r->to_ns, s->generations);
    if (e == 0)
        e = gm_gc_read(r->recording, &r->set, r->from_ns, r->to_ns, &s->gc);
    if (e == 0)
        e = gm_gc_generations_load(r->recording, &r->set, r->from_ns, r->to_ns, s->gc_generations);
    if (e == 0)
        e = gm_cache_views_load(
            r->recording, &r->set, &r->processes, r->ranged, r->from_ns, r->to_ns, &s->caches);
    if (e == 0)
        e = selection_load(r, 0, WEIGHT_LIVE, &s->selection);
    if (e == 0) {
        summary_of_processes(r, s);
        if (r->ranged)
            summary_of_range(r, s);
        for (size_t i = 0; i < threads.n; i++)
            s->threads += gm_process_set_has(&r->set, threads.v[i].process_id);
        for (size_t i = 0; i < s->selection.sites.n; i++)
            s->sites += gm_process_set_has(&r->set, s->selection.sites.v[i].process_id);
    }
    gm_threads_done(&threads);
    return e;
}

static void summary_done(struct summary *s)
{
    gm_slices_done(&s->slices);
    gm_gc_done(&s->gc);
    gm_cache_views_done(&s->caches);
    selection_done(&s->selection);
}

/* ---- JSON
 * -------------------------------------------------------------------------------------------- */

static void json_totals(struct report *r, const struct gm_totals *t, bool ranged)
{
    struct json *j = &r->json;
    json_put_count(j, "allocations", t->allocs);
    json_put_count(j, "frees", t->frees);
    json_put_count(j, "allocated_bytes", t->alloc_bytes);
    json_put_count(j, "freed_bytes", t->free_bytes);
    if (!ranged) {
        json_put_count(j, "reallocs", t->reallocs);
        json_put_count(j, "unmatched_frees", t->unmatched_frees);
        json_put_count(j, "implicit_frees", t->implicit_frees);
    }
    json_put_count(j, "live_blocks", t->live_blocks);
    json_put_count(j, "live_bytes", t->live_bytes);
    show_json_error(r, "allocated_bytes_se", t->alloc_bytes_var);
    show_json_error(r, "live_bytes_se", t->live_bytes_var);
    if (ranged)
        return;
    show_json_error(r, "allocations_se", t->allocs_var);
    show_json_error(r, "live_blocks_se", t->live_blocks_var);
}

static void json_process(struct report *r, const struct gm_process *p)
{
    struct json *j = &r->json;
    json_put_object(j, NULL, false);
    json_put_count(j, "process_id", p->process_id);
    json_put_integer(j, "pid", p->pid);
    if (p->parent_process_id)
        json_put_count(j, "parent_process_id", p->parent_process_id);
    else
        json_put_null(j, "parent_process_id");
    json_put_text(j, "origin", p->origin);
    json_put_text(j, "exe", p->exe);
    json_put_text(j, "command", p->command);
    json_put_integer(j, "start_ns", p->start_ns);
    json_put_time(j, "end_ns", p->end_ns);
    json_put_text(j, "end_kind", p->end_kind);
    if (p->end_kind)
        json_put_integer(j, "end_value", p->end_value);
    else
        json_put_null(j, "end_value");
    json_put_count(j, "threads", p->threads);
    json_totals(r, &p->totals, false);
    json_put_count(j, "peak_live_bytes", p->peak_bytes);
    show_json_error(r, "peak_live_bytes_se", p->peak_bytes_var);
    json_put_count(j, "peak_live_blocks", p->peak_blocks);
    json_put_integer(j, "peak_ns", p->peak_ns);
    json_put_count(j, "rss_bytes", p->totals.rss_bytes);
    json_put_count(j, "lost_events", p->lost_events);
    json_put_count(j, "corrupt_records", p->corrupt_records);
    json_put_close(j);
}

static void json_run(struct report *r)
{
    struct json *j = &r->json;
    const struct gm_run *run = &r->run;
    json_put_text(j, "command", run->command);
    json_put_text(j, "cwd", run->cwd);
    json_put_text(j, "host", run->host);
    json_put_text(j, "kernel", run->kernel);
    json_put_text(j, "geomem_version", run->geomem_version);
    json_put_integer(j, "start_utc_ns", run->start_utc_ns);
    json_put_integer(j, "duration_ns", run->duration_ns);
    if (run->has_exit)
        json_put_integer(j, "exit_status", run->exit_status);
    else
        json_put_null(j, "exit_status");
    if (run->exit_signal)
        json_put_integer(j, "exit_signal", run->exit_signal);
    else
        json_put_null(j, "exit_signal");
    json_put_text(j, "stop_reason", run->stop_reason);
    json_put_count(j, "events", run->events);
    json_put_count(j, "corrupt_records", run->corrupt_records);
    json_put_count(j, "late_events", run->late_events);
    json_put_count(j, "hash_collisions", run->hash_collisions);
    json_put_count(j, "cut_stacks", run->cut_stacks);
    json_put_count(j, "left_out_stacks", run->left_out_stacks);
    json_put_count(j, "recorder_cpu_ns", run->recorder_cpu_ns);
    json_put_count(j, "recorder_rss_bytes", run->recorder_rss_bytes);
    if (run->memory_limit_kind)
        json_put_count(j, "memory_limit_bytes", run->memory_limit_bytes);
    else
        json_put_null(j, "memory_limit_bytes");
    json_put_text(j, "memory_limit_kind", run->memory_limit_kind);
    if (!gm_run_is_estimated(run))
        return;
    if (run->sample_budget > 0)
        json_put_real(j, "sample_budget", run->sample_budget);
    if (run->sample_share >= 0)
        json_put_real(j, "sample_share", run->sample_share);
}

static void json_collections(struct json *j, const struct summary *s)
{
    const struct gm_pauses *pauses = &s->gc.kinds[0].pauses;
    json_put_object(j, "gc", true);
    json_put_count(j, "collections", s->gc.kinds[0].collections);
    json_put_count(j, "young_collections", s->gc.kinds[GM_GC_young].collections);
    json_put_count(j, "pause_total_ns", pauses->sum_ns);
    json_put_count(j, "pause_p50_ns", gm_pauses_percentile(pauses, 50));
    json_put_count(j, "pause_p99_ns", gm_pauses_percentile(pauses, 99));
    json_put_count(j, "pause_max_ns", gm_pauses_percentile(pauses, 100));
    json_put_count(j, "cpu_ns", s->gc.kinds[0].figures[GM_CYCLE_cpu_ns]);
    json_put_count(j, "promoted_blocks", s->gc_generations[0].promoted.blocks);
    json_put_count(j, "premature_blocks", s->gc_generations[1].premature.blocks);
    json_put_close(j);
}

static void json_caches(struct json *j, const struct gm_cache_views *caches)
{
    json_put_array(j, "caches", false);
    for (size_t i = 0; i < caches->n; i++) {
        const struct gm_cache *c = &caches->v[i].cache;
        json_put_object(j, NULL, true);
        json_put_count(j, "cache_id", c->cache_id);
        json_put_text(j, "name", c->name);
        json_put_count(j, "hits", c->hits);
        json_put_count(j, "misses", c->misses);
        show_json_ratio(j, "hit_ratio", gm_cache_hit_ratio(c));
        json_put_count(j, "capacity_bytes", c->capacity_bytes);
        json_put_count(j, "used_bytes", c->used_bytes);
        json_put_text(j, "verdict", gm_cache_verdict_names[caches->v[i].advice.verdict]);
        json_put_close(j);
    }
    json_put_close(j);
}

static void summary_json(struct report *r, const struct summary *s)
{
    struct json *j = &r->json;
    show_json_head(r, "summary");
    json_run(r);
    json_totals(r, &s->totals, r->ranged);
    json_put_count(j, "peak_live_bytes", s->peak_bytes);
    show_json_error(r, "peak_live_bytes_se", s->peak_bytes_var);
    if (r->ranged)
        json_put_null(j, "peak_live_blocks");
    else
        json_put_count(j, "peak_live_blocks", s->peak_blocks);
    json_put_integer(j, "peak_ns", s->peak_ns);
    json_put_count(j, "processes", s->processes);
    json_put_count(j, "threads", s->threads);
    json_put_count(j, "sites", s->sites);
    json_put_array(j, "generations", false);
    for (int g = 0; g < 4; g++) {
        json_put_object(j, NULL, true);
        json_put_integer(j, "generation", g);
        json_put_count(j, "born", s->generations[g].born);
        json_put_count(j, "died", s->generations[g].died);
        json_put_count(j, "promoted", s->generations[g].promoted);
        json_put_close(j);
    }
    json_put_close(j);
    if (s->gc.kinds[0].collections)
        json_collections(j, s);
    if (s->caches.n)
        json_caches(j, &s->caches);
    json_put_array(j, "process_list", false);
    for (size_t i = 0; i < r->processes.n; i++)
        if (gm_process_set_has(&r->set, r->processes.v[i].process_id))
            json_process(r, &r->processes.v[i]);
    json_put_close(j);
    json_put_close(j);
    json_end(j);
}

/* ---- text
 * -------------------------------------------------------------------------------------------- */

/* Two standard errors of the figures above, in their columns. */
static void text_margins(struct report *r, const struct summary *s)
{
    char a[32], b[32], c[32], d[32];
    const struct gm_totals *t = &s->totals;
    if (!gm_run_is_estimated(&r->run))
        return;
    show_margin_text(r, a, t->alloc_bytes, t->alloc_bytes_var);
    show_margin_text(r, b, s->peak_bytes, s->peak_bytes_var);
    show_margin_text(r, c, t->live_bytes, t->live_bytes_var);
    out_printf(&r->out, "  bytes are good to:%s allocated,%s peak,%s still live", a, b, c);
    if (!r->ranged)
        out_printf(&r->out, "; allocations to%s", show_margin_text(r, d, t->allocs, t->allocs_var));
    out_printf(&r->out, "\n");
}

static void text_memory(struct report *r, const struct summary *s)
{
    struct out *o = &r->out;
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], moment[32];
    double seconds = (double)(r->to_ns - r->from_ns) / 1e9;
    show_title(r, "MEMORY               BLOCKS              BYTES");
    out_printf(o, "  allocated %17s %18s", show_count(r, a, s->totals.allocs),
        show_count(r, b, s->totals.alloc_bytes));
    if (seconds > 0)
        out_printf(o, "   %s allocations/s, %s/s",
            show_short(r, a, (uint64_t)((double)s->totals.allocs / seconds)),
            show_bytes(r, b, (uint64_t)((double)s->totals.alloc_bytes / seconds)));
    out_printf(o, "\n  freed     %17s %18s", show_count(r, a, s->totals.frees),
        show_count(r, b, s->totals.free_bytes));
    if (s->totals.unmatched_frees)
        out_printf(
            o, "   %s frees of unknown blocks", gm_figure_count(c, s->totals.unmatched_frees));
    out_printf(o, "\n  peak      %17s %18s   at %s\n",
        r->ranged ? "-" : show_count(r, a, s->peak_blocks), show_count(r, b, s->peak_bytes),
        show_moment(s->peak_ns, moment));
    out_printf(o, "  still live%17s %18s   %s of allocated\n",
        show_count(r, a, s->totals.live_blocks), show_count(r, b, s->totals.live_bytes),
        show_percent(r, c, (double)s->totals.live_bytes, (double)s->totals.alloc_bytes));
    text_margins(r, s);
    if (r->run.memory_limit_kind)
        out_printf(o, "  limit     %17s %18s   %s, when it was started\n", "",
            gm_figure_count(a, r->run.memory_limit_bytes), r->run.memory_limit_kind);
}

static int text_chart(struct report *r)
{
    struct gm_samples samples;
    int e = gm_samples_load(r->recording, &r->set, r->from_ns - 1, r->to_ns, 2000, &samples);
    if (e < 0)
        return e;
    struct chart_point *points = malloc((samples.n + 1) * sizeof *points);
    for (size_t i = 0; points && i < samples.n; i++)
        points[i] = (struct chart_point){samples.v[i].ns, samples.v[i].live_bytes};
    if (points && samples.n > 1) {
        show_title(r, "LIVE OVER TIME");
        chart_draw(
            &r->out, points, samples.n, r->from_ns ? points[0].value : 0, r->from_ns, r->to_ns, 5);
    }
    free(points);
    gm_samples_done(&samples);
    return 0;
}

static void text_generations(struct report *r, const struct gm_generation g[static 4])
{
    char died[GM_FIGURE_BYTES], age[GM_FIGURE_BYTES], p[3][GM_FIGURE_BYTES];
    if (!g[0].born)
        return;
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "GENERATIONS");
    for (int i = 0; i < 3; i++)
        show_percent(r, p[i], (double)g[i].promoted, (double)g[0].born);
    out_printf(&r->out, "  %s of blocks died before %s more were allocated\n",
        show_percent(r, died, (double)g[0].died, (double)g[0].born),
        gm_figure_binary(age, r->run.g_age_bytes[0]));
    out_printf(&r->out, "             promoted to g1 %s, to g2 %s, to g3 %s\n", p[0], p[1], p[2]);
}

/* Where there is a collector. */
static void text_collections(struct report *r, const struct summary *s)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES];
    const struct gm_gc_of_kind *all = &s->gc.kinds[0];
    const struct gm_gc_generation *g = s->gc_generations;
    uint64_t young = s->gc.kinds[GM_GC_young].collections;
    if (!all->collections)
        return;
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "COLLECTIONS");
    out_printf(&r->out, "  %s young, %s of both generations; the world stood still %s\n",
        gm_figure_count(a, young), gm_figure_count(b, all->collections - young),
        gm_figure_time(c, (int64_t)all->pauses.sum_ns));
    out_printf(&r->out, "             pauses: half up to %s, 99%% up to %s, longest %s; CPU %s\n",
        gm_figure_time(a, (int64_t)gm_pauses_percentile(&all->pauses, 50)),
        gm_figure_time(b, (int64_t)gm_pauses_percentile(&all->pauses, 99)),
        gm_figure_time(c, (int64_t)gm_pauses_percentile(&all->pauses, 100)),
        gm_figure_time(d, (int64_t)all->figures[GM_CYCLE_cpu_ns]));
    out_printf(&r->out, "             promoted %s of the young blocks, %s of these in vain\n",
        show_percent(r, a, (double)g[0].promoted.blocks, (double)g[0].born.blocks),
        show_percent(r, b, (double)g[1].premature.blocks, (double)g[0].promoted.blocks));
}

static void text_processes(struct report *r)
{
    size_t shown = 0, rows = show_rows(r, 10, r->processes.n);
    show_title(r, "PROCESSES");
    out_styled(&r->out, OUT_BOLD, "%5s %8s %10s %9s %9s  %-14s %s\n", "#", "PID", "ALLOCS", "PEAK",
        "LIVE", "END", "COMMAND");
    for (size_t i = 0; i < r->processes.n && shown < rows; i++) {
        const struct gm_process *p = &r->processes.v[i];
        char allocs[GM_FIGURE_BYTES], peak[GM_FIGURE_BYTES], live[GM_FIGURE_BYTES], end[32];
        if (!gm_process_set_has(&r->set, p->process_id))
            continue;
        if (!p->end_kind)
            snprintf(
                end, sizeof end, "%s", r->run.state == GM_RUN_RUNNING ? "running" : "not recorded");
        else if (strcmp(p->end_kind, "exec") == 0 || strcmp(p->end_kind, "unknown") == 0)
            snprintf(end, sizeof end, "%s", p->end_kind);
        else
            snprintf(end, sizeof end, "%s %" PRId64, p->end_kind, p->end_value);
        out_printf(&r->out, "%5" PRIu32 " %8" PRId64 " %10s %9s %9s  ", p->process_id, p->pid,
            show_count(r, allocs, p->totals.allocs), show_bytes(r, peak, p->peak_bytes),
            show_bytes(r, live, p->totals.live_bytes));
        out_padded(&r->out, end, 14);
        out_printf(&r->out, " ");
        out_cut(&r->out, p->command, OUT_COLUMNS - 62);
        out_printf(&r->out, "\n");
        shown++;
    }
    if (shown < r->processes.n && !r->set.n)
        out_printf(&r->out, "      %zu more (--all lists them)\n", r->processes.n - shown);
}

static int text_sites(
    struct report *r, struct selection *s, const char *title, enum gm_site_order order)
{
    size_t rows = show_rows(r, 5, s->n);
    int e = 0;
    show_title(r, title);
    if (gm_run_is_estimated(&r->run))
        out_printf(&r->out, "%50s%s\n", "", show_margin_title(r));
    selection_sort(s, order, r->run.duration_ns);
    for (size_t i = 0; e == 0 && i < rows; i++) {
        const struct gm_site *site = &s->list[i]->sum;
        char live[GM_FIGURE_BYTES], blocks[GM_FIGURE_BYTES], allocs[GM_FIGURE_BYTES],
            bytes[GM_FIGURE_BYTES], where[512];
        if (gm_site_order_value(site, order, 0) <= 0)
            break;
        e = show_where(r, site->stack_id, where, sizeof where);
        out_printf(&r->out, "%6" PRIu32 " %9s %10s %10s %9s  ", site->site_id,
            show_bytes(r, live, site->live_bytes), show_count(r, blocks, site->live_blocks),
            show_count(r, allocs, site->allocs), show_bytes(r, bytes, site->alloc_bytes));
        show_margin(r, order == GM_SITE_BY_live ? site->live_bytes : site->allocs,
            gm_site_order_variance(&r->run, site, order), site->samples);
        out_cut(&r->out, e == 0 ? where : "", OUT_COLUMNS - 50 - show_margin_columns(r));
        out_printf(&r->out, "\n");
    }
    return e;
}

static void summary_next(struct report *r, const char *command, const char *text)
{
    out_printf(&r->out, "%s", command);
    show_file(r);
    out_printf(&r->out, "    %s\n", text);
}

static int summary_text(struct report *r, struct summary *s)
{
    int e = show_head(r, "summary");
    if (e < 0)
        return e;
    text_memory(r, s);
    e = text_chart(r);
    text_generations(r, s->generations);
    text_collections(r, s);
    if (s->caches.n)
        show_caches_table(r, &s->caches, 5);
    if (r->processes.n > 1)
        text_processes(r);
    static const char live[] = "  SITE      LIVE     BLOCKS     ALLOCS     BYTES  MOST STILL LIVE";
    static const char allocs[] =
        "  SITE      LIVE     BLOCKS     ALLOCS     BYTES  MOST ALLOCATIONS";
    if (e == 0 && s->totals.live_blocks)
        e = text_sites(r, &s->selection, live, GM_SITE_BY_live);
    if (e == 0 && s->totals.allocs)
        e = text_sites(r, &s->selection, allocs, GM_SITE_BY_allocs);
    if (e == 0 && s->totals.allocs == 0)
        out_printf(&r->out, "\nNo allocation was recorded%s.\n", r->ranged ? " in this time" : "");
    out_printf(&r->out, "\n");
    out_styled(&r->out, OUT_BOLD, "NEXT");
    summary_next(r, "  geomem-report leaks ", "what is still live, with stacks");
    summary_next(r, "      geomem-report peak ", "what was live at the peak");
    if (s->gc.kinds[0].collections)
        summary_next(r, "      geomem-report gc ", "what the collector did");
    if (s->caches.n)
        summary_next(r, "      geomem-report caches ",
            "how the caches did");
    summary_next(r, "      geomem-top ", "the same, to walk through");
    return e;
}

int report_summary(struct report *report)
{
    struct summary s = {0};
    int e = summary_load(report, &s);
    if (e == 0 && report->options->json)
        summary_json(report, &s);
    else if (e == 0)
        e = summary_text(report, &s);
    summary_done(&s);
    return e;
}
