/* The store: batches in, rows out. */
#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/life.h"
#include "collector/store.h"
#include "schemas/db.h"
#include "schemas/event_kinds.h"

#define HALF_SECOND 500000000

static char folder[64], file[128];

static void folder_make(void)
{
    snprintf(folder, sizeof folder, "/tmp/gm-test-store-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/a.geomem", folder);
}

static void folder_remove(void)
{
    gm_db_remove(file);
    rmdir(folder);
}

static struct gm_store *store_open(const char *path)
{
    static const struct gm_store_run run = {.program = "prog",
        .command_json = "[\"prog\"]",
        .cwd = "/",
        .options_json = "{}",
        .start_utc_ns = 1000,
        .g_age_bytes = {1, 2, 3}};
    struct gm_store *store = NULL;
    char message[512] = "";
    cr_assert_eq(
        gm_store_open(path, &run, NULL, &store, message, sizeof message), 0, "%s", message);
    return store;
}

static void used(void *context, uint64_t workers_cpu_ns, uint64_t *ret_cpu_ns, uint64_t *ret_rss)
{
    (void)context;
    *ret_cpu_ns = 5 + workers_cpu_ns;
    *ret_rss = 6;
}

static int store_close(struct gm_store *store, char message[512])
{
    const struct gm_store_end end = {.stop_reason = "ended", .used = used};
    return gm_store_close(store, &end, message, 512);
}

static sqlite3 *reader_open(const char *path)
{
    sqlite3 *db = NULL;
    char message[512] = "";
    cr_assert_eq(gm_db_open_reader(path, &db, message, sizeof message), GM_DB_OK, "%s", message);
    return db;
}

/* First column of the first row as text; static buffer. */
static const char *ask(sqlite3 *db, const char *sql)
{
    static char text[1024];
    sqlite3_stmt *s = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    snprintf(text, sizeof text, "(no row)");
    if (sqlite3_step(s) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(s, 0);
        snprintf(text, sizeof text, "%s", value ? value : "NULL");
    }
    sqlite3_finalize(s);
    return text;
}
#define EXPECT(db, sql, value) \
    do { \
        const char *got = ask(db, sql); \
        cr_expect_str_eq(got, value, "%s: %s", sql, got); \
    } while (0)

static void fill_time(struct gm_batch *b, int64_t start_ns, int64_t length_ns)
{
    b->start_ns = start_ns;
    b->end_ns = b->run.duration_ns = start_ns + length_ns;
}

static void fill_dictionaries(struct gm_batch *b)
{
    struct gm_row_module *m = gm_rows_add(&b->modules);
    *m = (struct gm_row_module){1, strdup("/bin/pr\x1b[31mog"), "ab01"};
    *gm_rows_add(&b->mappings) = (struct gm_row_mapping){1, 1, 1, 0x1000, 0x2000, 0x400, 0, -1};
    *gm_rows_add(&b->frames) = (struct gm_row_frame){1, 1, 0x500, 0};
    *gm_rows_add(&b->frames) = (struct gm_row_frame){2, 0, 0x7000, 0};
    *gm_rows_add(&b->stacks) = (struct gm_row_stack){1, 0, 1};
    *gm_rows_add(&b->stacks) = (struct gm_row_stack){2, 1, 2};
    *gm_rows_add(&b->sites) = (struct gm_row_site){1, 1, 2, GM_FN_malloc};
    *gm_rows_add(&b->sites) = (struct gm_row_site){2, 1, 0, GM_FN_calloc};
}

static void fill_process(struct gm_batch *b, uint64_t d_allocs, uint64_t live, int64_t end_ns)
{
    struct gm_row_process *p = gm_rows_add(&b->processes);
    *p = (struct gm_row_process){
        .process_id = 1, .pid = 42, .origin = "root", .end_ns = end_ns, .threads = 1};
    p->exe = strdup("/bin/prog");
    p->command = strdup("[\"prog\",\"-x\"]");
    p->end_kind = end_ns >= 0 ? "exit" : NULL;
    p->d_allocs = d_allocs;
    p->live_bytes = live;
    p->interval_peak_bytes = live + 10;
    p->end_peak_epoch = 7;
    p->ring_fill = 0.25;
    p->d_born[0] = d_allocs;
}

