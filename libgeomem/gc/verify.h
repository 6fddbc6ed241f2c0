/* verify.h - that a collection has kept what it must keep, found out by other means.
 *
 * After marking and before sweeping everything that can be reached is looked for once more: from the same root words, and
 * through all blocks, old ones too, without a table of states, a remembered set or a written page; with a bit map of its
 * own. A block reached that is about to be swept is a block lost; a young one among them that only old blocks point to shows
 * that the remembered set was not complete.
 * After sweeping the flags and bit maps of spans are held against the states of their blocks.
 *
 * Costs a few collections' time, each time. On with GEOMEM_VERIFY=1 in the environment, or gm_gc.verifies.
 *
 * Stands beside cycle.h.
 */
#ifndef GM_GC_VERIFY_H
#define GM_GC_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/gc/mark.h"

struct gm_gc;

struct gm_verify {
    struct gm_mark_stack roots; /* blocks that root words pointed into, as marking found them */
    struct gm_mark_stack stack;
    uint8_t *seen;    /* a bit for each granule of the range */
    bool young;       /* young blocks without a mark are about to die */
    uint8_t dead_old; /* state of old blocks about to die; 0: none are */
    uint64_t blocks;
    uint64_t faults;
};

/* 0 or a negative errno: -ENOMEM. */
int gm_verify_init(struct gm_verify *verify);
/* World stopped, heaps' locks held. Each fault is one line on stderr; they are counted.
 * After marking: nothing of the generations just marked is reachable and not marked. */
void gm_verify_marked(struct gm_verify *verify, struct gm_gc *gc, bool young, bool old);
void gm_verify_swept(struct gm_verify *verify, struct gm_gc *gc);

#endif
