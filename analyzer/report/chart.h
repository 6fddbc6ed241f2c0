/* chart.h - charts in text: a curve over time, and histograms of lifetimes. */
#ifndef GM_ANALYZER_REPORT_CHART_H
#define GM_ANALYZER_REPORT_CHART_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/report/output.h"

/* A value over time as steps: points[i] holds from its time until the next. */
struct chart_point {
    int64_t ns;
    uint64_t value;
};

/* Draws the points within from_ns..to_ns as filled columns, `rows` high; the largest value within a
 * column counts. `start` is the value before the first point. Axes included; 88 columns. */
void chart_draw(struct out *out, const struct chart_point *points, size_t n, uint64_t start,
    int64_t from_ns, int64_t to_ns, size_t rows);

/* The same in one line without axes, `columns` wide. */
void chart_spark(struct out *out, const struct chart_point *points, size_t n, uint64_t start,
    int64_t from_ns, int64_t to_ns, size_t columns);

enum chart_unit { CHART_BYTES, CHART_NS };

/* Bars for a histogram of powers of two (core/generations.h), without the empty ends. */
void chart_lifetimes(struct out *out, const uint64_t *buckets, size_t n, enum chart_unit unit);

#endif
