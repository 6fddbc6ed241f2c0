/* db.c - creating, opening and closing recordings. See db.h; migrations are in db_migrate.c.
 *
 * How a reader gets in, in this order:
 *   1. read-only on the file itself: finished recordings, live ones (the -wal and -shm of the
 * recorder are shared), and those of a dead recorder in a folder where SQLite may make its -shm
 *   2. where SQLite may not (read-only folder or medium) and a -wal holds data: a private copy of
 * both files, recovered there
 *   3. else, or without room for a copy: the main file as it is (immutable=1)
 * A private copy is unlinked as soon as it is open, so nothing is left behind however the reader
 * ends.
 *
 * No descriptor of the recording is ever opened and closed beside SQLite's own while it is open:
 * closing one would drop the POSIX locks of every connection this process has on that file.
 */
#include "schemas/db.h"
#include "schemas/db_internal.h"
#include "schemas/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READER_BUSY_MS 2000 /* longer than any commit of the recorder; arbitrary */
#define COPY_ATTEMPTS 3 /* a private copy of a file that is being written may need another try */

/* ---- messages
 * ------------------------------------------------------------------------------------------- */

enum gm_db_error gm_db_say(
    const struct gm_db_context *c, enum gm_db_error error, const char *format, ...)
{
    char name[GM_TEXT_CLEAN_ROOM(256)];
    gm_text_clean(c->path, name, sizeof name);
    int n = snprintf(c->message, c->message_bytes, "%s: ", name);
    if (n < 0 || (size_t)n >= c->message_bytes)
        return error;
    va_list args;
    va_start(args, format);
    vsnprintf(c->message + n, c->message_bytes - (size_t)n, format, args);
    va_end(args);
    return error;
}

enum gm_db_error gm_db_say_sqlite(const struct gm_db_context *c, int rc, sqlite3 *db)
{
    char reason[256];
    gm_text_clean(db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), reason, sizeof reason);
    switch (rc & 0xff) {
    case SQLITE_NOTADB:
        return gm_db_say(
            c, GM_DB_FOREIGN, "is not a geomem recording; name a file written by geomem-record");
    case SQLITE_CORRUPT:
        return gm_db_say(c, GM_DB_DAMAGED,
            "is damaged (%s); use another copy, or save what is readable with sqlite3's .recover",
            reason);
    case SQLITE_FULL:
        return gm_db_say(c, GM_DB_OTHER,
            "cannot be written: the disk is full; free some space or name another folder");
    case SQLITE_BUSY:
        return gm_db_say(
            c, GM_DB_OTHER, "is locked by another program; try again when it has ended");
    case SQLITE_NOMEM:
        return gm_db_say(c, GM_DB_OTHER, "cannot be opened: out of memory");
    default:
        return gm_db_say(
            c, GM_DB_OTHER, "cannot be opened (%s); check the disk and the permissions", reason);
    }
}

static enum gm_db_error say_errno(const struct gm_db_context *c, const char *what, int error)
{
    return gm_db_say(
        c, GM_DB_MISSING, "%s (%s); check the name and the permissions", what, strerror(error));
}

/* ---- small helpers
 * -------------------------------------------------------------------------------------- */

int gm_db_integer(sqlite3 *db, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW) {
            *ret_value = sqlite3_column_int64(s, 0);
            rc = SQLITE_OK;
        } else if (rc == SQLITE_DONE) {
            rc = SQLITE_EMPTY;
        }
    }
    sqlite3_finalize(s);
    return rc;
}

/* What no recording needs and a hostile file could use. */
static int db_harden(sqlite3 *db)
{
    static const struct {
        int id, value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, 64 << 20}, /* longest text: a symbol or command line is far below */
        {SQLITE_LIMIT_SQL_LENGTH, 1 << 20},
        {SQLITE_LIMIT_COLUMN, 200},
        {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_COMPOUND_SELECT, 50},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        sqlite3_limit(db, limits[i].id, limits[i].value);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    return sqlite3_exec(db,
        "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;", NULL, NULL,
        NULL);
}

