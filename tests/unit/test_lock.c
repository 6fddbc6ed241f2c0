/* Locks are taken in the order of their ranks, and who does not is told. */
#include <criterion/criterion.h>
#include <signal.h>

#include "libgeomem/gc/world.h"
#include "libgeomem/heap/lock.h"

static struct gm_lock heaps = {.rank = GM_RANK_HEAPS}, range = {.rank = GM_RANK_RANGE};
static struct gm_lock heap[2] = {{.rank = GM_RANK_HEAP}, {.rank = GM_RANK_HEAP}};

Test(lock, in_order)
{
    for (int i = 0; i < 2; i++) {
        gm_world_lock();
        gm_lock_acquire(&heaps);
        gm_lock_acquire(&heap[0]);
        gm_lock_acquire(&heap[1]);
        gm_lock_acquire(&range);
        gm_lock_release(&range);
        gm_lock_release(&heap[0]);
        gm_lock_release(&heap[1]);
        gm_lock_release(&heaps);
        gm_world_unlock();
    }
}

Test(lock, out_of_order, .signal = SIGABRT)
{
    gm_lock_acquire(&range);
    gm_lock_acquire(&heaps);
}

Test(lock, the_worlds_below_a_heaps, .signal = SIGABRT)
{
    gm_lock_acquire(&heap[0]);
    gm_world_lock();
}

Test(lock, twice, .signal = SIGABRT)
{
    gm_lock_acquire(&heaps);
    gm_lock_acquire(&heaps);
}
