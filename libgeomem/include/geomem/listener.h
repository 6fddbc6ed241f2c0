/* geomem/listener.h - what happens in a program's libgeomem heaps and caches, as it happens.
 *
 * One listener per process. A program that is being recorded has the recorder's. All functions are called on the
 * thread on which the thing happens, inside the allocator or the collector, also while the world is stopped: they do
 * not allocate, lock what a stopped thread may hold, or call back into libgeomem. Members may be NULL.
 */
#ifndef GEOMEM_LISTENER_H
#define GEOMEM_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a collection began. Codes are stable. */
enum geomem_gc_trigger {
    GEOMEM_TRIGGER_ALLOCATION = 1, /* the nursery, or the heap's budget, was used up */
    GEOMEM_TRIGGER_EXPLICIT = 2,   /* the program asked */
    GEOMEM_TRIGGER_LIMIT = 3,      /* memory could not be had, or the heap's limit was reached */
    GEOMEM_TRIGGER_PRESSURE = 4,   /* the memory of the container runs short */
    GEOMEM_TRIGGER_FINISH = 5,     /* ends a concurrent collection */
};

enum geomem_gc_kind {
    GEOMEM_GC_YOUNG = 1,             /* the young generation */
    GEOMEM_GC_FULL = 2,              /* both, the world stopped throughout */
    GEOMEM_GC_MOSTLY_CONCURRENT = 3, /* both, most of the marking while the program runs */
};

enum geomem_gc_phase {
    GEOMEM_PHASE_STOP = 1,  /* until all threads have stopped */
    GEOMEM_PHASE_ROOTS = 2, /* stacks, registers, globals, dirty pages */
    GEOMEM_PHASE_MARK = 3,
    GEOMEM_PHASE_NOTES = 4,           /* weak references, ephemerons, finalizers */
    GEOMEM_PHASE_SWEEP = 5,           /* as much of it as is done while the world is stopped */
    GEOMEM_PHASE_CONCURRENT_MARK = 6, /* while the program runs */
};
#define GEOMEM_PHASE_COUNT 7

/* One collection, of all heaps of the process, told when it has ended. All times in nanoseconds, all sizes in bytes. */
struct geomem_gc_cycle {
    uint64_t number;   /* from 1 */
    uint64_t heap;     /* that asked for it: number in the process, from 1: the default one */
    uint32_t kind;     /* enum geomem_gc_kind */
    uint32_t trigger;  /* enum geomem_gc_trigger */
    uint64_t start_ns; /* CLOCK_MONOTONIC */
    uint64_t end_ns;
    uint64_t stops;                        /* times the world was stopped */
    uint64_t pause_ns;                     /* world stopped, all stops of the collection together */
    uint64_t max_pause_ns;                 /* the longest of them */
    uint64_t phase_ns[GEOMEM_PHASE_COUNT]; /* indexed by enum geomem_gc_phase */
    uint64_t cpu_ns;                       /* of all threads that collected */
    uint64_t threads_stopped;
    uint64_t roots_bytes; /* scanned */
    uint64_t dirty_bytes; /* of old pages that had been written to */
    uint64_t marked_blocks;
    uint64_t marked_bytes;
    uint64_t
        swept_blocks; /* found dead; where sweeping is lazy: as marking found, not yet given back */
    uint64_t swept_bytes;
    uint64_t promoted_blocks;
    uint64_t promoted_bytes;
    uint64_t young_before_bytes, young_after_bytes;
    uint64_t old_before_bytes, old_after_bytes;
    uint64_t footprint_bytes; /* memory behind the heap when it ended */
};

/* Up to 64 blocks of one size that lie side by side in a heap, as a sweep finds them: bit i of the masks is the block at
 * first + i * block_bytes. A large block is one by itself. */
struct geomem_swept {
    uint64_t heap; /* whose blocks they are */
    const void *first;
    size_t block_bytes;
    uint64_t dead;     /* collected blocks found dead: free for others once the call has returned */
    uint64_t promoted; /* those that have gone from the young generation to the old */
    unsigned age;      /* of the promoted: collections survived */
};

/* ---- caches ----
 * Each use of a cache is counted; key by key is told what happens to a sample of the keys: those whose hash, well mixed
 * over 64 bits, is not above the cache's sample_threshold. */

/* Why an entry left a cache, or was not let in. Codes are stable. */
enum geomem_cache_cause {
    GEOMEM_CACHE_SIZE = 1,     /* the policy made room */
    GEOMEM_CACHE_EXPIRED = 2,  /* its time was up */
    GEOMEM_CACHE_REPLACED = 3, /* another value was stored for its key */
    GEOMEM_CACHE_REMOVED = 4,  /* the program took it out */
    GEOMEM_CACHE_PRESSURE = 5, /* memory ran short, and the cache gave way */
    GEOMEM_CACHE_REJECTED = 6, /* never got in: larger than the cache, or everything was pinned */
    GEOMEM_CACHE_CLOSED = 7,   /* the cache was destroyed */
};
#define GEOMEM_CACHE_CAUSE_COUNT 8