static struct gm_row_site_delta *fill_delta(
    struct gm_batch *b, uint32_t site, uint64_t allocs, uint64_t frees, uint32_t bucket)
{
    struct gm_row_site_delta *d = gm_rows_add(&b->site_deltas);
    *d = (struct gm_row_site_delta){.site_id = site,
        .function = GM_FN_realloc,
        .d_allocs = allocs,
        .d_alloc_bytes = allocs * 16,
        .d_frees = frees,
        .d_free_bytes = frees * 16,
        .live_blocks = allocs - frees,
        .live_bytes = (allocs - frees) * 16,
        .first_ns = b->start_ns + 1,
        .last_ns = b->start_ns + 2,
        .last_free_ns = frees ? b->start_ns + 3 : -1,
        .min_bytes = 16,
        .max_bytes = 16};
    d->d_died[0] = frees;
    d->life_first = (uint32_t)b->life.n;
    if (frees) {
        *gm_rows_add(&b->life) = (struct gm_life){0, (uint8_t)bucket, frees};
        *gm_rows_add(&b->life) = (struct gm_life){1, (uint8_t)(bucket + 1), frees};
        d->life_count = 2;
    }
    return d;
}

TestSuite(store, .init = folder_make, .fini = folder_remove);

/* Nodes 1 to 700 in two stacks, frame ids around every length of a character. */
Test(store, stacks_in_runs_are_read_as_nodes)
{
    static const uint32_t edges[] = {1, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdfff, 0xe000,
        0xf7ff, 0xf800, 0x10000, 0x10d7ff};
    struct gm_batch mine = {0}, *b = &mine;
    char message[512] = "";
    struct gm_store *store = store_open(file);
    fill_time(b, 0, HALF_SECOND);
    uint64_t frames = 0, parents = 0;
    for (uint32_t id = 1; id <= 700; id++) {
        uint32_t parent = id == 1 || id == 400 ? 0 : id == 500 ? 20 : id - 1;
        uint32_t frame = edges[id % (sizeof edges / sizeof *edges)];
        *gm_rows_add(&b->stacks) = (struct gm_row_stack){id, parent, frame};
        frames += (uint64_t)id * frame;
        parents += (uint64_t)id * parent;
    }
    cr_assert_eq(gm_store_submit(store, b, &b), 0);
    cr_assert_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);
    sqlite3 *db = reader_open(file);
    char expected[64];
    EXPECT(db, "SELECT count(*) || ' ' || max(length(frames)) FROM stack_run", "4 256");
    snprintf(expected, sizeof expected, "700 2 %llu %llu", (unsigned long long)frames,
        (unsigned long long)parents);
    EXPECT(db,
        "SELECT count(*) || ' ' || sum(parent_id IS NULL) || ' ' || sum(stack_id * frame_id) || ' "
        "' "
        "|| sum(stack_id * parent_id) FROM stack",
        expected);
    gm_db_close(db);
}

/* What lies in one bucket is stored as that; view site shows it as any other. */
Test(store, lifetimes_in_one_bucket_are_read_as_histograms)
{
    struct gm_batch mine = {0}, *b = &mine;
    char message[512] = "";
    struct gm_store *store = store_open(file);
    fill_time(b, 0, HALF_SECOND);
    fill_process(b, 1, 0, -1);
    fill_dictionaries(b);
    for (int i = 0; i < 3; i++) {
        if (i)
            fill_time(b, i * (int64_t)HALF_SECOND, HALF_SECOND);
        fill_delta(b, 1, 2, 2, i < 2 ? 7 : 9);
        fill_delta(b, 2, 3, 3, 0);
        cr_assert_eq(gm_store_submit(store, b, &b), 0);
    }
    cr_assert_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);
    sqlite3 *db = reader_open(file);
    EXPECT(db, "SELECT life_bytes || life_ns FROM site WHERE site_id = 1",
        "[[7,4],[9,2]][[8,4],[10,2]]");
    EXPECT(db, "SELECT life_bytes || life_ns FROM site WHERE site_id = 2", "[[0,9]][[1,9]]");
    EXPECT(db, "SELECT life_bytes || life_ns FROM site_row WHERE site_id = 2", "01");
    EXPECT(db, "SELECT sum(blocks) FROM v_lifetimes WHERE unit = 'ns'", "15");
    EXPECT(db, "SELECT min_bytes || ' ' || max_bytes || ' ' || died_g0 FROM site WHERE site_id = 2",
        "16 16 9");
    gm_db_close(db);
}