/* A connection is used by one thread at a time, so SQLite's own locks and its count of memory only cost:
 * a twentieth of the recorder's CPU time on a compiler. Without effect once SQLite is in use. */
static int db_open(const char *name, int flags, sqlite3 **ret_db)
{
    static bool configured;
    if (!configured) {
        sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        configured = true;
    }
    return sqlite3_open_v2(name, ret_db, flags | SQLITE_OPEN_NOMUTEX, NULL);
}

/* Opens and reads the schema once, so that every reason why it cannot be read shows here. */
static int db_try(const char *name, int flags, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int64_t objects;
    int rc = db_open(name, flags, &db);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, READER_BUSY_MS);
        rc = db_harden(db);
    }
    if (rc == SQLITE_OK)
        rc = gm_db_integer(db, "SELECT count(*) FROM sqlite_schema", &objects);
    if (rc != SQLITE_OK) {
        sqlite3_close(db);
        return rc;
    }
    *ret_db = db;
    return SQLITE_OK;
}

static bool byte_is_plain(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte && strchr("/.-_", byte));
}

/* file:/a%20b?immutable=1, for any bytes in the path. */
static char *uri_immutable(const char *real)
{
    static const char tail[] = "?immutable=1";
    char *uri = malloc(strlen("file:") + 3 * strlen(real) + sizeof tail);
    if (!uri)
        return NULL;
    char *p = stpcpy(uri, "file:");
    for (const unsigned char *q = (const unsigned char *)real; *q; q++) {
        if (byte_is_plain(*q))
            *p++ = (char)*q;
        else
            p += sprintf(p, "%%%02x", *q);
    }
    strcpy(p, tail);
    return uri;
}

/* ---- the private copy
 * ----------------------------------------------------------------------------------- */

static int file_copy(const char *from, const char *to, int to_flags)
{
    char buffer[1 << 16];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, r = 0;
    if (in < 0)
        return -errno;
    out = open(to, O_WRONLY | O_CLOEXEC | to_flags, 0600);
    if (out < 0)
        r = -errno;
    while (r == 0) {
        ssize_t n = read(in, buffer, sizeof buffer);
        if (n <= 0) {
            r = n < 0 ? -errno : 0;
            break;
        }
        for (ssize_t done = 0; done < n && r == 0;) {
            ssize_t k = write(out, buffer + done, (size_t)(n - done));
            if (k < 0 && errno != EINTR)
                r = -errno;
            done += k > 0 ? k : 0;
        }
    }
    close(in);
    if (out >= 0 && close(out) < 0 && r == 0)
        r = -errno;
    return r;
}

int gm_db_temp_name(char *name, size_t room)
{
    const char *dir = secure_getenv("TMPDIR");
    if (!dir || dir[0] != '/')
        dir = "/tmp";
    if ((size_t)snprintf(name, room, "%s/geomem-XXXXXX", dir) >= room)
        return -ENAMETOOLONG;
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

void gm_db_remove(const char *name)
{
    static const char *const tails[] = {"", "-wal", "-shm", "-journal"};
    char path[PATH_MAX + 16];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        if ((size_t)snprintf(path, sizeof path, "%s%s", name, tails[i]) < sizeof path)
            unlink(path);
    }
}

/* Copies main file and -wal to `name` until neither was checkpointed in between (a changed main
 * file). */
static int copy_pair(const char *real, const char *name)
{
    char wal[PATH_MAX + 8], wal_copy[PATH_MAX + 8];
    snprintf(wal, sizeof wal, "%s-wal", real);
    snprintf(wal_copy, sizeof wal_copy, "%s-wal", name);
    for (int i = 0; i < COPY_ATTEMPTS; i++) {
        struct stat before, after;
        if (stat(real, &before) < 0)
            return -errno;
        int r = file_copy(wal, wal_copy, O_CREAT | O_TRUNC);
        if (r == 0)
            r = file_copy(real, name, O_TRUNC);
        if (r < 0)
            return r;
        if (stat(real, &after) == 0 && before.st_size == after.st_size &&
            before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
            before.st_mtim.tv_nsec == after.st_mtim.tv_nsec)
            return 0;
    }
    return -EBUSY;
}

