/* chart.c - see chart.h. */
#include "tui/chart.h"

int gm_chart_columns(enum gm_chart_symbols symbols)
{
    return symbols == GM_CHART_BRAILLE ? 2 : 1;
}

static int chart_levels(enum gm_chart_symbols symbols)
{
    switch (symbols) {
    case GM_CHART_ASCII:
        return 3;
    case GM_CHART_BLOCK:
        return 8;
    case GM_CHART_BRAILLE:
        return 4;
    }
    return 1;
}

uint64_t gm_chart_resample(const struct gm_chart_point *points, size_t points_n, int64_t from_ns,
    int64_t to_ns, uint64_t *columns, int n)
{
    double width = to_ns > from_ns ? (double)(to_ns - from_ns) / n : 1;
    uint64_t carried = 0, most = 0;
    size_t p = 0;
    for (int c = 0; c < n; c++) {
        double start = (double)from_ns + width * c;
        double end = c + 1 < n ? start + width : (double)to_ns; /* not a rounding error before it */
        uint64_t value = carried;
        /* A point speaks for the time before it, so one that ends behind this column counts here too. */
        while (p < points_n && (double)points[p].ns <= end) {
            if ((double)points[p].ns > start && points[p].peak > value)
                value = points[p].peak;
            carried = points[p++].value;
        }
        columns[c] = value;
        most = value > most ? value : most;
    }
    return most;
}

static uint32_t braille_cell(int left, int right)
{
    static const uint8_t left_dots[] = {0, 0x40, 0x44, 0x46, 0x47};
    static const uint8_t right_dots[] = {0, 0x80, 0xA0, 0xB0, 0xB8};
    return left || right ? 0x2800u + left_dots[left] + right_dots[right] : ' ';
}

/* How many of the `levels` dots of a cell whose bottom lies `below` dots above the ground are filled. */
static int cell_fill(int dots, int below, int levels)
{
    int fill = dots - below;
    return fill < 0 ? 0 : fill > levels ? levels : fill;
}

static int column_dots(uint64_t value, uint64_t top, int dots)
{
    if (value == 0 || top == 0)
        return 0;
    int filled = (int)((double)value / (double)top * dots + 0.5);
    return filled < 1 ? 1 : filled > dots ? dots : filled;
}

void gm_chart_draw(struct gm_grid *grid, int x, int y, int w, int h, enum gm_chart_symbols symbols,
    const uint64_t *columns, uint64_t top)
{
    int levels = chart_levels(symbols), per_cell = gm_chart_columns(symbols);
    for (int cx = 0; cx < w; cx++) {
        const uint64_t *values = columns + cx * per_cell;
        int first = column_dots(values[0], top, h * levels);
        int second = column_dots(values[per_cell - 1], top, h * levels);
        for (int cy = 0; cy < h; cy++) {
            int below = (h - 1 - cy) * levels;
            int left = cell_fill(first, below, levels), right = cell_fill(second, below, levels);
            uint32_t ch = symbols == GM_CHART_BRAILLE ? braille_cell(left, right)
                          : symbols == GM_CHART_ASCII ? (uint32_t) " .:#"[left]
                          : left                      ? 0x2580u + (uint32_t)left
                                                      : ' ';
            gm_grid_put(grid, x + cx, y + cy, GM_STYLE_CHART, ch);
        }
    }
}
