/* batch.c - see batch.h. */
#include "tui/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "analyzer/core/estimate.h"
#include "tui/figures.h"
#include "tui/view.h"

#define NS_PER_S 1e9

static int stream_result(FILE *out)
{
    if (fflush(out) == 0 && !ferror(out))
        return 0;
    return errno ? -errno : -EIO;
}

/* ---- text ------------------------------------------------------------------------------------------- */

static void text_caches(FILE *out, const struct gm_cache_views *views)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], c[GM_SHORT_BYTES];
    for (size_t i = 0; i < views->n && i < GM_LIVE_CACHES_MOST; i++) {
        const struct gm_cache *cache = &views->v[i].cache;
        fprintf(out, "cache %s  hits %s of %s uses  %s used", cache->name,
            gm_short_percent(a, gm_cache_hit_ratio(cache)),
            gm_short_count(b, (double)cache->hits + (double)cache->misses),
            gm_short_count(c, (double)cache->used_bytes));
        fprintf(out, " of %s  verdict %s\n", gm_short_count(a, (double)cache->capacity_bytes),
            gm_cache_verdict_names[views->v[i].advice.verdict]);
    }
}

static void text_header(FILE *out, const struct gm_model *model)
{
    const struct gm_live_picture *pic = model->picture;
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], c[GM_SHORT_BYTES], d[GM_SHORT_BYTES], state[32];
    fprintf(out,
        "%s[%" PRId64 "] %s at %s  processes %" PRIu64 "  threads %" PRIu64
        "  ring %.0f%%  lost %" PRIu64,
        model->program, pic->root_pid, gm_state_text(model, state), gm_short_clock(a, pic->at_ns),
        pic->run->processes, pic->threads, pic->run->ring_fill * 100, pic->run->lost_events);
    if (pic->run->corrupt_records)
        fprintf(out, "  corrupt %" PRIu64, pic->run->corrupt_records);
    const char *about = gm_short_about(gm_run_is_estimated(pic->run));
    if (*about)
        fprintf(out, "  ~ estimated from %" PRIu64 " samples", pic->run->totals.samples);
    fprintf(out, "\nheap %s%s  %s%s/min over %s  peak %s%s  rss %s", about,
        gm_short_count(a, (double)pic->live_bytes), about,
        gm_short_change(b, pic->growth_bytes_per_min), gm_short_age(c, pic->window_ns), about,
        gm_short_count(d, (double)pic->run->peak_bytes),
        gm_short_count(state, (double)pic->rss_bytes));
    fprintf(out, "  alloc %s%s/s  free %s%s/s  sites %zu\n", about,
        gm_short_rate(a, pic->allocs_per_s), about, gm_short_rate(b, pic->frees_per_s),
        model->present_count);
    const struct gm_pauses *pauses = &pic->gc->kinds[0].pauses;
    if (pauses->n)
        fprintf(out, "collections %" PRIu64 "  pauses: half to %s, 99%% to %s, longest %s\n",
            pic->gc->kinds[0].collections, gm_short_time(a, gm_pauses_percentile(pauses, 50)),
            gm_short_time(b, gm_pauses_percentile(pauses, 99)),
            gm_short_time(c, gm_pauses_percentile(pauses, 100)));
    text_caches(out, &pic->caches->views);
    fputc('\n', out);
}

int gm_batch_text(
    FILE *out, const struct gm_model *model, const struct gm_sorting *sorting, size_t rows)
{
    char text[GM_COLUMN_TEXT_BYTES];
    (void)sorting;
    text_header(out, model);
    for (int c = 0; c < GM_COLUMN_where; c++)
        fprintf(out, "%*s ", gm_columns[c].width, gm_columns[c].title);
    fprintf(out, " %s\n", gm_columns[GM_COLUMN_where].title);
    for (size_t i = 0; i < model->order_count && i < rows; i++) {
        const struct gm_row *row = &model->rows[model->order[i]];
        for (int c = 0; c < GM_COLUMN_where; c++)
            fprintf(out, "%*s ", gm_columns[c].width, gm_column_text(row, (enum gm_column)c, text));
        fprintf(out, " %s\n", row->where);
    }
    if (model->order_count > rows)
        fprintf(out, "... and %zu more (--rows=all)\n", model->order_count - rows);
    fputc('\n', out);
    return stream_result(out);
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

/* jansson reports a failed insertion only by its return; one flag for a whole document suffices. */
struct document {
    bool failed;
};

static json_t *document_object(struct document *d)
{
    json_t *object = json_object();
    d->failed = d->failed || !object;
    return object;
}

static void put(struct document *d, json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) < 0)
        d->failed = true;
}

