/* db.h - opening a recording: what every reader and the one writer do first.
 *
 * A recording is an SQLite file with application_id GM_DB_APPLICATION_ID and user_version
 * GM_DB_VERSION. The schema is schema.sql; its comments are the documentation of the tables and
 * views.
 */
#ifndef GM_SCHEMAS_DB_H
#define GM_SCHEMAS_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define GM_DB_APPLICATION_ID 0x474D454D
#define GM_DB_VERSION 5

enum gm_db_error {
    GM_DB_OK = 0,
    GM_DB_MISSING, /* no such file, or it cannot be read or made (errno text in the message) */
    GM_DB_EMPTY,   /* zero bytes */
    GM_DB_FOREIGN, /* not SQLite, or not ours */
    GM_DB_NEWER,   /* made by a newer geomem */
    GM_DB_OLDER,   /* an older schema: migrate to a copy first */
    GM_DB_DAMAGED, /* SQLite reports corruption, or tables are missing */
    GM_DB_OTHER,   /* anything else (memory, locks, ...) */
};

/* Opens `path` read-only. Works while a recorder writes to it, after a clean end, after a
 * recorder's death (recovers the WAL where the folder is writable, else in a private copy, and
 * without room for one reads with immutable=1 what is in the main file), and on read-only media. An
 * older schema is migrated into a private copy that is gone when the connection closes. Hardened
 * against hostile files (trusted_schema off, defensive, cell_size_check, limits); views that differ
 * from this version's are hidden by temporary ones. A live reader holds the file in WAL mode: once
 * it has seen run.state = 'complete' it should close and open again. On success stores the
 * connection in *ret_db (close with gm_db_close). On failure leaves *ret_db untouched and writes
 * one line, without newline, into message: names the file and says what to do. */
enum gm_db_error gm_db_open_reader(
    const char *path, sqlite3 **ret_db, char *message, size_t message_bytes);

/* Creates a new recording at `path`, which must not exist yet (the caller deals with -f), with the
 * schema applied, WAL journal, synchronous=NORMAL, page_size 4096. Same results as above. */
enum gm_db_error gm_db_create(
    const char *path, sqlite3 **ret_db, char *message, size_t message_bytes);

/* Opens an existing recording for writing (symbolize). Refuses older schemas. */
enum gm_db_error gm_db_open_writer(
    const char *path, sqlite3 **ret_db, char *message, size_t message_bytes);

/* Migrates the recording at `from` into a new file at `to` with the current schema. */
enum gm_db_error gm_db_migrate_copy(
    const char *from, const char *to, char *message, size_t message_bytes);

/* Takes NULL. Deletes the private copy if there is one. Where a finished recording still has its
 * -wal (its recorder ended while readers looked on), the last of them to close turns it into one
 * file. */
void gm_db_close(sqlite3 *db);

/* Removes a recording with its journals; what is not there is no error. */
void gm_db_remove(const char *path);

/* True while the recorder that writes this recording lives; false when it was closed in order, or
 * was cut. Asks /proc: only of use on the machine that recorded. */
bool gm_db_recorder_lives(sqlite3 *db);
/* /proc/sys/kernel/random/boot_id without its newline; "" where it cannot be read. */
const char *gm_db_boot_id(char *ret_text, size_t room);
/* Field 22 of /proc/PID/stat, which with the pid names a process for ever within one boot; -1:
 * none. */
int64_t gm_db_start_ticks(int64_t pid);

extern const char gm_schema_sql[];

#endif
