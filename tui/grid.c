/* grid.c - see grid.h. */
#include "tui/grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define RUNE_INVALID 0xFFFDu

int gm_grid_resize(struct gm_grid *grid, int w, int h)
{
    w = w < 1 ? 1 : w;
    h = h < 1 ? 1 : h;
    if (w != grid->w || h != grid->h) {
        struct gm_cell *cells = calloc((size_t)w * (size_t)h, sizeof *cells);
        if (!cells)
            return -ENOMEM;
        free(grid->cells);
        grid->cells = cells;
        grid->w = w;
        grid->h = h;
    }
    gm_grid_clear(grid);
    return 0;
}

void gm_grid_clear(struct gm_grid *grid)
{
    for (int i = 0; i < grid->w * grid->h; i++)
        grid->cells[i] = (struct gm_cell){.ch = ' '};
}

void gm_grid_done(struct gm_grid *grid)
{
    free(grid->cells);
    *grid = (struct gm_grid){0};
}

/* ---- text ------------------------------------------------------------------------------------------- */

static int utf8_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first < 0xE0)
        return 2;
    if (first >= 0xE0 && first < 0xF0)
        return 3;
    if (first >= 0xF0 && first < 0xF5)
        return 4;
    return 0;
}

uint32_t gm_rune_next(const char **text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)*text;
    int n = utf8_length(*s);
    uint32_t ch = n == 1 ? *s : *s & (0xFFu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            n = 0;
        else
            ch = ch << 6 | (s[i] & 0x3F);
    }
    if (n == 0 || ch < smallest[n] || ch > 0x10FFFF || (ch >= 0xD800 && ch < 0xE000)) {
        *text += 1;
        return RUNE_INVALID;
    }
    *text += n;
    return ch;
}

/* Characters that move the cursor, hide text or change its direction. */
static bool rune_is_harmful(uint32_t ch)
{
    return ch < 0x20 || (ch >= 0x7F && ch < 0xA0) || ch == 0xAD || (ch >= 0x200B && ch <= 0x200F) ||
           (ch >= 0x2028 && ch <= 0x202E) || (ch >= 0x2060 && ch <= 0x206F) || ch == 0xFEFF ||
           (ch >= 0xFFF9 && ch <= 0xFFFB) || ch >= 0xE0000;
}

static uint32_t rune_drawable(uint32_t ch, bool unicode)
{
    if (rune_is_harmful(ch) || (ch >= 0x80 && wcwidth((wchar_t)ch) < 0))
        ch = RUNE_INVALID;
    if (ch >= 0x80 && (!unicode || ch == RUNE_INVALID))
        return '?';
    return ch;
}

int gm_rune_columns(uint32_t ch)
{
    if (ch < 0x80 || rune_is_harmful(ch))
        return 1;
    int columns = wcwidth((wchar_t)ch);
    return columns < 0 ? 1 : columns; /* unknown to the C library: drawn as one '?' */
}

int gm_grid_columns(const char *text)
{
    int columns = 0;
    while (text && *text)
        columns += gm_rune_columns(gm_rune_next(&text));
    return columns;
}

/* ---- cells ------------------------------------------------------------------------------------------ */

static struct gm_cell *grid_cell(struct gm_grid *grid, int x, int y)
{
    if (x < 0 || y < 0 || x >= grid->w || y >= grid->h)
        return NULL;
    return &grid->cells[y * grid->w + x];
}

void gm_grid_put(struct gm_grid *grid, int x, int y, enum gm_style style, uint32_t ch)
{
    struct gm_cell *cell = grid_cell(grid, x, y);
    if (cell)
        *cell = (struct gm_cell){.ch = ch, .style = (uint8_t)style};
}

void gm_grid_fill(struct gm_grid *grid, int x, int y, int end, enum gm_style style, uint32_t ch)
{
    for (; x < end; x++)
        gm_grid_put(grid, x, y, style, ch);
}

void gm_grid_restyle(struct gm_grid *grid, int x, int y, int end, enum gm_style style)
{
    for (; x < end && grid_cell(grid, x, y); x++)
        grid_cell(grid, x, y)->style = (uint8_t)style;
}

int gm_grid_text(struct gm_grid *grid, int x, int y, int end, enum gm_style style, const char *text)
{
    end = end > grid->w ? grid->w : end;
    while (text && *text) {
        uint32_t raw = gm_rune_next(&text);
        int columns = grid->unicode ? gm_rune_columns(raw) : 1;
        if (columns == 0)
            continue;
        if (x + columns > end)
            break;
        gm_grid_put(grid, x, y, style, rune_drawable(raw, grid->unicode));
        if (columns == 2)
            gm_grid_put(grid, x + 1, y, style, 0);
        x += columns;
    }
    return x;
}

int gm_grid_text_cut(
    struct gm_grid *grid, int x, int y, int end, enum gm_style style, const char *text)
{
    end = end > grid->w ? grid->w : end;
    if (x >= end || gm_grid_columns(text) <= end - x)
        return gm_grid_text(grid, x, y, end, style, text);
    x = gm_grid_text(grid, x, y, end - 1, style, text);
    gm_grid_put(grid, x, y, style, grid->unicode ? 0x2026 : '~');
    return x + 1;
}

void gm_grid_right(struct gm_grid *grid, int end, int y, enum gm_style style, const char *text)
{
    gm_grid_text(grid, end - gm_grid_columns(text), y, end, style, text);
}

void gm_grid_printf(
    struct gm_grid *grid, int x, int y, enum gm_style style, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gm_grid_text(grid, x, y, grid->w, style, text);
}

/* ---- reading back ----------------------------------------------------------------------------------- */

static int rune_encode(uint32_t ch, char out[4])
{
    if (ch < 0x80) {
        out[0] = (char)ch;
        return 1;
    }
    if (ch < 0x800) {
        out[0] = (char)(0xC0 | ch >> 6);
        out[1] = (char)(0x80 | (ch & 0x3F));
        return 2;
    }
    if (ch < 0x10000) {
        out[0] = (char)(0xE0 | ch >> 12);
        out[1] = (char)(0x80 | (ch >> 6 & 0x3F));
        out[2] = (char)(0x80 | (ch & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | ch >> 18);
    out[1] = (char)(0x80 | (ch >> 12 & 0x3F));
    out[2] = (char)(0x80 | (ch >> 6 & 0x3F));
    out[3] = (char)(0x80 | (ch & 0x3F));
    return 4;
}

char *gm_grid_row(const struct gm_grid *grid, int y, char *out, size_t room)
{
    size_t n = 0, end = 0;
    for (int x = 0; x < grid->w && y >= 0 && y < grid->h; x++) {
        char bytes[4];
        uint32_t ch = grid->cells[y * grid->w + x].ch;
        int length = ch ? rune_encode(ch, bytes) : 0;
        if (n + (size_t)length >= room)
            break;
        memcpy(out + n, bytes, (size_t)length);
        n += (size_t)length;
        if (ch != ' ' && ch)
            end = n;
    }
    out[end] = 0;
    return out;
}
