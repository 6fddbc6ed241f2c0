/* wire.h - what the target and the recorder share: the session, the rings, the records, the handshake.
 *
 * One session is one memfd per process image, made, sized, filled with memory and sealed (SHRINK, GROW,
 * SEAL) by the recorder before the target sees it:
 *
 *   0                 4096                       ring_data_offset
 *   | session header  | ring header 0 .. n-1     | ring 0 data | ring 1 data | ... |
 *
 * A ring is a single-producer single-consumer queue of 8-byte words. Positions (head, tail) count words
 * since the session began and never wrap; the word at position p lies at index p & (ring_words - 1). A
 * record may therefore be split at the end of the buffer, between two words.
 *
 * Rules:
 *  - Each field has one writer, named in its comment: [R] the recorder before the hand-over, constant
 *    afterwards; [r] the recorder while the target runs; [t] the target.
 *  - The recorder treats every byte the target can write as hostile: it copies, checks bounds, counts what
 *    is wrong and goes on. The target trusts nothing but `tail`, and checks that too.
 *  - A head is stored with release after the words before it, a tail likewise.
 *
 * The event nursery (docs/design/nursery.md) is the young end of a thread's own ring, from `claim` to `head`:
 *
 *      tail          claim                    head      A producer that frees a block whose ALLOC record lies
 *       |  recorder's  |  nursery               |       in the nursery writes how it died into that record,
 *   ....[##############|########################>....   by one store, instead of a FREE record of its own.
 *
 * The recorder alone moves `claim` up, and reads no word beyond it. A producer counts `folding` up to an odd value,
 * reads `claim`, writes into the nursery, and counts on to an even one. So a consumer that has raised `claim`, has
 * waited GM_ORDER_SLACK_NS and then sees an even value, or two that differ, may read up to it: no word there
 * changes any more.
 *
 * Order. A stamp is the low 48 bits of the session's clock (struct gm_session.clock). A free is stamped
 * before the block goes back to the allocator, an allocation after it came out; a reallocation is both. As long
 * as one thread alone has events, a stamp may be that which the recorder last left in `clock_now`: what follows
 * in one ring needs no finer clock. Stamps never decrease within one ring, except that records without a stamp of their own (stamp
 * word 0: STACK, MODULE) belong to the next stamped record of the same ring. A producer holds `busy` at a
 * non-zero value from before it takes a stamp until the record is published. So a consumer that reads its
 * own clock as T, then sees busy == 0 and reads head, has every record with a stamp below T (less
 * GM_ORDER_SLACK_NS for stores still on their way) and below the clock_now that stood for that long, once it has
 * drained up to that head.
 *
 * Stands between libgeomem/ring (producer side, inside the target) and collector/ (consumer side).
 */
#ifndef GM_SCHEMAS_WIRE_H
#define GM_SCHEMAS_WIRE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/event_kinds.h"

#define GM_SESSION_MAGIC 0x31534d454f454721ull /* "!GEOEMS1" in memory order */
#define GM_WIRE_VERSION 4u
#define GM_SESSION_HEADER_BYTES 4096u
/* Far above the delay of any store buffer, which is below 1 us; arbitrary. */
#define GM_ORDER_SLACK_NS 200000u

/* Environment of a recorded process: path of the session socket. Removed from the program's own view of
 * its environment at start-up and put back for programs it executes. */
#define GM_ENV_SESSION "GEOMEM_SESSION"

enum gm_clock {
    GM_CLOCK_TSC = 1,       /* rdtsc */
    GM_CLOCK_MONOTONIC = 2, /* CLOCK_MONOTONIC, nanoseconds */
};

enum gm_unwinder {
    GM_UNWIND_CFI = 1,       /* our reader of .eh_frame (the default) */
    GM_UNWIND_LIBUNWIND = 2, /* libunwind, loaded with dlopen(RTLD_LOCAL) */
    GM_UNWIND_FP = 3,        /* frame pointers */
};

/* struct gm_session.flags */
enum gm_session_flag {
    GM_SESSION_FOLLOW = 1u << 0,       /* record forked children and executed programs too */
    GM_SESSION_DROP_ON_FULL = 1u << 1, /* drop at once when a ring is full instead of waiting */
    GM_SESSION_VERIFY = 1u << 2,       /* capture each stack twice and count differences */
    GM_SESSION_EVENTS_ALL =
        1u << 3, /* every event is wanted by itself: fold nothing in the target */
};

