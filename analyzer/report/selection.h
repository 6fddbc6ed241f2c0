/* selection.h - the sites a report is about: filtered, merged, sorted. */
#ifndef GM_ANALYZER_REPORT_SELECTION_H
#define GM_ANALYZER_REPORT_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/generations.h"
#include "analyzer/core/site_groups.h"
#include "analyzer/core/sites.h"
#include "analyzer/core/stack_tree.h"
#include "analyzer/report/report.h"

struct selection {
    struct gm_sites sites;     /* all of the recording */
    struct gm_stack_tree tree; /* empty unless it was needed */
    struct gm_site_groups groups;
    const struct gm_site_group **list; /* sorted by selection_sort */
    size_t n;
    bool merged;   /* the same stack in several processes is one group */
    bool filtered; /* something was left out */
    bool windowed; /* windows are filled: figures of sites->from_ns..to_ns */
    /* sums over the list */
    uint64_t live_bytes, live_blocks, allocs, alloc_bytes, frees, peak_bytes, peak_blocks;
    double live_bytes_var, live_blocks_var, alloc_bytes_var;
};

enum selection_need {
    SELECT_TREE = 1,   /* load all stacks */
    SELECT_GROWTH = 2, /* fill windows: the range asked for, else the last half of the recording */
};

/* With a range, allocs and alloc_bytes are those within it, and live figures those at its end.
 * sum.run_peak_* is what was live at the peak: of the one process asked for, else of all together.
 * `weight` says what --min-bytes is compared with. */
int selection_load(struct report *report, unsigned needs, enum report_weight weight,
    struct selection *ret_selection);
void selection_done(struct selection *selection);
void selection_sort(struct selection *selection, enum gm_site_order order, int64_t now_ns);

/* Lifetimes of all blocks the listed sites freed. */
int selection_lifetimes(
    struct report *report, const struct selection *selection, struct gm_lifetimes *ret_lifetimes);

/* The window that growth is measured over where no range was given. */
#define SELECTION_GROWTH_NS 600000000000 /* 10 min; arbitrary */

uint64_t selection_weight(const struct gm_site_group *group, enum report_weight weight);

#endif
