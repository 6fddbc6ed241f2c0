/* bytes.h - amounts of memory in the environment: a number of bytes, or one followed by K, M or G. */
#ifndef GM_BASE_BYTES_H
#define GM_BASE_BYTES_H

#include <stdint.h>
#include <stdlib.h>

/* 0: not set, or no number. */
static inline uint64_t gm_bytes_of_environment(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL || *text == 0)
        return 0;
    uint64_t value = strtoull(text, &end, 10);
    switch (*end) {
    case 'k':
    case 'K':
        return value << 10;
    case 'm':
    case 'M':
        return value << 20;
    case 'g':
    case 'G':
        return value << 30;
    default:
        return value;
    }
}

#endif
