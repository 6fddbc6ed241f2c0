/* view.c - the frame of the screen: layout, bars, last line. The parts are in view_*.c. */
#include "tui/view.h"

#include <stdio.h>
#include <string.h>

#define LEAST_W 40
#define LEAST_H 8

struct gm_layout gm_layout_of(int w, int h)
{
    struct gm_layout l = {.bar_y = -1, .pane_y = -1, .footer_y = h - 1};
    if (w < LEAST_W || h < LEAST_H) {
        l.one_line = true;
        return l;
    }
    int y = 2;
    if (h >= 12) {
        l.chart_y = y;
        l.chart_h = h / 7 < 2 ? 2 : h / 7 > 8 ? 8 : h / 7;
        y += l.chart_h;
    }
    if (h >= 10)
        l.bar_y = y++;
    l.head_y = y++;
    l.rows_y = y;
    int end = l.footer_y;
    if (h >= 18) {
        l.pane_h = h >= 40 ? 8 : h >= 30 ? 5 : 3;
        l.pane_y = end - l.pane_h;
        end = l.pane_y;
    }
    l.rows_h = end - y;
    return l;
}

static int clamp(int value, int most)
{
    return value > most ? (most < 0 ? 0 : most) : value < 0 ? 0 : value;
}

void gm_ui_fit(struct gm_ui *ui, const struct gm_model *model, int w, int h)
{
    struct gm_layout l = gm_layout_of(w, h);
    int body_h = l.footer_y - 3;
    if (ui->screen == GM_SCREEN_HELP)
        ui->scroll = clamp(ui->scroll, gm_view_help_lines() - body_h);
    if (ui->screen == GM_SCREEN_STACKS)
        ui->scroll = clamp(ui->scroll, gm_view_stacks_lines(model) - body_h);
    if (ui->screen == GM_SCREEN_GC)
        ui->scroll = clamp(ui->scroll, gm_view_gc_lines(model) - body_h);
    if (ui->screen == GM_SCREEN_CACHES)
        ui->scroll = clamp(ui->scroll, gm_view_caches_lines(model) - body_h);
    size_t at = ui->selected ? gm_model_find(model, ui->selected - 1) : 0;
    if (at >= model->order_count) {
        /* The row has gone; the cursor stays where it was on the screen. */
        at = ui->top < model->order_count ? ui->top : model->order_count - (model->order_count > 0);
        if (model->order_count && !ui->sorting.frozen)
            ui->selected = 0, at = 0;
    }
    size_t rows = l.rows_h > 0 ? (size_t)l.rows_h : 1;
    if (at < ui->top)
        ui->top = at;
    if (at >= ui->top + rows)
        ui->top = at - rows + 1;
    if (ui->top + rows > model->order_count)
        ui->top = model->order_count > rows ? model->order_count - rows : 0;
}

void gm_view_bar(struct gm_grid *grid, int y, const char *title, const char *right)
{
    gm_grid_fill(grid, 0, y, grid->w, GM_STYLE_DIM, grid->unicode ? 0x2500 : '-');
    int right_w = gm_grid_columns(right);
    int end = right_w && right_w + 12 < grid->w ? grid->w - right_w - 4 : grid->w - 2;
    int x = gm_grid_text(grid, 1, y, end, GM_STYLE_DIM, " ");
    x = gm_grid_text_cut(grid, x, y, end, GM_STYLE_BOLD, title);
    gm_grid_text(grid, x, y, grid->w, GM_STYLE_DIM, " ");
    if (end != grid->w - 2) {
        gm_grid_text(grid, grid->w - right_w - 3, y, grid->w, GM_STYLE_DIM, " ");
        gm_grid_text(grid, grid->w - right_w - 2, y, grid->w, GM_STYLE_DIM, right);
        gm_grid_text(grid, grid->w - 2, y, grid->w - 1, GM_STYLE_DIM, " ");
    }
}

/* ---- the last line ---------------------------------------------------------------------------------- */

struct hint {
    const char *key, *text;
};

