/* notes.h - what is to happen when a block dies: finalizers, weak references and links, ephemerons.
 *
 * A note says something of one block, its target. One table holds the notes of all heaps, which are collected together, in
 * memory of its own and out of sight of the collector:
 *   finalizer   target, function, data                    data lives as long as the target, or until it has been finalized
 *   weak        target, holder: a collected leaf block in which the target's address stands
 *   link        target, the word that is to become NULL, and the block around it, if there is one (the holder)
 *   ephemeron   target: the key; value; holder: a collected leaf block. The value lives while key and holder do
 *
 * They are on one of two lists, young or old: a note is young while any block that it speaks of may be. A young collection
 * looks at the young list and at nothing else.
 *
 * What a collection does, in this order, everything that is reachable from the roots being marked:
 *   1. values of ephemerons, and data of finalizers, whose block lives, to the fixpoint
 *   2. short weak references and links of dead targets: cleared
 *   3. unordered finalizers of dead targets: due; all they reach is marked (step 1 goes on all the while)
 *   4. topological finalizers of targets dead still: what they reach, but themselves, is marked; those that are dead even then
 *      are due, and marked
 *   5. long weak references and links, ephemerons, of targets dead still: cleared; notes of dead blocks: forgotten
 * A due finalizer's block and data are roots until it has been called. Then the block is like any other.
 *
 * What the collector does:
 *   gm_notes_lock, stop the world, mark from its roots and from gm_notes_roots, gm_notes_process, start the world, gm_notes_unlock,
 *   release all locks, gm_notes_announce.
 *   While gm_notes_process runs, each block with GM_STATE_NOTED in its state byte that is marked (by mark,
 *   mark_children or drain) is told by gm_notes_reached; before and after, the call costs nothing and does nothing. That is what
 *   makes the fixpoint linear.
 *   States keep GM_STATE_NOTED through marking and ageing, and lose it when the block dies. It is set by an atomic or, at any
 *   time by any thread: nobody may store to a living block's state byte but by compare-and-swap, or with the world stopped.
 *
 * The lock ranks below the world's and the heap's: with it held nothing is allocated and no other lock taken.
 *
 * Stands beside cycle.h; knows heap/layout.h.
 */
#ifndef GM_GC_NOTES_H
#define GM_GC_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/heap/layout.h"

/* A heap goes, its blocks are there still: all that is said of them is dropped, without calling any finalizer. Weak references
 * in other heaps and links elsewhere are cleared. */
void gm_notes_forget_heap(struct gm_heap *heap);

void gm_notes_lock(void);
void gm_notes_unlock(void);

/* How notes see the collection under way. */
struct gm_notes_tracer {
    bool full; /* old blocks can be dead */
    /* Is a block (its beginning) kept by this collection: marked, or not subject to it at all? Explicit ones are. */
    bool (*is_live)(struct gm_notes_tracer *tracer, uintptr_t block);
    /* The block that the word points to or into, if there is one, is kept, with all it reaches. */
    void (*mark)(struct gm_notes_tracer *tracer, uintptr_t word);
    /* All that a block points to is kept: but not the block itself on account of pointers from it to itself. */
    void (*mark_children)(struct gm_notes_tracer *tracer, uintptr_t block);
    /* Marks until nothing is left to mark. */
    void (*drain)(struct gm_notes_tracer *tracer);
};

struct gm_notes_figures {
    uint64_t looked_at;
    uint64_t cleared; /* weak references, links, ephemerons */
    uint64_t due;     /* finalizers that have become so */
};

/* Lock held, world stopped (for gm_notes_roots: or not, while no collection is between its roots and its notes). */
void gm_notes_roots(struct gm_notes_tracer *tracer);
void gm_notes_process(struct gm_notes_tracer *tracer, struct gm_notes_figures *ret_figures);
/* Called by any thread that marks, for a block with GM_STATE_NOTED. */
void gm_notes_reached(uintptr_t block);
/* After a collection, no lock held, world running: if finalizers are due, tells the program or wakes the thread that runs them. */
void gm_notes_announce(void);

/* gm_collector.forget: the program frees the block. Its weak references read NULL from now on; its finalizer is not called. */
void gm_notes_forget(struct gm_heap *heap, void *block);

#endif
