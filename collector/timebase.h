/* timebase.h - turns stamps into nanoseconds since the recording began.
 *
 * A stamp of the time stamp counter has no unit. The timebase takes pairs (stamp, CLOCK_MONOTONIC),
 * one every half second or so, and draws a line through the last two that are far enough apart; so
 * the line follows the clock as the kernel disciplines it. Results never decrease: conversions are
 * asked for in the order in which events are told.
 *
 * Stands between order (stamps) and the roll-up (nanoseconds).
 */
#ifndef GM_COLLECTOR_TIMEBASE_H
#define GM_COLLECTOR_TIMEBASE_H

#include <stdint.h>

#include "schemas/wire.h"

struct gm_timebase {
    enum gm_clock clock;
    int64_t start_mono_ns; /* CLOCK_MONOTONIC that is time 0 */
    uint64_t first_stamp, anchor_stamp;
    int64_t first_ns, anchor_ns; /* since time 0 */
    double ns_per_tick;
    int64_t last_ns;     /* greatest result so far */
    uint64_t last_stamp; /* what was last asked for; many events in a row may have one stamp */
};

/* start_mono_ns 0: time 0 is now. Spins for up to 2 ms to learn the rate of a time stamp counter.
 */
void gm_timebase_init(struct gm_timebase *base, enum gm_clock clock, int64_t start_mono_ns);

/* Takes another pair. */
void gm_timebase_refine(struct gm_timebase *base);

/* Unbounded conversion: may go back by what a refinement corrected. */
static inline int64_t gm_timebase_convert(const struct gm_timebase *base, uint64_t stamp)
{
    if (base->clock == GM_CLOCK_MONOTONIC)
        return (int64_t)stamp - base->start_mono_ns;
    return base->anchor_ns +
           (int64_t)((double)(int64_t)(stamp - base->anchor_stamp) * base->ns_per_tick);
}

/* Nanoseconds since the recording began; not less than any result before it. */
static inline int64_t gm_timebase_ns(struct gm_timebase *base, uint64_t stamp)
{
    if (stamp == base->last_stamp)
        return base->last_ns;
    int64_t ns = gm_timebase_convert(base, stamp);
    base->last_stamp = stamp;
    if (ns > base->last_ns)
        base->last_ns = ns;
    return base->last_ns;
}

/* How many ticks a number of nanoseconds is. */
uint64_t gm_timebase_ticks(const struct gm_timebase *base, uint64_t ns);

/* CLOCK_MONOTONIC. */
int64_t gm_mono_ns(void);

#endif
