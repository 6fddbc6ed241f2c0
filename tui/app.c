/* app.c - see app.h. */
#include "tui/app.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tui/control.h"
#include "tui/figures.h"
#include "tui/follow.h"
#include "tui/terminal.h"
#include "tui/view.h"

#define NS_PER_S 1000000000ll
#define STEP_NS (10 * NS_PER_S)
#define STATUS_NS (5 * NS_PER_S) /* a word on the last line stays so long, or until a key */
#define STACKS_SHOWN 100         /* in detail; more would not be read. Arbitrary */

struct app {
    const struct gm_options *options;
    struct gm_recording *recording;
    struct gm_launch *launch; /* NULL: not started here */
    struct gm_follow follow;
    struct gm_ui ui;
    struct gm_grid grid;
    int64_t at_ns;      /* the moment asked for */
    bool playing;       /* it moves on with the time */
    int64_t refresh_at; /* gm_now_ns of the next one */
    int64_t refreshed_at;
    uint64_t refreshes;
    int64_t status_until;                /* gm_now_ns; how it ended stays */
    int silent_reads;                    /* in a row, that brought no key */
    char filter_before[GM_FILTER_BYTES]; /* while one is typed: what Esc brings back */
    bool dirty;                          /* the screen does not show the state */
    bool quit;
    int error; /* ended by this negative errno */
    bool exit_said;
};

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

static void app_say(struct app *app, bool bad, const char *text)
{
    snprintf(app->ui.status, sizeof app->ui.status, "%.255s", text);
    app->ui.status_bad = bad;
    app->status_until = gm_now_ns() + STATUS_NS;
    app->dirty = true;
}

static uint32_t app_selected_row(const struct app *app)
{
    const struct gm_model *model = &app->follow.model;
    if (app->ui.screen == GM_SCREEN_STACKS && app->ui.selected)
        return app->ui.selected - 1;
    size_t at = app->ui.selected ? gm_model_find(model, app->ui.selected - 1) : 0;
    at = at < model->order_count ? at : 0;
    return model->order_count ? model->order[at] : UINT32_MAX;
}

static void app_load_detail(struct app *app)
{
    uint32_t row = app_selected_row(app);
    int r = gm_model_load_detail(&app->follow.model, app->recording, row,
        app->ui.screen == GM_SCREEN_STACKS ? STACKS_SHOWN : 1);
    if (r < 0)
        app_say(app, true, gm_recording_message(app->recording));
}

static void app_arrange(struct app *app)
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
    app_say(app, model->state == GM_TOP_CUT, text);
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

static void app_refresh(struct app *app)
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
        app_say(app, true, gm_recording_message(app->recording));
    } else if (read) {
        app_arrange(app);
        app_load_detail(app);
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
    if (app->follow.model.detail_row != app_selected_row(app) + 1)
        app_load_detail(app);
    gm_view_draw(&app->grid, &app->follow.model, &app->ui);
    gm_terminal_show(&app->grid);
    app->dirty = false;
}

/* ---- actions ---------------------------------------------------------------------------------------- */

static int app_page(const struct app *app)
{
    struct gm_layout l = gm_layout_of(app->grid.w, app->grid.h);
    int page = app->ui.screen == GM_SCREEN_TABLE ? l.rows_h : l.footer_y - 3;
    return page > 1 ? page : 1;
}

static void app_move(struct app *app, int64_t by)
{
    struct gm_ui *ui = &app->ui;
    struct gm_model *model = &app->follow.model;
    if (ui->sort_menu) {
        int64_t line = ui->menu_line + by;
        ui->menu_line = (int)(line < 0 ? 0 : line >= GM_COLUMN_COUNT ? GM_COLUMN_COUNT - 1 : line);
    } else if (ui->screen != GM_SCREEN_TABLE) {
        int64_t line = ui->scroll + by; /* gm_ui_fit bounds it */
        ui->scroll = (int)(line < 0 ? 0 : line > INT32_MAX / 2 ? INT32_MAX / 2 : line);
    } else if (model->order_count) {
        size_t at = ui->selected ? gm_model_find(model, ui->selected - 1) : 0;
        int64_t next = (int64_t)(at < model->order_count ? at : 0) + by;
        int64_t last = (int64_t)model->order_count - 1;
        ui->selected = model->order[next < 0 ? 0 : next > last ? last : next] + 1;
    }
}

static void app_sort_by(struct app *app, int column)
{
    if (column < 0 || column >= GM_COLUMN_COUNT)
        return;
    app->ui.sorting.column = (enum gm_column)column;
    app->ui.sorting.frozen = false;
    app->ui.top = 0;
    app_arrange(app);
}

/* The next column on either side that this screen is wide enough for. */
static void app_sort_move(struct app *app, int step)
{
    int column = app->ui.sorting.column;
    do
        column += step;
    while (column >= 0 && column < GM_COLUMN_COUNT &&
           !gm_column_fits((enum gm_column)column, app->grid.w));
    app_sort_by(app, column);
}

