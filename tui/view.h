/* view.h - draws the model into a grid of cells. Pure: the same model, state and size give the same cells.
 *
 * The screen shrinks in steps instead of refusing: narrow ones lose columns, low ones the detail pane (below
 * 18 lines), then the chart (below 12); below 40 x 8 one line of text is left.
 */
#ifndef GM_TUI_VIEW_H
#define GM_TUI_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/chart.h"
#include "tui/filter.h"
#include "tui/grid.h"
#include "tui/model.h"

enum gm_screen {
    GM_SCREEN_TABLE,
    GM_SCREEN_STACKS,
    GM_SCREEN_GC,
    GM_SCREEN_CACHES,
    GM_SCREEN_HELP,
};

enum gm_prompt {
    GM_PROMPT_NONE,
    GM_PROMPT_FILTER,
    GM_PROMPT_MARK,
    GM_PROMPT_STOP, /* a yes-or-no question */
};

/* What the user has done to the screen; app.c changes it, the view only reads it. */
struct gm_ui {
    enum gm_screen screen, screen_before_help;
    bool sort_menu;
    int menu_line; /* a column */
    enum gm_prompt prompt;
    char input[GM_FILTER_BYTES];
    uint32_t selected; /* row + 1; 0: the first */
    size_t top;        /* first row on the screen */
    int scroll;        /* first line of the stacks, or of the help */
    struct gm_sorting sorting;
    struct gm_filter filter;
    bool paused;
    double delay_s;
    int64_t window_ns; /* as asked for */
    enum gm_chart_symbols symbols;
    bool utc;         /* times of day in UTC, for pictures that must not differ */
    char status[256]; /* one line for the bottom; "" for the keys */
    bool status_bad;
};

/* Where things are; heights of 0: not shown. */
struct gm_layout {
    bool one_line;
    int chart_y, chart_h;
    int bar_y; /* the line between chart and table; -1: none */
    int head_y, rows_y, rows_h;
    int pane_y, pane_h;
    int footer_y;
};
struct gm_layout gm_layout_of(int w, int h);

/* Brings selection and scroll positions back into what there is to show. */
void gm_ui_fit(struct gm_ui *ui, const struct gm_model *model, int w, int h);

void gm_view_draw(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui);

/* view_header.c */
void gm_view_header(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui);
void gm_view_one_line(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui);
void gm_view_chart(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui,
    const struct gm_layout *layout);
/* "LIVE", "EXITED 0", ... */
const char *gm_state_text(const struct gm_model *model, char out[static 32]);

/* view_table.c */
void gm_view_table(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui,
    const struct gm_layout *layout);
void gm_view_pane(struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui,
    const struct gm_layout *layout);
/* Whether a column is shown on a screen so wide. */
bool gm_column_fits(enum gm_column column, int w);

/* view_stacks.c */
void gm_view_stacks(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y, int h);
int gm_view_stacks_lines(const struct gm_model *model);

/* view_gc.c */
void gm_view_gc(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y, int h);
int gm_view_gc_lines(const struct gm_model *model);

/* view_caches.c */
void gm_view_caches(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y, int h);
int gm_view_caches_lines(const struct gm_model *model);

/* view_help.c */
void gm_view_help(struct gm_grid *grid, const struct gm_ui *ui, int y, int h);
int gm_view_help_lines(void);
void gm_view_sort_menu(struct gm_grid *grid, const struct gm_ui *ui, int y);

/* A line across the screen with a title in it. */
void gm_view_bar(struct gm_grid *grid, int y, const char *title, const char *right);

#endif
