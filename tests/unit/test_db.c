/* Opening, refusing and migrating recordings; cleaning text; the registry. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schemas/db.h"
#include "schemas/registry.h"
#include "schemas/text.h"

static char folder[64], file[128], copy[128], message[1024];

static void folder_make(void)
{
    snprintf(folder, sizeof folder, "/tmp/gm-test-db-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/a b?.geomem", folder);
    snprintf(copy, sizeof copy, "%s/copy.geomem", folder);
}

static void folder_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(db, .init = folder_make, .fini = folder_remove);
TestSuite(registry, .init = folder_make, .fini = folder_remove);

static void run_sql(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &error), SQLITE_OK, "%s: %s", sql, error);
}

static const char insert_run[] = "INSERT INTO run (run_id, geomem_version, program, command, cwd, "
                                 "host, kernel, cpus, page_bytes, boot_id,"
                                 " recorder_pid, recorder_start_ticks, start_utc_ns, options, "
                                 "g1_age_bytes, g2_age_bytes, g3_age_bytes, state,"
                                 " duration_ns) VALUES (1, '0', 'p', '[]', '/', 'h', 'k', 1, 4096, "
                                 "'b', 1, 1, 0, '{}', 1, 2, 3, 'recording', 0);";

static sqlite3 *create(const char *path)
{
    sqlite3 *db = NULL;
    cr_assert_eq(gm_db_create(path, &db, message, sizeof message), GM_DB_OK, "%s", message);
    run_sql(db, insert_run);
    return db;
}

/* A finished recording. */
static void create_complete(const char *path)
{
    sqlite3 *db = create(path);
    run_sql(db, "UPDATE run SET state = 'complete'; INSERT INTO string VALUES (1, 'one'); PRAGMA "
                "journal_mode=DELETE;");
    sqlite3_close(db);
}

static sqlite3 *reader(const char *path)
{
    sqlite3 *db = NULL;
    cr_assert_eq(gm_db_open_reader(path, &db, message, sizeof message), GM_DB_OK, "%s", message);
    return db;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(s), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
    int64_t value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static void expect_refused(const char *path, enum gm_db_error error, const char *part)
{
    sqlite3 *db = (sqlite3 *)(void *)file;
    message[0] = 0;
    cr_expect_eq(
        gm_db_open_reader(path, &db, message, sizeof message), error, "%s: %s", path, message);
    cr_expect_eq((void *)db, (void *)file, "left untouched");
    cr_expect(strstr(message, part), "%s: %s", part, message);
    cr_expect(!strchr(message, '\n') && !strchr(message, '\x1b'), "%s", message);
}

/* In a child: creates a recording, commits one string, and is killed as it stands. */
static void create_and_be_killed(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        sqlite3 *db = create(path);
        run_sql(db, "INSERT INTO string VALUES (1, 'one')");
        raise(SIGKILL);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status));
}

static bool exists(const char *path, const char *tail)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", path, tail);
    return access(name, F_OK) == 0;
}

