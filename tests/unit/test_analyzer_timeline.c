/* Slices, samples and generations over several processes. */
#include <stdint.h>
#include <string.h>

#include "recording_make.h"

#include "analyzer/core/generations.h"
#include "analyzer/core/run.h"
#include "analyzer/core/sql.h"
#include "analyzer/core/timeline.h"

static void time_begin(void)
{
    made_begin();
    made_run(
        "UPDATE process SET end_ns = 250, end_kind = 'exit', end_value = 0 WHERE process_id = 2");
    made_run("INSERT INTO interval VALUES (1, 0, 100), (2, 100, 200), (3, 200, 300), (4, 300, "
             "400), (5, 400, 500)");
    /* process 1 does nothing in slices 2 and 4; process 2 ends in slice 3 */
    made_run("INSERT INTO process_interval VALUES (1, 1, 10, 1000, 0, 0, 10, 1000, 1500, 9, 0),"
             " (2, 2, 5, 50, 0, 0, 5, 50, 70, 1, 2), (3, 1, 1, 10, 2, 20, 9, 990, 1100, 9, 0),"
             " (3, 2, 1, 10, 0, 0, 6, 60, 60, 1, 0), (5, 1, 0, 0, 9, 990, 0, 0, 990, 9, 1)");
    made_run("INSERT INTO sample VALUES (1, 10, 500, 5), (1, 60, 1000, 10), (2, 120, 50, 5), (1, "
             "280, 990, 9), (1, 450, 0, 0)");
    made_run("INSERT INTO generation_interval VALUES (1, 1, 0, 100, 60, 600, 30), (1, 1, 1, 30, "
             "10, 100, 0),"
             " (4, 1, 0, 7, 10, 100, 5), (4, 1, 1, 5, 5, 5, 1), (4, 2, 0, 50, 50, 5, 0)");
}
TestSuite(timeline, .init = time_begin, .fini = made_end);

Test(timeline, slices_carry_forward_what_did_not_change)
{
    struct gm_recording *rec = made_open();
    struct gm_slices s;
    cr_assert_eq(gm_slices_load(rec, NULL, 0, 0, INT64_MAX, &s), 0);
    static const uint64_t live[] = {1000, 1050, 1050, 990, 0},
                          peak[] = {1500, 1070, 1160, 990, 990};
    cr_assert_eq(s.n, 5);
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(s.v[i].live_bytes, live[i], "slice %zu: %llu", i,
            (unsigned long long)s.v[i].live_bytes);
        cr_expect_eq(s.v[i].peak_bytes, peak[i], "slice %zu: %llu", i,
            (unsigned long long)s.v[i].peak_bytes);
    }
    cr_expect_eq(s.v[1].lost_events, 2);
    gm_slices_done(&s);
    gm_recording_close(rec);
}

Test(timeline, a_part_of_the_slices_is_as_in_the_whole)
{
    struct gm_recording *rec = made_open();
    struct gm_slices all, part;
    cr_assert_eq(gm_slices_load(rec, NULL, 0, 0, INT64_MAX, &all), 0);
    for (int64_t after = 0; after <= 5; after++) {
        cr_assert_eq(gm_slices_load(rec, NULL, after, 0, INT64_MAX, &part), 0);
        cr_assert_eq(part.n, (size_t)(5 - after));
        cr_assert(part.n == 0 || memcmp(part.v, all.v + after, part.n * sizeof *part.v) == 0,
            "after %d", (int)after);
        gm_slices_done(&part);
    }
    cr_assert_eq(gm_slices_load(rec, NULL, 0, 150, 301, &part), 0);
    cr_assert_eq(part.n, 3);
    cr_assert_eq(memcmp(part.v, all.v + 1, 3 * sizeof *part.v), 0);
    gm_slices_done(&part);
    gm_slices_done(&all);
    gm_recording_close(rec);
}

Test(timeline, one_process_keeps_what_it_left)
{
    struct gm_recording *rec = made_open();
    uint32_t two = 2;
    struct gm_process_set set = {&two, 1};
    struct gm_slices s;
    cr_assert_eq(gm_slices_load(rec, &set, 0, 0, INT64_MAX, &s), 0);
    cr_expect(s.v[0].live_bytes == 0 && s.v[1].live_bytes == 50 && s.v[4].live_bytes == 60);
    gm_slices_done(&s);
    gm_recording_close(rec);
}

Test(timeline, samples_add_up_over_processes_and_thin_out_to_the_largest)
{
    struct gm_recording *rec = made_open();
    struct gm_samples s;
    cr_assert_eq(gm_samples_load(rec, NULL, -1, 500, 0, &s), 0);
    static const uint64_t live[] = {500, 1000, 1050, 990, 0};
    cr_assert_eq(s.n, 5);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(s.v[i].live_bytes, live[i], "sample %zu: %llu", i,
            (unsigned long long)s.v[i].live_bytes);
    gm_samples_done(&s);
    cr_assert_eq(gm_samples_load(rec, NULL, 0, 500, 2, &s), 0);
    cr_assert_leq(s.n, 2);
    cr_expect_eq(s.v[0].live_bytes, 1050);
    gm_samples_done(&s);
    gm_recording_close(rec);
}

