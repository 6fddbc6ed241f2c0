/* view_table.c - the site table, and below it what is known of the selected row. */
#include "tui/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/core/where.h"
#include "tui/figures.h"

bool gm_column_fits(enum gm_column column, int w)
{
    return w >= gm_columns[column].from;
}

/* ---- the line above --------------------------------------------------------------------------------- */

static void table_bar(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y)
{
    char title[512], right[96], window[GM_SHORT_BYTES];
    int n = model->order_count == model->present_count
                ? snprintf(title, sizeof title, "%zu sites", model->present_count)
                : snprintf(title, sizeof title, "%zu of %zu sites", model->order_count,
                      model->present_count);
    if (*ui->filter.text && n < (int)sizeof title)
        snprintf(title + n, sizeof title - (size_t)n, ", filter: %s", ui->filter.text);
    snprintf(right, sizeof right, "%s%s%s, growth over %s", ui->sorting.frozen ? "frozen, " : "by ",
        ui->sorting.frozen ? "" : gm_columns[ui->sorting.column].title,
        ui->sorting.invert ? " inverted" : "", gm_short_age(window, model->picture->window_ns));
    gm_view_bar(grid, y, title, right);
}

/* ---- rows ------------------------------------------------------------------------------------------- */

/* Figures are set right-aligned behind each other; the place takes what is left. */
static int table_head(struct gm_grid *grid, const struct gm_ui *ui, int y)
{
    int x = 1;
    gm_grid_fill(grid, 0, y, grid->w, GM_STYLE_HEAD, ' ');
    for (int c = 0; c < GM_COLUMN_COUNT; c++) {
        const struct gm_column_info *info = &gm_columns[c];
        enum gm_style style =
            ui->sorting.column == (enum gm_column)c ? GM_STYLE_SORTED : GM_STYLE_HEAD;
        if (!gm_column_fits((enum gm_column)c, grid->w))
            continue;
        if (info->width == 0) {
            gm_grid_text(grid, x + 1, y, grid->w, style, info->title);
        } else {
            gm_grid_right(grid, x + info->width, y, style, info->title);
            x += info->width + 1;
        }
    }
    return x;
}

static enum gm_style cell_style(const struct gm_row *row, enum gm_column column)
{
    if (column == GM_COLUMN_growth && row->growth_bytes_per_min > 0)
        return GM_STYLE_WARN;
    return GM_STYLE_NORMAL;
}

static void table_row(struct gm_grid *grid, const struct gm_row *row, int y, bool selected)
{
    char text[GM_COLUMN_TEXT_BYTES], place[256];
    int x = 1;
    for (int c = 0; c < GM_COLUMN_COUNT; c++) {
        const struct gm_column_info *info = &gm_columns[c];
        if (!gm_column_fits((enum gm_column)c, grid->w) || info->width == 0)
            continue;
        gm_column_text(row, (enum gm_column)c, text);
        gm_grid_right(grid, x + info->width, y, cell_style(row, (enum gm_column)c), text);
        x += info->width + 1;
    }
    x = gm_grid_text_cut(grid, x + 1, y, grid->w, GM_STYLE_NORMAL, row->where);
    /* On wide screens also the module, unless the place already names it. */
    struct gm_frame frame = {
        .function = row->place->function, .module = row->place->module, .named = true};
    gm_frame_place(&frame, place, sizeof place);
    if (grid->w >= 130 && *place && row->place->named && !strstr(row->where, place))
        gm_grid_text_cut(grid, x + 2, y, grid->w, GM_STYLE_DIM, place);
    if (selected) {
        gm_grid_put(grid, 0, y, GM_STYLE_CURSOR, '>');
        gm_grid_restyle(grid, 0, y, grid->w, GM_STYLE_CURSOR);
    }
}

/* The selected position; 0 when nothing was selected yet. */
static size_t ui_position(const struct gm_ui *ui, const struct gm_model *model)
{
    size_t at = ui->selected ? gm_model_find(model, ui->selected - 1) : 0;
    return at < model->order_count ? at : 0;
}

