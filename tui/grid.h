/* grid.h - a screenful of cells in memory, drawn by view.c and shown by terminal.c.
 *
 *   live -> model -> [view draws cells] -> grid -> [terminal shows cells]
 *
 * Nothing here knows a terminal, so every screen can be drawn and compared in a unit test. All text comes
 * in through gm_grid_text, which decodes UTF-8 and lets no control character, no invalid byte and no
 * direction-changing character through: whatever name a recorded program chose, the grid stays printable.
 */
#ifndef GM_TUI_GRID_H
#define GM_TUI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a cell means; terminal.c turns it into colours and attributes. */
enum gm_style {
    GM_STYLE_NORMAL,
    GM_STYLE_DIM,
    GM_STYLE_BOLD,
    GM_STYLE_TITLE,  /* program and state in the first line */
    GM_STYLE_GOOD,   /* running, nothing lost */
    GM_STYLE_WARN,   /* growth, paused */
    GM_STYLE_BAD,    /* losses, a recorder that died */
    GM_STYLE_CURSOR, /* the selected row */
    GM_STYLE_HEAD,   /* column titles */
    GM_STYLE_SORTED, /* the column title the table is sorted by */
    GM_STYLE_CHART,
    GM_STYLE_KEY, /* a key in the last line */
    GM_STYLE_COUNT
};

struct gm_cell {
    uint32_t ch;   /* a printable code point; 0: second half of a wide character */
    uint8_t style; /* enum gm_style */
};

struct gm_grid {
    int w, h;
    struct gm_cell *cells; /* h rows of w */
    bool unicode;          /* false: anything beyond ASCII is drawn as '?' */
};

/* Gives the grid a size and blanks it; keeps it as it was and returns -ENOMEM without memory. */
int gm_grid_resize(struct gm_grid *grid, int w, int h);
void gm_grid_clear(struct gm_grid *grid);
void gm_grid_done(struct gm_grid *grid);

/* Writes text from column x on, cut at column `end` (exclusive; clipped to the grid). Cells outside are
 * left alone. Returns the column behind the text. NULL text is "". */
int gm_grid_text(
    struct gm_grid *grid, int x, int y, int end, enum gm_style style, const char *text);
/* The same, and marks a cut with a last character: '…', or '~' without Unicode. */
int gm_grid_text_cut(
    struct gm_grid *grid, int x, int y, int end, enum gm_style style, const char *text);
/* Writes text so that it ends before column `end`. */
void gm_grid_right(struct gm_grid *grid, int end, int y, enum gm_style style, const char *text);
void gm_grid_printf(struct gm_grid *grid, int x, int y, enum gm_style style, const char *format,
    ...) __attribute__((format(printf, 5, 6)));
/* One cell; `ch` must be printable and one column wide. */
void gm_grid_put(struct gm_grid *grid, int x, int y, enum gm_style style, uint32_t ch);
void gm_grid_fill(struct gm_grid *grid, int x, int y, int end, enum gm_style style, uint32_t ch);
/* Changes the style of what is there. */
void gm_grid_restyle(struct gm_grid *grid, int x, int y, int end, enum gm_style style);

/* Writes row y as UTF-8 without trailing blanks; returns out. Room for GM_GRID_ROW_BYTES(w) suffices. */
#define GM_GRID_ROW_BYTES(w) ((size_t)(w)*4 + 1)
char *gm_grid_row(const struct gm_grid *grid, int y, char *out, size_t room);

/* Columns `text` takes when drawn. */
int gm_grid_columns(const char *text);
/* Reads one code point of UTF-8 and moves *text on; invalid bytes come out as 0xFFFD, one by one. */
uint32_t gm_rune_next(const char **text);
/* Columns of one code point once drawn: 0 combining, 1, or 2. */
int gm_rune_columns(uint32_t ch);

#endif