int gm_db_open_unlinked(const char *name, sqlite3 **ret_db)
{
    int rc = db_try(name, SQLITE_OPEN_READONLY, ret_db);
    gm_db_remove(name);
    return rc;
}

static int open_private_copy(const char *real, sqlite3 **ret_db)
{
    char name[PATH_MAX];
    sqlite3 *db = NULL;
    if (gm_db_temp_name(name, sizeof name) < 0)
        return SQLITE_CANTOPEN;
    int rc = copy_pair(real, name) < 0 ? SQLITE_CANTOPEN : db_try(name, SQLITE_OPEN_READWRITE, &db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    sqlite3_close(db);
    if (rc != SQLITE_OK) {
        gm_db_remove(name);
        return rc;
    }
    return gm_db_open_unlinked(name, ret_db);
}

/* ---- readers
 * -------------------------------------------------------------------------------------------- */

/* What stat and access say before SQLite is asked. On success the resolved name is in `real`. */
static enum gm_db_error file_probe(const struct gm_db_context *c, char real[PATH_MAX])
{
    struct stat st;
    if (!realpath(c->path, real) || stat(real, &st) < 0) {
        if (errno == ENOENT)
            return gm_db_say(c, GM_DB_MISSING,
                "no such file; record one with: geomem-record -o FILE -- PROGRAM");
        return say_errno(c, "cannot be read", errno);
    }
    if (S_ISDIR(st.st_mode))
        return gm_db_say(c, GM_DB_FOREIGN, "is a folder; name the .geomem file in it");
    if (!S_ISREG(st.st_mode))
        return gm_db_say(
            c, GM_DB_FOREIGN, "is not a regular file; name a file written by geomem-record");
    if (access(real, R_OK) < 0)
        return say_errno(c, "cannot be read", errno);
    if (st.st_size == 0)
        return gm_db_say(
            c, GM_DB_EMPTY, "is empty; nothing was ever recorded into it, record again");
    return GM_DB_OK;
}

static bool wal_has_data(const char *real)
{
    char wal[PATH_MAX + 8];
    struct stat st;
    snprintf(wal, sizeof wal, "%s-wal", real);
    return stat(wal, &st) == 0 && st.st_size > 0;
}

/* The main file alone; for folders in which SQLite may make no -shm. */
static int open_immutable(const char *real, sqlite3 **ret_db)
{
    char *uri = uri_immutable(real);
    if (!uri)
        return SQLITE_NOMEM;
    int rc = db_try(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, ret_db);
    free(uri);
    return rc;
}

static int open_any_way(const char *real, sqlite3 **ret_db)
{
    int rc = db_try(real, SQLITE_OPEN_READONLY, ret_db);
    int primary = rc & 0xff;
    if (primary != SQLITE_CANTOPEN && primary != SQLITE_READONLY && primary != SQLITE_PERM)
        return rc;
    if (wal_has_data(real) && open_private_copy(real, ret_db) == SQLITE_OK)
        return SQLITE_OK;
    return open_immutable(real, ret_db);
}

enum gm_db_error gm_db_read_version(const struct gm_db_context *c, sqlite3 *db, int *ret_version)
{
    int64_t id = 0, version = 0;
    int rc = gm_db_integer(db, "PRAGMA application_id", &id);
    if (rc == SQLITE_OK)
        rc = gm_db_integer(db, "PRAGMA user_version", &version);
    if (rc != SQLITE_OK)
        return gm_db_say_sqlite(c, rc, db);
    if (id != GM_DB_APPLICATION_ID)
        return gm_db_say(
            c, GM_DB_FOREIGN, "is not a geomem recording; name a file written by geomem-record");
    if (version > GM_DB_VERSION)
        return gm_db_say(c, GM_DB_NEWER,
            "has schema version %lld, this geomem reads up to %d; use a newer geomem",
            (long long)version, GM_DB_VERSION);
    if (version < 1)
        return gm_db_say(c, GM_DB_DAMAGED,
            "has schema version %lld, which never existed; use another copy", (long long)version);
    *ret_version = (int)version;
    return GM_DB_OK;
}

/* Opens a file of any version up to ours; what it holds is not looked at yet. */
static enum gm_db_error open_any_version(
    const struct gm_db_context *c, sqlite3 **ret_db, int *ret_version, char real[PATH_MAX])
{
    sqlite3 *db = NULL;
    enum gm_db_error e = file_probe(c, real);
    if (e != GM_DB_OK)
        return e;
    int rc = open_any_way(real, &db);
    if (rc != SQLITE_OK)
        return gm_db_say_sqlite(c, rc, NULL);
    e = gm_db_read_version(c, db, ret_version);
    if (e != GM_DB_OK) {
        sqlite3_close(db);
        return e;
    }
    *ret_db = db;
    return GM_DB_OK;
}

enum gm_db_error gm_db_open_reader(
    const char *path, sqlite3 **ret_db, char *message, size_t message_bytes)
{
    struct gm_db_context c = {path, message, message_bytes};
    char real[PATH_MAX];
    sqlite3 *db = NULL;
    int version = 0;
    enum gm_db_error e = open_any_version(&c, &db, &version, real);
    if (e == GM_DB_OK && version < GM_DB_VERSION)
        e = gm_db_migrate_private(&c, &db, version);
    if (e == GM_DB_OK)
        e = gm_db_check_schema(&c, db);
    if (e != GM_DB_OK) {
        sqlite3_close(db);
        return e;
    }
    *ret_db = db;
    return GM_DB_OK;
}

enum gm_db_error gm_db_migrate_copy(
    const char *from, const char *to, char *message, size_t message_bytes)
{
    struct gm_db_context c = {from, message, message_bytes}, t = {to, message, message_bytes};
    char real[PATH_MAX];
    sqlite3 *db = NULL;
    int version = 0;
    enum gm_db_error e = open_any_version(&c, &db, &version, real);
    if (e != GM_DB_OK)
        return e;
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        e = say_errno(&t, "cannot be created", errno);
    } else {
        close(fd);
        e = gm_db_migrate_into(&c, db, version, to);
        if (e != GM_DB_OK)
            gm_db_remove(to);
    }
    sqlite3_close(db);
    return e;
}

