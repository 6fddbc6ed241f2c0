/* size_class.h - the sizes that blocks come in.
 *
 * 16, 32 .. 128 bytes, then four to each doubling, up to 32 KB: so at most a fifth of a block above 128 bytes is
 * unused, an eighth on average. Every power of two is a class, so that aligned blocks have one.
 * A span has as many slices (up to 8) as it takes to hold eight blocks and keep the rest behind the last one small.
 */
#ifndef GM_HEAP_SIZE_CLASS_H
#define GM_HEAP_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

#include "libgeomem/heap/layout.h"

#define GM_SIZE_CLASSES 40u
#define GM_SIZE_CLASS_LARGE 40u
#define GM_SIZE_CLASS_MAX_BYTES ((size_t)32768)

static inline uint32_t gm_size_class(size_t bytes)
{
    if (bytes <= 128)
        return bytes == 0 ? 0 : (uint32_t)((bytes - 1) >> 4);
    uint32_t log2 = 63u - (uint32_t)__builtin_clzll(bytes - 1);
    return 8 + (log2 - 7) * 4 + (uint32_t)(((bytes - 1) >> (log2 - 2)) & 3);
}

static inline uint32_t gm_size_class_bytes(uint32_t size_class)
{
    if (size_class < 8)
        return (size_class + 1) * 16;
    uint32_t log2 = 7 + (size_class - 8) / 4;
    return (1u << log2) + (((size_class - 8) % 4 + 1) << (log2 - 2));
}

/* Slices of a span: the fewest that hold 8 blocks with a rest of at most a 16th of the span. */
static inline uint32_t gm_size_class_slices(uint32_t size_class)
{
    uint32_t bytes = gm_size_class_bytes(size_class), slices = 1;
    while (slices < 8 && (slices * GM_SLICE_BYTES < (size_t)8 * bytes ||
                             slices * GM_SLICE_BYTES % bytes * 16 > slices * GM_SLICE_BYTES))
        slices++;
    return slices;
}

#endif
