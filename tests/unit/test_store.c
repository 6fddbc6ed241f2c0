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

static int store_close(struct gm_store *store, char message[512])
{
    const struct gm_store_end end = {
        .stop_reason = "ended", .recorder_cpu_ns = 5, .recorder_rss_bytes = 6};
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
#define EXPECT(db, sql, value)                                                                     \
    do {                                                                                           \
        const char *got = ask(db, sql);                                                            \
        cr_expect_str_eq(got, value, "%s: %s", sql, got);                                          \
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
    *gm_rows_add(&b->stacks) = (struct gm_row_stack){1, 0, 1, 1};
    *gm_rows_add(&b->stacks) = (struct gm_row_stack){2, 1, 2, 2};
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
        *gm_rows_add(&b->life) = (struct gm_life){0, (uint8_t)bucket, (uint32_t)frees};
        *gm_rows_add(&b->life) = (struct gm_life){1, (uint8_t)(bucket + 1), (uint32_t)frees};
        d->life_count = 2;
    }
    return d;
}

TestSuite(store, .init = folder_make, .fini = folder_remove);

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
