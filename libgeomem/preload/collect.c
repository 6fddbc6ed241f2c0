/* collect.c - the listener that a program's libgeomem finds when it is being recorded: its blocks and collections go
 * the way that malloc's do, and what its caches, and those of geomem/cache_probe.h, tell.
 *
 *   libgeomem --[struct geomem_listener]--> event/event.h, event/collection.h, event/cache.h --> ring
 *
 * A stack should begin at the program's call of libgeomem, whichever of the library's paths the call took. So frames of
 * the object that asked for the listener and now calls it are passed over, unless that is the program itself (linked
 * statically): its own would go with them. Several objects may have asked: a library with a cache of its own does. What
 * is told of such a cache is told by the functions that use it, inlined, and begins there.
 */
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>

#include "geomem/listener.h"
#include "libgeomem/event/cache.h"
#include "libgeomem/event/collection.h"
#include "libgeomem/event/event.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/sample.h"
#include "libgeomem/preload/real.h"
#include "libgeomem/unwind/object.h"
#include "libgeomem/unwind/rule.h"

/* Of the libraries that listen; written before they have the listener. One that finds no room is not passed over. */
#define LIBRARIES_MAX 16u
static struct library {
    uintptr_t start, bytes;
} libraries[LIBRARIES_MAX];
static _Atomic uint32_t library_count;

/* NULL: none that asked. */
static const struct library *library_of(uintptr_t pc)
{
    /* acquire: pairs with the release in library_add */
    uint32_t count = atomic_load_explicit(&library_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++)
        if (pc - libraries[i].start < libraries[i].bytes)
            return &libraries[i];
    return NULL;
}

static void library_add(uintptr_t start, uintptr_t end)
{
    static atomic_flag adding = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set_explicit(&adding, memory_order_acquire))
        ;
    uint32_t count = atomic_load_explicit(&library_count, memory_order_relaxed);
    if (count < LIBRARIES_MAX && !library_of(start)) {
        libraries[count] = (struct library){start, end - start};
        atomic_store_explicit(&library_count, count + 1, memory_order_release);
    }
    atomic_flag_clear_explicit(&adding, memory_order_release);
}

#define LIBRARY_FRAMES_MAX 16
#define RULE_PAIRS 64u
/* As in struct gm_unwind: the library has few places that call, so that one small cache does for all threads. */
static uint64_t rules[2 * RULE_PAIRS];

static uint16_t rule_lookup(uintptr_t pc)
{
    uint64_t *pair = &rules[(pc * 0x9e3779b97f4a7c15ull) >> 57 & (2 * RULE_PAIRS - 2)];
    uint64_t v = *(volatile uint64_t *)&pair[0];
    if (v >> 16 == pc)
        return (uint16_t)v;
    v = *(volatile uint64_t *)&pair[1];
    return v >> 16 == pc ? (uint16_t)v : gm_rule_find(pair, pc);
}

/* Steps out of the library; where a frame of it is none of the usual, the stack begins there. */
static void context_leave_library(struct gm_context *c)
{
    const struct library *library = library_of(c->pc);
    if (!library)
        return;
    for (int i = 0; c->pc - library->start < library->bytes && i < LIBRARY_FRAMES_MAX; i++) {
        uint16_t code = rule_lookup(c->pc - 1);
        if (GM_RULE_CFA(code) == 0)
            return;
        uintptr_t cfa = (code & GM_RULE_RBP ? c->rbp : c->sp) + GM_RULE_CFA(code);
        if (cfa <= c->sp || cfa % 8 != 0 || cfa - c->sp > GM_FRAME_TRUST)
            return;
        uintptr_t pc = gm_stack_load(cfa - 8);
        if (!gm_pc_is_code(pc))
            return;
        if (GM_RULE_SLOT(code))
            c->rbp = gm_stack_load(cfa - 8 * GM_RULE_SLOT(code));
        c->pc = pc;
        c->sp = cfa;
    }
}

static uint64_t packed_size(size_t size, int collected, int generation)
{
    enum gm_alloc_function function = !collected   ? GM_FN_geomem
                                      : generation ? GM_FN_geomem_gc_old
                                                   : GM_FN_geomem_gc;
    return gm_size_pack(size, function, 0);
}

__attribute__((noinline)) static void collect_alloc(
    const void *block, size_t size, int collected, int generation)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    if (!gm_process_on() || gm_sample_passes(size))
        return;
    context_leave_library(&context);
    gm_event_alloc(&context, block, packed_size(size, collected, generation));
}

static void collect_free(const void *block)
{
    if (gm_process_on() && !gm_sample_passes_free(block))
        gm_event_free(block);
}

static void realloc_sampled(
    const struct gm_context *context, const void *old, const void *block, uint64_t packed)
{
    struct gm_event_realloc event;
    uint64_t bytes = gm_size_bytes(packed);
    if (old && gm_sample_set_remove(old)) {
        gm_event_realloc_begin(&event, 0);
        gm_event_realloc_end_sampled(&event, context, old, block, packed);
    } else if (!gm_sample_passes(bytes)) {
        gm_event_alloc_sampled(context, block, packed, old ? GM_SAMPLE_REALLOC : 0);
    }
}

__attribute__((noinline)) static void collect_realloc(
    const void *old, const void *block, size_t size, int collected, int generation)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    struct gm_event_realloc event;
    uint64_t packed = packed_size(size, collected, generation);
    if (!gm_process_on())
        return;
    context_leave_library(&context);
    if (gm_process.sampling) {
        realloc_sampled(&context, old, block, packed);
        return;
    }
    gm_event_realloc_begin(&event, (uintptr_t)old);
    gm_event_realloc_end(&event, &context, (uintptr_t)old, block, packed);
}

/* Numbers of libgeomem's own caches are small, those of others are addresses: see geomem/cache_probe.h. */
#define CACHE_OWN_MAX UINT32_MAX

__attribute__((noinline)) static void collect_cache_use(const struct geomem_cache_key_use *use)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    if (!gm_process_on())
        return;
    if (use->cache <= CACHE_OWN_MAX)
        context_leave_library(&context);
    gm_event_cache_use(&context, use);
}

static const struct geomem_listener listener = {
    .version = GEOMEM_LISTENER_VERSION,
    .alloc = collect_alloc,
    .free = collect_free,
    .realloc = collect_realloc,
    .swept = gm_event_swept,
    .gc_begin = gm_event_gc_begin,
    .gc_end = gm_event_gc_end,
    .gc_stop = gm_event_gc_stop,
    .cache_state = gm_event_cache_state,
    .cache_use = collect_cache_use,
    .cache_evict = gm_event_cache_evict,
    .cache_class = gm_event_cache_class,
};

/* While nothing is being recorded, and nothing will be, there is nobody to tell. */
GM_EXPORT const struct geomem_listener *geomem_recorder_listener(void)
{
    struct dl_find_object object;
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (!gm_process_on())
        return NULL;
    if (gm_object_find(caller, &object) && object.dlfo_link_map->l_name &&
        *object.dlfo_link_map->l_name)
        library_add((uintptr_t)object.dlfo_map_start, (uintptr_t)object.dlfo_map_end);
    /* relaxed: see gm_scope_lock */
    atomic_store_explicit(&gm_image.stops, true, memory_order_relaxed);
    return &listener;
}
