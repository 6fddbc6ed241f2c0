/* actions.c - what geomem-top's keys do: a table of small handlers, and the input line at the bottom.
 *
 *   terminal -> key -> [gm_key_action -> handler] -> struct gm_ui -> view
 */
#include <stdio.h>
#include <string.h>

#include "tui/app_state.h"
#include "tui/control.h"
#include "tui/figures.h"
#include "tui/keys.h"
#include "tui/terminal.h"

#define STEP_NS (10 * NS_PER_S)

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

static void app_move_pages(struct app *app, int64_t by)
{
    app_move(app, by * app_page(app));
}

static void app_sort_by(struct app *app, int column)
{
    if (column < 0 || column >= GM_COLUMN_COUNT)
        return;
    app->ui.sorting.column = (enum gm_column)column;
    app->ui.sorting.frozen = false;
    app->ui.top = 0;
    gm_app_arrange(app);
}

/* The next column on either side that this screen is wide enough for. */
static void app_sort_move(struct app *app, int64_t step)
{
    int column = (int)app->ui.sorting.column;
    do
        column += (int)step;
    while (column >= 0 && column < GM_COLUMN_COUNT &&
           !gm_column_fits((enum gm_column)column, app->grid.w));
    app_sort_by(app, column);
}

static void app_enter(struct app *app, int64_t by)
{
    (void)by;
    struct gm_ui *ui = &app->ui;
    if (ui->sort_menu) {
        ui->sort_menu = false;
        app_sort_by(app, ui->menu_line);
    } else if (ui->screen == GM_SCREEN_TABLE && app->follow.model.order_count) {
        ui->selected = gm_app_selected_row(app) + 1;
        ui->screen = GM_SCREEN_STACKS;
        ui->scroll = 0;
        gm_app_load_detail(app);
    }
}

static void app_set_filter(struct app *app, const char *text)
{
    const char *message;
    if (gm_filter_set(&app->ui.filter, text, &message) < 0) {
        gm_app_say(app, true, message);
        return;
    }
    app->ui.status[0] = 0;
    app->ui.top = 0;
    gm_app_arrange(app);
}

static void app_back(struct app *app, int64_t by)
{
    (void)by;
    struct gm_ui *ui = &app->ui;
    if (ui->sort_menu)
        ui->sort_menu = false;
    else if (ui->screen == GM_SCREEN_HELP)
        ui->screen = ui->screen_before_help, ui->scroll = 0;
    else if (ui->screen != GM_SCREEN_TABLE)
        ui->screen = GM_SCREEN_TABLE;
    else if (*ui->filter.text)
        app_set_filter(app, "");
}

static void app_window(struct app *app, int64_t by)
{
    (void)by;
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
    gm_app_say(app, false, windows[i].text);
    gm_app_refresh(app);
}

static void app_step(struct app *app, int64_t by)
{
    const struct gm_live_picture *picture = app->follow.model.picture;
    int64_t at = picture->at_ns + by;
    app->playing = app->playing && app->at_ns != GM_LIVE_END;
    app->at_ns = at >= picture->run->duration_ns ? GM_LIVE_END : at < 0 ? 0 : at;
    gm_app_refresh(app);
}

