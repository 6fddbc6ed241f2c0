/* bdwgc.h - what the parts of our libgc.so.1 share.
 *
 *   program, compiled for bdwgc --GC_malloc, ...--> alloc.c typed.c finalize.c trace.c thread.c control.c
 *                                                        |
 *                                                  geomem/geomem.h, gc/world.h
 *
 * A library of its own, with heap and collector inside: it is loaded in the place of bdwgc's and may not ask for
 * another library to be found. Exports GC_* and nothing else, but for what libgeomem interposes.
 */
#ifndef GM_BDWGC_BDWGC_H
#define GM_BDWGC_BDWGC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "geomem/bdwgc.h"
#include "geomem/geomem.h"

#define GM_BDWGC_API __attribute__((visibility("default")))

/* ---- alloc.c, typed.c: kinds of blocks ---- */

enum gm_bdwgc_kind { /* numbers of bdwgc's */
    GM_BDWGC_ATOMIC = 0,
    GM_BDWGC_NORMAL = 1,
    GM_BDWGC_UNCOLLECTABLE = 2,
    GM_BDWGC_ATOMIC_UNCOLLECTABLE = 3,
    GM_BDWGC_FIRST_NEW = 4,
};

/* Bytes added to what is asked for, so that a pointer one past the end keeps the block and not the next: bdwgc does it while
 * interior pointers are recognised, and programs rely on it. 1 or 0. */
extern size_t gm_bdwgc_extra_bytes;

void *gm_bdwgc_alloc(size_t bytes, int kind);
/* Of a kind made by GC_new_kind. */
void *gm_bdwgc_alloc_new_kind(size_t bytes, int kind);
bool gm_bdwgc_kind_is_leaf(int kind);
/* What GC_oom_fn has to give instead. */
void *gm_bdwgc_out_of_memory(size_t bytes);

/* ---- finalize.c ---- */

extern _Atomic bool gm_bdwgc_finalizers_due;
void gm_bdwgc_finalizers_run(void);
static inline void gm_bdwgc_poll(void)
{
    /* relaxed: a hint; whoever runs them takes the notes' lock */
    if (__builtin_expect(atomic_load_explicit(&gm_bdwgc_finalizers_due, memory_order_relaxed), 0))
        gm_bdwgc_finalizers_run();
}
void gm_bdwgc_finalizers_start(void); /* once, when the library is loaded */

/* ---- trace.c, thread.c, control.c ---- */

void gm_bdwgc_roots_start(void);
/* The calling thread holds the allocation lock: what takes the world's lock gives it up for the while. */
extern _Thread_local bool gm_bdwgc_has_lock;

#endif