Test(db, a_new_recording_has_the_documented_settings)
{
    sqlite3 *db = create(file);
    cr_expect_eq(number(db, "PRAGMA page_size"), 4096);
    cr_expect_eq(number(db, "PRAGMA synchronous"), 1);
    cr_expect_eq(number(db, "PRAGMA secure_delete"), 0);
    cr_expect_eq(number(db, "PRAGMA wal_autocheckpoint"), 16000);
    cr_expect_eq(number(db, "PRAGMA application_id"), 0x474D454D);
    cr_expect_eq(number(db, "PRAGMA user_version"), GM_DB_VERSION);
    cr_expect_eq(
        number(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    sqlite3 *second = NULL;
    cr_expect_eq(
        gm_db_create(file, &second, message, sizeof message), GM_DB_MISSING, "exists already");
    cr_expect(strstr(message, "-f"), "%s", message);
    sqlite3_close(db);
}

Test(db, a_stale_journal_is_not_taken_for_ours)
{
    char wal[160];
    create_and_be_killed(file);
    snprintf(wal, sizeof wal, "%s-wal", file);
    cr_assert(exists(file, "-wal"));
    unlink(file);
    sqlite3 *db = create(file);
    cr_expect_eq(number(db, "SELECT count(*) FROM string"), 0);
    sqlite3_close(db);
}

Test(db, a_live_recording_can_be_read_and_grows)
{
    sqlite3 *writer = create(file), *db = reader(file);
    cr_expect_eq(number(db, "SELECT count(*) FROM string"), 0);
    run_sql(writer, "INSERT INTO string VALUES (1, 'one')");
    cr_expect_eq(number(db, "SELECT count(*) FROM string"), 1);
    gm_db_close(db);
    cr_expect(exists(file, "-wal"), "the recorder's, not ours to remove");
    run_sql(writer, "INSERT INTO string VALUES (2, 'two')");
    sqlite3_close(writer);
}

Test(db, the_last_reader_leaves_one_file)
{
    sqlite3 *writer = create(file), *db = reader(file);
    cr_expect_eq(number(db, "SELECT count(*) FROM run"), 1);
    run_sql(writer, "UPDATE run SET state = 'complete'");
    sqlite3_busy_timeout(writer, 0);
    cr_expect_neq(sqlite3_exec(writer, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL), SQLITE_OK,
        "a reader holds it");
    sqlite3_close(writer);
    cr_expect(exists(file, "-wal"));
    gm_db_close(db);
    cr_expect(!exists(file, "-wal") && !exists(file, "-shm"));
    db = reader(file);
    cr_expect_eq(
        number(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'delete'"), 1);
    gm_db_close(db);
}

Test(db, a_killed_recorders_last_commit_is_there)
{
    create_and_be_killed(file);
    sqlite3 *db = reader(file);
    cr_expect_eq(number(db, "SELECT count(*) FROM string"), 1);
    cr_expect(!gm_db_recorder_lives(db));
    gm_db_close(db);
}

/* As a user who may read the folder and no more; with what lies in it. Returns strings seen. */
static int64_t read_as_nobody(void)
{
    int pipes[2], status;
    int64_t seen = -1;
    cr_assert_eq(chmod(folder, 0555), 0);
    cr_assert_eq(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        sqlite3 *db = NULL;
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(1);
        if (gm_db_open_reader(file, &db, message, sizeof message) != GM_DB_OK)
            _exit(2);
        seen = number(db, "SELECT count(*) FROM string");
        gm_db_close(db);
        _exit(write(pipes[1], &seen, sizeof seen) == sizeof seen ? 0 : 3);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "status %x", status);
    cr_assert_eq(read(pipes[0], &seen, sizeof seen), sizeof seen);
    close(pipes[0]);
    close(pipes[1]);
    cr_assert_eq(chmod(folder, 0755), 0);
    return seen;
}

Test(db, a_read_only_folder_is_enough)
{
    char tail[160];
    create_complete(file);
    cr_expect_eq(read_as_nobody(), 1, "finished");
    gm_db_remove(file);
    create_and_be_killed(file);
    cr_expect_eq(read_as_nobody(), 1, "cut, with -wal and -shm");
    snprintf(tail, sizeof tail, "%s-shm", file);
    unlink(tail);
    cr_expect_eq(read_as_nobody(), 1, "cut, with -wal: from a private copy");
    snprintf(tail, sizeof tail, "%s-wal", file);
    unlink(tail);
    cr_expect_eq(read_as_nobody(), 0, "the main file alone");
}

Test(db, what_is_no_recording_is_named)
{
    sqlite3 *db = NULL;
    char path[128];
    expect_refused("/no/such/file", GM_DB_MISSING, "/no/such/file");
    expect_refused("no\x1b[31m\nfile", GM_DB_MISSING, "no\\x1b[31m\\x0afile");
    expect_refused("", GM_DB_MISSING, "no such file");
    expect_refused(":memory:", GM_DB_MISSING, ":memory:");
    expect_refused(folder, GM_DB_FOREIGN, "folder");
    expect_refused("/dev/null", GM_DB_FOREIGN, "regular");
    snprintf(path, sizeof path, "%s/x", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    expect_refused(path, GM_DB_EMPTY, "empty");
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    run_sql(db, "CREATE TABLE t (a)");
    sqlite3_close(db);
    expect_refused(path, GM_DB_FOREIGN, "not a geomem recording");
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fputs("hello, world\n", f);
    fclose(f);
    expect_refused(path, GM_DB_FOREIGN, "not a geomem recording");
}

Test(db, other_versions_are_named_by_number)
{
    sqlite3 *db = NULL;
    create_complete(file);
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db, "PRAGMA user_version = 77");
    sqlite3_close(db);
    expect_refused(file, GM_DB_NEWER, "77");
    cr_expect_eq(gm_db_migrate_copy(file, copy, message, sizeof message), GM_DB_NEWER);
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db, "PRAGMA user_version = 0");
    sqlite3_close(db);
    expect_refused(file, GM_DB_DAMAGED, "0");
}

Test(db, what_lacks_a_column_or_brings_a_trigger_is_refused)
{
    sqlite3 *db = NULL;
    create_complete(file);
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db, "CREATE TRIGGER t AFTER INSERT ON string BEGIN DELETE FROM run; END");
    sqlite3_close(db);
    expect_refused(file, GM_DB_FOREIGN, "triggers");
    gm_db_remove(file);
    create_complete(file);
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db, "CREATE VIRTUAL TABLE t USING fts5(a)");
    sqlite3_close(db);
    expect_refused(file, GM_DB_FOREIGN, "virtual");
    gm_db_remove(file);
    create_complete(file);
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db, "PRAGMA writable_schema=ON; ALTER TABLE loss RENAME COLUMN reason TO why");
    sqlite3_close(db);
    expect_refused(file, GM_DB_DAMAGED, "loss.reason");
}

