/* event_chunk_read.c - decoding chunks; the layout stands in event_chunk.h.
 *
 * Every byte is input. A column that is read past its end, or a number that names what does not exist, sets `bad`
 * and reads as 0: the loop looks at that once an event, and never writes or reads outside its arrays meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "schemas/crc32c.h"
#include "schemas/event_chunk.h"
#include "schemas/event_chunk_guess.h"

struct column {
    const uint8_t *next, *end;
};

struct gm_chunk_reader {
    ZSTD_DCtx *zstd;
    const char *reason;
    uint8_t *memory; /* of the columns */
    size_t room;
    struct column columns[COLUMN_COUNT];
    bool bad;
    int64_t time_ns; /* of the last alloc or free */
    uint32_t thread, thread_count, type_count, allocs;
    uint32_t last_site_id;
    struct chunk_thread threads[GM_CHUNK_EVENTS];
    struct chunk_type types[GM_CHUNK_EVENTS];
    struct {
        uint64_t address;
        uint32_t type;
    } blocks[GM_CHUNK_EVENTS]; /* allocated in this chunk, in order */
    struct chunk_guess guess;
    struct gm_log_event events[GM_CHUNK_EVENTS];
};

struct gm_chunk_reader *gm_chunk_reader_create(void)
{
    struct gm_chunk_reader *r = malloc(sizeof *r);
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    if (!r || !zstd) {
        ZSTD_freeDCtx(zstd);
        free(r);
        return NULL;
    }
    r->zstd = zstd;
    r->reason = "";
    r->memory = NULL;
    r->room = 0;
    return r;
}

void gm_chunk_reader_free(struct gm_chunk_reader *r)
{
    if (!r)
        return;
    ZSTD_freeDCtx(r->zstd);
    free(r->memory);
    free(r);
}

const char *gm_chunk_reader_reason(const struct gm_chunk_reader *r)
{
    return r->reason;
}

static int reader_fail(struct gm_chunk_reader *r, int error, const char *reason)
{
    r->reason = reason;
    return error;
}

/* ---- columns ---- */

static inline unsigned get_byte(struct gm_chunk_reader *r, enum chunk_column column)
{
    struct column *c = &r->columns[column];
    if (c->next < c->end)
        return *c->next++;
    r->bad = true;
    return 0;
}

static uint64_t get_number(struct gm_chunk_reader *r, enum chunk_column column)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned byte = get_byte(r, column);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    r->bad = true;
    return 0;
}

static inline uint64_t get_narrow(struct gm_chunk_reader *r, enum chunk_column narrow)
{
    unsigned byte = get_byte(r, narrow);
    return byte < NARROW_MAX ? byte : NARROW_MAX + get_number(r, narrow + 1);
}

/* Of two numbers, to be added to the first. */
static uint64_t get_difference(struct gm_chunk_reader *r, enum chunk_column column)
{
    return signed_unfold(get_number(r, column));
}

static uint64_t get_address(struct gm_chunk_reader *r, uint64_t base)
{
    uint64_t value = get_number(r, COLUMN_addresses), difference = value >> 2 << 4;
    if (value & 1)
        difference |= get_byte(r, COLUMN_addresses) & 15;
    return value & 2 ? base - difference : base + difference;
}

static uint32_t get_u32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* ---- dictionaries ---- */

static uint32_t get_id(struct gm_chunk_reader *r)
{
    uint64_t id = get_number(r, COLUMN_dictionary);
    r->bad |= id > UINT32_MAX;
    return (uint32_t)id;
}

static void thread_switch(struct gm_chunk_reader *r)
{
    uint64_t number = get_number(r, COLUMN_threads);
    if (number == r->thread_count && number < GM_CHUNK_EVENTS) {
        uint32_t process_id = get_id(r), thread_id = get_id(r);
        r->threads[r->thread_count++] =
            (struct chunk_thread){.process_id = process_id, .thread_id = thread_id};
    }
    r->bad |= number >= r->thread_count;
    if (!r->bad)
        r->thread = (uint32_t)number;
}

static void type_add(struct gm_chunk_reader *r)
{
    uint64_t site_id = r->last_site_id + get_difference(r, COLUMN_dictionary);
    uint64_t size_bytes = get_number(r, COLUMN_dictionary);
    unsigned function = get_byte(r, COLUMN_dictionary);
    r->bad |= site_id > UINT32_MAX;
    r->last_site_id = (uint32_t)site_id;
    r->types[r->type_count++] =
        (struct chunk_type){size_bytes, (uint32_t)site_id, (uint8_t)function};
}

/* Always a number below GM_CHUNK_EVENTS. */
static inline uint32_t get_type(struct gm_chunk_reader *r)
{
    uint64_t number = get_narrow(r, COLUMN_types);
    if (number == r->type_count && number < GM_CHUNK_EVENTS)
        type_add(r);
    if (number < r->type_count)
        return (uint32_t)number;
    r->bad = true;
    return 0;
}

