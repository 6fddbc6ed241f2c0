/* stack_runs.c - see stack_runs.h. */
#include "analyzer/core/stack_runs.h"

#include <stdlib.h>

int gm_stack_runs_open(struct gm_recording *recording, struct gm_stack_runs *ret_runs)
{
    *ret_runs = (struct gm_stack_runs){0};
    int r = gm_query_open(recording, &ret_runs->query,
        "SELECT last_id, parent_id, frames FROM stack_run WHERE last_id >= ?1 ORDER BY last_id");
    gm_query_bind(&ret_runs->query, 1, 0);
    return r;
}

int gm_stack_runs_close(struct gm_stack_runs *runs)
{
    free(runs->frames);
    runs->frames = NULL;
    return gm_query_close(&runs->query);
}

/* As SQLite's length() and unicode() take a text apart, whatever is in it, so that both count the same nodes. */
static size_t text_decode(const unsigned char *text, size_t bytes, uint32_t *frames)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes && text[i];) {
        uint32_t c = text[i++];
        if (c >= 0xc0) {
            c &= c < 0xe0 ? 0x1f : c < 0xf0 ? 0x0f : 0x07;
            while (i < bytes && (text[i] & 0xc0) == 0x80)
                c = c << 6 | (text[i++] & 0x3f);
        }
        frames[n++] = c > 0x10ffff ? 0 : c > 0xffff ? c - 0x2800 : c < 0xd800 ? c : 0;
    }
    return n;
}

static bool runs_reserve(struct gm_stack_runs *runs, size_t nodes)
{
    if (nodes <= runs->room)
        return true;
    uint32_t *grown = realloc(runs->frames, nodes * 2 * sizeof *grown);
    if (!grown)
        return false;
    runs->frames = grown;
    runs->room = nodes * 2;
    return true;
}

static void run_read(struct gm_stack_runs *runs)
{
    struct gm_query *q = &runs->query;
    runs->last_id = gm_query_id(q, 0);
    runs->parent_id = gm_query_id(q, 1);
    const unsigned char *text = sqlite3_column_text(q->stmt, 2);
    size_t bytes = text ? (size_t)sqlite3_column_bytes(q->stmt, 2) : 0;
    runs->n = 0;
    if (!runs_reserve(runs, bytes)) {
        q->error = gm_recording_fail(q->recording, SQLITE_NOMEM);
        return;
    }
    if (bytes)
        runs->n = text_decode(text, bytes, runs->frames);
    if (runs->n > runs->last_id)
        runs->n = 0;
}

bool gm_stack_runs_next(struct gm_stack_runs *runs)
{
    if (!gm_query_next(&runs->query))
        return false;
    run_read(runs);
    return !runs->query.error;
}

static bool runs_hold(const struct gm_stack_runs *runs, uint32_t stack_id)
{
    return stack_id <= runs->last_id && runs->last_id - stack_id < runs->n;
}

bool gm_stack_runs_find(
    struct gm_stack_runs *runs, uint32_t stack_id, uint32_t *ret_parent_id, uint32_t *ret_frame_id)
{
    if (!runs_hold(runs, stack_id)) {
        gm_query_bind(&runs->query, 1, stack_id);
        bool found = gm_query_next(&runs->query);
        if (found)
            run_read(runs);
        if (!runs->query.error)
            gm_query_rewind(&runs->query);
        if (!found || runs->query.error || !runs_hold(runs, stack_id))
            return false;
    }
    size_t i = runs->n - 1 - (runs->last_id - stack_id);
    *ret_parent_id = gm_stack_runs_parent(runs, i);
    *ret_frame_id = runs->frames[i];
    return true;
}
