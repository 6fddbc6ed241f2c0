/* text.c - see text.h. */
#include "schemas/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Length of the well-formed UTF-8 character at p (Unicode 15, table 3-7), 0 if there is none. */
static size_t utf8_decode(const unsigned char *p, size_t left, uint32_t *ret_code)
{
    uint32_t code = p[0];
    size_t length = code < 0x80   ? 1
                    : code < 0xc2 ? 0
                    : code < 0xe0 ? 2
                    : code < 0xf0 ? 3
                    : code < 0xf5 ? 4
                                  : 0;
    if (length == 0 || length > left)
        return 0;
    if (length > 1)
        code &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

/* Controls (C0, DEL, C1), line and paragraph separators, and the marks that reorder text. */
static bool code_is_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0x200e || code == 0x200f || code == 0x61c ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

static char hex_digit(unsigned value)
{
    return "0123456789abcdef"[value & 15];
}

size_t gm_text_clean_bytes(const char *text, size_t bytes, char *out, size_t room)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0;
    for (size_t i = 0; i < bytes && p[i];) {
        uint32_t code = 0;
        size_t length = utf8_decode(p + i, bytes - i, &code);
        bool keep = length && !code_is_unsafe(code);
        size_t take = length ? length : 1, need = keep ? take : take * 4;
        if (n + need >= room)
            break;
        for (size_t k = 0; k < take; k++, i++) {
            if (keep) {
                out[n++] = text[i];
            } else {
                out[n++] = '\\';
                out[n++] = 'x';
                out[n++] = hex_digit(p[i] >> 4);
                out[n++] = hex_digit(p[i]);
            }
        }
    }
    out[n] = 0;
    return n;
}

const char *gm_text_clean(const char *text, char *out, size_t room)
{
    gm_text_clean_bytes(text ? text : "", text ? strlen(text) : 0, out, room);
    return out;
}

const char *gm_text_json(const char *text, char *out, size_t room)
{
    size_t n = 0, left = text ? strlen(text) : 0;
    out[n++] = '"';
    while (left > 0) {
        /* One character at a time: a clean form is at most 16 bytes, quoted at most 32. */
        char piece[17];
        uint32_t code;
        size_t take = utf8_decode((const unsigned char *)text, left, &code);
        take = take ? take : 1;
        size_t length = gm_text_clean_bytes(text, take, piece, sizeof piece), need = length;
        for (size_t i = 0; i < length; i++)
            need += piece[i] == '"' || piece[i] == '\\';
        if (n + need + 2 > room)
            break;
        for (size_t i = 0; i < length; i++) {
            if (piece[i] == '"' || piece[i] == '\\')
                out[n++] = '\\';
            out[n++] = piece[i];
        }
        text += take;
        left -= take;
    }
    out[n++] = '"';
    out[n] = 0;
    return out;
}
