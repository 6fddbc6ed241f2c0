/* pacer.c - see pacer.h. */
#include "libgeomem/gc/pacer.h"

#include <emmintrin.h>
#include <stdatomic.h>

#define KB ((uint64_t)1 << 10)
#define MB ((uint64_t)1 << 20)

/* Aimed at for a young collection; and where its fixed part is large: twice that, up to a bound. No further: pages written to
 * are of that part, and are more the longer the nursery lasts. Beyond the bound a small nursery keeps no promise any more, and
 * only makes collections many: it has this size then. */
#define PAUSE_NS 1500000.0
#define PAUSE_MOST_NS 3000000.0
#define YOUNG_BEYOND (8 * MB)
/* Of the nursery. The least is what its fixed costs, some 50 us, are worth. */
#define YOUNG_LEAST (1 * MB)
#define YOUNG_MOST (64 * MB)
#define YOUNG_FIRST (4 * MB)
/* The nursery is this part of what lives. */
#define YOUNG_PART 4
/* And this part of a limit at most. Arbitrary. */
#define YOUNG_OF_LIMIT 8
/* A full collection in place of a young one may stop the program so long, and must cost so many times less for each byte
 * allocated; longer, if it gains more. Arbitrary. */
#define FULL_PAUSE_NS 9000000.0
#define FULL_GAIN 1.5
#define FULL_PAUSE_MOST_NS 13000000.0
#define FULL_PAUSE_MOST_GAIN 2.0
#define FULL_RUN 16
/* Where fewer of the young survive, a run of full collections ends: young ones may have begun to pay. Arbitrary. */
#define FULL_SURVIVAL 0.25
/* Weight of a new measurement in an average: arbitrary. */
#define WEIGHT 0.3
/* See pacer.h: measured, bench/gc: footprint like bdwgc's. */
#define TUNING_BYTES (10.0 * (double)MB)
/* So much at least before the old generation is collected. */
#define OLD_GROWTH_LEAST (8 * MB)
/* Of the container's room: a lesser change is none. Arbitrary. */
#define ROOM_PART 32
/* Between two steps so much is allocated. */
#define STEP_BYTES (512 * KB)

static uint64_t clamp(uint64_t value, uint64_t lowest, uint64_t highest)
{
    return value < lowest ? lowest : value > highest ? highest : value;
}

/* Without libm. */
static double square_root(double value)
{
    return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(value)));
}

static void average(double *sum, double value)
{
    *sum = *sum > 0 ? *sum + WEIGHT * (value - *sum) : value;
}

bool gm_pacer_allocated(struct gm_pacer *pacer, size_t bytes)
{
    uint64_t before =
        atomic_fetch_add_explicit(&pacer->allocated_bytes, bytes, memory_order_relaxed);
    return before + bytes >= atomic_load_explicit(&pacer->step_at_bytes, memory_order_relaxed);
}

bool gm_pacer_is_time(const struct gm_pacer *pacer)
{
    return atomic_load_explicit(&pacer->allocated_bytes, memory_order_relaxed) >=
           atomic_load_explicit(&pacer->young_bytes, memory_order_relaxed);
}

bool gm_pacer_wants_old(const struct gm_pacer *pacer)
{
    return pacer->old_bytes > pacer->old_limit_bytes;
}

bool gm_pacer_wants_full(const struct gm_pacer *pacer)
{
    return pacer->full_only || pacer->full_run > 0;
}

bool gm_pacer_wants_step(const struct gm_pacer *pacer)
{
    return pacer->allocated_bytes >= pacer->step_at_bytes;
}

/* ---- sizes ---- */

static void step_set(struct gm_pacer *pacer)
{
    uint64_t at = pacer->allocated_bytes + STEP_BYTES;
    pacer->step_at_bytes = at < pacer->young_bytes ? at : pacer->young_bytes;
}

