/* db_migrate.c - the versions of the schema: checking a file against the current one, and bringing
 * an older one up to it.
 *
 * A step is the SQL that turns version n into n + 1. Steps are only ever applied to a copy, all in
 * one transaction, and never change once released: each has a recording of its version in
 * tests/fixtures. Views carry no data, so steps leave them alone; the copy gets those of the
 * current schema at the end.
 *
 * The reference for "the current schema" is schema.sql itself, applied to a database in memory.
 */
#include "schemas/db_internal.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* steps[n - 1] leads from version n to n + 1; in parts where it is longer than a string may be in C. */
#define STEP_PARTS 3
static const char *const steps[][STEP_PARTS] = {
    /* 1 -> 2: limits of memory; which peak an ended process saw last. Version 1 knew times only: an end after
     * the time of the peak saw the peak. */
    {"ALTER TABLE run ADD COLUMN memory_limit_bytes INTEGER;"
     "ALTER TABLE run ADD COLUMN memory_limit_kind TEXT CHECK (memory_limit_kind IN"
     " ('cgroup', 'RLIMIT_AS', 'RLIMIT_DATA'));"
     "ALTER TABLE process ADD COLUMN end_peak_epoch INTEGER;"
     "UPDATE process SET end_peak_epoch ="
     " (SELECT CASE WHEN process.end_ns < peak_ns THEN peak_epoch - 1 ELSE peak_epoch END FROM run)"
     " WHERE end_ns IS NOT NULL;"},
    /* 2 -> 3: the log of events; sampled recordings; stacks above the bound. Before, every event was recorded. */
    {"CREATE TABLE event_chunk (chunk_id INTEGER PRIMARY KEY, events INTEGER NOT NULL, allocs "
     "INTEGER NOT NULL,"
     " frees INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,"
     " min_process_id INTEGER NOT NULL, max_process_id INTEGER NOT NULL, min_thread_id INTEGER NOT "
     "NULL,"
     " max_thread_id INTEGER NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL);"
     "ALTER TABLE run ADD COLUMN sample_bytes INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE run ADD COLUMN sample_min_bytes INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE run ADD COLUMN sample_max_bytes INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE run ADD COLUMN sample_budget REAL;"
     "ALTER TABLE run ADD COLUMN sample_share REAL;"
     "ALTER TABLE run ADD COLUMN samples INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE run ADD COLUMN peak_bytes_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE run ADD COLUMN left_out_stacks INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN sample_bytes INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN samples INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN allocs_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN alloc_bytes_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN live_blocks_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN live_bytes_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE process ADD COLUMN peak_bytes_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE site ADD COLUMN samples INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE site ADD COLUMN allocs_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE site ADD COLUMN alloc_bytes_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE site ADD COLUMN live_blocks_var REAL NOT NULL DEFAULT 0;"
     "ALTER TABLE site ADD COLUMN live_bytes_var REAL NOT NULL DEFAULT 0;"},
    /* 3 -> 4: collections and collected blocks. Before, there was no collector to record. */
    {"CREATE TABLE gc_cycle (cycle_id INTEGER PRIMARY KEY, process_id INTEGER NOT NULL "
     "REFERENCES process, heap INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL "
     "CHECK (kind IN ('young', 'full', 'mostly_concurrent')), cause TEXT NOT NULL CHECK (cause "
     "IN ('allocation', 'explicit', 'limit', 'pressure', 'finish')), start_ns INTEGER NOT "
     "NULL, end_ns INTEGER NOT NULL, stops INTEGER NOT NULL, pause_ns INTEGER NOT NULL, "
     "max_pause_ns INTEGER NOT NULL, stop_ns INTEGER NOT NULL, roots_ns INTEGER NOT NULL, "
     "mark_ns INTEGER NOT NULL, notes_ns INTEGER NOT NULL, sweep_ns INTEGER NOT NULL, "
     "concurrent_mark_ns INTEGER NOT NULL, cpu_ns INTEGER NOT NULL, threads_stopped INTEGER "
     "NOT NULL, roots_bytes INTEGER NOT NULL, dirty_bytes INTEGER NOT NULL, marked_blocks "
     "INTEGER NOT NULL, marked_bytes INTEGER NOT NULL, swept_blocks INTEGER NOT NULL, "
     "swept_bytes INTEGER NOT NULL, promoted_blocks INTEGER NOT NULL, promoted_bytes INTEGER "
     "NOT NULL, young_before_bytes INTEGER NOT NULL, young_after_bytes INTEGER NOT NULL, "
     "old_before_bytes INTEGER NOT NULL, old_after_bytes INTEGER NOT NULL, footprint_bytes "
     "INTEGER NOT NULL);"
     "CREATE TABLE gc_interval (interval_id INTEGER NOT NULL REFERENCES interval, process_id "
     "INTEGER NOT NULL REFERENCES process, generation INTEGER NOT NULL, born INTEGER NOT NULL, "
     "born_bytes INTEGER NOT NULL, died INTEGER NOT NULL, died_bytes INTEGER NOT NULL, freed "
     "INTEGER NOT NULL, freed_bytes INTEGER NOT NULL, promoted INTEGER NOT NULL, "
     "promoted_bytes INTEGER NOT NULL, premature INTEGER NOT NULL, premature_bytes INTEGER NOT "
     "NULL, nepotism INTEGER NOT NULL, nepotism_bytes INTEGER NOT NULL, PRIMARY KEY "
     "(interval_id, process_id, generation)) WITHOUT ROWID;"
     "CREATE TABLE site_gc (site_id INTEGER PRIMARY KEY REFERENCES site, born INTEGER NOT "
     "NULL, born_bytes INTEGER NOT NULL, died_young INTEGER NOT NULL, died_young_bytes INTEGER "
     "NOT NULL, died_old INTEGER NOT NULL, died_old_bytes INTEGER NOT NULL, freed INTEGER NOT "
     "NULL, freed_bytes INTEGER NOT NULL, promoted INTEGER NOT NULL, promoted_bytes INTEGER "
     "NOT NULL, premature INTEGER NOT NULL, premature_bytes INTEGER NOT NULL, nepotism INTEGER "
     "NOT NULL, nepotism_bytes INTEGER NOT NULL);"},
    /* 4 -> 5: stops of the world one by one, and caches: before, neither was told. Stacks in runs, where every node
     * becomes a run of its own; sites without what follows from other columns. */
    {"CREATE TABLE gc_stop (process_id INTEGER NOT NULL REFERENCES process, stop INTEGER "
     "NOT NULL, number INTEGER NOT NULL, start_ns INTEGER NOT NULL, pause_ns INTEGER NOT "
     "NULL, PRIMARY KEY (process_id, stop)) WITHOUT ROWID;"
     "CREATE TABLE gc_stop_histogram (process_id INTEGER NOT NULL REFERENCES process, "
     "from_ns INTEGER NOT NULL, stops INTEGER NOT NULL, PRIMARY KEY (process_id, from_ns)) "
     "WITHOUT ROWID;"
     "CREATE TABLE cache (cache_id INTEGER PRIMARY KEY, process_id INTEGER NOT NULL "
     "REFERENCES process, number INTEGER NOT NULL, name TEXT NOT NULL, policy TEXT NOT "
     "NULL CHECK (policy IN ('adaptive', 'lru', 's3fifo', 'other')), choice INTEGER NOT "
     "NULL, switches INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT "
     "NULL, closed_ns INTEGER, capacity_bytes INTEGER NOT NULL, used_bytes INTEGER NOT "
     "NULL, entries INTEGER NOT NULL, pinned_entries INTEGER NOT NULL, pinned_bytes "
     "INTEGER NOT NULL, hits INTEGER NOT NULL, hit_bytes INTEGER NOT NULL, misses INTEGER "
     "NOT NULL, stores INTEGER NOT NULL, store_bytes INTEGER NOT NULL, loads INTEGER NOT "
     "NULL, load_failures INTEGER NOT NULL, load_waits INTEGER NOT NULL, load_ns INTEGER "
     "NOT NULL, sample_rate REAL NOT NULL, sample_rate_min REAL NOT NULL, samples INTEGER "
     "NOT NULL, sample_hits INTEGER NOT NULL, sample_misses INTEGER NOT NULL, sample_left "
     "INTEGER NOT NULL, one_hit_wonders INTEGER NOT NULL, premature_misses INTEGER NOT "
     "NULL, refills INTEGER NOT NULL, refill_ns INTEGER NOT NULL, belady_uses INTEGER NOT "
     "NULL, belady_hits INTEGER NOT NULL, belady_real_hits INTEGER NOT NULL, open_pins "
     "INTEGER NOT NULL, unmatched_unpins INTEGER NOT NULL);"
     "CREATE TABLE cache_eviction (cache_id INTEGER NOT NULL REFERENCES cache, cause TEXT "
     "NOT NULL CHECK (cause IN ('size', 'expired', 'replaced', 'removed', 'pressure', "
     "'rejected', 'closed')), evictions INTEGER NOT NULL, evicted_bytes INTEGER NOT NULL, "
     "PRIMARY KEY (cache_id, cause)) WITHOUT ROWID;"
     "CREATE TABLE cache_interval (interval_id INTEGER NOT NULL REFERENCES interval, "
     "cache_id INTEGER NOT NULL REFERENCES cache, hits INTEGER NOT NULL, hit_bytes INTEGER "
     "NOT NULL, misses INTEGER NOT NULL, stores INTEGER NOT NULL, store_bytes INTEGER NOT "
     "NULL, loads INTEGER NOT NULL, load_ns INTEGER NOT NULL, evictions INTEGER NOT NULL, "
     "evicted_bytes INTEGER NOT NULL, premature_misses INTEGER NOT NULL, capacity_bytes "
     "INTEGER NOT NULL, used_bytes INTEGER NOT NULL, entries INTEGER NOT NULL, "
     "pinned_entries INTEGER NOT NULL, pinned_bytes INTEGER NOT NULL, PRIMARY KEY "
     "(interval_id, cache_id)) WITHOUT ROWID;"
     "CREATE TABLE cache_change (cache_id INTEGER NOT NULL REFERENCES cache, change "
     "INTEGER NOT NULL, ns INTEGER NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('made', "
     "'resized', 'switched', 'closed')), from_value INTEGER NOT NULL, to_value INTEGER NOT "
     "NULL, PRIMARY KEY (cache_id, change)) WITHOUT ROWID;",
        "CREATE TABLE cache_mrc (cache_id INTEGER NOT NULL REFERENCES cache, capacity_bytes "
        "INTEGER NOT NULL, hit_ratio REAL NOT NULL, byte_hit_ratio REAL NOT NULL, error REAL "
        "NOT NULL, samples INTEGER NOT NULL, sample_entries INTEGER NOT NULL, policy TEXT NOT "
        "NULL CHECK (policy IN ('adaptive', 'lru', 's3fifo')), PRIMARY KEY (cache_id, "
        "capacity_bytes)) WITHOUT ROWID;"
        "CREATE TABLE cache_site (cache_id INTEGER NOT NULL REFERENCES cache, stack_id "
        "INTEGER NOT NULL, samples INTEGER NOT NULL, hits INTEGER NOT NULL, hit_bytes INTEGER "
        "NOT NULL, misses INTEGER NOT NULL, premature_misses INTEGER NOT NULL, stores INTEGER "
        "NOT NULL, store_bytes INTEGER NOT NULL, loads INTEGER NOT NULL, load_ns INTEGER NOT "
        "NULL, pins INTEGER NOT NULL, open_pins INTEGER NOT NULL, open_pin_bytes INTEGER NOT "
        "NULL, oldest_pin_ns INTEGER, PRIMARY KEY (cache_id, stack_id)) WITHOUT ROWID;"
        "CREATE TABLE cache_class (cache_id INTEGER NOT NULL REFERENCES cache, key_class "
        "INTEGER NOT NULL, name TEXT, samples INTEGER NOT NULL, hits INTEGER NOT NULL, hit_bytes "
        "INTEGER "
        "NOT NULL, misses INTEGER NOT NULL, premature_misses INTEGER NOT NULL, stores INTEGER "
        "NOT NULL, store_bytes INTEGER NOT NULL, loads INTEGER NOT NULL, load_ns INTEGER NOT "
        "NULL, PRIMARY KEY (cache_id, key_class)) WITHOUT ROWID;"
        "CREATE TABLE cache_pin (cache_id INTEGER NOT NULL REFERENCES cache, pin INTEGER NOT "
        "NULL, key INTEGER NOT NULL, stack_id INTEGER NOT NULL, ns INTEGER NOT NULL, bytes "
        "INTEGER NOT NULL, PRIMARY KEY (cache_id, pin)) WITHOUT ROWID;"
        "CREATE TABLE cache_histogram (cache_id INTEGER NOT NULL REFERENCES cache, kind TEXT "
        "NOT NULL CHECK (kind IN ('eviction_age', 'reuse_time', 'refill_time', 'load_time', "
        "'pin_time')), bucket INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY "
        "(cache_id, kind, bucket)) WITHOUT ROWID;",
        "ALTER TABLE gc_cycle ADD COLUMN collections INTEGER NOT NULL DEFAULT 1;"
        "CREATE TABLE stack_run (last_id INTEGER PRIMARY KEY, parent_id INTEGER, frames TEXT NOT "
        "NULL);"
        "INSERT INTO stack_run SELECT stack_id, parent_id, char(frame_id + CASE WHEN frame_id >= "
        "55296 "
        "THEN 10240 ELSE 0 END) FROM stack;"
        "DROP TABLE stack;"
        "CREATE TABLE site_row (site_id INTEGER PRIMARY KEY, process_id INTEGER NOT NULL "
        "REFERENCES "
        "process, stack_id INTEGER, function TEXT, allocs INTEGER NOT NULL DEFAULT 0, alloc_bytes "
        "INTEGER NOT NULL DEFAULT 0, reallocs INTEGER NOT NULL DEFAULT 0, live_blocks INTEGER NOT "
        "NULL "
        "DEFAULT 0, live_bytes INTEGER NOT NULL DEFAULT 0, died_g1 INTEGER NOT NULL DEFAULT 0, "
        "died_g2 "
        "INTEGER NOT NULL DEFAULT 0, died_g3 INTEGER NOT NULL DEFAULT 0, promoted_g1 INTEGER NOT "
        "NULL "
        "DEFAULT 0, promoted_g2 INTEGER NOT NULL DEFAULT 0, promoted_g3 INTEGER NOT NULL DEFAULT "
        "0, "
        "birth_sum_us INTEGER NOT NULL DEFAULT 0, first_ns INTEGER NOT NULL DEFAULT 0, last_ns "
        "INTEGER, "
        "last_free_ns INTEGER, min_bytes INTEGER, max_bytes INTEGER, peak_seen INTEGER NOT NULL "
        "DEFAULT "
        "0, peak_bytes INTEGER NOT NULL DEFAULT 0, peak_blocks INTEGER NOT NULL DEFAULT 0, "
        "run_peak_seen INTEGER, run_peak_bytes INTEGER, run_peak_blocks INTEGER, life_bytes BLOB, "
        "life_ns BLOB);"
        "INSERT INTO site_row SELECT site_id, process_id, stack_id, function, allocs, alloc_bytes, "
        "reallocs, live_blocks, live_bytes, died_g1, died_g2, died_g3, promoted_g1, promoted_g2, "
        "promoted_g3, birth_sum_us, first_ns, last_ns, last_free_ns, min_bytes, max_bytes, "
        "peak_seen, "
        "peak_bytes, peak_blocks, run_peak_seen, run_peak_bytes, run_peak_blocks, life_bytes, "
        "life_ns "
        "FROM site;"
        "CREATE TABLE site_sample (site_id INTEGER PRIMARY KEY REFERENCES site_row, samples "
        "INTEGER "
        "NOT "
        "NULL, allocs_var REAL NOT NULL, alloc_bytes_var REAL NOT NULL, live_blocks_var REAL NOT "
        "NULL, "
        "live_bytes_var REAL NOT NULL);"
        "INSERT INTO site_sample SELECT site_id, samples, allocs_var, alloc_bytes_var, "
        "live_blocks_var, live_bytes_var FROM site WHERE samples <> 0;"
        "DROP TABLE site;"},
};
static_assert(sizeof steps / sizeof *steps == GM_DB_VERSION - 1, "one step per version");

