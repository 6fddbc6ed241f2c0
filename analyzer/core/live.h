/* live.h - the state of a recording at one moment, followed as the recording grows.
 *
 *   recording -> run, sites, timeline, marks -> [live: one moment of them] -> top
 *
 * A finished recording and one that is being written are read by the same code; only the moment differs.
 * Everything comes from the file, so the same file at the same moment gives the same picture.
 *
 * Growth is net bytes (allocated - freed) over a window that ends at the moment shown. By itself it is
 *   - while the program runs, and for a moment in the past: the last 60 s, or the later half of a run
 *     shorter than two minutes, so that what is allocated once at start-up does not count as growth;
 *   - at the end of a finished recording: the later half of the run, for the same reason.
 * The window is made of whole slices of the file; what it really covers is reported with it.
 */
#ifndef GM_ANALYZER_CORE_LIVE_H
#define GM_ANALYZER_CORE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/collections.h"
#include "analyzer/core/live_caches.h"
#include "analyzer/core/recording.h"
#include "analyzer/core/run.h"
#include "analyzer/core/sites.h"
#include "analyzer/core/timeline.h"

#define GM_LIVE_END INT64_MAX        /* moment: the last commit */
#define GM_LIVE_WINDOW_AUTO 0        /* window: by itself, as described above */
#define GM_LIVE_WINDOW_ALL INT64_MAX /* window: since the recording began */

/* Where a site is, for people: the function that where.h would show. Texts live until the recording is
 * closed. */
struct gm_live_place {
    const char *function; /* never NULL */
    const char *file;     /* NULL: not known */
    const char *module;   /* path; NULL: none */
    uint32_t line;        /* 0: not known */
    bool named;           /* false: function is a stand-in */
};

struct gm_live_picture {
    const struct gm_run *run;
    const struct gm_processes *processes;
    int64_t at_ns; /* the moment */
    bool at_end;   /* it is the last commit */
    int64_t root_pid;
    uint64_t live_bytes, live_blocks, rss_bytes; /* of the processes shown, see site_shown */
    uint64_t running_processes, threads;
    double growth_bytes_per_min;
    double allocs_per_s, alloc_bytes_per_s, frees_per_s;
    int64_t window_ns, rate_ns; /* what growth, and the three rates, really cover; 0: nothing yet */

    const struct gm_sites *sites; /* figures at the moment, window as above */
    const uint32_t *site_place;   /* by index in sites: index in places */
    const uint8_t
        *site_shown; /* by index in sites: 0 where the process has no memory at this moment:
                                       it has ended while others run on, or it has not begun */
    const struct gm_live_place *places;
    size_t place_count;
    const struct gm_slices *slices; /* heap over time, of the whole recording */
    const struct gm_marks *marks;
    const struct gm_gc *gc;                   /* collections up to the moment */
    const struct gm_gc_generation *gc_blocks; /* [2] */
    const struct gm_live_caches *caches;      /* at the moment */
    bool past; /* not at_end: promotion, ages, RSS and ring fill are not known */
};

struct gm_live;

/* The recording is borrowed and must outlive it. -ENOMEM. */
int gm_live_create(struct gm_recording *recording, struct gm_live **ret_live);
/* Takes NULL. */
void gm_live_free(struct gm_live *live);

/* Reads the state at moment at_ns (GM_LIVE_END, or 0 and up) with a window (see above). A long window ending
 * at the end is read in pieces of about most_rows rows (SIZE_MAX: at once): while *ret_more, the window is
 * shorter than it should be, and the next update lets it begin earlier. On failure the picture stays valid
 * but may mix two states; the recording's message says what went wrong. */
int gm_live_update(
    struct gm_live *live, int64_t at_ns, int64_t window_ns, size_t most_rows, bool *ret_more);

/* Valid until the next update. */
const struct gm_live_picture *gm_live_picture(const struct gm_live *live);

#endif
