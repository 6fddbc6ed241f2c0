/* follow.h - the recording, read again when it changed: shared by screen and batch. */
#ifndef GM_TUI_FOLLOW_H
#define GM_TUI_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "tui/model.h"

struct gm_follow {
    struct gm_recording *recording;
    struct gm_live *live;
    struct gm_model model;
    bool watched; /* the program was seen running */
    bool read_before;
    bool more;                            /* the window is not read to its beginning yet */
    int64_t read_at;                      /* CLOCK_MONOTONIC of the last reading */
    int64_t shown_at_ns, shown_window_ns; /* what was asked for then */
};

/* The recording is borrowed. -ENOMEM. */
int gm_follow_init(struct gm_follow *follow, struct gm_recording *recording);
void gm_follow_done(struct gm_follow *follow);

/* Brings the model up to date, if the file changed or another moment or window is asked for; *ret_read says
 * whether it was. The rows are left to be arranged. Without `patient` a long window is read in pieces, and
 * follow->more says that the next call reads on. */
int gm_follow_read(
    struct gm_follow *follow, int64_t at_ns, int64_t window_ns, bool patient, bool *ret_read);

/* Nanoseconds that only go forward. */
int64_t gm_now_ns(void);

#endif
