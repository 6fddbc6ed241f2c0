/* cache_curve.c - see cache_curve.h. The buffer, the thread, and what passes between them; the simulations: cache_simulate.c.
 *
 * A buffer has one owner at a time. Of struct gm_cache_curve the part `sim` is the thread's while it is busy; what both look at is
 * written with the lock held, or handed over with a buffer.
 *
 * The buffer is bounded by its uses. What else is told of a cache waits, as one figure each, for its next use or for the
 * thread: a target may tell of its state, and change its capacity, as often as it likes.
 */
#include "collector/cache_curve.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/cache_simulate.h"

#define BUFFER_USES (1u << 17) /* 3 MB; arbitrary */
#define BUFFER_FIRST 1024u
#define ENTRIES_LEAST \
    512.0 /* of the cache's own capacity, in the sample: from here on uses are left out instead */
#define RESIZES_MOST 4u /* of a curve in one buffer: for each, 13 simulations may be made anew */
#define THREAD_NICE 10

enum op {
    OP_HIT = GM_CACHE_CURVE_HIT,
    OP_MISS = GM_CACHE_CURVE_MISS,
    OP_STORE = GM_CACHE_CURVE_STORE,
    OP_GONE = GM_CACHE_CURVE_GONE,
    OP_STATE, /* key, bytes: hits, misses */
    OP_GAP,
    OP_RESIZE,
    OP_FREE,
};

struct use {
    struct gm_cache_curve *curve;
    uint64_t key;
    uint64_t bytes : 56, op : 8;
    uint32_t number,
        before; /* low bits of what gm_cache_curve_use returned for this use and the key's last */
};

struct buffer {
    struct use *v;
    size_t n, room;
};

struct gm_cache_curve {
    /* The main thread's. */
    uint64_t threshold, capacity_bytes, entries, number;
    uint64_t pushed, in_buffer;            /* uses; those that wait in the buffer that fills */
    bool gap;                              /* uses were left out since the last that was put */
    uint64_t waiting_hits, waiting_misses; /* told, and not yet in the buffer */
    uint64_t waiting_capacity;             /* before those; 0: none */
    uint32_t resizes;                      /* in the buffer */
    struct gm_cache_curve *next;
    uint64_t read; /* generation of what was read last */
    /* Handed over with a buffer. */
    uint64_t threshold_asked;
    /* The thread's. */
    struct gm_cache_curve_sim sim;
    uint64_t taken;
    /* With the lock. */
    struct gm_cache_curve_result result;
    uint64_t simulated, generation;
};

struct gm_cache_curves {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct gm_cache_curve *first; /* of all curves; the main thread's */
    struct buffer filling;        /* the main thread's */
    uint32_t refused;             /* uses for which it had no room, since it was handed over last */
    struct buffer taken;          /* the thread's while `busy` */
    bool busy, ending;
};

/* ---- the thread ---- */

static void use_simulate(const struct use *use)
{
    struct gm_cache_curve *curve = use->curve;
    switch ((enum op)use->op) {
    case OP_HIT:
    case OP_MISS:
    case OP_STORE:
    case OP_GONE:
        curve->taken++;
        gm_cache_curve_sim_use(
            &curve->sim, &(struct gm_cache_curve_sim_event){.use = (enum gm_cache_curve_use)use->op,
                             .key = use->key,
                             .bytes = use->bytes,
                             .number = use->number,
                             .before = use->before});
        return;
    case OP_STATE:
        curve->taken++;
        gm_cache_curve_sim_state(&curve->sim, use->key, use->bytes);
        return;
    case OP_GAP:
        curve->sim.counts.whole = false;
        return;
    case OP_RESIZE:
        gm_cache_curve_sim_resize(&curve->sim, use->bytes);
        return;
    case OP_FREE:
        gm_cache_curve_sim_done(&curve->sim);
        free(curve);
        return;
    }
}

/* The mean of those that the buffer has of a curve, from its first use on. */
static uint64_t buffer_entry_bytes(const struct buffer *b, size_t first)
{
    uint64_t bytes = 0, n = 0;
    for (size_t i = first; i < b->n; i++) {
        bool counts = b->v[i].curve == b->v[first].curve && b->v[i].op <= OP_STORE && b->v[i].bytes;
        bytes += counts ? b->v[i].bytes : 0;
        n += counts;
    }
    return n ? bytes / n : 0;
}

