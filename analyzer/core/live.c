/* live.c - see live.h. */
#include "analyzer/core/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/core/live_places.h"
#include "analyzer/core/query.h"

#define NS_PER_S 1000000000ll
#define WINDOW_MOST_NS (60 * NS_PER_S)
#define RATE_MOST_NS (5 * NS_PER_S) /* the header's rates follow faster than growth; arbitrary */

struct gm_live {
    struct gm_recording *recording;
    struct gm_run run;
    struct gm_processes processes;
    struct gm_sites sites;
    struct gm_slices slices;
    struct gm_marks marks;
    struct gm_gc gc;
    int64_t gc_to_ns; /* it was read up to here */
    struct gm_gc_generation gc_blocks[2];
    struct gm_live_caches caches;
    struct gm_live_places places;
    uint8_t *shown;
    size_t shown_room;
    bool sites_loaded;
    bool follows; /* sites are read with gm_sites_follow */
    int64_t
        timeline_duration_ns; /* run.duration_ns when the timeline was read; < 0: not read yet */
    int64_t timeline_at, timeline_cost_ns; /* by the clock: when, and how long it took */
    bool rewound;                          /* sites hold the figures of a moment in the past */
    bool was_running;                      /* the program ran when it was first seen */
    struct gm_live_picture picture;
};

int gm_live_create(struct gm_recording *recording, struct gm_live **ret_live)
{
    struct gm_live *live = calloc(1, sizeof *live);
    if (!live)
        return -ENOMEM;
    live->recording = recording;
    live->timeline_duration_ns = -1;
    live->picture.run = &live->run;
    live->picture.processes = &live->processes;
    live->picture.sites = &live->sites;
    live->picture.slices = &live->slices;
    live->picture.marks = &live->marks;
    live->picture.gc = &live->gc;
    live->picture.gc_blocks = live->gc_blocks;
    live->picture.caches = &live->caches;
    *ret_live = live;
    return 0;
}

void gm_live_free(struct gm_live *live)
{
    if (!live)
        return;
    gm_run_done(&live->run);
    gm_processes_done(&live->processes);
    gm_sites_done(&live->sites);
    gm_slices_done(&live->slices);
    gm_marks_done(&live->marks);
    gm_gc_done(&live->gc);
    gm_live_caches_done(&live->caches);
    gm_live_places_done(&live->places);
    free(live->shown);
    free(live);
}

