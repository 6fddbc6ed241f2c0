/* filter.h - which rows of the table to show.
 *
 *   filter = term { ' ' term }       all terms must hold
 *   term   = text { '|' text }       the row's text holds one of them, capitals or not
 *          | '!' regex               an extended regular expression finds something in it
 *          | 'mod:' text             the module's path holds it
 *          | column ('>' | '<') size such as live>1M, growth>10k, allocs>100, blocks<5
 */
#ifndef GM_TUI_FILTER_H
#define GM_TUI_FILTER_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "tui/columns.h"

struct gm_row;

#define GM_FILTER_TERMS 8
#define GM_FILTER_BYTES 256

struct gm_filter_term {
    enum { GM_TERM_TEXT, GM_TERM_REGEX, GM_TERM_MODULE, GM_TERM_FIGURE } kind;
    char text[GM_FILTER_BYTES];
    regex_t regex;
    enum gm_column column;
    bool above;
    double bound;
};

struct gm_filter {
    char text[GM_FILTER_BYTES]; /* as typed */
    size_t term_count;          /* 0: everything passes */
    struct gm_filter_term terms[GM_FILTER_TERMS];
};

/* Reads `text` into a filter that was zeroed or set before. On failure (-EINVAL) the filter is unchanged
 * and *ret_message, a static or thread-local text, says what is wrong. */
int gm_filter_set(struct gm_filter *filter, const char *text, const char **ret_message);
void gm_filter_done(struct gm_filter *filter);
bool gm_filter_passes(const struct gm_filter *filter, const struct gm_row *row);

#endif
