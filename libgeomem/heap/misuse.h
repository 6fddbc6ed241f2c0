/* misuse.h - the program has given libgeomem an address that it must not. */
#ifndef GM_HEAP_MISUSE_H
#define GM_HEAP_MISUSE_H

#include "libgeomem/heap/block.h"

/* Tells the handler in one line what `function` was called with; returns if the handler does. */
void gm_misuse_address(
    const char *function, const void *address, enum gm_found found, const struct gm_place *place);
/* A block in quarantine was written to. */
void gm_misuse_written(const struct gm_place *place, size_t offset);
void gm_misuse(const char *text, const void *address);

#endif
