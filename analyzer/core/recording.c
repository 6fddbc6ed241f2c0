/* recording.c - see recording.h and query.h. */
#include "analyzer/core/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/events_table.h"
#include "analyzer/core/query.h"
#include "analyzer/core/symbols.h"
#include "analyzer/core/names.h"
#include "schemas/db.h"

int gm_recording_fail_text(struct gm_recording *recording, int error, const char *text)
{
    snprintf(recording->message, sizeof recording->message, "%s: %s", recording->path, text);
    return error;
}

int gm_recording_fail(struct gm_recording *recording, int sqlite_code)
{
    const char *reason = sqlite3_errmsg(recording->db);
    char text[384];
    switch (sqlite_code & 0xff) {
    case SQLITE_NOMEM:
        return gm_recording_fail_text(recording, -ENOMEM, "not enough memory to read it");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return gm_recording_fail_text(recording, -EBUSY, "locked by another program; try again");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* a table or column that every recording has is not there */
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        snprintf(text, sizeof text,
            "damaged (%s); try: sqlite3 FILE .recover | sqlite3 saved.geomem", reason);
        return gm_recording_fail_text(recording, -EBADMSG, text);
    default:
        snprintf(text, sizeof text, "cannot be read (%s)", reason);
        return gm_recording_fail_text(recording, -EIO, text);
    }
}

int gm_recording_open(
    const char *path, struct gm_recording **ret_recording, char *message, size_t message_bytes)
{
    struct gm_recording *rec = calloc(1, sizeof *rec);
    int r = -ENOMEM;
    if (!rec)
        goto nomem;
    rec->path = gm_name_copy(path, strlen(path));
    rec->file = strdup(path);
    if (!rec->path || !rec->file)
        goto nomem;
    rec->symbols = gm_symbols_create();
    if (!rec->symbols)
        goto nomem;
    if (gm_db_open_reader(path, &rec->db, message, message_bytes) != GM_DB_OK) {
        r = -EBADMSG;
        goto fail;
    }
    if (gm_events_table_register(rec->db) != SQLITE_OK)
        goto nomem;
    *ret_recording = rec;
    return 0;
nomem:
    snprintf(message, message_bytes, "not enough memory to open a recording");
fail:
    gm_recording_close(rec);
    return r;
}

int gm_recording_reopen(struct gm_recording *recording)
{
    gm_symbols_release(recording->symbols);
    gm_db_close(recording->db);
    recording->db = NULL;
    if (gm_db_open_reader(recording->file, &recording->db, recording->message,
            sizeof recording->message) != GM_DB_OK)
        return -EBADMSG;
    if (gm_events_table_register(recording->db) != SQLITE_OK)
        return gm_recording_fail(recording, SQLITE_NOMEM);
    recording->version = 0;
    return 0;
}

void gm_recording_close(struct gm_recording *recording)
{
    if (!recording)
        return;
    gm_symbols_free(recording->symbols);
    gm_db_close(recording->db);
    free(recording->path);
    free(recording->file);
    free(recording);
}

static int recording_version(struct gm_recording *recording, int64_t *ret_version)
{
    struct gm_query q;
    gm_query_open(recording, &q, "PRAGMA data_version");
    int64_t version = gm_query_next(&q) ? gm_query_integer(&q, 0) : -1;
    int r = gm_query_close(&q);
    if (r == 0)
        *ret_version = version;
    return r;
}

int gm_recording_begin(struct gm_recording *recording)
{
    int code = sqlite3_exec(recording->db, "BEGIN; SELECT 1 FROM run", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        int r = gm_recording_fail(recording, code);
        gm_recording_end(recording);
        return r;
    }
    recording->generation++;
    return recording_version(recording, &recording->version);
}

void gm_recording_end(struct gm_recording *recording)
{
    if (!sqlite3_get_autocommit(recording->db))
        sqlite3_exec(recording->db, "COMMIT", NULL, NULL, NULL);
}

int gm_recording_changed(struct gm_recording *recording, bool *ret_changed)
{
    int64_t version = 0;
    int r = recording_version(recording, &version);
    if (r == 0)
        *ret_changed = version != recording->version;
    return r;
}

const char *gm_recording_path(const struct gm_recording *recording)
{
    return recording->path;
}
const char *gm_recording_message(const struct gm_recording *recording)
{
    return recording->message;
}

int gm_query_open(struct gm_recording *recording, struct gm_query *query, const char *sql)
{
    *query = (struct gm_query){.recording = recording};
    int code = sqlite3_prepare_v3(recording->db, sql, -1, 0, &query->stmt, NULL);
    if (code != SQLITE_OK)
        query->error = gm_recording_fail(recording, code);
    return query->error;
}

void gm_query_bind(struct gm_query *query, int index, int64_t value)
{
    if (query->error)
        return;
    int code = sqlite3_bind_int64(query->stmt, index, value);
    if (code != SQLITE_OK)
        query->error = gm_recording_fail(query->recording, code);
}

bool gm_query_next(struct gm_query *query)
{
    if (query->error)
        return false;
    int code = sqlite3_step(query->stmt);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        query->error = gm_recording_fail(query->recording, code);
    return false;
}

void gm_query_rewind(struct gm_query *query)
{
    if (query->stmt)
        sqlite3_reset(query->stmt);
    query->error = 0;
}

int gm_query_close(struct gm_query *query)
{
    sqlite3_finalize(query->stmt);
    query->stmt = NULL;
    return query->error;
}

bool gm_query_is_null(struct gm_query *query, int column)
{
    return sqlite3_column_type(query->stmt, column) == SQLITE_NULL;
}

int64_t gm_query_integer(struct gm_query *query, int column)
{
    int64_t v = sqlite3_column_int64(query->stmt, column);
    return v > GM_VALUE_MAX ? GM_VALUE_MAX : v < -GM_VALUE_MAX ? -GM_VALUE_MAX : v;
}

uint64_t gm_query_count(struct gm_query *query, int column)
{
    int64_t v = gm_query_integer(query, column);
    return v < 0 ? 0 : (uint64_t)v;
}

int64_t gm_query_time(struct gm_query *query, int column)
{
    return (int64_t)gm_query_count(query, column);
}

double gm_query_real(struct gm_query *query, int column)
{
    double value = sqlite3_column_double(query->stmt, column);
    return value > 0 && value < 1e60 ? value : 0;
}

uint32_t gm_query_id(struct gm_query *query, int column)
{
    int64_t v = sqlite3_column_int64(query->stmt, column);
    return v < 1 || v > UINT32_MAX ? 0 : (uint32_t)v;
}

char *gm_query_text(struct gm_query *query, int column)
{
    if (gm_query_is_null(query, column))
        return NULL;
    const char *text = (const char *)sqlite3_column_text(query->stmt, column);
    int bytes = sqlite3_column_bytes(query->stmt, column);
    char *copy = text ? gm_name_copy(text, (size_t)bytes) : NULL;
    if (!copy)
        query->error = gm_recording_fail(query->recording, SQLITE_NOMEM);
    return copy;
}

char *gm_query_text_or_empty(struct gm_query *query, int column)
{
    if (!gm_query_is_null(query, column))
        return gm_query_text(query, column);
    char *empty = calloc(1, 1);
    if (!empty)
        query->error = gm_recording_fail(query->recording, SQLITE_NOMEM);
    return empty;
}
