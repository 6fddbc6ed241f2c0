/* store.c - see store.h. The statements are in store_rows.c, the names of frames in store_names.c.
 *
 *   main thread                          store thread
 *   gm_store_submit(full) --- pending --> BEGIN, rows, COMMIT --- spare --> the next
 * gm_store_submit between batches: names of frames
 *
 * Everything under `lock` is shared by the two threads; the connection and the statements belong to
 * the store thread until gm_store_close has joined it.
 *
 * When writing fails for good, the recording up to the last commit stays as it is; nothing is tried
 * again after one second chance for a full disk (somebody may be clearing it) and a longer one for
 * a lock (somebody has the file open for writing).
 */
#include "collector/store.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "collector/store_events.h"
#include "collector/store_names.h"
#include "collector/store_rows.h"
#include "schemas/db.h"
#include "schemas/text.h"

#define NAMES_POLL_MS 50        /* how often an idle store looks for names; arbitrary */
#define FULL_PAUSE_MS 1000      /* before the second and last try on a full disk */
#define BUSY_ATTEMPTS 15        /* times the 2 s that SQLite itself waits for a lock */
#define SIZE_SLACK (256u << 10) /* no single write of SQLite's is larger */
#define COMPACT_MAX (32 << 20)  /* a larger file gains a twentieth and would take its time */
/* These gain a third from pages of 1 KiB and 512 bytes; a larger one nothing. Measured, bench/files. */
#define SMALL_FILE (1536 << 10)
#define TINY_FILE (384 << 10)
#define CLOSE_ATTEMPTS 30 /* times 100 ms for readers to let go of the -wal */

struct gm_store {
    char *path;
    sqlite3 *db;
    struct gm_store_rows *rows;
    struct gm_store_events *events; /* NULL: no batch has brought any yet */
    struct gm_store_names *names;   /* NULL: none wanted, or no worker program */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct gm_batch *pending, *spare; /* spare is NULL while the store writes */
    struct gm_batch own;
    int error; /* negative errno: writing has failed for good */
    bool closing;
    char message[512], names_message[300];
};

/* ---- failures
 * ------------------------------------------------------------------------------------------- */

static int errno_of(int rc, int system_error)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
        return -EBUSY;
    default:
        return system_error > 0 ? -system_error : -EIO;
    }
}

/* One line: the file, what is wrong with it, what to do. */
static void message_write(const struct gm_store *store, int rc, int error, char *out, size_t room)
{
    char path[1024], reason[160];
    struct statvfs fs;
    gm_text_clean(store->path, path, sizeof path);
    gm_text_clean(sqlite3_errmsg(store->db), reason, sizeof reason);
    if (error == -ENOSPC && statvfs(store->path, &fs) == 0)
        snprintf(out, room,
            "%s: the disk is full (%llu KiB free); what was committed is kept, recording has "
            "stopped: free some space"
            " and record again, or name another folder with -o",
            path, (unsigned long long)fs.f_bavail * fs.f_frsize / 1024);
    else if (error == -EFBIG || error == -EDQUOT)
        snprintf(out, room,
            "%s: %s; what was committed is kept, recording has stopped: raise the limit (ulimit "
            "-f, quota) and record"
            " again",
            path, strerror(-error));
    else if (error == -EBUSY)
        snprintf(out, room,
            "%s: another program holds the file locked for writing; what was committed is kept,"
            " recording has stopped: end that program and record again",
            path);
    else
        snprintf(out, room,
            "%s: writing failed (%s: %s); what was committed is kept, recording has stopped: check "
            "the"
            " disk",
            path, reason, (rc & 0xff) == SQLITE_IOERR ? strerror(-error) : sqlite3_errstr(rc));
}

