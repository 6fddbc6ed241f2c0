/* sites.c - see sites.h. */
#include "analyzer/core/sites.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "schemas/event_kinds.h"

struct gm_site_change {
    uint32_t site_id;
    struct gm_site_window window;
};

#define SITE_COLUMNS \
    "SELECT s.site_id, s.process_id, s.stack_id, s.function, s.allocs, s.alloc_bytes, s.reallocs," \
    " s.live_blocks, s.live_bytes, s.died_g0, s.died_g1, s.died_g2, s.died_g3, s.promoted_g1," \
    " s.promoted_g2, s.promoted_g3, s.birth_sum_us, s.min_bytes, s.max_bytes, s.first_ns, " \
    "s.last_ns," \
    " s.last_free_ns, s.peak_seen, s.peak_bytes, s.peak_blocks, s.run_peak_seen, " \
    "s.run_peak_bytes," \
    " s.run_peak_blocks, s.samples, s.allocs_var, s.alloc_bytes_var, s.live_blocks_var," \
    " s.live_bytes_var FROM site s "

static const char *allocator_name(struct gm_query *q, int column)
{
    static const char *const names[] = {
#define GM_X(code, name) #name,
        GM_ALLOC_FUNCTIONS(GM_X)
#undef GM_X
    };
    const char *text = (const char *)sqlite3_column_text(q->stmt, column);
    for (size_t i = 0; text && i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0)
            return names[i];
    return names[0];
}

static void site_read(struct gm_query *q, struct gm_site *s)
{
    uint64_t *const field[] = {&s->allocs, &s->alloc_bytes, &s->reallocs, &s->live_blocks,
        &s->live_bytes, &s->died[0], &s->died[1], &s->died[2], &s->died[3], &s->promoted[0],
        &s->promoted[1], &s->promoted[2], &s->birth_sum_us, &s->min_bytes, &s->max_bytes};
    s->site_id = gm_query_id(q, 0);
    s->process_id = gm_query_id(q, 1);
    s->stack_id = gm_query_id(q, 2);
    s->allocator = allocator_name(q, 3);
    for (int i = 0; i < 15; i++)
        *field[i] = gm_query_count(q, 4 + i);
    s->first_ns = gm_query_time(q, 19);
    s->last_ns = gm_query_time(q, 20);
    s->last_free_ns = gm_query_is_null(q, 21) ? -1 : gm_query_time(q, 21);
    s->samples = gm_query_count(q, 28);
    s->allocs_var = gm_query_real(q, 29);
    s->alloc_bytes_var = gm_query_real(q, 30);
    s->live_blocks_var = gm_query_real(q, 31);
    s->live_bytes_var = gm_query_real(q, 32);
}

/* The epochs at which the peaks were: of the run, and of each process. */
struct peak_epochs {
    struct gm_processes processes;
    uint64_t run;
};

static int epochs_load(struct gm_recording *rec, struct peak_epochs *ret_epochs)
{
    struct peak_epochs epochs = {0};
    struct gm_query q;
    gm_query_open(rec, &q, "SELECT peak_epoch FROM run WHERE run_id = 1");
    if (gm_query_next(&q))
        epochs.run = gm_query_count(&q, 0);
    int r = gm_query_close(&q);
    if (r == 0)
        r = gm_processes_load(rec, &epochs.processes);
    if (r == 0)
        *ret_epochs = epochs;
    return r;
}

/* A site that did not change since the peak was then what it is now (schema.sql, site.peak_seen);
 * what a process left behind is no part of a later peak of the run. */
static void site_read_peaks(struct gm_query *q, const struct peak_epochs *epochs, struct gm_site *s)
{
    const struct gm_process *p = gm_process_find(&epochs->processes, s->process_id);
    bool changed = p && gm_query_count(q, 22) == p->peak_epoch;
    s->peak_bytes = changed ? gm_query_count(q, 23) : s->live_bytes;
    s->peak_blocks = changed ? gm_query_count(q, 24) : s->live_blocks;
    changed = gm_query_count(q, 25) == epochs->run;
    bool gone = p && p->end_ns >= 0 && p->end_peak_epoch < epochs->run;
    s->run_peak_bytes = changed ? gm_query_count(q, 26) : gone ? 0 : s->live_bytes;
    s->run_peak_blocks = changed ? gm_query_count(q, 27) : gone ? 0 : s->live_blocks;
}

