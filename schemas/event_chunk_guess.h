/* event_chunk_guess.h - what writer and reader of chunks share beside the header: the columns, and the guesses at
 * addresses. Used by event_chunk_write.c and event_chunk_read.c only.
 *
 * Both sides must come to the same guess from the same events, whatever they are: a change here is a new format.
 */
#ifndef GM_SCHEMAS_EVENT_CHUNK_GUESS_H
#define GM_SCHEMAS_EVENT_CHUNK_GUESS_H

#include <string.h>

#include "schemas/event_chunk.h"

#define CHUNK_MAGIC 0x43454d47u /* "GMEC" */

/* X(name, most bytes an event can put into it) */
#define CHUNK_COLUMNS(X) \
    X(ops, 1) \
    X(times, 1) \
    X(times_wide, 10) \
    X(threads, 3) \
    X(types, 1) \
    X(types_wide, 3) \
    X(references, 1) \
    X(references_wide, 3) \
    X(addresses, 11) \
    X(dictionary, 26)

enum chunk_column {
#define GM_X(name, bytes) COLUMN_##name,
    CHUNK_COLUMNS(GM_X)
#undef GM_X
        COLUMN_COUNT
};

static const uint8_t column_event_bytes[COLUMN_COUNT] = {
#define GM_X(name, bytes) bytes,
    CHUNK_COLUMNS(GM_X)
#undef GM_X
};

#define CHUNK_FIXED_BYTES 12u
#define CHUNK_HEADER_BYTES (CHUNK_FIXED_BYTES + 8u * COLUMN_COUNT)

#define NARROW_MAX 255u /* this byte: more in the wide column */

#define OP_KIND(op) ((op)&7u)
#define OP_FLAGS(op) ((op) >> 3 & 3u)
#define OP_MODE(op) ((op) >> 5 & 3u)
#define OP_OTHER_THREAD 0x80u

/* A signed number with its sign in the lowest bit, so that small ones of either sign are short. */
static inline uint64_t signed_fold(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}
static inline uint64_t signed_unfold(uint64_t folded)
{
    return folded >> 1 ^ -(folded & 1);
}

static inline void info_include(
    struct gm_chunk_info *info, const struct gm_log_event *event, int64_t time_ns)
{
    if (info->events++ == 0) {
        info->first_ns = info->last_ns = time_ns;
        info->min_process_id = info->max_process_id = event->process_id;
        info->min_thread_id = info->max_thread_id = event->thread_id;
    }
    info->allocs += event->kind == GM_LOG_alloc;
    info->frees += event->kind == GM_LOG_free;
    if (time_ns < info->first_ns)
        info->first_ns = time_ns;
    if (time_ns > info->last_ns)
        info->last_ns = time_ns;
    if (event->process_id < info->min_process_id)
        info->min_process_id = event->process_id;
    if (event->process_id > info->max_process_id)
        info->max_process_id = event->process_id;
    if (event->thread_id < info->min_thread_id)
        info->min_thread_id = event->thread_id;
    if (event->thread_id > info->max_thread_id)
        info->max_thread_id = event->thread_id;
}

/* Modes of ALLOC: the guess that was right. */
enum { MODE_LAST_FREED, MODE_BEHIND, MODE_DIFFERENCE, MODE_RECENTLY_FREED };
/* Modes of FREE. */
enum { MODE_REFERENCE, MODE_OLDER, MODE_UNKNOWN };

struct chunk_type {
    uint64_t size_bytes;
    uint32_t site_id;
    uint8_t function;
};

struct chunk_thread {
    uint32_t process_id, thread_id;
    uint64_t behind;     /* the address right behind the last block that was not one freed before */
    uint64_t last_alloc; /* the address of that block */
    uint64_t last_free;  /* of the last free that was no reference */
};

/* ---- blocks freed in this chunk, by thread and size class, last one first */

#define GUESS_LISTS 4096u /* arbitrary; lists that share a place only guess worse */
#define GUESS_RECENT 8u   /* entries looked at; glibc keeps 7 in a thread's cache */
#define GUESS_NONE UINT32_MAX

struct chunk_guess {
    uint32_t heads[GUESS_LISTS];
    uint32_t count;
    uint32_t next[GM_CHUNK_EVENTS];
    uint64_t address[GM_CHUNK_EVENTS];
};

static inline void guess_clear(struct chunk_guess *g)
{
    memset(g->heads, 0xff, sizeof g->heads);
    g->count = 0;
}

/* What glibc's malloc takes from the heap for a request: a header of 8, in steps of 16, 32 at least. Others differ, and
 * are guessed less well. */
static inline uint64_t guess_block_bytes(uint64_t size_bytes)
{
    return size_bytes < 24 ? 32 : (size_bytes + 23) & ~15ull;
}

static inline uint32_t *guess_list(struct chunk_guess *g, uint32_t thread, uint64_t size_bytes)
{
    uint64_t size_class = guess_block_bytes(size_bytes) >> 4;
    if (size_class > 1000)
        size_class = 1000 + (size_class >> 6) % 24;
    return &g->heads[(thread * 1031u + size_class) % GUESS_LISTS];
}

static inline void guess_freed(
    struct chunk_guess *g, uint32_t thread, uint64_t size_bytes, uint64_t address)
{
    uint32_t *list = guess_list(g, thread, size_bytes);
    g->address[g->count] = address;
    g->next[g->count] = *list;
    *list = g->count++;
}

/* The link that leads to entry number `depth` of the list, or NULL. */
static inline uint32_t *guess_link(struct chunk_guess *g, uint32_t *list, unsigned depth)
{
    for (; *list != GUESS_NONE && depth; depth--)
        list = &g->next[*list];
    return *list == GUESS_NONE ? NULL : list;
}

/* Takes the entry out and returns its address. */
static inline uint64_t guess_take(struct chunk_guess *g, uint32_t *link)
{
    uint32_t entry = *link;
    *link = g->next[entry];
    return g->address[entry];
}

static inline void thread_allocated(struct chunk_thread *t, uint64_t address, uint64_t size_bytes)
{
    t->last_alloc = address;
    t->behind = address + guess_block_bytes(size_bytes);
}

#endif
