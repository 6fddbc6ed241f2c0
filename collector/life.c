/* life.c - see life.h. */
#include "collector/life.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void gm_life_parse(const char *text, uint64_t blocks[GM_LIFE_BUCKETS])
{
    if (!text || *text++ != '[')
        return;
    while (*text == '[') {
        char *end;
        unsigned long bucket = strtoul(text + 1, &end, 10);
        if (*end != ',' || bucket >= GM_LIFE_BUCKETS)
            return;
        blocks[bucket] += strtoull(end + 1, &end, 10);
        if (*end != ']')
            return;
        text = end + 1;
        if (*text == ',')
            text++;
    }
}

static char *decimal_print(char *p, uint64_t value)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        *p++ = digits[--n];
    return p;
}

size_t gm_life_print(const uint64_t blocks[GM_LIFE_BUCKETS], char out[GM_LIFE_TEXT_ROOM])
{
    char *p = out;
    for (unsigned b = 0; b < GM_LIFE_BUCKETS; b++) {
        if (!blocks[b])
            continue;
        *p = p == out ? '[' : ',';
        *++p = '[';
        p++;
        p = decimal_print(p, b);
        *p++ = ',';
        p = decimal_print(p, blocks[b]);
        *p++ = ']';
    }
    if (p != out)
        *p++ = ']';
    *p = 0;
    return (size_t)(p - out);
}

static void life_add(uint64_t blocks[GM_LIFE_BUCKETS], const struct gm_life_delta *delta)
{
    for (size_t i = 0; i < delta->n; i++)
        if (delta->v[i].unit == delta->unit && delta->v[i].bucket < GM_LIFE_BUCKETS)
            blocks[delta->v[i].bucket] += delta->v[i].blocks;
}

static void life_value(
    const uint64_t blocks[GM_LIFE_BUCKETS], uint64_t frees, struct gm_life_value *value)
{
    unsigned used = 0, last = 0;
    for (unsigned b = 0; b < GM_LIFE_BUCKETS; b++) {
        used += blocks[b] != 0;
        last = blocks[b] ? b : last;
    }
    bool one = used == 1 && blocks[last] == frees;
    value->bucket = (int)last;
    value->length = one ? -1 : (int)gm_life_print(blocks, value->text);
}

void gm_life_first(const struct gm_life_delta *delta, struct gm_life_value *ret_value)
{
    uint64_t blocks[GM_LIFE_BUCKETS] = {0};
    ret_value->length = 0;
    if (delta->n == 0)
        return;
    life_add(blocks, delta);
    life_value(blocks, delta->frees, ret_value);
}

/* One bucket after another: those of most sites stay where they were. */
static bool life_stays_in(int64_t bucket, const struct gm_life_delta *delta)
{
    uint64_t blocks = 0;
    for (size_t i = 0; i < delta->n; i++) {
        if (delta->v[i].unit == delta->unit && delta->v[i].bucket != bucket)
            return false;
        blocks += delta->v[i].unit == delta->unit ? delta->v[i].blocks : 0;
    }
    return blocks == delta->frees;
}

static void life_merge(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint64_t blocks[GM_LIFE_BUCKETS] = {0};
    struct gm_life_value value;
    (void)count;
    const struct gm_life_delta *delta = sqlite3_value_pointer(values[1], GM_LIFE_POINTER);
    bool integer = sqlite3_value_type(values[0]) == SQLITE_INTEGER;
    int64_t bucket = integer ? sqlite3_value_int64(values[0]) : -1;
    uint64_t before = (uint64_t)sqlite3_value_int64(values[2]);
    if (!delta || delta->n == 0 || (integer && life_stays_in(bucket, delta))) {
        sqlite3_result_value(context, values[0]);
        return;
    }
    if (!integer)
        gm_life_parse((const char *)sqlite3_value_text(values[0]), blocks);
    else if (bucket >= 0 && bucket < GM_LIFE_BUCKETS)
        blocks[bucket] = before;
    life_add(blocks, delta);
    life_value(blocks, before + delta->frees, &value);
    if (value.length < 0)
        sqlite3_result_int(context, value.bucket);
    else if (value.length > 0)
        sqlite3_result_text(context, value.text, value.length, SQLITE_TRANSIENT);
    else
        sqlite3_result_null(context);
}

int gm_life_register(sqlite3 *db)
{
    return sqlite3_create_function_v2(db, "gm_life_merge", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
        life_merge, NULL, NULL, NULL);
}
