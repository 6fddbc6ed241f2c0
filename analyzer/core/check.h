/* check.h - whether a recording is whole, and whether its figures agree with each other. */
#ifndef GM_ANALYZER_CORE_CHECK_H
#define GM_ANALYZER_CORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

/* One statement that must hold in every recording. */
struct gm_check_item {
    const char *name; /* static: "sites add up to their processes: allocations" */
    uint64_t left, right;
    bool holds;
};

struct gm_check_items {
    struct gm_check_item *v;
    size_t n;
};

/* Compares sums: sites with processes, processes with the run, slices with processes, peaks. */
int gm_check_sums(struct gm_recording *recording, struct gm_check_items *ret_items);
void gm_check_items_done(struct gm_check_items *items);

/* Reads every page (SQLite's integrity_check). Stores the first complaint, or NULL if there is
 * none; to be freed by the caller. */
int gm_check_integrity(struct gm_recording *recording, char **ret_complaint);

#endif