static int reference_open(sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, gm_schema_sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        sqlite3_close(db);
        return rc;
    }
    *ret_db = db;
    return SQLITE_OK;
}

/* ---- checking
 * ------------------------------------------------------------------------------------------- */

#define SQL_COLUMNS \
    "SELECT m.name, p.name FROM sqlite_schema m JOIN pragma_table_info(m.name) p WHERE m.type = " \
    "'table' " \
    "AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1, 2"

static int text_compare(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    const char *x = (const char *)sqlite3_column_text(a, column),
               *y = (const char *)sqlite3_column_text(b, column);
    return strcmp(x ? x : "", y ? y : "");
}

/* Walks both sorted lists of columns; what the reference has, the file must have. */
static enum gm_db_error check_columns(
    const struct gm_db_context *c, sqlite3 *db, sqlite3 *reference)
{
    sqlite3_stmt *want = NULL, *have = NULL;
    enum gm_db_error e = GM_DB_OK;
    int rc = sqlite3_prepare_v2(reference, SQL_COLUMNS, -1, &want, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, SQL_COLUMNS, -1, &have, NULL);
    while (rc == SQLITE_OK && e == GM_DB_OK && sqlite3_step(want) == SQLITE_ROW) {
        int order = -1;
        while (order < 0 && (rc = sqlite3_step(have)) == SQLITE_ROW) {
            order = text_compare(have, want, 0);
            order = order ? order : text_compare(have, want, 1);
        }
        if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
            rc = SQLITE_OK;
            if (order != 0)
                e = gm_db_say(c, GM_DB_DAMAGED,
                    "is damaged (no column %s.%s); use another copy or record again",
                    sqlite3_column_text(want, 0), sqlite3_column_text(want, 1));
        }
    }
    if (rc != SQLITE_OK)
        e = gm_db_say_sqlite(c, rc, db);
    sqlite3_finalize(want);
    sqlite3_finalize(have);
    return e;
}

