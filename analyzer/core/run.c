/* run.c - table run: how the recording was made and how it ended (run.h). */
#include "analyzer/core/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/command.h"
#include "analyzer/core/query.h"
#include "schemas/db.h"

static const char run_sql[] =
    "SELECT geomem_version, program, command, cwd, host, kernel, options, stop_reason, state, cpus,"
    " recorder_pid, start_utc_ns, duration_ns, g1_age_bytes, g2_age_bytes,"
    " g3_age_bytes, root_process_id, exit_status, exit_signal, events, lost_events, "
    "corrupt_records,"
    " late_events, hash_collisions, cut_stacks, peak_epoch, peak_bytes, peak_blocks, peak_ns,"
    " recorder_cpu_ns, recorder_rss_bytes, memory_limit_bytes, memory_limit_kind, sample_bytes,"
    " sample_min_bytes, sample_max_bytes, sample_budget, sample_share, peak_bytes_var,"
    " left_out_stacks FROM run WHERE run_id = 1";

static void run_read_texts(struct gm_query *q, struct gm_run *run)
{
    run->geomem_version = gm_query_text_or_empty(q, 0);
    run->program = gm_query_text_or_empty(q, 1);
    char *command = gm_query_text_or_empty(q, 2);
    run->command = command ? gm_command_text(command) : NULL;
    free(command);
    if (!run->command && !q->error)
        q->error = gm_recording_fail(q->recording, SQLITE_NOMEM);
    run->cwd = gm_query_text_or_empty(q, 3);
    run->host = gm_query_text_or_empty(q, 4);
    run->kernel = gm_query_text_or_empty(q, 5);
    run->options = gm_query_text_or_empty(q, 6);
    run->stop_reason = gm_query_text(q, 7);
    run->memory_limit_kind = gm_query_text(q, 32);
}

static void run_read_state(struct gm_query *q, struct gm_run *run)
{
    char *state = gm_query_text_or_empty(q, 8);
    run->recorder_pid = gm_query_integer(q, 10);
    if (state && strcmp(state, "complete") == 0)
        run->state = GM_RUN_COMPLETE;
    else
        run->state = gm_db_recorder_lives(q->recording->db) ? GM_RUN_RUNNING : GM_RUN_CUT;
    free(state);
    run->has_exit = !gm_query_is_null(q, 17);
    run->exit_status = (int)(gm_query_integer(q, 17) & 0xff);
    run->exit_signal = (int)(gm_query_integer(q, 18) & 0x7f);
}

static void run_read_figures(struct gm_query *q, struct gm_run *run)
{
    run->cpus = gm_query_count(q, 9);
    run->start_utc_ns = gm_query_integer(q, 11);
    run->duration_ns = gm_query_time(q, 12);
    for (int g = 0; g < 3; g++)
        run->g_age_bytes[g] = gm_query_count(q, 13 + g);
    run->root_process_id = gm_query_id(q, 16);
    run->events = gm_query_count(q, 19);
    run->lost_events = gm_query_count(q, 20);
    run->corrupt_records = gm_query_count(q, 21);
    run->late_events = gm_query_count(q, 22);
    run->hash_collisions = gm_query_count(q, 23);
    run->cut_stacks = gm_query_count(q, 24);
    run->peak_epoch = gm_query_count(q, 25);
    run->peak_bytes = gm_query_count(q, 26);
    run->peak_blocks = gm_query_count(q, 27);
    run->peak_ns = gm_query_time(q, 28);
    run->recorder_cpu_ns = gm_query_count(q, 29);
    run->recorder_rss_bytes = gm_query_count(q, 30);
    run->memory_limit_bytes = gm_query_count(q, 31);
    run->left_out_stacks = gm_query_count(q, 39);
}

