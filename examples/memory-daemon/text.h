/* text.h - strings in collected memory, and replies that are put together from them.
 *
 * A text holds no pointers, so it comes from geomem_gc_alloc_leaf: the collector keeps it, but never looks inside.
 * Nobody frees one. A reply is a list of texts, built by a request and dropped with it.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    uint32_t length;
    char bytes[]; /* not terminated */
};

struct piece {
    struct piece *next;
    struct text *text;
};

struct reply {
    struct piece *first, *last;
    size_t length;
};

/* A copy. Where no memory is left it ends the daemon, as all do that allocate here. */
struct text *text_new(const char *bytes, size_t length);

/* Collected memory for objects with pointers, zeroed; and for what has none. */
void *object_new(size_t size);
void *leaf_new(size_t size);

struct reply *reply_new(void);
void reply_add(struct reply *reply, struct text *text);
void reply_print(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct text *reply_join(const struct reply *reply);

#endif
