/* recorder.c - the loop that ties the parts together; what it promises stands in recorder.h.
 *
 * A round:
 *   read the clock as T -> take in newcomers -> drain every session -> merge up to the watermark
 *   -> end images that have ended -> perhaps commit -> sleep
 *
 * Newcomers are taken in after T is read and are queued before they are welcomed, so a target that
 * is not in the list yet has no event from before T.
 */
#include "collector/recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/doorman.h"
#include "collector/drain.h"
#include "collector/order.h"
#include "collector/proc.h"
#include "collector/recorder_image.h"
#include "collector/rollup.h"
#include "collector/timebase.h"

#define COMMIT_NS 450000000ll /* at least twice a second, writing included; a slice of time each */
/* The first commits come sooner, each wait twice the one before: a short program's stacks are stored and named while
 * it runs, not after it. Arbitrary. */
#define COMMIT_FIRST_NS 20000000ll
#define REFINE_NS 500000000ll
#define STALL_NS 1000000000ull /* a ring that stays busy so long is passed over */
#define SKEW_NS 10000ull       /* processors' counters agree far better; arbitrary */
/* 256 MiB of private copies that wait; beyond, nothing is waited for. */
#define LEFT_WORDS_MAX (32u << 20)
#define LEFT_WORDS_MUCH (1u << 20) /* 8 MiB */
#define SLEEP_MS 4 /* polling every 50 us was seen to cost targets up to twice their time */
#define SLEEP_BUSY_MS 1
#define FILL_BUSY 0.15 /* of a ring in one round: look again sooner */
#define FILL_FULL 0.40 /* look again at once */

struct gm_recorder {
    struct gm_recorder_options options;
    struct gm_doorman *doorman;
    struct gm_store *store;
    struct gm_batch own, *batch;
    struct gm_timebase timebase;
    struct gm_order order;
    struct gm_rollup rollup;
    struct gm_images images;
    pid_t root_pid;
    int error;
    bool stopped;
    bool root_has_status; /* set by the caller before the image was known to have ended */
    int root_status;
    int64_t commit_wait_ns;       /* up to COMMIT_NS */
    int64_t commit_ns, refine_ns; /* CLOCK_MONOTONIC of the last */
    double fill, new_fill;
    uint64_t left_words;
    uint64_t verified, differing;
    long page_bytes;
    struct pollfd *polled;
    size_t polled_room;
};

void gm_recorder_options_init(struct gm_recorder_options *options)
{
    memset(options, 0, sizeof *options);
    gm_session_options_init(&options->session);
}

/* ---- commit ---- */

static void recorder_fail(struct gm_recorder *r, int error)
{
    if (!r->error)
        r->error = error;
}

/* The time up to which the batch is complete. */
static int64_t recorder_told_ns(const struct gm_recorder *r)
{
    int64_t ns = gm_timebase_convert(&r->timebase, r->order.watermark);
    return ns > r->timebase.last_ns ? ns : r->timebase.last_ns;
}

static double recorder_sample_share(const struct gm_recorder *r)
{
    return gm_budget_share(&(struct gm_budget_reading){0}, &r->images.cost);
}

static void recorder_commit(struct gm_recorder *r, int64_t end_ns)
{
    struct gm_batch *empty = NULL;
    r->commit_ns = gm_mono_ns();
    gm_images_read_rss(&r->images, r->page_bytes);
    r->rollup.run.late_events = r->order.late;
    r->rollup.run.sample_min_bytes = r->images.sample_min_bytes;
    r->rollup.run.sample_max_bytes = r->images.sample_max_bytes;
    r->rollup.run.sample_share = recorder_sample_share(r);
    if (gm_rollup_fill(&r->rollup, end_ns) < 0)
        recorder_fail(r, -ENOMEM);
    int error = r->store && !r->error ? gm_store_submit(r->store, r->batch, &empty) : 0;
    if (error < 0)
        recorder_fail(r, error);
    if (empty)
        r->batch = empty;
    gm_batch_clear(r->batch); /* after a failure too: figures go on, rows have nowhere to go */
    gm_rollup_use(&r->rollup, r->batch);
    gm_images_forget_gone(&r->images);
}

/* The roll-up has no room left: the one case in which rings fill while the store is waited for. Targets must
 * not take that for the recorder's death. */
static int recorder_flush(void *arg)
{
    struct gm_recorder *r = arg;
    while (r->store && !r->error && !gm_store_ready(r->store)) {
        gm_images_beat(&r->images);
        poll(NULL, 0, SLEEP_MS);
    }
    recorder_commit(
        r, r->timebase.last_ns); /* in the midst of a merge: the watermark is not reached */
    return 0;
}