static void app_enter(struct app *app)
{
    struct gm_ui *ui = &app->ui;
    if (ui->sort_menu) {
        ui->sort_menu = false;
        app_sort_by(app, ui->menu_line);
    } else if (ui->screen == GM_SCREEN_TABLE && app->follow.model.order_count) {
        ui->selected = app_selected_row(app) + 1;
        ui->screen = GM_SCREEN_STACKS;
        ui->scroll = 0;
        app_load_detail(app);
    }
}

static void app_set_filter(struct app *app, const char *text)
{
    const char *message;
    if (gm_filter_set(&app->ui.filter, text, &message) < 0) {
        app_say(app, true, message);
        return;
    }
    app->ui.status[0] = 0;
    app->ui.top = 0;
    app_arrange(app);
}

static void app_back(struct app *app)
{
    struct gm_ui *ui = &app->ui;
    if (ui->sort_menu)
        ui->sort_menu = false;
    else if (ui->screen == GM_SCREEN_HELP)
        ui->screen = ui->screen_before_help, ui->scroll = 0;
    else if (ui->screen == GM_SCREEN_STACKS || ui->screen == GM_SCREEN_GC)
        ui->screen = GM_SCREEN_TABLE;
    else if (*ui->filter.text)
        app_set_filter(app, "");
}

static void app_window(struct app *app)
{
    static const struct {
        int64_t ns;
        const char *text;
    } windows[] = {{GM_LIVE_WINDOW_AUTO, "growth over: chosen by itself"},
        {10 * NS_PER_S, "growth over the last 10 s"},
        {60 * NS_PER_S, "growth over the last minute"},
        {600 * NS_PER_S, "growth over the last 10 minutes"},
        {GM_LIVE_WINDOW_ALL, "growth since the start"}};
    size_t n = sizeof windows / sizeof *windows, i = 0;
    while (i < n && windows[i].ns != app->ui.window_ns)
        i++;
    i = i + 1 < n ? i + 1 : 0;
    app->ui.window_ns = windows[i].ns;
    app_say(app, false, windows[i].text);
    app_refresh(app);
}

static void app_step(struct app *app, int64_t by)
{
    const struct gm_live_picture *picture = app->follow.model.picture;
    int64_t at = picture->at_ns + by;
    app->playing = app->playing && app->at_ns != GM_LIVE_END;
    app->at_ns = at >= picture->run->duration_ns ? GM_LIVE_END : at < 0 ? 0 : at;
    app_refresh(app);
}

static void app_delay(struct app *app, double by)
{
    char text[64];
    double delay = app->ui.delay_s + by;
    app->ui.delay_s = delay < 0.1 ? 0.1 : delay > 60 ? 60 : (double)(int)(delay * 10 + 0.5) / 10;
    snprintf(text, sizeof text, "refresh every %g s", app->ui.delay_s);
    app_say(app, false, text);
    app->refresh_at = app->refreshed_at + (int64_t)(app->ui.delay_s * NS_PER_S);
}

static void app_prompt(struct app *app, enum gm_prompt prompt)
{
    app->ui.prompt = prompt;
    *app->ui.input = 0;
    if (prompt == GM_PROMPT_FILTER) {
        memcpy(app->ui.input, app->ui.filter.text, sizeof app->ui.input);
        memcpy(app->filter_before, app->ui.filter.text, sizeof app->filter_before);
    }
}

/* Marks and the end of a recording are the recorder's to make. */
static void app_prompt_recorder(struct app *app, enum gm_prompt prompt)
{
    if (app->follow.model.picture->run->state != GM_RUN_RUNNING)
        app_say(app, true, "the recording has ended: nothing can be changed in it");
    else
        app_prompt(app, prompt);
}

static void app_request(
    struct app *app, const char *request, const char *argument, const char *done)
{
    char message[256];
    int r = gm_control_request(
        app->follow.model.picture->run, request, argument, message, sizeof message);
    app_say(app, r < 0, r < 0 ? message : done);
    app->refresh_at = 0;
}