/* How a process image ends, as far as it knows itself (struct gm_session.end_kind, PROCESS_END records). */
enum gm_end_kind {
    GM_END_NONE = 0,
    GM_END_EXIT = 1,       /* exit(status) or return from main */
    GM_END_EXIT_NOW = 2,   /* _exit or _Exit(status) */
    GM_END_QUICK_EXIT = 3, /* quick_exit(status) */
    GM_END_EXEC = 4,       /* execve and its kin; taken back (NONE) when it fails */
    GM_END_ABORT = 5,      /* abort() */
};

/* Sampling intervals are 2^GM_SAMPLE_LOG2_MIN .. 2^GM_SAMPLE_LOG2_MAX bytes. */
#define GM_SAMPLE_LOG2_MIN 6u
#define GM_SAMPLE_LOG2_MAX 30u

struct gm_session {
    /* [R] */
    uint64_t magic;            /* GM_SESSION_MAGIC */
    uint32_t version;          /* GM_WIRE_VERSION */
    uint32_t header_bytes;     /* GM_SESSION_HEADER_BYTES */
    uint64_t session_bytes;    /* size of the whole mapping */
    uint64_t session_id;       /* random, non-zero */
    uint32_t ring_count;       /* own rings first, then GM_SHARED_RINGS shared ones */
    uint32_t ring_words;       /* words per ring, a power of two */
    uint64_t ring_data_offset; /* bytes from the start of the session */
    uint32_t clock;            /* enum gm_clock */
    uint32_t unwinder;         /* enum gm_unwinder */
    uint32_t flags;            /* enum gm_session_flag */
    uint32_t depth_leaf;       /* frames kept at the leaf end of a stack */
    uint32_t depth_root;       /* frames kept at the root end of a longer stack */
    uint32_t full_wait_ms;     /* longest wait for room in a full ring before events are dropped */
    uint64_t
        sample_bytes; /* first mean distance of sample points in bytes, a power of two; 0: every event */
    uint64_t ticks_per_ms; /* of the clock, about: how the target tells how long it has waited */
    uint64_t sample_seed;  /* of the random distances of sample points */
    uint8_t reserved0[256 - 96];

    /* [r] Counts up at least every 100 ms while the recorder lives; never read for anything else. */
    _Alignas(128) _Atomic uint64_t heartbeat;
    _Atomic uint32_t stop; /* [r] non-zero: write no more events */
    _Atomic uint32_t
        sample_log2; /* [r] of the interval for the next sample point; the target clamps it */
    _Atomic uint64_t
        clock_now; /* [r] the clock when the recorder last looked, GM_STAMP_MASK applied */
    uint8_t reserved1[128 - 24];

    /* [t] */
    _Alignas(128) _Atomic uint32_t end_kind; /* enum gm_end_kind */
    _Atomic int32_t end_value;
    _Atomic uint64_t module_epoch;    /* times an object was unloaded */
    _Atomic uint64_t lost_unringed;   /* events lost because no ring could be had */
    _Atomic uint64_t verify_captures; /* with GM_SESSION_VERIFY */
    _Atomic uint64_t verify_differences;
    _Atomic uint64_t cut_stacks; /* captures longer than depth_leaf + depth_root */
    _Atomic uint64_t
        sample_ticks; /* of the clock, spent on recording sampled blocks and their frees */
};
static_assert(sizeof(struct gm_session) <= GM_SESSION_HEADER_BYTES, "the header fits its page");
static_assert(offsetof(struct gm_session, heartbeat) == 256, "writers do not share cache lines");
static_assert(offsetof(struct gm_session, end_kind) == 384, "writers do not share cache lines");

/* The last two rings of a session are shared: threads that found no free ring take turns on the first,
 * events inside a signal handler that interrupted an event of the same thread use the second. Their
 * `owner` is a lock word held for one record group; the waiting is bounded. */
#define GM_SHARED_RINGS 2u
#define GM_RING_OVERFLOW(s) ((s)->ring_count - 2u)
#define GM_RING_NESTED(s) ((s)->ring_count - 1u)

