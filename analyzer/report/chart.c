/* chart.c - see chart.h. */
#include "analyzer/report/chart.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/core/figures.h"
#include "analyzer/core/generations.h"

#define CHART_MAX_COLUMNS 80

/* Largest value within each column; columns without a point keep the value before them. */
static uint64_t chart_columns(const struct chart_point *points, size_t n, uint64_t start,
    int64_t from_ns, int64_t to_ns, uint64_t *columns, size_t column_count)
{
    uint64_t value = start, most = 0;
    size_t i = 0;
    double step = (double)(to_ns - from_ns) / (double)column_count;
    for (size_t c = 0; c < column_count; c++) {
        int64_t end_ns = from_ns + (int64_t)(step * (double)(c + 1));
        columns[c] = value;
        for (; i < n && (points[i].ns < end_ns || c + 1 == column_count); i++) {
            value = points[i].value;
            if (value > columns[c])
                columns[c] = value;
        }
        if (columns[c] > most)
            most = columns[c];
    }
    return most;
}

/* Eighths of row `row` (0: lowest) that a value fills. */
static int chart_cell(uint64_t value, uint64_t most, size_t row, size_t rows)
{
    double eighths = most ? (double)value / (double)most * (double)rows * 8 : 0;
    if (eighths > 0 && eighths < 1)
        eighths = 1;
    eighths -= (double)row * 8;
    return eighths <= 0 ? 0 : eighths >= 8 ? 8 : (int)(eighths + 0.5);
}

void chart_draw(struct out *out, const struct chart_point *points, size_t n, uint64_t start,
    int64_t from_ns, int64_t to_ns, size_t rows)
{
    uint64_t columns[72];
    const size_t count = sizeof columns / sizeof *columns;
    char figure[GM_FIGURE_BYTES], left[GM_FIGURE_BYTES], right[GM_FIGURE_BYTES];
    uint64_t most = chart_columns(points, n, start, from_ns, to_ns, columns, count);
    for (size_t row = rows; row-- > 0;) {
        if (row + 1 == rows)
            out_printf(out, " %9s \u2502", gm_figure_bytes(figure, most));
        else
            out_printf(out, " %9s \u2502", row ? "" : "0");
        for (size_t c = 0; c < count; c++)
            out_block(out, chart_cell(columns[c], most, row, rows));
        out_printf(out, "\n");
    }
    gm_figure_time(left, from_ns);
    gm_figure_time(right, to_ns);
    out_printf(out, "%12s%-*s%s\n", "", (int)(count - strlen(right)), left, right);
}

void chart_spark(struct out *out, const struct chart_point *points, size_t n, uint64_t start,
    int64_t from_ns, int64_t to_ns, size_t columns)
{
    uint64_t values[CHART_MAX_COLUMNS];
    if (columns > CHART_MAX_COLUMNS)
        columns = CHART_MAX_COLUMNS;
    uint64_t most = chart_columns(points, n, start, from_ns, to_ns, values, columns);
    for (size_t c = 0; c < columns; c++)
        out_block(out, chart_cell(values[c], most, 0, 1));
}

void chart_lifetimes(struct out *out, const uint64_t *buckets, size_t n, enum chart_unit unit)
{
    size_t first = n, last = 0;
    uint64_t most = 0, total = 0;
    for (size_t b = 0; b < n; b++) {
        if (!buckets[b])
            continue;
        first = first == n ? b : first;
        last = b;
        total += buckets[b];
        most = buckets[b] > most ? buckets[b] : most;
    }
    for (size_t b = first; b <= last && b < n; b++) {
        char edge[GM_FIGURE_BYTES], count[GM_FIGURE_BYTES], share[GM_FIGURE_BYTES];
        uint64_t from = gm_lifetime_from((unsigned)b);
        if (unit == CHART_BYTES)
            gm_figure_binary(edge, from);
        else
            gm_figure_time(edge, from > INT64_MAX ? INT64_MAX : (int64_t)from);
        out_printf(out, "  %9s+ %11s %6s ", edge, gm_figure_count(count, buckets[b]),
            gm_figure_percent(share, (double)buckets[b], (double)total));
        out_bar(out, (double)buckets[b], (double)most, 50);
        out_printf(out, "\n");
    }
    if (first == n)
        out_printf(out, "  none was freed\n");
}
