/* alone.h - what locks and pins cost a process with one thread: nothing that needs the bus.
 *
 * A locked instruction waits until all earlier loads and stores are done, so that the cache misses of one lookup cannot overlap
 * those of the next: measured, bench/cache_throughput, half of the time of a get-or-put. The C library knows whether there
 * is a second thread (__libc_single_threaded, since 2.32); it is told before that thread begins, and nothing here creates one
 * between two looks.
 */
#ifndef GM_CACHE_ALONE_H
#define GM_CACHE_ALONE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/single_threaded.h>

#include "libgeomem/heap/lock.h"

static inline bool gm_alone(void)
{
    return __libc_single_threaded != 0;
}

/* A shard's lock, and whatever is held only while no thread can be made. */
static inline void gm_lock_take(struct gm_lock *lock)
{
    if (gm_alone())
        atomic_store_explicit(&lock->word, 1, memory_order_relaxed);
    else
        gm_lock_acquire(lock);
}
static inline void gm_lock_give(struct gm_lock *lock)
{
    if (gm_alone())
        atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
    else
        gm_lock_release(lock);
}

/* Adds to a word that others change; returns what was there. */
static inline uint32_t gm_word_add(_Atomic uint32_t *word, uint32_t more, memory_order order)
{
    if (!gm_alone())
        return atomic_fetch_add_explicit(word, more, order);
    uint32_t before = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, before + more, memory_order_relaxed);
    return before;
}
static inline bool gm_word_replace(_Atomic uint32_t *word, uint32_t *expected, uint32_t desired)
{
    if (gm_alone()) {
        atomic_store_explicit(word, desired, memory_order_relaxed);
        return true;
    }
    /* acquire: see the callers, in slot.h */
    return atomic_compare_exchange_weak_explicit(
        word, expected, desired, memory_order_acquire, memory_order_relaxed);
}

#endif
