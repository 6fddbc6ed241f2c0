/* record.c - see record.h. What is said at the end: closing.c.
 *
 *   check program and file -> recorder's socket -> child, held back -> store -> doorman -> child goes
 *     -> rounds of the recorder, signals, control socket -> last drain -> names -> one file -> closing lines
 *
 * Every step before "child goes" can fail with nothing left behind and nothing started.
 */
#include "collector/record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/closing.h"
#include "collector/control.h"
#include "collector/launch.h"
#include "collector/limits.h"
#include "collector/output.h"
#include "collector/proc.h"
#include "collector/program.h"
#include "collector/recorder.h"
#include "collector/say.h"
#include "collector/signals.h"
#include "collector/store.h"
#include "collector/stragglers.h"
#include "collector/symbols/client.h"
#include "schemas/db.h"
#include "schemas/registry.h"
#include "schemas/text.h"

/* Where events are few, rings are small: filling them with memory is most of what starting a process costs then. */
#define SAMPLE_FEW_BYTES (64u << 10)
#define SAMPLE_RING_BYTES (64u << 10)
#define PROGRESS_NS 500000000
#define WAITING_NS \
    300000000 /* children mostly end with their parent: nothing is said of that; arbitrary */

struct record {
    const struct gm_record_options *o;
    struct gm_recorder_options recorder_options;
    struct gm_signals signals;
    struct gm_limit memory_limit;
    struct gm_limits_saved limits;
    struct gm_recorder *recorder;
    struct gm_store *store;
    struct gm_control *control;
    struct gm_launch launch;
    char *program, *preload;          /* paths */
    char registry[PATH_MAX];          /* "": none */
    char path[PATH_MAX], shown[1024]; /* of the recording */
    int64_t start_mono_ns, start_utc_ns;
    pid_t root;            /* 0 once reaped */
    int root_status;       /* waitpid's, once reaped */
    int64_t root_ended_ns; /* CLOCK_MONOTONIC */
    bool show_progress, said_waiting;
    struct gm_stragglers stragglers;
    bool alone;      /* in the round before, no process was left that could still say hello */
    bool stop_asked; /* over the control socket: the file is finished, we stay for the status */
    bool abandoned;  /* a second Ctrl-C: we leave the program behind */
    int64_t progress_ns;
    uint64_t workers_cpu_ns; /* of symbol workers, once they have ended */
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- before anything runs ------------------------------------------------------------------------------- */

static int check_file(const struct record *r, const char *path)
{
    char message[2048];
    int error = gm_output_check(path, r->o->force, message, sizeof message);
    if (error == 0)
        return 0;
    gm_say("%s", message);
    return GM_EXIT_USAGE;
}

static int find_all(struct record *r)
{
    char message[2048];
    if (gm_program_find(r->o->program[0], &r->program, message, sizeof message) < 0 ||
        gm_program_check(r->program, message, sizeof message) < 0 ||
        gm_launch_find_preload(
            r->registry[0] ? r->registry : "/tmp", &r->preload, message, sizeof message) < 0) {
        gm_say("%s", message);
        return GM_EXIT_START;
    }
    return r->o->output ? check_file(r, r->o->output) : 0;
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    return seed;
}

/* Options as the recorder wants them: one depth is split between leaf and root end as the default is. */
static void recorder_options_fill(struct record *r)
{
    struct gm_recorder_options *to = &r->recorder_options;
    const struct gm_record_options *o = r->o;
    gm_recorder_options_init(to);
    to->start_mono_ns = r->start_mono_ns;
    to->session.drop_on_full = o->drop_on_full;
    to->session.follow = o->follow;
    to->session.unwinder = o->unwinder;
    to->session.verify = o->verify;
    to->session.events_all = o->events_all;
    to->session.sample_bytes = o->sample_bytes;
    to->session.sample_seed = o->has_sample_seed ? o->sample_seed : random_seed();
    to->sample_budget = o->sample_budget;
    if (o->max_depth) {
        to->session.depth_root = o->max_depth / 4 ? o->max_depth / 4 : 1;
        to->session.depth_leaf = o->max_depth - to->session.depth_root;
    }
    for (int i = 0; i < GM_SESSION_SIZES; i++) {
        struct gm_session_shape *shape = &to->session.shape[i];
        if (o->sample_bytes >= SAMPLE_FEW_BYTES && shape->ring_bytes > SAMPLE_RING_BYTES)
            shape->ring_bytes = SAMPLE_RING_BYTES;
        if (o->ring_bytes && (i == GM_SESSION_LARGE || shape->ring_bytes > o->ring_bytes))
            shape->ring_bytes = (uint32_t)o->ring_bytes;
        if (o->rings && (i == GM_SESSION_LARGE || shape->ring_count > o->rings))
            shape->ring_count = o->rings;
    }
}

static int start_fail(const char *what, int error)
{
    gm_say(
        "%s (%s); see ulimit -a and the free space in /tmp and /dev/shm", what, strerror(-error));
    return GM_EXIT_START;
}

static int child_make(struct record *r)
{
    const struct gm_launch_options options = {.path = r->program,
        .argv = r->o->program,
        .preload = r->preload,
        .session = gm_recorder_socket(r->recorder),
        .mask = &r->signals.before,
        .ignored_by_us = r->signals.ignored,
        .limits = &r->limits};
    int error = gm_launch_fork(&options, &r->launch);
    if (error < 0)
        return start_fail("no process can be made for the program", error);
    r->root = r->launch.pid;
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

/* ["program","argument"], allocated. */
static char *command_json(char *const *argv)
{
    size_t room = 3;
    for (char *const *a = argv; *a; a++)
        room += 2 * GM_TEXT_CLEAN_ROOM(strlen(*a)) + 4;
    char *json = malloc(room), *p = json;
    if (!json)
        return NULL;
    *p++ = '[';
    for (char *const *a = argv; *a; a++) {
        if (a != argv)
            *p++ = ',';
        gm_text_json(*a, p, room - (size_t)(p - json));
        p += strlen(p);
    }
    strcpy(p, "]");
    return json;
}

static void options_json(const struct record *r, char *out, size_t room)
{
    const struct gm_session_options *s = &r->recorder_options.session;
    snprintf(out, room,
        "{\"clock\":\"%s\",\"unwinder\":\"%s\",\"on_full\":\"%s\",\"full_wait_ms\":%u,\"follow\":%"
        "s,\"depth_leaf\":%u,"
        "\"depth_root\":%u,\"rings\":%u,\"ring_bytes\":%u,\"verify\":%s,\"events\":\"%s\","
        "\"symbols\":%s",
        gm_clock_name(s->clock), gm_unwinder_name(s->unwinder), s->drop_on_full ? "drop" : "wait",
        s->full_wait_ms, s->follow ? "true" : "false", s->depth_leaf, s->depth_root,
        s->shape[GM_SESSION_LARGE].ring_count, s->shape[GM_SESSION_LARGE].ring_bytes,
        s->verify ? "true" : "false", s->events_all ? "all" : "folded",
        r->o->symbols ? "true" : "false");
    size_t used = strlen(out);
    if (s->sample_bytes)
        snprintf(out + used, room - used,
            ",\"sample_bytes\":%" PRIu64 ",\"sample_seed\":\"%" PRIu64 "\",\"budget\":%g}",
            s->sample_bytes, s->sample_seed, r->o->sample_budget);
    else
        snprintf(out + used, room - used, "}");
}

static int store_make(struct record *r)
{
    char options[1024], message[2048] = "", cwd[PATH_MAX] = "";
    char *command = command_json(r->o->program);
    const char *slash = strrchr(r->program, '/');
    const struct gm_symbols_options symbols = {.sysroot = r->o->sysroot,
        .debug_dirs = r->o->debug_dirs,
        .debug_dir_count = r->o->debug_dir_count};
    struct gm_store_run run = {.program = slash ? slash + 1 : r->program,
        .command_json = command,
        .cwd = cwd,
        .options_json = options,
        .start_utc_ns = r->start_utc_ns};
    run.memory_limit_bytes = r->memory_limit.bytes;
    run.memory_limit_kind = r->memory_limit.kind;
    run.sample_bytes = r->o->sample_bytes;
    run.sample_budget = r->o->sample_budget;
    memcpy(run.g_age_bytes, gm_generation_age_bytes, sizeof run.g_age_bytes);
    options_json(r, options, sizeof options);
    if (!getcwd(cwd, sizeof cwd))
        cwd[0] = 0;
    if (r->o->force)
        gm_db_remove(r->path);
    int error = command ? gm_store_open(r->path, &run, r->o->symbols ? &symbols : NULL, &r->store,
                              message, sizeof message)
                        : -ENOMEM;
    free(command);
    if (error == 0)
        return 0;
    gm_say("%s", *message ? message : "out of memory");
    return GM_EXIT_START;
}

static int file_make(struct record *r)
{
    if (r->o->output && strlen(r->o->output) >= sizeof r->path) {
        gm_say("the name given with -o is too long; name a shorter one");
        return GM_EXIT_USAGE;
    }
    if (r->o->output) {
        strcpy(r->path, r->o->output);
    } else {
        gm_output_default(r->o->program[0], r->root, r->path, sizeof r->path);
        int status = check_file(r, r->path);
        if (status)
            return status;
    }
    gm_say_file(r->path, r->shown, sizeof r->shown);
    return store_make(r);
}

/* ---- the control socket --------------------------------------------------------------------------------- */

static void answer_status(struct record *r, char answer[GM_CONTROL_ANSWER])
{
    struct gm_recorder_figures f;
    char file[1024], real[PATH_MAX];
    gm_recorder_figures(r->recorder, &f);
    gm_text_json(realpath(r->path, real) ? real : r->path, file, sizeof file);
    snprintf(answer, GM_CONTROL_ANSWER,
        "{\"ok\":true,\"file\":%s,\"recorder_pid\":%d,\"program_pid\":%d,\"state\":\"%s\","
        "\"duration_ns\":%" PRId64 ",\"events\":%" PRIu64 ",\"lost_events\":%" PRIu64
        ",\"corrupt_records\":%" PRIu64
        ",\"processes\":%u,\"processes_living\":%u,\"live_bytes\":%" PRIu64
        ",\"live_blocks\":%" PRIu64 ",\"peak_bytes\":%" PRIu64 ",\"ring_fill\":%.3f}",
        file, (int)getpid(), (int)r->launch.pid, r->stop_asked ? "stopping" : "recording",
        f.duration_ns, f.events, f.lost_events, f.corrupt_records, f.processes_seen,
        f.processes_living, f.live_bytes, f.live_blocks, f.peak_bytes, f.ring_fill);
}

static void on_control(void *context, const char *line, char answer[GM_CONTROL_ANSWER])
{
    struct record *r = context;
    strcpy(answer, "{\"ok\":true}");
    if (strcmp(line, "status") == 0)
        answer_status(r, answer);
    else if (strncmp(line, "mark ", 5) == 0 && line[5])
        gm_recorder_mark(r->recorder, line + 5);
    else if (strcmp(line, "stop") == 0)
        r->stop_asked = true;
    else
        strcpy(answer,
            "{\"ok\":false,\"error\":\"unknown command; known are: status, mark TEXT, stop\"}");
}

static bool registry_pass(void *context, const struct gm_registry_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

/* Without it a recording is still a recording. */
static void control_make(struct record *r)
{
    char path[PATH_MAX];
    int error = r->registry[0] ? gm_registry_socket_path(r->registry, path, sizeof path) : -ENOENT;
    if (error == 0)
        error = gm_control_create(path, on_control, r, &r->control);
    if (error == 0)
        error = gm_registry_add(r->registry, r->path);
    gm_registry_list(registry_pass, NULL); /* clears away what killed recorders left */
    if (error < 0 && r->o->verbose)
        gm_say("no control socket (%s); geomem-top finds this recording by its file only",
            strerror(-error));
}

/* ---- while the program runs ----------------------------------------------------------------------------- */

static void reap_root(struct record *r)
{
    int status;
    if (r->root <= 0 || waitpid(r->root, &status, WNOHANG) != r->root)
        return;
    if (r->recorder)
        gm_recorder_child_ended(r->recorder, r->root, status);
    r->root = 0;
    r->root_status = status;
    r->root_ended_ns = clock_ns(CLOCK_MONOTONIC);
}

static void handle_signals(struct record *r)
{
    enum gm_signal_event event;
    while ((event = gm_signals_next(&r->signals, r->root)) != GM_SIGNAL_NONE) {
        if (event == GM_SIGNAL_STOP)
            r->abandoned = true;
    }
    reap_root(r);
}

static void show_progress(struct record *r, const struct gm_recorder_figures *f)
{
    char live[GM_SAY_FIGURE], peak[GM_SAY_FIGURE], events[GM_SAY_FIGURE];
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (!r->show_progress || now - r->progress_ns < PROGRESS_NS)
        return;
    r->progress_ns = now;
    gm_say_progress("%.0f s  live %s  peak %s  %s events", (double)(now - r->start_mono_ns) / 1e9,
        gm_say_bytes(f->live_bytes, live), gm_say_bytes(f->peak_bytes, peak),
        gm_say_count(f->events, events));
}

static void say_waiting(struct record *r, const struct gm_recorder_figures *f)
{
    uint32_t n = f->processes_living + (r->stragglers.found != 0);
    if (r->root > 0 || r->said_waiting || r->o->quiet || n == 0 ||
        clock_ns(CLOCK_MONOTONIC) - r->root_ended_ns < WAITING_NS)
        return;
    r->said_waiting = true;
    gm_say("the program has ended; waiting for %u process%s it started, Ctrl-C stops recording", n,
        n == 1 ? "" : "es");
}

/* Nobody is left, and nobody can come: seen twice, with a round between, since one that was about to enter
 * while we looked through /proc is at the door by then, or in. */
static bool all_ended(struct record *r, const struct gm_recorder_figures *f)
{
    bool quiet = f->processes_living == 0 && f->door_idle && (f->root_ended || !f->root_seen);
    bool was_alone = r->alone;
    r->alone = quiet && (!r->o->follow || was_alone || !gm_stragglers_any(&r->stragglers));
    return r->alone && (was_alone || !r->o->follow);
}

/* Rounds until all have ended or somebody wants it to end. Returns 0 or what gm_recorder_step failed with. */
static int record_run(struct record *r)
{
    struct pollfd fds[1 + GM_CONTROL_FDS];
    struct gm_recorder_figures f;
    int rounds_after =
        0; /* whole ones since the program was reaped: the first takes in what came just before */
    for (;;) {
        bool reaped = r->root == 0;
        fds[0] = (struct pollfd){.fd = r->signals.fd, .events = POLLIN};
        gm_control_poll_for(r->control, fds + 1);
        int error = gm_recorder_step(r->recorder, fds, 1 + GM_CONTROL_FDS);
        if (error < 0)
            return error;
        rounds_after += reaped;
        if (fds[0].revents)
            handle_signals(r);
        gm_control_serve(r->control, fds + 1);
        if (r->stop_asked || r->abandoned)
            return 0;
        gm_recorder_figures(r->recorder, &f);
        if (rounds_after > 0 && all_ended(r, &f))
            return 0;
        say_waiting(r, &f);
        show_progress(r, &f);
    }
}

/* ---- the end -------------------------------------------------------------------------------------------- */

static bool give_up_names(void *context, size_t frames_left)
{
    struct record *r = context;
    handle_signals(r);
    if (r->show_progress || (!r->o->quiet && isatty(STDERR_FILENO)))
        gm_say_progress(
            "naming frames, %zu left; Ctrl-C leaves them for geomem-report symbolize", frames_left);
    return r->abandoned;
}

/* All threads of ours and the symbol workers. The workers' memory is not in it: it is gone before the end. */
static uint64_t cpu_used_ns(const struct record *r)
{
    return (uint64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID) + r->workers_cpu_ns;
}

static void on_used(
    void *context, uint64_t workers_cpu_ns, uint64_t *ret_cpu_ns, uint64_t *ret_rss_bytes)
{
    struct record *r = context;
    r->workers_cpu_ns = workers_cpu_ns;
    *ret_cpu_ns = cpu_used_ns(r);
    *ret_rss_bytes = gm_proc_own_peak_rss_bytes();
}

/* Finishes the file; what is to be said goes into closing. */
static void record_finish(struct record *r, int step_error, struct gm_closing *closing)
{
    bool left_names = false;
    if (step_error < 0 || r->stop_asked || r->abandoned)
        gm_recorder_stop(r->recorder);
    int error = gm_recorder_finish(r->recorder);
    gm_recorder_figures(r->recorder, &closing->figures);
    gm_control_free(r->control);
    r->control = NULL;
    const char *reason = step_error == -ENOMEM || error == -ENOMEM ? "out of memory"
                         : r->stop_asked || r->abandoned           ? "stopped by request"
                                                                   : "ended";
    bool had_enough = r->abandoned;
    r->abandoned = false;
    const struct gm_store_end end = {
        .stop_reason = reason, .used = on_used, .give_up = give_up_names, .context = r};
    error = gm_store_close(r->store, &end, closing->message, sizeof closing->message);
    r->store = NULL;
    gm_say_progress_end();
    left_names = r->abandoned;
    r->abandoned = had_enough;
    closing->failed = error < 0;
    closing->out_of_memory = step_error == -ENOMEM;
    closing->names_left = left_names;
    closing->cpu_ns = cpu_used_ns(r);
    closing->rss_bytes = gm_proc_own_peak_rss_bytes();
    if (r->registry[0])
        gm_registry_remove(r->registry);
}

/* Recording has ended before the program did: stay for its status. */
static void wait_for_root(struct record *r)
{
    struct pollfd fd = {.fd = r->signals.fd, .events = POLLIN};
    reap_root(r);
    while (r->root > 0 && !r->abandoned) {
        poll(&fd, 1, -1);
        handle_signals(r);
    }
}

static int exit_status(const struct record *r)
{
    if (r->root > 0) /* left behind at the user's wish */
        return 128 + SIGINT;
    return WIFSIGNALED(r->root_status) ? 128 + WTERMSIG(r->root_status)
                                       : WEXITSTATUS(r->root_status);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

/* Nothing was started after all: no file stays. */
static int undo(struct record *r)
{
    const struct gm_store_end end = {.stop_reason = "the program could not be executed"};
    char message[1024];
    gm_recorder_stop(r->recorder);
    gm_recorder_finish(r->recorder);
    gm_store_close(r->store, &end, message, sizeof message);
    r->store = NULL;
    if (r->registry[0])
        gm_registry_remove(r->registry);
    gm_db_remove(r->path);
    return GM_EXIT_START;
}

static int child_go(struct record *r)
{
    char shown[1024];
    int error = gm_launch_go(&r->launch);
    if (error == 0)
        return 0;
    r->root = 0;
    gm_say("%s: cannot be executed (%s); check the file and how its folder is mounted",
        gm_text_clean(r->program, shown, sizeof shown), strerror(-error));
    return undo(r);
}

static int record_start(struct record *r)
{
    int error = gm_signals_init(&r->signals);
    if (error < 0)
        return start_fail("signals cannot be watched", error);
    r->memory_limit = gm_limit_find();
    gm_limits_raise(&r->limits);
    if (gm_registry_folder(r->registry, sizeof r->registry) < 0)
        r->registry[0] = 0;
    int status = find_all(r);
    if (status)
        return status;
    r->start_mono_ns = clock_ns(CLOCK_MONOTONIC);
    r->start_utc_ns = clock_ns(CLOCK_REALTIME);
    recorder_options_fill(r);
    error = gm_recorder_create(&r->recorder_options, &r->recorder);
    if (error < 0)
        return start_fail("no socket can be made for the program to connect to", error);
    status = child_make(r);
    if (status == 0)
        status = file_make(r);
    if (status)
        return status;
    gm_stragglers_init(&r->stragglers, getpid(), gm_recorder_socket(r->recorder));
    error = gm_recorder_start(r->recorder, r->store, r->root);
    if (error < 0) {
        start_fail("no thread can be started", error);
        return undo(r);
    }
    control_make(r);
    return child_go(r);
}

int gm_record(const struct gm_record_options *options)
{
    struct record r = {.o = options, .signals.fd = -1, .launch = {-1, -1, -1}};
    struct gm_closing closing = {.options = options};
    int status = record_start(&r);
    if (status == 0) {
        /* A line that moves would spoil the screen of a program that shares the terminal. */
        r.show_progress = !options->quiet && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
        int error = record_run(&r);
        gm_say_progress_end();
        record_finish(&r, error, &closing);
        closing.file = r.shown;
        closing.program = options->program[0];
        closing.program_runs = r.root > 0;
        gm_closing_say(&closing);
        wait_for_root(&r);
        status = exit_status(&r);
    }
    gm_launch_cancel(&r.launch);
    gm_control_free(r.control);
    gm_recorder_free(r.recorder);
    gm_signals_done(&r.signals);
    free(r.program);
    free(r.preload);
    return status;
}
