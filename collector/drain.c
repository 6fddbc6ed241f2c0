/* drain.c - see drain.h. */
#include "collector/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_ROUNDS_TRIM 256u /* about a second: after it an empty reader gives its memory back */

int gm_drain_init(struct gm_drain *drain, struct gm_shared_session *session, uint64_t now)
{
    uint32_t n = session->ring_count;
    memset(drain, 0, sizeof *drain);
    drain->rings = calloc(n, sizeof *drain->rings);
    drain->group.readers = calloc(n, sizeof *drain->group.readers);
    if (!drain->rings || !drain->group.readers) {
        gm_drain_done(drain);
        return -ENOMEM;
    }
    drain->group.count = n;
    for (uint32_t i = 0; i < n; i++) {
        drain->rings[i].clear = now;
        drain->group.readers[i].group = &drain->group;
        drain->group.readers[i].index = i;
    }
    drain->session = *session;
    session->header = NULL;
    return 0;
}

void gm_drain_done(struct gm_drain *drain)
{
    for (uint32_t i = 0; i < drain->group.count; i++)
        gm_reader_done(&drain->group.readers[i]);
    free(drain->group.readers);
    free(drain->rings);
    gm_session_done(&drain->session);
    memset(drain, 0, sizeof *drain);
}

void gm_drain_unmap(struct gm_drain *drain)
{
    gm_session_done(&drain->session);
}

void gm_drain_beat(struct gm_drain *drain)
{
    if (drain->session.header)
        /* relaxed: only ever compared with itself */
        atomic_fetch_add_explicit(&drain->session.header->heartbeat, 1, memory_order_relaxed);
}

void gm_drain_stop(struct gm_drain *drain)
{
    if (drain->session.header)
        /* relaxed: the target may see it late */
        atomic_store_explicit(&drain->session.header->stop, 1, memory_order_relaxed);
}

void gm_drain_sample(struct gm_drain *drain, uint32_t interval_log2)
{
    if (drain->session.header)
        /* relaxed: the target may see it late */
        atomic_store_explicit(
            &drain->session.header->sample_log2, interval_log2, memory_order_relaxed);
}

/* Counters only ever go up; one that does not is the target's own loss. */
static uint64_t counter_step(uint64_t *last, uint64_t now)
{
    uint64_t step = now > *last ? now - *last : 0;
    *last = now;
    return step;
}

/* Copies `count` words; false without memory, and then they stay where they are. A ring that is busy each time
 * one looks, as a shared one may be whose owner waits for a processor, is known up to its newest record. */
static bool ring_copy(struct gm_drain *drain, uint32_t i, uint64_t count, uint64_t now, bool busy)
{
    const struct gm_shared_session *s = &drain->session;
    const uint64_t *data = gm_session_ring_data(s, i);
    uint64_t *to = gm_reader_reserve(&drain->group.readers[i], count);
    if (!to)
        return false;
    uint64_t at = drain->rings[i].tail & (s->ring_words - 1);
    uint64_t first = s->ring_words - at < count ? s->ring_words - at : count;
    memcpy(to, data + at, first * 8);
    memcpy(to + first, data, (count - first) * 8);
    size_t from = (size_t)(to - drain->group.readers[i].words);
    gm_reader_commit(&drain->group.readers[i], count, now);
    uint64_t newest = busy ? gm_reader_newest(&drain->group.readers[i], from) : 0;
    if (newest > drain->rings[i].clear && newest <= now)
        drain->rings[i].clear = newest;
    return true;
}

/* Returns the ring's fill, 0..1. */
static double ring_take(struct gm_drain *drain, uint32_t i, uint64_t head, uint64_t now, bool busy,
    struct gm_drain_round *round)
{
    struct gm_drain_ring *ring = &drain->rings[i];
    uint64_t count = head - ring->tail;
    if (count == 0)
        return 0;
    if (count > drain->session.ring_words) {
        round->corrupt++;
        ring->tail = head;
    } else if (ring_copy(drain, i, count, now, busy)) {
        ring->tail = head;
        round->new_words += count;
    }
    /* release: pairs with the acquire in gm_producer_has_room; our reads of the words are over */
    atomic_store_explicit(
        &gm_session_ring(&drain->session, i)->tail, ring->tail, memory_order_release);
    return count > drain->session.ring_words ? 1 : (double)count / drain->session.ring_words;
}

