/* geomem/memory.h - generational memory in a dozen calls, and a report of what became of it.
 *
 *     init_gc();
 *     start_profiling();
 *     struct node *n = allocate_memory(sizeof *n, gc_young_generation);
 *     ...
 *     MemoryUsageReport *report = stop_profiling();
 *     analyze_memory_usage(report);
 *     free_memory(report);
 *
 * A thin layer on geomem/geomem.h: blocks of both may be mixed and point to each other. Usable from C (C11) and C++.
 * All functions may be called from any thread, none from a signal handler. No function prints or ends the program,
 * but free_memory on misuse (see geomem_misuse_handler) and analyze_memory_usage, whose purpose is to print.
 */
#ifndef GEOMEM_MEMORY_H
#define GEOMEM_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <geomem/cache.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* ---- allocation and collection ---- */

typedef enum Generation {
    gc_young_generation =
        0, /* where blocks are born; collected often, at the cost of what survives */
    gc_old_generation = 1, /* what has survived; collected when it has grown */
    GENERATION_YOUNG = gc_young_generation,
    GENERATION_OLD = gc_old_generation,
} Generation;

/* Prepares the default heap, its collector and the calling thread. Every other function does it when it is first
 * needed; calling it first in main() tells of errors at a place of your own, and makes the first allocation as quick
 * as the others. Any number of calls. 0, or a negative errno (-ENOMEM: no address space). */
int init_gc(void);

/* A collected block of `size` bytes, zeroed, aligned to 16, any word of which may be a pointer. It lives as long as it
 * is reachable, or until free_memory. gc_old_generation: for what is known to live long; it is spared the survival of
 * young collections. Size 0 gives a block of its own. NULL with errno ENOMEM (no memory, or larger than PTRDIFF_MAX)
 * or EINVAL (no such generation). */
void *allocate_memory(size_t size, Generation generation);

/* Frees a block of allocate_memory, of any allocation of geomem/geomem.h, or a report, at once. NULL is left alone.
 * Needed for no collected block; worth it where the program knows. errno is kept. */
void free_memory(void *block);

/* Collects now: gc_young_generation the young, gc_old_generation both. Returns when it is done: 0, or a negative
 * errno (-EINVAL: no such generation; -EBUSY: collection is switched off by geomem_gc_disable). */
int perform_gc(Generation generation);

/* gc_young_generation() and gc_old_generation(), called, are perform_gc of that generation. The names alone, without
 * parentheses, are the values of Generation above. */
int geomem_collect_young(void) __asm__("gc_young_generation");
int geomem_collect_old(void) __asm__("gc_old_generation");
#define gc_young_generation() geomem_collect_young()
#define gc_old_generation() geomem_collect_old()

/* ---- caching ---- */

/* One cache for the program, by name "cached data": bytes by key, in the default heap. For more than one, for times to live, callbacks
 * and all the rest there is geomem/cache.h, whose functions take this one too: see geomem_caching_layer. */

/* 1 to 65,535 bytes, the caller's; copied where they are kept. */
typedef struct CacheKey {
    const void *bytes;
    size_t size;
} CacheKey;
/* In the cache, or out of it and still held: memory that lives until its reference count is 0. geomem_cache_references
 * tells the count. */
typedef struct geomem_cache_entry CacheEntry;
/* To be stored: bytes and size, the caller's, entry not looked at. As it is got: valid until release_cached_data, aligned to 16;
 * entry NULL (and bytes NULL): there is none. */
typedef struct CachedData {
    const void *bytes;
    size_t size;
    CacheEntry *entry;
} CachedData;
/* Makes the data of a key: returns 0 with bytes and size in *ret_data, or a negative errno. The bytes are copied when it has
 * returned; memory of allocate_memory is a good place for them, since nobody has to free it. */
typedef int (*CacheLoader)(CacheKey key, CachedData *ret_data);

/* Prepares the cache. Every other function does it when it is first needed. 64 MB, or as many bytes as GEOMEM_CACHE_BYTES in the
 * environment says (a number, 1 and up); it gives way to 1/16 of that when memory runs short. Any number of calls. 0, or a
 * negative errno (-ENOMEM; -EINVAL: GEOMEM_CACHE_BYTES is no such number). */
int init_caching_layer(void);

/* The data of a key, to be given to release_cached_data; entry NULL: none are cached. */
CachedData get_cached_data(CacheKey key);

/* Keeps a copy of data.size bytes (less than 4 GB) for the key, in place of what there was. 0; an enum
 * geomem_cache_refusal: not kept, since larger than the cache, or all of it is in use; or a negative errno (-EINVAL: key or
 * size; -ENOMEM). */
int store_cached_data(CacheKey key, CachedData data);

/* 0, or -ENOENT: there was none. Data that somebody has got stay valid until they are released. */
int remove_cached_data(CacheKey key);

/* The same as get_cached_data, with data made by the loader if there are none. Of all threads that miss a key at the same time
 * one runs its loader, the others wait for it. Entry NULL with errno as the loader returned it, positive; or ENODATA (it gave
 * none), EDEADLK (it asks for the key it is loading), ENOMEM, EINVAL. */
CachedData get_or_load_cached_data(CacheKey key, CacheLoader loader);

/* Gives back what the functions above returned. Nothing happens if there was nothing. */
static inline void release_cached_data(CachedData data)
{
    geomem_cache_release(data.entry);
}
/* A text without its final zero, as a key. */
static inline CacheKey geomem_text_key(const char *text)
{
    CacheKey key;
    key.bytes = text;
    for (key.size = 0; text[key.size]; key.size++)
        ;
    return key;
}
/* The cache itself: to be resized, asked for statistics, walked. NULL, errno as of init_caching_layer. */
struct geomem_cache *geomem_caching_layer(void);