/* Results go out when all is done that the buffer has of a curve: those of one that it frees must not. */
static void buffer_simulate(struct gm_cache_curves *curves, struct buffer *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct gm_cache_curve *curve = b->v[i].curve;
        if (!curve->sim.begun && b->v[i].op <= OP_STORE && b->v[i].bytes)
            gm_cache_curve_sim_begin(&curve->sim, buffer_entry_bytes(b, i));
        if (curve->threshold_asked < curve->sim.threshold)
            gm_cache_curve_sim_lower(&curve->sim, curve->threshold_asked);
        if (b->v[i].op == OP_FREE) {
            for (size_t k = i; k-- > 0;)
                if (b->v[k].curve == curve)
                    b->v[k].curve = NULL;
        }
        use_simulate(&b->v[i]);
        if (b->v[i].op == OP_FREE)
            b->v[i].curve = NULL;
    }
    pthread_mutex_lock(&curves->lock);
    for (size_t i = 0; i < b->n; i++) {
        struct gm_cache_curve *curve = b->v[i].curve;
        if (!curve || curve->simulated == curve->taken)
            continue;
        curve->simulated = curve->taken;
        curve->generation++;
        gm_cache_curve_sim_result(&curve->sim, &curve->result);
    }
    pthread_mutex_unlock(&curves->lock);
}

static void *thread_main(void *arg)
{
    struct gm_cache_curves *curves = arg;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), THREAD_NICE);
    pthread_mutex_lock(&curves->lock);
    for (;;) {
        while (!curves->busy && !curves->ending)
            pthread_cond_wait(&curves->changed, &curves->lock);
        if (!curves->busy)
            break;
        pthread_mutex_unlock(&curves->lock);
        buffer_simulate(curves, &curves->taken);
        pthread_mutex_lock(&curves->lock);
        curves->taken.n = 0;
        curves->busy = false;
        pthread_cond_broadcast(&curves->changed);
    }
    pthread_mutex_unlock(&curves->lock);
    return NULL;
}

int gm_cache_curves_create(struct gm_cache_curves **ret_curves)
{
    struct gm_cache_curves *curves = calloc(1, sizeof *curves);
    if (!curves)
        return -ENOMEM;
    pthread_mutex_init(&curves->lock, NULL);
    pthread_cond_init(&curves->changed, NULL);
    int error = pthread_create(&curves->thread, NULL, thread_main, curves);
    if (error) {
        pthread_cond_destroy(&curves->changed);
        pthread_mutex_destroy(&curves->lock);
        free(curves);
        return -error;
    }
    *ret_curves = curves;
    return 0;
}

/* ---- the buffer that fills ---- */

static bool buffer_reserve(struct buffer *b)
{
    if (b->n < b->room)
        return true;
    size_t room = b->room ? 2 * b->room : BUFFER_FIRST;
    struct use *v = reallocarray(b->v, room, sizeof *v);
    if (!v)
        return false;
    b->v = v;
    b->room = room;
    return true;
}

static bool buffer_put(struct gm_cache_curves *curves, struct gm_cache_curve *curve, enum op op,
    uint64_t key, uint64_t bytes)
{
    if (!buffer_reserve(&curves->filling))
        return false;
    curves->filling.v[curves->filling.n++] = (struct use){
        .curve = curve, .key = key, .bytes = bytes & ((1ull << 56) - 1), .op = (uint64_t)op & 0xff};
    return true;
}

/* What was told since the curve's last use. */
static void waiting_put(struct gm_cache_curves *curves, struct gm_cache_curve *curve)
{
    if (curve->waiting_capacity && curve->resizes < RESIZES_MOST &&
        buffer_put(curves, curve, OP_RESIZE, 0, curve->waiting_capacity)) {
        curve->waiting_capacity = 0;
        curve->resizes++;
    }
    if (curve->waiting_hits || curve->waiting_misses) {
        if (!buffer_put(curves, curve, OP_STATE, curve->waiting_hits, curve->waiting_misses))
            return;
        curve->waiting_hits = curve->waiting_misses = 0;
        curve->pushed++;
    }
}

/* ---- handing over ---- */

static bool thread_is_idle(struct gm_cache_curves *curves)
{
    pthread_mutex_lock(&curves->lock);
    bool idle = !curves->busy;
    pthread_mutex_unlock(&curves->lock);
    return idle;
}

