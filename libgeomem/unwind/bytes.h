/* bytes.h - a cursor over the bytes of an unwind table. Reads past the end give 0 and stay at the end. */
#ifndef GM_UNWIND_BYTES_H
#define GM_UNWIND_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct gm_bytes {
    const uint8_t *p, *end;
};

/* Little-endian, n <= 8. */
static inline uint64_t gm_bytes_fixed(struct gm_bytes *b, unsigned n)
{
    uint64_t v = 0;
    if (b->end - b->p < (ptrdiff_t)n) {
        b->p = b->end;
        return 0;
    }
    memcpy(&v, b->p, n);
    b->p += n;
    return v;
}

static inline uint64_t gm_bytes_leb(struct gm_bytes *b, bool is_signed)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t c = 0;
    while (b->p < b->end) {
        c = *b->p++;
        if (shift < 64)
            v |= (uint64_t)(c & 0x7f) << shift;
        shift += 7;
        if (!(c & 0x80))
            break;
    }
    if (is_signed && shift < 64 && (c & 0x40))
        v |= ~0ull << shift;
    return v;
}
static inline uint64_t gm_bytes_uleb(struct gm_bytes *b)
{
    return gm_bytes_leb(b, false);
}
static inline int64_t gm_bytes_sleb(struct gm_bytes *b)
{
    return (int64_t)gm_bytes_leb(b, true);
}

/* Passes over n bytes; false when there are fewer. */
static inline bool gm_bytes_skip(struct gm_bytes *b, uint64_t n)
{
    if (n > (uint64_t)(b->end - b->p))
        return false;
    b->p += n;
    return true;
}

#endif