struct gm_ring {
    /* [t] */
    _Alignas(128) _Atomic uint64_t head; /* words published */
    _Atomic uint32_t busy;    /* non-zero: a stamp may have been taken that is not yet published */
    _Atomic uint32_t owner;   /* own ring: thread id, 0 = free; shared ring: lock word */
    _Atomic uint64_t dropped; /* alloc, free and realloc events dropped for want of room */
    _Atomic uint64_t waited_ns; /* time producers spent waiting for room */
    _Atomic uint32_t folding;   /* counts up; odd: a record of the nursery may be about to change */
    uint8_t reserved0[128 - 36];
    /* [r] */
    _Alignas(128) _Atomic uint64_t tail; /* words consumed */
    _Atomic uint64_t claim;              /* where the nursery begins; tail <= claim <= head */
    uint8_t reserved1[128 - 16];
};
static_assert(sizeof(struct gm_ring) == 256, "two cache-line pairs");

/* ---- records --------------------------------------------------------------------------------------
 * word 0:  stamp (48) << 16 | length in words (8) << 8 | kind (8)
 * A record of a kind with more words than listed here is read up to what is known. */
#define GM_STAMP_BITS 48
#define GM_STAMP_MASK ((1ull << GM_STAMP_BITS) - 1)
#define GM_REC_MAX_WORDS 255u

static inline uint64_t gm_rec_word0(enum gm_event_kind kind, unsigned words, uint64_t stamp)
{
    return (stamp << 16) | ((uint64_t)words << 8) | (uint64_t)kind;
}
static inline unsigned gm_rec_kind(uint64_t word0)
{
    return (unsigned)(word0 & 0xff);
}
static inline unsigned gm_rec_words(uint64_t word0)
{
    return (unsigned)(word0 >> 8 & 0xff);
}
static inline uint64_t gm_rec_stamp(uint64_t word0)
{
    return word0 >> 16;
}

/* Sizes travel with the function that allocated and the alignment asked for:
 * size in bytes (48; larger requests are clamped) | function (8) << 48 | log2(alignment), 0 = default (6) << 56 |
 * 1 << 63 for a block that came out of a reallocation of another */
#define GM_SIZE_MAX ((1ull << 48) - 1)
#define GM_SIZE_REALLOC (1ull << 63)
static inline uint64_t gm_size_pack(uint64_t bytes, enum gm_alloc_function fn, unsigned align_log2)
{
    return (bytes > GM_SIZE_MAX ? GM_SIZE_MAX : bytes) | (uint64_t)fn << 48 |
           (uint64_t)align_log2 << 56;
}
static inline uint64_t gm_size_bytes(uint64_t packed)
{
    return packed & GM_SIZE_MAX;
}
static inline unsigned gm_size_function(uint64_t packed)
{
    return (unsigned)(packed >> 48 & 0xff);
}
static inline unsigned gm_size_align_log2(uint64_t packed)
{
    return (unsigned)(packed >> 56 & 0x3f);
}

/* Addresses of blocks are below 2^48: x86-64 gives a program no others unless it asks for them by name. */
#define GM_ADDRESS_BITS 48
#define GM_ADDRESS_MASK ((1ull << GM_ADDRESS_BITS) - 1)

/* The second word of an ALLOC record is the block's address; or, once the block was freed by the same thread
 * while the record lay in the nursery, how it died:
 * words written after the record's beginning until then (28) | clock ticks lived (33; more are clamped) << 28 |
 * 1 << 61 if a collector found it dead | 1 << 62 if by a reallocation | 1 << 63 */
#define GM_DEATH (1ull << 63)
#define GM_DEATH_REALLOC (1ull << 62)
#define GM_DEATH_COLLECTED (1ull << 61)
#define GM_DEATH_WORDS_MAX ((1ull << 28) - 1)
#define GM_DEATH_TICKS_MAX ((1ull << 33) - 1)
/* how: 0, GM_DEATH_REALLOC or GM_DEATH_COLLECTED */
static inline uint64_t gm_death_pack(uint64_t words, uint64_t ticks, uint64_t how)
{
    return GM_DEATH | how | (ticks > GM_DEATH_TICKS_MAX ? GM_DEATH_TICKS_MAX : ticks) << 28 | words;
}
static inline uint64_t gm_death_words(uint64_t death)
{
    return death & GM_DEATH_WORDS_MAX;
}
static inline uint64_t gm_death_ticks(uint64_t death)
{
    return death >> 28 & GM_DEATH_TICKS_MAX;
}
/* The second word of a FREE record: its block's address, and whether a reallocation frees it. */
#define GM_FREE_REALLOC (1ull << 63)

