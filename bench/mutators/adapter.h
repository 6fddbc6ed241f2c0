/* adapter.h - all that the workloads know of a collector, so that the same source runs on each.
 *
 * Compiled with one of
 *   -DMUTATOR_LIBGC      Debian's libgc (bdwgc)
 *   -DMUTATOR_GEOMEM     libgeomem; with -DMUTATOR_BARRIER too, stores go through geomem_write
 *
 * gc_set stores a pointer into a block that was allocated before. gc_init stores one into the block that this thread
 * allocated last, of a value that it had before: that is not younger than the block, so that it needs no barrier.
 */
#ifndef MUTATOR_ADAPTER_H
#define MUTATOR_ADAPTER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#if defined(MUTATOR_LIBGC)
#define GC_THREADS
#include <gc.h>
#define gc_alloc(size) GC_MALLOC(size)
#define gc_alloc_leaf(size) GC_MALLOC_ATOMIC(size)
#elif defined(MUTATOR_GEOMEM)
#include "geomem/geomem.h"
#define gc_alloc(size) geomem_gc_alloc(size)
#define gc_alloc_leaf(size) geomem_gc_alloc_leaf(size)
#else
#error "compile with -DMUTATOR_LIBGC or -DMUTATOR_GEOMEM"
#endif

#if defined(MUTATOR_BARRIER)
#define gc_set(object, field, value) geomem_write((object), &(object)->field, (value))
#define gc_set_at(array, index, value) geomem_write((array), &(array)[index], (value))
#else
#define gc_set(object, field, value) ((object)->field = (value))
#define gc_set_at(array, index, value) ((array)[index] = (value))
#endif
#define gc_init(object, field, value) ((object)->field = (value))

/* Allocates and gives up where there is no memory. */
#define gc_new(type) ((type *)gc_checked(gc_alloc(sizeof(type))))
#define gc_new_array(type, count) ((type *)gc_checked(gc_alloc(sizeof(type) * (count))))
#define gc_new_leaf(bytes) gc_checked(gc_alloc_leaf(bytes))
void gc_out_of_memory(void) __attribute__((noreturn));

static inline void *gc_checked(void *block)
{
    if (__builtin_expect(!block, 0))
        gc_out_of_memory();
    return block;
}

/* `mode`: "generational", "mark-sweep", or for libgc "default". `is_timing_pauses`: a run of its own, since to listen
 * may cost something. Before the first allocation and the first thread. 0 or a negative errno. */
int gc_start(const char *mode, int is_timing_pauses);

struct gc_counts {
    uint64_t collections;
    uint64_t collector_cpu_ns; /* 0: not known */
};
void gc_counts(struct gc_counts *ret_counts);

/* The lengths of all pauses so far. */
size_t gc_pauses(const uint64_t **ret_pauses_ns);

/* Through the collector's own pthread_create, where it has one. */
int gc_thread_start(pthread_t *ret_thread, void *(*start)(void *), void *arg);
int gc_thread_join(pthread_t thread);

#endif