static void put_count(struct document *d, json_t *object, const char *name, uint64_t value)
{
    put(d, object, name, json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value)));
}

/* null below 0 */
static void put_time(struct document *d, json_t *object, const char *name, int64_t value)
{
    put(d, object, name, value < 0 ? json_null() : json_integer(value));
}

/* Three digits behind the point: more would only be noise, and differ from machine to machine. */
static void put_real(struct document *d, json_t *object, const char *name, double value)
{
    double scaled = value * 1000;
    bool small = scaled < 9e15 && scaled > -9e15;
    put(d, object, name,
        json_real(small ? (double)(int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5)) / 1000 : value));
}

static void put_text(struct document *d, json_t *object, const char *name, const char *text)
{
    put(d, object, name, text ? json_string(text) : json_null());
}

static const char *state_name(enum gm_top_state state)
{
    switch (state) {
    case GM_TOP_LIVE:
        return "live";
    case GM_TOP_EXITED:
        return "exited";
    case GM_TOP_REPLAY:
        return "replay";
    case GM_TOP_CUT:
        return "cut";
    }
    return "";
}

static void put_caches(struct document *d, json_t *doc, const struct gm_cache_views *views)
{
    json_t *caches = views->n ? json_array() : NULL;
    for (size_t i = 0; caches && i < views->n; i++) {
        const struct gm_cache *c = &views->v[i].cache;
        json_t *cache = document_object(d);
        put_text(d, cache, "name", c->name);
        put_count(d, cache, "hits", c->hits);
        put_count(d, cache, "misses", c->misses);
        put_count(d, cache, "capacity_bytes", c->capacity_bytes);
        put_count(d, cache, "used_bytes", c->used_bytes);
        put_count(d, cache, "pinned_bytes", c->pinned_bytes);
        put_text(d, cache, "verdict", gm_cache_verdict_names[views->v[i].advice.verdict]);
        if (json_array_append_new(caches, cache) < 0)
            d->failed = true;
    }
    if (views->n)
        put(d, doc, "caches", caches);
}

static void put_run(struct document *d, json_t *doc, const struct gm_model *model)
{
    const struct gm_live_picture *pic = model->picture;
    const struct gm_run *run = pic->run;
    put_text(d, doc, "schema", "geomem.top/1");
    put_text(d, doc, "program", run->program);
    put_text(d, doc, "command", run->command);
    put_time(d, doc, "pid", pic->root_pid);
    put_text(d, doc, "state", state_name(model->state));
    put_time(d, doc, "time_ns", pic->at_ns);
    put_time(d, doc, "start_utc_ns", run->start_utc_ns);
    put_time(d, doc, "duration_ns", run->duration_ns);
    put(d, doc, "exit_status", run->has_exit ? json_integer(run->exit_status) : json_null());
    put_count(d, doc, "processes", run->processes);
    put_count(d, doc, "running_processes", pic->running_processes);
    put_count(d, doc, "threads", pic->threads);
    put_count(d, doc, "live_bytes", pic->live_bytes);
    put_count(d, doc, "live_blocks", pic->live_blocks);
    put_count(d, doc, "peak_live_bytes", run->peak_bytes);
    put_count(d, doc, "rss_bytes", pic->rss_bytes);
    put_time(d, doc, "window_ns", pic->window_ns);
    put_real(d, doc, "growth_bytes_per_min", pic->growth_bytes_per_min);
    put_time(d, doc, "rate_ns", pic->rate_ns);
    put_real(d, doc, "allocations_per_s", pic->allocs_per_s);
    put_real(d, doc, "allocated_bytes_per_s", pic->alloc_bytes_per_s);
    put_real(d, doc, "frees_per_s", pic->frees_per_s);
    put_real(d, doc, "ring_fill", run->ring_fill);
    put_count(d, doc, "events", run->events);
    put_count(d, doc, "lost_events", run->lost_events);
    put_count(d, doc, "corrupt_records", run->corrupt_records);
    const struct gm_gc_of_kind *gc = &pic->gc->kinds[0];
    if (gc->collections) {
        put_count(d, doc, "collections", gc->collections);
        put_count(d, doc, "pause_total_ns", gc->pauses.sum_ns);
        put_count(d, doc, "pause_p50_ns", gm_pauses_percentile(&gc->pauses, 50));
        put_count(d, doc, "pause_p99_ns", gm_pauses_percentile(&gc->pauses, 99));
        put_count(d, doc, "pause_max_ns", gm_pauses_percentile(&gc->pauses, 100));
        put_count(d, doc, "promoted_blocks", pic->gc_blocks[0].promoted.blocks);
        put_count(d, doc, "premature_blocks", pic->gc_blocks[1].premature.blocks);
    }
    put_caches(d, doc, &pic->caches->views);
    put(d, doc, "estimated", json_boolean(gm_run_is_estimated(run)));
    if (!gm_run_is_estimated(run))
        return;
    put_count(d, doc, "sampled_allocations", run->totals.samples);
    put_count(d, doc, "sample_bytes", run->sample_bytes);
    put_real(d, doc, "live_bytes_se", gm_estimate_error(run->totals.live_bytes_var));
}