Test(db, a_views_text_is_ours_whatever_the_file_says)
{
    sqlite3 *db = NULL;
    create_complete(file);
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db,
        "DROP VIEW v_leaks; DROP VIEW v_frames; CREATE VIEW v_frames AS SELECT 'lies' AS function");
    sqlite3_close(db);
    db = reader(file);
    cr_expect_eq(number(db, "SELECT count(*) FROM v_leaks"), 0);
    cr_expect_eq(number(db, "SELECT count(*) FROM v_frames"), 0);
    gm_db_close(db);
}

Test(db, readers_cannot_write_and_views_still_work)
{
    create_complete(file);
    sqlite3 *db = reader(file);
    cr_expect_neq(sqlite3_exec(db, "DELETE FROM run", NULL, NULL, NULL), SQLITE_OK);
    cr_expect_eq(number(db, "SELECT count(*) FROM v_lifetimes"), 0, "json_each is allowed");
    cr_expect_eq(number(db, "PRAGMA trusted_schema"), 0);
    cr_expect_eq(number(db, "PRAGMA cell_size_check"), 1);
    gm_db_close(db);
}

/* Overwrites or cuts at every 1/40 of the file: each is refused, or read without a crash. */
Test(db, damage_anywhere_never_crashes_and_never_migrates)
{
    create_complete(file);
    FILE *f = fopen(file, "r");
    static char good[1 << 20], bad[1 << 20];
    size_t n = fread(good, 1, sizeof good, f);
    fclose(f);
    int refused = 0;
    for (size_t i = 0; i < 40; i++) {
        memcpy(bad, good, n);
        memset(bad + n * i / 40, 0xa5, n / 40 < 700 ? n / 40 : 700);
        f = fopen(copy, "w");
        fwrite(bad, 1, n, f);
        fclose(f);
        sqlite3 *db = NULL;
        if (gm_db_open_reader(copy, &db, message, sizeof message) != GM_DB_OK)
            refused++;
        gm_db_close(db);
        gm_db_remove(copy);
    }
    cr_expect_gt(refused, 0);
    for (size_t i = 1; i < 40; i++) {
        f = fopen(copy, "w");
        fwrite(good, 1, n * i / 40, f);
        fclose(f);
        sqlite3 *db = NULL;
        cr_expect_neq(
            gm_db_open_reader(copy, &db, message, sizeof message), GM_DB_OK, "cut at %zu/40", i);
        char migrated[160];
        snprintf(migrated, sizeof migrated, "%s/migrated", folder);
        cr_expect_neq(gm_db_migrate_copy(copy, migrated, message, sizeof message), GM_DB_OK,
            "cut at %zu/40", i);
        cr_expect(!exists(migrated, ""), "nothing is left of it");
        gm_db_remove(copy);
    }
}

Test(db, migrating_a_current_recording_copies_it)
{
    struct stat before, after;
    create_and_be_killed(file);
    stat(file, &before);
    cr_assert_eq(gm_db_migrate_copy(file, copy, message, sizeof message), GM_DB_OK, "%s", message);
    stat(file, &after);
    cr_expect(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec, "the original is not touched");
    sqlite3 *db = reader(copy);
    cr_expect_eq(number(db, "SELECT count(*) FROM string"), 1);
    gm_db_close(db);
    cr_expect_eq(gm_db_migrate_copy(file, copy, message, sizeof message), GM_DB_MISSING,
        "never over a file");
}

