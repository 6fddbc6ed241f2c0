/* event_chunk_write.c - building chunks; the layout stands in event_chunk.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "schemas/event_chunk.h"
#include "schemas/event_chunk_guess.h"

#define TABLE_SLOTS (2u * GM_CHUNK_EVENTS) /* at most half full */

struct column {
    uint8_t *start, *end;
};

/* Rows of one kind are found by their contents; a slot holds the row's number + 1. */
struct table {
    uint32_t slots[TABLE_SLOTS];
    uint32_t count;
};

struct block {
    uint64_t address;
    uint32_t process_id;
    uint32_t alloc; /* number of its allocation in the chunk + 1; 0: freed since */
};

struct gm_chunk_builder {
    ZSTD_CCtx *zstd;
    struct gm_chunk_info info;
    uint8_t *
        memory; /* of all columns, as large as they can become: pages that are not used cost nothing */
    struct column columns[COLUMN_COUNT];
    int64_t time_ns; /* of the last alloc or free */
    uint32_t thread; /* of the event before */
    uint32_t last_site_id;
    uint32_t allocs;
    struct table thread_table, type_table, block_table;
    struct chunk_thread threads[GM_CHUNK_EVENTS];
    struct chunk_type types[GM_CHUNK_EVENTS];
    struct block blocks[GM_CHUNK_EVENTS];
    uint32_t alloc_types[GM_CHUNK_EVENTS];
    struct chunk_guess guess;
};

static uint64_t hash_mix(uint64_t a, uint64_t b)
{
    a ^= b * 0x9e3779b97f4a7c15ull;
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93ull; /* after P. Evensen's "rrmxmx"; only speed depends on it */
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93ull;
    return a ^ a >> 32;
}

/* ---- columns ---- */

static void put_byte(struct gm_chunk_builder *b, enum chunk_column column, unsigned value)
{
    *b->columns[column].end++ = (uint8_t)value;
}

static void put_number(struct gm_chunk_builder *b, enum chunk_column column, uint64_t value)
{
    uint8_t *end = b->columns[column].end;
    for (; value >= 0x80; value >>= 7)
        *end++ = (uint8_t)(value | 0x80);
    *end++ = (uint8_t)value;
    b->columns[column].end = end;
}

static void put_narrow(struct gm_chunk_builder *b, enum chunk_column narrow, uint64_t value)
{
    if (value < NARROW_MAX) {
        put_byte(b, narrow, (unsigned)value);
        return;
    }
    put_byte(b, narrow, NARROW_MAX);
    put_number(b, narrow + 1, value - NARROW_MAX);
}

static void put_difference(struct gm_chunk_builder *b, enum chunk_column column, int64_t value)
{
    put_number(b, column, signed_fold(value));
}

/* Magnitude / 16 << 2 | sign << 1 | whether the remainder follows: nearly all addresses are multiples of 16. */
static void put_address(struct gm_chunk_builder *b, uint64_t address, uint64_t base)
{
    uint64_t difference = address - base;
    unsigned negative = (int64_t)difference < 0;
    if (negative)
        difference = -difference;
    unsigned rest = difference & 15;
    put_number(b, COLUMN_addresses, difference >> 4 << 2 | (uint64_t)negative << 1 | (rest != 0));
    if (rest)
        put_byte(b, COLUMN_addresses, rest);
}

/* ---- dictionaries ---- */

static uint32_t thread_number(struct gm_chunk_builder *b, const struct gm_log_event *event)
{
    struct table *t = &b->thread_table;
    uint64_t slot = hash_mix(event->thread_id, event->process_id);
    for (uint32_t row; (row = t->slots[slot % TABLE_SLOTS]); slot++) {
        const struct chunk_thread *k = &b->threads[row - 1];
        if (k->thread_id == event->thread_id && k->process_id == event->process_id)
            return row - 1;
    }
    put_number(b, COLUMN_dictionary, event->process_id);
    put_number(b, COLUMN_dictionary, event->thread_id);
    b->threads[t->count] =
        (struct chunk_thread){.process_id = event->process_id, .thread_id = event->thread_id};
    t->slots[slot % TABLE_SLOTS] = ++t->count;
    return t->count - 1;
}

