/* protocol.h - the messages between the recorder's symbol client and geomem-symbolize.
 *
 *   client                                  worker
 *     |  <------------------------- HELLO  |   once, when it is ready
 *     |  LOOKUP ------------------------>  |   one module, some addresses; one at a time
 *     |  <------------------------- BEGIN  |   before it opens a file: from here on the module is to blame
 *     |  <------------------------ SOURCE  |
 *     |  <--------------- FRAME, FRAME, …  |   one for each address, in any order
 *
 * A message is {u32 payload bytes, u32 kind} and its payload; integers are in host order (both ends
 * are the same machine), texts are {u32 bytes with the zero} and end in zero. Both ends check every
 * length before they believe it: the worker has read hostile files, and may be saying what one of
 * them made it say.
 */
#ifndef GM_COLLECTOR_SYMBOLS_PROTOCOL_H
#define GM_COLLECTOR_SYMBOLS_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_SYMMSG_VERSION 1
#define GM_SYMMSG_MAX_BYTES \
    (2u << 20)                   /* largest payload; a frame of 128 longest lines is half of it */
#define GM_SYMMSG_MAX_BATCH 2048 /* addresses in one LOOKUP */

enum gm_symmsg_kind {
    GM_SYMMSG_HELLO = 1, /* u32 version */
    GM_SYMMSG_LOOKUP =
        2, /* text path, text build_id, u32 count, count x {u64 address, u32 exact_pc} */
    GM_SYMMSG_BEGIN = 3,  /* empty */
    GM_SYMMSG_SOURCE = 4, /* u32 enum gm_symbols_source */
    GM_SYMMSG_FRAME = 5,  /* u32 index in the LOOKUP, u32 count, count x {u32 line, text function,
                           * text file};  an empty text is an unknown one */
};

/* Bytes on their way: filled at the end, emptied at the front. All zero is a valid empty buffer. */
struct gm_symmsg_buffer {
    uint8_t *bytes;
    size_t first, end, room; /* the content is bytes[first .. end) */
    size_t message;          /* where the message being written began */
    bool failed; /* no memory, or a message over the limit: the content is not to be used */
};
void gm_symmsg_buffer_done(struct gm_symmsg_buffer *buffer);
/* Forgets the content and the failure, keeps the memory. */
void gm_symmsg_buffer_clear(struct gm_symmsg_buffer *buffer);
/* Makes room for at least this much behind the content; returns where to put it, or NULL without
 * memory. */
uint8_t *gm_symmsg_buffer_reserve(struct gm_symmsg_buffer *buffer, size_t bytes);

/* Writing: begin, any number of puts, end. Failures are kept in buffer->failed. */
void gm_symmsg_begin(struct gm_symmsg_buffer *buffer, enum gm_symmsg_kind kind);
void gm_symmsg_put_u32(struct gm_symmsg_buffer *buffer, uint32_t value);
void gm_symmsg_put_u64(struct gm_symmsg_buffer *buffer, uint64_t value);
void gm_symmsg_put_text(struct gm_symmsg_buffer *buffer, const char *text); /* NULL: "" */
void gm_symmsg_end(struct gm_symmsg_buffer *buffer);

/* Reading: the payload of one message. After a get beyond the end, or of a text that is none, bad
 * is set and every further get returns 0 or "". */
struct gm_symmsg_reader {
    const uint8_t *at, *end;
    bool bad;
};
uint32_t gm_symmsg_get_u32(struct gm_symmsg_reader *reader);
uint64_t gm_symmsg_get_u64(struct gm_symmsg_reader *reader);
const char *gm_symmsg_get_text(struct gm_symmsg_reader *reader, size_t max_length);
/* True when everything was read and nothing was bad. */
bool gm_symmsg_complete(const struct gm_symmsg_reader *reader);

/* Takes the next whole message out of the buffer; the reader looks into the buffer and is valid
 * until bytes are added to it. Returns 1 and the message, 0 when it has not all arrived yet,
 * -EBADMSG for a length over the limit. */
int gm_symmsg_next(
    struct gm_symmsg_buffer *buffer, uint32_t *ret_kind, struct gm_symmsg_reader *ret_reader);

#endif
