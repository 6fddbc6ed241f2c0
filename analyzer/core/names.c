/* names.c - see names.h. */
#include "analyzer/core/names.h"

#include <fnmatch.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "schemas/text.h"

char *gm_name_copy(const char *text, size_t bytes)
{
    size_t room = GM_TEXT_CLEAN_ROOM(bytes);
    char *copy = malloc(room);
    if (!copy)
        return NULL;
    size_t length = gm_text_clean_bytes(text, bytes, copy, room);
    char *fit = realloc(copy, length + 1);
    return fit ? fit : copy;
}

/* Decodes one character at s (n bytes left, n > 0). Returns its length, or 0 if it is not valid
 * UTF-8 (overlong forms, surrogates and values past U+10FFFF are not). */
static size_t char_decode(const unsigned char *s, size_t n, uint32_t *ret_code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xe0) == 0xc0 ? 2
                    : (s[0] & 0xf0) == 0xe0 ? 3
                    : (s[0] & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t code = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

/* wcwidth knows only what the locale knows: without a UTF-8 locale it says -1, taken as 1 here. */
static size_t char_width(uint32_t code)
{
    int w = code < 0x7f ? 1 : wcwidth((wchar_t)code);
    return w < 0 ? 1 : (size_t)w;
}

size_t gm_name_width(const char *text)
{
    size_t width = 0, n = strlen(text);
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        size_t length = char_decode((const unsigned char *)text + i, n - i, &code);
        width += length ? char_width(code) : 1;
        i += length ? length : 1;
    }
    return width;
}

size_t gm_name_prefix(const char *text, size_t columns)
{
    size_t width = 0, n = strlen(text), i = 0;
    while (i < n) {
        uint32_t code = 0;
        size_t length = char_decode((const unsigned char *)text + i, n - i, &code);
        width += length ? char_width(code) : 1;
        if (width > columns)
            break;
        i += length ? length : 1;
    }
    return i;
}

const char *gm_name_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

bool gm_name_match(const char *pattern, const char *text)
{
    if (!text)
        return false;
    if (strpbrk(pattern, "*?["))
        return fnmatch(pattern, text, 0) == 0;
    return strstr(text, pattern) != NULL;
}
