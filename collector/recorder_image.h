/* recorder_image.h - the process images the recorder knows: who they are, whose children, how they
 * end.
 *
 *   LIVING ──(pidfd readable, or the same process says hello again: exec)──▶ DYING: drained a last
 * time, its rings no longer hold the watermark back ──(all told)──▶ GONE: for some seconds a better
 * account of how it ended is taken, then it is forgotten
 *
 * Stands between doorman and drain; owned by the recorder.
 */
#ifndef GM_COLLECTOR_RECORDER_IMAGE_H
#define GM_COLLECTOR_RECORDER_IMAGE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "collector/budget.h"
#include "collector/doorman.h"
#include "collector/drain.h"
#include "collector/rollup.h"

enum gm_image_state { GM_IMAGE_LIVING, GM_IMAGE_DYING, GM_IMAGE_GONE };

struct gm_image {
    struct gm_drain drain;
    struct gm_process *process; /* the roll-up's */
    struct gm_doorman *doorman; /* keeps count of session memory */
    enum gm_image_state state;
    bool replaced;           /* by another image of the same process */
    uint64_t replaced_stamp; /* session clock when that one knocked: nothing here is from later */
    bool drained_last;       /* after its process was seen to be dead */
    bool has_status;
    int status;        /* as of waitpid */
    uint32_t end_kind; /* of the session header, when last drained */
    int32_t end_value;
    int pidfd;
    pid_t pid;
    uint64_t start_ticks; /* tells the process from a later one with the same pid */
    uint64_t session_id;
    int64_t gone_mono_ns;
    bool polled; /* it is in the last poll set */
    /* Sampled: what it cost, now and when the interval was last decided on. */
    struct gm_budget_reading cost, cost_decided;
    uint64_t cpu_ns;
    uint64_t cpu_before_ns; /* of its process: of images before it, and before it was let in */
    uint64_t sampled_ticks;
    uint32_t sample_log2; /* 0: every event is recorded */
};

struct gm_images {
    struct gm_rollup *rollup;
    struct gm_doorman *doorman;
    struct gm_image **v; /* by arrival */
    size_t count, room;
    pid_t root_pid;           /* 0: whoever comes first */
    uint32_t root_process_id; /* the first image of root_pid; 0: not seen yet */
    /* Sampled: */
    double ns_per_tick;            /* of the session clock */
    double budget;                 /* share of the targets' CPU time; 0: the interval stays */
    struct gm_budget_reading cost; /* of all images */
    uint64_t sample_min_bytes, sample_max_bytes; /* intervals so far; 0: none yet */
};

void gm_images_init(struct gm_images *images, struct gm_rollup *rollup, struct gm_doorman *doorman);
void gm_images_done(struct gm_images *images);

/* Makes an image of the newcomer, which it frees in any case. */
int gm_images_add(struct gm_images *images, struct gm_newcomer *newcomer, int64_t ns);

/* Drains, beats, and passes losses on to the roll-up. */
void gm_image_drain(
    struct gm_image *image, const struct gm_drain_terms *terms, struct gm_drain_round *ret_round);
/* All that a DYING image left behind has been told. */
bool gm_image_is_told(const struct gm_image *image);
/* Passes on what decoding has found wrong since the last drain. */
void gm_image_report(struct gm_image *image);
/* DYING to GONE. */
void gm_image_end(struct gm_image *image, int64_t ns);

/* Writes one pollfd per image that may end, returns how many. */
size_t gm_images_poll_set(struct gm_images *images, struct pollfd *ret_polled);
void gm_images_poll_seen(struct gm_images *images, const struct pollfd *polled);
void gm_images_poll_now(struct gm_images *images);

void gm_images_child_ended(struct gm_images *images, pid_t pid, int wait_status);
/* Takes note of what sampling costs, and decides on intervals where there is a budget. After a drain. */
void gm_images_watch_cost(struct gm_images *images);
void gm_images_read_rss(struct gm_images *images, long page_bytes);
/* Tells all targets that the recorder lives. */
void gm_images_beat(struct gm_images *images);
void gm_images_stop(struct gm_images *images);
/* Frees images that are gone and of which nothing more will be known. Right after a commit. */
void gm_images_forget_gone(struct gm_images *images);

bool gm_images_any_dying(const struct gm_images *images);
uint32_t gm_images_living(const struct gm_images *images);
/* The root process was seen, and no image of it lives. */
bool gm_images_root_ended(const struct gm_images *images);

#endif
