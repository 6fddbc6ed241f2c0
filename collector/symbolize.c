/* symbolize.c - see symbolize.h.
 *
 * Asks again for frames without a name, and for those of modules that gave function names only: with
 * --debug-dir there may be more to be had now. What is already known is only ever replaced by an answer.
 * Interrupted, it leaves whole transactions behind and goes on where it was when called again.
 */
#include "collector/symbolize.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/say.h"
#include "collector/store_names.h"
#include "schemas/db.h"

#define EXIT_FILE 3

struct symbolize {
    sqlite3 *db;
    struct gm_store_names *names;
    char file[1024]; /* as shown */
};

static int modules_load(struct symbolize *s)
{
    sqlite3_stmt *q = NULL;
    int rc =
        sqlite3_prepare_v2(s->db, "SELECT module_id, path, build_id FROM module", -1, &q, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        const char *path = (const char *)sqlite3_column_text(q, 1),
                   *id = (const char *)sqlite3_column_text(q, 2);
        gm_store_names_module(
            s->names, (uint32_t)sqlite3_column_int64(q, 0), path ? path : "", id ? id : "");
        rc = SQLITE_OK;
    }
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int frames_ask(struct symbolize *s)
{
    static const char sql[] =
        "SELECT frame_id, module_id, address, flags FROM frame f JOIN module m USING (module_id)"
        " WHERE m.symbols IS NOT 'debug' OR f.symbolized = 0"
        " OR NOT EXISTS (SELECT 1 FROM frame_line l WHERE l.frame_id = f.frame_id)";
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        gm_store_names_request(s->names, (uint32_t)sqlite3_column_int64(q, 0),
            (uint32_t)sqlite3_column_int64(q, 1), (uint64_t)sqlite3_column_int64(q, 2),
            (uint32_t)sqlite3_column_int64(q, 3));
        rc = SQLITE_OK;
    }
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int answers_write(struct symbolize *s, bool show)
{
    size_t left;
    int rc = SQLITE_OK;
    gm_store_names_hurry(s->names);
    while (rc == SQLITE_OK && (left = gm_store_names_pending(s->names)) > 0) {
        rc = gm_store_names_poll(s->names, 500);
        if (show)
            gm_say_progress("naming frames, %zu left", left);
    }
    gm_say_progress_end();
    return rc;
}

/* Frames that lie in a file; with named, those of them that have a name. */
static int64_t frames_count(struct symbolize *s, bool named)
{
    static const char all[] =
        "SELECT count(*) FROM frame WHERE module_id IS NOT NULL AND flags & 10 = 0";
    static const char some[] =
        "SELECT count(*) FROM frame f WHERE module_id IS NOT NULL AND flags & 10 = 0"
        " AND EXISTS (SELECT 1 FROM frame_line l WHERE l.frame_id = f.frame_id)";
    sqlite3_stmt *q = NULL;
    int64_t count = 0;
    if (sqlite3_prepare_v2(s->db, named ? some : all, -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        count = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return count;
}

static int symbolize_open(struct symbolize *s, const char *path)
{
    char message[1024];
    if (gm_db_open_writer(path, &s->db, message, sizeof message) != GM_DB_OK) {
        gm_say("%s", message);
        return -EINVAL;
    }
    if (gm_db_recorder_lives(s->db)) {
        gm_say("%s: is still being recorded; symbolize it when the program has ended", s->file);
        return -EBUSY;
    }
    /* After a recorder's death the file is still in WAL mode; a reader may hold it there, which does no harm. */
    sqlite3_exec(s->db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    return 0;
}

static int names_open(struct symbolize *s, const struct gm_record_options *o)
{
    const struct gm_symbols_options symbols = {
        .sysroot = o->sysroot, .debug_dirs = o->debug_dirs, .debug_dir_count = o->debug_dir_count};
    int r = gm_store_names_create(s->db, &symbols, &s->names);
    if (r == -ENOENT)
        gm_say("the program geomem-symbolize is missing beside geomem-record; build or install "
               "geomem as a whole");
    else if (r < 0)
        gm_say("%s: no names can be looked up (%s)", s->file, strerror(-r));
    return r;
}

int gm_symbolize(const struct gm_record_options *options)
{
    struct symbolize s = {0};
    int status = EXIT_FILE;
    gm_say_file(options->subject, s.file, sizeof s.file);
    if (symbolize_open(&s, options->subject) == 0 && names_open(&s, options) == 0) {
        int64_t before = frames_count(&s, true);
        int rc = modules_load(&s);
        if (rc == SQLITE_OK)
            rc = frames_ask(&s);
        if (rc == SQLITE_OK)
            rc = answers_write(&s, !options->quiet && isatty(STDERR_FILENO));
        const char *trouble = gm_store_names_trouble(s.names);
        if (rc != SQLITE_OK) {
            gm_say("%s: %s; what was named so far is kept", s.file, sqlite3_errmsg(s.db));
        } else if (*trouble) {
            gm_say("%s: %s; what was named so far is kept", s.file, trouble);
        } else {
            status = 0;
            int64_t after = frames_count(&s, true);
            if (!options->quiet)
                printf("%s: %" PRId64 " of %" PRId64 " frames have a name, %" PRId64
                       " of them new\n",
                    s.file, after, frames_count(&s, false), after - before);
        }
    }
    gm_store_names_free(s.names);
    if (s.names)
        gm_store_names_settle(s.db);
    gm_db_close(s.db);
    return status;
}