static uint32_t type_number(
    struct gm_chunk_builder *b, uint32_t site_id, uint64_t size_bytes, uint8_t function)
{
    struct table *t = &b->type_table;
    uint64_t slot = hash_mix(size_bytes << 8 | function, site_id);
    for (uint32_t row; (row = t->slots[slot % TABLE_SLOTS]); slot++) {
        const struct chunk_type *k = &b->types[row - 1];
        if (k->site_id == site_id && k->size_bytes == size_bytes && k->function == function)
            return row - 1;
    }
    put_difference(b, COLUMN_dictionary, (int64_t)site_id - (int64_t)b->last_site_id);
    put_number(b, COLUMN_dictionary, size_bytes);
    put_byte(b, COLUMN_dictionary, function);
    b->last_site_id = site_id;
    b->types[t->count] = (struct chunk_type){size_bytes, site_id, function};
    t->slots[slot % TABLE_SLOTS] = ++t->count;
    return t->count - 1;
}

/* The block at an address of a process, if this chunk has heard of it; `make` enters it otherwise. */
static struct block *block_find(
    struct gm_chunk_builder *b, uint32_t process_id, uint64_t address, bool make)
{
    struct table *t = &b->block_table;
    uint64_t slot = hash_mix(address, process_id);
    for (uint32_t row; (row = t->slots[slot % TABLE_SLOTS]); slot++) {
        struct block *k = &b->blocks[row - 1];
        if (k->address == address && k->process_id == process_id)
            return k;
    }
    if (!make)
        return NULL;
    b->blocks[t->count] = (struct block){.address = address, .process_id = process_id};
    t->slots[slot % TABLE_SLOTS] = ++t->count;
    return &b->blocks[t->count - 1];
}

/* ---- events ---- */

/* Puts what is needed to come to the address of an allocation; returns the mode. */
static unsigned alloc_address(struct gm_chunk_builder *b, const struct gm_log_event *event)
{
    struct chunk_thread *thread = &b->threads[b->thread];
    uint32_t *link = guess_list(&b->guess, b->thread, event->size_bytes);
    for (unsigned depth = 0; depth < GUESS_RECENT; depth++) {
        link = guess_link(&b->guess, link, depth != 0);
        if (!link)
            break;
        if (b->guess.address[*link] != event->address)
            continue;
        guess_take(&b->guess, link);
        if (depth == 0)
            return MODE_LAST_FREED;
        put_byte(b, COLUMN_addresses, depth);
        return MODE_RECENTLY_FREED;
    }
    unsigned mode = MODE_BEHIND;
    if (thread->behind != event->address) {
        put_address(b, event->address, thread->last_alloc);
        mode = MODE_DIFFERENCE;
    }
    thread_allocated(thread, event->address, event->size_bytes);
    return mode;
}

static unsigned add_alloc(struct gm_chunk_builder *b, const struct gm_log_event *event)
{
    uint32_t type = type_number(b, event->site_id, event->size_bytes, event->function);
    put_narrow(b, COLUMN_types, type);
    b->alloc_types[b->allocs++] = type;
    block_find(b, event->process_id, event->address, true)->alloc = b->allocs;
    return alloc_address(b, event);
}

/* The block that is freed is known from its allocation in this chunk, and the same is known of it. */
static bool free_is_reference(
    const struct gm_chunk_builder *b, const struct block *block, const struct gm_log_event *event)
{
    if (!block || !block->alloc)
        return false;
    const struct chunk_type *type = &b->types[b->alloc_types[block->alloc - 1]];
    return type->site_id == event->site_id && type->size_bytes == event->size_bytes;
}

static unsigned add_free(struct gm_chunk_builder *b, const struct gm_log_event *event)
{
    struct chunk_thread *thread = &b->threads[b->thread];
    struct block *block = block_find(b, event->process_id, event->address, false);
    if (free_is_reference(b, block, event)) {
        put_narrow(b, COLUMN_references, b->allocs - block->alloc);
        block->alloc = 0;
        guess_freed(&b->guess, b->thread, event->size_bytes, event->address);
        return MODE_REFERENCE;
    }
    put_address(b, event->address, thread->last_free);
    thread->last_free = event->address;
    if (!event->site_id && !event->size_bytes)
        return MODE_UNKNOWN;
    put_narrow(b, COLUMN_types, type_number(b, event->site_id, event->size_bytes, 0));
    guess_freed(&b->guess, b->thread, event->size_bytes, event->address);
    return MODE_OLDER;
}

/* Returns what was put. */
static int64_t add_time(struct gm_chunk_builder *b, const struct gm_log_event *event)
{
    int64_t passed = event->time_ns - b->time_ns;
    if (event->kind == GM_LOG_alloc || event->kind == GM_LOG_free) {
        put_narrow(b, COLUMN_times, passed > 0 ? (uint64_t)passed : 0);
        b->time_ns += passed > 0 ? passed : 0;
        return b->time_ns;
    }
    put_narrow(b, COLUMN_times, signed_fold(passed));
    return event->time_ns;
}