static void app_delay(struct app *app, int64_t tenths)
{
    char text[64];
    double delay = app->ui.delay_s + (double)tenths / 10;
    app->ui.delay_s = delay < 0.1 ? 0.1 : delay > 60 ? 60 : (double)(int)(delay * 10 + 0.5) / 10;
    snprintf(text, sizeof text, "refresh every %g s", app->ui.delay_s);
    gm_app_say(app, false, text);
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
static void app_prompt_recorder(struct app *app, int64_t prompt)
{
    if (app->follow.model.picture->run->state != GM_RUN_RUNNING)
        gm_app_say(app, true, "the recording has ended: nothing can be changed in it");
    else
        app_prompt(app, (enum gm_prompt)prompt);
}

static void app_request(
    struct app *app, const char *request, const char *argument, const char *done)
{
    char message[256];
    int r = gm_control_request(
        app->follow.model.picture->run, request, argument, message, sizeof message);
    gm_app_say(app, r < 0, r < 0 ? message : done);
    app->refresh_at = 0;
}

static void app_filter(struct app *app, int64_t by)
{
    (void)by;
    app->ui.screen = GM_SCREEN_TABLE;
    app_prompt(app, GM_PROMPT_FILTER);
}

static void app_sort_menu(struct app *app, int64_t by)
{
    (void)by;
    app->ui.sort_menu = app->ui.screen == GM_SCREEN_TABLE;
    app->ui.menu_line = app->ui.sorting.column;
}

static void app_invert(struct app *app, int64_t by)
{
    (void)by;
    app->ui.sorting.invert = !app->ui.sorting.invert;
    gm_app_arrange(app);
}

static void app_freeze(struct app *app, int64_t by)
{
    (void)by;
    app->ui.sorting.frozen = !app->ui.sorting.frozen;
    gm_app_say(app, false,
        app->ui.sorting.frozen ? "the order is frozen; F lets it go"
                               : "the order follows the figures");
    gm_app_arrange(app);
}

static void app_pause(struct app *app, int64_t by)
{
    (void)by;
    app->ui.paused = !app->ui.paused;
    app->refresh_at = app->ui.paused ? app->refresh_at : 0;
    app->refreshed_at = gm_now_ns();
}

static void app_chart(struct app *app, int64_t by)
{
    (void)by;
    if (gm_terminal_unicode() && !app->options->ascii)
        app->ui.symbols = (enum gm_chart_symbols)((app->ui.symbols + 2) % 3);
}

/* To a screen of its own, or from it back to the table. */
static void app_screen(struct app *app, int64_t screen)
{
    struct gm_ui *ui = &app->ui;
    ui->screen = ui->screen == (enum gm_screen)screen ? GM_SCREEN_TABLE : (enum gm_screen)screen;
    ui->sort_menu = false;
    ui->scroll = 0;
}

static void app_redraw(struct app *app, int64_t by)
{
    (void)app, (void)by;
    gm_terminal_forget();
}

static void app_help(struct app *app, int64_t by)
{
    (void)by;
    if (app->ui.screen != GM_SCREEN_HELP)
        app->ui.screen_before_help = app->ui.screen;
    app->ui.screen = GM_SCREEN_HELP;
    app->ui.sort_menu = false;
    app->ui.scroll = 0;
}

static void app_quit(struct app *app, int64_t by)
{
    (void)by;
    app->quit = true;
}

static const struct {
    void (*run)(struct app *app, int64_t by);
    int64_t by;
} app_actions[GM_ACTION_COUNT] = {
    [GM_ACTION_UP] = {app_move, -1},
    [GM_ACTION_DOWN] = {app_move, 1},
    [GM_ACTION_PAGE_UP] = {app_move_pages, -1},
    [GM_ACTION_PAGE_DOWN] = {app_move_pages, 1},
    [GM_ACTION_FIRST] = {app_move, -INT32_MAX},
    [GM_ACTION_LAST] = {app_move, INT32_MAX / 2},
    [GM_ACTION_ENTER] = {app_enter, 0},
    [GM_ACTION_BACK] = {app_back, 0},
    [GM_ACTION_FILTER] = {app_filter, 0},
    [GM_ACTION_SORT_MENU] = {app_sort_menu, 0},
    [GM_ACTION_SORT_LEFT] = {app_sort_move, -1},
    [GM_ACTION_SORT_RIGHT] = {app_sort_move, 1},
    [GM_ACTION_INVERT] = {app_invert, 0},
    [GM_ACTION_FREEZE] = {app_freeze, 0},
    [GM_ACTION_WINDOW] = {app_window, 0},
    [GM_ACTION_PAUSE] = {app_pause, 0},
    [GM_ACTION_EARLIER] = {app_step, -STEP_NS},
    [GM_ACTION_LATER] = {app_step, STEP_NS},
    [GM_ACTION_MARK] = {app_prompt_recorder, GM_PROMPT_MARK},
    [GM_ACTION_FASTER] = {app_delay, -1},
    [GM_ACTION_SLOWER] = {app_delay, 1},
    [GM_ACTION_CHART] = {app_chart, 0},
    [GM_ACTION_GC] = {app_screen, GM_SCREEN_GC},
    [GM_ACTION_CACHES] = {app_screen, GM_SCREEN_CACHES},
    [GM_ACTION_REDRAW] = {app_redraw, 0},
    [GM_ACTION_HELP] = {app_help, 0},
    [GM_ACTION_STOP] = {app_prompt_recorder, GM_PROMPT_STOP},
    [GM_ACTION_QUIT] = {app_quit, 0},
};

static void app_do(struct app *app, enum gm_action action)
{
    if (app_actions[action].run)
        app_actions[action].run(app, app_actions[action].by);
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

void gm_app_key(struct app *app, int key)
{
    app->dirty = true;
    if (app->ui.prompt != GM_PROMPT_NONE) {
        app_prompt_key(app, key);
        return;
    }
    app->ui.status[0] = 0;
    app_do(app, gm_key_action(key));
}