/* ---- events ---- */

static uint64_t alloc_guessed(struct gm_chunk_reader *r, uint64_t size_bytes, unsigned depth)
{
    uint32_t *list = guess_list(&r->guess, r->thread, size_bytes);
    uint32_t *link = guess_link(&r->guess, list, depth);
    if (link)
        return guess_take(&r->guess, link);
    r->bad = true;
    return 0;
}

static uint64_t alloc_address(struct gm_chunk_reader *r, unsigned mode, uint64_t size_bytes)
{
    struct chunk_thread *thread = &r->threads[r->thread];
    if (mode == MODE_LAST_FREED)
        return alloc_guessed(r, size_bytes, 0);
    if (mode == MODE_RECENTLY_FREED)
        return alloc_guessed(r, size_bytes, get_byte(r, COLUMN_addresses) % GUESS_RECENT);
    uint64_t address = mode == MODE_BEHIND ? thread->behind : get_address(r, thread->last_alloc);
    thread_allocated(thread, address, size_bytes);
    return address;
}

static inline void get_alloc(struct gm_chunk_reader *r, unsigned mode, struct gm_log_event *event)
{
    uint32_t number = get_type(r);
    const struct chunk_type *type = &r->types[number];
    event->site_id = type->site_id;
    event->size_bytes = type->size_bytes;
    event->function = type->function;
    event->address = alloc_address(r, mode, type->size_bytes);
    r->blocks[r->allocs].address = event->address;
    r->blocks[r->allocs++].type = number;
}

static void get_free_by_address(
    struct gm_chunk_reader *r, unsigned mode, struct gm_log_event *event)
{
    struct chunk_thread *thread = &r->threads[r->thread];
    event->address = thread->last_free = get_address(r, thread->last_free);
    if (mode == MODE_UNKNOWN)
        return;
    const struct chunk_type *type = &r->types[get_type(r)];
    r->bad |= mode != MODE_OLDER;
    event->site_id = type->site_id;
    event->size_bytes = type->size_bytes;
    guess_freed(&r->guess, r->thread, event->size_bytes, event->address);
}

static inline void get_free(struct gm_chunk_reader *r, unsigned mode, struct gm_log_event *event)
{
    if (mode != MODE_REFERENCE) {
        get_free_by_address(r, mode, event);
        return;
    }
    uint64_t back = get_narrow(r, COLUMN_references);
    if (back >= r->allocs) {
        r->bad = true;
        return;
    }
    uint32_t number = r->allocs - 1 - (uint32_t)back;
    const struct chunk_type *type = &r->types[r->blocks[number].type];
    event->address = r->blocks[number].address;
    event->site_id = type->site_id;
    event->size_bytes = type->size_bytes;
    guess_freed(&r->guess, r->thread, event->size_bytes, event->address);
}

static int64_t get_time(struct gm_chunk_reader *r, unsigned kind)
{
    uint64_t passed = get_narrow(r, COLUMN_times);
    if (kind != GM_LOG_alloc && kind != GM_LOG_free)
        return (int64_t)((uint64_t)r->time_ns + signed_unfold(passed));
    if (passed > (uint64_t)(INT64_MAX - r->time_ns)) {
        r->bad = true;
        return 0;
    }
    return r->time_ns += (int64_t)passed;
}

static bool get_event(struct gm_chunk_reader *r, struct gm_log_event *event)
{
    unsigned op = get_byte(r, COLUMN_ops), kind = OP_KIND(op);
    int64_t time_ns = get_time(r, kind);
    if (op & OP_OTHER_THREAD)
        thread_switch(r);
    if (r->bad || kind == 0 || r->thread >= r->thread_count)
        return false;
    *event = (struct gm_log_event){.time_ns = time_ns,
        .process_id = r->threads[r->thread].process_id,
        .thread_id = r->threads[r->thread].thread_id,
        .kind = (uint8_t)kind,
        .flags = (uint8_t)OP_FLAGS(op)};
    if (kind == GM_LOG_alloc)
        get_alloc(r, OP_MODE(op), event);
    else if (kind == GM_LOG_free)
        get_free(r, OP_MODE(op), event);
    return !r->bad;
}

/* ---- the whole ---- */

uint32_t gm_chunk_checksum(const struct gm_chunk_info *info, const void *data, size_t bytes)
{
    const uint64_t figures[] = {info->events, info->allocs, info->frees, (uint64_t)info->first_ns,
        (uint64_t)info->last_ns, info->min_process_id, info->max_process_id, info->min_thread_id,
        info->max_thread_id};
    return gm_crc32c(gm_crc32c(0, figures, sizeof figures), data, bytes);
}