static void recorder_commit_if_due(struct gm_recorder *r)
{
    if (gm_mono_ns() - r->commit_ns < r->commit_wait_ns)
        return;
    if (r->store && !r->error && !gm_store_ready(r->store))
        return;
    recorder_commit(r, recorder_told_ns(r));
    r->commit_wait_ns = r->commit_wait_ns < COMMIT_NS / 2 ? r->commit_wait_ns * 2 : COMMIT_NS;
}

/* ---- create, start, free ---- */

int gm_recorder_create(const struct gm_recorder_options *options, struct gm_recorder **ret_recorder)
{
    struct gm_recorder *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->options = *options;
    r->page_bytes = sysconf(_SC_PAGESIZE);
    r->batch = &r->own;
    gm_timebase_init(&r->timebase, options->session.clock, options->start_mono_ns);
    gm_rollup_init(&r->rollup, &r->timebase, r->batch);
    r->rollup.log_events = options->session.events_all;
    r->rollup.flush = recorder_flush;
    r->rollup.flush_arg = r;
    struct gm_order_sink sink = {.arg = &r->rollup, .event = gm_rollup_event};
    gm_order_init(&r->order, &sink, gm_timebase_ticks(&r->timebase, SKEW_NS));
    r->commit_ns = r->refine_ns = gm_mono_ns();
    r->commit_wait_ns = COMMIT_FIRST_NS;
    r->options.session.ticks_per_ms = gm_timebase_ticks(&r->timebase, 1000000);
    int error = gm_doorman_create(&r->options.session, &r->doorman);
    if (error < 0) {
        gm_recorder_free(r);
        return error;
    }
    gm_images_init(&r->images, &r->rollup, r->doorman);
    r->images.budget = options->sample_budget;
    r->images.ns_per_tick = 1e6 / (double)r->options.session.ticks_per_ms;
    *ret_recorder = r;
    return 0;
}

void gm_recorder_free(struct gm_recorder *r)
{
    if (!r)
        return;
    gm_images_done(&r->images);
    gm_doorman_free(r->doorman);
    gm_order_done(&r->order);
    gm_rollup_done(&r->rollup);
    gm_batch_done(&r->own);
    free(r->polled);
    free(r);
}

const char *gm_recorder_socket(const struct gm_recorder *r)
{
    return gm_doorman_path(r->doorman);
}

/* A descriptor per process is kept: a storm of children must not meet the usual soft limit of
 * 1,024. */
static void recorder_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int gm_recorder_start(struct gm_recorder *r, struct gm_store *store, pid_t root_pid)
{
    r->store = store;
    r->root_pid = root_pid;
    r->images.root_pid = root_pid;
    recorder_raise_descriptor_limit();
    return gm_doorman_start(r->doorman, root_pid);
}

/* ---- one round ---- */

static uint64_t recorder_now(const struct gm_recorder *r)
{
    return gm_clock_read(r->options.session.clock);
}

static void recorder_take_newcomers(struct gm_recorder *r)
{
    struct gm_newcomer *next = NULL;
    bool taken = false;
    for (struct gm_newcomer *n = gm_doorman_take(r->doorman); n; n = next) {
        next = n->next;
        int64_t ns = gm_timebase_convert(&r->timebase, n->stamp);
        int error = gm_images_add(&r->images, n, ns > 0 ? ns : 0);
        if (error < 0)
            recorder_fail(r, error);
        if (r->stopped)
            gm_images_stop(&r->images);
        taken = true;
    }
    /* The program may have lived and been reaped before its first image was taken in. A process that has
     * its number and lives is another one. */
    if (taken && r->root_has_status && r->root_pid && kill(r->root_pid, 0) < 0)
        gm_images_child_ended(&r->images, r->root_pid, r->root_status);
}

/* Where much comes in, or much waits to be told, records are not left in the nursery for longer than a round. */
static uint64_t recorder_nursery_age(const struct gm_recorder *r)
{
    bool pressed = r->new_fill > FILL_BUSY || r->left_words > LEFT_WORDS_MUCH;
    return pressed ? 0 : gm_timebase_ticks(&r->timebase, GM_NURSERY_AGE_NS);
}

