/* session.h - makes the shared memory of one process image (schemas/wire.h), and reads its clock.
 *
 * A session is a memfd: sized, filled with memory, sealed against shrinking, growing and further
 * seals, then mapped, all before the target sees it. So neither a target that truncates it nor a
 * full tmpfs can take the recorder (or the target) down with SIGBUS.
 *
 * Stands first in the recorder: doorman -> session -> drain.
 */
#ifndef GM_COLLECTOR_SESSION_H
#define GM_COLLECTOR_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "schemas/wire.h"

enum gm_session_size {
    GM_SESSION_LARGE,  /* the first process image, and later images of the same process */
    GM_SESSION_MEDIUM, /* other processes */
    GM_SESSION_SMALL,  /* once the living sessions hold more than budget_bytes */
};
#define GM_SESSION_SIZES 3

/* The own rings of a session of one size; the GM_SHARED_RINGS come on top. */
struct gm_session_shape {
    uint32_t ring_count;
    uint32_t ring_bytes; /* rounded up to a power of two, 4 KiB .. 1 GiB */
};

struct gm_session_options {
    struct gm_session_shape shape[GM_SESSION_SIZES]; /* by enum gm_session_size */
    uint64_t
        budget_bytes;  /* above this sum of living sessions new ones are small; default 512 MiB */
    bool drop_on_full; /* drop events at once when a ring is full */
    uint32_t full_wait_ms;     /* else wait for room so long at most; default 2000 */
    bool follow;               /* record forked children and executed programs; default true */
    enum gm_unwinder unwinder; /* default GM_UNWIND_CFI */
    uint32_t depth_leaf;       /* frames kept of a deep stack, default 384 at the leaf end ... */
    uint32_t depth_root;       /* ... and 128 at the root end */
    bool verify;               /* targets capture each stack twice */
    bool events_all;           /* targets ship each event by itself */
    enum gm_clock clock;       /* default: gm_session_best_clock() */
    uint64_t ticks_per_ms;     /* of that clock, about; 0: targets take a guess */
    uint64_t sample_bytes;     /* mean distance of sample points, a power of two; 0: every event */
    uint64_t sample_seed;      /* the doorman gives each session another one after it */
};
/* Fills in the defaults. */
void gm_session_options_init(struct gm_session_options *options);

/* The time stamp counter where the processor says it is invariant and the kernel trusts it, else
 * CLOCK_MONOTONIC. */
enum gm_clock gm_session_best_clock(void);
const char *gm_clock_name(enum gm_clock clock);          /* "tsc", "monotonic" */
const char *gm_unwinder_name(enum gm_unwinder unwinder); /* "cfi", "libunwind", "fp" */

/* One reading, as a target would stamp it, not yet cut to GM_STAMP_BITS. */
uint64_t gm_clock_read(enum gm_clock clock);

struct gm_shared_session {
    struct gm_session *header; /* start of the mapping, shared with the target */
    size_t bytes;
    /* Constants again, in private memory: what the recorder goes by, as the target may write to the
     * header. */
    uint64_t session_id;
    uint32_t ring_count; /* with the shared ones */
    uint32_t ring_words;
    size_t ring_data_offset;
    enum gm_clock clock;
    enum gm_session_size size;
    uint64_t sample_bytes, sample_seed;
};

/* Makes a session of `size`, or a smaller one where memory is short. On success the mapping is in
 * *ret (undo with gm_session_done) and the descriptor to hand over in *ret_fd, owned by the caller.
 * Fails with -ENOSPC, -ENOMEM, -EMFILE, -ENFILE or what else the kernel said. Thread-safe. */
int gm_session_make(const struct gm_session_options *options, enum gm_session_size size,
    struct gm_shared_session *ret, int *ret_fd);

/* What the memfds of the recorder with this pid are called: how a process is known by its mappings. */
#define GM_SESSION_NAME_ROOM 32
void gm_session_memfd_name(pid_t recorder_pid, char ret_name[GM_SESSION_NAME_ROOM]);

/* Unmaps; idempotent. */
void gm_session_done(struct gm_shared_session *session);

static inline struct gm_ring *gm_session_ring(
    const struct gm_shared_session *session, uint32_t ring)
{
    return (struct gm_ring *)((char *)session->header + GM_SESSION_HEADER_BYTES) + ring;
}
static inline const uint64_t *gm_session_ring_data(
    const struct gm_shared_session *session, uint32_t ring)
{
    return (const uint64_t *)((const char *)session->header + session->ring_data_offset) +
           (size_t)ring * session->ring_words;
}

#endif
