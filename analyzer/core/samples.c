/* samples.c - live bytes in fine steps, and named moments (timeline.h). */
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "analyzer/core/run.h"
#include "analyzer/core/timeline.h"

/* The last sample of each process, and their sum. */
struct sample_state {
    struct sample_last {
        uint32_t process_id;
        int64_t end_ns; /* of the process; < 0: runs */
        uint64_t live_bytes, live_blocks;
    } * v;
    size_t n;
    uint64_t live_bytes, live_blocks;
};

static void state_set(
    struct sample_state *s, struct sample_last *p, uint64_t bytes, uint64_t blocks)
{
    s->live_bytes += bytes - p->live_bytes;
    s->live_blocks += blocks - p->live_blocks;
    p->live_bytes = bytes;
    p->live_blocks = blocks;
}

/* As in timeline.c: a process that ended among others has given its memory back. */
static void state_end(struct sample_state *s, int64_t now_ns)
{
    for (size_t i = 0; s->n > 1 && i < s->n; i++)
        if (s->v[i].end_ns >= 0 && s->v[i].end_ns < now_ns && s->v[i].live_bytes)
            state_set(s, &s->v[i], 0, 0);
}

static struct sample_last *state_find(struct sample_state *s, uint32_t process_id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].process_id == process_id)
            return &s->v[i];
    return NULL;
}

static int state_init(struct gm_recording *rec, const struct gm_process_set *set, int64_t after_ns,
    struct sample_state *s)
{
    struct gm_processes processes;
    struct gm_query q;
    int r = gm_processes_load(rec, &processes);
    if (r < 0)
        return r;
    s->v = calloc(processes.n + 1, sizeof *s->v);
    for (size_t i = 0; s->v && i < processes.n; i++)
        if (gm_process_set_has(set, processes.v[i].process_id))
            s->v[s->n++] =
                (struct sample_last){processes.v[i].process_id, processes.v[i].end_ns, 0, 0};
    gm_processes_done(&processes);
    if (!s->v)
        return gm_recording_fail(rec, SQLITE_NOMEM);
    gm_query_open(rec, &q,
        "SELECT live_bytes, live_blocks FROM sample WHERE process_id = ?1 AND ns <= ?2"
        " ORDER BY ns DESC LIMIT 1");
    for (size_t i = 0; i < s->n && !q.error; i++) {
        gm_query_bind(&q, 1, s->v[i].process_id);
        gm_query_bind(&q, 2, after_ns);
        if (gm_query_next(&q))
            state_set(s, &s->v[i], gm_query_count(&q, 0), gm_query_count(&q, 1));
        if (!q.error)
            gm_query_rewind(&q);
    }
    return gm_query_close(&q);
}

static struct gm_sample *sample_add(struct gm_query *q, struct gm_samples *list)
{
    if ((list->n & (list->n - 1)) == 0) {
        struct gm_sample *grown = realloc(list->v, (list->n ? list->n * 2 : 1) * sizeof *grown);
        if (!grown) {
            q->error = gm_recording_fail(q->recording, SQLITE_NOMEM);
            return NULL;
        }
        list->v = grown;
    }
    return &list->v[list->n++];
}

static void samples_read(struct gm_query *q, struct gm_samples *list, struct sample_state *state,
    int64_t after_ns, int64_t step_ns)
{
    int64_t last_step = -1;
    while (gm_query_next(q)) {
        struct sample_last *p = state_find(state, gm_query_id(q, 0));
        int64_t ns = gm_query_time(q, 1), step = step_ns ? (ns - after_ns) / step_ns : ns;
        if (!p)
            continue;
        state_end(state, ns);
        state_set(state, p, gm_query_count(q, 2), gm_query_count(q, 3));
        struct gm_sample *s = step == last_step ? &list->v[list->n - 1] : sample_add(q, list);
        if (!s)
            return;
        if (step != last_step || state->live_bytes >= s->live_bytes)
            *s = (struct gm_sample){ns, state->live_bytes, state->live_blocks};
        last_step = step;
    }
}

int gm_samples_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t after_ns, int64_t to_ns, size_t most, struct gm_samples *ret_samples)
{
    struct gm_samples list = {0};
    struct sample_state state = {0};
    struct gm_query q;
    int64_t step_ns = most && to_ns > after_ns ? (to_ns - after_ns) / (int64_t)most + 1 : 0;
    int r = state_init(recording, processes, after_ns, &state);
    if (r == 0) {
        gm_query_open(recording, &q,
            "SELECT process_id, ns, live_bytes, live_blocks FROM sample WHERE ns > ?1 AND ns <= ?2"
            " ORDER BY ns, process_id");
        gm_query_bind(&q, 1, after_ns);
        gm_query_bind(&q, 2, to_ns);
        samples_read(&q, &list, &state, after_ns, step_ns);
        r = gm_query_close(&q);
    }
    free(state.v);
    if (r < 0)
        gm_samples_done(&list);
    else
        *ret_samples = list;
    return r;
}

void gm_samples_done(struct gm_samples *samples)
{
    free(samples->v);
    *samples = (struct gm_samples){0};
}

int gm_marks_load(struct gm_recording *recording, struct gm_marks *ret_marks)
{
    struct gm_marks list = {0};
    struct gm_query q;
    gm_query_open(recording, &q, "SELECT process_id, ns, text FROM mark ORDER BY ns, mark_id");
    while (gm_query_next(&q)) {
        if ((list.n & (list.n - 1)) == 0) {
            struct gm_mark *grown = realloc(list.v, (list.n ? list.n * 2 : 1) * sizeof *grown);
            if (!grown) {
                q.error = gm_recording_fail(recording, SQLITE_NOMEM);
                break;
            }
            list.v = grown;
        }
        list.v[list.n++] = (struct gm_mark){
            gm_query_id(&q, 0), gm_query_time(&q, 1), gm_query_text_or_empty(&q, 2)};
    }
    int r = gm_query_close(&q);
    if (r < 0)
        gm_marks_done(&list);
    else
        *ret_marks = list;
    return r;
}

void gm_marks_done(struct gm_marks *marks)
{
    for (size_t i = 0; i < marks->n; i++)
        free(marks->v[i].text);
    free(marks->v);
    *marks = (struct gm_marks){0};
}