/* Drains all; returns the watermark. */
static uint64_t recorder_drain(struct gm_recorder *r, uint64_t now, bool last)
{
    uint64_t watermark = now, slack = gm_timebase_ticks(&r->timebase, GM_ORDER_SLACK_NS);
    struct gm_drain_terms terms = {.now = now,
        .slack_ticks = slack,
        .stall_ticks = gm_timebase_ticks(&r->timebase, STALL_NS),
        .age_ticks = recorder_nursery_age(r),
        .last = last};
    r->fill = r->new_fill = 0;
    r->left_words = 0;
    r->rollup.round++;
    for (size_t i = 0; i < r->images.count; i++) {
        struct gm_image *image = r->images.v[i];
        struct gm_drain_round round;
        if (image->state == GM_IMAGE_GONE)
            continue;
        gm_image_drain(image, &terms, &round);
        if (image->state == GM_IMAGE_LIVING && round.watermark < watermark)
            watermark = round.watermark;
        if (round.fill > r->fill)
            r->fill = round.fill;
        if (round.new_fill > r->new_fill)
            r->new_fill = round.new_fill;
        r->left_words += round.left_words;
        r->order.late += round.backward;
        r->rollup.run.cut_stacks += round.cut_stacks;
        r->verified += round.verified;
        r->differing += round.differing;
    }
    return watermark - slack;
}

static void recorder_merge(struct gm_recorder *r, uint64_t watermark)
{
    for (size_t i = 0; i < r->images.count; i++) {
        struct gm_image *image = r->images.v[i];
        bool last = image->state == GM_IMAGE_DYING;
        for (uint32_t k = 0; image->state != GM_IMAGE_GONE && k < image->drain.group.count; k++)
            if (gm_order_add(&r->order, &image->drain.group.readers[k], last) < 0)
                recorder_fail(r, -ENOMEM);
    }
    gm_order_run(&r->order, watermark);
}

/* Images whose process is dead, or another image now, and whose words have all been told. */
static void recorder_end_images(struct gm_recorder *r)
{
    for (size_t i = 0; i < r->images.count; i++) {
        struct gm_image *image = r->images.v[i];
        if (image->state != GM_IMAGE_DYING || !gm_image_is_told(image))
            continue;
        int64_t ns = recorder_told_ns(r);
        gm_image_end(image, ns);
        /* What other processes do from here on is later than this end, in the file too. */
        r->timebase.last_ns = ns + 1;
    }
}

/* Merges and ends images. One that was replaced ends in its place: before its successor's events are told, even if both
 * were drained in one round, or the peak would hold the blocks of both. */
static void recorder_tell(struct gm_recorder *r, uint64_t watermark)
{
    for (size_t i = 0; i < r->images.count; i++) {
        struct gm_image *image = r->images.v[i];
        bool waits = image->replaced && image->state == GM_IMAGE_DYING;
        if (!waits || image->replaced_stamp > watermark)
            continue;
        recorder_merge(r, image->replaced_stamp - 1);
        recorder_end_images(r);
    }
    recorder_merge(r, watermark);
}

static void recorder_note_root_status(struct gm_recorder *r)
{
    struct gm_run_state *run = &r->rollup.run;
    run->root_process_id = r->images.root_process_id;
    if (!r->root_has_status || run->has_exit)
        return;
    run->has_exit = true;
    run->exit_signal = WIFSIGNALED(r->root_status) ? WTERMSIG(r->root_status) : 0;
    run->exit_status = run->exit_signal ? 128 + run->exit_signal : WEXITSTATUS(r->root_status);
}

static void recorder_round(struct gm_recorder *r)
{
    uint64_t now = recorder_now(r);
    recorder_take_newcomers(r);
    uint64_t watermark = recorder_drain(r, now, false);
    if (r->left_words <= LEFT_WORDS_MAX) {
        recorder_tell(r, watermark);
    } else {
        recorder_tell(r, UINT64_MAX); /* stamps from the future as well: they may be lies */
        r->order.watermark = now;
    }
    gm_images_watch_cost(&r->images);
    recorder_end_images(r);
    recorder_note_root_status(r);
    if (r->rollup.out_of_memory)
        recorder_fail(r, -ENOMEM);
    if (gm_mono_ns() - r->refine_ns >= REFINE_NS) {
        r->refine_ns = gm_mono_ns();
        gm_timebase_refine(&r->timebase);
    }
}

/* ---- sleeping ---- */

static int recorder_sleep_ms(const struct gm_recorder *r)
{
    if (r->fill > FILL_FULL || gm_images_any_dying(&r->images))
        return 0;
    return r->new_fill > FILL_BUSY ? SLEEP_BUSY_MS : SLEEP_MS;
}

static int recorder_reserve_polled(struct gm_recorder *r, size_t count)
{
    if (count <= r->polled_room)
        return 0;
    struct pollfd *polled = reallocarray(r->polled, count * 2, sizeof *polled);
    if (!polled)
        return -ENOMEM;
    r->polled = polled;
    r->polled_room = count * 2;
    return 0;
}

/* Sleeps until the time is up, a target knocks or dies, or one of the caller's descriptors is
 * ready. */
