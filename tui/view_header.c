/* view_header.c - the two lines at the top, the chart, and the one line of a screen too small for more. */
#include "tui/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "analyzer/core/estimate.h"
#include "tui/figures.h"

const char *gm_state_text(const struct gm_model *model, char out[static 32])
{
    const struct gm_run *run = model->picture->run;
    switch (model->state) {
    case GM_TOP_LIVE:
        return strcpy(out, "LIVE");
    case GM_TOP_EXITED:
        if (run->has_exit && run->exit_signal)
            snprintf(out, 32, "EXITED by signal %d", run->exit_signal);
        else if (run->has_exit)
            snprintf(out, 32, "EXITED %d", run->exit_status);
        else
            strcpy(out, "ENDED");
        return out;
    case GM_TOP_REPLAY:
        return strcpy(out, "REPLAY");
    case GM_TOP_CUT:
        return strcpy(out, "CUT");
    }
    return strcpy(out, "");
}

static enum gm_style state_style(const struct gm_model *model)
{
    switch (model->state) {
    case GM_TOP_LIVE:
        return GM_STYLE_GOOD;
    case GM_TOP_EXITED:
        return GM_STYLE_WARN;
    case GM_TOP_REPLAY:
        return GM_STYLE_BOLD;
    case GM_TOP_CUT:
        return GM_STYLE_BAD;
    }
    return GM_STYLE_NORMAL;
}

/* One figure of a header line: "label value". */
struct segment {
    enum gm_style style;
    char text[112];
};

/* Draws segments from left to right while they fit as a whole. */
static void segments_draw(
    struct gm_grid *grid, int x, int y, int end, const struct segment *v, int n)
{
    for (int i = 0; i < n; i++) {
        if (!*v[i].text)
            continue;
        if (x + gm_grid_columns(v[i].text) > end)
            return;
        x = gm_grid_text(grid, x, y, end, v[i].style, v[i].text) + 2;
    }
}

#define SEGMENT(s, st, ...) \
    do { \
        (s).style = (st); \
        snprintf((s).text, sizeof(s).text, __VA_ARGS__); \
    } while (0)

static void header_first(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui)
{
    const struct gm_live_picture *pic = model->picture;
    const struct gm_run *run = pic->run;
    struct segment v[8] = {0};
    char state[32], clock[GM_SHORT_BYTES], total[GM_SHORT_BYTES], pid[32] = "", more[32] = "";
    if (pic->root_pid > 0)
        snprintf(pid, sizeof pid, "[%" PRId64 "]", pic->root_pid);
    if (model->state == GM_TOP_LIVE ? pic->running_processes > 1 : run->processes > 1)
        snprintf(more, sizeof more, " +%" PRIu64,
            (model->state == GM_TOP_LIVE ? pic->running_processes : run->processes) - 1);
    gm_state_text(model, state);
    gm_short_clock(clock, pic->at_ns);
    SEGMENT(v[0], GM_STYLE_TITLE, "%.30s%s%s", model->program, pid, more);
    if (ui->paused)
        SEGMENT(v[1], GM_STYLE_WARN, "%s PAUSED", state);
    else if (model->state == GM_TOP_LIVE)
        SEGMENT(v[1], state_style(model), "%s %gs", state, ui->delay_s);
    else
        SEGMENT(v[1], state_style(model), "%s", state);
    /* Before the rest: whatever else has to go for lack of room, losses are shown. */
    if (run->lost_events && run->corrupt_records)
        SEGMENT(v[2], GM_STYLE_BAD, "LOST %" PRIu64 "! CORRUPT %" PRIu64 "!", run->lost_events,
            run->corrupt_records);
    else if (run->lost_events)
        SEGMENT(v[2], GM_STYLE_BAD, "LOST %" PRIu64 "!", run->lost_events);
    else if (run->corrupt_records)
        SEGMENT(v[2], GM_STYLE_BAD, "CORRUPT %" PRIu64 "!", run->corrupt_records);
    if (pic->at_end)
        SEGMENT(v[3], GM_STYLE_NORMAL, "%s %s", model->state == GM_TOP_LIVE ? "up" : "ran", clock);
    else
        SEGMENT(v[3], GM_STYLE_WARN, "at %s of %s", clock, gm_short_clock(total, run->duration_ns));
    if (model->state == GM_TOP_LIVE)
        SEGMENT(v[4], run->ring_fill > 0.8 ? GM_STYLE_BAD : GM_STYLE_NORMAL, "ring %.0f%%",
            run->ring_fill * 100);
    if (!run->lost_events)
        SEGMENT(v[5], GM_STYLE_NORMAL, "lost 0");
    if (gm_run_is_estimated(run))
        SEGMENT(v[6], GM_STYLE_WARN, "~ from %s samples",
            gm_short_count(total, (double)run->totals.samples));
    if (grid->w >= 100)
        SEGMENT(v[7], GM_STYLE_DIM, "events %s", gm_short_count(total, (double)run->events));
    int x = grid->w >= 72 ? gm_grid_text(grid, 1, 0, grid->w, GM_STYLE_DIM, "geomem-top") + 2 : 1;
    int end = grid->w >= 60 ? grid->w - 8 : grid->w;
    segments_draw(grid, x, 0, end, v, 8);
    if (end < grid->w)
        gm_grid_right(grid, grid->w - 1, 0, GM_STYLE_DIM, "?:help");
}

/* Of all live bytes; at a moment in the past a bound. */
static double picture_variance(const struct gm_live_picture *pic)
{
    return pic->at_end ? pic->run->totals.live_bytes_var
                       : gm_estimate_bytes_variance_bound(pic->run, pic->live_bytes);
}

