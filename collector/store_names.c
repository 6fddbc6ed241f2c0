/* store_names.c - see store_names.h. */
#include "collector/store_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schemas/text.h"

enum statement {
    N_FIND,
    N_ADD,
    N_FORGET,
    N_LINE,
    N_FRAME,
    N_MODULE,
    N_COUNT,
};

static const char *const statements[N_COUNT] = {
    [N_FIND] = "SELECT string_id FROM string WHERE text = ?1",
    [N_ADD] = "INSERT INTO string (text) VALUES (?1)",
    [N_FORGET] = "DELETE FROM frame_line WHERE frame_id = ?1",
    [N_LINE] = "INSERT INTO frame_line (frame_id, depth, function_id, file_id, line) VALUES (?1, "
               "?2, ?3, ?4, ?5)",
    [N_FRAME] = "UPDATE frame SET symbolized = 1 WHERE frame_id = ?1",
    /* What a better source gave stays. */
    [N_MODULE] = "UPDATE module SET symbols = ?2 WHERE module_id = ?1"
                 " AND (symbols IS NULL OR symbols = 'none' OR ?2 = 'debug')",
};

struct gm_store_names {
    sqlite3 *db;
    struct gm_symbols *symbols;
    sqlite3_stmt *s[N_COUNT];
    int rc;      /* first failure within the current poll */
    bool broken; /* no worker works: what is pending stays pending */
    char message[256];
};

static int step_reset(sqlite3_stmt *s)
{
    sqlite3_step(s);
    return sqlite3_reset(s);
}

/* The id of a text, added if it is new; 0 for NULL and after a failure (noted in names->rc). */
static sqlite3_int64 string_id(struct gm_store_names *names, const char *text)
{
    char clean[GM_TEXT_CLEAN_ROOM(GM_SYMBOLS_MAX_NAME)];
    if (!text || names->rc != SQLITE_OK)
        return 0;
    int length = (int)gm_text_clean_bytes(text, strlen(text), clean, sizeof clean);
    sqlite3_stmt *find = names->s[N_FIND], *add = names->s[N_ADD];
    sqlite3_int64 id = 0;
    sqlite3_bind_text(find, 1, clean, length, SQLITE_STATIC);
    if (sqlite3_step(find) == SQLITE_ROW)
        id = sqlite3_column_int64(find, 0);
    names->rc = sqlite3_reset(find);
    if (id == 0 && names->rc == SQLITE_OK) {
        sqlite3_bind_text(add, 1, clean, length, SQLITE_STATIC);
        names->rc = step_reset(add);
        id = names->rc == SQLITE_OK ? sqlite3_last_insert_rowid(names->db) : 0;
    }
    sqlite3_clear_bindings(find);
    sqlite3_clear_bindings(add);
    return id;
}

static int bind_id(sqlite3_stmt *s, int i, sqlite3_int64 id)
{
    return id > 0 ? sqlite3_bind_int64(s, i, id) : sqlite3_bind_null(s, i);
}

static void line_write(struct gm_store_names *names, uint32_t frame_id, size_t depth,
    const struct gm_symbols_line *line)
{
    sqlite3_stmt *s = names->s[N_LINE];
    sqlite3_int64 function = string_id(names, line->function), file = string_id(names, line->file);
    if (names->rc != SQLITE_OK)
        return;
    sqlite3_bind_int64(s, 1, frame_id);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)depth);
    bind_id(s, 3, function);
    bind_id(s, 4, file);
    bind_id(s, 5, line->line);
    names->rc = step_reset(s);
}

static void on_frame(
    void *context, uint32_t frame_id, const struct gm_symbols_line *lines, size_t count)
{
    struct gm_store_names *names = context;
    if (names->rc != SQLITE_OK)
        return;
    if (count > 0) {
        /* Only an answer replaces what an earlier run found. */
        sqlite3_bind_int64(names->s[N_FORGET], 1, frame_id);
        names->rc = step_reset(names->s[N_FORGET]);
    }
    for (size_t i = 0; i < count && names->rc == SQLITE_OK; i++)
        line_write(names, frame_id, i, &lines[i]);
    if (names->rc == SQLITE_OK) {
        sqlite3_bind_int64(names->s[N_FRAME], 1, frame_id);
        names->rc = step_reset(names->s[N_FRAME]);
    }
}

