/* app.c - see app.h. */
#include "tui/app.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tui/app_state.h"
#include "tui/terminal.h"

#define STATUS_NS (5 * NS_PER_S) /* a word on the last line stays so long, or until a key */
#define STACKS_SHOWN 100         /* in detail; more would not be read. Arbitrary */

/* ---- signals ---------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signal_end, signal_size, signal_stop;

static void signal_take(int number)
{
    if (number == SIGWINCH)
        signal_size = 1;
    else if (number == SIGTSTP)
        signal_stop = 1;
    else
        signal_end = number;
}

/* All of these are blocked but inside ppoll, so nothing is missed between a look and the wait. */
static void signals_init(sigset_t *ret_waiting)
{
    static const int taken[] = {SIGWINCH, SIGTSTP, SIGTERM, SIGHUP, SIGINT};
    struct sigaction action = {.sa_flags = 0};
    sigset_t block;
    action.sa_handler = signal_take;
    sigemptyset(&block);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        sigaction(taken[i], &action, NULL);
        sigaddset(&block, taken[i]);
    }
    sigprocmask(SIG_BLOCK, &block, ret_waiting);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigdelset(ret_waiting, taken[i]);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- reading and drawing ---------------------------------------------------------------------------- */

void gm_app_say(struct app *app, bool bad, const char *text)
{
    snprintf(app->ui.status, sizeof app->ui.status, "%.255s", text);
    app->ui.status_bad = bad;
    app->status_until = gm_now_ns() + STATUS_NS;
    app->dirty = true;
}

uint32_t gm_app_selected_row(const struct app *app)
{
    const struct gm_model *model = &app->follow.model;
    if (app->ui.screen == GM_SCREEN_STACKS && app->ui.selected)
        return app->ui.selected - 1;
    size_t at = app->ui.selected ? gm_model_find(model, app->ui.selected - 1) : 0;
    at = at < model->order_count ? at : 0;
    return model->order_count ? model->order[at] : UINT32_MAX;
}

void gm_app_load_detail(struct app *app)
{
    uint32_t row = gm_app_selected_row(app);
    int r = gm_model_load_detail(&app->follow.model, app->recording, row,
        app->ui.screen == GM_SCREEN_STACKS ? STACKS_SHOWN : 1);
    if (r < 0)
        gm_app_say(app, true, gm_recording_message(app->recording));
}

void gm_app_arrange(struct app *app)
{
    if (gm_model_arrange(&app->follow.model, &app->ui.sorting, &app->ui.filter) < 0)
        app->error = -ENOMEM;
    app->dirty = true;
}

/* The time of day of a moment of the recording. */
static void app_time_of_day(const struct app *app, int64_t ns, char out[static 16])
{
    const struct gm_run *run = app->follow.model.picture->run;
    time_t seconds = (time_t)((run->start_utc_ns + ns) / NS_PER_S);
    struct tm tm;
    if (app->options->fixed_clock)
        gmtime_r(&seconds, &tm);
    else
        localtime_r(&seconds, &tm);
    strftime(out, 16, "%H:%M:%S", &tm);
}

static void app_say_end(struct app *app)
{
    char when[16], state[32], text[256];
    const struct gm_model *model = &app->follow.model;
    if (app->exit_said || !app->follow.watched ||
        (model->state != GM_TOP_EXITED && model->state != GM_TOP_CUT))
        return;
    app->exit_said = true;
    app_time_of_day(app, model->picture->run->duration_ns, when);
    if (model->state == GM_TOP_CUT)
        snprintf(text, sizeof text, "the recorder died; this is the state of %s - q quits", when);
    else
        snprintf(text, sizeof text, "%s at %s - q quits", gm_state_text(model, state), when);
    gm_app_say(app, model->state == GM_TOP_CUT, text);
    app->status_until = INT64_MAX;
}

