/* drain.c - see drain.h. */
#include "collector/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STUCK_ROUNDS 16u      /* arbitrary; a claim takes two or three */
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
    drain->clock_now = drain->clock_before = now;
    for (uint32_t i = 0; i < n; i++) {
        drain->rings[i].clear = now;
        drain->group.readers[i].group = &drain->group;
        drain->group.readers[i].index = i;
        drain->group.readers[i].ring_words = session->ring_words;
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

/* Copies `count` words; false without memory, and then they stay where they are. */
static bool ring_copy(struct gm_drain *drain, uint32_t i, uint64_t count, uint64_t now)
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
    /* A ring that was busy each time one looked, as a shared one may be whose owner waits for a processor, is known
     * up to its newest record. */
    uint64_t newest =
        drain->rings[i].claim.clear ? 0 : gm_reader_newest(&drain->group.readers[i], from);
    if (newest > drain->rings[i].clear && newest <= now)
        drain->rings[i].clear = newest;
    return true;
}

/* Nothing changes any more below the claim. A producer that folds all the time is seen between two folds by
 * their count. */
static bool ring_is_settled(struct gm_drain *drain, uint32_t i, const struct gm_drain_terms *terms)
{
    struct gm_drain_ring *ring = &drain->rings[i];
    if (terms->last)
        return true;
    if (terms->now - ring->claim.seen < terms->slack_ticks)
        return false;
    /* acquire: pairs with the release in gm_nursery_fold; the words it wrote are visible */
    uint32_t folding =
        atomic_load_explicit(&gm_session_ring(&drain->session, i)->folding, memory_order_acquire);
    bool settled = folding % 2 == 0 || (ring->folding % 2 == 1 && folding != ring->folding);
    ring->folding = settled ? 0 : folding;
    return settled;
}

/* The second step: what was claimed is copied. */
static void ring_take(struct gm_drain *drain, uint32_t i, const struct gm_drain_terms *terms,
    struct gm_drain_round *round)
{
    struct gm_drain_ring *ring = &drain->rings[i];
    uint64_t count = ring->claim.position - ring->tail;
    if (count > 0) {
        if (!ring_is_settled(drain, i, terms) || !ring_copy(drain, i, count, terms->now))
            return;
        ring->tail = ring->claim.position;
        round->new_words += count;
        /* release: pairs with the acquire in gm_producer_has_room; our reads of the words are over */
        atomic_store_explicit(
            &gm_session_ring(&drain->session, i)->tail, ring->tail, memory_order_release);
    }
    if (ring->claim.clear > ring->clear)
        ring->clear = ring->claim.clear;
}

/* The head and what it is known to cover. One that cannot be true is corrupt; the ring goes on from there. */
static struct gm_drain_head ring_look(struct gm_drain *drain, uint32_t i,
    const struct gm_drain_terms *terms, struct gm_drain_round *round)
{
    struct gm_ring *shared = gm_session_ring(&drain->session, i);
    struct gm_drain_ring *ring = &drain->rings[i];
    /* acquire, and before head: pairs with the release in gm_producer_idle. Idle here means that
     * head, read next, covers every stamp taken before this moment. */
    uint32_t busy = atomic_load_explicit(&shared->busy, memory_order_acquire);
    /* acquire: pairs with the release in gm_producer_publish */
    uint64_t head = atomic_load_explicit(&shared->head, memory_order_acquire);
    /* One that went back, too: what was kept of the heads seen must not decrease. */
    if (head - ring->tail > drain->session.ring_words || head < ring->head) {
        round->corrupt++;
        ring->tail = ring->claim.position = ring->head = head;
        ring->head_count = 0;
        atomic_store_explicit(&shared->tail, head, memory_order_release);
    }
    double fresh = (double)(head - ring->head) / drain->session.ring_words;
    double fill = (double)(head - ring->tail) / drain->session.ring_words;
    ring->head = head;
    if (fresh > round->new_fill)
        round->new_fill = fresh;
    if (fill > round->fill)
        round->fill = fill;
    return (struct gm_drain_head){.position = head,
        .clear = busy && !terms->last ? 0 : drain->clock_before,
        .seen = terms->now};
}

