/* process.c - processes, threads, losses and the state of the symbols (run.h). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/command.h"
#include "analyzer/core/query.h"
#include "analyzer/core/run.h"

/* Makes room for one more row in an array that doubles at powers of two; NULL fails the query. */
static void *rows_add(struct gm_query *q, void *v, size_t n, size_t row_bytes)
{
    if (n & (n - 1))
        return v;
    void *grown = realloc(v, (n ? n * 2 : 1) * row_bytes);
    if (!grown)
        q->error = gm_recording_fail(q->recording, SQLITE_NOMEM);
    return grown;
}

static void process_read(struct gm_query *q, struct gm_process *p)
{
    *p = (struct gm_process){
        .process_id = gm_query_id(q, 0), .parent_process_id = gm_query_id(q, 1)};
    p->pid = gm_query_integer(q, 2);
    p->origin = gm_query_text_or_empty(q, 3);
    p->exe = gm_query_text_or_empty(q, 4);
    char *command = gm_query_text_or_empty(q, 5);
    p->command = command ? gm_command_text(command) : NULL;
    free(command);
    if (!p->command && !q->error)
        q->error = gm_recording_fail(q->recording, SQLITE_NOMEM);
    p->start_ns = gm_query_time(q, 6);
    p->end_ns = gm_query_is_null(q, 7) ? -1 : gm_query_time(q, 7);
    p->end_kind = gm_query_text(q, 8);
    p->end_value = gm_query_integer(q, 9);
    struct gm_totals *t = &p->totals;
    uint64_t *const field[] = {&p->threads, &t->allocs, &t->alloc_bytes, &t->frees, &t->free_bytes,
        &t->reallocs, &t->unmatched_frees, &t->implicit_frees, &t->live_blocks, &t->live_bytes,
        &t->rss_bytes, &p->age_bytes, &p->peak_epoch, &p->peak_bytes, &p->peak_blocks,
        &p->lost_events, &p->corrupt_records};
    for (int i = 0; i < 17; i++)
        *field[i] = gm_query_count(q, 10 + i);
    p->peak_ns = gm_query_time(q, 27);
    p->ring_fill = sqlite3_column_double(q->stmt, 28);
    p->end_peak_epoch = gm_query_count(q, 29);
    t->samples = gm_query_count(q, 30);
    t->allocs_var = gm_query_real(q, 31);
    t->alloc_bytes_var = gm_query_real(q, 32);
    t->live_blocks_var = gm_query_real(q, 33);
    t->live_bytes_var = gm_query_real(q, 34);
    p->peak_bytes_var = gm_query_real(q, 35);
    p->sample_bytes = gm_query_count(q, 36);
}

int gm_processes_load(struct gm_recording *recording, struct gm_processes *ret_processes)
{
    static const char sql[] =
        "SELECT process_id, parent_process_id, pid, origin, exe, command, start_ns, end_ns, "
        "end_kind, end_value,"
        " threads, allocs, alloc_bytes, frees, free_bytes, reallocs, unmatched_frees, "
        "implicit_frees,"
        " live_blocks, live_bytes, rss_bytes, age_bytes, peak_epoch, peak_bytes, peak_blocks, "
        "lost_events,"
        " corrupt_records, peak_ns, ring_fill, end_peak_epoch, samples, allocs_var, "
        "alloc_bytes_var,"
        " live_blocks_var, live_bytes_var, peak_bytes_var, sample_bytes FROM process ORDER BY "
        "process_id";
    struct gm_processes list = {0};
    struct gm_query q;
    gm_query_open(recording, &q, sql);
    while (gm_query_next(&q)) {
        void *v = rows_add(&q, list.v, list.n, sizeof *list.v);
        if (!v)
            break;
        list.v = v;
        process_read(&q, &list.v[list.n++]);
    }
    int r = gm_query_close(&q);
    if (r < 0)
        gm_processes_done(&list);
    else
        *ret_processes = list;
    return r;
}

void gm_processes_done(struct gm_processes *processes)
{
    for (size_t i = 0; i < processes->n; i++) {
        struct gm_process *p = &processes->v[i];
        free(p->origin);
        free(p->exe);
        free(p->command);
        free(p->end_kind);
    }
    free(processes->v);
    *processes = (struct gm_processes){0};
}