/* 60,000 collections of two processes: sums stay, rows do not. */
Test(store, old_collections_are_put_together)
{
    char message[512] = "";
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = store_open(file);
    uint64_t pause_ns = 0, promoted = 0;
    for (uint32_t i = 1; i <= 60000; i++) {
        struct gm_row_cycle *c = gm_rows_add(&b->cycles);
        *c = (struct gm_row_cycle){.process_id = 1 + i % 3 % 2,
            .heap = 1,
            .number = i,
            .kind = i % 10 ? "young" : "full",
            .trigger = i % 1000 ? "allocation" : "explicit",
            .start_ns = i * 1000,
            .end_ns = i * 1000 + 500};
        c->figures[GM_CYCLE_stops] = 1 + i % 2;
        pause_ns += c->figures[GM_CYCLE_pause_ns] = i * 7919 % 1000;
        c->figures[GM_CYCLE_max_pause_ns] = i == 77 ? 123456 : 5;
        promoted += c->figures[GM_CYCLE_promoted_bytes] = i;
        c->figures[GM_CYCLE_old_after_bytes] = i;
        if (i % 1500)
            continue;
        fill_time(b, (i / 1500 - 1) * (int64_t)HALF_SECOND, HALF_SECOND);
        cr_assert_eq(gm_store_submit(store, b, &b), 0);
    }
    cr_assert_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);
    sqlite3 *db = reader_open(file);
    char expected[128];
    snprintf(expected, sizeof expected, "60000 90000 %llu %llu 123456",
        (unsigned long long)pause_ns, (unsigned long long)promoted);
    EXPECT(db,
        "SELECT sum(collections) || ' ' || sum(stops) || ' ' || sum(pause_ns) || ' ' || "
        "sum(promoted_bytes) || ' ' || max(max_pause_ns) FROM gc_cycle",
        expected);
    EXPECT(db, "SELECT count(*) BETWEEN 8192 AND 21000 FROM gc_cycle", "1");
    EXPECT(db,
        "SELECT sum(collections) || ' ' || min(number) FROM (SELECT * FROM gc_cycle ORDER BY "
        "cycle_id DESC LIMIT 8192)",
        "8192 51809");
    EXPECT(db, "SELECT old_after_bytes FROM gc_cycle WHERE max_pause_ns = 123456", "77");
    EXPECT(db,
        "SELECT sum(CASE kind WHEN 'full' THEN collections END) || ' ' || sum(CASE process_id WHEN "
        "2 "
        "THEN collections END) FROM gc_cycle",
        "6000 20000");
    gm_db_close(db);
}

