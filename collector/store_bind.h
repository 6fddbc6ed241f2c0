/* store_bind.h - one row for one statement, by letters. Used by the files of the store only. */
#ifndef GM_COLLECTOR_STORE_BIND_H
#define GM_COLLECTOR_STORE_BIND_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* Binds from the first parameter on, by letter, and runs the statement:
 *   i int64_t   z int64_t, 0 is NULL   n int64_t, negative is NULL   d double   e double, negative is NULL
 *   s const char * of ours, NULL is NULL   t text to be cleaned   j JSON array to be cleaned
 *   p const struct gm_life_delta *   l const struct gm_life_value *
 * Returns an SQLite result code. */
int gm_row_write(sqlite3_stmt *statement, const char *letters, ...);

/* Figures are unsigned in the batch and signed in SQL. */
#define I(value) ((int64_t)(value))

/* Makes the statements of a list; what was made is to be finalized also on failure. */
int gm_statements_prepare(
    sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **ret_statements);
void gm_statements_finalize(sqlite3_stmt **statements, size_t count);

#endif