const struct gm_live_picture *gm_live_picture(const struct gm_live *live)
{
    return &live->picture;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static int live_read_run(struct gm_live *live)
{
    struct gm_run run;
    struct gm_processes processes;
    int r = gm_run_load(live->recording, &run);
    if (r < 0)
        return r;
    r = gm_processes_load(live->recording, &processes);
    if (r < 0) {
        gm_run_done(&run);
        return r;
    }
    gm_run_done(&live->run);
    gm_processes_done(&live->processes);
    live->run = run;
    live->processes = processes;
    return 0;
}

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The timeline is read as a whole. That is nothing for most recordings; where many processes over many hours
 * make it slow, it is read so seldom that it takes no more than a fiftieth of the time. */
static bool live_timeline_due(const struct gm_live *live, bool patient)
{
    if (live->timeline_duration_ns == live->run.duration_ns)
        return false;
    return patient || live->timeline_duration_ns < 0 || live->run.state != GM_RUN_RUNNING ||
           clock_ns() - live->timeline_at >= 50 * live->timeline_cost_ns;
}

static int live_read_timeline(struct gm_live *live)
{
    int64_t began = clock_ns();
    struct gm_slices slices;
    struct gm_marks marks;
    int r = gm_slices_load(live->recording, NULL, 0, 0, INT64_MAX, &slices);
    if (r < 0)
        return r;
    r = gm_marks_load(live->recording, &marks);
    if (r < 0) {
        gm_slices_done(&slices);
        return r;
    }
    gm_slices_done(&live->slices);
    gm_marks_done(&live->marks);
    live->slices = slices;
    live->marks = marks;
    live->timeline_duration_ns = live->run.duration_ns;
    live->timeline_at = clock_ns();
    live->timeline_cost_ns = live->timeline_at - began;
    return 0;
}

static int live_load_sites(struct gm_live *live, bool follow)
{
    struct gm_sites sites;
    int r = gm_sites_load(live->recording, &sites);
    if (r < 0)
        return r;
    gm_sites_done(&live->sites);
    live->sites = sites;
    live->sites_loaded = true;
    live->follows = follow;
    return 0;
}

static int live_read_sites(
    struct gm_live *live, int64_t from_ns, int64_t to_ns, bool follow, size_t most_rows)
{
    int r = 0;
    /* A list that was rewound, or is read the other way, starts anew. */
    if (!live->sites_loaded || !follow || !live->follows)
        r = live_load_sites(live, follow);
    if (r == 0)
        r = follow ? gm_sites_follow(live->recording, &live->sites, to_ns - from_ns, most_rows)
                   : gm_sites_window(live->recording, &live->sites, from_ns, to_ns, true);
    if (r < 0)
        live->sites_loaded = false; /* half of a step may be done */
    return r;
}

/* ---- settling --------------------------------------------------------------------------------------- */

static int64_t live_window_start(
    const struct gm_live *live, int64_t at_ns, bool at_end, int64_t window_ns)
{
    if (window_ns == GM_LIVE_WINDOW_AUTO) {
        window_ns = at_ns / 2;
        if ((live->was_running || !at_end) && window_ns > WINDOW_MOST_NS)
            window_ns = WINDOW_MOST_NS;
    }
    return window_ns < at_ns ? at_ns - window_ns : 0;
}

/* A process that has ended has no memory. Only when all have ended is what each left at its end shown:
 * that is what one looks for then. */
static bool process_shown(const struct gm_process *p, const struct gm_live_picture *picture)
{
    if (picture->at_end && picture->run->state != GM_RUN_RUNNING)
        return true;
    if (p->start_ns > picture->at_ns)
        return false;
    return p->end_ns < 0 || p->end_ns > picture->at_ns || picture->processes->n == 1;
}

static int live_settle_shown(struct gm_live *live)
{
    if (live->shown_room < live->sites.n) {
        size_t room = live->sites.n + live->sites.n / 2;
        uint8_t *shown = realloc(live->shown, room);
        if (!shown)
            return gm_recording_fail(live->recording, SQLITE_NOMEM);
        live->shown = shown;
        live->shown_room = room;
    }
    const struct gm_process *p = NULL;
    bool shown = false;
    for (size_t i = 0; i < live->sites.n; i++) {
        const struct gm_site *s = &live->sites.v[i];
        if (!p || p->process_id != s->process_id) {
            p = gm_process_find(&live->processes, s->process_id);
            shown = p && process_shown(p, &live->picture);
        }
        live->shown[i] = shown && s->first_ns <= live->picture.at_ns;
    }
    return 0;
}

static void live_settle_processes(struct gm_live *live)
{
    struct gm_live_picture *pic = &live->picture;
    pic->live_bytes = pic->live_blocks = pic->rss_bytes = pic->running_processes = 0;
    pic->root_pid = live->processes.n ? live->processes.v[0].pid : 0;
    for (size_t i = 0; i < live->processes.n; i++) {
        const struct gm_process *p = &live->processes.v[i];
        if (p->process_id == live->run.root_process_id)
            pic->root_pid = p->pid;
        if (p->start_ns <= pic->at_ns && (p->end_ns < 0 || p->end_ns > pic->at_ns))
            pic->running_processes++;
        if (!process_shown(p, pic))
            continue;
        pic->live_bytes += p->totals.live_bytes;
        pic->live_blocks += p->totals.live_blocks;
        pic->rss_bytes += p->totals.rss_bytes;
    }
}

/* The last slice that ends at or before the moment; slices.n if there is none. */
static size_t live_slice_at(const struct gm_live *live, int64_t ns)
{
    size_t low = 0, high = live->slices.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (live->slices.v[middle].end_ns <= ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : live->slices.n;
}

static void live_settle_rates(struct gm_live *live, int64_t from_ns, bool slow)
{
    struct gm_live_picture *pic = &live->picture;
    const struct gm_slice *v = live->slices.v;
    size_t last = live_slice_at(live, pic->at_ns), first = last;
    pic->allocs_per_s = pic->alloc_bytes_per_s = pic->frees_per_s = pic->growth_bytes_per_min = 0;
    pic->window_ns = pic->rate_ns = 0;
    if (last == live->slices.n)
        return;
    int64_t rate_from =
        slow || pic->at_ns - from_ns < RATE_MOST_NS ? from_ns : pic->at_ns - RATE_MOST_NS;
    while (first > 0 && v[first].start_ns > rate_from)
        first--;
    uint64_t allocs = 0, bytes = 0, frees = 0;
    for (size_t i = first; i <= last; i++) {
        allocs += v[i].allocs;
        bytes += v[i].alloc_bytes;
        frees += v[i].frees;
    }
    pic->rate_ns = v[last].end_ns - v[first].start_ns;
    double seconds = pic->rate_ns > 0 ? (double)pic->rate_ns / NS_PER_S : 1;
    pic->allocs_per_s = (double)allocs / seconds;
    pic->alloc_bytes_per_s = (double)bytes / seconds;
    pic->frees_per_s = (double)frees / seconds;
    if (pic->past) {
        pic->live_bytes = v[last].live_bytes;
        pic->live_blocks = v[last].live_blocks;
        pic->rss_bytes = v[last].rss_bytes;
    }
}

/* Growth of the whole is the sum over the sites shown, so that header and table agree. */
static void live_settle_growth(struct gm_live *live)
{
    struct gm_live_picture *pic = &live->picture;
    double grown = 0; /* a damaged file's figures may not fit an integer */
    pic->window_ns = live->sites.to_ns - live->sites.from_ns;
    for (size_t i = 0; i < live->sites.n; i++)
        if (live->shown[i])
            grown += (double)gm_site_growth_bytes(&live->sites.v[i]);
    if (pic->window_ns > 0)
        pic->growth_bytes_per_min = grown * 60 / ((double)pic->window_ns / NS_PER_S);
}

static int live_count_threads(struct gm_live *live)
{
    struct gm_query q;
    struct gm_live_picture *pic = &live->picture;
    if (pic->running_processes == 0) { /* all over: how many there were */
        pic->threads = live->run.threads;
        return 0;
    }
    gm_query_open(live->recording, &q,
        "SELECT count(*) FROM thread t JOIN process p USING (process_id)"
        " WHERE t.start_ns <= ?1 AND coalesce(t.end_ns, p.end_ns, ?1) >= ?1");
    gm_query_bind(&q, 1, pic->at_ns);
    if (gm_query_next(&q))
        pic->threads = gm_query_count(&q, 0);
    return gm_query_close(&q);
}

/* Collections come in the order of time; only a step back reads them anew. */
static int live_read_gc(struct gm_live *live)
{
    const struct gm_process_set all = {0};
    int64_t to_ns = live->picture.at_end ? INT64_MAX : live->picture.at_ns;
    if (to_ns < live->gc_to_ns)
        gm_gc_done(&live->gc);
    live->gc_to_ns = to_ns;
    int r = gm_gc_read(live->recording, &all, 0, to_ns, &live->gc);
    return r < 0 ? r : gm_gc_generations_load(live->recording, &all, 0, to_ns, live->gc_blocks);
}

static int live_read(struct gm_live *live, int64_t at_ns, int64_t window_ns, size_t most_rows)
{
    struct gm_live_picture *pic = &live->picture;
    int r = live_read_run(live);
    if (r < 0)
        return r;
    bool running = live->run.state == GM_RUN_RUNNING;
    if (running)
        live->was_running = true;
    pic->at_end = at_ns >= live->run.duration_ns;
    pic->at_ns = pic->at_end ? live->run.duration_ns : at_ns;
    pic->past = !pic->at_end;
    int64_t from_ns = live_window_start(live, pic->at_ns, pic->at_end, window_ns);
    if (live_timeline_due(live, most_rows == SIZE_MAX))
        r = live_read_timeline(live);
    if (r == 0)
        r = live_read_sites(live, from_ns, pic->at_ns, pic->at_end, most_rows);
    if (r == 0)
        r = gm_live_places_update(live->recording, &live->places, &live->sites);
    if (r == 0)
        r = live_settle_shown(live);
    live_settle_processes(live);
    if (r == 0)
        r = live_count_threads(live);
    if (r == 0)
        r = live_read_gc(live);
    if (r == 0)
        r = gm_live_caches_load(
            live->recording, &live->processes, pic->past, pic->at_ns, &live->caches);
    if (r < 0)
        return r;
    pic->site_place = live->places.site_place;
    pic->site_shown = live->shown;
    pic->places = live->places.v;
    pic->place_count = live->places.n;
    live_settle_rates(live, from_ns, !live->was_running && pic->at_end);
    live_settle_growth(live);
    return 0;
}

int gm_live_update(
    struct gm_live *live, int64_t at_ns, int64_t window_ns, size_t most_rows, bool *ret_more)
{
    int r = gm_recording_begin(live->recording);
    if (r < 0)
        return r;
    r = live_read(live, at_ns < 0 ? 0 : at_ns, window_ns, most_rows);
    gm_recording_end(live->recording);
    if (r == 0)
        *ret_more = live->follows && live->sites.short_of_window;
    return r;
}
