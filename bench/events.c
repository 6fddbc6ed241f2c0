/* events.c FILE - how the events of a recording can be kept: bytes for each, and how fast they are written and read.
 *
 * Takes the chunks out of FILE, and writes their events again: as chunks at several levels of zstd, as the
 * structures themselves compressed by zstd, and as rows of a table. Compiled and run by bench/events. Prints a line for
 * each way: name, bytes an event, M events/s written, M events/s read. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "schemas/event_chunk.h"

#define ROWS_MAX 2000000u /* rows are slow, and of one size */

static struct gm_log_event *events;
static size_t count;

static void require(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench/events: %s\n", what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const char *name, size_t bytes, size_t n, double written, double read)
{
    printf("%s\t%.3f\t%.2f\t%.2f\n", name, (double)bytes / (double)n, (double)n / written / 1e6,
        (double)n / read / 1e6);
}

static void load(sqlite3 *db)
{
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    sqlite3_stmt *s = NULL;
    require(
        reader && sqlite3_prepare_v2(db, "SELECT * FROM event_chunk", -1, &s, NULL) == SQLITE_OK,
        "no recording");
    while (sqlite3_step(s) == SQLITE_ROW) {
        uint32_t v[11];
        for (int i = 1; i < 11; i++)
            v[i] = (uint32_t)sqlite3_column_int64(s, i);
        const struct gm_chunk_info info = {v[1], v[2], v[3], sqlite3_column_int64(s, 4),
            sqlite3_column_int64(s, 5), v[6], v[7], v[8], v[9]};
        const struct gm_log_event *more = NULL;
        require(gm_chunk_decode(reader, &info, v[10], sqlite3_column_blob(s, 11),
                    (size_t)sqlite3_column_bytes(s, 11), &more) == 0,
            gm_chunk_reader_reason(reader));
        events = realloc(events, (count + info.events) * sizeof *events);
        require(events != NULL, "no memory");
        memcpy(events + count, more, info.events * sizeof *events);
        count += info.events;
    }
    require(count > 0, "the recording has no log of events");
    sqlite3_finalize(s);
    gm_chunk_reader_free(reader);
}

static void chunks(int level, const char *name)
{
    struct gm_chunk_builder *builder = gm_chunk_builder_create(level);
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    double written = 0, read = 0;
    size_t total = 0;
    require(builder && reader, "no memory");
    for (size_t at = 0; at < count;) {
        struct gm_chunk_info info;
        const struct gm_log_event *back = NULL;
        void *data = NULL;
        size_t bytes = 0;
        double start = now();
        while (at < count && !gm_chunk_builder_add(builder, &events[at++]))
            ;
        require(gm_chunk_builder_write(builder, &info, &data, &bytes) == 0, "no memory");
        gm_chunk_builder_clear(builder);
        uint32_t checksum = gm_chunk_checksum(&info, data, bytes);
        double middle = now();
        require(gm_chunk_decode(reader, &info, checksum, data, bytes, &back) == 0,
            gm_chunk_reader_reason(reader));
        read += now() - middle;
        written += middle - start;
        total += bytes;
        free(data);
    }
    say(name, total, count, written, read);
    gm_chunk_builder_free(builder);
    gm_chunk_reader_free(reader);
}

/* 64 Ki structures at a time, as they lie in memory. */
static void structures(void)
{
    size_t block = GM_CHUNK_EVENTS * sizeof *events, room = ZSTD_compressBound(block), total = 0;
    char *packed = malloc(room), *plain = malloc(block);
    double written = 0, read = 0;
    require(packed && plain, "no memory");
    for (size_t at = 0; at < count; at += GM_CHUNK_EVENTS) {
        size_t n = (count - at < GM_CHUNK_EVENTS ? count - at : GM_CHUNK_EVENTS) * sizeof *events;
        double start = now();
        size_t bytes = ZSTD_compress(packed, room, events + at, n, 3);
        double middle = now();
        require(ZSTD_decompress(plain, block, packed, bytes) == n, "zstd");
        read += now() - middle;
        written += middle - start;
        total += bytes;
    }
    say("structures zstd 3", total, count, written, read);
    free(packed);
    free(plain);
}

static void rows(void)
{
    char path[] = "/tmp/bench-events-XXXXXX";
    size_t n = count < ROWS_MAX ? count : ROWS_MAX;
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    close(mkstemp(path));
    require(sqlite3_open(path, &db) == SQLITE_OK, "no temporary file");
    sqlite3_exec(db,
        "PRAGMA page_size=16384; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE e "
        "(time_ns, kind,"
        " process_id, thread_id, address, size_bytes, site_id); BEGIN",
        NULL, NULL, NULL);
    require(sqlite3_prepare_v2(db, "INSERT INTO e VALUES (?, ?, ?, ?, ?, ?, ?)", -1, &s, NULL) ==
                SQLITE_OK,
        "SQLite");
    double start = now();
    for (size_t i = 0; i < n; i++) {
        const struct gm_log_event *e = &events[i];
        const int64_t v[] = {e->time_ns, e->kind, e->process_id, e->thread_id, (int64_t)e->address,
            (int64_t)e->size_bytes, e->site_id};
        for (int k = 0; k < 7; k++)
            sqlite3_bind_int64(s, k + 1, v[k]);
        sqlite3_step(s);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    require(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "SQLite");
    double written = now() - start;
    require(sqlite3_prepare_v2(db, "SELECT kind, count(*), sum(size_bytes) FROM e GROUP BY 1", -1,
                &s, NULL) == SQLITE_OK,
        "SQLite");
    start = now();
    while (sqlite3_step(s) == SQLITE_ROW)
        ;
    double read = now() - start;
    sqlite3_finalize(s);
    sqlite3_close(db);
    FILE *file = fopen(path, "rb");
    require(file && fseek(file, 0, SEEK_END) == 0, "no temporary file");
    say("rows", (size_t)ftell(file), n, written, read);
    fclose(file);
    unlink(path);
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    require(argc == 2 && sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK,
        "usage: events FILE");
    load(db);
    sqlite3_close(db);
    chunks(3, "chunks zstd 3");
    chunks(1, "chunks zstd 1");
    chunks(6, "chunks zstd 6");
    structures();
    rows();
    free(events);
    return 0;
}