/* SQLite does not keep the errno of a failed COMMIT; a limit on the size of files can be told from the files. */
static bool size_limit_reached(const struct gm_store *store)
{
    static const char *const tails[] = {"", "-wal"};
    char name[PATH_MAX + 8];
    struct rlimit limit;
    struct stat st;
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(name, sizeof name, "%s%s", store->path, tails[i]);
        if (stat(name, &st) == 0 && (rlim_t)st.st_size + SIZE_SLACK >= limit.rlim_cur)
            return true;
    }
    return false;
}

static void store_fail(struct gm_store *store, int rc)
{
    int error = errno_of(rc, size_limit_reached(store) ? EFBIG : sqlite3_system_errno(store->db));
    char message[sizeof store->message];
    message_write(store, rc, error, message, sizeof message);
    pthread_mutex_lock(&store->lock);
    if (store->error == 0) {
        store->error = error;
        memcpy(store->message, message, sizeof message);
    }
    pthread_mutex_unlock(&store->lock);
}

/* ---- the thread
 * ----------------------------------------------------------------------------------------- */

static int batch_try(struct gm_store *store, const struct gm_batch *batch)
{
    int rc = sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = gm_store_rows_batch(store->rows, batch);
    if (rc == SQLITE_OK && store->events)
        rc = gm_store_events_write(store->events);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        /* Some errors have rolled back already. */
        if (!sqlite3_get_autocommit(store->db))
            sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        gm_store_rows_undo(store->rows);
    }
    return rc;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
}

static int batch_write(struct gm_store *store, const struct gm_batch *batch)
{
    int rc = batch_try(store, batch);
    for (int i = 1; (rc & 0xff) == SQLITE_BUSY && i < BUSY_ATTEMPTS; i++)
        rc = batch_try(store, batch);
    if ((rc & 0xff) == SQLITE_FULL) {
        pause_ms(FULL_PAUSE_MS);
        rc = batch_try(store, batch);
    }
    return rc;
}

static void names_ask(struct gm_store_names *names, const struct gm_batch *batch)
{
    for (size_t i = 0; i < batch->modules.n; i++)
        gm_store_names_module(names, batch->modules.v[i].module_id, batch->modules.v[i].path,
            batch->modules.v[i].build_id);
    for (size_t i = 0; i < batch->frames.n; i++) {
        const struct gm_row_frame *f = &batch->frames.v[i];
        gm_store_names_request(names, f->frame_id, f->module_id, f->address, f->flags);
    }
}

static int events_take(struct gm_store *store, const struct gm_batch *batch)
{
    if (batch->events.n == 0)
        return SQLITE_OK;
    int r = store->events ? 0 : gm_store_events_create(store->db, &store->events);
    if (r == 0)
        r = gm_store_events_take(store->events, batch);
    return r < 0 ? SQLITE_NOMEM : SQLITE_OK;
}

static void batch_process(struct gm_store *store, const struct gm_batch *batch)
{
    int rc = events_take(store, batch);
    if (rc == SQLITE_OK)
        rc = batch_write(store, batch);
    if (rc != SQLITE_OK) {
        store_fail(store, rc);
        return;
    }
    if (store->events)
        gm_store_events_written(store->events);
    if (store->names)
        names_ask(store->names, batch);
}

/* Waits for a batch until it is time to look for names again. Called and left with the lock held.
 */
