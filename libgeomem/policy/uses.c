/* uses.c - see uses.h. */
#include "libgeomem/policy/uses.h"

#include <errno.h>

#include "libgeomem/policy/kind.h"

int gm_uses_init(struct gm_uses *uses, uint32_t stripes)
{
    uses->stripes = gm_policy_memory(stripes * sizeof(struct gm_uses_stripe));
    if (!uses->stripes)
        return -ENOMEM;
    uses->mask = stripes - 1;
    return 0;
}

void gm_uses_done(struct gm_uses *uses)
{
    gm_policy_memory_free(uses->stripes, (uses->mask + (size_t)1) * sizeof(struct gm_uses_stripe));
    uses->stripes = NULL;
}

static void stripe_drain(
    struct gm_uses_stripe *from, void (*take)(void *arg, uint64_t hash, uint64_t value), void *arg)
{
    uint32_t head = atomic_load_explicit(&from->head, memory_order_relaxed);
    /* acquire: pairs with the release in gm_uses_put. */
    uint32_t tail = atomic_load_explicit(&from->tail, memory_order_acquire);
    /* Threads that raced may have set the tail back behind the head. */
    if (tail - head > GM_USES_RING)
        head = tail;
    for (; head != tail; head++) {
        uint64_t hash =
            atomic_load_explicit(&from->ring[head % GM_USES_RING].hash, memory_order_relaxed);
        uint64_t value =
            atomic_load_explicit(&from->ring[head % GM_USES_RING].value, memory_order_relaxed);
        take(arg, hash, value);
    }
    atomic_store_explicit(&from->head, head, memory_order_relaxed);
}

void gm_uses_drain(
    struct gm_uses *uses, void (*take)(void *arg, uint64_t hash, uint64_t value), void *arg)
{
    for (uint32_t i = 0; i <= uses->mask; i++)
        stripe_drain(&uses->stripes[i], take, arg);
}