/* ---- migrations ---- */

/* A recording of an older version, from its dump in tests/fixtures. */
static void fixture_make(const char *name, const char *path)
{
    char dump[512];
    static char sql[1 << 20];
    sqlite3 *db = NULL;
    snprintf(dump, sizeof dump, "%s/%s", GM_TEST_FIXTURES, name);
    FILE *f = fopen(dump, "r");
    cr_assert(f, "%s", dump);
    sql[fread(sql, 1, sizeof sql - 1, f)] = 0;
    fclose(f);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    run_sql(db, sql);
    sqlite3_close(db);
}

/* The fixtures are recordings of the same program. */
static void expect_migrated(sqlite3 *db)
{
    cr_expect_eq(number(db, "PRAGMA user_version"), GM_DB_VERSION);
    cr_expect_eq(
        number(db, "SELECT memory_limit_bytes IS NULL AND memory_limit_kind IS NULL FROM v_run"),
        1);
    cr_expect_eq(number(db, "SELECT sum(allocs) FROM site"), 3);
    cr_expect_eq(number(db, "SELECT sum(live_bytes) FROM v_leaks"), 3333);
    cr_expect_eq(number(db, "SELECT sum(run_peak_bytes) FROM v_sites"),
        number(db, "SELECT peak_live_bytes FROM v_run"), "the parent had ended before the peak");
    cr_expect_eq(
        number(db, "SELECT count(*) FROM v_stacks"), number(db, "SELECT count(*) FROM site"));
    cr_expect_eq(number(db, "SELECT count(*) FROM event_chunk"), 0);
    cr_expect_eq(
        number(db, "SELECT (SELECT count(*) FROM v_gc) + (SELECT count(*) FROM v_gc_sites)"), 0);
    cr_expect_eq(number(db, "SELECT count(*) FROM v_generations WHERE kind <> 'age'"), 0);
    cr_expect_eq(
        number(db, "SELECT (SELECT count(*) FROM v_caches) + (SELECT count(*) FROM v_gc_stops)"),
        0);
}

static void expect_read_as_current(const char *fixture)
{
    struct stat before, after;
    fixture_make(fixture, file);
    stat(file, &before);
    sqlite3 *db = reader(file);
    expect_migrated(db);
    gm_db_close(db);
    stat(file, &after);
    cr_expect(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_size == after.st_size);
    cr_expect_eq(gm_db_open_writer(file, &db, message, sizeof message), GM_DB_OLDER);
    cr_expect(strstr(message, "--migrate"), "%s", message);
}

Test(db, a_recording_of_version_1_is_read_as_a_current_one)
{
    expect_read_as_current("v1.sql");
}

Test(db, a_recording_of_version_2_is_read_as_a_current_one)
{
    expect_read_as_current("v2.sql");
}

Test(db, a_recording_of_version_3_is_read_as_a_current_one)
{
    expect_read_as_current("v3.sql");
}

Test(db, a_recording_of_version_4_is_read_as_a_current_one)
{
    expect_read_as_current("v4.sql");
}

