/* thread.h - a thread's part of a heap: its caches, how they are filled and emptied, and where they go when it ends.
 *
 * gm_heap_self is the calling thread's part of the default heap; before the thread has one it points to gm_heap_nobody,
 * whose caches are empty and full at once, so that the fast paths need no test for it. The same is done to all caches
 * while somebody listens, or checks are on: then each allocation and each free takes its slow path.
 *
 * Stands between span.h (below) and alloc.c, free.c (above).
 */
#ifndef GM_HEAP_THREAD_H
#define GM_HEAP_THREAD_H

#include "libgeomem/heap/heap.h"

/* Blocks that a cache holds at most: so many, or so many bytes (but four). Measured with bench/alloc: more does not make
 * pairs faster, less makes bursts slower. */
#define GM_CACHE_ENTRIES 128u
#define GM_CACHE_BYTES 32768u

static inline uint32_t gm_cache_capacity(uint32_t index)
{
    uint32_t fit = GM_CACHE_BYTES / gm_size_class_bytes((index - 1) % GM_SIZE_CLASSES);
    return fit > GM_CACHE_ENTRIES ? GM_CACHE_ENTRIES : fit < 4 ? 4 : fit;
}

extern __thread struct gm_heap_thread *gm_heap_self;
extern struct gm_heap_thread gm_heap_nobody;

/* The calling thread's part of a heap, made if need be; NULL: no memory. */
struct gm_heap_thread *gm_heap_thread_get(struct gm_heap *heap);
/* The same, NULL if there is none yet. */
struct gm_heap_thread *gm_heap_thread_find(struct gm_heap *heap);

/* One block out of a cache, GM_STATE_CACHED and yet to be made something, or false: no memory. */
bool gm_cache_pop(struct gm_heap_thread *thread, uint32_t index, struct gm_cached *ret_cached);
/* A block, GM_STATE_CACHED by now, into a cache. */
void gm_cache_push(struct gm_heap_thread *thread, uint32_t index, void *block, uint8_t *state);

/* Tells the collector how much was handed out, if it is enough to tell: it may collect. No lock held. */
void gm_heap_thread_tell(struct gm_heap_thread *thread);

/* All blocks in its caches, and the spans that it owns, go back to the heap. */
void gm_heap_thread_flush(struct gm_heap_thread *thread);

/* Sends every allocation and free of all threads of all heaps through the slow paths, or back. */
void gm_fast_paths(bool enabled);

/* In a forked child, heap's lock held: marks the parts of threads that are no more. */
void gm_heap_threads_after_fork(struct gm_heap *heap);
/* The heap goes: threads forget it. gm_heaps_lock held. */
void gm_heap_threads_forget(struct gm_heap *heap);

#endif
