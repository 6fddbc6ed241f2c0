/* event_kinds.h - the one list of event kinds.
 *
 * Every record in a ring starts with a word that holds its kind (see wire.h). Codes are stable: a code
 * is never reused or renumbered, and a kind that is no longer written keeps its line here.
 *
 * X(code, NAME, words, text)
 *   code   1..255, stable for ever
 *   NAME   gives GM_EV_NAME
 *   words  the least length of a record in 8-byte words, first word included
 *   text   one line for people
 */
#ifndef GM_SCHEMAS_EVENT_KINDS_H
#define GM_SCHEMAS_EVENT_KINDS_H

#define GM_EVENT_KINDS(X) \
    X(1, ALLOC, 4, "a block was allocated") \
    X(2, FREE, 2, "a block is about to be freed") \
    X(3, REALLOC, 6, "no longer written: a reallocation is a FREE and an ALLOC") \
    X(4, STACK, 4, "dictionary: names one stack node by prefix hash") \
    X(5, MODULE, 6, "dictionary: a mapped object") \
    X(6, MODULE_EPOCH, 2, \
        "an object was unloaded: addresses may mean something else from here on") \
    X(7, THREAD_START, 4, "a thread took this ring") \
    X(8, THREAD_END, 2, "the thread gave this ring back") \
    X(9, PROCESS_END, 3, "the process is about to end or to become another image") \
    X(10, MARK, 2, "a named moment set by the program") \
    X(11, PROMOTION, 4, "never written: a SWEEP tells of promotions") \
    X(12, GC_CYCLE, 29, "a collection has ended: kind, trigger, phases, figures") \
    X(13, CACHE, 33, "a cache as it is: capacity, contents, all counts since it was made") \
    X(14, SWEEP, 5, "blocks side by side that a collection found dead, or promoted") \
    X(15, GC_BEGIN, 4, "a collection has begun") \
    X(16, CACHE_USE, 7, "something done with one key of a cache's sample") \
    X(17, CACHE_EVICT, 6, "an entry of a cache's sample has left") \
    X(18, GC_STOP, 3, "one stop of the world is over") \
    X(19, CACHE_CLASS, 4, "what the program calls a class of keys")

enum gm_event_kind {
#define GM_X(code, NAME, words, text) GM_EV_##NAME = code,
    GM_EVENT_KINDS(GM_X)
#undef GM_X
};

/* The functions of the malloc family, as carried in ALLOC, FREE and REALLOC records. Codes are stable. */
#define GM_ALLOC_FUNCTIONS(X) \
    X(0, unknown) \
    X(1, malloc) \
    X(2, calloc) \
    X(3, realloc) \
    X(4, reallocarray) \
    X(5, memalign) \
    X(6, aligned_alloc) \
    X(7, posix_memalign) \
    X(8, valloc) \
    X(9, pvalloc) \
    X(10, free) \
    X(11, free_sized) \
    X(12, free_aligned_sized) \
    X(13, geomem) \
    X(14, geomem_gc) \
    X(15, geomem_gc_old)

enum gm_alloc_function {
#define GM_X(code, name) GM_FN_##name = code,
    GM_ALLOC_FUNCTIONS(GM_X)
#undef GM_X
        GM_FN_COUNT
};

/* Kinds and triggers of collections, with the codes of geomem/listener.h. */
#define GM_GC_KINDS(X) \
    X(1, young) \
    X(2, full) \
    X(3, mostly_concurrent)
#define GM_GC_TRIGGERS(X) \
    X(1, allocation) \
    X(2, explicit) \
    X(3, limit) \
    X(4, pressure) \
    X(5, finish)

enum gm_gc_kind {
#define GM_X(code, name) GM_GC_##name = code,
    GM_GC_KINDS(GM_X)
#undef GM_X
};

/* NULL: there is none with this code. */
static inline const char *gm_gc_kind_name(unsigned code)
{
    static const char *const names[] = {
#define GM_X(code, name) [code] = #name,
        GM_GC_KINDS(GM_X)
#undef GM_X
    };
    return code < sizeof names / sizeof *names ? names[code] : 0;
}
static inline const char *gm_gc_trigger_name(unsigned code)
{
    static const char *const names[] = {
#define GM_X(code, name) [code] = #name,
        GM_GC_TRIGGERS(GM_X)
#undef GM_X
    };
    return code < sizeof names / sizeof *names ? names[code] : 0;
}

/* Of caches, with the codes of geomem/listener.h. */
#define GM_CACHE_CAUSES(X) \
    X(1, size) \
    X(2, expired) \
    X(3, replaced) \
    X(4, removed) \
    X(5, pressure) \
    X(6, rejected) \
    X(7, closed)
#define GM_CACHE_POLICIES(X) \
    X(0, adaptive) \
    X(1, lru) \
    X(2, s3fifo) \
    X(255, other)
#define GM_CACHE_USES(X) \
    X(1, hit) \
    X(2, miss) \
    X(3, store) \
    X(4, load) \
    X(5, pin) \
    X(6, unpin)

enum gm_cache_cause {
#define GM_X(code, name) GM_CAUSE_##name = code,
    GM_CACHE_CAUSES(GM_X)
#undef GM_X
        GM_CAUSE_COUNT /* of codes, 0 included, which is none */
};
enum gm_cache_use {
#define GM_X(code, name) GM_USE_##name = code,
    GM_CACHE_USES(GM_X)
#undef GM_X
        GM_USE_COUNT
};

/* NULL: there is none with this code. */
static inline const char *gm_cache_cause_name(unsigned code)
{
    static const char *const names[] = {
#define GM_X(code, name) [code] = #name,
        GM_CACHE_CAUSES(GM_X)
#undef GM_X
    };
    return code < sizeof names / sizeof *names ? names[code] : 0;
}
static inline const char *gm_cache_policy_name(unsigned code)
{
    static const char *const names[] = {
#define GM_X(code, name) [code] = #name,
        GM_CACHE_POLICIES(GM_X)
#undef GM_X
    };
    return code < sizeof names / sizeof *names ? names[code] : 0;
}

#endif
