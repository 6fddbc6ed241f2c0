/* block.c - see block.h. */
#include "libgeomem/heap/block.h"

#include "libgeomem/heap/span.h"

enum gm_found gm_block_find(uintptr_t address, struct gm_place *ret_place)
{
    struct gm_segment *segment = gm_segment_at(address);
    if (segment == NULL)
        return GM_FOUND_FOREIGN;
    struct gm_span *span = gm_span_at(segment, address);
    if (span == NULL || (gm_span_flags(span) & GM_SPAN_IN_USE) == 0)
        return GM_FOUND_HEADER;
    uint32_t index = gm_span_index(span, address);
    size_t bytes = gm_span_block_bytes(span);
    uintptr_t start = span->start + index * bytes;
    if (index >= span->capacity || address - start >= bytes)
        return GM_FOUND_HEADER;
    *ret_place = (struct gm_place){
        .span = span, .state = &span->state[index], .start = start, .bytes = bytes};
    if (!gm_state_is_block(gm_place_state(ret_place)))
        return GM_FOUND_FREE;
    return address == start ? GM_FOUND_BLOCK : GM_FOUND_INSIDE;
}