static void app_play(struct app *app, int64_t now)
{
    const struct gm_live_picture *picture = app->follow.model.picture;
    if (!app->playing || app->at_ns == GM_LIVE_END || app->ui.paused)
        return;
    app->at_ns += now - app->refreshed_at;
    if (picture && app->at_ns >= picture->run->duration_ns) {
        app->at_ns = GM_LIVE_END;
        app->playing = false;
    }
}

void gm_app_refresh(struct app *app)
{
    bool read = false;
    int64_t now = gm_now_ns();
    app_play(app, now);
    app->refreshed_at = now;
    app->refresh_at = now + (int64_t)(app->ui.delay_s * NS_PER_S);
    if (app->launch)
        gm_launch_poll(app->launch);
    if (*app->ui.status && app->ui.prompt == GM_PROMPT_NONE && now >= app->status_until) {
        *app->ui.status = 0;
        app->dirty = true;
    }
    if (app->ui.paused && app->follow.read_before && app->at_ns == app->follow.shown_at_ns &&
        app->ui.window_ns == app->follow.shown_window_ns && !app->follow.more)
        return;
    int r = gm_follow_read(&app->follow, app->at_ns, app->ui.window_ns, false, &read);
    if (r == -EBUSY)
        return; /* next time */
    if (r < 0 && !app->follow.read_before) {
        app->error = r;
    } else if (r < 0) {
        gm_app_say(app, true, gm_recording_message(app->recording));
    } else if (read) {
        gm_app_arrange(app);
        gm_app_load_detail(app);
        app_say_end(app);
        if (app->follow.more)
            app->refresh_at = now; /* goes on at once, after a look at the keys */
    }
    app->refreshes++;
}

static void app_draw(struct app *app)
{
    int w, h;
    gm_terminal_size(&w, &h);
    if (gm_grid_resize(&app->grid, w, h) < 0) {
        app->error = -ENOMEM;
        return;
    }
    gm_ui_fit(&app->ui, &app->follow.model, w, h);
    if (app->follow.model.detail_row != gm_app_selected_row(app) + 1)
        gm_app_load_detail(app);
    gm_view_draw(&app->grid, &app->follow.model, &app->ui);
    gm_terminal_show(&app->grid);
    app->dirty = false;
}

/* ---- the loop --------------------------------------------------------------------------------------- */

/* With a fixed clock only keys change the screen of a finished recording. */
static bool app_refreshes(const struct app *app)
{
    return !(app->options->fixed_clock && app->follow.read_before && !app->playing &&
             app->follow.model.state != GM_TOP_LIVE && !app->follow.more);
}

static void app_wait(struct app *app, const sigset_t *waiting)
{
    struct pollfd keys = {.fd = gm_terminal_fd(), .events = POLLIN};
    int64_t left = app->refresh_at - gm_now_ns();
    left = left < 0 ? 0 : left;
    struct timespec timeout = {left / NS_PER_S, left % NS_PER_S};
    int n = ppoll(&keys, 1, app_refreshes(app) ? &timeout : NULL, waiting);
    if (n > 0 && (keys.revents & (POLLHUP | POLLERR | POLLNVAL)) && !(keys.revents & POLLIN))
        app->quit = true; /* the terminal is gone */
    if (n <= 0)
        return;
    app->silent_reads++;
    for (int key; !app->quit && (key = gm_terminal_key()) != GM_KEY_NONE; app->silent_reads = 0) {
        if (key == GM_KEY_RESIZE)
            app->dirty = true;
        else
            gm_app_key(app, key);
    }
    if (app->silent_reads > 16)
        app->quit = true; /* readable again and again without a key: the end of input */
}

static void app_signals(struct app *app)
{
    sigset_t unused;
    if (signal_size) {
        signal_size = 0;
        gm_terminal_resize();
        app->dirty = true;
    }
    if (signal_stop) {
        signal_stop = 0;
        gm_terminal_suspend();
        signals_init(&unused);
        app->dirty = true;
    }
    if (signal_end)
        app->quit = true;
}

