/* free.h - what allocation needs of free.c. */
#ifndef GM_HEAP_FREE_H
#define GM_HEAP_FREE_H

#include "libgeomem/heap/block.h"

/* Frees a block that gm_block_find has found; no listener is told. */
void gm_block_release(const struct gm_place *place);

#endif
