/* store_bind.c - see store_bind.h. */
#include "collector/store_bind.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collector/life.h"
#include "schemas/text.h"

static int bind_clean(sqlite3_stmt *s, int i, const char *text)
{
    char small[1024];
    size_t room = GM_TEXT_CLEAN_ROOM(text ? strlen(text) : 0);
    char *buffer = room <= sizeof small ? small : malloc(room);
    if (!buffer)
        return SQLITE_NOMEM;
    gm_text_clean(text, buffer, room);
    int rc = sqlite3_bind_text(s, i, buffer, -1, SQLITE_TRANSIENT);
    if (buffer != small)
        free(buffer);
    return rc;
}

/* A JSON array of strings. What cleaning would change becomes an array of one cleaned string, as a
 * change inside could break the JSON. */
static int bind_json(sqlite3_stmt *s, int i, const char *json)
{
    size_t bytes = json ? strlen(json) : 0, room = 2 * GM_TEXT_CLEAN_ROOM(bytes) + 8;
    char *clean = malloc(room);
    if (!clean)
        return SQLITE_NOMEM;
    if (gm_text_clean_bytes(json ? json : "", bytes, clean, room) != bytes) {
        clean[0] = '[';
        gm_text_json(json, clean + 1, room - 2);
        strcat(clean, "]");
    }
    return sqlite3_bind_text(s, i, bytes ? clean : strcpy(clean, "[]"), -1, free);
}

static int bind_life(sqlite3_stmt *s, int i, const struct gm_life_value *value)
{
    if (value->length == 0)
        return sqlite3_bind_null(s, i);
    return value->length < 0 ? sqlite3_bind_int(s, i, value->bucket)
                             : sqlite3_bind_text(s, i, value->text, value->length, SQLITE_STATIC);
}

int gm_row_write(sqlite3_stmt *s, const char *letters, ...)
{
    /* A list that does not fit its statement would read arguments that are not there. */
    int rc = (int)strlen(letters) == sqlite3_bind_parameter_count(s) ? SQLITE_OK : SQLITE_MISUSE;
    va_list args;
    va_start(args, letters);
    for (int i = 1; letters[i - 1] && rc == SQLITE_OK; i++) {
        char letter = letters[i - 1];
        if (letter == 'd' || letter == 'e') {
            double value = va_arg(args, double);
            rc = letter == 'e' && value < 0 ? sqlite3_bind_null(s, i)
                                            : sqlite3_bind_double(s, i, value);
        } else if (letter == 's') {
            rc = sqlite3_bind_text(s, i, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else if (letter == 't') {
            rc = bind_clean(s, i, va_arg(args, const char *));
        } else if (letter == 'j') {
            rc = bind_json(s, i, va_arg(args, const char *));
        } else if (letter == 'p') {
            rc = sqlite3_bind_pointer(
                s, i, va_arg(args, struct gm_life_delta *), GM_LIFE_POINTER, NULL);
        } else if (letter == 'l') {
            rc = bind_life(s, i, va_arg(args, const struct gm_life_value *));
        } else {
            int64_t value = va_arg(args, int64_t);
            bool null = (letter == 'z' && value == 0) || (letter == 'n' && value < 0);
            rc = null ? sqlite3_bind_null(s, i) : sqlite3_bind_int64(s, i, value);
        }
    }
    va_end(args);
    if (rc == SQLITE_OK)
        sqlite3_step(s);
    int end = sqlite3_reset(s);
    return rc == SQLITE_OK ? end : rc;
}

int gm_statements_prepare(
    sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **ret_statements)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(
            db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_statements[i], NULL);
    return rc;
}

void gm_statements_finalize(sqlite3_stmt **statements, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sqlite3_finalize(statements[i]);
}
