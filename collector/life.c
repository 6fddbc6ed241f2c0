/* life.c - see life.h. */
#include "collector/life.h"

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

size_t gm_life_print_delta(const struct gm_life_delta *delta, char out[GM_LIFE_TEXT_ROOM])
{
    uint64_t blocks[GM_LIFE_BUCKETS] = {0};
    if (delta->n == 0)
        return 0;
    life_add(blocks, delta);
    return gm_life_print(blocks, out);
}

static void life_merge(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint64_t blocks[GM_LIFE_BUCKETS] = {0};
    char text[GM_LIFE_TEXT_ROOM];
    (void)count;
    const struct gm_life_delta *delta = sqlite3_value_pointer(values[1], GM_LIFE_POINTER);
    if (!delta) {
        sqlite3_result_value(context, values[0]);
        return;
    }
    gm_life_parse((const char *)sqlite3_value_text(values[0]), blocks);
    life_add(blocks, delta);
    size_t length = gm_life_print(blocks, text);
    if (length)
        sqlite3_result_text(context, text, (int)length, SQLITE_TRANSIENT);
    else
        sqlite3_result_null(context);
}

int gm_life_register(sqlite3 *db)
{
    return sqlite3_create_function_v2(db, "gm_life_merge", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
        life_merge, NULL, NULL, NULL);
}