static void app_do(struct app *app, enum gm_action action)
{
    struct gm_ui *ui = &app->ui;
    switch (action) {
    case GM_ACTION_NONE:
        break;
    case GM_ACTION_UP:
        app_move(app, -1);
        break;
    case GM_ACTION_DOWN:
        app_move(app, 1);
        break;
    case GM_ACTION_PAGE_UP:
        app_move(app, -app_page(app));
        break;
    case GM_ACTION_PAGE_DOWN:
        app_move(app, app_page(app));
        break;
    case GM_ACTION_FIRST:
        app_move(app, -INT32_MAX);
        break;
    case GM_ACTION_LAST:
        app_move(app, INT32_MAX / 2);
        break;
    case GM_ACTION_ENTER:
        app_enter(app);
        break;
    case GM_ACTION_BACK:
        app_back(app);
        break;
    case GM_ACTION_FILTER:
        ui->screen = GM_SCREEN_TABLE;
        app_prompt(app, GM_PROMPT_FILTER);
        break;
    case GM_ACTION_SORT_MENU:
        ui->sort_menu = ui->screen == GM_SCREEN_TABLE;
        ui->menu_line = ui->sorting.column;
        break;
    case GM_ACTION_SORT_LEFT:
        app_sort_move(app, -1);
        break;
    case GM_ACTION_SORT_RIGHT:
        app_sort_move(app, 1);
        break;
    case GM_ACTION_INVERT:
        ui->sorting.invert = !ui->sorting.invert;
        app_arrange(app);
        break;
    case GM_ACTION_FREEZE:
        ui->sorting.frozen = !ui->sorting.frozen;
        app_say(app, false,
            ui->sorting.frozen ? "the order is frozen; F lets it go"
                               : "the order follows the figures");
        app_arrange(app);
        break;
    case GM_ACTION_PAUSE:
        ui->paused = !ui->paused;
        app->refresh_at = ui->paused ? app->refresh_at : 0;
        app->refreshed_at = gm_now_ns();
        break;
    case GM_ACTION_WINDOW:
        app_window(app);
        break;
    case GM_ACTION_EARLIER:
        app_step(app, -STEP_NS);
        break;
    case GM_ACTION_LATER:
        app_step(app, STEP_NS);
        break;
    case GM_ACTION_MARK:
        app_prompt_recorder(app, GM_PROMPT_MARK);
        break;
    case GM_ACTION_SLOWER:
        app_delay(app, 0.1);
        break;
    case GM_ACTION_FASTER:
        app_delay(app, -0.1);
        break;
    case GM_ACTION_CHART:
        if (gm_terminal_unicode() && !app->options->ascii)
            ui->symbols = (enum gm_chart_symbols)((ui->symbols + 2) % 3);
        break;
    case GM_ACTION_GC:
        ui->screen = ui->screen == GM_SCREEN_GC ? GM_SCREEN_TABLE : GM_SCREEN_GC;
        ui->sort_menu = false;
        ui->scroll = 0;
        break;
    case GM_ACTION_REDRAW:
        gm_terminal_forget();
        break;
    case GM_ACTION_HELP:
        if (ui->screen != GM_SCREEN_HELP)
            ui->screen_before_help = ui->screen;
        ui->screen = GM_SCREEN_HELP;
        ui->sort_menu = false;
        ui->scroll = 0;
        break;
    case GM_ACTION_STOP:
        app_prompt_recorder(app, GM_PROMPT_STOP);
        break;
    case GM_ACTION_QUIT:
        app->quit = true;
        break;
    }
}

/* ---- the input line --------------------------------------------------------------------------------- */

static void input_erase(char *input)
{
    size_t n = strlen(input);
    while (n && ((unsigned char)input[n - 1] & 0xC0) == 0x80)
        n--;
    input[n ? n - 1 : 0] = 0;
}

static void input_add(char *input, size_t bytes, int key)
{
    char text[8];
    struct gm_cell cell = {.ch = (uint32_t)key};
    struct gm_grid one = {.w = 1, .h = 1, .cells = &cell, .unicode = true};
    gm_grid_row(&one, 0, text, sizeof text);
    if (key == ' ')
        strcpy(text, " ");
    if (strlen(input) + strlen(text) < bytes)
        strcat(input, text);
}

static void app_prompt_done(struct app *app)
{
    enum gm_prompt prompt = app->ui.prompt;
    app->ui.prompt = GM_PROMPT_NONE;
    app->ui.status[0] = 0;
    if (prompt == GM_PROMPT_FILTER) {
        app_set_filter(app, app->ui.input);
    } else if (prompt == GM_PROMPT_MARK) {
        char done[300];
        snprintf(
            done, sizeof done, "mark '%.200s' is set", *app->ui.input ? app->ui.input : "mark");
        app_request(app, "mark", *app->ui.input ? app->ui.input : "mark", done);
    }
}

static void app_prompt_key(struct app *app, int key)
{
    struct gm_ui *ui = &app->ui;
    if (ui->prompt == GM_PROMPT_STOP) {
        ui->prompt = GM_PROMPT_NONE;
        if (key == 'y' || key == 'Y')
            app_request(app, "stop", NULL, "the recording is being ended; the program runs on");
        return;
    }
    if (key == GM_KEY_ENTER) {
        app_prompt_done(app);
        return;
    }
    if (key == GM_KEY_ESCAPE) {
        if (ui->prompt == GM_PROMPT_FILTER)
            app_set_filter(app, app->filter_before);
        ui->prompt = GM_PROMPT_NONE;
        ui->status[0] = 0;
        return;
    }
    if (key == GM_KEY_BACKSPACE)
        input_erase(ui->input);
    else if (key >= ' ' && key < GM_KEY_UP)
        input_add(ui->input, sizeof ui->input, key);
    if (ui->prompt == GM_PROMPT_FILTER)
        app_set_filter(app, ui->input); /* shows while it is typed */
}

static void app_key(struct app *app, int key)
{
    app->dirty = true;
    if (app->ui.prompt != GM_PROMPT_NONE) {
        app_prompt_key(app, key);
        return;
    }
    app->ui.status[0] = 0;
    app_do(app, gm_key_action(key));
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
            app_key(app, key);
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
            app_refresh(app);
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
        app_say(app, false, text);
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