static int columns_check(
    struct gm_chunk_reader *r, const uint8_t *data, size_t bytes, uint32_t events, size_t *ret_room)
{
    size_t at = CHUNK_HEADER_BYTES, room = 0;
    for (unsigned i = 0; i < COLUMN_COUNT; i++) {
        uint32_t raw = get_u32(data + CHUNK_FIXED_BYTES + 8 * i),
                 stored = get_u32(data + CHUNK_FIXED_BYTES + 8 * i + 4);
        if (raw > column_event_bytes[i] * events || stored > raw || stored > bytes - at)
            return reader_fail(r, -EBADMSG, "has columns that do not fit it");
        at += stored;
        room += raw;
    }
    if (at != bytes)
        return reader_fail(r, -EBADMSG, "is longer than its columns");
    *ret_room = room;
    return 0;
}

static int columns_expand(struct gm_chunk_reader *r, const uint8_t *data)
{
    const uint8_t *from = data + CHUNK_HEADER_BYTES;
    uint8_t *to = r->memory;
    for (unsigned i = 0; i < COLUMN_COUNT; i++) {
        uint32_t raw = get_u32(data + CHUNK_FIXED_BYTES + 8 * i),
                 stored = get_u32(data + CHUNK_FIXED_BYTES + 8 * i + 4);
        /* Stored as they are, columns are read where they lie. */
        r->columns[i] = (struct column){from, from + raw};
        if (stored < raw) {
            if (ZSTD_decompressDCtx(r->zstd, to, raw, from, stored) != raw)
                return reader_fail(r, -EBADMSG, "does not decompress");
            r->columns[i] = (struct column){to, to + raw};
            to += raw;
        }
        from += stored;
    }
    return 0;
}

static int chunk_open(struct gm_chunk_reader *r, const struct gm_chunk_info *info,
    uint32_t checksum, const uint8_t *data, size_t bytes)
{
    size_t room = 0;
    if (bytes < CHUNK_HEADER_BYTES || get_u32(data) != CHUNK_MAGIC)
        return reader_fail(r, -EBADMSG, "is cut short or none of geomem's");
    if (data[4] > GM_CHUNK_FORMAT)
        return reader_fail(r, -ENOTSUP, "has the format of a newer geomem");
    if (data[4] != GM_CHUNK_FORMAT || data[5] != COLUMN_COUNT)
        return reader_fail(r, -EBADMSG, "has no known format");
    if (gm_chunk_checksum(info, data, bytes) != checksum)
        return reader_fail(r, -EBADMSG, "does not match its checksum");
    if (info->events == 0 || info->events > GM_CHUNK_EVENTS || get_u32(data + 8) != info->events)
        return reader_fail(r, -EBADMSG, "holds another number of events than its row says");
    int error = columns_check(r, data, bytes, info->events, &room);
    if (error < 0)
        return error;
    if (room > r->room) {
        uint8_t *memory = realloc(r->memory, room);
        if (!memory)
            return reader_fail(r, -ENOMEM, "does not fit into memory");
        r->memory = memory;
        r->room = room;
    }
    return columns_expand(r, data);
}

static bool info_equal(const struct gm_chunk_info *a, const struct gm_chunk_info *b)
{
    return a->events == b->events && a->allocs == b->allocs && a->frees == b->frees &&
           a->first_ns == b->first_ns && a->last_ns == b->last_ns &&
           a->min_process_id == b->min_process_id && a->max_process_id == b->max_process_id &&
           a->min_thread_id == b->min_thread_id && a->max_thread_id == b->max_thread_id;
}

static bool columns_are_read(const struct gm_chunk_reader *r)
{
    for (int i = 0; i < COLUMN_COUNT; i++)
        if (r->columns[i].next != r->columns[i].end)
            return false;
    return true;
}

static void reader_clear(struct gm_chunk_reader *r)
{
    r->bad = false;
    r->time_ns = 0;
    r->thread = GUESS_NONE; /* the first event names its thread */
    r->thread_count = r->type_count = r->allocs = 0;
    r->last_site_id = 0;
    guess_clear(&r->guess);
}

int gm_chunk_decode(struct gm_chunk_reader *r, const struct gm_chunk_info *info, uint32_t checksum,
    const void *data, size_t bytes, const struct gm_log_event **ret_events)
{
    int error = chunk_open(r, info, checksum, data, bytes);
    if (error < 0)
        return error;
    struct gm_chunk_info found = {0};
    reader_clear(r);
    for (uint32_t i = 0; i < info->events; i++) {
        struct gm_log_event *event = &r->events[i];
        if (!get_event(r, event))
            return reader_fail(r, -EBADMSG, "holds an event that cannot be");
        info_include(&found, event, event->time_ns);
    }
    if (!info_equal(&found, info) || !columns_are_read(r))
        return reader_fail(r, -EBADMSG, "holds other events than its row says");
    r->reason = "";
    *ret_events = r->events;
    return 0;
}
