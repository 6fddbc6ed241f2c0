/* sample.h - which blocks a sampled recording takes, and which frees belong to them.
 *
 *   bytes a thread allocates:  |--24--|---------4096---------|-16-|------------------ ...
 *   sample points:                          x                                x  x
 *                                     this block is taken             this one too, once
 *
 * Sample points lie on each thread's allocated bytes like a Poisson process: the distance to the next is
 * exponential with the sampling interval R as its mean. So a block of s bytes is taken with the probability
 * 1 - exp(-s / R), whatever came before it. A block that is not taken costs a subtraction.
 *
 * Of frees, those of taken blocks are told. Their addresses stand in a set that the whole process shares: counters by
 * page, which stay in the cache and answer for nearly all blocks, and behind them the addresses themselves. A block in
 * the set is always found. Where the set runs full, blocks of some pages are said to be in it that are not: their
 * frees are told too, and the recorder passes over them.
 *
 * Everything here is async-signal-safe, takes no lock and allocates nothing. docs/design/sampling.md has the
 * estimators that go with it.
 */
#ifndef GM_EVENT_SAMPLE_H
#define GM_EVENT_SAMPLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/event/process.h"

/* Of the calling thread. `drawn - left` is what it has allocated in this session, in bytes. */
struct gm_sample_thread {
    uint64_t
        left; /* bytes up to the next sample point, 1 or more; 0: the thread has not asked yet */
    uint64_t drawn; /* sum of all distances */
    uint32_t
        number; /* of the thread, in the order of their first questions; 0: it has not asked yet */
    uint32_t log2; /* of the interval that `left` was drawn with */
};
extern __thread struct gm_sample_thread gm_sample_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* A block that was taken: what goes into its record. */
struct gm_sample {
    uint32_t log2;  /* of the interval in force */
    uint64_t clock; /* bytes the thread has allocated, this block included */
};

/* Called once per session, by the thread that attaches to it. In a forked child that is the one thread there is: it
 * would otherwise go on with its parent's distances, as all its siblings do. */
void gm_sample_begin(void);

/* The hook's first question: true where the recording is sampled and the block is not taken. Ask once per block; one
 * that then does not come out counts among the bytes, unless it would have been taken. */
static inline bool gm_sample_passes(uint64_t bytes)
{
    if (__builtin_expect(!gm_process.sampling, 1))
        return false;
    uint64_t counted = bytes + (bytes == 0);
    if (__builtin_expect(gm_sample_thread.left <= counted, 0))
        return false;
    gm_sample_thread.left -= counted;
    return true;
}

/* The answer where gm_sample_passes said false in a sampled recording; the next distance is drawn. False: the block
 * is not taken after all, this was the thread's first. */
bool gm_sample_take(uint64_t bytes, struct gm_sample *ret_sample);

/* Bytes the calling thread has allocated in this session. */
static inline uint64_t gm_sample_clock(void)
{
    return gm_sample_thread.drawn - gm_sample_thread.left;
}

/* ---- the set of taken blocks ------------------------------------------------------------------------ */

#define GM_SAMPLE_PAGES 16384u /* counters */
#define GM_SAMPLE_SPILLED (1u << 31)
extern _Atomic uint32_t gm_sample_pages[GM_SAMPLE_PAGES] __attribute__((visibility("hidden")));

static inline _Atomic uint32_t *gm_sample_page(const void *block)
{
    /* Heaps of threads begin at multiples of 64 MiB, so that much of an address is mixed in. */
    uintptr_t page = (uintptr_t)block >> 12;
    return &gm_sample_pages[(page ^ page >> 14) & (GM_SAMPLE_PAGES - 1)];
}

/* The hook's first question before a free: true where the recording is sampled and the block is surely not in the
 * set. relaxed: whoever frees a block got it from the thread that entered it, by way of the program */
static inline bool gm_sample_passes_free(const void *block)
{
    return gm_process.sampling &&
           atomic_load_explicit(gm_sample_page(block), memory_order_relaxed) == 0;
}

/* Before the program gets the block. */
void gm_sample_set_add(const void *block);
/* Before the allocator gets the block. True: it was in the set, or may have been. */
bool gm_sample_set_remove(const void *block);

#endif
