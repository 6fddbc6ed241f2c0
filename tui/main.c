/* main.c - geomem-top: finds the recording, then shows it on the terminal or prints it. */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/core/recording.h"
#include "analyzer/core/run.h"
#include "tui/app.h"
#include "tui/batch.h"
#include "tui/control.h"
#include "tui/follow.h"
#include "tui/launch.h"
#include "tui/options.h"

static int complain(int status, const char *message)
{
    fprintf(stderr, "geomem-top: %s\n", message);
    return status;
}

/* ---- batch ------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t batch_end;

static void batch_signal(int number)
{
    batch_end = number;
}

static int batch_print(
    const struct gm_options *o, struct gm_follow *follow, const struct gm_filter *filter)
{
    struct gm_sorting sorting = {.column = o->sort, .invert = o->invert};
    if (gm_model_arrange(&follow->model, &sorting, filter) < 0)
        return -ENOMEM;
    return o->json
               ? gm_batch_json(stdout, &follow->model, follow->recording, &sorting, filter, o->rows)
               : gm_batch_text(stdout, &follow->model, &sorting, o->rows);
}

/* Prints once for a moment that will not change, else for each refresh until the recording ends. */
static int batch_loop(
    const struct gm_options *o, struct gm_follow *follow, const struct gm_filter *filter)
{
    int64_t at_ns = o->replay && o->at_ns == GM_LIVE_END ? 0 : o->at_ns;
    for (uint64_t i = 0; !batch_end;) {
        bool read;
        int r = gm_follow_read(follow, at_ns, o->window_ns, true, &read);
        if (r == 0)
            r = batch_print(o, follow, filter);
        if (r < 0)
            return r;
        const struct gm_live_picture *picture = follow->model.picture;
        bool more =
            o->replay ? !picture->at_end : picture->at_end && follow->model.state == GM_TOP_LIVE;
        if (!more || ++i == o->count)
            return 0;
        poll(NULL, 0, (int)(o->delay_s * 1000)); /* ends early at a signal */
        if (o->replay)
            at_ns += (int64_t)(o->delay_s * 1e9);
    }
    return 0;
}

static int batch_run(
    const struct gm_options *o, struct gm_recording *recording, const struct gm_filter *filter)
{
    struct gm_follow follow;
    struct sigaction action = {.sa_flags = 0};
    action.sa_handler = batch_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* comes out as EPIPE */
    int r = gm_follow_init(&follow, recording);
    if (r == 0)
        r = batch_loop(o, &follow, filter);
    gm_follow_done(&follow);
    if (r == 0 || r == -EPIPE)
        return 0;
    if (r == -ENOMEM)
        return complain(1, "not enough memory");
    if (*gm_recording_message(recording))
        return complain(GM_EXIT_UNREADABLE, gm_recording_message(recording));
    fprintf(stderr, "geomem-top: cannot write: %s\n", strerror(-r));
    return 1;
}

/* ---- the recording ---------------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 9;
}

static int open_target(const char *target, struct gm_recording **ret_recording)
{
    char file[4096], message[512];
    if (is_number(target) && access(target, F_OK) < 0) {
        if (gm_control_find_file(atol(target), file, sizeof file) < 0) {
            fprintf(stderr,
                "geomem-top: process %s is not being recorded by this user; record it with: "
                "geomem-record -- PROGRAM\n",
                target);
            return GM_EXIT_UNREADABLE;
        }
        target = file;
    }
    if (gm_recording_open(target, ret_recording, message, sizeof message) < 0)
        return complain(GM_EXIT_UNREADABLE, message);
    return 0;
}

static int open_program(
    char **program, struct gm_launch *launch, struct gm_recording **ret_recording)
{
    char message[1024];
    int r = gm_launch_start(launch, program, message, sizeof message);
    if (r == 0)
        r = gm_launch_open(launch, ret_recording, message, sizeof message);
    if (r == 0)
        return 0;
    /* The recorder has put its own name before its words. */
    fprintf(stderr, "%s%s\n", strncmp(message, "geomem-", 7) == 0 ? "" : "geomem-top: ", message);
    if (launch->ended && WIFEXITED(launch->status) && WEXITSTATUS(launch->status))
        return WEXITSTATUS(launch->status);
    return GM_EXIT_NO_START;
}

static int check_filter(const struct gm_options *options, struct gm_filter *filter)
{
    const char *message;
    if (gm_filter_set(filter, options->filter, &message) == 0)
        return 0;
    fprintf(stderr, "geomem-top: wrong filter '%s': %s\n", options->filter, message);
    return GM_EXIT_USAGE;
}

static bool recording_is_complete(struct gm_recording *recording)
{
    struct gm_run run;
    bool complete = false;
    if (gm_recording_begin(recording) == 0 && gm_run_load(recording, &run) == 0) {
        complete = run.state == GM_RUN_COMPLETE;
        gm_run_done(&run);
    }
    gm_recording_end(recording);
    return complete;
}

int main(int argc, char **argv)
{
    struct gm_options options;
    static struct gm_filter filter;
    struct gm_launch launch = {0};
    struct gm_recording *recording = NULL;
    setlocale(LC_ALL, "");
    int status = gm_options_parse(&options, argc, argv);
    if (status >= 0)
        return status;
    if (check_filter(&options, &filter) != 0)
        return GM_EXIT_USAGE;
    if (!options.batch && !isatty(STDOUT_FILENO))
        return complain(GM_EXIT_USAGE, "standard output is no terminal: use -b, or -b --json");
    status = options.program ? open_program(options.program, &launch, &recording)
                             : open_target(options.target, &recording);
    if (status == 0)
        status = options.batch ? batch_run(&options, recording, &filter)
                               : gm_app_run(&options, recording, options.program ? &launch : NULL);
    bool complete = options.program && recording && recording_is_complete(recording);
    gm_recording_close(recording);
    if (complete)
        gm_launch_finish(&launch);
    gm_filter_done(&filter);
    return status;
}
