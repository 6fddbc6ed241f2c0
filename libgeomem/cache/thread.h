/* thread.h - what a thread has of caches: counters of its own in each, and a ledger of the pins it holds.
 *
 * Counters are added up when somebody reads them. The ledger says where a pin was taken: a row is filled in when a pin is taken
 * and emptied when it is given back, so that what stands there for long is a pin that was forgotten. To read a clock each time would
 * cost as much as the rest: the thread's own slow paths, and whoever lists pins, write the second into rows that have none. Rows are found by the
 * slot's address, and where its four are full, anywhere; pins beyond the 64 of a thread are not recorded. A pin that another
 * thread gives back is looked for in all ledgers.
 *
 * The memory of a thread that has ended is used by the next, with counters and rows as they are.
 */
#ifndef GM_CACHE_THREAD_H
#define GM_CACHE_THREAD_H

#include "libgeomem/cache/cache.h"

struct gm_pin_row {
    _Atomic(struct gm_cache_slot *) slot; /* NULL: the row is free */
    /* Where it was taken: 48 bits of address; and 16 bits of the second it was first looked at, or 0: see gm_pin_second. */
    _Atomic uint64_t taken;
};
#define GM_PIN_SITE (((uint64_t)1 << 48) - 1)
/* Never 0. */
static inline uint64_t gm_pin_stamp(uint64_t now_s)
{
    return (now_s % 0xffffu + 1) << 48;
}
#define GM_PIN_LINE 4u
#define GM_PIN_LINES 16u

/* relaxed throughout: counts of one thread; who adds them up takes what there is. Pins may be negative: a thread may
 * give back what others took. */
struct gm_cache_thread {
    _Alignas(64) struct gm_thread *owner;
    struct gm_cache_thread *next; /* of the same cache */
    _Atomic uint64_t hits, hit_bytes, misses;
    _Atomic int64_t pins;
    uint32_t stripe; /* of the policies' */
    _Atomic uint64_t load_waits;
};

#define GM_THREAD_CACHES 16u
struct gm_thread {
    /* By the cache's number, modulo. */
    struct {
        uint64_t number;
        struct gm_cache_thread *counts;
    } cache[GM_THREAD_CACHES];
    _Alignas(64) struct gm_pin_row pin[GM_PIN_LINES][GM_PIN_LINE];
    _Atomic uint32_t second[GM_PIN_LINES * GM_PIN_LINE]; /* of the rows that were looked at */
    struct gm_thread *next;                              /* of all; set once */
    uint64_t number;                                     /* from 1 */
    bool is_free;                                        /* threads_lock of thread.c */
};

extern __thread struct gm_thread *gm_thread_self;

/* The calling thread's, made if need be. NULL: no memory. */
struct gm_thread *gm_thread_get(void);
/* The calling thread's counters of a cache; without memory, some that many threads share. */
struct gm_cache_thread *gm_cache_thread_slow(struct geomem_cache *cache);
static inline struct gm_cache_thread *gm_cache_thread(struct geomem_cache *cache)
{
    struct gm_thread *self = gm_thread_self;
    if (__builtin_expect(self != NULL, 1)) {
        uint32_t at = (uint32_t)cache->number % GM_THREAD_CACHES;
        if (__builtin_expect(self->cache[at].number == cache->number, 1))
            return self->cache[at].counts;
    }
    return gm_cache_thread_slow(cache);
}
/* The first of all threads; the list only grows. */
struct gm_thread *gm_thread_first(void);
/* Counters for threads without memory: 0 or -1, no memory. All of them go with the cache. */
int gm_cache_threads_init(struct geomem_cache *cache);
void gm_cache_threads_free(struct geomem_cache *cache);
void gm_threads_fork_prepare(void);
void gm_threads_fork_parent(void);
void gm_threads_fork_child(void);

static inline void gm_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}
static inline void gm_count_pins(_Atomic int64_t *counter, int64_t more)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

/* ---- the ledger ---- */

static inline uint32_t gm_pin_line(const struct gm_cache_slot *slot)
{
    return (uint32_t)(((uintptr_t)slot >> 4) * 0x9e3779b97f4a7c15u >> 60) % GM_PIN_LINES;
}
/* In one line: true, if `now` stood there and `then` does. */
static inline bool gm_pin_line_change(
    struct gm_pin_row *row, struct gm_cache_slot *now, struct gm_cache_slot *then, uint64_t taken)
{
    for (uint32_t i = 0; i < GM_PIN_LINE; i++, row++)
        if (atomic_load_explicit(&row->slot, memory_order_relaxed) == now) {
            if (then)
                atomic_store_explicit(&row->taken, taken, memory_order_relaxed);
            atomic_store_explicit(&row->slot, then, memory_order_relaxed);
            return true;
        }
    return false;
}
/* The slot's own line is full, or does not have it: any other; then other threads'. */
void gm_pin_record_elsewhere(struct gm_thread *self, struct gm_cache_slot *slot, uint64_t taken);
void gm_pin_forget_elsewhere(struct gm_thread *self, struct gm_cache_slot *slot);

/* Rows without a second get this one. */
void gm_pins_stamp(struct gm_thread *thread, uint64_t now_s);
/* The second that a row was first looked at, `taken` being what was just read of it. */
uint64_t gm_pin_second(const struct gm_thread *thread, uint32_t row, uint64_t taken);

static inline void gm_pin_record(
    struct gm_thread *self, struct gm_cache_slot *slot, const void *site)
{
    uint64_t taken = (uintptr_t)site;
    if (!gm_pin_line_change(self->pin[gm_pin_line(slot)], NULL, slot, taken))
        gm_pin_record_elsewhere(self, slot, taken);
}
static inline void gm_pin_forget(struct gm_thread *self, struct gm_cache_slot *slot)
{
    if (!gm_pin_line_change(self->pin[gm_pin_line(slot)], slot, NULL, 0))
        gm_pin_forget_elsewhere(self, slot);
}

#endif