/* ALLOC         0 word0, 1 address or death, 2 packed size, 3 stack hash
 * FREE          0 word0, 1 address | GM_FREE_REALLOC
 *               A reallocation of a block for which another came out, in place or not, is the FREE of the old
 *               one (or its death in the nursery), stamped before the call, and the ALLOC of the new one, stamped
 *               after it, both marked. realloc(NULL, n) is an ALLOC, a realloc that frees (size 0, NULL back)
 *               a FREE, a failed one is nothing.
 * In a sampled recording (session.sample_bytes > 0) these carry more:
 * ALLOC         4 log2 of the interval it was sampled with (8) | what else (8) << 8, enum gm_sample_flag,
 *               5 bytes the thread has allocated in this session, this block included; 0 on shared rings
 * FREE          2 bytes the thread has allocated in this session; 0 on shared rings. Of sampled blocks, and
 *               of some others, which the recorder passes over.
 * REALLOC       until wire version 1; no longer written
 * STACK         0 word0 (stamp 0), 1 hash, 2 parent's hash (GM_STACK_ROOT above the outermost frame),
 *               3 pc (48) | flags << 48. Comes before the first record that uses it, in the same ring,
 *               parents first.
 * MODULE        0 word0 (stamp 0), 1 map start, 2 map end, 3 load bias (pc - bias = address in the ELF file),
 *               4 build-id bytes (8) | path bytes (16) << 8, 5.. build-id, then path, zero-padded to words.
 *               Comes before the first STACK record whose pc lies in it, and again after each epoch.
 * MODULE_EPOCH  0 word0, 1 number of the epoch that begins
 * THREAD_START  0 word0, 1 thread id, 2..3 name (16 bytes, zero-padded)
 * THREAD_END    0 word0, 1 thread id
 * PROCESS_END   0 word0, 1 enum gm_end_kind, 2 value
 * MARK          0 word0, 1 text bytes, 2.. text, zero-padded
 * The function of an ALLOC says what libgeomem gave out: geomem an explicit block, geomem_gc a collected one in the
 * young generation, geomem_gc_old one that was born old.
 * SWEEP         0 word0, 1 address of the first block (48) | heap (16) << 48, 2 distance of the blocks in bytes (48) |
 *               age of the promoted in collections (16) << 48, 3 mask of those found dead, bit i: the block at
 *               first + i * distance, 4 mask of those that have gone from the young generation to the old. Stamped
 *               before the dead are free for others. Dead blocks of the nursery are folded instead.
 * GC_BEGIN      0 word0, 1 heap that asked for it, 2 number of the collection, 3 kind (8) | trigger (8) << 8, as in geomem/listener.h
 * GC_CYCLE      0 word0, when it ended, 1 heap, 2 number, 3 kind | trigger << 8, 4 nanoseconds from its begin to its
 *               end, then figures, enum gm_cycle_figure.
 *               What a collection found is told after its GC_BEGIN, and before that of the next one that could find
 *               blocks of the same generation dead.
 * GC_STOP       0 word0, when it was over, 1 number of the collection that began last, 2 nanoseconds it lasted
 * PROMOTION     never written
 * CACHE         0 word0, 1 cache, 2 packed state (gm_cache_pack), 3 name bytes, 4 sample threshold: keys whose hash is not
 *               above it are told of one by one, then figures, enum gm_cache_figure, then the name, zero-padded. Counts are
 *               all since the cache was made: a record that is lost is made up for by the next.
 * CACHE_USE     0 word0, 1 cache (48) | enum gm_cache_use << 48, 2 hash of the key, 3 bytes charged for the entry; of a miss
 *               0, unless a value was put in at once: then its, 4 nanoseconds, of a load, 5 class of the key (32), 6 stack hash
 * CACHE_EVICT   0 word0, 1 cache (48) | cause (8) << 48, 2 hash of the key, 3 bytes, 4 hits it had had (32; all ones: not
 *               known), 5 nanoseconds since it was stored; 0: not known
 * CACHE_CLASS   0 word0, 1 cache, 2 class (32), 3 name bytes, 4.. name, zero-padded */