static void run_read_sampling(struct gm_query *q, struct gm_run *run)
{
    run->sample_bytes = gm_query_count(q, 33);
    run->sample_min_bytes = gm_query_count(q, 34);
    run->sample_max_bytes = gm_query_count(q, 35);
    run->sample_budget = gm_query_is_null(q, 36) ? -1 : gm_query_real(q, 36);
    run->sample_share = gm_query_is_null(q, 37) ? -1 : gm_query_real(q, 37);
    run->peak_bytes_var = gm_query_real(q, 38);
}

static int run_load_row(struct gm_recording *rec, struct gm_run *run)
{
    struct gm_query q;
    bool found = gm_query_open(rec, &q, run_sql) == 0 && gm_query_next(&q);
    if (found) {
        run_read_texts(&q, run);
        run_read_state(&q, run);
        run_read_figures(&q, run);
        run_read_sampling(&q, run);
    }
    int r = gm_query_close(&q);
    if (r == 0 && !found)
        r = gm_recording_fail_text(rec, -EBADMSG,
            "empty (no row in table run): geomem-record was killed before it started the program, "
            "or the file is damaged");
    return r;
}

static int run_load_totals(struct gm_recording *rec, struct gm_run *run)
{
    static const char sql[] =
        "SELECT count(*), coalesce(sum(end_kind IS NULL), 0), total(allocs), total(alloc_bytes), "
        "total(frees),"
        " total(free_bytes), total(reallocs), total(unmatched_frees), total(implicit_frees),"
        " total(live_blocks), total(live_bytes),"
        " total(CASE WHEN end_kind IS NULL THEN rss_bytes END), max(CASE WHEN end_kind IS NULL "
        "THEN ring_fill END),"
        " (SELECT count(*) FROM thread), (SELECT count(*) FROM site_row), total(samples), "
        "total(allocs_var),"
        " total(alloc_bytes_var), total(live_blocks_var), total(live_bytes_var) FROM process";
    struct gm_query q;
    if (gm_query_open(rec, &q, sql) == 0 && gm_query_next(&q)) {
        struct gm_totals *t = &run->totals;
        uint64_t *const field[] = {&run->processes, &run->running_processes, &t->allocs,
            &t->alloc_bytes, &t->frees, &t->free_bytes, &t->reallocs, &t->unmatched_frees,
            &t->implicit_frees, &t->live_blocks, &t->live_bytes, &t->rss_bytes};
        for (int i = 0; i < 12; i++)
            *field[i] = gm_query_count(&q, i);
        run->ring_fill = sqlite3_column_double(q.stmt, 12);
        run->threads = gm_query_count(&q, 13);
        run->sites = gm_query_count(&q, 14);
        t->samples = gm_query_count(&q, 15);
        t->allocs_var = gm_query_real(&q, 16);
        t->alloc_bytes_var = gm_query_real(&q, 17);
        t->live_blocks_var = gm_query_real(&q, 18);
        t->live_bytes_var = gm_query_real(&q, 19);
    }
    return gm_query_close(&q);
}

int gm_run_load(struct gm_recording *recording, struct gm_run *ret_run)
{
    struct gm_run run = {0};
    int r = run_load_row(recording, &run);
    if (r == 0)
        r = run_load_totals(recording, &run);
    if (r < 0)
        gm_run_done(&run);
    else
        *ret_run = run;
    return r;
}

void gm_run_done(struct gm_run *run)
{
    char *const texts[] = {run->geomem_version, run->program, run->cwd, run->host, run->kernel,
        run->options, run->command, run->stop_reason, run->memory_limit_kind};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *run = (struct gm_run){0};
}

void gm_run_end_text(const struct gm_run *run, char text[static 96])
{
    if (run->exit_signal)
        snprintf(
            text, 96, "ended by signal %d (%s)", run->exit_signal, strsignal(run->exit_signal));
    else if (run->has_exit)
        snprintf(text, 96, "ended with status %d", run->exit_status);
    else if (run->state == GM_RUN_RUNNING)
        snprintf(text, 96, "still running");
    else
        snprintf(text, 96, "its end was not recorded");
}