/* ---- profiling ---- */

/* Flows are between start_profiling and stop_profiling, levels are those at stop_profiling. Bytes are as asked for
 * by the program in flows by site, and as handed out (rounded up to size classes) in all others. */

struct geomem_generation_usage {
    uint64_t allocated_blocks, allocated_bytes; /* by the program, into this generation */
    uint64_t promoted_blocks,
        promoted_bytes;               /* young: out of it; old: into it (the same figures) */
    uint64_t died_blocks, died_bytes; /* collected, or freed by the program */
    uint64_t live_blocks, live_bytes; /* at the end, reachable or not yet found not to be */
    int64_t grown_bytes;              /* live_bytes less those at the start */
};

#define GEOMEM_PAUSE_BUCKETS 10
struct geomem_pause_usage {
    uint64_t count;
    uint64_t total_ns, max_ns;
    uint64_t p50_ns, p99_ns; /* upper ends of histogram buckets 6 % wide */
    /* Pauses shorter than 0.1, 0.2, 0.5, 1, 2, 5, 10, 50, 200 ms (and not in an earlier bucket), and longer. */
    uint64_t histogram[GEOMEM_PAUSE_BUCKETS];
};

struct geomem_collection_usage {
    uint64_t young, full;   /* collections that ended */
    uint64_t by_trigger[6]; /* indexed by enum geomem_gc_trigger of geomem/listener.h; 0: others */
    uint64_t cpu_ns;        /* of all threads that collected */
    uint64_t collected_blocks, collected_bytes;
};

#define GEOMEM_SITE_FRAMES 24
struct geomem_site_usage {
    uint64_t allocated_blocks, allocated_bytes; /* exact */
    /* Followed block by block: exact while report->followed_share is 1, else estimates without bias. */
    uint64_t promoted_blocks, promoted_bytes; /* survived into the old generation */
    uint64_t old_died_blocks;   /* of those promoted: were collected or freed before the end */
    uint64_t pretenured_blocks; /* allocated into the old generation */
    uint64_t live_blocks, live_bytes; /* allocated since the start and still there */
    uint32_t explicit_blocks;         /* non-zero: of geomem_alloc and its like, not collected */
    uint32_t frame_count;
    /* Innermost first; frame[i] is a return address, name[i] its function, or module+offset where no name is known. */
    const void *frame[GEOMEM_SITE_FRAMES];
    const char *name[GEOMEM_SITE_FRAMES];
};

typedef struct MemoryUsageReport {
    uint32_t struct_bytes; /* sizeof(MemoryUsageReport) of the library that made it */
    uint32_t recorded;     /* non-zero: geomem-record was recording too, and knows more */
    uint64_t elapsed_ns;
    uint64_t cpu_ns; /* of the process */
    /* totals: all generations, explicit blocks included */
    uint64_t allocated_blocks, allocated_bytes;
    uint64_t freed_blocks, freed_bytes; /* by the program */
    uint64_t live_blocks, live_bytes;
    uint64_t footprint_bytes; /* memory behind the heap */
    uint64_t
        footprint_peak_bytes; /* the largest seen at start, at the end of collections, and at stop */
    struct geomem_generation_usage young, old, explicit_blocks;
    /* Shares of 0..1, of bytes; NaN where nothing was there to be promoted. */
    double promotion_rate; /* promoted out of the young generation / allocated into it */
    double
        premature_promotion_rate; /* of what was promoted: died before the end (of blocks followed) */
    struct geomem_collection_usage collections;
    struct geomem_pause_usage pauses;
    double
        followed_share; /* of blocks that were followed from birth to death: 1, less if there were many */
    uint64_t
        unattributed_blocks; /* allocations whose stack could not be taken, or had no room in the table of sites */
    uint32_t site_total; /* sites seen */
    uint32_t site_count; /* in `site`: those with the most bytes */
    const struct geomem_site_usage
        *site; /* by allocated bytes, largest first; part of the report's memory */
} MemoryUsageReport;

/* Begins to watch all heaps of the process: counts, and the call stack of each allocation. Costs some 100 ns for each
 * allocation, and at most 8 MB of memory outside the heaps plus 200 KB for each thread that allocates. A recorder
 * that is recording goes on doing so. 0; -EALREADY: begun before; -ENOMEM. */
int start_profiling(void);

/* Ends it and returns what was seen, in one block for the caller to give to free_memory; it holds nothing of the
 * program's and is not touched again. NULL with errno EINVAL (not profiling) or ENOMEM (profiling has ended all the
 * same). */
MemoryUsageReport *stop_profiling(void);

/* ---- verdicts ---- */

enum geomem_severity {
    GEOMEM_GOOD = 0,
    GEOMEM_NOTE = 1,
    GEOMEM_WARNING = 2,
};
struct geomem_verdict {
    enum geomem_severity severity;
    const char *rule; /* a stable name, e.g. "premature-promotion" */
    const char *text; /* one line, what was found and what to do; valid during the call */
    const struct geomem_site_usage *site; /* that it is about, or NULL */
};

/* Judges a report: a summary, then one line for each verdict with the figures it stands on, to stderr or where
 * geomem_analysis_output says; or a call for each, where geomem_analysis_callback says. Returns how many are
 * warnings. Report NULL: 0. */
int analyze_memory_usage(const MemoryUsageReport *report);

/* Where analyze_memory_usage writes: NULL: to stderr. */
void geomem_analysis_output(FILE *out);
/* Called with each verdict instead of writing; NULL: back to writing. */
void geomem_analysis_callback(
    void (*callback)(const struct geomem_verdict *verdict, void *arg), void *arg);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