const struct gm_process *gm_process_find(const struct gm_processes *processes, uint32_t process_id)
{
    size_t low = 0, high = processes->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (processes->v[middle].process_id < process_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < processes->n && processes->v[low].process_id == process_id ? &processes->v[low]
                                                                            : NULL;
}

void gm_process_end_text(
    const struct gm_process *process, enum gm_run_state state, char text[static 96])
{
    const char *kind = process->end_kind ? process->end_kind : "";
    int value = (int)(process->end_value & 0xff);
    if (strcmp(kind, "exit") == 0)
        snprintf(text, 96, "ended with status %d", value);
    else if (strcmp(kind, "signal") == 0)
        snprintf(text, 96, "ended by signal %d (%s)", value, strsignal(value));
    else if (strcmp(kind, "exec") == 0)
        snprintf(text, 96, "became another program");
    else if (!process->end_kind && state == GM_RUN_RUNNING)
        snprintf(text, 96, "still running");
    else
        snprintf(text, 96, "its end was not recorded");
}

int gm_threads_load(struct gm_recording *recording, struct gm_threads *ret_threads)
{
    struct gm_threads list = {0};
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT thread_id, process_id, tid, name, start_ns, end_ns, allocs, alloc_bytes, frees"
        " FROM thread ORDER BY thread_id");
    while (gm_query_next(&q)) {
        void *v = rows_add(&q, list.v, list.n, sizeof *list.v);
        if (!v)
            break;
        list.v = v;
        list.v[list.n++] = (struct gm_thread){.thread_id = gm_query_id(&q, 0),
            .process_id = gm_query_id(&q, 1),
            .tid = gm_query_integer(&q, 2),
            .name = gm_query_text_or_empty(&q, 3),
            .start_ns = gm_query_time(&q, 4),
            .end_ns = gm_query_is_null(&q, 5) ? -1 : gm_query_time(&q, 5),
            .allocs = gm_query_count(&q, 6),
            .alloc_bytes = gm_query_count(&q, 7),
            .frees = gm_query_count(&q, 8)};
    }
    int r = gm_query_close(&q);
    if (r < 0)
        gm_threads_done(&list);
    else
        *ret_threads = list;
    return r;
}

void gm_threads_done(struct gm_threads *threads)
{
    for (size_t i = 0; i < threads->n; i++)
        free(threads->v[i].name);
    free(threads->v);
    *threads = (struct gm_threads){0};
}

int gm_losses_load(struct gm_recording *recording, struct gm_losses *ret_losses)
{
    struct gm_losses list = {0};
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT process_id, reason, total(events) FROM loss GROUP BY process_id, reason ORDER BY "
        "1, 2");
    while (gm_query_next(&q)) {
        void *v = rows_add(&q, list.v, list.n, sizeof *list.v);
        if (!v)
            break;
        list.v = v;
        list.v[list.n++] = (struct gm_loss){
            gm_query_id(&q, 0), gm_query_text_or_empty(&q, 1), gm_query_count(&q, 2)};
    }
    int r = gm_query_close(&q);
    if (r < 0)
        gm_losses_done(&list);
    else
        *ret_losses = list;
    return r;
}

void gm_losses_done(struct gm_losses *losses)
{
    for (size_t i = 0; i < losses->n; i++)
        free(losses->v[i].reason);
    free(losses->v);
    *losses = (struct gm_losses){0};
}

static int symbol_modules_load(struct gm_recording *rec, struct gm_symbol_state *state)
{
    struct gm_query q;
    gm_query_open(rec, &q,
        "SELECT m.path, count(*) FROM frame f LEFT JOIN module m USING (module_id)"
        " WHERE f.flags & 10 = 0 AND f.symbolized"
        " AND NOT EXISTS (SELECT 1 FROM frame_line l WHERE l.frame_id = f.frame_id AND "
        "l.function_id IS NOT NULL)"
        " GROUP BY f.module_id ORDER BY 2 DESC, 1 LIMIT 16");
    while (gm_query_next(&q)) {
        void *v = rows_add(&q, state->modules, state->module_count, sizeof *state->modules);
        if (!v)
            break;
        state->modules = v;
        state->modules[state->module_count++] =
            (struct gm_unnamed_module){gm_query_text(&q, 0), gm_query_count(&q, 1)};
    }
    return gm_query_close(&q);
}

int gm_symbol_state_load(struct gm_recording *recording, struct gm_symbol_state *ret_state)
{
    struct gm_symbol_state state = {0};
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT count(*), coalesce(sum(f.symbolized = 0), 0), coalesce(sum(f.symbolized != 0 AND "
        "NOT EXISTS"
        " (SELECT 1 FROM frame_line l WHERE l.frame_id = f.frame_id AND l.function_id IS NOT "
        "NULL)), 0)"
        " FROM frame f WHERE f.flags & 10 = 0");
    if (gm_query_next(&q)) {
        state.frames = gm_query_count(&q, 0);
        state.pending = gm_query_count(&q, 1);
        state.unnamed = gm_query_count(&q, 2);
    }
    int r = gm_query_close(&q);
    if (r == 0 && state.unnamed)
        r = symbol_modules_load(recording, &state);
    if (r < 0)
        gm_symbol_state_done(&state);
    else
        *ret_state = state;
    return r;
}

void gm_symbol_state_done(struct gm_symbol_state *state)
{
    for (size_t i = 0; i < state->module_count; i++)
        free(state->modules[i].path);
    free(state->modules);
    *state = (struct gm_symbol_state){0};
}
