/* store_stress.c - the store's two threads and a reader at work at once; for ThreadSanitizer above all.
 *
 * The main thread hands over batches as fast as they are taken, sometimes asking first; a reader in a thread of
 * its own looks at the file all the while and must only ever see whole batches, and never fewer than before. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store.h"
#include "schemas/db.h"

#define BATCHES 400
#define ROWS 50
#define EVENTS 500 /* some chunks full and many looks at one that grows */

static char folder[] = "/tmp/gm-store-stress-XXXXXX", file[64];
static atomic_bool done;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static long long ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    CHECK(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(s) == SQLITE_ROW);
    long long value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static void *reader(void *arg)
{
    (void)arg;
    char message[512];
    long long seen = 0, looks = 0;
    sqlite3 *db = NULL;
    CHECK(gm_db_open_reader(file, &db, message, sizeof message) == GM_DB_OK);
    do {
        CHECK(ask(db, "SELECT (SELECT count(*) FROM sample) = events * 50 AND"
                      " (SELECT total(events) FROM event_chunk) = events * 500 FROM run") == 1);
        long long now = ask(db, "SELECT events FROM run");
        CHECK(now >= seen);
        seen = now;
        looks++;
    } while (!atomic_load(&done));
    gm_db_close(db);
    printf("%lld looks, %lld batches seen\n", looks, seen);
    return NULL;
}

static void fill(struct gm_batch *b, int i)
{
    b->start_ns = i * 1000000ll;
    b->end_ns = b->run.duration_ns = b->start_ns + 1000000;
    b->run.events = (uint64_t)i + 1;
    for (int k = 0; k < ROWS; k++) {
        struct gm_row_sample *row = gm_rows_add(&b->samples);
        CHECK(row);
        *row = (struct gm_row_sample){1, i * 1000 + k, 1, 1};
    }
    for (int k = 0; k < EVENTS; k++) {
        struct gm_log_event *event = gm_rows_add(&b->events);
        CHECK(event);
        *event = (struct gm_log_event){
            .time_ns = b->start_ns + k, .process_id = 1, .kind = GM_LOG_alloc};
    }
    struct gm_row_mark *mark = gm_rows_add(&b->marks);
    CHECK(mark);
    mark->text = strdup("a text the batch owns");
}

int main(void)
{
    const struct gm_store_run run = {
        .program = "p", .command_json = "[]", .cwd = "/", .options_json = "{}"};
    const struct gm_store_end end = {.stop_reason = "ended"};
    struct gm_batch mine = {0}, *b = &mine;
    struct gm_store *store = NULL;
    char message[512] = "";
    pthread_t thread;
    CHECK(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/s.geomem", folder);
    CHECK(gm_store_open(file, &run, NULL, &store, message, sizeof message) == 0);
    CHECK(pthread_create(&thread, NULL, reader, NULL) == 0);
    for (int i = 0; i < BATCHES; i++) {
        fill(b, i);
        if (i % 3 == 0)
            (void)gm_store_ready(store);
        CHECK(gm_store_submit(store, b, &b) == 0);
        CHECK(b->samples.n == 0);
    }
    atomic_store(&done, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(gm_store_close(store, &end, message, sizeof message) == 0);
    gm_batch_done(&mine);
    sqlite3 *db = NULL;
    CHECK(gm_db_open_reader(file, &db, message, sizeof message) == GM_DB_OK);
    CHECK(ask(db, "SELECT count(*) FROM sample") == BATCHES * ROWS);
    CHECK(ask(db, "SELECT sum(events) FROM event_chunk") == BATCHES * EVENTS);
    CHECK(ask(db, "SELECT count(*) FROM event_chunk") == (BATCHES * EVENTS + 65535) / 65536);
    CHECK(ask(db, "SELECT state = 'complete' FROM run") == 1);
    gm_db_close(db);
    gm_db_remove(file);
    rmdir(folder);
    return 0;
}