static enum gm_db_error check_harmless(const struct gm_db_context *c, sqlite3 *db)
{
    int64_t strange = 0;
    int rc = gm_db_integer(db,
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' OR sql LIKE 'CREATE VIRTUAL%'",
        &strange);
    if (rc != SQLITE_OK)
        return gm_db_say_sqlite(c, rc, db);
    if (strange)
        return gm_db_say(c, GM_DB_FOREIGN,
            "holds triggers or virtual tables, which no recording has; do not trust it");
    return GM_DB_OK;
}

#define SQL_VIEWS "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid"

static bool view_is_current(sqlite3 *db, const char *name, const char *sql)
{
    sqlite3_stmt *s = NULL;
    bool same = false;
    if (sqlite3_prepare_v2(db, "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?1",
            -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(s) == SQLITE_ROW)
            same = strcmp((const char *)sqlite3_column_text(s, 0), sql) == 0;
    }
    sqlite3_finalize(s);
    return same;
}

static int views_are_current(sqlite3 *db, sqlite3 *reference, bool *ret_current)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(reference, SQL_VIEWS, -1, &s, NULL);
    *ret_current = true;
    while (rc == SQLITE_OK && *ret_current && sqlite3_step(s) == SQLITE_ROW)
        *ret_current = view_is_current(
            db, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1));
    sqlite3_finalize(s);
    return rc;
}