Test(store, batches_in_rows_out)
{
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = store_open(file);
    char message[512];

    fill_time(b, 0, HALF_SECOND);
    fill_dictionaries(b);
    fill_process(b, 10, 100, -1);
    fill_delta(b, 1, 10, 4, 12);
    *gm_rows_add(&b->samples) = (struct gm_row_sample){1, 5, 7, 1};
    *gm_rows_add(&b->losses) = (struct gm_row_loss){1, "ring full", 3};
    struct gm_row_thread *t = gm_rows_add(&b->threads);
    *t = (struct gm_row_thread){.thread_id = 1, .process_id = 1, .tid = 42, .end_ns = -1};
    strcpy(t->name, "a\tb\xff");
    cr_assert_eq(gm_store_submit(store, b, &b), 0);
    cr_assert_neq(b, &mine, "the store gives its own batch in exchange");

    fill_time(b, HALF_SECOND, HALF_SECOND);
    fill_process(b, 1, 40, 2 * HALF_SECOND);
    struct gm_row_site_delta *d = fill_delta(b, 1, 1, 1, 12);
    d->min_bytes = 8;
    d->max_bytes = 64;
    d->live_blocks = 6;
    d->live_bytes = 6 * 16;
    fill_delta(b, 2, 1, 0, 0);
    *gm_rows_add(&b->marks) = (struct gm_row_mark){0, 9, strdup("here\n")};
    b->run.has_exit = true;
    b->run.exit_status = 7;
    cr_assert_eq(gm_store_submit(store, b, &b), 0);
    cr_assert_eq(b, &mine, "and takes turns with ours");
    cr_assert_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);

    sqlite3 *db = reader_open(file);
    EXPECT(db, "SELECT state || stop_reason || exit_status || coalesce(exit_signal, '-') FROM run",
        "completeended7-");
    EXPECT(db, "SELECT duration_ns FROM run", "1000000000");
    EXPECT(db, "SELECT path FROM module", "/bin/pr\\x1b[31mog");
    EXPECT(db, "SELECT name FROM thread", "a\\x09b\\xff");
    EXPECT(db, "SELECT text FROM mark WHERE process_id IS NULL", "here\\x0a");
    EXPECT(db, "SELECT group_concat(coalesce(module_id, 'none') || ':' || symbolized) FROM frame",
        "1:0,none:1");
    EXPECT(db, "SELECT last_ns FROM mapping", "NULL");
    EXPECT(db, "SELECT parent_id FROM stack WHERE stack_id = 1", "NULL");
    EXPECT(db,
        "SELECT allocs || ' ' || alloc_bytes || ' ' || died_g0 || ' ' || function FROM site WHERE "
        "site_id = 1",
        "11 176 5 realloc");
    EXPECT(db,
        "SELECT first_ns || ' ' || last_ns || ' ' || last_free_ns FROM site WHERE site_id = 1",
        "1 500000002 500000003");
    EXPECT(db, "SELECT min_bytes || ' ' || max_bytes FROM site WHERE site_id = 1", "8 64");
    EXPECT(db, "SELECT life_bytes || life_ns FROM site WHERE site_id = 1", "[[12,5]][[13,5]]");
    EXPECT(db, "SELECT life_bytes FROM site WHERE site_id = 2", "NULL");
    EXPECT(db, "SELECT stack_id FROM site WHERE site_id = 2", "NULL");
    EXPECT(db, "SELECT group_concat(start_ns || '-' || end_ns) FROM interval",
        "0-500000000,500000000-1000000000");
    EXPECT(db,
        "SELECT group_concat(allocs || ':' || live_bytes || ':' || peak_bytes) FROM "
        "process_interval",
        "10:100:110,1:40:50");
    EXPECT(db, "SELECT sum(allocs) || ' ' || sum(frees) FROM site_interval", "12 5");
    EXPECT(db, "SELECT sum(born) || ' ' || max(generation) FROM generation_interval", "11 0");
    EXPECT(db, "SELECT interval_id || reason || events FROM loss", "1ring full3");
    EXPECT(db, "SELECT end_kind || end_value FROM process", "exit0");
    EXPECT(db, "SELECT end_peak_epoch || ' ' || ring_fill FROM process", "7 0.25");
    EXPECT(db, "SELECT json_extract(command, '$[1]') FROM process", "-x");
    EXPECT(db, "PRAGMA integrity_check", "ok");
    gm_db_close(db);
}

Test(store, slices_grow_with_the_age_of_the_recording)
{
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = store_open(file);
    char message[512];
    static const struct {
        int64_t start_s, batch_ns;
        int count;
    } parts[] = {
        {0, 250000000, 8},     /* 2 s in quarters: 4 slices of 0.5 s */
        {600, 510000000, 6},   /* after 10 minutes: 3 slices of 1 s */
        {7200, 500000000, 40}, /* after 2 hours: 2 slices of 10 s */
    };
    int64_t last = 0;
    for (size_t p = 0; p < 3; p++) {
        int64_t at = parts[p].start_s * 1000000000;
        for (int i = 0; i < parts[p].count; i++, at += parts[p].batch_ns) {
            /* Slices follow each other without gaps; the long first batch of a part covers the jump. */
            b->start_ns = last;
            b->end_ns = last = at + parts[p].batch_ns;
            if (i == 0 && p > 0)
                b->end_ns = last = at;
            fill_process(b, 1, 10, -1);
            cr_assert_eq(gm_store_submit(store, b, &b), 0);
        }
    }
    cr_assert_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);
    sqlite3 *db = reader_open(file);
    EXPECT(db, "SELECT count(*) FROM interval WHERE end_ns <= 2000000000", "4");
    EXPECT(db,
        "SELECT count(*) FROM interval a JOIN interval b ON b.interval_id = a.interval_id + 1"
        " WHERE a.end_ns <> b.start_ns",
        "0");
    EXPECT(db,
        "SELECT count(*) FROM interval WHERE start_ns < 600000000000 AND start_ns >= 2000000000",
        "1");
    EXPECT(db,
        "SELECT count(*) FROM interval WHERE start_ns >= 600000000000 AND end_ns < 700000000000",
        "3");
    EXPECT(db, "SELECT count(*) FROM interval WHERE start_ns >= 7200000000000", "2");
    EXPECT(db, "SELECT sum(allocs) FROM process_interval", "54");
    gm_db_close(db);
}