void gm_cache_curves_turn(struct gm_cache_curves *curves)
{
    if (!curves || !thread_is_idle(curves))
        return;
    for (struct gm_cache_curve *curve = curves->first; curve; curve = curve->next) {
        curve->resizes = 0;
        waiting_put(curves, curve);
    }
    if (curves->filling.n == 0)
        return;
    struct buffer full = curves->filling;
    for (size_t i = 0; i < full.n; i++) {
        full.v[i].curve->threshold_asked = full.v[i].curve->threshold;
        full.v[i].curve->in_buffer = 0;
    }
    pthread_mutex_lock(&curves->lock);
    curves->filling = curves->taken;
    curves->refused = 0;
    curves->taken = full;
    curves->busy = true;
    pthread_cond_broadcast(&curves->changed);
    pthread_mutex_unlock(&curves->lock);
}

static void thread_wait(struct gm_cache_curves *curves)
{
    pthread_mutex_lock(&curves->lock);
    while (curves->busy)
        pthread_cond_wait(&curves->changed, &curves->lock);
    pthread_mutex_unlock(&curves->lock);
}

void gm_cache_curves_finish(struct gm_cache_curves *curves)
{
    if (!curves)
        return;
    thread_wait(curves);
    gm_cache_curves_turn(curves);
    thread_wait(curves);
}

void gm_cache_curves_free(struct gm_cache_curves *curves)
{
    if (!curves)
        return;
    gm_cache_curves_finish(curves);
    pthread_mutex_lock(&curves->lock);
    curves->ending = true;
    pthread_cond_broadcast(&curves->changed);
    pthread_mutex_unlock(&curves->lock);
    pthread_join(curves->thread, NULL);
    pthread_cond_destroy(&curves->changed);
    pthread_mutex_destroy(&curves->lock);
    free(curves->filling.v);
    free(curves->taken.v);
    free(curves);
}

/* ---- a full buffer ---- */

static struct gm_cache_curve *buffer_heaviest(const struct buffer *b)
{
    struct gm_cache_curve *heaviest = b->v[0].curve;
    for (size_t i = 1; i < b->n; i++)
        if (b->v[i].curve->in_buffer > heaviest->in_buffer)
            heaviest = b->v[i].curve;
    return heaviest;
}

static double threshold_rate(uint64_t threshold)
{
    return ((double)threshold + 1) / 0x1p64;
}

void gm_cache_curve_lower(
    struct gm_cache_curves *curves, struct gm_cache_curve *curve, uint64_t threshold)
{
    struct buffer *b = &curves->filling;
    size_t kept = 0;
    if (threshold >= curve->threshold)
        return;
    curve->threshold = threshold;
    for (size_t i = 0; i < b->n; i++) {
        bool goes = b->v[i].curve == curve && b->v[i].op <= OP_GONE && b->v[i].key > threshold;
        curve->in_buffer -= goes;
        curve->pushed -= goes;
        if (!goes)
            b->v[kept++] = b->v[i];
    }
    b->n = kept;
}

#define REFUSED_LOOKS \
    256u /* uses that are left out before the thread is asked again whether it is ready */

/* The buffer is full. False: there is no room. Lowering costs a walk through it, and is done once before it is handed over. */
static bool buffer_make_room(struct gm_cache_curves *curves)
{
    if (curves->refused++ % REFUSED_LOOKS == 0)
        gm_cache_curves_turn(curves);
    if (curves->filling.n < BUFFER_USES)
        return true;
    if (curves->refused > 1)
        return false;
    struct gm_cache_curve *curve = buffer_heaviest(&curves->filling);
    if ((double)curve->entries * threshold_rate(curve->threshold / 2) < ENTRIES_LEAST)
        return false;
    gm_cache_curve_lower(curves, curve, curve->threshold / 2);
    curves->refused = 0;
    return curves->filling.n < BUFFER_USES;
}

/* ---- curves ---- */

static uint64_t capacity_bounded(uint64_t bytes)
{
    return bytes < GM_CACHE_CURVE_CAPACITY_MAX ? bytes : GM_CACHE_CURVE_CAPACITY_MAX;
}

