/* follow.c - see follow.h. */
#include "tui/follow.h"

#include <time.h>

/* A recorder that died changes nothing in the file, so now and then the run's state is read all the same. */
#define READ_AT_LEAST_NS 2000000000ll

/* Rows of one piece of a long window: some 15 ms, between two looks at the keyboard. */
#define PIECE_ROWS 40000

int64_t gm_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int gm_follow_init(struct gm_follow *follow, struct gm_recording *recording)
{
    *follow = (struct gm_follow){.recording = recording};
    return gm_live_create(recording, &follow->live);
}

void gm_follow_done(struct gm_follow *follow)
{
    gm_model_done(&follow->model);
    gm_live_free(follow->live);
    *follow = (struct gm_follow){0};
}

static int follow_due(struct gm_follow *follow, int64_t at_ns, int64_t window_ns, bool *ret_due)
{
    *ret_due = true;
    if (!follow->read_before || follow->more || at_ns != follow->shown_at_ns ||
        window_ns != follow->shown_window_ns)
        return 0;
    if (follow->model.state == GM_TOP_LIVE && gm_now_ns() - follow->read_at >= READ_AT_LEAST_NS)
        return 0;
    return gm_recording_changed(follow->recording, ret_due);
}

int gm_follow_read(
    struct gm_follow *follow, int64_t at_ns, int64_t window_ns, bool patient, bool *ret_read)
{
    bool due;
    int r = follow_due(follow, at_ns, window_ns, &due);
    *ret_read = false;
    if (r < 0 || !due)
        return r;
    r = gm_live_update(
        follow->live, at_ns, window_ns, patient ? SIZE_MAX : PIECE_ROWS, &follow->more);
    if (r < 0)
        return r;
    const struct gm_live_picture *picture = gm_live_picture(follow->live);
    if (picture->run->state == GM_RUN_RUNNING)
        follow->watched = true;
    r = gm_model_update(&follow->model, picture, follow->watched);
    if (r < 0)
        return r;
    follow->read_before = true;
    follow->read_at = gm_now_ns();
    follow->shown_at_ns = at_ns;
    follow->shown_window_ns = window_ns;
    *ret_read = true;
    return 0;
}
