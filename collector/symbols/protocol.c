/* protocol.c - see protocol.h. */
#include "collector/symbols/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES (2 * sizeof(uint32_t))

void gm_symmsg_buffer_done(struct gm_symmsg_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct gm_symmsg_buffer){0};
}

void gm_symmsg_buffer_clear(struct gm_symmsg_buffer *buffer)
{
    buffer->first = buffer->end = buffer->message = 0;
    buffer->failed = false;
}

uint8_t *gm_symmsg_buffer_reserve(struct gm_symmsg_buffer *buffer, size_t bytes)
{
    size_t used = buffer->end - buffer->first;
    if (buffer->room - buffer->end >= bytes && buffer->bytes)
        return buffer->bytes + buffer->end;
    if (buffer->bytes && buffer->first)
        memmove(buffer->bytes, buffer->bytes + buffer->first, used);
    buffer->message = buffer->message > buffer->first ? buffer->message - buffer->first : 0;
    buffer->first = 0;
    buffer->end = used;
    if (buffer->room - used < bytes || !buffer->bytes) {
        size_t room = used + bytes + 4096 + used / 2;
        uint8_t *grown = realloc(buffer->bytes, room);
        if (!grown)
            return NULL;
        buffer->bytes = grown;
        buffer->room = room;
    }
    return buffer->bytes + buffer->end;
}

static void buffer_put(struct gm_symmsg_buffer *buffer, const void *bytes, size_t count)
{
    uint8_t *to = buffer->failed ? NULL : gm_symmsg_buffer_reserve(buffer, count);
    if (!to) {
        buffer->failed = true;
        return;
    }
    memcpy(to, bytes, count);
    buffer->end += count;
}

void gm_symmsg_begin(struct gm_symmsg_buffer *buffer, enum gm_symmsg_kind kind)
{
    buffer->message = buffer->end;
    gm_symmsg_put_u32(buffer, 0); /* the length, written by gm_symmsg_end */
    gm_symmsg_put_u32(buffer, kind);
}

void gm_symmsg_put_u32(struct gm_symmsg_buffer *buffer, uint32_t value)
{
    buffer_put(buffer, &value, sizeof value);
}

void gm_symmsg_put_u64(struct gm_symmsg_buffer *buffer, uint64_t value)
{
    buffer_put(buffer, &value, sizeof value);
}

void gm_symmsg_put_text(struct gm_symmsg_buffer *buffer, const char *text)
{
    size_t bytes = text ? strlen(text) + 1 : 1;
    if (bytes > GM_SYMMSG_MAX_BYTES)
        buffer->failed = true;
    gm_symmsg_put_u32(buffer, (uint32_t)bytes);
    buffer_put(buffer, text ? text : "", bytes);
}

void gm_symmsg_end(struct gm_symmsg_buffer *buffer)
{
    if (buffer->failed)
        return;
    size_t bytes = buffer->end - buffer->message - HEADER_BYTES;
    if (bytes > GM_SYMMSG_MAX_BYTES) {
        buffer->failed = true;
        return;
    }
    uint32_t length = (uint32_t)bytes;
    memcpy(buffer->bytes + buffer->message, &length, sizeof length);
}

static void reader_get(struct gm_symmsg_reader *reader, void *ret_bytes, size_t count)
{
    if (reader->bad || (size_t)(reader->end - reader->at) < count) {
        reader->bad = true;
        memset(ret_bytes, 0, count);
        return;
    }
    memcpy(ret_bytes, reader->at, count);
    reader->at += count;
}

uint32_t gm_symmsg_get_u32(struct gm_symmsg_reader *reader)
{
    uint32_t value;
    reader_get(reader, &value, sizeof value);
    return value;
}

uint64_t gm_symmsg_get_u64(struct gm_symmsg_reader *reader)
{
    uint64_t value;
    reader_get(reader, &value, sizeof value);
    return value;
}

const char *gm_symmsg_get_text(struct gm_symmsg_reader *reader, size_t max_length)
{
    uint32_t bytes = gm_symmsg_get_u32(reader);
    size_t left = (size_t)(reader->end - reader->at);
    if (reader->bad || bytes == 0 || bytes > left || bytes > max_length + 1 ||
        memchr(reader->at, 0, bytes) != reader->at + bytes - 1) {
        reader->bad = true;
        return "";
    }
    const char *text = (const char *)reader->at;
    reader->at += bytes;
    return text;
}

bool gm_symmsg_complete(const struct gm_symmsg_reader *reader)
{
    return !reader->bad && reader->at == reader->end;
}

int gm_symmsg_next(
    struct gm_symmsg_buffer *buffer, uint32_t *ret_kind, struct gm_symmsg_reader *ret_reader)
{
    uint32_t header[2];
    size_t available = buffer->end - buffer->first;
    if (available < HEADER_BYTES)
        return 0;
    const uint8_t *start = buffer->bytes + buffer->first;
    memcpy(header, start, sizeof header);
    if (header[0] > GM_SYMMSG_MAX_BYTES)
        return -EBADMSG;
    if (available - HEADER_BYTES < header[0])
        return 0;
    buffer->first += HEADER_BYTES + header[0];
    *ret_kind = header[1];
    ret_reader->at = start + HEADER_BYTES;
    ret_reader->end = ret_reader->at + header[0];
    ret_reader->bad = false;
    return 1;
}