/* The figures of a GC_CYCLE, from word 5 on: nanoseconds, bytes, blocks. X(name, text) */
#define GM_CYCLE_FIGURES(X) \
    X(stops, "times the world was stopped") \
    X(pause_ns, "world stopped, all stops together") \
    X(max_pause_ns, "the longest of them") \
    X(stop_ns, "of that: until all threads had stopped") \
    X(roots_ns, "stacks, registers, globals, dirty pages") \
    X(mark_ns, "marking") \
    X(notes_ns, "weak references, ephemerons, finalizers") \
    X(sweep_ns, "sweeping") \
    X(concurrent_mark_ns, "marking while the program ran") \
    X(cpu_ns, "of all threads that collected") \
    X(threads_stopped, "most threads stopped") \
    X(roots_bytes, "scanned as roots") \
    X(dirty_bytes, "of old pages that had been written to") \
    X(marked_blocks, "found alive") \
    X(marked_bytes, "found alive") \
    X(swept_blocks, "found dead") \
    X(swept_bytes, "found dead") \
    X(promoted_blocks, "gone to the old generation") \
    X(promoted_bytes, "gone to the old generation") \
    X(young_before_bytes, "in the young generation before") \
    X(young_after_bytes, "in the young generation after") \
    X(old_before_bytes, "in the old generation before") \
    X(old_after_bytes, "in the old generation after") \
    X(footprint_bytes, "memory behind the heap when it ended")

static inline uint64_t gm_gc_pack(uint64_t kind, uint64_t trigger)
{
    return (kind & 0xff) | (trigger & 0xff) << 8;
}
static inline unsigned gm_gc_kind(uint64_t packed)
{
    return packed & 0xff;
}
static inline unsigned gm_gc_trigger(uint64_t packed)
{
    return packed >> 8 & 0xff;
}
enum gm_cycle_figure {
#define GM_X(name, text) GM_CYCLE_##name,
    GM_CYCLE_FIGURES(GM_X)
#undef GM_X
        GM_CYCLE_FIGURE_COUNT
};
#define GM_CYCLE_FIRST_WORD 5u
static_assert(GM_CYCLE_FIRST_WORD + GM_CYCLE_FIGURE_COUNT == 29, "as in event_kinds.h");

/* The figures of a CACHE, from word 5 on; then evictions by cause from 1 on, then their bytes. X(name, text) */
#define GM_CACHE_FIGURES(X) \
    X(capacity_bytes, "it may hold") \
    X(used_bytes, "it holds") \
    X(entries, "in it") \
    X(pinned_entries, "handed out now") \
    X(pinned_bytes, "handed out now") \
    X(hits, "lookups that found a value") \
    X(hit_bytes, "of these values") \
    X(misses, "lookups that found none") \
    X(stores, "values let in") \
    X(store_bytes, "of these values") \
    X(loads, "values made by a loader, failures included") \
    X(load_failures, "loaders that failed") \
    X(load_waits, "waits for a loader of another thread") \
    X(load_ns, "nanoseconds, of all loads together")

enum gm_cache_figure {
#define GM_X(name, text) GM_CACHE_##name,
    GM_CACHE_FIGURES(GM_X)
#undef GM_X
        GM_CACHE_evictions, /* + cause - 1 */
    GM_CACHE_evicted_bytes = GM_CACHE_evictions + GM_CAUSE_COUNT - 1,
    GM_CACHE_FIGURE_COUNT = GM_CACHE_evicted_bytes + GM_CAUSE_COUNT - 1
};
#define GM_CACHE_FIRST_WORD 5u
#define GM_CACHE_NAME_MAX 256u /* bytes; longer names are cut */
static_assert(GM_CACHE_FIRST_WORD + GM_CACHE_FIGURE_COUNT == 33, "as in event_kinds.h");
static_assert(33 + GM_CACHE_NAME_MAX / 8 <= GM_REC_MAX_WORDS, "a record's length");