Test(store, lifetimes_merge_over_many_batches)
{
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = store_open(file);
    char message[512];
    uint64_t expected[GM_LIFE_BUCKETS] = {0};
    unsigned seed = 20261122;
    for (int i = 0; i < 50; i++) {
        fill_time(b, i * (int64_t)HALF_SECOND, HALF_SECOND);
        if (i == 0)
            fill_dictionaries(b);
        seed = seed * 1103515245 + 12345;
        uint32_t bucket = (seed >> 16) % (GM_LIFE_BUCKETS - 1), frees = 1 + (seed >> 8) % 5;
        fill_delta(b, 1, frees, frees, bucket);
        expected[bucket] += frees;
        cr_assert_eq(gm_store_submit(store, b, &b), 0);
    }
    cr_assert_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);
    char text[GM_LIFE_TEXT_ROOM];
    gm_life_print(expected, text);
    sqlite3 *db = reader_open(file);
    EXPECT(db, "SELECT life_bytes FROM site WHERE site_id = 1", text);
    EXPECT(db, "SELECT count(*) FROM site, json_each(life_bytes) WHERE json_valid(life_bytes) = 0",
        "0");
    gm_db_close(db);
}

Test(store, life_text_is_read_back_and_stops_at_nonsense)
{
    uint64_t blocks[GM_LIFE_BUCKETS] = {0}, again[GM_LIFE_BUCKETS] = {0};
    char text[GM_LIFE_TEXT_ROOM];
    for (int i = 0; i < GM_LIFE_BUCKETS; i++)
        blocks[i] = UINT64_MAX - (unsigned)i;
    cr_assert_lt(gm_life_print(blocks, text), sizeof text);
    gm_life_parse(text, again);
    cr_expect_eq(memcmp(blocks, again, sizeof blocks), 0);
    static const char *const odd[] = {
        NULL, "", "x", "[", "[[", "[[1", "[[1,", "[[64,1]]", "[[-1,1]]", "[[1;2]]", "[]"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        uint64_t none[GM_LIFE_BUCKETS] = {0};
        gm_life_parse(odd[i], none);
        for (int k = 0; k < GM_LIFE_BUCKETS; k++)
            cr_expect(none[k] == 0, "%s", odd[i] ? odd[i] : "NULL");
    }
    uint64_t empty[GM_LIFE_BUCKETS] = {0};
    cr_expect_eq(gm_life_print(empty, text), 0);
}

/* One batch that holds the same number everywhere, so that a half one shows. */
static void fill_numbered(struct gm_batch *b, int i)
{
    fill_time(b, i * (int64_t)HALF_SECOND, HALF_SECOND);
    if (i == 0)
        fill_dictionaries(b);
    fill_process(b, 1, (uint64_t)i, -1);
    for (int k = 0; k < 200; k++)
        *gm_rows_add(&b->samples) = (struct gm_row_sample){1, i * 1000 + k, (uint64_t)i, 1};
    for (int k = 0; k < 3000; k++) /* a chunk of the log is full every 22 batches */
        *gm_rows_add(&b->events) = (struct gm_log_event){.time_ns = b->start_ns + k,
            .address = (uint64_t)i * 4096,
            .process_id = 1,
            .kind = GM_LOG_alloc};
    struct gm_row_site_delta *d = fill_delta(b, 1, 1, 0, 0);
    d->live_bytes = (uint64_t)i;
    b->run.events = (uint64_t)i;
}

static void expect_whole_batches(sqlite3 *db)
{
    EXPECT(db, "PRAGMA integrity_check", "ok");
    EXPECT(db,
        "SELECT events = (SELECT live_bytes FROM process) AND events = (SELECT live_bytes FROM site"
        " WHERE site_id = 1) AND (events + 1) * 200 = (SELECT count(*) FROM sample)"
        " AND events + 1 = (SELECT allocs FROM site WHERE site_id = 1)"
        " AND (events + 1) * 3000 = (SELECT sum(events) FROM event_chunk) FROM run",
        "1");
}

