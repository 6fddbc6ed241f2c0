/* geomem/geomem.h - memory that is freed by the program, and memory that is collected, in one heap.
 *
 * Explicit blocks (geomem_alloc) live until geomem_free. Collected blocks (geomem_gc_alloc) live as long as a
 * pointer to them is found in a root, or in a block that is itself reachable; geomem_free may free them earlier.
 * Roots are the stacks, registers and thread-local storage of all threads, the writable globals of all modules, explicit
 * blocks of geomem_alloc_root, and ranges given to geomem_add_roots. Any word there that looks like the address of a
 * block keeps it; collected blocks never move.
 *
 * All functions are thread-safe; none but geomem_owns and geomem_usable_size is async-signal-safe. Sizes are bytes.
 * Blocks are aligned to 16 bytes. The guide tells which allocation to use for what.
 */
#ifndef GEOMEM_GEOMEM_H
#define GEOMEM_GEOMEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define GEOMEM_VERSION_NUMBER 1

struct geomem_heap;

/* ---- heaps ---- */
enum geomem_gc_mode {
    GEOMEM_GC_GENERATIONAL =
        0, /* young collections; the old generation is marked in steps, a part in each stop (the default) */
    GEOMEM_GC_MARK_SWEEP =
        1,             /* one generation, each collection stops the world and marks everything */
    GEOMEM_GC_OFF = 2, /* collects on request, and when memory runs out, only */
};
enum geomem_write_tracking {
    GEOMEM_TRACK_AUTO = 0, /* pages, by the best the kernel offers */
    GEOMEM_TRACK_BARRIER =
        1, /* the program calls geomem_write for every pointer stored into a collected block */
    GEOMEM_TRACK_MPROTECT = 2,
    GEOMEM_TRACK_NONE =
        3, /* nothing is known of writes: every young collection scans all of the old generation */
};
/* Heaps are collected together. What one of them says of tracking (GEOMEM_TRACK_MPROTECT, GEOMEM_TRACK_NONE) and young_bytes
 * holds for all: to say something else once collected blocks have been handed out is -EINVAL, and of heaps made before that
 * the first to hand one out decides, and a heap that contradicts it gets no collected blocks. gc_mode: each collection that
 * one heap causes is one of all. The rest is each heap's own. */
struct geomem_heap_options {
    size_t
        struct_bytes; /* sizeof(struct geomem_heap_options); 0 in all other members: the default */
    enum geomem_gc_mode gc_mode;
    enum geomem_write_tracking tracking;
    /* Footprint at most, in bytes; allocation fails beyond, when a collection has not helped. 0: of the default heap what
     * GEOMEM_HEAP_MAX in the environment says (bytes, or with K, M or G behind), else as much as there is. Where a control
     * group limits the process's memory, collections come in time for the footprint to stay below what the group leaves, and
     * when it runs short; but no allocation fails for it. */
    size_t max_bytes;
    size_t young_bytes; /* of the nursery; 0: sized by survival and pauses */
    int exact_pointers; /* non-zero: only a pointer to a block's beginning, found in another block, keeps it */
};
/* The heap of all functions that are not given one; it lives as long as the process. NULL: no memory. */
struct geomem_heap *geomem_heap_default(void);
/* A heap of its own, for geomem_heap_alloc and geomem_heap_gc_alloc; options NULL: the default ones, else they are copied.
 * -EINVAL: struct_bytes, or a value that is not known; -ENOMEM. The caller destroys it. */
int geomem_heap_create(const struct geomem_heap_options *options, struct geomem_heap **ret_heap);
/* All its blocks are gone at once, without finalizers. No thread may use the heap or its blocks meanwhile or later. NULL and
 * the default heap: nothing happens. */
void geomem_heap_destroy(struct geomem_heap *heap);
/* Options for a heap that has not handed out a collected block yet (-EBUSY later): the way to choose those of the default
 * heap (NULL), first thing in main. -EINVAL: struct_bytes, or a value that is not known. */
int geomem_heap_configure(struct geomem_heap *heap, const struct geomem_heap_options *options);
/* From now on; heap NULL: the default. Between GEOMEM_GC_GENERATIONAL and GEOMEM_GC_MARK_SWEEP all heaps change. -EINVAL: no
 * such mode; -ENOMEM: there is no heap. Waits while a collection is under way. */
