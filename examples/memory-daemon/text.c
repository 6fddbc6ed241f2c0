/* text.c - see text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/geomem.h"

#define PRINTED_MAX 256

static void *checked(void *block)
{
    if (!block) {
        fputs("memory-daemon: no memory left; give it more, or fewer documents\n", stderr);
        exit(1);
    }
    return block;
}

void *object_new(size_t size)
{
    return checked(geomem_gc_alloc(size));
}

void *leaf_new(size_t size)
{
    return checked(geomem_gc_alloc_leaf(size));
}

static struct text *text_blank(size_t length)
{
    struct text *text = leaf_new(sizeof *text + length);
    text->length = (uint32_t)length;
    return text;
}

struct text *text_new(const char *bytes, size_t length)
{
    struct text *text = text_blank(length);
    memcpy(text->bytes, bytes, length);
    return text;
}

struct reply *reply_new(void)
{
    return object_new(sizeof(struct reply));
}

void reply_add(struct reply *reply, struct text *text)
{
    struct piece *piece = object_new(sizeof *piece);
    piece->text = text;
    if (reply->last)
        reply->last->next = piece;
    else
        reply->first = piece;
    reply->last = piece;
    reply->length += text->length;
}

void reply_print(struct reply *reply, const char *format, ...)
{
    char line[PRINTED_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0)
        reply_add(
            reply, text_new(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1));
}

struct text *reply_join(const struct reply *reply)
{
    struct text *joined = text_blank(reply->length);
    size_t at = 0;
    for (const struct piece *piece = reply->first; piece; piece = piece->next) {
        memcpy(joined->bytes + at, piece->text->bytes, piece->text->length);
        at += piece->text->length;
    }
    return joined;
}