/* Adds the rows of a query with SITE_COLUMNS: new ids at the end, known ones in place. */
static int sites_read(
    struct gm_recording *rec, struct gm_query *q, struct gm_sites *sites, size_t *room)
{
    struct peak_epochs epochs = {0};
    int r = epochs_load(rec, &epochs);
    while (r == 0 && gm_query_next(q)) {
        uint32_t id = gm_query_id(q, 0);
        struct gm_site *s = gm_site_find(sites, id);
        if (!s && sites->n && sites->v[sites->n - 1].site_id >= id)
            continue; /* ids out of range of a damaged file all read as 0 */
        if (!s && sites->n == *room) {
            size_t grown_room = *room ? *room * 2 : 256;
            struct gm_site *grown = realloc(sites->v, grown_room * sizeof *grown);
            if (!grown) {
                r = gm_recording_fail(rec, SQLITE_NOMEM);
                break;
            }
            sites->v = grown;
            *room = grown_room;
        }
        if (!s) {
            s = &sites->v[sites->n++];
            *s = (struct gm_site){0};
        }
        site_read(q, s);
        site_read_peaks(q, &epochs, s);
    }
    gm_processes_done(&epochs.processes);
    int closed = gm_query_close(q);
    return r < 0 ? r : closed;
}

int gm_sites_load(struct gm_recording *recording, struct gm_sites *ret_sites)
{
    struct gm_sites sites = {0};
    struct gm_query q;
    size_t room = 0;
    int r = gm_query_open(recording, &q, SITE_COLUMNS "ORDER BY s.site_id");
    if (r == 0)
        r = sites_read(recording, &q, &sites, &room);
    if (r < 0)
        gm_sites_done(&sites);
    else
        *ret_sites = sites;
    return r;
}

void gm_sites_done(struct gm_sites *sites)
{
    free(sites->v);
    free(sites->changes);
    *sites = (struct gm_sites){0};
}

struct gm_site *gm_site_find(const struct gm_sites *sites, uint32_t site_id)
{
    if (site_id && site_id <= sites->n && sites->v[site_id - 1].site_id == site_id)
        return &sites->v[site_id - 1]; /* the rule: ids without gaps */
    size_t low = 0, high = sites->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sites->v[middle].site_id < site_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sites->n && sites->v[low].site_id == site_id ? &sites->v[low] : NULL;
}

static struct gm_site_window window_read(struct gm_query *q, int column)
{
    return (struct gm_site_window){gm_query_count(q, column), gm_query_count(q, column + 1),
        gm_query_count(q, column + 2), gm_query_count(q, column + 3)};
}

static void window_add(struct gm_site_window *sum, const struct gm_site_window *w)
{
    sum->allocs += w->allocs;
    sum->alloc_bytes += w->alloc_bytes;
    sum->frees += w->frees;
    sum->free_bytes += w->free_bytes;
}

static void window_subtract(struct gm_site_window *sum, const struct gm_site_window *w)
{
    sum->allocs -= w->allocs;
    sum->alloc_bytes -= w->alloc_bytes;
    sum->frees -= w->frees;
    sum->free_bytes -= w->free_bytes;
}

/* The whole slices that from_ns..to_ns touches: their ids, and the time they cover. */
struct slice_range {
    int64_t first_id, last_id, start_ns, end_ns;
};

static int slices_find(
    struct gm_recording *rec, int64_t from_ns, int64_t to_ns, struct slice_range *ret)
{
    struct slice_range range = {.first_id = GM_VALUE_MAX, .last_id = -1, from_ns, to_ns};
    struct gm_query q;
    gm_query_open(rec, &q,
        "SELECT min(interval_id), max(interval_id), min(start_ns), max(end_ns) FROM interval"
        " WHERE end_ns > ?1 AND start_ns < ?2");
    gm_query_bind(&q, 1, from_ns);
    gm_query_bind(&q, 2, to_ns);
    if (gm_query_next(&q) && !gm_query_is_null(&q, 0))
        range = (struct slice_range){gm_query_integer(&q, 0), gm_query_integer(&q, 1),
            gm_query_time(&q, 2), gm_query_time(&q, 3)};
    int r = gm_query_close(&q);
    if (r == 0)
        *ret = range;
    return r;
}

