/* recorder.h - the recorder as main.c sees it: one object, one loop.
 *
 *   doorman ─▶ sessions ─▶ drain ─▶ decode ─▶ order ─▶ live set ─▶ roll-up ─▶ batch ─▶ store
 *   (thread)   └──────────────────── main thread, gm_recorder_step ──────────────────┘ (thread)
 *
 * Order of calls:
 *  1. gm_recorder_create: makes the socket; no thread yet, so the caller may fork afterwards
 *  2. fork the program with GM_ENV_SESSION=gm_recorder_socket(r), held back before execve
 *  3. open the store (its name may want the pid), gm_recorder_start: the doorman thread
 *  4. let the program execute; gm_recorder_step again and again, until the caller has seen enough
 *  5. gm_recorder_finish: last drain, last batches
 *  6. gm_store_close
 *  7. gm_recorder_free: takes NULL; removes the socket and its folder
 *
 * All functions are for the one thread that created the recorder. None prints.
 */
#ifndef GM_COLLECTOR_RECORDER_H
#define GM_COLLECTOR_RECORDER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/session.h"
#include "collector/store.h"

struct gm_recorder;

struct gm_recorder_options {
    struct gm_session_options session; /* what each target's session looks like; see session.h */
    int64_t start_mono_ns; /* CLOCK_MONOTONIC that is time 0 of the file; 0: now. Read it
                              together with gm_store_run.start_utc_ns. */
    double
        sample_budget; /* share of the targets' CPU time; 0: sampling intervals stay as they are */
};
/* Fills in the defaults. */
void gm_recorder_options_init(struct gm_recorder_options *options);

/* Ages in bytes at which a block enters generations 1, 2 and 3: for gm_store_run.g_age_bytes. */
extern const uint64_t gm_generation_age_bytes[GM_GENERATIONS - 1];

/* Makes the socket, 0600 in a new 0700 folder under $XDG_RUNTIME_DIR or /tmp (as root: 0666, with a name
 * that cannot be guessed, in a 0711 folder under /tmp, for programs that give up root), and nothing else that
 * lasts. Descriptors are close-on-exec. Fails with the errno of what could not be had. */
int gm_recorder_create(
    const struct gm_recorder_options *options, struct gm_recorder **ret_recorder);
void gm_recorder_free(struct gm_recorder *recorder);

/* Path for GM_ENV_SESSION; lives as long as the recorder. */
const char *gm_recorder_socket(const struct gm_recorder *recorder);

/* Takes the store to write to (borrowed until gm_recorder_finish; NULL: figures are kept, nothing
 * is written) and the process that is the program itself: its image is the root process, and what
 * gm_recorder_child_ended says of it becomes the run's exit status. 0: the first that calls. */
int gm_recorder_start(struct gm_recorder *recorder, struct gm_store *store, pid_t root_pid);

/* One round: take in new processes, drain and order the rings, roll up, hand a batch to the store
 * when one is due and the store is ready; then sleep for the drain interval (a few ms), or less
 * when one of the caller's descriptors is ready: their revents are set as by poll(2), also without
 * events (then 0). Never blocks on the store while rings fill, but for the one case where the
 * roll-up has no room left. Returns 0; or, each time from then on, the negative errno of a store
 * that has failed for good (gm_store_message has the words): the caller then says so, calls
 * gm_recorder_stop and may leave. -ENOMEM: the recorder itself ran out of memory; the same holds.
 */
int gm_recorder_step(struct gm_recorder *recorder, struct pollfd *fds, size_t fd_count);

/* The caller reaped a child of its own: waitpid's status. To be called before or after the recorder
 * has noticed the end by itself; without it the way a process ended is known only as far as the
 * process said so, or the kernel tells. */
void gm_recorder_child_ended(struct gm_recorder *recorder, pid_t pid, int wait_status);

/* A named moment, set from outside; text is copied. */
void gm_recorder_mark(struct gm_recorder *recorder, const char *text);

/* Ends recording: tells all targets to write no more, and turns newcomers away. They run on. */
void gm_recorder_stop(struct gm_recorder *recorder);

struct gm_recorder_figures {
    uint32_t processes_seen;    /* process images recorded so far */
    uint32_t processes_living;  /* of these, still running */
    uint32_t processes_refused; /* images that run unrecorded for want of memory or descriptors */
    uint32_t bad_hellos;        /* connections that were not a target of ours */
    bool door_idle;             /* no process is about to enter */
    bool root_seen;             /* the program itself has connected */
    bool root_ended;            /* its last image has ended and is drained */
    uint64_t events;            /* alloc, free and realloc records taken in */
    uint64_t lost_events, corrupt_records, late_events;
    uint64_t allocs, frees, alloc_bytes;
    uint64_t live_bytes, live_blocks;         /* of the living processes together */
    uint64_t end_live_bytes, end_live_blocks; /* sum over all processes, as at the end of each */
    uint64_t peak_bytes, peak_blocks;         /* all processes together */
    int64_t duration_ns;
    double ring_fill;                               /* fullest ring in the last round, 0..1 */
    uint64_t verified_captures, differing_captures; /* with struct gm_session_options.verify */
    /* With struct gm_session_options.sample_bytes, where figures of blocks and bytes are estimates. */
    uint64_t samples, sample_min_bytes, sample_max_bytes;
    double live_bytes_variance, end_live_bytes_variance, peak_bytes_variance;
    double sample_share; /* of the targets' CPU time that recording took; < 0: not measured */
};
/* Cheap. */
void gm_recorder_figures(
    const struct gm_recorder *recorder, struct gm_recorder_figures *ret_figures);

/* Drains what is left, counts processes that still run as running (end_ns -1), hands the last
 * batches to the store, waiting for it. Returns 0 or the store's first error. The store is not
 * touched afterwards. */
int gm_recorder_finish(struct gm_recorder *recorder);

#endif
