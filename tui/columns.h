/* columns.h - the columns of the site table: the one list that table, sort menu, --sort and batch use. */
#ifndef GM_TUI_COLUMNS_H
#define GM_TUI_COLUMNS_H

#include <stdbool.h>

struct gm_row;

/* X(name, title, width, from, text)
 *   name   for --sort, gives GM_COLUMN_name
 *   width  columns it takes, without the blank before it; 0: the rest of the line
 *   from   narrowest screen that shows it
 *   text   one line for the sort menu and the help */
#define GM_COLUMNS(X) \
    X(live, "LIVE", 6, 40, "bytes allocated here and not freed") \
    X(growth, "GROWTH/m", 8, 40, "change of LIVE per minute within the window") \
    X(blocks, "BLOCKS", 6, 100, "blocks allocated here and not freed") \
    X(allocs, "ALLOC/s", 7, 60, "allocations per second within the window") \
    X(frees, "FREE/s", 7, 100, "frees per second within the window") \
    X(promote, "PROMOTE", 7, 80, "share of all blocks that outlived generation 0") \
    X(age, "AGE", 6, 80, "mean age of the live blocks") \
    X(average, "AVG", 6, 130, "mean size of the live blocks") \
    X(total, "TOTAL", 6, 130, "bytes ever allocated here") \
    X(stacks, "STACKS", 6, 130, "distinct call stacks that lead here") \
    X(where, "SITE", 0, 0, "function, file and line that asked for the memory")

enum gm_column {
#define GM_X(name, title, width, from, text) GM_COLUMN_##name,
    GM_COLUMNS(GM_X)
#undef GM_X
        GM_COLUMN_COUNT
};

struct gm_column_info {
    const char *name, *title;
    int width, from;
    const char *text;
};

extern const struct gm_column_info gm_columns[GM_COLUMN_COUNT];

/* GM_COLUMN_COUNT for a name that is none. */
enum gm_column gm_column_by_name(const char *name);

/* What rows are sorted by, largest first; `where` is sorted by its text instead. */
double gm_column_value(const struct gm_row *row, enum gm_column column);

#define GM_COLUMN_TEXT_BYTES 32
/* The figure as shown. `where` gives "". */
char *gm_column_text(
    const struct gm_row *row, enum gm_column column, char out[static GM_COLUMN_TEXT_BYTES]);

#endif
