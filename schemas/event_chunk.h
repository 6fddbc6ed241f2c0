/* event_chunk.h - the full log of events: chunks of up to 64 Ki events, by column, compressed.
 *
 *   roll-up --[struct gm_log_event]--> builder --> row of table event_chunk --> decode --> gm_events
 *
 * A chunk is complete in itself. Its data:
 *
 *   | "GMEC" | format (1) | columns (1) | 0 (2) | events (4) |   numbers are little-endian
 *   | bytes (4) | stored bytes (4) |                             for each column
 *   | column 0 | column 1 | ...                                  a zstd frame each; as it is where that is no longer
 *
 * An event is one byte in column `ops` and what that byte calls for in others. Numbers are a byte below 255 in the
 * first named column, or 255 there and the rest as LEB128 in the second:
 *
 *   ops                           kind | flags << 3 | mode << 5 | other thread than before << 7
 *   times, times_wide             ALLOC, FREE: nanoseconds since the last of these, the first since time 0. Others:
 *                                 the difference to that time, signed (lowest bit): what is set from outside may
 *                                 lie a little ahead of the events told with it
 *   threads                       only with the high bit of ops: number of the pair (process, thread) in order of
 *                                 first appearance, LEB128; one more than there are makes a new one
 *   types, types_wide             ALLOC, and FREE of an older block: number of the triple (site, size, function),
 *                                 likewise
 *   references, references_wide   FREE of a block allocated in the same chunk: how many allocations ago. It says all
 *                                 there is to know of the block.
 *   addresses                     ALLOC: nothing where the allocator gave what the mode says it would; else, and for
 *                                 FREE of an older block, a signed difference to an address before
 *   dictionary                    the pairs and triples, LEB128: process, thread; site (signed difference to the one
 *                                 before), size, function
 *
 * Addresses of new blocks are guessed as an allocator gives them out: the block of that size class that this thread
 * freed last, or one that it freed shortly before, or the memory right behind the block before. Both sides guess
 * alike (event_chunk_guess.h), and only a wrong guess costs bytes.
 *
 * A change of this layout is a new format number; readers refuse numbers they do not know.
 */
#ifndef GM_SCHEMAS_EVENT_CHUNK_H
#define GM_SCHEMAS_EVENT_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_CHUNK_EVENTS 65536u
#define GM_CHUNK_FORMAT 1u

/* X(code, name, text); codes are stable, 1..7. */
#define GM_LOG_KINDS(X) \
    X(1, alloc, "a block was allocated, or came out of a reallocation") \
    X(2, free, "a block was freed, or went into a reallocation") \
    X(3, process_start, "the process image began") \
    X(4, process_end, "the process image ended") \
    X(5, thread_start, "the thread was first seen") \
    X(6, thread_end, "the thread ended") \
    X(7, mark, "a moment with a name: see table mark")

enum gm_log_kind {
#define GM_X(code, name, text) GM_LOG_##name = code,
    GM_LOG_KINDS(GM_X)
#undef GM_X
};

enum gm_log_flag {
    GM_LOG_REALLOC = 1u << 0,  /* alloc, free: one half of a reallocation */
    GM_LOG_IMPLICIT = 1u << 1, /* free: none was seen, but the address came out again */
    GM_LOG_COLLECTED = 3u, /* free: a collector found the block dead; it is none of the others */
};

/* What a field does not apply to is 0. */
struct gm_log_event {
    int64_t time_ns;     /* alloc, free: not less than that of the last of these */
    uint64_t address;    /* alloc, free */
    uint64_t size_bytes; /* alloc, and free where the block is known */
    uint32_t process_id; /* 0: from outside (mark) */
    uint32_t thread_id;  /* 0: not known */
    uint32_t site_id;    /* of the allocation, also for free; 0: not known */
    uint8_t kind;        /* enum gm_log_kind */
    uint8_t function;    /* alloc: enum gm_alloc_function */
    uint8_t flags;       /* enum gm_log_flag */
};

/* What a row of event_chunk says beside the data. */
struct gm_chunk_info {
    uint32_t events, allocs, frees;
    int64_t first_ns, last_ns;
    uint32_t min_process_id, max_process_id, min_thread_id, max_thread_id;
};
/* Over these figures and the data. */
uint32_t gm_chunk_checksum(const struct gm_chunk_info *info, const void *data, size_t bytes);

/* ---- writing */

struct gm_chunk_builder;

/* level: zstd's. NULL without memory. */
struct gm_chunk_builder *gm_chunk_builder_create(int level);
void gm_chunk_builder_free(struct gm_chunk_builder *builder); /* takes NULL */
/* Returns whether the chunk is full then: it wants to be written and cleared before the next. The time of an
 * alloc or free is taken as that of the last one, 0 at first, where it is less. */
bool gm_chunk_builder_add(struct gm_chunk_builder *builder, const struct gm_log_event *event);
uint32_t gm_chunk_builder_events(const struct gm_chunk_builder *builder);
/* Compresses what was added since the last clear, which may be written again when there is more. *ret_data is the
 * caller's to free. -ENOMEM. */
int gm_chunk_builder_write(struct gm_chunk_builder *builder, struct gm_chunk_info *ret_info,
    void **ret_data, size_t *ret_bytes);
void gm_chunk_builder_clear(struct gm_chunk_builder *builder);

/* ---- reading */

struct gm_chunk_reader;

struct gm_chunk_reader *gm_chunk_reader_create(void);
void gm_chunk_reader_free(struct gm_chunk_reader *reader); /* takes NULL */
/* Decodes a chunk. *ret_events holds info->events events until the next call. The data may be anything: -EBADMSG where
 * it is not a whole chunk that agrees with info and checksum, -ENOTSUP for a format of a newer geomem, -ENOMEM;
 * gm_chunk_reader_reason then says what is wrong with "the chunk". */
int gm_chunk_decode(struct gm_chunk_reader *reader, const struct gm_chunk_info *info,
    uint32_t checksum, const void *data, size_t bytes, const struct gm_log_event **ret_events);
const char *gm_chunk_reader_reason(const struct gm_chunk_reader *reader);

#endif