int gm_cache_curve_create(struct gm_cache_curves *curves, uint32_t policy, uint64_t capacity_bytes,
    uint64_t threshold, struct gm_cache_curve **ret_curve)
{
    struct gm_cache_curve *curve = calloc(1, sizeof *curve);
    if (!curve)
        return -ENOMEM;
    curve->threshold = curve->threshold_asked = threshold;
    curve->capacity_bytes = capacity_bounded(capacity_bytes);
    gm_cache_curve_sim_init(&curve->sim, policy, curve->capacity_bytes, threshold);
    curve->next = curves->first;
    curves->first = curve;
    *ret_curve = curve;
    return 0;
}

static void curve_unlink(struct gm_cache_curves *curves, const struct gm_cache_curve *curve)
{
    struct gm_cache_curve **at = &curves->first;
    while (*at != curve)
        at = &(*at)->next;
    *at = curve->next;
}

void gm_cache_curve_free(struct gm_cache_curves *curves, struct gm_cache_curve *curve)
{
    if (!curve)
        return;
    curve_unlink(curves, curve);
    if (buffer_put(curves, curve, OP_FREE, 0, 0))
        return;
    gm_cache_curves_finish(curves); /* without memory for another word */
    gm_cache_curve_sim_done(&curve->sim);
    free(curve);
}

uint64_t gm_cache_curve_use(struct gm_cache_curves *curves, struct gm_cache_curve *curve,
    enum gm_cache_curve_use use, uint64_t key, uint64_t bytes, uint64_t before)
{
    bool lookup = use == GM_CACHE_CURVE_HIT || use == GM_CACHE_CURVE_MISS;
    if (key > curve->threshold)
        return 0;
    if (curves->filling.n >= BUFFER_USES && !buffer_make_room(curves)) {
        curve->gap = true;
        return 0;
    }
    waiting_put(curves, curve);
    if (curve->gap)
        curve->gap = !buffer_put(curves, curve, OP_GAP, 0, 0);
    if (key > curve->threshold || !buffer_put(curves, curve, (enum op)use, key, bytes))
        return 0;
    struct use *put = &curves->filling.v[curves->filling.n - 1];
    if (lookup) {
        put->number = (uint32_t)++curve->number;
        put->before = before && curve->number - before < UINT32_MAX ? (uint32_t)before : 0;
    }
    curve->pushed++;
    curve->in_buffer++;
    return lookup ? curve->number : 0;
}

void gm_cache_curve_resize(
    struct gm_cache_curves *curves, struct gm_cache_curve *curve, uint64_t capacity_bytes)
{
    uint64_t bytes = capacity_bounded(capacity_bytes);
    if (bytes == 0 || bytes == curve->capacity_bytes)
        return;
    if (!curve->waiting_capacity && curves->filling.n < BUFFER_USES)
        waiting_put(curves, curve);
    curve->capacity_bytes = curve->waiting_capacity = bytes;
}

void gm_cache_curve_state(
    struct gm_cache_curve *curve, uint64_t hits, uint64_t misses, uint64_t entries)
{
    curve->entries = entries;
    curve->waiting_hits += hits;
    curve->waiting_misses += misses;
}

bool gm_cache_curve_is_behind(struct gm_cache_curves *curves, const struct gm_cache_curve *curve)
{
    bool waits = curve->waiting_hits || curve->waiting_misses;
    pthread_mutex_lock(&curves->lock);
    bool behind = waits || curve->simulated != curve->pushed;
    pthread_mutex_unlock(&curves->lock);
    return behind;
}

bool gm_cache_curve_has_news(struct gm_cache_curves *curves, const struct gm_cache_curve *curve)
{
    pthread_mutex_lock(&curves->lock);
    bool news = curve->generation != curve->read;
    pthread_mutex_unlock(&curves->lock);
    return news;
}

bool gm_cache_curve_read(struct gm_cache_curves *curves, struct gm_cache_curve *curve,
    struct gm_cache_curve_point ret_points[GM_CACHE_CURVE_POINTS],
    struct gm_cache_curve_best *ret_best)
{
    struct gm_cache_curve_result result;
    pthread_mutex_lock(&curves->lock);
    bool news = curve->generation != curve->read;
    result = curve->result;
    curve->read = curve->generation;
    pthread_mutex_unlock(&curves->lock);
    if (!news || result.lookups == 0)
        return false;
    gm_cache_curve_result_points(&result, ret_points);
    *ret_best = result.best;
    return true;
}

const char *gm_cache_curve_policy_name(const struct gm_cache_curve *curve)
{
    return gm_cache_curve_sim_policy_name(&curve->sim);
}
