/* Caches and stops of the world on their way from batches into the tables, and out of the views. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store.h"
#include "schemas/db.h"

static char folder[64], file[128], message[512];

static void set_up(void)
{
    strcpy(folder, "/tmp/geomem-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/r.geomem", folder);
}

static void tear_down(void)
{
    gm_db_remove(file);
    rmdir(folder);
}

TestSuite(store_caches, .init = set_up, .fini = tear_down);

static void expect(sqlite3 *db, const char *sql, const char *want)
{
    sqlite3_stmt *s = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    const char *got = sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : "";
    cr_expect_str_eq(got ? got : "NULL", want, "%s: %s", sql, got ? got : "NULL");
    sqlite3_finalize(s);
}

static void fill_time(struct gm_batch *b, int64_t start_ns, int64_t end_ns)
{
    b->start_ns = start_ns;
    b->end_ns = b->run.duration_ns = end_ns;
    struct gm_row_process *p = gm_rows_add(&b->processes);
    *p = (struct gm_row_process){.process_id = 1, .pid = 42, .origin = "root", .end_ns = -1};
    p->exe = strdup("/bin/prog");
    p->command = strdup("[]");
}

static struct gm_row_cache *fill_cache(struct gm_batch *b, uint64_t hits, uint64_t misses)
{
    struct gm_row_cache *c = gm_rows_add(&b->caches);
    *c = (struct gm_row_cache){.cache_id = 1,
        .process_id = 1,
        .number = 7,
        .name = strdup("pages\x1b"),
        .policy = 255,
        .last_ns = b->end_ns,
        .closed_ns = -1,
        .estimates = {.sample_rate = 1, .sample_rate_min = 1}};
    c->figures[GM_CACHE_hits] = hits;
    c->figures[GM_CACHE_misses] = misses;
    c->figures[GM_CACHE_capacity_bytes] = 4096;
    return c;
}

static void fill_evictions(struct gm_row_cache *c, unsigned cause, uint64_t in_all, uint64_t now)
{
    c->figures[GM_CACHE_evictions + cause - 1] = in_all;
    c->d_counts[GM_CACHE_evictions + cause - 1] = now;
    c->figures[GM_CACHE_evicted_bytes + cause - 1] = in_all * 100;
    c->d_counts[GM_CACHE_evicted_bytes + cause - 1] = now * 100;
}

static void fill_first(struct gm_batch *b)
{
    fill_time(b, 0, 500000000);
    struct gm_row_cache *c = fill_cache(b, 30, 10);
    c->d_counts[GM_CACHE_hits] = 30;
    c->d_counts[GM_CACHE_misses] = 10;
    fill_evictions(c, GM_CAUSE_size, 5, 5);
    c->pins_told = c->mrc_told = true;
    *gm_rows_add(&b->cache_points) =
        (struct gm_row_cache_point){1, "lru", 2048, 40, 8, 0.5, 0.25, 0.01};
    *gm_rows_add(&b->cache_points) =
        (struct gm_row_cache_point){1, "lru", 4000, 40, 16, 0.75, 0.5, 0.01};
    *gm_rows_add(&b->cache_pins) = (struct gm_row_cache_pin){1, 1, 2, UINT64_MAX, 64, 1000};
    *gm_rows_add(&b->frames) = (struct gm_row_frame){1, 0, 0x7000, 0};
    *gm_rows_add(&b->stacks) = (struct gm_row_stack){2, 0, 1};
    *gm_rows_add(&b->cache_uses) = (struct gm_row_cache_uses){
        .cache_id = 1, .id = 2, .samples = 3, .hits = 3, .oldest_pin_ns = 1000, .open_pins = 1};
    *gm_rows_add(&b->cache_uses) = (struct gm_row_cache_uses){
        .cache_id = 1, .id = 9, .is_class = true, .samples = 3, .hits = 2, .misses = 2};
    *gm_rows_add(&b->cache_buckets) = (struct gm_row_cache_bucket){1, GM_CACHE_PIN_TIME, 11, 4};
    *gm_rows_add(&b->cache_changes) = (struct gm_row_cache_change){1, 1, 5, "made", 0, 4096};
    *gm_rows_add(&b->gc_stops) = (struct gm_row_gc_stop){1, 1, 3, 500, 70};
    *gm_rows_add(&b->gc_stop_buckets) = (struct gm_row_gc_stop_bucket){1, 480, 1};
}

/* The curve has other capacities, and no pin is open any more. */
static void fill_second(struct gm_batch *b)
{
    fill_time(b, 500000000, 1000000000);
    struct gm_row_cache *c = fill_cache(b, 90, 10);
    c->d_counts[GM_CACHE_hits] = 60;
    fill_evictions(c, GM_CAUSE_size, 5, 0);
    fill_evictions(c, GM_CAUSE_removed, 2, 2);
    c->closed_ns = 900000000;
    c->pins_told = c->mrc_told = true;
    c->estimates = (struct gm_cache_estimates){.sample_rate = 0.5,
        .sample_rate_min = 0.25,
        .belady_uses = 100,
        .belady_hits = 95,
        .belady_real_hits = 90,
        .refills = 10,
        .refill_ns = 5000};
    *gm_rows_add(&b->cache_points) =
        (struct gm_row_cache_point){1, "lru", 4096, 100, 16, 0.9, 0.5, 0.01};
    *gm_rows_add(&b->cache_buckets) = (struct gm_row_cache_bucket){1, GM_CACHE_PIN_TIME, 11, 6};
    *gm_rows_add(&b->gc_stop_buckets) = (struct gm_row_gc_stop_bucket){1, 480, 3};
}

