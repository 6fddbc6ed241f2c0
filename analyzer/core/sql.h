/* sql.h - a user's own query. */
#ifndef GM_ANALYZER_CORE_SQL_H
#define GM_ANALYZER_CORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

enum gm_value_type { GM_VALUE_NULL, GM_VALUE_INTEGER, GM_VALUE_REAL, GM_VALUE_TEXT, GM_VALUE_BLOB };

/* One column of one row; text and blob are borrowed until the next row, bytes as they are in the
 * file. */
struct gm_value {
    enum gm_value_type type;
    int64_t integer;
    double real;
    const char *text;
    size_t bytes;
};

struct gm_sql_sink {
    /* Called once before the rows. Names are borrowed. */
    int (*head)(void *data, const char *const *names, size_t n);
    int (*row)(void *data, const struct gm_value *values, size_t n);
    void *data;
};

/* Runs one SELECT (or WITH, VALUES, EXPLAIN, reading PRAGMA). Returns 0, -EINVAL if the query is
 * wrong or would write (gm_recording_message says why), what a sink function returned below 0, or
 * as usual. */
int gm_sql_run(struct gm_recording *recording, const char *query, const struct gm_sql_sink *sink);

#endif
