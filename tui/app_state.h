/* app_state.h - what geomem-top's loop (app.c) and its keys (actions.c) share. */
#ifndef GM_TUI_APP_STATE_H
#define GM_TUI_APP_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tui/app.h"
#include "tui/follow.h"
#include "tui/grid.h"
#include "tui/view.h"

#define NS_PER_S 1000000000ll

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

/* A word on the last line. */
void gm_app_say(struct app *app, bool bad, const char *text);

/* Index of the row the cursor is on; UINT32_MAX: there is none. */
uint32_t gm_app_selected_row(const struct app *app);

/* Loads the stacks of that row. */
void gm_app_load_detail(struct app *app);

/* Sorts and filters anew, after either was changed. */
void gm_app_arrange(struct app *app);

/* Reads the recording as of the moment asked for. */
void gm_app_refresh(struct app *app);

/* actions.c: answers a key. */
void gm_app_key(struct app *app, int key);

#endif