static void expect_migrated_into_new(const char *fixture)
{
    sqlite3 *db = NULL;
    fixture_make(fixture, file);
    cr_assert_eq(gm_db_migrate_copy(file, copy, message, sizeof message), GM_DB_OK, "%s", message);
    cr_assert_eq(gm_db_open_writer(copy, &db, message, sizeof message), GM_DB_OK, "%s", message);
    expect_migrated(db);
    cr_expect_eq(number(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check(1)"), 1);
    cr_expect_eq(
        number(db, "SELECT count(*) FROM temp.sqlite_schema"), 0, "the views are the current ones");
    gm_db_close(db);
}

Test(db, a_recording_of_version_1_is_migrated_into_a_new_file)
{
    expect_migrated_into_new("v1.sql");
}

Test(db, a_recording_of_version_2_is_migrated_into_a_new_file)
{
    expect_migrated_into_new("v2.sql");
}

Test(db, a_recording_of_version_3_is_migrated_into_a_new_file)
{
    expect_migrated_into_new("v3.sql");
}

Test(db, a_recording_of_version_4_is_migrated_into_a_new_file)
{
    expect_migrated_into_new("v4.sql");
}

Test(db, a_damaged_recording_of_version_1_is_refused)
{
    static char good[1 << 20];
    fixture_make("v1.sql", file);
    FILE *f = fopen(file, "r");
    size_t n = fread(good, 1, sizeof good, f);
    fclose(f);
    for (size_t i = 1; i < 20; i++) {
        f = fopen(copy, "w");
        fwrite(good, 1, n * i / 20, f);
        fclose(f);
        sqlite3 *db = NULL;
        cr_expect_neq(
            gm_db_open_reader(copy, &db, message, sizeof message), GM_DB_OK, "cut at %zu/20", i);
        gm_db_remove(copy);
    }
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    run_sql(db, "ALTER TABLE run RENAME TO ran");
    sqlite3_close(db);
    expect_refused(file, GM_DB_DAMAGED, "damaged");
}

Test(text, control_characters_and_bad_utf8_become_visible)
{
    static const struct {
        const char *raw, *clean;
    } cases[] = {
        {"plain", "plain"},
        {"\x1b[31m", "\\x1b[31m"},
        {"a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
        {"\xe2\x82", "\\xe2\\x82"},                   /* cut */
        {"\xc2\x9b", "\\xc2\\x9b"},                   /* C1: CSI */
        {"a\xe2\x80\xae"
         "b",
            "a\\xe2\\x80\\xae"
            "b"}, /* right-to-left override */
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"back\\slash", "back\\slash"},
    };
    char out[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(gm_text_clean(cases[i].raw, out, sizeof out), cases[i].clean);
    cr_expect_str_eq(gm_text_clean(NULL, out, sizeof out), "");
    cr_expect_str_eq(gm_text_clean("ab\x01"
                                   "c",
                         out, 6),
        "ab", "never cut inside an escape");
    cr_expect_str_eq(gm_text_clean("ab\xc3\xbc", out, 4), "ab", "nor inside a character");
    cr_expect_str_eq(gm_text_json("a\"b\\c\x1b", out, sizeof out), "\"a\\\"b\\\\c\\\\x1b\"");
    cr_expect_str_eq(gm_text_json("abcdef", out, 6), "\"abc\"");
}

static bool registry_show(void *context, const struct gm_registry_entry *entry)
{
    struct gm_registry_entry *found = context;
    if (entry->recorder_pid == getpid())
        *found = *entry;
    return true;
}

Test(registry, an_entry_is_found_until_its_recorder_is_gone)
{
    char registry[PATH_MAX], real[PATH_MAX], stale[PATH_MAX + 16];
    struct gm_registry_entry found = {0};
    setenv("XDG_RUNTIME_DIR", folder, 1);
    create_complete(file);
    cr_assert_eq(gm_registry_folder(registry, sizeof registry), 0);
    cr_assert_eq(strncmp(registry, folder, strlen(folder)), 0);
    cr_assert_eq(gm_registry_add(registry, file), 0);
    gm_registry_list(registry_show, &found);
    cr_expect_eq(found.recorder_pid, getpid());
    cr_expect_str_eq(found.file, realpath(file, real));
    cr_expect(strstr(found.socket, ".sock"));

    pid_t pid = fork(); /* a recorder that dies without taking its entry out */
    if (pid == 0)
        _exit(gm_registry_add(registry, file) == 0 ? 0 : 1);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    snprintf(stale, sizeof stale, "%s/%d", registry, (int)pid);
    cr_assert_eq(access(stale, F_OK), 0);
    gm_registry_list(registry_show, &found);
    cr_expect_eq(access(stale, F_OK), -1, "removed by who comes across it");

    gm_registry_remove(registry);
    found.recorder_pid = 0;
    gm_registry_list(registry_show, &found);
    cr_expect_eq(found.recorder_pid, 0);
}

Test(registry, a_folder_that_is_open_to_others_is_not_used)
{
    char registry[PATH_MAX], name[160];
    setenv("XDG_RUNTIME_DIR", folder, 1);
    snprintf(name, sizeof name, "%s/geomem-%u", folder, (unsigned)geteuid());
    mkdir(name, 0700);
    chmod(name, 0777);
    cr_expect_eq(gm_registry_folder(registry, sizeof registry), -EPERM);
    rmdir(name);
    cr_assert_eq(symlink("/tmp", name), 0);
    cr_expect_eq(gm_registry_folder(registry, sizeof registry), -EPERM);
}