static void thread_wait(struct gm_store *store)
{
    struct timespec until;
    if (!store->names || store->error || gm_store_names_pending(store->names) == 0) {
        pthread_cond_wait(&store->changed, &store->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += NAMES_POLL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&store->changed, &store->lock, &until);
}

static void thread_names(struct gm_store *store)
{
    if (!store->names || store->error || gm_store_names_pending(store->names) == 0)
        return;
    int rc = gm_store_names_poll(store->names, 0);
    /* A lock somebody holds is no reason to stop; the names are asked for again by `symbolize`. */
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        store_fail(store, rc);
}

static void *thread_main(void *arg)
{
    struct gm_store *store = arg;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        if (!store->pending && !store->closing)
            thread_wait(store);
        struct gm_batch *batch = store->pending;
        if (!batch && store->closing)
            break;
        bool write = batch && !store->error;
        pthread_mutex_unlock(&store->lock);
        if (write)
            batch_process(store, batch);
        if (batch)
            gm_batch_clear(batch);
        thread_names(store);
        pthread_mutex_lock(&store->lock);
        if (batch) {
            store->pending = NULL;
            store->spare = batch;
            pthread_cond_broadcast(&store->changed);
        }
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* ---- opening and handing over
 * --------------------------------------------------------------------------- */

static void names_open(struct gm_store *store, const struct gm_symbols_options *symbols)
{
    int r = gm_store_names_create(store->db, symbols, &store->names);
    if (r == -ENOENT)
        snprintf(store->names_message, sizeof store->names_message,
            "the program geomem-symbolize is missing beside geomem-record; reinstall geomem, then "
            "run geomem-report"
            " symbolize");
    else if (r < 0)
        snprintf(store->names_message, sizeof store->names_message,
            "symbol workers cannot be used (%s)", strerror(-r));
}

static int threads_open(struct gm_store *store)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->changed, &attr);
    pthread_condattr_destroy(&attr);
    return -pthread_create(&store->thread, NULL, thread_main, store);
}

static int errno_of_db(enum gm_db_error error, int system_error)
{
    if (error == GM_DB_MISSING)
        return system_error ? -system_error : -ENOENT;
    return -EIO;
}

