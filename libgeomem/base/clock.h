/* clock.h - the session's clock, read the same way by target and recorder.
 *
 * On processors with an invariant time-stamp counter all cores count alike, so stamps taken on different
 * cores compare. rdtsc may execute before earlier loads have completed; gm_clock_after() fences against
 * that (lfence waits for all earlier instructions: Intel SDM vol. 3, 18.17; AMD APM vol. 2, 13.2.4). For
 * "before" no fence is needed: stores that follow become visible only after rdtsc has retired.
 */
#ifndef GM_BASE_CLOCK_H
#define GM_BASE_CLOCK_H

#include <stdint.h>
#include <x86intrin.h>

#include "libgeomem/base/sys.h"
#include "schemas/wire.h"

/* A stamp (48 bits) not later than any store that follows in program order. */
static inline uint64_t gm_clock_before(uint32_t clock)
{
    return (clock == GM_CLOCK_TSC ? __rdtsc() : gm_sys_monotonic_ns()) & GM_STAMP_MASK;
}

/* A stamp not earlier than any load that precedes in program order. */
static inline uint64_t gm_clock_after(uint32_t clock)
{
    _mm_lfence();
    return gm_clock_before(clock);
}

#endif
