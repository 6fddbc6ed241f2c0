/* drain.h - moves words from the shared rings of one session into private memory.
 *
 *   shared ring  [ tail .. head )  --at most two memcpys-->  struct gm_reader
 *
 * Nothing is decoded here and nothing is read twice: what the target can still change is copied
 * first and judged afterwards. A head that cannot be true is counted as corrupt and the ring goes
 * on from there.
 *
 * The watermark (schemas/wire.h, Order): the recorder reads its clock as T before it looks at any
 * ring. A ring seen idle after that, and then drained up to its head, has given all it has from
 * before T. One that stays busy holds the watermark back, but no longer than `stall`: a thread may
 * have been stopped there.
 *
 * Stands between the session and decode.
 */
#ifndef GM_COLLECTOR_DRAIN_H
#define GM_COLLECTOR_DRAIN_H

#include <stdint.h>

#include "collector/decode.h"
#include "collector/session.h"

struct gm_drain_ring {
    uint64_t tail;    /* words taken in */
    uint64_t clear;   /* everything from before this reading of the clock is in */
    uint64_t dropped; /* counter of the target when last read */
    uint32_t idle_rounds;
};

struct gm_drain {
    struct gm_shared_session session; /* owned */
    struct gm_reader_group group;     /* one reader per ring; owner is for the caller */
    struct gm_drain_ring *rings;
    uint64_t lost_unringed, cut_stacks, verified, differing, sample_ticks;
    uint64_t drained_words; /* since the beginning */
};

struct gm_drain_round {
    uint64_t watermark;  /* events with smaller stamps are all in */
    uint64_t left_words; /* private copies not told on yet */
    uint64_t new_words;
    double fill; /* of the fullest ring, 0..1 */
    /* Differences since the last round. */
    uint64_t dropped, lost_unringed, cut_stacks, corrupt, backward;
    uint64_t verified,
        differing;         /* captures compared under --verify, and those that were not the same */
    uint64_t sample_ticks; /* spent on sampled blocks */
};

/* Takes over *session (sets its mapping to NULL there). `now`: no event of it is older. -ENOMEM. */
int gm_drain_init(struct gm_drain *drain, struct gm_shared_session *session, uint64_t now);
void gm_drain_done(struct gm_drain *drain);

/* One round, with the clock read as `now` before. */
void gm_drain_run(
    struct gm_drain *drain, uint64_t now, uint64_t stall_ticks, struct gm_drain_round *ret_round);

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
