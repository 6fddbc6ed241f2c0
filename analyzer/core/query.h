/* query.h - one SQL statement that is read row by row; for the core's own files only.
 *
 *   struct gm_query q;
 *   int r = gm_query_open(rec, &q, "SELECT ...");
 *   while (gm_query_next(&q))
 *       ... gm_query_count(&q, 0) ...
 *   r = gm_query_close(&q);
 *
 * An error met on the way ends the loop and comes out of gm_query_close, so the loop needs no check
 * of its own. gm_query_close may be called on a query that failed to open.
 */
#ifndef GM_ANALYZER_CORE_QUERY_H
#define GM_ANALYZER_CORE_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "analyzer/core/recording.h"

/* Times and counts are cut off here, so that sums and differences of two never overflow. */
#define GM_VALUE_MAX ((int64_t)1 << 61)

struct gm_symbols; /* symbols.c: names read so far */

struct gm_recording {
    sqlite3 *db;
    char *path; /* clean, to be shown */
    char *file; /* as given, to be opened */
    char message[512];
    int64_t version;     /* data_version when last begun */
    uint64_t generation; /* counts the states seen */
    struct gm_symbols *symbols;
};

struct gm_query {
    struct gm_recording *recording;
    sqlite3_stmt *stmt;
    int error; /* 0 or a negative errno */
};

/* Remembers what went wrong and returns the negative errno for it. */
int gm_recording_fail(struct gm_recording *recording, int sqlite_code);
int gm_recording_fail_text(struct gm_recording *recording, int error, const char *text);

int gm_query_open(struct gm_recording *recording, struct gm_query *query, const char *sql);
void gm_query_bind(struct gm_query *query, int index, int64_t value);
bool gm_query_next(struct gm_query *query);
/* Makes a query that was read ready to be bound and read again. */
void gm_query_rewind(struct gm_query *query);
int gm_query_close(struct gm_query *query);

bool gm_query_is_null(struct gm_query *query, int column);
/* An integer of either sign within GM_VALUE_MAX; 0 for NULL. */
int64_t gm_query_integer(struct gm_query *query, int column);
/* The same, with negative values read as 0. */
uint64_t gm_query_count(struct gm_query *query, int column);
int64_t gm_query_time(struct gm_query *query, int column);
/* A number of at least 0; 0 for NULL, what is no number, and what is out of all proportion. */
double gm_query_real(struct gm_query *query, int column);
/* An id: 1..UINT32_MAX, or 0 for NULL and anything else. */
uint32_t gm_query_id(struct gm_query *query, int column);
/* A clean copy (names.h) to be freed by the caller; NULL for NULL. Without memory the query ends.
 */
char *gm_query_text(struct gm_query *query, int column);
/* The same, but "" for NULL. */
char *gm_query_text_or_empty(struct gm_query *query, int column);

#endif