/* ---- writers
 * -------------------------------------------------------------------------------------------- */

static int writer_set_up(sqlite3 *db)
{
    /* Debian compiles SQLite with secure_delete on and synchronous=FULL: both are set, not assumed.
     * A checkpoint every 16000 pages (64 MB) keeps fsync rare. */
    return sqlite3_exec(db,
        "PRAGMA synchronous=NORMAL; PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=16000;"
        "PRAGMA journal_size_limit=134217728; PRAGMA cache_size=-16384; PRAGMA foreign_keys=OFF;"
        "PRAGMA temp_store=MEMORY;",
        NULL, NULL, NULL);
}

static int create_schema(sqlite3 *db)
{
    int rc = sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL;", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = writer_set_up(db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, gm_schema_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    /* The main file alone is a valid, empty recording from here on. */
    if (rc == SQLITE_OK)
        rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return rc;
}

enum gm_db_error gm_db_create(
    const char *path, sqlite3 **ret_db, char *message, size_t message_bytes)
{
    struct gm_db_context c = {path, message, message_bytes};
    char real[PATH_MAX];
    sqlite3 *db = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0 && errno == EEXIST)
        return gm_db_say(
            &c, GM_DB_MISSING, "exists already; name another file, or overwrite it with -f");
    if (fd < 0)
        return say_errno(&c, "cannot be created", errno);
    close(fd);
    if (!realpath(path, real)) {
        enum gm_db_error e = say_errno(&c, "cannot be created", errno);
        unlink(path);
        return e;
    }
    /* A journal that an earlier recording of this name left behind must not be taken for ours. */
    static const char *const tails[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        char stale[PATH_MAX + 16];
        snprintf(stale, sizeof stale, "%s%s", real, tails[i]);
        unlink(stale);
    }
    int rc = db_open(real, SQLITE_OPEN_READWRITE, &db);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(db, 1);
        sqlite3_busy_timeout(db, READER_BUSY_MS);
        rc = create_schema(db);
    }
    if (rc != SQLITE_OK) {
        enum gm_db_error e = gm_db_say_sqlite(&c, rc, db);
        sqlite3_close(db);
        gm_db_remove(real);
        return e;
    }
    *ret_db = db;
    return GM_DB_OK;
}