static void recorder_sleep(struct gm_recorder *r, struct pollfd *fds, size_t fd_count)
{
    size_t own = 1, total = fd_count + 1 + r->images.count;
    if (recorder_reserve_polled(r, total) < 0) {
        poll(fds, fd_count, SLEEP_MS);
        return;
    }
    r->polled[0] = (struct pollfd){.fd = gm_doorman_event_fd(r->doorman), .events = POLLIN};
    own += gm_images_poll_set(&r->images, r->polled + 1);
    for (size_t i = 0; i < fd_count; i++) {
        fds[i].revents = 0;
        r->polled[own + i] = fds[i];
    }
    if (poll(r->polled, own + fd_count, recorder_sleep_ms(r)) <= 0)
        return;
    for (size_t i = 0; i < fd_count; i++)
        fds[i].revents = r->polled[own + i].revents;
    gm_images_poll_seen(&r->images, r->polled + 1);
}

int gm_recorder_step(struct gm_recorder *r, struct pollfd *fds, size_t fd_count)
{
    recorder_round(r);
    recorder_commit_if_due(r);
    recorder_sleep(r, fds, fd_count);
    return r->error;
}

/* ---- the rest of the interface ---- */

void gm_recorder_child_ended(struct gm_recorder *r, pid_t pid, int wait_status)
{
    if (pid == r->root_pid || !r->root_pid) {
        r->root_has_status = true;
        r->root_status = wait_status;
    }
    gm_images_child_ended(&r->images, pid, wait_status);
}

void gm_recorder_mark(struct gm_recorder *r, const char *text)
{
    int64_t ns = gm_timebase_convert(&r->timebase, recorder_now(r));
    if (gm_rollup_mark(&r->rollup, NULL, ns, text, strlen(text)) < 0)
        recorder_fail(r, -ENOMEM);
}

void gm_recorder_stop(struct gm_recorder *r)
{
    r->stopped = true;
    gm_doorman_close(r->doorman);
    gm_images_stop(&r->images);
}

void gm_recorder_figures(const struct gm_recorder *r, struct gm_recorder_figures *ret_figures)
{
    const struct gm_run_state *run = &r->rollup.run;
    const struct gm_rollup_totals totals = gm_rollup_totals(&r->rollup);
    *ret_figures = (struct gm_recorder_figures){
        .processes_seen = r->rollup.processes_seen,
        .processes_living = gm_images_living(&r->images),
        .processes_refused = gm_doorman_refused(r->doorman),
        .bad_hellos = gm_doorman_bad_hellos(r->doorman),
        .door_idle = gm_doorman_is_idle(r->doorman),
        .root_seen = r->images.root_process_id != 0,
        .root_ended = gm_images_root_ended(&r->images),
        .events = run->events,
        .lost_events = run->lost_events,
        .corrupt_records = run->corrupt_records,
        .late_events = r->order.late,
        .allocs = totals.allocs,
        .frees = totals.frees,
        .alloc_bytes = totals.alloc_bytes,
        .live_bytes = r->rollup.live_bytes,
        .live_blocks = r->rollup.live_blocks,
        .end_live_bytes = r->rollup.ended_live_bytes + r->rollup.live_bytes,
        .end_live_blocks = r->rollup.ended_live_blocks + r->rollup.live_blocks,
        .peak_bytes = run->peak_bytes,
        .peak_blocks = run->peak_blocks,
        .duration_ns = recorder_told_ns(r),
        .ring_fill = r->fill,
        .verified_captures = r->verified,
        .differing_captures = r->differing,
        .samples = run->samples,
        .sample_min_bytes = r->images.sample_min_bytes,
        .sample_max_bytes = r->images.sample_max_bytes,
        .live_bytes_variance = r->rollup.live_bytes_variance,
        .end_live_bytes_variance =
            r->rollup.live_bytes_variance + r->rollup.ended_live_bytes_variance,
        .peak_bytes_variance = run->peak_bytes_variance,
        .sample_share = recorder_sample_share(r),
    };
}

int gm_recorder_finish(struct gm_recorder *r)
{
    gm_recorder_stop(r);
    gm_images_poll_now(&r->images);
    recorder_round(r);
    gm_images_poll_now(&r->images); /* those that were still at the door, too */
    if (gm_images_living(&r->images) > 0)
        poll(NULL, 0, 1); /* by then nobody folds any more */
    /* Nothing is waited for any more: all that is there is told. */
    uint64_t now = recorder_now(r);
    recorder_drain(r, now, true);
    recorder_tell(r, UINT64_MAX);
    r->order.watermark = now;
    for (size_t i = 0; i < r->images.count; i++)
        if (r->images.v[i]->state != GM_IMAGE_GONE)
            gm_image_report(r->images.v[i]);
    recorder_end_images(r);
    recorder_note_root_status(r);
    gm_rollup_settle(&r->rollup);
    recorder_commit(r, recorder_told_ns(r));
    r->store = NULL;
    return r->error;
}