int geomem_gc_mode(struct geomem_heap *heap, enum geomem_gc_mode mode);

/* ---- explicit blocks: the program's until it frees them; NULL and errno ENOMEM when there is no memory ---- */
/* `size` bytes, 0 counting as 1; contents undefined. */
void *geomem_alloc(size_t size);
/* count * size bytes, zeroed; ENOMEM also when the product overflows. */
void *geomem_calloc(size_t count, size_t size);
/* Moves a block of any kind, with its contents up to the lesser size, unless it fits where it is; a collected block stays
 * one, but its finalizer and weak references are dropped when it moves. NULL as block: as geomem_alloc; size 0: as 1, the
 * block is not freed. On failure the old block stays as it is. */
void *geomem_realloc(void *block, size_t size);
/* On a multiple of `alignment`, a power of two up to 64 MB at least; else EINVAL. Freed by geomem_free. */
void *geomem_aligned(size_t alignment, size_t size);
/* Zeroed; what it points to is kept, as if it were a global. */
void *geomem_alloc_root(size_t size);
/* A block of any kind and heap, by any thread; also a collected one, if nothing uses it any more. NULL: nothing happens. Any
 * other address is misuse: see geomem_misuse_handler. */
void geomem_free(void *block);
/* Bytes that may be used of a block, at least as many as were asked for; 0 if the address is no block's beginning. */
size_t geomem_usable_size(const void *block);
/* As geomem_alloc, in a heap of one's own; heap NULL: the default. */
void *geomem_heap_alloc(struct geomem_heap *heap, size_t size);

/* ---- collected blocks: zeroed, but those of _leaf ---- */
enum geomem_generation {
    GEOMEM_YOUNG = 0,
    GEOMEM_OLD = 1,
};
/* Must stay as it is, and where it is, as long as there are blocks made with it that were not freed: those that are
 * unreachable, and not collected yet, too. */
struct geomem_layout {
    size_t struct_bytes;      /* sizeof(struct geomem_layout) */
    size_t element_bytes;     /* the map repeats with this distance; a multiple of 8 */
    const uint64_t *pointers; /* bit i of the map: word i of an element may hold a pointer */
    /* Instead of a map, NULL else: finds the pointers of a block itself, and calls `keep` for each. It runs on threads that
     * collect, for several blocks at once, while all others are stopped: no lock, no allocation, no variable of its own. The block may be one that has just been handed out
     * and is all zero. Blocks over 32 KB are not asked: there any word may be a pointer. */
    void (*trace)(const struct geomem_layout *layout, void *block, size_t bytes,
        void (*keep)(void *pointer, void *arg), void *arg);
};
void *geomem_gc_alloc(size_t size);
void *geomem_gc_alloc_leaf(size_t size); /* never scanned; contents undefined */
void *geomem_gc_alloc_typed(size_t size, const struct geomem_layout *layout);
void *geomem_gc_alloc_old(size_t size, int leaf); /* into the old generation at once */
void *geomem_heap_gc_alloc(
    struct geomem_heap *heap, size_t size, int leaf, enum geomem_generation generation);

/* The explicit write barrier: stores `value` to *slot, which lies in the block `object`. Needed for a heap with
 * GEOMEM_TRACK_BARRIER, for each pointer to a collected block that is stored into a collected block, the first into a new one
 * too; harmless with every other. Async-signal-safe; takes no lock. */
void geomem_write(void *object, void *slot, void *value);

/* Collects now, on this thread: the young generation, or both. It is of all heaps, whichever is given (NULL: the default).
 * Finalizers become due by it, and run elsewhere. 0 also where there has been nothing to collect yet. -EINVAL: no such
 * generation; -EBUSY: collections are disabled; -ETIMEDOUT: a thread could not be stopped within 10 s; -EMFILE: one that is
 * not known could not be looked for, without a descriptor. */
int geomem_gc(struct geomem_heap *heap, enum geomem_generation generation);
/* Between the two no collection begins, of any heap, for whatever reason: an allocation that finds no memory fails. They count:
 * as many times enabled as disabled. Enabling what is not disabled is -EINVAL. Both wait while a collection is under way. */
int geomem_gc_enable(struct geomem_heap *heap);
int geomem_gc_disable(struct geomem_heap *heap);
/* At most so many threads of libgeomem's own help to mark, from the next collection on; 0: none. Without a call it is what
 * GEOMEM_MARKERS in the environment says, else one less than there are processors, 4 at most. They exist while there is much
 * to mark, and end when they have had nothing to do for 2 s. -EINVAL: more than 16. Any thread. */
