/* ring.h - the producer's side of a ring: what a thread of the target does to hand over records.
 *
 *      tail            head                    A group (dictionary records and the event that needs them) is
 *       |  published    |  being written       reserved as a whole, written word by word, then published by
 *   ....[###############|========>.........    one store of head. The consumer never sees half a group.
 *
 * Rules: one producer at a time; the producer trusts nothing in the shared header but `tail`, and that
 * only within head - ring_words <= tail <= head (anything else means "full"). All functions are
 * async-signal-safe and neither lock nor allocate.
 */
#ifndef GM_RING_RING_H
#define GM_RING_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/wire.h"

struct gm_producer {
    struct gm_ring *ring;
    uint64_t *data;
    uint64_t words; /* capacity, a power of two */
    uint64_t head;  /* next word to write; equals ring->head between groups */
    uint64_t tail_seen;
    uint64_t asked; /* lines up to here have been asked for */
};

static inline void gm_producer_init(
    struct gm_producer *p, struct gm_session *s, uint32_t index, uint32_t ring_words)
{
    char *base = (char *)s;
    p->ring = (struct gm_ring *)(void *)(base + GM_SESSION_HEADER_BYTES) + index;
    p->data = (uint64_t *)(void *)(base + s->ring_data_offset + (uint64_t)index * ring_words * 8);
    p->words = ring_words;
    /* acquire: pairs with the release in gm_producer_publish of the thread that had the ring before */
    p->head = atomic_load_explicit(&p->ring->head, memory_order_acquire);
    p->tail_seen = p->head - p->words;
    p->asked = p->head;
}

/* True when n words fit. */
static inline bool gm_producer_has_room(struct gm_producer *p, uint64_t n)
{
    if (p->head + n - p->tail_seen <= p->words)
        return true;
    /* acquire: pairs with the consumer's release of tail; its reads of the old words are over */
    uint64_t tail = atomic_load_explicit(&p->ring->tail, memory_order_acquire);
    if (p->head - tail > p->words)
        return false; /* a tail that lies */
    p->tail_seen = tail;
    return p->head + n - tail <= p->words;
}

static inline void gm_producer_put(struct gm_producer *p, uint64_t word)
{
    p->data[p->head++ & (p->words - 1)] = word;
}

/* A record of four words, or of two. (One by one, head is stored and loaded for each.) */
static inline void gm_producer_put4(
    struct gm_producer *p, uint64_t word0, uint64_t word1, uint64_t word2, uint64_t word3)
{
    uint64_t head = p->head, mask = p->words - 1, *data = p->data;
    data[head & mask] = word0;
    data[(head + 1) & mask] = word1;
    data[(head + 2) & mask] = word2;
    data[(head + 3) & mask] = word3;
    p->head = head + 4;
}

static inline void gm_producer_put2(struct gm_producer *p, uint64_t word0, uint64_t word1)
{
    uint64_t head = p->head, mask = p->words - 1, *data = p->data;
    data[head & mask] = word0;
    data[(head + 1) & mask] = word1;
    p->head = head + 2;
}

/* The recorder's processor had the lines ahead last: not asked for in time, each costs a wait for it. (prefetchw is a
 * no-op on processors that do not have it.) */
#define GM_RING_AHEAD_WORDS \
    64u /* measured, bench/pair: 8 lines hide the wait, fewer do not always */

static inline void gm_producer_publish(struct gm_producer *p)
{
    uint64_t ahead = p->head + GM_RING_AHEAD_WORDS;
    if (ahead - p->asked > p->words)
        p->asked = ahead;
    for (; p->asked < ahead; p->asked += 8)
        __asm__ volatile("prefetchw %0" : : "m"(p->data[p->asked & (p->words - 1)]));
    /* release: the words before it; pairs with the acquire in the recorder's drain */
    atomic_store_explicit(&p->ring->head, p->head, memory_order_release);
}

/* Between these two a stamp may exist that is not yet published (see "Order" in wire.h). */
static inline void gm_producer_busy(struct gm_producer *p)
{
    /* The compiler must not sink this below the reading of the clock; on x86 the store itself is visible
     * within GM_ORDER_SLACK_NS, which is all the consumer relies on. */
    atomic_store_explicit(&p->ring->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void gm_producer_idle(struct gm_producer *p)
{
    /* release: pairs with the consumer's acquire of busy, which then sees the published head */
    atomic_store_explicit(&p->ring->busy, 0, memory_order_release);
}

#endif