bool gm_chunk_builder_add(struct gm_chunk_builder *b, const struct gm_log_event *event)
{
    unsigned op = (event->kind & 7u) | (event->flags & 3u) << 3;
    info_include(&b->info, event, add_time(b, event));
    uint32_t thread = thread_number(b, event);
    if (thread != b->thread) {
        op |= OP_OTHER_THREAD;
        put_number(b, COLUMN_threads, thread);
        b->thread = thread;
    }
    if (event->kind == GM_LOG_alloc)
        op |= add_alloc(b, event) << 5;
    else if (event->kind == GM_LOG_free)
        op |= add_free(b, event) << 5;
    put_byte(b, COLUMN_ops, op);
    return b->info.events == GM_CHUNK_EVENTS;
}

/* ---- the whole ---- */

void gm_chunk_builder_clear(struct gm_chunk_builder *b)
{
    memset(&b->info, 0, sizeof b->info);
    for (int i = 0; i < COLUMN_COUNT; i++)
        b->columns[i].end = b->columns[i].start;
    b->time_ns = 0;
    b->allocs = 0;
    b->thread = GUESS_NONE; /* the first event names its thread */
    b->last_site_id = 0;
    memset(&b->thread_table, 0, sizeof b->thread_table);
    memset(&b->type_table, 0, sizeof b->type_table);
    memset(&b->block_table, 0, sizeof b->block_table);
    guess_clear(&b->guess);
}

struct gm_chunk_builder *gm_chunk_builder_create(int level)
{
    size_t bytes = 0;
    for (int i = 0; i < COLUMN_COUNT; i++)
        bytes += (size_t)column_event_bytes[i] * GM_CHUNK_EVENTS;
    struct gm_chunk_builder *b = malloc(sizeof *b);
    uint8_t *memory = malloc(bytes);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!b || !memory || !zstd ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level))) {
        ZSTD_freeCCtx(zstd);
        free(memory);
        free(b);
        return NULL;
    }
    b->memory = memory;
    b->zstd = zstd;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        b->columns[i].start = memory;
        memory += (size_t)column_event_bytes[i] * GM_CHUNK_EVENTS;
    }
    gm_chunk_builder_clear(b);
    return b;
}

void gm_chunk_builder_free(struct gm_chunk_builder *b)
{
    if (!b)
        return;
    ZSTD_freeCCtx(b->zstd);
    free(b->memory);
    free(b);
}

uint32_t gm_chunk_builder_events(const struct gm_chunk_builder *b)
{
    return b->info.events;
}

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* Appends a column to the data; returns what it takes there. */
static size_t column_write(
    struct gm_chunk_builder *b, const struct column *column, uint8_t *to, size_t room)
{
    size_t raw = (size_t)(column->end - column->start);
    size_t bytes = raw ? ZSTD_compress2(b->zstd, to, room, column->start, raw) : 0;
    if (!ZSTD_isError(bytes) && bytes < raw)
        return bytes;
    if (raw)
        memcpy(to, column->start, raw);
    return raw;
}

int gm_chunk_builder_write(
    struct gm_chunk_builder *b, struct gm_chunk_info *ret_info, void **ret_data, size_t *ret_bytes)
{
    size_t room = CHUNK_HEADER_BYTES, used = CHUNK_HEADER_BYTES;
    for (int i = 0; i < COLUMN_COUNT; i++)
        room += ZSTD_compressBound((size_t)(b->columns[i].end - b->columns[i].start));
    uint8_t *data = malloc(room);
    if (!data)
        return -ENOMEM;
    put_u32(data, CHUNK_MAGIC);
    put_u32(data + 4, GM_CHUNK_FORMAT | (uint32_t)COLUMN_COUNT << 8);
    put_u32(data + 8, b->info.events);
    for (unsigned i = 0; i < COLUMN_COUNT; i++) {
        const struct column *column = &b->columns[i];
        size_t bytes = column_write(b, column, data + used, room - used);
        put_u32(data + CHUNK_FIXED_BYTES + 8 * i, (uint32_t)(column->end - column->start));
        put_u32(data + CHUNK_FIXED_BYTES + 8 * i + 4, (uint32_t)bytes);
        used += bytes;
    }
    void *fitted = realloc(data, used);
    *ret_data = fitted ? fitted : data;
    *ret_bytes = used;
    *ret_info = b->info;
    return 0;
}