static void ring_drain(
    struct gm_drain *drain, uint32_t i, uint64_t now, struct gm_drain_round *round)
{
    struct gm_ring *shared = gm_session_ring(&drain->session, i);
    struct gm_drain_ring *ring = &drain->rings[i];
    /* acquire, and before head: pairs with the release in gm_producer_idle. Idle here means that
     * head, read next, covers every stamp taken before this moment. */
    uint32_t busy = atomic_load_explicit(&shared->busy, memory_order_acquire);
    /* acquire: pairs with the release in gm_producer_publish */
    uint64_t head = atomic_load_explicit(&shared->head, memory_order_acquire);
    double fill = ring_take(drain, i, head, now, busy, round);
    if (!busy && ring->tail == head)
        ring->clear = now;
    if (fill > round->fill)
        round->fill = fill;
    /* relaxed: a figure */
    uint64_t dropped = atomic_load_explicit(&shared->dropped, memory_order_relaxed);
    round->dropped += counter_step(&ring->dropped, dropped);
}

/* What the reader knows, whether or not the ring is still mapped. */
static void reader_report(struct gm_drain *drain, uint32_t i, struct gm_drain_round *round)
{
    struct gm_reader *reader = &drain->group.readers[i];
    struct gm_drain_ring *ring = &drain->rings[i];
    size_t left = gm_reader_left(reader);
    round->left_words += left;
    round->corrupt += reader->corrupt;
    round->backward += reader->backward;
    reader->corrupt = reader->backward = 0;
    ring->idle_rounds = left ? 0 : ring->idle_rounds + 1;
    if (ring->idle_rounds == IDLE_ROUNDS_TRIM)
        gm_reader_done(reader);
}

static void drain_read_header(struct gm_drain *drain, struct gm_drain_round *round)
{
    struct gm_session *h = drain->session.header;
    /* relaxed, all: figures */
    uint64_t lost = atomic_load_explicit(&h->lost_unringed, memory_order_relaxed);
    uint64_t cut = atomic_load_explicit(&h->cut_stacks, memory_order_relaxed);
    round->lost_unringed = counter_step(&drain->lost_unringed, lost);
    round->cut_stacks = counter_step(&drain->cut_stacks, cut);
    round->verified = counter_step(
        &drain->verified, atomic_load_explicit(&h->verify_captures, memory_order_relaxed));
    round->sample_ticks = counter_step(
        &drain->sample_ticks, atomic_load_explicit(&h->sample_ticks, memory_order_relaxed));
    round->differing = counter_step(
        &drain->differing, atomic_load_explicit(&h->verify_differences, memory_order_relaxed));
}

void gm_drain_run(
    struct gm_drain *drain, uint64_t now, uint64_t stall_ticks, struct gm_drain_round *ret_round)
{
    struct gm_drain_round round = {.watermark = now};
    for (uint32_t i = 0; i < drain->group.count; i++) {
        if (drain->session.header) {
            ring_drain(drain, i, now, &round);
            uint64_t clear = drain->rings[i].clear;
            if (clear < round.watermark && now - clear <= stall_ticks)
                round.watermark = clear;
        }
        reader_report(drain, i, &round);
    }
    if (drain->session.header)
        drain_read_header(drain, &round);
    drain->drained_words += round.new_words;
    *ret_round = round;
}

void gm_drain_report(struct gm_drain *drain, struct gm_drain_round *ret_round)
{
    struct gm_drain_round round = {0};
    for (uint32_t i = 0; i < drain->group.count; i++)
        reader_report(drain, i, &round);
    *ret_round = round;
}