static void header_second(struct gm_grid *grid, const struct gm_model *model)
{
    const struct gm_live_picture *pic = model->picture;
    struct segment v[9] = {0};
    bool estimated = gm_run_is_estimated(pic->run);
    const char *about = gm_short_about(estimated);
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES];
    SEGMENT(v[0], GM_STYLE_BOLD, "heap %s%s%s", about, gm_short_count(a, (double)pic->live_bytes),
        gm_short_margin(b, estimated, (double)pic->live_bytes, picture_variance(pic),
            pic->run->totals.samples));
    SEGMENT(v[1], pic->growth_bytes_per_min > 0 ? GM_STYLE_WARN : GM_STYLE_NORMAL, "%s%s/min",
        about, gm_short_change(a, pic->growth_bytes_per_min));
    SEGMENT(v[2], GM_STYLE_NORMAL, "alloc %s%s/s", about, gm_short_rate(a, pic->allocs_per_s));
    SEGMENT(v[3], GM_STYLE_NORMAL, "free %s%s/s", about, gm_short_rate(a, pic->frees_per_s));
    if (pic->rss_bytes)
        SEGMENT(v[4], GM_STYLE_NORMAL, "rss %s", gm_short_count(a, (double)pic->rss_bytes));
    SEGMENT(v[5], GM_STYLE_NORMAL, "thr %" PRIu64, pic->threads);
    SEGMENT(
        v[6], GM_STYLE_NORMAL, "peak %s%s", about, gm_short_count(b, (double)pic->run->peak_bytes));
    if (grid->w >= 100)
        SEGMENT(v[7], GM_STYLE_NORMAL, "blocks %s%s  %s%s B/s", about,
            gm_short_count(a, (double)pic->live_blocks), about,
            gm_short_count(b, pic->alloc_bytes_per_s));
    const struct gm_gc_of_kind *gc = &pic->gc->kinds[0];
    if (grid->w >= 100 && gc->collections)
        SEGMENT(v[8], GM_STYLE_NORMAL, "gc %s 99%% %s", gm_short_count(a, (double)gc->collections),
            gm_short_time(b, gm_pauses_percentile(&gc->pauses, 99)));
    segments_draw(grid, 1, 1, grid->w, v, 9);
}

void gm_view_header(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui)
{
    header_first(grid, model, ui);
    header_second(grid, model);
}

void gm_view_one_line(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui)
{
    const struct gm_live_picture *pic = model->picture;
    char state[32], heap[GM_SHORT_BYTES], growth[GM_SHORT_BYTES], line[512];
    const char *about = gm_short_about(gm_run_is_estimated(pic->run));
    int n = snprintf(line, sizeof line, "%s%s %s %s%s/m %s%s", about,
        gm_short_count(heap, (double)pic->live_bytes),
        ui->paused ? "PAUSED" : gm_state_text(model, state), about,
        gm_short_change(growth, pic->growth_bytes_per_min), model->program,
        pic->run->lost_events + pic->run->corrupt_records ? " LOST!" : "");
    if (model->order_count && n < (int)sizeof line)
        snprintf(line + n, sizeof line - (size_t)n, ": %s%s %s", about,
            gm_short_change(growth, model->rows[model->order[0]].growth_bytes_per_min),
            model->rows[model->order[0]].where);
    gm_grid_text_cut(grid, 0, 0, grid->w, GM_STYLE_NORMAL, line);
}

/* ---- chart ------------------------------------------------------------------------------------------ */

#define CHART_LABEL_W 6 /* room for the scale at the right */
#define CHART_MOST_COLUMNS 2048

static int64_t chart_column_of(const struct gm_model *model, int64_t ns, int w)
{
    int64_t end = model->picture->at_ns > 0 ? model->picture->at_ns : 1;
    return (int64_t)((double)ns / (double)end * w);
}

static void chart_marks(struct gm_grid *grid, const struct gm_model *model, int y, int w)
{
    const struct gm_marks *marks = model->picture->marks;
    for (size_t i = 0; i < marks->n; i++) {
        int64_t x = chart_column_of(model, marks->v[i].ns, w);
        if (x >= 0 && x < w)
            gm_grid_put(grid, 1 + (int)x, y, GM_STYLE_WARN, grid->unicode ? 0x25B2 : '^');
    }
}

void gm_view_chart(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui,
    const struct gm_layout *layout)
{
    uint64_t columns[CHART_MOST_COLUMNS];
    char label[GM_SHORT_BYTES];
    int w = grid->w - 2 - CHART_LABEL_W;
    int n = w * gm_chart_columns(ui->symbols);
    if (layout->chart_h == 0 || w < 8)
        return;
    if (n > CHART_MOST_COLUMNS) {
        w = CHART_MOST_COLUMNS / gm_chart_columns(ui->symbols);
        n = w * gm_chart_columns(ui->symbols);
    }
    uint64_t top =
        gm_chart_resample(model->points, model->point_count, 0, model->picture->at_ns, columns, n);
    gm_chart_draw(grid, 1, layout->chart_y, w, layout->chart_h, ui->symbols, columns, top);
    chart_marks(grid, model, layout->chart_y + layout->chart_h - 1, w);
    gm_grid_text(
        grid, w + 2, layout->chart_y, grid->w, GM_STYLE_DIM, gm_short_count(label, (double)top));
    gm_grid_text(grid, w + 2, layout->chart_y + layout->chart_h - 1, grid->w, GM_STYLE_DIM, "0");
}
