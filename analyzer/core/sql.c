/* sql.c - see sql.h. */
#include "analyzer/core/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/names.h"
#include "analyzer/core/query.h"

static int sql_fail(struct gm_recording *rec, const char *what, const char *detail)
{
    char *clean = gm_name_copy(detail, strlen(detail));
    snprintf(rec->message, sizeof rec->message, "%s%s", what, clean ? clean : "");
    free(clean);
    return -EINVAL;
}

/* Only whitespace, semicolons and comments may follow the first statement. */
static bool sql_is_rest(struct gm_recording *rec, const char *tail)
{
    while (tail && *tail) {
        sqlite3_stmt *stmt = NULL;
        if (sqlite3_prepare_v2(rec->db, tail, -1, &stmt, &tail) != SQLITE_OK || stmt) {
            sqlite3_finalize(stmt);
            return false;
        }
    }
    return true;
}

static int sql_prepare(struct gm_recording *rec, const char *query, sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = NULL;
    const char *tail = NULL;
    int code = sqlite3_prepare_v2(rec->db, query, -1, &stmt, &tail);
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
        return gm_recording_fail(rec, code);
    if (code != SQLITE_OK)
        return sql_fail(rec, "query: ", sqlite3_errmsg(rec->db));
    int r = 0;
    if (!stmt)
        r = sql_fail(rec, "query: it is empty; try: SELECT * FROM v_run", "");
    else if (!sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0)
        r = sql_fail(rec, "query: only reading is allowed; copy the file to change it", "");
    else if (!sql_is_rest(rec, tail))
        r = sql_fail(rec, "query: one statement at a time", "");
    if (r < 0)
        sqlite3_finalize(stmt);
    else
        *ret_stmt = stmt;
    return r;
}

static struct gm_value sql_value(sqlite3_stmt *stmt, int column)
{
    struct gm_value v = {0};
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        v.type = GM_VALUE_INTEGER;
        v.integer = sqlite3_column_int64(stmt, column);
        break;
    case SQLITE_FLOAT:
        v.type = GM_VALUE_REAL;
        v.real = sqlite3_column_double(stmt, column);
        break;
    case SQLITE_TEXT:
        v.type = GM_VALUE_TEXT;
        v.text = (const char *)sqlite3_column_text(stmt, column);
        v.bytes = (size_t)sqlite3_column_bytes(stmt, column);
        break;
    case SQLITE_BLOB:
        v.type = GM_VALUE_BLOB;
        v.text = sqlite3_column_blob(stmt, column);
        v.bytes = (size_t)sqlite3_column_bytes(stmt, column);
        break;
    default:
        break;
    }
    if (!v.text)
        v.text = "";
    return v;
}

static int sql_rows(struct gm_recording *rec, sqlite3_stmt *stmt, const struct gm_sql_sink *sink,
    struct gm_value *values, const char **names, size_t n)
{
    int r = 0, code;
    for (size_t i = 0; i < n; i++)
        names[i] = sqlite3_column_name(stmt, (int)i) ? sqlite3_column_name(stmt, (int)i) : "";
    r = sink->head(sink->data, names, n);
    while (r >= 0 && (code = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (code == SQLITE_ERROR) /* of a function in the query: bad JSON, overflow of sum() */
            return sql_fail(rec, "query: ", sqlite3_errmsg(rec->db));
        if (code != SQLITE_ROW)
            return gm_recording_fail(rec, code);
        for (size_t i = 0; i < n; i++)
            values[i] = sql_value(stmt, (int)i);
        r = sink->row(sink->data, values, n);
    }
    return r < 0 ? r : 0;
}

int gm_sql_run(struct gm_recording *recording, const char *query, const struct gm_sql_sink *sink)
{
    sqlite3_stmt *stmt = NULL;
    int r = sql_prepare(recording, query, &stmt);
    if (r < 0)
        return r;
    size_t n = (size_t)sqlite3_column_count(stmt);
    struct gm_value *values = calloc(n, sizeof *values);
    const char **names = calloc(n, sizeof *names);
    r = values && names ? sql_rows(recording, stmt, sink, values, names, n)
                        : gm_recording_fail(recording, SQLITE_NOMEM);
    free(values);
    free(names);
    sqlite3_finalize(stmt);
    return r;
}
