/* selection.c - see selection.h. */
#include "analyzer/report/selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/estimate.h"

uint64_t selection_weight(const struct gm_site_group *group, enum report_weight weight)
{
    switch (weight) {
    case WEIGHT_LIVE:
        return group->sum.live_bytes;
    case WEIGHT_PEAK:
        return group->sum.run_peak_bytes;
    case WEIGHT_ALLOCATED:
        return group->sum.alloc_bytes;
    case WEIGHT_ALLOCATIONS:
        return group->sum.allocs;
    case WEIGHT_COUNT:
        break;
    }
    return 0;
}

static int selection_load_window(struct report *r, struct selection *s)
{
    int64_t from_ns = r->from_ns;
    if (!r->ranged) {
        from_ns = r->run.duration_ns / 2;
        if (r->run.duration_ns - from_ns > SELECTION_GROWTH_NS)
            from_ns = r->run.duration_ns - SELECTION_GROWTH_NS;
    }
    int e = gm_sites_window(r->recording, &s->sites, from_ns, r->to_ns, r->ranged);
    s->windowed = e == 0;
    for (size_t i = 0; r->ranged && i < s->sites.n; i++) {
        struct gm_site *site = &s->sites.v[i];
        site->allocs = site->window.allocs;
        site->alloc_bytes = site->window.alloc_bytes;
        /* what the file has is of the whole recording: for bytes there is a bound, for blocks nothing */
        site->live_bytes_var = gm_estimate_bytes_variance_bound(&r->run, site->live_bytes);
        site->alloc_bytes_var = gm_estimate_bytes_variance_bound(&r->run, site->alloc_bytes);
        site->live_blocks_var = site->allocs_var = -1;
    }
    return e;
}

/* Sites of the processes and stacks asked for. */
static int selection_filter(
    struct report *r, struct selection *s, const struct gm_site **list, size_t *ret_n)
{
    const struct gm_stack_filter filter = {
        r->options->module, r->options->function, r->options->source};
    bool *matches = NULL;
    size_t n = 0;
    bool all = gm_stack_filter_is_empty(&filter);
    int e = all ? 0 : gm_stack_tree_match(r->recording, &s->tree, &filter, &matches);
    for (size_t i = 0; e == 0 && i < s->sites.n; i++) {
        struct gm_site *site = &s->sites.v[i];
        uint32_t node = all ? GM_NODE_NONE : gm_stack_tree_find(&s->tree, site->stack_id);
        if (!gm_process_set_has(&r->set, site->process_id))
            continue;
        if (!all && (node == GM_NODE_NONE || !matches[node]))
            continue;
        if (r->set.n == 1) {
            site->run_peak_bytes = site->peak_bytes;
            site->run_peak_blocks = site->peak_blocks;
        }
        list[n++] = site;
    }
    free(matches);
    *ret_n = n;
    return e;
}

static void selection_add_up(struct selection *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct gm_site *sum = &s->list[i]->sum;
        s->live_bytes += sum->live_bytes;
        s->live_blocks += sum->live_blocks;
        s->allocs += sum->allocs;
        s->alloc_bytes += sum->alloc_bytes;
        s->live_bytes_var += sum->live_bytes_var;
        s->live_blocks_var += sum->live_blocks_var;
        s->alloc_bytes_var += sum->alloc_bytes_var;
        s->peak_bytes += sum->run_peak_bytes;
        s->peak_blocks += sum->run_peak_blocks;
    }
}

/* Groups the sites and keeps the groups that are large enough. */
static int selection_group(struct report *r, struct selection *s, const struct gm_site *const *list,
    size_t n, enum report_weight weight)
{
    enum report_weight bytes = weight == WEIGHT_ALLOCATIONS ? WEIGHT_ALLOCATED : weight;
    int e = gm_site_groups_build(r->recording, list, n, s->merged ? &s->tree : NULL, &s->groups);
    if (e < 0)
        return e;
    s->list = malloc((s->groups.n + 1) * sizeof *s->list);
    if (!s->list)
        return -ENOMEM;
    for (size_t i = 0; i < s->groups.n; i++)
        if (selection_weight(&s->groups.v[i], bytes) >= r->options->min_bytes)
            s->list[s->n++] = &s->groups.v[i];
    s->filtered = n < s->sites.n || s->n < s->groups.n;
    selection_add_up(s);
    return 0;
}

int selection_load(struct report *report, unsigned needs, enum report_weight weight,
    struct selection *ret_selection)
{
    struct selection s = {0};
    const struct report_options *o = report->options;
    const struct gm_site **list = NULL;
    size_t n = 0;
    int e = gm_sites_load(report->recording, &s.sites);
    if (e == 0 && (report->ranged || needs & SELECT_GROWTH))
        e = selection_load_window(report, &s);
    s.merged = !o->process && report->processes.n > 1;
    if (e == 0 && (needs & SELECT_TREE || s.merged || o->module || o->function || o->source))
        e = gm_stack_tree_load(report->recording, &s.tree);
    if (e == 0 && !(list = malloc((s.sites.n + 1) * sizeof *list)))
        e = -ENOMEM;
    if (e == 0)
        e = selection_filter(report, &s, list, &n);
    if (e == 0)
        e = selection_group(report, &s, list, n, weight);
    free(list);
    if (e < 0)
        selection_done(&s);
    else
        *ret_selection = s;
    return e;
}

void selection_done(struct selection *selection)
{
    free(selection->list);
    gm_site_groups_done(&selection->groups);
    gm_stack_tree_done(&selection->tree);
    gm_sites_done(&selection->sites);
    *selection = (struct selection){0};
}

struct group_order {
    enum gm_site_order order;
    int64_t now_ns;
};

static int group_compare(const void *a, const void *b, void *data)
{
    const struct group_order *by = data;
    const struct gm_site *x = &(*(const struct gm_site_group *const *)a)->sum;
    const struct gm_site *y = &(*(const struct gm_site_group *const *)b)->sum;
    return gm_site_compare(x, y, by->order, by->now_ns);
}

void selection_sort(struct selection *selection, enum gm_site_order order, int64_t now_ns)
{
    struct group_order by = {order, now_ns};
    qsort_r(selection->list, selection->n, sizeof *selection->list, group_compare, &by);
}

struct chosen_sites {
    const struct gm_sites *sites;
    bool *chosen; /* by index into sites->v */
};

static bool site_is_chosen(uint32_t site_id, void *data)
{
    const struct chosen_sites *c = data;
    const struct gm_site *site = gm_site_find(c->sites, site_id);
    return site && c->chosen[site - c->sites->v];
}

int selection_lifetimes(
    struct report *report, const struct selection *selection, struct gm_lifetimes *ret_lifetimes)
{
    struct chosen_sites c = {&selection->sites, calloc(selection->sites.n + 1, sizeof(bool))};
    if (!c.chosen)
        return -ENOMEM;
    for (size_t i = 0; i < selection->n; i++)
        for (uint32_t k = 0; k < selection->list[i]->n; k++)
            c.chosen[selection->groups.members[selection->list[i]->first + k] - c.sites->v] = true;
    int e = gm_lifetimes_load(report->recording, site_is_chosen, &c, ret_lifetimes);
    free(c.chosen);
    return e;
}