int geomem_gc_markers(unsigned helpers);

/* ---- roots, threads: each waits while a collection is under way, and allocates nothing from a heap ---- */
/* [start, start + bytes) of the program's memory holds pointers to blocks: malloc's, say, or a file's that is mapped. Any
 * alignment; it is searched at multiples of 8, by each collection, until it is removed. It stays the program's: what is not
 * readable when a collection looks is passed over. Ranges may overlap. -EINVAL: empty, or beyond the end of addresses;
 * -ENOMEM: no memory to remember it in. */
int geomem_add_roots(const void *start, size_t bytes);
/* Whatever was added inside the range, and as much of it as lies inside. 0 also if there was nothing. -EINVAL, -ENOMEM: as above,
 * of a range that is cut in two. */
int geomem_remove_roots(const void *start, size_t bytes);
/* Writable globals in the range are not searched any more: tables, say, whose numbers look like addresses. Errors: as above. */
int geomem_exclude_roots(const void *start, size_t bytes);
/* Threads need not be registered, however they were made: each stop of the world finds them. One that has been is found
 * sooner, and can be told from one that libc runs with all signals blocked: such a thread calls it before it touches
 * a block. Any number of times. 0; -EAGAIN: more than 131072 threads; -ENOMEM. */
int geomem_register_thread(void);
/* Undone when the thread ends, or by this: it holds no pointer to a collected block any more, but the next stop finds
 * it, as any. */
void geomem_unregister_thread(void);
/* Around a system call of the program's own that may block (those by libc's functions are known): between the two the thread uses no
 * heap, and changes no pointer to a block; what it had on its stack and in its registers when it entered is searched.
 * A collection then disturbs it by no signal. Leaving waits while the world is stopped. They do not nest, and leave errno as it is.
 * On a thread that is not registered they do nothing. */
void geomem_region_enter(void);
void geomem_region_leave(void);

/* ---- finalizers, weak references, ephemerons ---- */
typedef void geomem_finalizer(void *block, void *data);
enum geomem_finalizer_order {
    GEOMEM_FINALIZE_UNORDERED = 0, /* as soon as the block is unreachable */
    GEOMEM_FINALIZE_TOPOLOGICAL =
        1, /* not before blocks that reach it and have finalizers themselves; and not while it can be
              reached from itself through other blocks (pointers to itself do not count) */
};
/* `function(block, data)` is called once, after the collected block was found unreachable; the block is whole until it returns, and
 * dies by a later collection, unless it can be reached again. `function` NULL: none any more. `data` is the program's, and kept:
 * blocks that it points to live as long as the finalizer is set. What was set before is returned, to each of the last two that is not
 * NULL. A block has one finalizer; freeing it by geomem_free, or geomem_realloc that moves it, drops it. -EINVAL: not the
 * beginning of a collected block, or no such order; -ENOMEM: as before. */
int geomem_finalizer_set(void *block, geomem_finalizer *function, void *data,
    enum geomem_finalizer_order order, geomem_finalizer **ret_old_function, void **ret_old_data);
/* Calls those that are due, on this thread, no lock held; returns how many. In a finalizer: 0. */
size_t geomem_finalizers_run(void);
/* `notify` is called after each collection that made some due, on the thread that collected, in the middle of whatever
 * allocated: it wakes somebody who calls geomem_finalizers_run, and no more. NULL, the default: they run on a thread of libgeomem's
 * own, which blocks all signals. Returns 0. */
int geomem_finalizers_notify(void (*notify)(void));
/* A weak reference: itself a collected block, that does not keep its target. `survives_finalizer`: it goes on until the target is
 * gone; else it is cleared as soon as a finalizer of the target is due. -EINVAL: `target` is not the beginning of a block;
 * -ENOMEM. */
struct geomem_weak;
int geomem_weak_create(void *target, int survives_finalizer, struct geomem_weak **ret_weak);
/* The target, held by the caller from now on; NULL: it has died. Takes no lock. */
void *geomem_weak_get(struct geomem_weak *weak);
/* The same in a word of the program's own, that no collection takes for a pointer (not in a root, nor a scanned block, or hidden
 * in some way of the program's): *link becomes NULL when the target dies. A link in a block goes with that. Whoever reads *link
 * may read it while it is cleared; nothing then keeps the target. One for each word: it replaces. -EINVAL, -ENOMEM: as above, and
 * link NULL. */