static json_t *frame_json(struct document *d, const struct gm_frame *f)
{
    json_t *frame = document_object(d);
    put_text(d, frame, "module", f->module);
    put_text(d, frame, "function", f->function);
    put_text(d, frame, "file", f->file);
    put(d, frame, "line", f->line ? json_integer(f->line) : json_null());
    put(d, frame, "inlined", json_boolean(f->inlined));
    return frame;
}

/* The heaviest stack of a row, and its site. */
static int put_stack(
    struct document *d, json_t *site, struct gm_recording *recording, const struct gm_site *s)
{
    struct gm_stack stack = {0};
    int r = gm_stack_load(recording, s->stack_id, &stack);
    if (r < 0)
        return r;
    json_t *frames = json_array();
    for (size_t i = 0; i < stack.n; i++)
        if (json_array_append_new(frames, frame_json(d, &stack.v[i])) < 0)
            d->failed = true;
    put_count(d, site, "site_id", s->site_id);
    put(d, site, "stack", frames);
    gm_stack_done(&stack);
    return 0;
}

static json_t *row_json(struct document *d, const struct gm_row *row)
{
    json_t *site = document_object(d);
    put_text(d, site, "where", row->where);
    put_text(d, site, "function", row->place->function);
    put_text(d, site, "file", row->place->file);
    put(d, site, "line", row->place->line ? json_integer(row->place->line) : json_null());
    put_text(d, site, "module", row->place->module);
    put_count(d, site, "live_bytes", row->live_bytes);
    put_count(d, site, "live_blocks", row->live_blocks);
    put_real(d, site, "growth_bytes_per_min", row->growth_bytes_per_min);
    put_real(d, site, "allocations_per_s", row->allocs_per_s);
    put_real(d, site, "frees_per_s", row->frees_per_s);
    put_time(d, site, "allocations", row->past ? -1 : (int64_t)row->allocs);
    put_time(d, site, "allocated_bytes", row->past ? -1 : (int64_t)row->alloc_bytes);
    put(d, site, "promotion_rate",
        row->promotion_rate < 0 ? json_null() : json_real(row->promotion_rate));
    put_time(d, site, "mean_age_ns", row->mean_age_ns);
    put_count(d, site, "stacks", row->stacks);
    if (row->estimated) {
        put_count(d, site, "sampled_allocations", row->samples);
        put_real(d, site, "live_bytes_se", gm_estimate_error(row->live_bytes_var));
    }
    return site;
}

static json_t *document_build(struct document *d, struct gm_model *model,
    struct gm_recording *recording, const struct gm_sorting *sorting,
    const struct gm_filter *filter, size_t rows, int *ret_error)
{
    json_t *doc = document_object(d), *sites = json_array();
    put_run(d, doc, model);
    put_text(d, doc, "sort", gm_columns[sorting->column].name);
    put_text(d, doc, "filter", filter->text);
    put_count(d, doc, "sites_total", model->present_count);
    put_count(d, doc, "sites_matching", model->order_count);
    for (size_t i = 0; i < model->order_count && i < rows && *ret_error == 0; i++) {
        const struct gm_row *row = &model->rows[model->order[i]];
        json_t *site = row_json(d, row);
        *ret_error = put_stack(d, site, recording, &model->picture->sites->v[row->first_site - 1]);
        if (json_array_append_new(sites, site) < 0)
            d->failed = true;
    }
    put(d, doc, "sites", sites);
    return doc;
}

int gm_batch_json(FILE *out, struct gm_model *model, struct gm_recording *recording,
    const struct gm_sorting *sorting, const struct gm_filter *filter, size_t rows)
{
    struct document d = {0};
    int error = 0;
    json_t *doc = document_build(&d, model, recording, sorting, filter, rows, &error);
    if (error == 0 && d.failed)
        error = -ENOMEM;
    if (error == 0 && json_dumpf(doc, out, JSON_COMPACT | JSON_REAL_PRECISION(15)) < 0)
        error = errno ? -errno : -EIO;
    json_decref(doc);
    if (error < 0)
        return error;
    fputc('\n', out);
    return stream_result(out);
}