enum gm_db_error gm_db_open_writer(
    const char *path, sqlite3 **ret_db, char *message, size_t message_bytes)
{
    struct gm_db_context c = {path, message, message_bytes};
    char real[PATH_MAX];
    sqlite3 *db = NULL;
    int version = 0;
    enum gm_db_error e = file_probe(&c, real);
    if (e != GM_DB_OK)
        return e;
    if (access(real, W_OK) < 0)
        return say_errno(&c, "cannot be written", errno);
    int rc = db_try(real, SQLITE_OPEN_READWRITE, &db);
    if (rc == SQLITE_OK)
        rc = writer_set_up(db);
    e = rc == SQLITE_OK ? gm_db_read_version(&c, db, &version) : gm_db_say_sqlite(&c, rc, db);
    if (e == GM_DB_OK && version < GM_DB_VERSION)
        e = gm_db_say(&c, GM_DB_OLDER,
            "has schema version %d, this geomem writes %d; make a new copy: geomem-record "
            "--migrate FILE -o NEW",
            version, GM_DB_VERSION);
    if (e == GM_DB_OK)
        e = gm_db_check_schema(&c, db);
    if (e != GM_DB_OK) {
        sqlite3_close(db);
        return e;
    }
    *ret_db = db;
    return GM_DB_OK;
}

/* ---- the recorder, closing
 * ------------------------------------------------------------------------------ */

const char *gm_db_boot_id(char *ret_text, size_t room)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret_text, room - 1);
    if (fd >= 0)
        close(fd);
    ret_text[n > 0 ? n : 0] = 0;
    ret_text[strcspn(ret_text, "\n")] = 0;
    return ret_text;
}

static bool boot_is(const char *boot_id)
{
    char now[64];
    return boot_id && strcmp(boot_id, gm_db_boot_id(now, sizeof now)) == 0;
}

int64_t gm_db_start_ticks(int64_t pid)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return -1;
    line[n] = 0;
    /* Field 2, the name, may hold blanks and parentheses: fields count from the last ')'. */
    char *p = strrchr(line, ')');
    if (p && (strncmp(p, ") Z", 3) == 0 || strncmp(p, ") X", 3) == 0))
        return -1; /* dead, and only waiting for its parent to look */
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoll(p + 1, NULL, 10) : -1;
}

bool gm_db_recorder_lives(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool lives = false;
    int rc = sqlite3_prepare_v2(db,
        "SELECT boot_id, recorder_pid, recorder_start_ticks FROM run "
        "WHERE state = 'recording' AND stop_reason IS NULL",
        -1, &s, NULL);
    if (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        int64_t pid = sqlite3_column_int64(s, 1);
        lives = boot_is((const char *)sqlite3_column_text(s, 0)) && pid > 0 &&
                gm_db_start_ticks(pid) == sqlite3_column_int64(s, 2);
    }
    sqlite3_finalize(s);
    return lives;
}

/* A recorder that ends while readers look on cannot leave WAL mode; the last reader to go does it.
 */
static void tidy_wal(const char *real)
{
    sqlite3 *db = NULL;
    int64_t complete = 0;
    char wal[PATH_MAX + 8];
    if ((size_t)snprintf(wal, sizeof wal, "%s-wal", real) >= sizeof wal || access(wal, F_OK) < 0)
        return;
    if (db_try(real, SQLITE_OPEN_READWRITE, &db) != SQLITE_OK)
        return;
    sqlite3_busy_timeout(db, 0);
    if (gm_db_integer(db, "SELECT state = 'complete' FROM run", &complete) == SQLITE_OK && complete)
        sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    sqlite3_close(db);
}

void gm_db_close(sqlite3 *db)
{
    if (!db)
        return;
    const char *name = sqlite3_db_filename(db, "main");
    char *real = name && *name ? strdup(name) : NULL;
    sqlite3_close_v2(db);
    if (real)
        tidy_wal(real);
    free(real);
}
