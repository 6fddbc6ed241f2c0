/* chart.h - a filled line over time, in cells.
 *
 * One value per dot column; a cell holds 2 x 4 dots in braille, 1 x 8 in blocks, 1 x 3 in ASCII.
 */
#ifndef GM_TUI_CHART_H
#define GM_TUI_CHART_H

#include <stdint.h>

#include "tui/grid.h"

enum gm_chart_symbols {
    GM_CHART_ASCII,
    GM_CHART_BLOCK,
    GM_CHART_BRAILLE,
};

struct gm_chart_point {
    int64_t ns;     /* the value holds from the point before up to here; ascending */
    uint64_t value; /* at the end of that time */
    uint64_t peak;  /* most within it; >= value */
};

/* Dot columns in one cell. */
int gm_chart_columns(enum gm_chart_symbols symbols);

/* Resamples points over (from_ns, to_ns] into n columns: the most in each, carried on where nothing was
 * measured, 0 before the first point. Returns the largest. */
uint64_t gm_chart_resample(const struct gm_chart_point *points, size_t points_n, int64_t from_ns,
    int64_t to_ns, uint64_t *columns, int n);

/* Draws columns (gm_chart_columns(symbols) per cell) into w x h cells at x, y, scaled so that `top` fills
 * the height. A value above 0 shows at least one dot. */
void gm_chart_draw(struct gm_grid *grid, int x, int y, int w, int h, enum gm_chart_symbols symbols,
    const uint64_t *columns, uint64_t top);

#endif
