/* site_groups.h - sites that a report treats as one: the same stack in several processes. */
#ifndef GM_ANALYZER_CORE_SITE_GROUPS_H
#define GM_ANALYZER_CORE_SITE_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/sites.h"
#include "analyzer/core/stack_tree.h"

/* Figures of all sites of a group; site_id, process_id and stack_id are those of the first. */
struct gm_site_group {
    struct gm_site sum;
    uint32_t first, n; /* slice of gm_site_groups.members */
};

struct gm_site_groups {
    struct gm_site_group *v;
    size_t n;
    const struct gm_site **members; /* sites, by group, each group by site_id */
};

/* Groups `list`. `tree` may be NULL: then every site is a group of its own. The groups borrow the
 * sites. */
int gm_site_groups_build(struct gm_recording *recording, const struct gm_site *const *list,
    size_t n, const struct gm_stack_tree *tree, struct gm_site_groups *ret_groups);
void gm_site_groups_done(struct gm_site_groups *groups);

#endif