Test(store, a_killed_recorder_leaves_whole_batches)
{
    for (int round = 0; round < 5; round++) {
        int pipes[2], status;
        char byte;
        cr_assert_eq(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct gm_batch mine = {0}, *b = &mine;
            struct gm_store *store = store_open(file);
            for (int i = 0;; i++) {
                fill_numbered(b, i);
                if (gm_store_submit(store, b, &b) < 0 || write(pipes[1], "", 1) != 1)
                    _exit(1);
            }
        }
        /* Killed after a number of batches that differs from round to round, in whatever it is doing then. */
        for (int i = 0; i < 20 + round * 17; i++)
            cr_assert_eq(read(pipes[0], &byte, 1), 1);
        kill(pid, SIGKILL);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        close(pipes[0]);
        close(pipes[1]);
        sqlite3 *db = reader_open(file);
        expect_whole_batches(db);
        EXPECT(db, "SELECT state FROM run", "recording");
        cr_expect(!gm_db_recorder_lives(db));
        gm_db_close(db);
        gm_db_remove(file);
    }
}

/* Submits until the store gives up; returns its error. */
static int submit_until_failure(struct gm_store *store, struct gm_batch **b)
{
    for (int i = 0; i < 100000; i++) {
        fill_numbered(*b, i);
        int r = gm_store_submit(store, *b, b);
        if (r < 0)
            return r;
    }
    return 0;
}

Test(store, a_full_disk_ends_writing_and_keeps_what_was_committed)
{
    char small[128], path[160], message[512];
    snprintf(small, sizeof small, "%s/small", folder);
    snprintf(path, sizeof path, "%s/full.geomem", small);
    cr_assert_eq(mkdir(small, 0700), 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=3m") < 0) {
        cr_log_warn("skipped: a small file system cannot be mounted here (%s)", strerror(errno));
        rmdir(small);
        return;
    }
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = store_open(path);
    cr_expect_eq(submit_until_failure(store, &b), -ENOSPC);
    cr_expect(strstr(gm_store_message(store), path) && strstr(gm_store_message(store), "full"),
        "%s", gm_store_message(store));
    cr_expect(gm_store_ready(store), "nobody waits for a store that has given up");
    cr_expect_eq(store_close(store, message), -ENOSPC);
    gm_batch_done(&mine);
    sqlite3 *db = reader_open(path);
    expect_whole_batches(db);
    EXPECT(db, "SELECT state FROM run", "recording");
    EXPECT(db, "SELECT coalesce(stop_reason, 'disk full') FROM run", "disk full");
    gm_db_close(db);
    cr_expect_eq(umount(small), 0);
    rmdir(small);
}

Test(store, a_file_size_limit_ends_writing_and_keeps_what_was_committed)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct gm_batch mine = {0}, *b = &mine;
        struct rlimit limit = {2 << 20, 2 << 20};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        struct gm_store *store = store_open(file);
        char message[512];
        int r = submit_until_failure(store, &b);
        bool said = strstr(gm_store_message(store), "ulimit -f") != NULL;
        int end = store_close(store, message);
        _exit(r < 0 && end == r && said ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    sqlite3 *db = reader_open(file);
    expect_whole_batches(db);
    gm_db_close(db);
}

Test(store, a_file_that_cannot_be_made_is_named)
{
    static const struct gm_store_run run = {
        .program = "p", .command_json = "[]", .cwd = "/", .options_json = "{}"};
    struct gm_store *store = NULL;
    char message[512] = "";
    cr_expect_eq(
        gm_store_open("/no/such/folder/x", &run, NULL, &store, message, sizeof message), -ENOENT);
    cr_expect(strstr(message, "/no/such/folder/x"), "%s", message);
    cr_expect_eq(gm_store_open(folder, &run, NULL, &store, message, sizeof message), -EEXIST);
    cr_expect_null(store);
    cr_expect_eq(gm_store_close(NULL, NULL, message, sizeof message), 0);
}

Test(store, a_reader_that_holds_the_file_does_not_stop_the_end)
{
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = store_open(file);
    char message[512];
    fill_numbered(b, 0);
    cr_assert_eq(gm_store_submit(store, b, &b), 0);
    sqlite3 *db = reader_open(file);
    cr_assert_eq(sqlite3_exec(db, "BEGIN; SELECT * FROM run", NULL, NULL, NULL), SQLITE_OK);
    cr_expect_eq(store_close(store, message), 0, "%s", message);
    gm_batch_done(&mine);
    cr_assert_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    EXPECT(db, "SELECT state FROM run", "complete");
    expect_whole_batches(db);
    gm_db_close(db);
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", file);
    cr_expect_eq(access(wal, F_OK), -1, "the last reader made it one file");
}