/* Slices come in any order and may take more than is there for a while, so the sums wrap until the end. */
static int sites_take_back(struct gm_recording *rec, struct gm_sites *sites, int64_t to_ns)
{
    struct gm_query q;
    gm_query_open(rec, &q,
        "SELECT x.site_id, x.allocs, x.alloc_bytes, x.frees, x.free_bytes FROM interval i"
        " JOIN site_interval x USING (interval_id) WHERE i.start_ns >= ?1");
    gm_query_bind(&q, 1, to_ns);
    while (gm_query_next(&q)) {
        struct gm_site *s = gm_site_find(sites, gm_query_id(&q, 0));
        struct gm_site_window later = window_read(&q, 1);
        if (!s)
            continue;
        s->live_blocks += later.frees - later.allocs;
        s->live_bytes += later.free_bytes - later.alloc_bytes;
    }
    for (size_t i = 0; i < sites->n; i++) { /* below 0 only in a damaged file */
        if (sites->v[i].live_blocks > INT64_MAX)
            sites->v[i].live_blocks = 0;
        if (sites->v[i].live_bytes > INT64_MAX)
            sites->v[i].live_bytes = 0;
    }
    return gm_query_close(&q);
}

int gm_sites_window(struct gm_recording *recording, struct gm_sites *sites, int64_t from_ns,
    int64_t to_ns, bool rewind)
{
    struct slice_range range;
    struct gm_query q;
    int r = slices_find(recording, from_ns, to_ns, &range);
    if (r < 0)
        return r;
    sites->from_ns = range.start_ns;
    sites->to_ns = range.end_ns;
    for (size_t i = 0; i < sites->n; i++)
        sites->v[i].window = (struct gm_site_window){0};
    gm_query_open(recording, &q,
        "SELECT site_id, allocs, alloc_bytes, frees, free_bytes FROM site_interval"
        " WHERE interval_id BETWEEN ?1 AND ?2");
    gm_query_bind(&q, 1, range.first_id);
    gm_query_bind(&q, 2, range.last_id);
    while (gm_query_next(&q)) {
        struct gm_site *s = gm_site_find(sites, gm_query_id(&q, 0));
        struct gm_site_window w = window_read(&q, 1);
        if (s)
            window_add(&s->window, &w);
    }
    r = gm_query_close(&q);
    return r == 0 && rewind ? sites_take_back(recording, sites, range.end_ns) : r;
}

/* ---- following a growing file
 * ---------------------------------------------------------------------- */

static int follow_changed_sites(struct gm_recording *rec, struct gm_sites *sites)
{
    struct gm_query q;
    size_t room = sites->n;
    int r = gm_query_open(rec, &q,
        SITE_COLUMNS
        "WHERE s.site_id IN (SELECT site_id FROM site_interval WHERE interval_id >= ?1)"
        " ORDER BY s.site_id");
    gm_query_bind(&q, 1, sites->last_interval_id);
    return r == 0 ? sites_read(rec, &q, sites, &room) : gm_query_close(&q);
}

/* Adds the rows of slices first_id..last_id to the windows, or takes them out again; *rows counts them. */
static int slices_sum(struct gm_recording *rec, struct gm_sites *sites, int64_t first_id,
    int64_t last_id, bool add, size_t *rows)
{
    struct gm_query q;
    if (first_id > last_id)
        return 0;
    gm_query_open(rec, &q,
        "SELECT site_id, allocs, alloc_bytes, frees, free_bytes FROM site_interval"
        " WHERE interval_id BETWEEN ?1 AND ?2");
    gm_query_bind(&q, 1, first_id);
    gm_query_bind(&q, 2, last_id);
    for (; gm_query_next(&q); ++*rows) {
        struct gm_site *s = gm_site_find(sites, gm_query_id(&q, 0));
        struct gm_site_window w = window_read(&q, 1);
        if (s && add)
            window_add(&s->window, &w);
        else if (s)
            window_subtract(&s->window, &w);
    }
    return gm_query_close(&q);
}