static void footer_hints(struct gm_grid *grid, int y, const struct hint *hints)
{
    int x = 1;
    for (; hints->key; hints++) {
        int w = gm_grid_columns(hints->key) + 1 + gm_grid_columns(hints->text);
        if (x + w > grid->w)
            return;
        x = gm_grid_text(grid, x, y, grid->w, GM_STYLE_KEY, hints->key);
        x = gm_grid_text(grid, x + 1, y, grid->w, GM_STYLE_NORMAL, hints->text) + 2;
    }
}

static void footer_prompt(struct gm_grid *grid, int y, const struct gm_ui *ui)
{
    static const char *const titles[] = {
        [GM_PROMPT_NONE] = "",
        [GM_PROMPT_FILTER] = "filter: ",
        [GM_PROMPT_MARK] = "name of the mark: ",
        [GM_PROMPT_STOP] = "end the recording? The program runs on. (y/n) ",
    };
    int x = gm_grid_text(grid, 1, y, grid->w, GM_STYLE_KEY, titles[ui->prompt]);
    const char *input = ui->input;
    while (gm_grid_columns(input) > grid->w - x - 2 && *input)
        gm_rune_next(&input);
    x = gm_grid_text(grid, x, y, grid->w - 1, GM_STYLE_BOLD, input);
    gm_grid_put(grid, x, y, GM_STYLE_CURSOR, ' ');
    if (*ui->status)
        gm_grid_text_cut(grid, x + 2, y, grid->w, GM_STYLE_BAD, ui->status);
}

static void view_footer(struct gm_grid *grid, int y, const struct gm_ui *ui)
{
    static const struct hint table[] = {{"q", "quit"}, {"?", "help"}, {"/", "filter"},
        {"s", "sort"}, {"Enter", "stacks"}, {"p", "pause"}, {"w", "window"}, {"m", "mark"},
        {"I", "invert"}, {"F", "freeze"}, {"[ ]", "time"}, {NULL, NULL}};
    static const struct hint page[] = {{"Esc", "back"}, {"Up Down PgUp PgDn", "scroll"},
        {"p", "pause"}, {"q", "quit"}, {NULL, NULL}};
    static const struct hint menu[] = {
        {"Up Down", "choose"}, {"Enter", "sort"}, {"I", "invert"}, {"Esc", "back"}, {NULL, NULL}};
    if (ui->prompt != GM_PROMPT_NONE)
        footer_prompt(grid, y, ui);
    else if (*ui->status)
        gm_grid_text_cut(
            grid, 1, y, grid->w, ui->status_bad ? GM_STYLE_BAD : GM_STYLE_BOLD, ui->status);
    else
        footer_hints(grid, y, ui->sort_menu ? menu : ui->screen == GM_SCREEN_TABLE ? table : page);
}

void gm_view_draw(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui)
{
    struct gm_layout l = gm_layout_of(grid->w, grid->h);
    gm_grid_clear(grid);
    if (l.one_line) {
        gm_view_one_line(grid, model, ui);
        return;
    }
    gm_view_header(grid, model, ui);
    if (ui->screen == GM_SCREEN_HELP) {
        gm_view_help(grid, ui, 2, l.footer_y - 2);
    } else if (ui->screen == GM_SCREEN_STACKS) {
        gm_view_stacks(grid, model, ui, 2, l.footer_y - 2);
    } else if (ui->screen == GM_SCREEN_GC) {
        gm_view_gc(grid, model, ui, 2, l.footer_y - 2);
    } else if (ui->screen == GM_SCREEN_CACHES) {
        gm_view_caches(grid, model, ui, 2, l.footer_y - 2);
    } else {
        gm_view_chart(grid, model, ui, &l);
        gm_view_table(grid, model, ui, &l);
        gm_view_pane(grid, model, ui, &l);
    }
    if (ui->sort_menu)
        gm_view_sort_menu(grid, ui, 2);
    view_footer(grid, l.footer_y, ui);
}
