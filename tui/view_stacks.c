/* view_stacks.c - all that is known of one row: its figures, then every call stack that leads to it. */
#include "tui/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/core/where.h"
#include "analyzer/core/estimate.h"
#include "tui/figures.h"
#include "tui/pager.h"

static void pager_figure(struct pager *p, const char *label, const char *text)
{
    int y;
    if (pager_next(p, &y)) {
        gm_grid_text(p->grid, 1, y, p->grid->w, GM_STYLE_DIM, label);
        gm_grid_text_cut(p->grid, 12, y, p->grid->w, GM_STYLE_NORMAL, text);
    }
}

/* How long before the moment something was: "1.9s ago". */
static char *ago(char out[static GM_SHORT_BYTES + 8], int64_t at_ns, int64_t ns)
{
    gm_short_age(out, at_ns > ns ? at_ns - ns : 0);
    return strcat(out, " ago");
}

/* What the file tells of a site's whole life only, so not of a moment in the past. */
static void stacks_life(struct pager *p, const struct gm_model *model, const struct gm_row *row)
{
    char a[GM_SHORT_BYTES + 8], b[GM_SHORT_BYTES + 8], c[GM_SHORT_BYTES + 8], text[256];
    const struct gm_live_picture *pic = model->picture;
    const char *about = gm_short_about(row->estimated);
    uint64_t freed = row->allocs > row->live_blocks ? row->allocs - row->live_blocks : 0;
    snprintf(text, sizeof text,
        "%s%" PRIu64 " blocks, %s%" PRIu64 " bytes; freed %s%" PRIu64 " blocks", about, row->allocs,
        about, row->alloc_bytes, about, freed);
    pager_figure(p, "allocated", text);
    snprintf(text, sizeof text, "%" PRIu64 " to %" PRIu64 " bytes", row->min_bytes, row->max_bytes);
    pager_figure(p, "sizes", text);
    snprintf(text, sizeof text,
        "%s%s of all blocks outlived generation 0 (%s B allocated meanwhile)", about,
        gm_short_percent(a, row->promotion_rate),
        gm_short_count(b, (double)pic->run->g_age_bytes[0]));
    pager_figure(p, "promoted", text);
    snprintf(text, sizeof text, "first %s, last %s; last free %s",
        ago(a, pic->at_ns, row->first_ns), ago(b, pic->at_ns, row->last_ns),
        row->last_free_ns < 0 ? "never" : ago(c, pic->at_ns, row->last_free_ns));
    pager_figure(p, "used", text);
}

static void stacks_figures(struct pager *p, const struct gm_model *model, const struct gm_row *row)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], text[256];
    const char *about = gm_short_about(row->estimated);
    snprintf(text, sizeof text, "%s%" PRIu64 " blocks, %s%" PRIu64 " bytes%s, mean age %s", about,
        row->live_blocks, about, row->live_bytes,
        gm_short_margin(
            b, row->estimated, (double)row->live_bytes, row->live_bytes_var, row->samples),
        gm_short_age(a, row->mean_age_ns));
    pager_figure(p, "live", text);
    snprintf(text, sizeof text, "%s%s B/min over the last %s", about,
        gm_short_change(a, row->growth_bytes_per_min), gm_short_age(b, model->picture->window_ns));
    pager_figure(p, "growth", text);
    snprintf(text, sizeof text, "%s%s allocations and %s%s frees a second", about,
        gm_short_rate(a, row->allocs_per_s), about, gm_short_rate(b, row->frees_per_s));
    pager_figure(p, "traffic", text);
    if (!row->past)
        stacks_life(p, model, row);
    if (row->place->module)
        pager_figure(p, "module", row->place->module);
}

static void stacks_one(
    struct pager *p, const struct gm_model *model, const struct gm_detail_stack *d)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], text[512];
    const char *about = gm_short_about(gm_run_is_estimated(model->picture->run));
    const struct gm_process *process =
        gm_process_find(model->picture->processes, d->site.process_id);
    int n = snprintf(text, sizeof text,
        "site %u: live %s%s B in %s%" PRIu64 " blocks, %s%s B/min, by %s", d->site.site_id, about,
        gm_short_count(a, (double)d->site.live_bytes), about, d->site.live_blocks, about,
        gm_short_change(b, d->growth_bytes_per_min), d->site.allocator);
    if (model->picture->processes->n > 1 && process && n < (int)sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, ", process %" PRId64, process->pid);
    pager_text(p, 1, GM_STYLE_NORMAL, "");
    pager_text(p, 1, GM_STYLE_BOLD, text);
    for (size_t i = 0; i < d->stack.n; i++) {
        const struct gm_frame *f = &d->stack.v[i];
        gm_frame_text(f, text, sizeof text);
        pager_text(p, f->inlined ? 5 : 3, f->inlined ? GM_STYLE_DIM : GM_STYLE_NORMAL, text);
    }
    if (d->stack.n == 0)
        pager_text(p, 3, GM_STYLE_DIM, "no stack was captured");
}

static void stacks_all(struct pager *p, const struct gm_model *model)
{
    char text[96];
    if (!model->detail_row || model->detail_row > model->row_count)
        return;
    const struct gm_row *row = &model->rows[model->detail_row - 1];
    stacks_figures(p, model, row);
    for (size_t i = 0; i < model->detail_count; i++)
        stacks_one(p, model, &model->detail[i]);
    if (row->stacks > model->detail_count) {
        snprintf(text, sizeof text, "%zu stacks with less are not shown",
            row->stacks - model->detail_count);
        pager_text(p, 1, GM_STYLE_NORMAL, "");
        pager_text(p, 1, GM_STYLE_DIM, text);
    }
}

int gm_view_stacks_lines(const struct gm_model *model)
{
    struct pager p = {0};
    stacks_all(&p, model);
    return p.line;
}

void gm_view_stacks(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y, int h)
{
    char right[64] = "";
    struct pager p = {.grid = grid, .first = ui->scroll, .y = y + 1, .h = h - 1};
    if (model->detail_row && model->detail_row <= model->row_count) {
        const struct gm_row *row = &model->rows[model->detail_row - 1];
        snprintf(right, sizeof right, "%u stack%s", row->stacks, row->stacks == 1 ? "" : "s");
        gm_view_bar(grid, y, row->where, right);
    }
    stacks_all(&p, model);
}
