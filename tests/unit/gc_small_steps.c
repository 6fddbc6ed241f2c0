/* gc_small_steps.c - linked into a test beside it: the old generation is marked in steps as small as can be, so that there are many
 * young collections before it is done. */
#include "libgeomem/gc/cycle_internal.h"

__attribute__((constructor)) static void steps_begin(void)
{
    gm_gc_step_ns = gm_gc_step_least_ns = 1;
    gm_gc_steps_patience = 4;
}