/* The last slice may grow on, so what was added for it is kept, and taken back at the next call. */
static void last_slice_undo(struct gm_sites *sites)
{
    for (size_t i = 0; i < sites->change_n; i++) {
        struct gm_site *s = gm_site_find(sites, sites->changes[i].site_id);
        if (s)
            window_subtract(&s->window, &sites->changes[i].window);
    }
    sites->change_n = 0;
}

static struct gm_site_change *change_add(struct gm_sites *sites)
{
    if (sites->change_n == sites->change_room) {
        size_t room = sites->change_room ? sites->change_room * 2 : 256;
        struct gm_site_change *grown = realloc(sites->changes, room * sizeof *grown);
        if (!grown)
            return NULL;
        sites->changes = grown;
        sites->change_room = room;
    }
    return &sites->changes[sites->change_n++];
}

static int last_slice_read(struct gm_recording *rec, struct gm_sites *sites, int64_t interval_id)
{
    struct gm_query q;
    gm_query_open(rec, &q,
        "SELECT site_id, allocs, alloc_bytes, frees, free_bytes FROM site_interval"
        " WHERE interval_id = ?1");
    gm_query_bind(&q, 1, interval_id);
    while (gm_query_next(&q)) {
        struct gm_site_change *c = change_add(sites);
        if (!c) {
            q.error = gm_recording_fail(rec, SQLITE_NOMEM);
            break;
        }
        *c = (struct gm_site_change){gm_query_id(&q, 0), window_read(&q, 1)};
        struct gm_site *s = gm_site_find(sites, c->site_id);
        if (s)
            window_add(&s->window, &c->window);
    }
    return gm_query_close(&q);
}

/* Lets the window begin earlier, slice by slice, until it is long enough or `most_rows` were read. */
static int follow_backwards(
    struct gm_recording *rec, struct gm_sites *sites, int64_t first_id, size_t most_rows)
{
    struct gm_query q;
    size_t rows = 0;
    int r = 0;
    gm_query_open(rec, &q,
        "SELECT interval_id FROM interval WHERE interval_id >= ?1 AND interval_id < ?2"
        " ORDER BY interval_id DESC");
    gm_query_bind(&q, 1, first_id);
    gm_query_bind(&q, 2, sites->first_interval_id);
    while (r == 0 && rows <= most_rows && gm_query_next(&q)) {
        int64_t id = gm_query_integer(&q, 0);
        r = slices_sum(rec, sites, id, id, true, &rows);
        sites->first_interval_id = id;
    }
    int closed = gm_query_close(&q);
    return r < 0 ? r : closed;
}

/* From slices [first_interval_id, last_interval_id) in the sums, the last one undone, to those of `range`. */
static int follow_move(struct gm_recording *rec, struct gm_sites *sites,
    const struct slice_range *range, size_t most_rows)
{
    size_t rows = 0;
    int64_t first = sites->first_interval_id, end = sites->last_interval_id;
    if (end == 0)
        first = end = range->last_id;
    int64_t left = range->first_id < end ? range->first_id : end; /* slices before it leave */
    int r = slices_sum(rec, sites, first, left - 1, false, &rows);
    if (r < 0)
        return r;
    first = first < left ? left : first;
    if (first == end) /* nothing is left of the old window */
        first = end = range->first_id > end ? range->first_id : end;
    r = slices_sum(rec, sites, end, range->last_id - 1, true, &rows);
    if (r == 0)
        r = last_slice_read(rec, sites, range->last_id);
    if (r < 0)
        return r;
    sites->first_interval_id = first;
    sites->last_interval_id = range->last_id;
    return follow_backwards(rec, sites, range->first_id, most_rows);
}