/* What may be allocated before the old generation's limit is reached. */
static uint64_t left_bytes(const struct gm_pacer *pacer)
{
    uint64_t limit = pacer->old_limit_bytes, old = pacer->old_bytes;
    return limit > old + YOUNG_LEAST ? limit - old : YOUNG_LEAST;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* The nursery that the pause allows. */
static uint64_t young_in_pause(const struct gm_pacer *pacer)
{
    double fixed = pacer->fixed_ns;
    if (fixed > PAUSE_MOST_NS)
        return YOUNG_BEYOND;
    double pause = most(PAUSE_NS, least(2 * fixed, PAUSE_MOST_NS));
    double bytes = most(pause - fixed, 0) / most(pacer->young_ns_per_byte, 1e-6);
    return clamp((uint64_t)least(bytes, (double)YOUNG_MOST), YOUNG_LEAST, YOUNG_MOST);
}

/* Of the footprint; UINT64_MAX: none. */
static uint64_t limit_bytes(const struct gm_pacer *pacer)
{
    uint64_t limit = pacer->limit_bytes ? pacer->limit_bytes : UINT64_MAX;
    return pacer->room_bytes && pacer->room_bytes < limit ? pacer->room_bytes : limit;
}

static void young_set(struct gm_pacer *pacer)
{
    uint64_t bytes = clamp(pacer->old_bytes / YOUNG_PART, YOUNG_FIRST, YOUNG_MOST);
    if (bytes > limit_bytes(pacer) / YOUNG_OF_LIMIT)
        bytes = clamp(limit_bytes(pacer) / YOUNG_OF_LIMIT, YOUNG_LEAST, bytes);
    if (gm_pacer_wants_full(pacer))
        bytes = left_bytes(pacer);
    else if (pacer->pause_ns_per_byte > 0 && bytes > young_in_pause(pacer))
        bytes = young_in_pause(pacer);
    pacer->young_bytes = pacer->young_option_bytes ? pacer->young_option_bytes : bytes;
    step_set(pacer);
}

/* What is allocated between two full collections that come in place of young ones. */
static uint64_t full_growth(const struct gm_pacer *pacer)
{
    return clamp(pacer->live_bytes, OLD_GROWTH_LEAST, UINT64_MAX);
}

static void old_set(struct gm_pacer *pacer)
{
    double live = (double)pacer->live_bytes;
    double extra = 0;
    if (pacer->mark_bytes_per_ns > 0)
        extra = square_root(
            live * pacer->growth_bytes_per_ns / pacer->mark_bytes_per_ns * TUNING_BYTES);
    uint64_t highest = full_growth(pacer);
    uint64_t lowest = clamp(pacer->live_bytes / 4, OLD_GROWTH_LEAST, UINT64_MAX);
    if (pacer->full_run > 0)
        lowest = highest;
    pacer->old_limit_bytes = pacer->live_bytes + clamp((uint64_t)extra, lowest, highest);
    if (pacer->old_limit_bytes > limit_bytes(pacer) / 10 * 8)
        pacer->old_limit_bytes =
            clamp(limit_bytes(pacer) / 10 * 8, pacer->live_bytes + MB, UINT64_MAX);
}

/* Of the next full collection, if what lives grows on as it did. */
static double full_next_ns(const struct gm_pacer *pacer)
{
    return (double)pacer->live_bytes * pacer->live_growth / pacer->pause_bytes_per_ns;
}

/* Compares what a byte allocated costs: its share of a full collection; or of a young one, and, if it survives that, of the
 * old generation's after all. */
static bool full_is_cheaper(const struct gm_pacer *pacer)
{
    double live = (double)pacer->live_bytes;
    if (!(pacer->mark_bytes_per_ns > 0))
        return false;
    double full_ns = live / pacer->mark_bytes_per_ns;
    double full = full_ns / (double)full_growth(pacer);
    double young = pacer->pause_ns_per_byte +
                   pacer->survival * full_ns / (double)(pacer->old_limit_bytes - pacer->live_bytes);
    double next_ns = full_next_ns(pacer);
    return (next_ns <= FULL_PAUSE_NS && FULL_GAIN * full < young) ||
           (next_ns <= FULL_PAUSE_MOST_NS && FULL_PAUSE_MOST_GAIN * full < young);
}

/* ---- what was measured ---- */

void gm_pacer_init(
    struct gm_pacer *pacer, const struct geomem_heap_options *options, uint64_t now_ns)
{
    *pacer = (struct gm_pacer){
        .limit_bytes = options->max_bytes,
        .young_option_bytes = options->young_bytes,
        .old_since_ns = now_ns,
        .full_only = options->gc_mode == GEOMEM_GC_MARK_SWEEP,
    };
    old_set(pacer);
    young_set(pacer);
}

void gm_pacer_add_heap(struct gm_pacer *pacer, const struct geomem_heap_options *options)
{
    uint64_t sum;
    if (!pacer->limit_bytes || !options->max_bytes ||
        __builtin_add_overflow(pacer->limit_bytes, options->max_bytes, &sum))
        sum = 0;
    pacer->limit_bytes = sum;
    if (options->young_bytes)
        pacer->young_option_bytes = options->young_bytes;
    young_set(pacer);
}

void gm_pacer_set_room(struct gm_pacer *pacer, uint64_t room_bytes)
{
    uint64_t before = pacer->room_bytes;
    uint64_t change = room_bytes > before ? room_bytes - before : before - room_bytes;
    if (before && room_bytes && change < before / ROOM_PART)
        return;
    if (before == room_bytes)
        return;
    pacer->room_bytes = room_bytes;
    old_set(pacer);
    young_set(pacer);
}

void gm_pacer_set_full_only(struct gm_pacer *pacer, bool full_only)
{
    pacer->full_only = full_only;
    young_set(pacer);
}

/* Phases are known in time of day only: their shares are taken of processor time. */
static double fixed_share(const struct geomem_gc_cycle *cycle)
{
    double roots = (double)cycle->phase_ns[GEOMEM_PHASE_ROOTS];
    double rest =
        (double)(cycle->phase_ns[GEOMEM_PHASE_MARK] + cycle->phase_ns[GEOMEM_PHASE_NOTES] +
                 cycle->phase_ns[GEOMEM_PHASE_SWEEP]);
    return roots + rest > 0 ? roots / (roots + rest) : 0;
}

void gm_pacer_after_young(
    struct gm_pacer *pacer, const struct geomem_gc_cycle *cycle, uint64_t pause_ns)
{
    if (cycle->young_before_bytes > 0) {
        double young = (double)cycle->young_before_bytes;
        double fixed = fixed_share(cycle) * (double)pause_ns;
        average(&pacer->fixed_ns, fixed);
        average(&pacer->young_ns_per_byte, ((double)pause_ns - fixed) / young);
        average(&pacer->pause_ns_per_byte, (double)pause_ns / young);
        average(&pacer->survival, (double)cycle->promoted_bytes / young);
    }
    pacer->old_bytes += cycle->promoted_bytes;
    pacer->allocated_bytes = 0;
    if (full_is_cheaper(pacer)) {
        pacer->full_run = FULL_RUN;
        old_set(pacer);
    }
    young_set(pacer);
}

void gm_pacer_after_full(struct gm_pacer *pacer, const struct geomem_gc_cycle *cycle)
{
    double young = (double)cycle->young_before_bytes;
    if (pacer->full_run > 1 && (double)cycle->promoted_bytes < FULL_SURVIVAL * young)
        pacer->full_run = 1; /* which after_old takes away */
}

void gm_pacer_after_step(struct gm_pacer *pacer, bool all)
{
    step_set(pacer);
    if (all)
        pacer->young_bytes = pacer->step_at_bytes;
}

/* Of what became old while it was marked as large a part lives, for all that is known, as of what was old before. */
static uint64_t live_estimate(
    const struct gm_pacer *pacer, uint64_t old_bytes, uint64_t marked_bytes)
{
    uint64_t promoted = old_bytes > marked_bytes ? old_bytes - marked_bytes : 0;
    if (pacer->old_bytes <= promoted + marked_bytes)
        return old_bytes;
    double rate = (double)marked_bytes / (double)(pacer->old_bytes - promoted);
    return marked_bytes + (uint64_t)(rate * (double)promoted);
}

void gm_pacer_after_old(struct gm_pacer *pacer, uint64_t old_bytes, uint64_t marked_bytes,
    uint64_t cpu_ns, uint64_t own_ns, uint64_t now_ns)
{
    /* Without young collections all that was allocated has become old. */
    uint64_t before = pacer->old_bytes + pacer->allocated_bytes;
    double grown = (double)(before > pacer->live_bytes ? before - pacer->live_bytes : 0);
    uint64_t live_bytes = live_estimate(pacer, old_bytes, marked_bytes);
    if (now_ns > pacer->old_since_ns)
        average(&pacer->growth_bytes_per_ns, grown / (double)(now_ns - pacer->old_since_ns));
    if (cpu_ns > 0 && own_ns > 0 && marked_bytes > 0) {
        average(&pacer->mark_bytes_per_ns, (double)marked_bytes / (double)cpu_ns);
        average(&pacer->pause_bytes_per_ns, (double)marked_bytes / (double)own_ns);
    }
    pacer->old_since_ns = now_ns;
    pacer->live_growth = 1;
    if (live_bytes > pacer->live_bytes)
        pacer->live_growth = (double)live_bytes / (double)(pacer->live_bytes + MB);
    pacer->old_bytes = old_bytes;
    pacer->live_bytes = live_bytes;
    if (pacer->full_run > 0)
        pacer->full_run = full_next_ns(pacer) > FULL_PAUSE_MOST_NS ? 0 : pacer->full_run - 1;
    pacer->allocated_bytes = 0;
    old_set(pacer);
    young_set(pacer);
}
