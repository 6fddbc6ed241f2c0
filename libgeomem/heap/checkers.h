/* checkers.h - Valgrind's Memcheck and AddressSanitizer know libgeomem's blocks as they know malloc's; and a check of our
 * own, for programs run without either.
 *
 * Which of them is there is found out when the library is loaded: Memcheck by a client request, AddressSanitizer by its
 * runtime in the process (libgeomem itself is not instrumented), our own by GEOMEM_HEAP_DEBUG in the environment. With
 * any, every allocation and free takes its slow path, and:
 *
 *  - memory of a heap is closed: whoever touches it is reported. A block's is opened when it is handed out, by as many
 *    bytes as were asked for (with our own check: it is never closed).
 *  - a block that the program frees stays in quarantine until many others were freed. With our own check it is filled
 *    with GM_POISON meanwhile, and what was written to it is reported when it leaves.
 *  - the collector reads all there is, and is quiet meanwhile (gm_checker_quiet).
 *
 * Without any, each of these costs one test on a slow path.
 */
#ifndef GM_HEAP_CHECKERS_H
#define GM_HEAP_CHECKERS_H

#include "libgeomem/heap/block.h"

enum gm_checker {
    GM_CHECKER_MEMCHECK = 1u << 0,
    GM_CHECKER_ASAN = 1u << 1,
    GM_CHECKER_POISON = 1u << 2,
};
#define GM_POISON 0xdb

/* Those at work, or-ed. Set once, before main. */
extern unsigned gm_checkers;

/* The functions below are for when there is one; the macros test that first. */
void gm_checker_close_memory(uintptr_t start, size_t bytes);
void gm_checker_open_memory(uintptr_t start, size_t bytes);
void gm_checker_tell_allocated(const void *block, size_t size, bool zeroed);
void gm_checker_tell_swept(const void *first, size_t block_bytes, uint64_t dead);
void gm_checker_tell_freed(uintptr_t start, size_t bytes);
void gm_checker_quiet_thread(bool quiet);
size_t gm_checker_find_size(const void *block, size_t usable);

#define GM_CHECKER(call) (__builtin_expect(gm_checkers != 0, 0) ? (call) : (void)0)

/* Nobody may touch it, or: the heap is about to write to it. */
#define gm_checker_close(start, bytes) GM_CHECKER(gm_checker_close_memory((start), (bytes)))
#define gm_checker_open(start, bytes) GM_CHECKER(gm_checker_open_memory((start), (bytes)))
/* A block of `size` bytes as asked for is handed out. */
#define gm_checker_allocated(block, size, zeroed) \
    GM_CHECKER(gm_checker_tell_allocated((block), (size), (zeroed)))
/* A sweep found these dead: bit i is the block at first + i * block_bytes. */
#define gm_checker_swept(first, block_bytes, dead) \
    GM_CHECKER(gm_checker_tell_swept((first), (block_bytes), (dead)))
/* What the calling thread does from here on is nobody's fault. Nests. */
#define gm_checker_quiet(quiet) GM_CHECKER(gm_checker_quiet_thread(quiet))
/* Of a block: the bytes that were asked for, as far as the checker knows, else `usable`. */
static inline size_t gm_checker_size(const void *block, size_t usable)
{
    return gm_checkers != 0 ? gm_checker_find_size(block, usable) : usable;
}

/* ---- quarantine: see quarantine.c ---- */

/* A block that was freed, instead of giving it back at once; no lock held. */
void gm_quarantine_put(const struct gm_place *place);
/* Blocks of a heap that is about to go. */
void gm_quarantine_forget(const struct gm_heap *heap);
/* For fork. */
extern struct gm_lock gm_quarantine_lock;

#endif
