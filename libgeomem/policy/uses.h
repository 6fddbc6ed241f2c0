/* uses.h - uses of entries on their way from the threads that make them to whoever evaluates them.
 *
 *     thread ──▶ stripe: a ring of 64 uses ──┐
 *     thread ──▶ stripe                    ──┴──▶ one reader at a time
 *
 * Lossy: a full ring drops, and of threads that share a stripe and write at once one loses. Nothing waits, nothing is shared
 * that need not be. Uses of one stripe stay in order.
 */
#ifndef GM_POLICY_USES_H
#define GM_POLICY_USES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GM_USES_RING 64u

struct gm_uses_stripe {
    _Alignas(64) _Atomic uint32_t tail; /* written by the stripe's threads */

    _Alignas(64) _Atomic uint32_t head; /* written by the reader */
    struct {
        _Atomic uint64_t hash;
        _Atomic uint64_t value; /* the writer's */
    } ring[GM_USES_RING];
};

struct gm_uses {
    struct gm_uses_stripe *stripes;
    uint32_t mask; /* stripes - 1 */
};

/* `stripes`: a power of two. 0 or -ENOMEM. */
int gm_uses_init(struct gm_uses *uses, uint32_t stripes);
void gm_uses_done(struct gm_uses *uses);

/* Any thread. True: the ring is half full or more. */
static inline bool gm_uses_put(struct gm_uses *uses, uint32_t stripe, uint64_t hash, uint64_t value)
{
    struct gm_uses_stripe *to = &uses->stripes[stripe & uses->mask];
    uint32_t tail = atomic_load_explicit(&to->tail, memory_order_relaxed);
    /* relaxed: a late view of the reader's position drops a use, and an entry overwritten while it is read is one of two
     * uses' mixture, which the reader can live with. */
    uint32_t filled = tail - atomic_load_explicit(&to->head, memory_order_relaxed);
    if (filled >= GM_USES_RING)
        return true;
    atomic_store_explicit(&to->ring[tail % GM_USES_RING].hash, hash, memory_order_relaxed);
    atomic_store_explicit(&to->ring[tail % GM_USES_RING].value, value, memory_order_relaxed);
    /* release: pairs with the acquire in gm_uses_drain. */
    atomic_store_explicit(&to->tail, tail + 1, memory_order_release);
    return filled >= GM_USES_RING / 2;
}

/* Hands each use to take(arg, hash, value). One caller at a time. */
void gm_uses_drain(
    struct gm_uses *uses, void (*take)(void *arg, uint64_t hash, uint64_t value), void *arg);

#endif