/* A temporary view hides the file's own of the same name. All are made, as views of the file that name each
 * other would go on seeing the file's. */
static int views_hide_others(sqlite3 *db, sqlite3 *reference)
{
    static const char create[] = "CREATE VIEW ";
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(reference, SQL_VIEWS, -1, &s, NULL);
    while (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        char *temporary =
            sqlite3_mprintf("CREATE TEMP VIEW %s", sqlite3_column_text(s, 1) + strlen(create));
        rc = temporary ? sqlite3_exec(db, temporary, NULL, NULL, NULL) : SQLITE_NOMEM;
        sqlite3_free(temporary);
    }
    sqlite3_finalize(s);
    return rc;
}

enum gm_db_error gm_db_check_schema(const struct gm_db_context *c, sqlite3 *db)
{
    sqlite3 *reference = NULL;
    int rc = reference_open(&reference);
    if (rc != SQLITE_OK)
        return gm_db_say_sqlite(c, rc, NULL);
    enum gm_db_error e = check_harmless(c, db);
    if (e == GM_DB_OK)
        e = check_columns(c, db, reference);
    if (e == GM_DB_OK) {
        bool current = true;
        rc = views_are_current(db, reference, &current);
        if (rc == SQLITE_OK && !current)
            rc = views_hide_others(db, reference);
        e = rc == SQLITE_OK ? GM_DB_OK : gm_db_say_sqlite(c, rc, db);
    }
    sqlite3_close(reference);
    return e;
}