void gm_view_table(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui,
    const struct gm_layout *layout)
{
    if (layout->bar_y >= 0)
        table_bar(grid, model, ui, layout->bar_y);
    int x = table_head(grid, ui, layout->head_y);
    size_t selected = ui_position(ui, model);
    for (int i = 0; i < layout->rows_h; i++) {
        size_t at = ui->top + (size_t)i;
        if (at < model->order_count)
            table_row(grid, &model->rows[model->order[at]], layout->rows_y + i, at == selected);
    }
    if (model->order_count == 0)
        gm_grid_text_cut(grid, x + 1, layout->rows_y, grid->w, GM_STYLE_DIM,
            model->present_count ? "no site passes the filter (Esc drops it)"
                                 : "no allocations yet");
}

/* ---- the pane of the selected row ------------------------------------------------------------------- */

static int pane_figures(struct gm_grid *grid, const struct gm_row *row, int y)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], c[GM_SHORT_BYTES], line[256];
    const char *about = gm_short_about(row->estimated);
    int n =
        snprintf(line, sizeof line, "live %s%" PRIu64 " blocks, %s%s B%s; %s%s B/min; %u stack%s",
            about, row->live_blocks, about, gm_short_count(a, (double)row->live_bytes),
            gm_short_margin(
                c, row->estimated, (double)row->live_bytes, row->live_bytes_var, row->samples),
            about, gm_short_change(b, row->growth_bytes_per_min), row->stacks,
            row->stacks == 1 ? "" : "s");
    if (!row->past && n < (int)sizeof line)
        n += snprintf(line + n, sizeof line - (size_t)n, "; allocated %s%" PRIu64 " (%s%s B)",
            about, row->allocs, about, gm_short_count(a, (double)row->alloc_bytes));
    if (!row->past && n < (int)sizeof line)
        snprintf(line + n, sizeof line - (size_t)n, "; sizes %s..%s",
            gm_short_count(a, (double)row->min_bytes), gm_short_count(b, (double)row->max_bytes));
    gm_grid_text_cut(grid, 1, y, grid->w, GM_STYLE_NORMAL, line);
    return y + 1;
}

/* The heaviest stack in the lines that are left: innermost first, "a < b < c". */
static void pane_stack(struct gm_grid *grid, const struct gm_model *model, int y, int end)
{
    if (!model->detail_count)
        return;
    const struct gm_stack *stack = &model->detail[0].stack;
    int x = 1;
    for (size_t i = 0; i < stack->n && y < end; i++) {
        char text[256];
        gm_frame_text(&stack->v[i], text, sizeof text);
        int w = gm_grid_columns(text);
        if (x > 1 && x + w + 3 > grid->w) {
            if (++y >= end) {
                gm_grid_text(grid, x, y - 1, grid->w, GM_STYLE_DIM, grid->unicode ? " …" : " ~");
                return;
            }
            x = 1;
        }
        if (i)
            x = gm_grid_text(grid, x, y, grid->w, GM_STYLE_DIM, x > 1 ? " < " : "< ");
        x = gm_grid_text_cut(grid, x, y, grid->w, GM_STYLE_NORMAL, text);
    }
}

void gm_view_pane(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui,
    const struct gm_layout *layout)
{
    if (layout->pane_y < 0)
        return;
    if (model->order_count == 0) {
        gm_view_bar(grid, layout->pane_y, "no site selected", "");
        return;
    }
    uint32_t index = model->order[ui_position(ui, model)];
    gm_view_bar(grid, layout->pane_y, model->rows[index].where, "Enter: stacks");
    int y = pane_figures(grid, &model->rows[index], layout->pane_y + 1);
    if (model->detail_row == index + 1)
        pane_stack(grid, model, y, layout->pane_y + layout->pane_h);
}