static void app_loop(struct app *app)
{
    sigset_t waiting;
    signals_init(&waiting);
    while (!app->quit && app->error == 0) {
        if (app_refreshes(app) && gm_now_ns() >= app->refresh_at)
            gm_app_refresh(app);
        if (app->options->count && app->refreshes > app->options->count)
            break;
        if (app->dirty && app->error == 0)
            app_draw(app);
        if (app->error == 0)
            app_wait(app, &waiting);
        app_signals(app);
    }
}

static bool app_colour(const struct gm_options *options)
{
    const char *no = getenv("NO_COLOR");
    if (options->colour != GM_WHEN_AUTO)
        return options->colour == GM_WHEN_ALWAYS;
    return !(no && *no);
}

static void app_init(struct app *app)
{
    const struct gm_options *o = app->options;
    const char *message;
    bool unicode = gm_terminal_unicode() && !o->ascii;
    app->grid.unicode = unicode;
    app->ui.delay_s = o->delay_s;
    app->ui.window_ns = o->window_ns;
    app->ui.sorting = (struct gm_sorting){.column = o->sort, .invert = o->invert, .steady = true};
    app->ui.utc = o->fixed_clock;
    app->ui.symbols = !unicode ? GM_CHART_ASCII : o->chart_given ? o->chart : GM_CHART_BRAILLE;
    gm_filter_set(&app->ui.filter, o->filter, &message); /* main.c has tried it */
    app->at_ns = o->at_ns;
    app->playing = o->replay;
    if (o->replay && o->at_ns == GM_LIVE_END)
        app->at_ns = 0;
    app->refreshed_at = gm_now_ns();
    app->dirty = true;
    if (app->launch) {
        char text[256];
        snprintf(text, sizeof text, "its output goes to %.180s, its input is /dev/null",
            app->launch->output);
        gm_app_say(app, false, text);
    }
}

/* What is to be known after the screen is gone. */
static void app_say_goodbye(const struct app *app)
{
    const char *path = gm_recording_path(app->recording);
    bool running =
        app->follow.read_before && app->follow.model.picture->run->state == GM_RUN_RUNNING;
    if (app->error < 0)
        fprintf(stderr, "geomem-top: %s\n",
            app->error == -ENOMEM ? "not enough memory" : gm_recording_message(app->recording));
    else if (running && app->launch)
        fprintf(stderr, "%s and its recording go on; geomem-top %s shows them again\n",
            app->follow.model.program, path);
    else if (app->launch)
        fprintf(stderr, "recorded in %s; see geomem-report leaks %s\n", path, path);
}

int gm_app_run(
    const struct gm_options *options, struct gm_recording *recording, struct gm_launch *launch)
{
    char message[512];
    struct app app = {.options = options, .recording = recording, .launch = launch};
    int r = gm_follow_init(&app.follow, recording);
    if (r < 0) {
        fprintf(stderr, "geomem-top: not enough memory\n");
        return 1;
    }
    r = gm_terminal_open(app_colour(options), message, sizeof message);
    if (r < 0) {
        fprintf(stderr, "geomem-top: %s\n", message);
        gm_follow_done(&app.follow);
        return GM_EXIT_USAGE;
    }
    app_init(&app);
    app_loop(&app);
    gm_terminal_close();
    app_say_goodbye(&app);
    bool unreadable = app.error < 0 && app.error != -ENOMEM;
    bool failed = app.error < 0;
    gm_filter_done(&app.ui.filter);
    gm_grid_done(&app.grid);
    gm_follow_done(&app.follow);
    if (signal_end && signal_end != SIGINT) {
        /* Dies of the signal, as its sender expects. */
        signal(signal_end, SIG_DFL);
        raise(signal_end);
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_UNBLOCK, &all, NULL);
    }
    return unreadable ? GM_EXIT_UNREADABLE : failed;
}
