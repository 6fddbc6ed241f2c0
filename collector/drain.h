/* drain.h - moves words from the shared rings of one session into private memory.
 *
 *   shared ring  [ tail .. claim )  --at most two memcpys-->  struct gm_reader
 *                [ claim .. head )  the event nursery: left to the target for a while
 *
 * Nothing is decoded here and nothing is read twice: what the target can still change is copied
 * first and judged afterwards. A head that cannot be true is counted as corrupt and the ring goes
 * on from there.
 *
 * Taking words is done in two steps, at least GM_ORDER_SLACK_NS apart: the claim is raised, and once
 * the producer is seen not to be in the same fold as then, what lies below it is copied. How far the claim is raised
 * is up to the caller: `age_ticks` is how long a record may stay in the nursery.
 *
 * The watermark (schemas/wire.h, Order): the recorder reads its clock as T before it looks at any
 * ring. A ring seen idle after that, and then drained up to its head, has given all it has from
 * before T, or from before what clock_now was by then. So a head that was seen is kept with that
 * time, until the claim passes it. A ring that stays busy holds the watermark back, but no longer
 * than `stall`: a thread may have been stopped there.
 *
 * Stands between the session and decode.
 */
#ifndef GM_COLLECTOR_DRAIN_H
#define GM_COLLECTOR_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/decode.h"
#include "collector/session.h"

/* A head as it was seen: everything from before `clear` lies below it. */
struct gm_drain_head {
    uint64_t position, clear;
    uint64_t seen; /* reading of the clock */
};

#define GM_DRAIN_HEADS 16u

struct gm_drain_ring {
    uint64_t tail;              /* words taken in */
    uint64_t clear;             /* everything from before this reading of the clock is in */
    struct gm_drain_head claim; /* position > tail: waits to be taken */
    struct gm_drain_head heads[GM_DRAIN_HEADS]; /* seen since, oldest first */
    uint32_t head_count;
    uint32_t folding; /* odd: what it was when the claim was first to be taken in */
    uint32_t stuck;   /* rounds since clear last rose */
    uint64_t head;    /* as last seen */
    uint64_t dropped; /* counter of the target when last read */
    uint32_t idle_rounds;
};

/* How long records stay in the nursery, unless the rings fill up. Long enough for what a program
 * allocates for one request, short beside what a reader of the recording waits for; measured. */
#define GM_NURSERY_AGE_NS 64000000u

struct gm_drain {
    struct gm_shared_session session; /* owned */
    struct gm_reader_group group;     /* one reader per ring; owner is for the caller */
    struct gm_drain_ring *rings;
    uint64_t clock_now, clock_before; /* as last left in the session header, and before that */
    uint64_t lost_unringed, cut_stacks, verified, differing, sample_ticks;
    uint64_t drained_words; /* since the beginning */
};

struct gm_drain_round {
    uint64_t watermark;  /* events with smaller stamps are all in */
    uint64_t left_words; /* private copies not told on yet */
    uint64_t new_words;
    double fill;      /* of the fullest ring, 0..1 */
    double new_fill;  /* what has come to it since the last round, likewise */
    uint64_t waiting; /* words claimed and not taken in yet */
    /* Differences since the last round. */
    uint64_t dropped, lost_unringed, cut_stacks, corrupt, backward;
    uint64_t verified,
        differing;         /* captures compared under --verify, and those that were not the same */
    uint64_t sample_ticks; /* spent on sampled blocks */
};

/* Takes over *session (sets its mapping to NULL there). `now`: no event of it is older. -ENOMEM. */
int gm_drain_init(struct gm_drain *drain, struct gm_shared_session *session, uint64_t now);
void gm_drain_done(struct gm_drain *drain);

/* What a round is told. */
struct gm_drain_terms {
    uint64_t now;         /* reading of the clock before the round */
    uint64_t slack_ticks; /* GM_ORDER_SLACK_NS */
    uint64_t stall_ticks;
    uint64_t age_ticks; /* how long records stay in the nursery */
    bool last;          /* the target writes no more: all is taken in, in one step */
};
void gm_drain_run(
    struct gm_drain *drain, const struct gm_drain_terms *terms, struct gm_drain_round *ret_round);

/* What readers have found wrong since the last round: corrupt and backward, the rest 0. */
void gm_drain_report(struct gm_drain *drain, struct gm_drain_round *ret_round);

/* Gives the shared memory back; the private copies stay. */
void gm_drain_unmap(struct gm_drain *drain);

/* Tells the target that the recorder lives, or that it should write no more. */
void gm_drain_beat(struct gm_drain *drain);
void gm_drain_stop(struct gm_drain *drain);
/* The sampling interval from the next sample points on. */
void gm_drain_sample(struct gm_drain *drain, uint32_t interval_log2);

#endif
