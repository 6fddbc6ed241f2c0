/* timebase.c - see timebase.h. */
#include "collector/timebase.h"

#include <time.h>

#include "collector/session.h"

#define PAIR_TRIES 5               /* the best of: an interrupt between the readings spoils one */
#define FIRST_RATE_NS 2000000      /* 2 ms: a 100 ns error of a pair is 50 ppm, for half a second */
#define RATE_WINDOW_NS 200000000ll /* pairs closer than this say little about the rate */
#define RATE_TOLERANCE 0.01        /* beyond it the machine slept, or was moved, in between */

int64_t gm_mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A stamp and the time at which it was taken, as close together as a few tries can get them. */
static void timebase_pair(enum gm_clock clock, uint64_t *ret_stamp, int64_t *ret_mono_ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < PAIR_TRIES; i++) {
        uint64_t before = gm_clock_read(clock);
        int64_t ns = gm_mono_ns();
        uint64_t gap = gm_clock_read(clock) - before;
        if (gap >= best)
            continue;
        best = gap;
        *ret_stamp = before + gap / 2;
        *ret_mono_ns = ns;
    }
}

void gm_timebase_init(struct gm_timebase *base, enum gm_clock clock, int64_t start_mono_ns)
{
    uint64_t stamp = 0;
    int64_t mono_ns = 0;
    timebase_pair(clock, &stamp, &mono_ns);
    *base = (struct gm_timebase){
        .clock = clock,
        .start_mono_ns = start_mono_ns ? start_mono_ns : mono_ns,
        .first_stamp = stamp,
        .anchor_stamp = stamp,
        .ns_per_tick = 1,
    };
    base->first_ns = base->anchor_ns = mono_ns - base->start_mono_ns;
    if (clock == GM_CLOCK_MONOTONIC)
        return;
    while (gm_mono_ns() - mono_ns < FIRST_RATE_NS)
        ;
    uint64_t later = 0;
    int64_t later_ns = 0;
    timebase_pair(clock, &later, &later_ns);
    if (later > stamp)
        base->ns_per_tick = (double)(later_ns - mono_ns) / (double)(later - stamp);
}

void gm_timebase_refine(struct gm_timebase *base)
{
    uint64_t stamp = 0;
    int64_t mono_ns = 0;
    timebase_pair(base->clock, &stamp, &mono_ns);
    int64_t ns = mono_ns - base->start_mono_ns;
    if (base->clock == GM_CLOCK_MONOTONIC || stamp <= base->anchor_stamp ||
        ns - base->anchor_ns < RATE_WINDOW_NS)
        return;
    double rate = (double)(ns - base->anchor_ns) / (double)(stamp - base->anchor_stamp);
    if (rate > base->ns_per_tick * (1 - RATE_TOLERANCE) &&
        rate < base->ns_per_tick * (1 + RATE_TOLERANCE))
        base->ns_per_tick = rate;
    base->anchor_stamp = stamp;
    base->anchor_ns = ns;
}

uint64_t gm_timebase_ticks(const struct gm_timebase *base, uint64_t ns)
{
    return base->clock == GM_CLOCK_MONOTONIC ? ns : (uint64_t)((double)ns / base->ns_per_tick);
}