static void on_module(void *context, uint32_t module_id, enum gm_symbols_source source)
{
    struct gm_store_names *names = context;
    sqlite3_stmt *s = names->s[N_MODULE];
    if (names->rc != SQLITE_OK)
        return;
    sqlite3_bind_int64(s, 1, module_id);
    sqlite3_bind_text(s, 2, gm_symbols_source_name(source), -1, SQLITE_STATIC);
    names->rc = step_reset(s);
}

int gm_store_names_create(
    sqlite3 *db, const struct gm_symbols_options *options, struct gm_store_names **ret_names)
{
    struct gm_store_names *names = calloc(1, sizeof *names);
    if (!names)
        return -ENOMEM;
    names->db = db;
    int r = sqlite3_exec(db, "CREATE UNIQUE INDEX IF NOT EXISTS string_text ON string (text)", NULL,
                NULL, NULL) == SQLITE_OK
                ? gm_symbols_create(options, &names->symbols)
                : -EIO;
    for (int i = 0; i < N_COUNT && r == 0; i++) {
        if (sqlite3_prepare_v3(
                db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &names->s[i], NULL) != SQLITE_OK)
            r = -EIO;
    }
    if (r < 0) {
        gm_store_names_free(names);
        return r;
    }
    *ret_names = names;
    return 0;
}

void gm_store_names_free(struct gm_store_names *names)
{
    if (!names)
        return;
    gm_symbols_free(names->symbols);
    for (int i = 0; i < N_COUNT; i++)
        sqlite3_finalize(names->s[i]);
    free(names);
}

void gm_store_names_module(
    struct gm_store_names *names, uint32_t module_id, const char *path, const char *build_id)
{
    gm_symbols_module(names->symbols, module_id, path ? path : "", build_id);
}

void gm_store_names_request(struct gm_store_names *names, uint32_t frame_id, uint32_t module_id,
    uint64_t address, uint32_t flags)
{
    if (gm_store_frame_has_name(module_id, flags))
        gm_symbols_request(names->symbols, frame_id, module_id, address, flags & GM_PC_EXACT);
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Answers come by the hundred; a transaction for each such handful would write the same pages again and again. */
static int names_serve(struct gm_store_names *names, int timeout_ms)
{
    const struct gm_symbols_handler handler = {on_frame, on_module, names};
    int64_t deadline = clock_ms() + timeout_ms;
    for (;;) {
        int64_t left = deadline - clock_ms();
        int r = gm_symbols_poll(names->symbols, left > 0 ? (int)left : 0, &handler);
        if (r < 0 || names->rc != SQLITE_OK || left <= 0 || !gm_symbols_pending(names->symbols))
            return r;
    }
}

int gm_store_names_poll(struct gm_store_names *names, int timeout_ms)
{
    if (names->broken)
        return SQLITE_OK;
    names->rc = sqlite3_exec(names->db, "BEGIN", NULL, NULL, NULL);
    if (names->rc != SQLITE_OK)
        return names->rc;
    int r = names_serve(names, timeout_ms);
    if (r < 0) {
        names->broken = true;
        snprintf(names->message, sizeof names->message, "%s", gm_symbols_message(names->symbols));
    }
    if (names->rc == SQLITE_OK)
        names->rc = sqlite3_exec(names->db, "COMMIT", NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(names->db))
        sqlite3_exec(names->db, "ROLLBACK", NULL, NULL, NULL);
    return names->rc;
}

int gm_store_names_settle(sqlite3 *db)
{
    return sqlite3_exec(db, "DROP INDEX IF EXISTS string_text", NULL, NULL, NULL);
}

uint64_t gm_store_names_stop(struct gm_store_names *names)
{
    return gm_symbols_stop(names->symbols);
}

size_t gm_store_names_pending(const struct gm_store_names *names)
{
    return names->broken ? 0 : gm_symbols_pending(names->symbols);
}

void gm_store_names_hurry(struct gm_store_names *names)
{
    gm_symbols_hurry(names->symbols);
}

const char *gm_store_names_trouble(const struct gm_store_names *names)
{
    return names->message;
}
