/* db_internal.h - what db.c and db_migrate.c share. Not for others. */
#ifndef GM_SCHEMAS_DB_INTERNAL_H
#define GM_SCHEMAS_DB_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/db.h"

/* Whose file it is about and where the one line goes. */
struct gm_db_context {
    const char *path;
    char *message;
    size_t message_bytes;
};

/* Writes "path: text" with the path cleaned; returns `error`. */
enum gm_db_error gm_db_say(const struct gm_db_context *c, enum gm_db_error error,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The line for SQLite's result code; db may be NULL. */
enum gm_db_error gm_db_say_sqlite(const struct gm_db_context *c, int rc, sqlite3 *db);

/* First column of the first row; SQLITE_EMPTY without a row. */
int gm_db_integer(sqlite3 *db, const char *sql, int64_t *ret_value);

/* application_id and user_version, checked: 1 .. GM_DB_VERSION. */
enum gm_db_error gm_db_read_version(const struct gm_db_context *c, sqlite3 *db, int *ret_version);

/* A new empty file in $TMPDIR or /tmp, 0600. */
int gm_db_temp_name(char *name, size_t room);
/* Opens read-only, then removes the name. */
int gm_db_open_unlinked(const char *name, sqlite3 **ret_db);

/* ---- db_migrate.c */

/* Every table of the current schema is there with all its columns, and nothing that acts by itself
 * (triggers, virtual tables). Where a view is missing or reads otherwise, the current one takes its
 * place for this connection. */
enum gm_db_error gm_db_check_schema(const struct gm_db_context *c, sqlite3 *db);

/* Copies the database behind `from` into the existing empty file `to` and brings that to the
 * current version. `from` is not changed; what is left in `to` after a failure is the caller's to
 * remove. */
enum gm_db_error gm_db_migrate_into(
    const struct gm_db_context *c, sqlite3 *from, int version, const char *to);

/* Replaces *db, open on an older recording, by a connection to a migrated private copy. On failure
 * *db is still open on what it was. */
enum gm_db_error gm_db_migrate_private(const struct gm_db_context *c, sqlite3 **db, int version);

#endif
