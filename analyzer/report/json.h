/* json.h - JSON written as it comes, so that a document of a hundred thousand sites takes no
 * memory.
 *
 * (jansson, which the core reads with, builds a document before it writes it.) Keys are ours and
 * need no escaping; texts are escaped. A container opened with `flat` stands on one line.
 */
#ifndef GM_ANALYZER_REPORT_JSON_H
#define GM_ANALYZER_REPORT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 4096

struct json {
    FILE *file;
    unsigned depth;
    unsigned flat;              /* depth of the outermost flat container, 0: none */
    bool first;                 /* nothing was written into the current container yet */
    char close[JSON_MAX_DEPTH]; /* closing brackets of the open containers */
};

void json_begin(struct json *j, FILE *file);
/* Ends the document with a newline; all containers must be closed. */
void json_end(struct json *j);

/* key is NULL inside of arrays and for the outermost value. */
void json_put_object(struct json *j, const char *key, bool flat);
void json_put_array(struct json *j, const char *key, bool flat);
void json_put_close(struct json *j);

void json_put_text(struct json *j, const char *key, const char *text); /* NULL gives null */
void json_put_bytes(struct json *j, const char *key, const char *text, size_t bytes);
void json_put_count(struct json *j, const char *key, uint64_t value);
void json_put_integer(struct json *j, const char *key, int64_t value);
void json_put_real(struct json *j, const char *key, double value); /* not finite gives null */
void json_put_bool(struct json *j, const char *key, bool value);
void json_put_null(struct json *j, const char *key);
/* value if it is not negative, else null */
void json_put_time(struct json *j, const char *key, int64_t value);

#endif