Test(store_caches, batches_in_rows_out)
{
    static const struct gm_store_run run = {
        .program = "prog", .command_json = "[]", .cwd = "/", .options_json = "{}"};
    static const struct gm_store_end end = {.stop_reason = "ended"};
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = NULL;
    sqlite3 *db = NULL;
    cr_assert_eq(gm_store_open(file, &run, NULL, &store, message, sizeof message), 0);
    fill_first(b);
    cr_assert_eq(gm_store_submit(store, b, &b), 0);
    fill_second(b);
    cr_assert_eq(gm_store_submit(store, b, &b), 0);
    cr_assert_eq(gm_store_close(store, &end, message, sizeof message), 0, "%s", message);
    gm_batch_done(&mine);

    cr_assert_eq(gm_db_open_reader(file, &db, message, sizeof message), GM_DB_OK, "%s", message);
    expect(db, "SELECT name || ' ' || policy || ' ' || hit_ratio || ' ' || closed_ns FROM v_caches",
        "pages\\x1b other 0.9 900000000");
    expect(db, "SELECT evictions || ' ' || evicted_bytes || ' ' || estimated FROM v_caches",
        "5 500 1");
    expect(db,
        "SELECT belady_hit_ratio || ' ' || belady_distance || ' ' || miss_cost_ns || ' ' || "
        "miss_cost_source FROM v_caches",
        "0.95 0.05 5000 refills");
    expect(db,
        "SELECT coalesce(byte_hit_ratio, one_hit_wonder_ratio, premature_ratio) FROM v_caches",
        "NULL");
    expect(db,
        "SELECT group_concat(cause || evictions || ':' || evicted_bytes, ' ') FROM "
        "v_cache_evictions",
        "removed2:200 size5:500");
    expect(
        db, "SELECT group_concat(hits || '+' || misses, ' ') FROM v_cache_timeline", "30+10 60+0");
    expect(db, "SELECT group_concat(evictions, ' ') FROM v_cache_timeline", "5 0");
    expect(db, "SELECT group_concat(capacity_bytes || '*' || factor) FROM v_cache_mrc", "4096*1.0");
    expect(db, "SELECT count(*) FROM v_cache_pins", "0");
    expect(db, "SELECT kind || from_value || '-' || to_value FROM v_cache_changes", "made0-4096");
    expect(db, "SELECT leaf_function || hits || oldest_pin_ns FROM v_cache_sites", "0x700031000");
    expect(db, "SELECT stack FROM v_stacks WHERE stack_id = 2", "0x7000");
    expect(db, "SELECT key_class || ' ' || hit_ratio FROM v_cache_classes", "9 0.5");
    expect(db, "SELECT kind || from_ns || '=' || count FROM v_cache_histograms", "pin_time1024=6");
    expect(db, "SELECT pid || ' ' || stop || ' ' || pause_ns FROM v_gc_stops", "42 1 70");
    expect(db, "SELECT stops FROM gc_stop_histogram", "3");
    gm_db_close(db);
}