/* ---- migrating
 * ------------------------------------------------------------------------------------------ */

static int database_copy(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return sqlite3_extended_errcode(to);
    int rc = sqlite3_backup_step(b, -1);
    int end = sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? SQLITE_OK : end ? end : rc;
}

static int views_drop(sqlite3 *db)
{
    for (;;) {
        sqlite3_stmt *s = NULL;
        char *sql = NULL;
        int rc = sqlite3_prepare_v2(db,
            "SELECT printf('DROP VIEW \"%w\"', name) FROM sqlite_schema WHERE type = 'view' LIMIT "
            "1",
            -1, &s, NULL);
        if (rc == SQLITE_OK) {
            rc = sqlite3_step(s);
            if (rc == SQLITE_ROW)
                sql = sqlite3_mprintf("%s", sqlite3_column_text(s, 0));
        }
        sqlite3_finalize(s);
        if (!sql)
            return rc == SQLITE_DONE ? SQLITE_OK : rc == SQLITE_ROW ? SQLITE_NOMEM : rc;
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
        sqlite3_free(sql);
        if (rc != SQLITE_OK)
            return rc;
    }
}

static int views_create(sqlite3 *db)
{
    sqlite3 *reference = NULL;
    sqlite3_stmt *s = NULL;
    int rc = reference_open(&reference);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(reference,
            "SELECT sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid", -1, &s, NULL);
    while (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        rc = sqlite3_exec(db, (const char *)sqlite3_column_text(s, 0), NULL, NULL, NULL);
    sqlite3_finalize(s);
    sqlite3_close(reference);
    return rc;
}

static int step_apply(sqlite3 *db, const char *const *step)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < STEP_PARTS && step[i] && rc == SQLITE_OK; i++)
        rc = sqlite3_exec(db, step[i], NULL, NULL, NULL);
    return rc;
}

