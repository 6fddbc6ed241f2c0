/* lock.h - a lock of four bytes that needs no initialisation, no libc, and can be made anew in a forked child.
 *
 * 0 free, 1 held, 2 held and somebody sleeps (Drepper, "Futexes Are Tricky", 2011, mutex 2). Spins for a moment
 * first: what it guards takes less than a system call.
 */
#ifndef GM_HEAP_LOCK_H
#define GM_HEAP_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "libgeomem/base/sys.h"

/* Who holds a lock takes only those of higher rank: so no two threads wait for each other. Heaps' locks are taken together in
 * the order of the list of heaps. Builds for tests check it (GM_CHECK_RANKS): lock.c. */
enum gm_lock_rank {
    GM_RANK_NONE = 0, /* not checked */
    GM_RANK_WORLD,    /* gc/world.h */
    GM_RANK_HEAPS,    /* the list of heaps */
    GM_RANK_HEAP,
    GM_RANK_NOTES,      /* finalizers and weak references */
    GM_RANK_DIRTY,      /* which pages are watched */
    GM_RANK_RANGE,      /* segments of the reserved range */
    GM_RANK_QUARANTINE, /* freed blocks that wait */
    GM_RANKS,
};

struct gm_lock {
    _Atomic uint32_t word;
    uint32_t rank; /* enum gm_lock_rank */
};

#ifdef GM_CHECK_RANKS
/* The calling thread is about to take a lock, or has given it back. Out of turn: a line on stderr, and abort. */
void gm_rank_taken(uint32_t rank);
void gm_rank_given(uint32_t rank);
#else
static inline void gm_rank_taken(uint32_t rank)
{
    (void)rank;
}
static inline void gm_rank_given(uint32_t rank)
{
    (void)rank;
}
#endif

/* How often a thread looks before it sleeps: arbitrary, some 2 us. */
#define GM_LOCK_SPINS 100

#if defined(__SANITIZE_THREAD__)
/* A thread that waits for a collector is asked to stop: it sees that at its next atomic access (gc/race_checker.h). */
#define GM_LOCK_PATIENCE (&(const struct timespec){.tv_nsec = 1000000})
#else
#define GM_LOCK_PATIENCE NULL
#endif

static inline bool gm_lock_try(struct gm_lock *lock)
{
    uint32_t expected = 0;
    /* acquire: pairs with the release in gm_lock_release */
    return atomic_compare_exchange_strong_explicit(
        &lock->word, &expected, 1, memory_order_acquire, memory_order_relaxed);
}

static inline void gm_lock_acquire(struct gm_lock *lock)
{
    gm_rank_taken(lock->rank);
    if (__builtin_expect(gm_lock_try(lock), 1))
        return;
    for (int i = 0; i < GM_LOCK_SPINS; i++) {
        __builtin_ia32_pause();
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 && gm_lock_try(lock))
            return;
    }
    /* acquire: as above */
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        gm_sys4(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, GM_LOCK_PATIENCE);
}

static inline void gm_lock_release(struct gm_lock *lock)
{
    gm_rank_given(lock->rank);
    /* release: pairs with the acquire in gm_lock_try */
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        gm_sys3(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
}

#endif
