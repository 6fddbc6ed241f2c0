/* json.c - see json.h. */
#include "analyzer/report/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_begin(struct json *j, FILE *file)
{
    j->file = file;
    j->depth = j->flat = 0;
    j->first = true;
}

void json_end(struct json *j)
{
    assert(j->depth == 0);
    putc('\n', j->file);
}

static void json_string(struct json *j, const char *text, size_t bytes)
{
    putc('"', j->file);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            fprintf(j->file, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(j->file, "\\u%04x", c);
        else
            putc(c, j->file);
    }
    putc('"', j->file);
}

/* What stands before a value: the comma, the line break, the key. */
static void json_lead(struct json *j, const char *key)
{
    if (!j->first)
        fputs(j->flat ? ", " : ",", j->file);
    if (!j->flat && j->depth > 0)
        fprintf(j->file, "\n%*s", (int)j->depth * 2, "");
    if (key)
        fprintf(j->file, "\"%s\": ", key);
    j->first = false;
}

static void json_open(struct json *j, const char *key, bool flat, char open, char close)
{
    json_lead(j, key);
    putc(open, j->file);
    assert(j->depth + 1 < JSON_MAX_DEPTH);
    j->close[++j->depth] = close;
    if (flat && !j->flat)
        j->flat = j->depth;
    j->first = true;
}

void json_put_object(struct json *j, const char *key, bool flat)
{
    json_open(j, key, flat, '{', '}');
}
void json_put_array(struct json *j, const char *key, bool flat)
{
    json_open(j, key, flat, '[', ']');
}

void json_put_close(struct json *j)
{
    char close = j->close[j->depth--];
    if (!j->first && !j->flat)
        fprintf(j->file, "\n%*s", (int)j->depth * 2, "");
    if (j->flat > j->depth)
        j->flat = 0;
    putc(close, j->file);
    j->first = false;
}

void json_put_bytes(struct json *j, const char *key, const char *text, size_t bytes)
{
    json_lead(j, key);
    json_string(j, text, bytes);
}

void json_put_text(struct json *j, const char *key, const char *text)
{
    if (text)
        json_put_bytes(j, key, text, strlen(text));
    else
        json_put_null(j, key);
}

void json_put_count(struct json *j, const char *key, uint64_t value)
{
    json_lead(j, key);
    fprintf(j->file, "%" PRIu64, value);
}

void json_put_integer(struct json *j, const char *key, int64_t value)
{
    json_lead(j, key);
    fprintf(j->file, "%" PRId64, value);
}

void json_put_real(struct json *j, const char *key, double value)
{
    char text[32];
    json_lead(j, key);
    /* the shortest form that reads back as good as equal; figures here are shares and rates */
    snprintf(text, sizeof text, "%.9g", value);
    fputs(isfinite(value) ? text : "null", j->file);
}

void json_put_bool(struct json *j, const char *key, bool value)
{
    json_lead(j, key);
    fputs(value ? "true" : "false", j->file);
}

void json_put_null(struct json *j, const char *key)
{
    json_lead(j, key);
    fputs("null", j->file);
}

void json_put_time(struct json *j, const char *key, int64_t value)
{
    if (value < 0)
        json_put_null(j, key);
    else
        json_put_integer(j, key, value);
}