static int steps_apply(sqlite3 *db, int version)
{
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = views_drop(db);
    for (; rc == SQLITE_OK && version < GM_DB_VERSION; version++)
        rc = step_apply(db, steps[version - 1]);
    if (rc == SQLITE_OK)
        rc = views_create(db);
    if (rc == SQLITE_OK) {
        char *sql = sqlite3_mprintf("PRAGMA user_version=%d; COMMIT", GM_DB_VERSION);
        rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
        sqlite3_free(sql);
    }
    return rc;
}

/* Damage anywhere in the input must not travel into the copy as plausible rows. */
static enum gm_db_error check_whole(const struct gm_db_context *c, sqlite3 *db)
{
    int64_t whole = 0;
    int rc = gm_db_integer(db, "SELECT quick_check = 'ok' FROM pragma_quick_check(1)", &whole);
    if (rc != SQLITE_OK)
        return gm_db_say_sqlite(c, rc, db);
    return whole ? GM_DB_OK : gm_db_say_sqlite(c, SQLITE_CORRUPT, NULL);
}

enum gm_db_error gm_db_migrate_into(
    const struct gm_db_context *c, sqlite3 *from, int version, const char *to)
{
    sqlite3 *db = NULL;
    enum gm_db_error e = check_whole(c, from);
    if (e == GM_DB_OK)
        e = check_harmless(c, from);
    if (e != GM_DB_OK)
        return e;
    int rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK)
        rc = database_copy(db, from);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(
            db, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = steps_apply(db, version);
    /* A step that does not fit the tables it finds is damage in the file, not an error of the
     * user's. */
    if ((rc & 0xff) == SQLITE_ERROR)
        rc = SQLITE_CORRUPT;
    e = rc == SQLITE_OK ? gm_db_check_schema(c, db) : gm_db_say_sqlite(c, rc, NULL);
    if (sqlite3_close(db) != SQLITE_OK && e == GM_DB_OK)
        e = gm_db_say_sqlite(c, SQLITE_BUSY, NULL);
    return e;
}

enum gm_db_error gm_db_migrate_private(const struct gm_db_context *c, sqlite3 **db, int version)
{
    char name[PATH_MAX];
    sqlite3 *copy = NULL;
    if (gm_db_temp_name(name, sizeof name) < 0)
        return gm_db_say(c, GM_DB_OLDER,
            "has schema version %d and no copy can be made in the temporary folder; "
            "set TMPDIR to a folder with room",
            version);
    enum gm_db_error e = gm_db_migrate_into(c, *db, version, name);
    if (e != GM_DB_OK) {
        gm_db_remove(name);
        return e;
    }
    int rc = gm_db_open_unlinked(name, &copy);
    if (rc != SQLITE_OK)
        return gm_db_say_sqlite(c, rc, NULL);
    sqlite3_close(*db);
    *db = copy;
    return GM_DB_OK;
}