Test(timeline, generations_count_within_the_range_and_live_up_to_its_end)
{
    struct gm_recording *rec = made_open();
    struct gm_generation g[4];
    cr_assert_eq(gm_generations_load(rec, NULL, 300, 400, g), 0);
    cr_expect(g[0].born == 57 && g[0].died == 60 && g[0].promoted == 5);
    cr_expect_eq(g[0].live_blocks, 100 - 90 + 7 - 15);
    cr_expect(g[1].born == 5 && g[1].promoted == 1 && g[1].live_blocks == 20 - 1);
    cr_assert_eq(gm_generations_load(rec, NULL, 0, 100, g), 0);
    cr_expect(g[0].born == 100 && g[0].live_blocks == 10 && g[1].live_blocks == 20);
    gm_recording_close(rec);
}

Test(timeline, lifetimes_of_damaged_histograms_are_skipped)
{
    made_run("INSERT INTO site_row (site_id, process_id, function, life_bytes, life_ns) VALUES"
             " (1, 1, 'malloc', '[[0,1],[12,5]]', '[[63,2]]'), (2, 1, 'malloc', '[[12, "
             "6],[99,1],[3', NULL),"
             " (3, 1, 'malloc', 'x', '[[5,-1]]')");
    struct gm_recording *rec = made_open();
    struct gm_lifetimes l;
    cr_assert_eq(gm_lifetimes_load(rec, NULL, NULL, &l), 0);
    cr_expect(l.bytes[0] == 1 && l.bytes[12] == 11 && l.ns[63] == 2);
    cr_assert_eq(gm_lifetimes_of_site(rec, 2, &l), 0);
    cr_expect(l.bytes[0] == 0 && l.bytes[12] == 6);
    cr_expect_eq(gm_lifetime_from(0), 0);
    cr_expect_eq(gm_lifetime_from(12), 2048);
    gm_recording_close(rec);
}

Test(timeline, a_recording_without_a_recorder_is_cut_and_with_a_living_one_runs)
{
    struct gm_recording *rec = made_open();
    struct gm_run run;
    cr_assert_eq(gm_run_load(rec, &run), 0);
    cr_expect_eq(run.state, GM_RUN_CUT);
    cr_expect_eq(run.running_processes, 1);
    gm_run_done(&run);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    char boot_id[64] = "";
    cr_assert(f && fgets(boot_id, sizeof boot_id, f));
    fclose(f);
    boot_id[strcspn(boot_id, "\n")] = 0;
    made_run("UPDATE run SET boot_id = %Q, recorder_pid = %d, recorder_start_ticks = %lld", boot_id,
        getpid(), (long long)gm_db_start_ticks(getpid()));
    cr_assert_eq(gm_run_load(rec, &run), 0);
    cr_expect_eq(run.state, GM_RUN_RUNNING);
    gm_run_done(&run);
    made_run("UPDATE run SET state = 'complete', exit_status = 137, exit_signal = 9");
    cr_assert_eq(gm_run_load(rec, &run), 0);
    char text[96];
    gm_run_end_text(&run, text);
    cr_expect_eq(run.state, GM_RUN_COMPLETE);
    cr_expect_str_eq(text, "ended by signal 9 (Killed)");
    gm_run_done(&run);
    gm_recording_close(rec);
}

static int sink_count(void *data, const struct gm_value *values, size_t n)
{
    (void)values;
    (void)n;
    ++*(int *)data;
    return 0;
}
static int sink_head(void *data, const char *const *names, size_t n)
{
    (void)data;
    return n == 1 && strcmp(names[0], "n") == 0 ? 0 : -1;
}

Test(timeline, sql_reads_and_nothing_else)
{
    struct gm_recording *rec = made_open();
    int rows = 0;
    struct gm_sql_sink sink = {sink_head, sink_count, &rows};
    cr_expect_eq(gm_sql_run(rec, "SELECT interval_id AS n FROM interval; -- all", &sink), 0);
    cr_expect_eq(rows, 5);
    static const char *const wrong[] = {"", "SELEC", "DELETE FROM interval", "SELECT 1; SELECT 2",
        "CREATE TABLE x (y)", "PRAGMA journal_mode = DELETE", "ATTACH '/tmp/x' AS x", "VACUUM"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_lt(gm_sql_run(rec, wrong[i], &sink), 0, "%s", wrong[i]);
        cr_expect_neq(*gm_recording_message(rec), 0);
    }
    gm_recording_close(rec);
}
