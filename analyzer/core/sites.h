/* sites.h - the table of call sites: figures over the whole recording and within a window of time.
 *
 *   table site           -> totals, live now, at the peaks, generations
 *   table site_interval  -> figures within a window; live figures of an earlier moment
 *
 * A report loads once. A program that follows a growing file calls gm_sites_follow once per commit:
 * it reads only the sites that changed and the slices that are new, so its cost follows the
 * traffic.
 */
#ifndef GM_ANALYZER_CORE_SITES_H
#define GM_ANALYZER_CORE_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"
#include "analyzer/core/run.h"

/* What happened at a site within a window. */
struct gm_site_window {
    uint64_t allocs, alloc_bytes, frees, free_bytes;
};

struct gm_site {
    uint32_t site_id, process_id, stack_id; /* stack 0: none was captured */
    const char *allocator;                  /* "malloc", ...: static string */
    uint64_t allocs, alloc_bytes, reallocs;
    uint64_t live_blocks, live_bytes; /* frees = allocs - live_blocks */
    uint64_t died[4];                 /* blocks freed while in generation 0..3 */
    uint64_t promoted[3];      /* blocks that left generation 0..2; [0] is what "promoted" means */
    uint64_t birth_sum_us;     /* sum of the birth times of the live blocks */
    int64_t first_ns, last_ns; /* first and last allocation */
    int64_t last_free_ns;      /* < 0: never */
    uint64_t min_bytes, max_bytes;
    uint64_t peak_bytes, peak_blocks;         /* live at the peak of its process */
    uint64_t run_peak_bytes, run_peak_blocks; /* live at the peak of all processes together */
    /* A sampled recording: allocations sampled, and the variances of the estimates over the whole of it; else 0. */
    uint64_t samples;
    double allocs_var, alloc_bytes_var, live_blocks_var, live_bytes_var;
    struct gm_site_window window;
};

struct gm_site_change; /* sites.c: one row of site_interval */

struct gm_sites {
    struct gm_site *v; /* by site_id */
    size_t n;
    int64_t from_ns, to_ns; /* the window as it really is: whole slices */
    /* followers only */
    struct gm_site_change *changes; /* of the last slice, which may grow on */
    size_t change_n, change_room;
    int64_t first_interval_id, last_interval_id; /* slices in the window; last 0: none yet */
    bool short_of_window; /* the window does not reach back as far as was asked for: call again */
};

/* Loads all sites, window empty. */
int gm_sites_load(struct gm_recording *recording, struct gm_sites *ret_sites);
void gm_sites_done(struct gm_sites *sites);

/* Fills the windows from the slices that overlap from_ns..to_ns. If `rewind` is set, live_blocks
 * and live_bytes become what they were at the end of the window, by taking back what happened
 * later. */
int gm_sites_window(struct gm_recording *recording, struct gm_sites *sites, int64_t from_ns,
    int64_t to_ns, bool rewind);

/* Brings loaded sites up to date: rows that changed since the last call, and a window of the last
 * `window_ns`. A long window is read in pieces: each call lets it begin earlier, by `most_rows` rows of
 * site_interval or a little more (SIZE_MAX: all at once); short_of_window says that there is more to come.
 * Memory does not grow with the window. The first call may come right after gm_sites_load. Do not mix with
 * gm_sites_window. After a failure, load anew. */
int gm_sites_follow(
    struct gm_recording *recording, struct gm_sites *sites, int64_t window_ns, size_t most_rows);

/* NULL if there is none. */
struct gm_site *gm_site_find(const struct gm_sites *sites, uint32_t site_id);

/* Mean age of the live blocks at time now_ns; < 0 if none is live. */
int64_t gm_site_mean_age_ns(const struct gm_site *site, int64_t now_ns);
/* Change of live bytes within the window. */
int64_t gm_site_growth_bytes(const struct gm_site *site);
/* Share of allocations that outlived generation 0, 0..1; < 0 if nothing was allocated. */
double gm_site_promotion_rate(const struct gm_site *site);

#define GM_SITE_ORDERS(X) \
    X(live, "bytes still live") \
    X(blocks, "blocks still live") \
    X(growth, "growth of live bytes within the window") \
    X(allocs, "allocations") \
    X(bytes, "bytes allocated") \
    X(rate, "allocations per second within the window") \
    X(promoted, "blocks that outlived generation 0") \
    X(peak, "bytes live at the peak of all processes") \
    X(age, "mean age of the live blocks") \
    X(id, "order of first appearance")

enum gm_site_order {
#define GM_X(name, text) GM_SITE_BY_##name,
    GM_SITE_ORDERS(GM_X)
#undef GM_X
        GM_SITE_ORDER_COUNT
};
extern const char *const gm_site_order_names[GM_SITE_ORDER_COUNT];

/* The figure a site is ordered by; larger comes first. */
double gm_site_order_value(const struct gm_site *site, enum gm_site_order order, int64_t now_ns);

/* Below 0 if `a` comes first: the larger figure, and of equal ones the smaller site_id, so that the
 * order is always the same. */
int gm_site_compare(
    const struct gm_site *a, const struct gm_site *b, enum gm_site_order order, int64_t now_ns);

/* Sorts pointers to sites by gm_site_compare. */
void gm_sites_sort(const struct gm_site **list, size_t n, enum gm_site_order order, int64_t now_ns);

#endif
