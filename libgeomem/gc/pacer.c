/* pacer.c - see pacer.h. */
#include "libgeomem/gc/pacer.h"

#include <stdatomic.h>

#define MB ((uint64_t)1 << 20)

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
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

static void young_size(struct gm_pacer *pacer)
{
    uint64_t bytes = clamp(pacer->old_bytes / 4, 4 * MB, 32 * MB);
    pacer->young_bytes = pacer->young_option_bytes ? pacer->young_option_bytes : bytes;
}

/* Between two young collections there are so many steps of the old generation's. Arbitrary. */
#define STEPS 4

static void step_set(struct gm_pacer *pacer)
{
    pacer->step_at_bytes = pacer->allocated_bytes + pacer->young_bytes / STEPS;
}

void gm_pacer_init(struct gm_pacer *pacer, const struct geomem_heap_options *options)
{
    *pacer =
        (struct gm_pacer){.old_limit_bytes = 16 * MB, .young_option_bytes = options->young_bytes};
    young_size(pacer);
    step_set(pacer);
}

bool gm_pacer_allocated(struct gm_pacer *pacer, size_t bytes)
{
    uint64_t sum =
        atomic_fetch_add_explicit(&pacer->allocated_bytes, bytes, memory_order_relaxed) + bytes;
    return sum >= atomic_load_explicit(&pacer->step_at_bytes, memory_order_relaxed);
}

bool gm_pacer_wants_step(const struct gm_pacer *pacer)
{
    return pacer->allocated_bytes >= pacer->step_at_bytes;
}

void gm_pacer_after_step(struct gm_pacer *pacer)
{
    step_set(pacer);
}

void gm_pacer_after_young(struct gm_pacer *pacer, const struct geomem_gc_cycle *cycle)
{
    pacer->old_bytes += cycle->promoted_bytes;
    pacer->allocated_bytes = 0;
    young_size(pacer);
    step_set(pacer);
}

void gm_pacer_after_old(struct gm_pacer *pacer, uint64_t live_bytes)
{
    pacer->old_bytes = pacer->live_bytes = live_bytes;
    pacer->old_limit_bytes = live_bytes + clamp(live_bytes / 2, 16 * MB, 1024 * MB);
    pacer->allocated_bytes = 0;
    young_size(pacer);
    step_set(pacer);
}