/* Takes heads[0 .. n) off; the claim is then the last of them, and clear of what each of them is. */
static void ring_pop_heads(struct gm_drain_ring *ring, uint32_t n)
{
    ring->claim.clear = 0;
    for (uint32_t i = 0; i < n; i++) {
        ring->claim.position = ring->heads[i].position;
        if (ring->heads[i].clear > ring->claim.clear)
            ring->claim.clear = ring->heads[i].clear;
    }
    ring->head_count -= n;
    memmove(ring->heads, ring->heads + n, ring->head_count * sizeof ring->heads[0]);
}

/* Keeps a head for the time when it will be old enough. With no place left the newest makes room: old ones
 * must get older. */
static void ring_push_head(struct gm_drain_ring *ring, const struct gm_drain_head *head,
    const struct gm_drain_terms *terms)
{
    uint64_t apart = terms->age_ticks / (GM_DRAIN_HEADS - 2);
    if (ring->head_count > 1 && head->seen - ring->heads[ring->head_count - 2].seen < apart)
        ring->head_count--;
    if (ring->head_count == GM_DRAIN_HEADS)
        ring->head_count--;
    ring->heads[ring->head_count++] = *head;
}

/* The first step: raises the claim to the latest head that is old enough, or further where the ring fills up. */
static void ring_claim(struct gm_drain *drain, uint32_t i, const struct gm_drain_head *head,
    const struct gm_drain_terms *terms)
{
    struct gm_drain_ring *ring = &drain->rings[i];
    uint64_t waits = head->position - ring->tail, words = drain->session.ring_words;
    bool shared = i >= drain->group.count - GM_SHARED_RINGS;
    bool all = waits == 0 || shared || terms->last || waits > words / 2;
    uint32_t old = 0;
    ring_push_head(ring, head, terms);
    while (old + !all < ring->head_count &&
           (all || waits > words / 4 || terms->now - ring->heads[old].seen >= terms->age_ticks))
        old++;
    ring_pop_heads(ring, old);
    ring->claim.seen = terms->now;
    /* seq_cst: must be visible before the producer is next seen not to be folding; pairs with its load */
    atomic_store_explicit(
        &gm_session_ring(&drain->session, i)->claim, ring->claim.position, memory_order_seq_cst);
}

static void ring_drain(struct gm_drain *drain, uint32_t i, const struct gm_drain_terms *terms,
    struct gm_drain_round *round)
{
    struct gm_drain_ring *ring = &drain->rings[i];
    struct gm_drain_head head = ring_look(drain, i, terms, round);
    if (!terms->last)
        ring_take(drain, i, terms, round);
    if (terms->last || ring->tail == ring->claim.position)
        ring_claim(drain, i, &head, terms);
    if (terms->last || ring->tail == ring->claim.position)
        ring_take(drain, i, terms, round);
    round->waiting += ring->claim.position - ring->tail;
    /* relaxed: a figure */
    uint64_t dropped =
        atomic_load_explicit(&gm_session_ring(&drain->session, i)->dropped, memory_order_relaxed);
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

/* A ring that is stuck is passed over. It takes some rounds to tell it from a recorder that was slow itself. */
static void ring_hold_watermark(struct gm_drain_ring *ring, uint64_t clear_before,
    const struct gm_drain_terms *terms, struct gm_drain_round *round)
{
    ring->stuck = ring->clear > clear_before ? 0 : ring->stuck + 1;
    bool passed_over = ring->stuck > STUCK_ROUNDS && terms->now - ring->clear > terms->stall_ticks;
    if (ring->clear < round->watermark && !passed_over)
        round->watermark = ring->clear;
}

/* Leaves the clock where the target may take it from, once what it was before has been there for the slack. */
static void drain_leave_clock(struct gm_drain *drain, const struct gm_drain_terms *terms)
{
    if (terms->now - drain->clock_now < terms->slack_ticks)
        return;
    drain->clock_before = drain->clock_now;
    drain->clock_now = terms->now;
    /* relaxed: covered by the slack */
    atomic_store_explicit(
        &drain->session.header->clock_now, terms->now & GM_STAMP_MASK, memory_order_relaxed);
}

void gm_drain_run(
    struct gm_drain *drain, const struct gm_drain_terms *terms, struct gm_drain_round *ret_round)
{
    struct gm_drain_round round = {.watermark = terms->now};
    if (drain->session.header)
        drain_leave_clock(drain, terms);
    for (uint32_t i = 0; i < drain->group.count; i++) {
        if (drain->session.header) {
            uint64_t clear_before = drain->rings[i].clear;
            ring_drain(drain, i, terms, &round);
            ring_hold_watermark(&drain->rings[i], clear_before, terms, &round);
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