/* policy (8) | destroyed << 8 | choice of an adaptive policy (16) << 16 | switches of it (32) << 32 */
static inline uint64_t gm_cache_pack(
    uint32_t policy, uint32_t closed, uint32_t choice, uint32_t switches)
{
    return (policy & 0xff) | (closed ? 1ull << 8 : 0) | (uint64_t)(choice & 0xffff) << 16 |
           (uint64_t)switches << 32;
}
static inline unsigned gm_cache_policy(uint64_t packed)
{
    return packed & 0xff;
}
static inline bool gm_cache_closed(uint64_t packed)
{
    return packed >> 8 & 1;
}
static inline uint32_t gm_cache_choice(uint64_t packed)
{
    return packed >> 16 & 0xffff;
}
static inline uint32_t gm_cache_switches(uint64_t packed)
{
    return (uint32_t)(packed >> 32);
}
/* Which cache (48), and a use or a cause. Numbers of caches are small, or addresses. */
static inline uint64_t gm_cache_key_pack(uint64_t cache, unsigned what)
{
    return (cache & GM_ADDRESS_MASK) | (uint64_t)(what & 0xff) << 48;
}
static inline uint64_t gm_cache_key_cache(uint64_t packed)
{
    return packed & GM_ADDRESS_MASK;
}
static inline unsigned gm_cache_key_what(uint64_t packed)
{
    return packed >> 48 & 0xff;
}
#define GM_CACHE_HITS_UNKNOWN UINT32_MAX

enum gm_sample_flag {
    GM_SAMPLE_REALLOC = 1u << 0, /* the block came from a reallocation */
};
static inline uint64_t gm_sample_pack(uint32_t interval_log2, uint32_t flags)
{
    return interval_log2 | (uint64_t)flags << 8;
}
static inline uint32_t gm_sample_interval_log2(uint64_t packed)
{
    return packed & 0xff;
}
static inline uint32_t gm_sample_flags(uint64_t packed)
{
    return packed >> 8 & 0xff;
}

#define GM_STACK_NONE 0ull /* "no stack was captured" */
#define GM_STACK_ROOT 0x9e3779b97f4a7c15ull
#define GM_PC_BITS 48
#define GM_PC_MASK ((1ull << GM_PC_BITS) - 1)
enum gm_pc_flag {
    GM_PC_GUESSED = 1u << 0, /* found by a frame-pointer guess: no unwind table covers the callee */
    GM_PC_CUT = 1u << 1,     /* stands for frames left out of a stack that is too deep; pc is 0 */
    GM_PC_EXACT = 1u << 2, /* not a return address: the pc itself is the interrupted instruction */
    GM_PC_LOST_ROOT = 1u << 3, /* the walk ended before the root of the stack; pc is 0 */
};

/* Name of the stack that extends the stack `parent` by the frame `pc_word` (pc | flags << 48).
 * Both sides compute it: the recorder checks that what it is told is what it would have computed.
 * The mixer is the finalizer of MurmurHash3 (A. Appleby, public domain), over parent and pc. */
static inline uint64_t gm_stack_hash(uint64_t parent, uint64_t pc_word)
{
    uint64_t h = parent ^ (pc_word * 0xff51afd7ed558ccdull);
    h ^= h >> 32;
    h *= 0xc4ceb9fe1a85ec53ull;
    h ^= h >> 29;
    return h ? h : 1;
}

/* ---- handshake -------------------------------------------------------------------------------------
 * The target connects to the socket named by GM_ENV_SESSION (SOCK_SEQPACKET), sends a hello, receives a
 * welcome with the memfd (SCM_RIGHTS) if status is 0, maps it and closes both descriptors. */
enum gm_hello_kind {
    GM_HELLO_START = 1, /* a program was executed */
    GM_HELLO_FORK = 2,  /* a forked child, at its first event */
};
struct gm_hello {
    uint64_t magic; /* GM_SESSION_MAGIC */
    uint32_t version;
    uint32_t kind; /* enum gm_hello_kind */
    int32_t pid;   /* as the target sees it; the recorder believes SO_PEERCRED only */
    int32_t ppid;
    uint64_t parent_session_id; /* FORK: the parent image's session */
};
struct gm_welcome {
    uint64_t magic;
    uint32_t version;
    uint32_t status; /* 0 with a memfd, or a positive errno: run unrecorded */
    uint64_t session_bytes;
};

#endif
