/* show.h - what several reports have in common: the head, warnings, site rows, stacks. */
#ifndef GM_ANALYZER_REPORT_SHOW_H
#define GM_ANALYZER_REPORT_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/stacks.h"
#include "analyzer/report/report.h"
#include "analyzer/report/selection.h"

/* What keeps a recording from being the whole truth. */
struct show_gaps {
    struct gm_losses losses;
    struct gm_symbol_state symbols;
};
int show_gaps_load(struct report *report, struct show_gaps *ret_gaps);
void show_gaps_done(struct show_gaps *gaps);
/* Nothing was lost and the recording was closed in order. */
bool show_is_complete(const struct report *report);

/* Title, program, how it ended; then one line per warning. */
int show_head(struct report *report, const char *title);
/* The same as members of the document's outermost object, which it opens. */
void show_json_head(struct report *report, const char *command);

/* Loads a site's stack, writes its line of interest into text, releases the stack. */
int show_where(struct report *report, uint32_t stack_id, char *text, size_t text_bytes);

/* The frames of a stack, at most `most` lines (0: all). */
void show_stack(struct report *report, const struct gm_stack *stack, size_t most);

/* Members "where" and "stack" of the object that is open. */
int show_json_stack(struct report *report, uint32_t stack_id);
/* The member "sites" of the document: the first `rows` of the selection, each with its stack. */
int show_json_sites(struct report *report, const struct selection *selection, size_t rows);
/* Members that every site has: ids, figures, generations. */
void show_json_site(
    struct report *report, const struct selection *selection, const struct gm_site_group *group);

/* Freed blocks by lifetime (core/generations.h), empty buckets left out. */
void show_json_histogram(struct json *j, const char *key, const uint64_t *buckets);

/* Time at which ages are taken; < 0 where the figures are of an earlier moment and ages are not
 * known. */
int64_t show_age_now(const struct report *report);
char *show_age(const struct report *report, const struct gm_site *site, char text[static 32]);

/* Figures of blocks and bytes: as in core/figures.h, and marked where they are estimates. */
char *show_bytes(const struct report *report, char text[static 32], uint64_t bytes);
char *show_count(const struct report *report, char text[static 32], uint64_t blocks);
char *show_short(const struct report *report, char text[static 32], uint64_t blocks);
char *show_change(const struct report *report, char text[static 32], double bytes);
char *show_percent(const struct report *report, char text[static 32], double part, double whole);

/* The column of two standard errors before the last of a table, there only where figures are estimates: its title, its
 * width, and in a row the share of the estimate ("+-38%"), or how many samples there are where so few say
 * little ("n=7"; samples UINT64_MAX: not known). A margin < 0 is not known. */
const char *show_margin_title(const struct report *report);
size_t show_margin_columns(const struct report *report);
void show_margin(struct report *report, uint64_t estimate, double variance, uint64_t samples);
/* " +-1.2%" behind a figure that stands alone; "" where every event was recorded. */
char *show_margin_text(
    const struct report *report, char text[static 32], uint64_t estimate, double variance);
/* Members "KEY_se" of the object that is open, where figures are estimates. */
void show_json_error(struct report *report, const char *key, double variance);

/* How many rows to show: --top, --all, or `usual`. */
size_t show_rows(const struct report *report, size_t usual, size_t n);

/* The recording's path as one would type it into a shell. */
void show_file(struct report *report);

/* A section's title. */
void show_title(struct report *report, const char *title);

/* A moment of the recording: "12.4 s". */
char *show_moment(int64_t ns, char text[static 32]);

#endif