/* How a cache decides what leaves. Codes are stable. */
enum geomem_cache_policy {
    GEOMEM_POLICY_ADAPTIVE = 0, /* the default: chooses among several by simulating them */
    GEOMEM_POLICY_LRU = 1,      /* the least recently used */
    GEOMEM_POLICY_S3FIFO = 2,
    GEOMEM_POLICY_OTHER = 255, /* the program's own cache: not known */
};

enum geomem_cache_use {
    GEOMEM_CACHE_HIT = 1,
    GEOMEM_CACHE_MISS = 2,
    GEOMEM_CACHE_STORE = 3, /* a value was let in */
    GEOMEM_CACHE_LOAD = 4,  /* a loader made a value: `ns` is what it took */
    GEOMEM_CACHE_PIN = 5,   /* a value was handed out and may be used until */
    GEOMEM_CACHE_UNPIN = 6,
};

/* A cache as it is: all counts since it was made. Told when it is made, when its capacity or its policy's choice changes,
 * every now and then while it is used, when it is destroyed, and when the process ends. */
struct geomem_cache_state {
    uint64_t
        cache; /* number in the process: from 1; of geomem/cache_probe.h an address, above 2^32 */
    const char *name;          /* UTF-8; read during the call only */
    uint32_t policy;           /* enum geomem_cache_policy */
    uint32_t choice;           /* of an adaptive policy: what it runs now, numbered by the policy */
    uint32_t closed;           /* 1: destroyed, the last that is told of it */
    uint32_t switches;         /* of the policy's choice */
    uint64_t sample_threshold; /* UINT64_MAX: every key; 0: none */
    uint64_t capacity_bytes;
    uint64_t used_bytes;
    uint64_t entries;
    /* Handed out, those included that have left the cache since; as of a few seconds ago but in the last states. */
    uint64_t pinned_entries;
    uint64_t pinned_bytes;
    uint64_t hits, hit_bytes;
    uint64_t misses;
    uint64_t stores, store_bytes;
    uint64_t loads, load_failures,
        load_waits;   /* waits: for a loader that another thread was running */
    uint64_t load_ns; /* of all loads together */
    uint64_t evictions[GEOMEM_CACHE_CAUSE_COUNT]; /* by enum geomem_cache_cause */
    uint64_t evicted_bytes[GEOMEM_CACHE_CAUSE_COUNT];
};

/* Something done with one key of the sample. */
struct geomem_cache_key_use {
    uint64_t cache;
    uint64_t key;       /* its hash */
    uint32_t use;       /* enum geomem_cache_use */
    uint32_t key_class; /* as the program divides its keys; 0: not told */
    uint64_t
        bytes; /* charged for the entry; of a miss 0, or of what was put in at once, without a STORE */
    uint64_t ns; /* of a load */
};

/* An entry of the sample has left. */
struct geomem_cache_eviction {
    uint64_t cache;
    uint64_t key;
    uint32_t cause; /* enum geomem_cache_cause */
    uint32_t hits;  /* it had had; UINT32_MAX: not known */
    uint64_t bytes;
    uint64_t age_ns; /* since it was stored; 0: not known */
};

struct geomem_listener {
    uint32_t version; /* GEOMEM_LISTENER_VERSION */
    /* A block was given out, and the program does not have it yet. `collected`: 0 explicit, 1 collected.
     * generation: 0 young, 1 old. */
    void (*alloc)(const void *block, size_t size, int collected, int generation);
    /* The program has freed a block, which is about to be free for others. */
    void (*free)(const void *block);
    /* A block was reallocated: like free of `old` before and alloc of `block` after, as one thing, and called before
     * `old` is free for others. In place: both are the same. */
    void (*realloc)(const void *old, const void *block, size_t size, int collected, int generation);
    /* What a collection found: told after its gc_begin, and before that of the next collection that could find blocks
     * of the same generation dead. Sweeping may go on after gc_end, on any thread. Only with bits set. */
    void (*swept)(const struct geomem_swept *swept);
    void (*gc_begin)(uint64_t heap, uint64_t number, uint32_t kind, uint32_t trigger);
    void (*gc_end)(const struct geomem_gc_cycle *cycle);
    /* One stop of the world, of the collection `number`: told when it is over, before that collection's gc_end. A stop in
     * which a young collection and a part of one in steps were done is the young one's. Nanoseconds, CLOCK_MONOTONIC. */
    void (*gc_stop)(uint64_t number, uint64_t start_ns, uint64_t pause_ns);
    /* Of caches: on any thread, no lock held but a shard's of the cache. What is pointed to is read during the call only. */
    void (*cache_state)(const struct geomem_cache_state *state);
    void (*cache_use)(const struct geomem_cache_key_use *use);
    void (*cache_evict)(const struct geomem_cache_eviction *eviction);
    /* What the program calls a class of its keys, in UTF-8. */
    void (*cache_class)(uint64_t cache, uint32_t key_class, const char *name);
};
#define GEOMEM_LISTENER_VERSION 3u

/* The listener of the recorder that is recording this process, if any: defined by its preload library. */
__attribute__((weak)) const struct geomem_listener *geomem_recorder_listener(void);

#ifdef __cplusplus
}
#endif
#endif