int geomem_weak_link(void **link, void *target, int survives_finalizer);
/* *link stays as it is. -ENOENT: none was linked there. */
int geomem_weak_unlink(void **link);
/* What is linked to `link` is linked to `new_link` from now on; *new_link is the caller's to fill in. -ENOENT: there is none;
 * -EEXIST: there is one at `new_link` already. The same address twice: asks. */
int geomem_weak_move(void **link, void **new_link);
/* A pair, itself a collected block: it keeps `value`, and what that points to, as long as `key` is reachable by other ways than through
 * the pair's own value. Then both are cleared. -EINVAL: `key` is not the beginning of a block; -ENOMEM. */
int geomem_ephemeron_create(void *key, void *value, struct geomem_weak **ret_ephemeron);
/* The value, and the key to *ret_key unless that is NULL: both held by the caller from now on. NULL: the key has died, and
 * *ret_key stays as it is. Takes no lock. */
void *geomem_ephemeron_value(struct geomem_weak *ephemeron, void **ret_key);

/* ---- what there is ---- */
struct geomem_heap_statistics {
    size_t struct_bytes;
    uint64_t footprint_bytes;                 /* memory behind the heap */
    uint64_t reserved_bytes;                  /* address space taken for segments */
    uint64_t explicit_bytes, explicit_blocks; /* live, as handed out: rounded up to size classes */
    uint64_t young_bytes, young_blocks;
    uint64_t old_bytes, old_blocks;
    uint64_t allocated_bytes, allocated_blocks; /* since the beginning */
    uint64_t freed_bytes, freed_blocks;         /* by the program */
    uint64_t collected_bytes, collected_blocks; /* by the collector */
    uint64_t promoted_bytes, promoted_blocks;
    uint64_t young_collections, full_collections;
    uint64_t pause_total_ns, pause_max_ns;
    uint64_t collector_cpu_ns;
};
/* heap NULL: the default, here and below. The caller sets struct_bytes; -EINVAL if it is not this structure's. Exact while no
 * other thread allocates, else close. Takes time in proportion to the number of blocks, and stops nobody. */
int geomem_heap_statistics(struct geomem_heap *heap, struct geomem_heap_statistics *ret_statistics);

enum geomem_block_state {
    GEOMEM_BLOCK_EXPLICIT,
    GEOMEM_BLOCK_ROOT,
    GEOMEM_BLOCK_YOUNG,
    GEOMEM_BLOCK_OLD
};
struct geomem_block {
    void *start;
    size_t bytes; /* usable */
    enum geomem_block_state state;
    int leaf;
    unsigned age;
};
/* Calls visit for each block while the world is stopped; a non-zero return ends the walk and is returned. visit allocates
 * and frees nothing, and takes no lock (printf takes one): a stopped thread may hold any. -ETIMEDOUT: a thread could not be stopped. */
int geomem_heap_walk(
    struct geomem_heap *heap, int (*visit)(const struct geomem_block *block, void *arg), void *arg);
/* The block that an address points into, at its beginning or not; -ENOENT: none. */
int geomem_block_at(const void *address, struct geomem_block *ret_block);
/* Non-zero if there is one. */
int geomem_owns(const void *address);
/* 0: whole. Levels: 1 counters and lists, 2 every span and block, 3 free memory that is to be zero. What the collector
 * has marked is checked by GEOMEM_VERIFY=1 in the environment, at each collection. Else -EUCLEAN, and one line on
 * `out` (unless NULL) for each thing found wrong. */
int geomem_heap_check(struct geomem_heap *heap, int level, FILE *out);
/* Gives unused memory back to the system now, not after 100 ms of the heap's own time. 0, or -ENOMEM without a heap. */
int geomem_heap_purge(struct geomem_heap *heap);

/* What happens on misuse (double free, foreign or interior pointer; with GEOMEM_HEAP_DEBUG=1 in the environment also a write
 * to a freed block): called with one line of text, on the thread that did it, no lock held. If it returns, the call that
 * was misused does nothing. NULL, the default: the line goes to stderr, and the process aborts. */
void geomem_misuse_handler(void (*handler)(const char *text, const void *address));

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