static int follow_bounds(
    struct gm_recording *rec, struct gm_sites *sites, const struct slice_range *range)
{
    struct gm_query q;
    sites->to_ns = range->end_ns;
    sites->short_of_window = sites->first_interval_id > range->first_id;
    gm_query_open(rec, &q, "SELECT start_ns FROM interval WHERE interval_id = ?1");
    gm_query_bind(&q, 1, sites->first_interval_id);
    sites->from_ns = gm_query_next(&q) ? gm_query_time(&q, 0) : range->start_ns;
    return gm_query_close(&q);
}

int gm_sites_follow(
    struct gm_recording *recording, struct gm_sites *sites, int64_t window_ns, size_t most_rows)
{
    struct gm_query q;
    struct slice_range range;
    int64_t now_ns = 0;
    gm_query_open(recording, &q, "SELECT max(end_ns) FROM interval");
    if (gm_query_next(&q))
        now_ns = gm_query_time(&q, 0);
    int r = gm_query_close(&q);
    if (r == 0)
        r = slices_find(recording, now_ns > window_ns ? now_ns - window_ns : 0, now_ns, &range);
    if (r == 0)
        r = follow_changed_sites(recording, sites);
    if (r < 0 || range.last_id < 1)
        return r;
    last_slice_undo(sites);
    r = follow_move(recording, sites, &range, most_rows);
    return r < 0 ? r : follow_bounds(recording, sites, &range);
}

/* ---- figures of one site, and order
 * ------------------------------------------------------------------ */

int64_t gm_site_mean_age_ns(const struct gm_site *site, int64_t now_ns)
{
    if (site->live_blocks == 0)
        return -1;
    int64_t mean_birth_us = (int64_t)(site->birth_sum_us / site->live_blocks);
    return mean_birth_us < now_ns / 1000 ? now_ns - mean_birth_us * 1000 : 0;
}

int64_t gm_site_growth_bytes(const struct gm_site *site)
{
    return (int64_t)(site->window.alloc_bytes - site->window.free_bytes);
}

double gm_site_promotion_rate(const struct gm_site *site)
{
    return site->allocs ? (double)site->promoted[0] / (double)site->allocs : -1;
}

const char *const gm_site_order_names[GM_SITE_ORDER_COUNT] = {
#define GM_X(name, text) #name,
    GM_SITE_ORDERS(GM_X)
#undef GM_X
};

double gm_site_order_value(const struct gm_site *site, enum gm_site_order order, int64_t now_ns)
{
    switch (order) {
    case GM_SITE_BY_live:
        return (double)site->live_bytes;
    case GM_SITE_BY_blocks:
        return (double)site->live_blocks;
    case GM_SITE_BY_growth:
        return (double)gm_site_growth_bytes(site);
    case GM_SITE_BY_allocs:
        return (double)site->allocs;
    case GM_SITE_BY_bytes:
        return (double)site->alloc_bytes;
    case GM_SITE_BY_rate:
        return (double)site->window.allocs;
    case GM_SITE_BY_promoted:
        return (double)site->promoted[0];
    case GM_SITE_BY_peak:
        return (double)site->run_peak_bytes;
    case GM_SITE_BY_age:
        return (double)gm_site_mean_age_ns(site, now_ns);
    case GM_SITE_BY_id:
    case GM_SITE_ORDER_COUNT:
        break;
    }
    return 0;
}

struct site_order {
    enum gm_site_order order;
    int64_t now_ns;
};

int gm_site_compare(
    const struct gm_site *a, const struct gm_site *b, enum gm_site_order order, int64_t now_ns)
{
    double x = gm_site_order_value(a, order, now_ns), y = gm_site_order_value(b, order, now_ns);
    if (x != y)
        return x > y ? -1 : 1;
    return a->site_id < b->site_id ? -1 : a->site_id > b->site_id;
}

static int site_compare(const void *a, const void *b, void *data)
{
    const struct site_order *by = data;
    return gm_site_compare(*(const struct gm_site *const *)a, *(const struct gm_site *const *)b,
        by->order, by->now_ns);
}

void gm_sites_sort(const struct gm_site **list, size_t n, enum gm_site_order order, int64_t now_ns)
{
    struct site_order by = {order, now_ns};
    qsort_r(list, n, sizeof *list, site_compare, &by);
}