int gm_store_open(const char *path, const struct gm_store_run *run,
    const struct gm_symbols_options *symbols, struct gm_store **ret_store, char *message,
    size_t message_bytes)
{
    struct gm_store *store = calloc(1, sizeof *store);
    if (store)
        store->path = strdup(path);
    if (!store || !store->path) {
        free(store);
        snprintf(message, message_bytes, "out of memory");
        return -ENOMEM;
    }
    store->spare = &store->own;
    errno = 0;
    enum gm_db_error e = gm_db_create(path, &store->db, message, message_bytes);
    if (e != GM_DB_OK) {
        int r = errno_of_db(e, errno);
        free(store->path);
        free(store);
        return r;
    }
    int r = 0, rc = gm_store_rows_create(store->db, &store->rows);
    if (rc == SQLITE_OK)
        rc = gm_store_rows_run(store->rows, run);
    if (rc != SQLITE_OK) {
        r = errno_of(rc, sqlite3_system_errno(store->db));
        message_write(store, rc, r, message, message_bytes);
    } else {
        if (symbols)
            names_open(store, symbols);
        r = threads_open(store);
        if (r < 0)
            snprintf(message, message_bytes, "no thread can be started (%s); check ulimit -u",
                strerror(-r));
    }
    if (r < 0) {
        gm_store_names_free(store->names);
        gm_store_rows_free(store->rows);
        sqlite3_close(store->db);
        gm_db_remove(path);
        free(store->path);
        free(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

bool gm_store_ready(const struct gm_store *store)
{
    pthread_mutex_t *lock = &((struct gm_store *)(uintptr_t)store)->lock;
    pthread_mutex_lock(lock);
    bool ready = store->spare || store->error;
    pthread_mutex_unlock(lock);
    return ready;
}

int gm_store_submit(struct gm_store *store, struct gm_batch *full, struct gm_batch **ret_empty)
{
    pthread_mutex_lock(&store->lock);
    while (!store->spare && !store->error)
        pthread_cond_wait(&store->changed, &store->lock);
    int r = store->error;
    if (r == 0) {
        store->pending = full;
        *ret_empty = store->spare;
        store->spare = NULL;
        pthread_cond_broadcast(&store->changed);
    }
    pthread_mutex_unlock(&store->lock);
    return r;
}

const char *gm_store_message(const struct gm_store *store)
{
    return store->message;
}

const char *gm_store_names_message(const struct gm_store *store)
{
    return store->names_message;
}

/* ---- closing
 * -------------------------------------------------------------------------------------------- */

static void names_finish(struct gm_store *store, const struct gm_store_end *end)
{
    if (!store->names || store->error)
        return;
    gm_store_names_hurry(store->names);
    size_t left;
    while (!store->error && (left = gm_store_names_pending(store->names)) > 0) {
        if (end->give_up && end->give_up(end->context, left))
            break;
        int rc = gm_store_names_poll(store->names, 200);
        if (rc != SQLITE_OK)
            store_fail(store, rc);
    }
    snprintf(store->names_message, sizeof store->names_message, "%s",
        gm_store_names_trouble(store->names));
}

static int complete_write(struct gm_store *store, const struct gm_store_end *end)
{
    static const char statistics[] = "PRAGMA analysis_limit=400; ANALYZE;";
    const char *reason = !store->error             ? end->stop_reason
                         : store->error == -ENOSPC ? "disk full"
                                                   : "writing failed";
    uint64_t workers_cpu_ns = store->names ? gm_store_names_stop(store->names) : 0;
    uint64_t cpu_ns = 0, rss_bytes = 0;
    int rc = SQLITE_OK;
    if (!store->error)
        rc = gm_store_names_settle(store->db);
    if (!store->error && rc == SQLITE_OK)
        rc = sqlite3_exec(store->db, statistics, NULL, NULL, NULL);
    if (end->used)
        end->used(end->context, workers_cpu_ns, &cpu_ns, &rss_bytes);
    if (rc == SQLITE_OK)
        rc = gm_store_rows_end(store->rows, !store->error, reason, cpu_ns, rss_bytes);
    return rc;
}

/* Back to one file. A reader that holds the -wal gets a moment to let go; the last reader to close
 * tidies up in our place if it does not. */
static int one_file(struct gm_store *store)
{
    sqlite3_busy_timeout(store->db, 100);
    int rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    for (int i = 0; i < CLOSE_ATTEMPTS && (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY); i++) {
        rc = sqlite3_exec(store->db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            break;
    }
    return (rc & 0xff) == SQLITE_BUSY ? SQLITE_OK : rc;
}

/* Pages are left partly empty by rows that grew, and each table of a small recording has one of its own. What cannot be
 * done, as with a reader at the file, is left: the recording is complete. */
static void store_compact(struct gm_store *store)
{
    struct stat st;
    if (stat(store->path, &st) < 0 || st.st_size > COMPACT_MAX)
        return;
    sqlite3_busy_timeout(store->db, 0);
    if (st.st_size <= SMALL_FILE)
        sqlite3_exec(store->db,
            st.st_size <= TINY_FILE ? "PRAGMA page_size=512" : "PRAGMA page_size=1024", NULL, NULL,
            NULL);
    sqlite3_exec(store->db, "VACUUM", NULL, NULL, NULL);
}

static void store_free(struct gm_store *store)
{
    gm_store_names_free(store->names);
    gm_store_events_free(store->events);
    gm_store_rows_free(store->rows);
    sqlite3_close(store->db);
    gm_batch_done(&store->own);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

int gm_store_close(
    struct gm_store *store, const struct gm_store_end *end, char *message, size_t message_bytes)
{
    if (!store)
        return 0;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);

    names_finish(store, end);
    int rc = complete_write(store, end);
    gm_store_rows_free(store->rows); /* statements would keep the journal mode as it is */
    store->rows = NULL;
    gm_store_events_free(store->events);
    store->events = NULL;
    gm_store_names_free(store->names);
    store->names = NULL;
    if (rc == SQLITE_OK)
        rc = one_file(store);
    if (rc == SQLITE_OK && !store->error)
        store_compact(store);
    if (rc != SQLITE_OK)
        store_fail(store, rc);
    snprintf(
        message, message_bytes, "%s", store->message[0] ? store->message : store->names_message);
    int r = store->error;
    store_free(store);
    return r;
}
