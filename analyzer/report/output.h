/* output.h - where a report goes: text on standard output, plain or coloured, perhaps through a
 * pager.
 *
 * Text is written as UTF-8. Where the terminal cannot show it (locale, --ascii) drawing characters
 * become ASCII ones and other characters "?". Names are clean before they come here (core/names.h).
 */
#ifndef GM_ANALYZER_REPORT_OUTPUT_H
#define GM_ANALYZER_REPORT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define OUT_COLUMNS \
    88 /* no line of a text report is longer, but for names in `sql` and `flame`   \
                        */

enum out_color { OUT_COLOR_AUTO, OUT_COLOR_ALWAYS, OUT_COLOR_NEVER };

enum out_style { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_WARN };

struct out {
    FILE *file;
    bool ascii, color;
    int pager_pid; /* 0: none */
};

/* Prepares standard output. `page` allows a pager on a terminal. */
void out_open(struct out *out, enum out_color color, bool ascii, bool page);
/* Flushes and waits for the pager. Returns 0, or a negative errno if something could not be
 * written. */
int out_close(struct out *out);

/* Bytes that stand for a character: printf pads texts by bytes, and so the columns fit. */
#define OUT_ABOUT '\1'      /* almost equal to: an estimate */
#define OUT_PLUS_MINUS '\2' /* plus or minus */

void out_printf(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with a style that ends with it. The newline, if any, stays outside of the style. */
void out_styled(struct out *out, enum out_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text cut to at most `columns` columns, with "~" at the end if something was left out. */
void out_cut(struct out *out, const char *text, size_t columns);
/* The same, filled up with spaces. */
void out_padded(struct out *out, const char *text, size_t columns);
/* A bar of `value` out of `most`, at most `columns` wide; at least an eighth where value is not 0.
 */
void out_bar(struct out *out, double value, double most, size_t columns);
/* One character of a chart: how much of a cell is filled, 0..8. */
void out_block(struct out *out, int eighths);

#endif
