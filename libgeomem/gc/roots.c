/* roots.c - where pointers into the heap may lie outside of it. See world.h.
 *
 * Of a stopped thread:
 *
 *   low addresses                                                        high
 *   [ not in use | red zone | signal frame: registers | frames | TLS, struct pthread ]   its own stack
 *                           ^sp                                                      ^stack_high
 *   sp elsewhere (a coroutine's stack, an alternate signal stack): from sp to the end of the mapping or the
 *   heap block that it lies in, and all of its own stack, since nobody tells where that was left.
 *
 * Of what is large, only pages with memory behind them are looked at.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/maps.h"
#include "libgeomem/gc/modules.h"
#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/roots.h"
#include "libgeomem/gc/tasks.h"
#include "libgeomem/gc/tls.h"
#include "libgeomem/gc/world.h"
#include "libgeomem/heap/layout.h"

/* From here on it pays to ask which pages are there: reading 32 pages costs as much as the question (measured,
 * bench/stop). */
#define LARGE_BYTES ((uintptr_t)32 * GM_PAGE_BYTES)
/* Of the x86-64 ABI: below the stack pointer, still in use. */
#define RED_ZONE_BYTES 128u

struct walk {
    gm_roots_visitor *visit;
    void *arg;
    struct gm_maps maps;
    const struct gm_ranges *excluded; /* NULL: all is told */
};

static struct gm_ranges registered, excluded_ranges;
static struct gm_ranges coroutines; /* stacks, also those whose memory has gone since */

/* ---- what is told: whole words, outside of heaps, not excluded ------------------------------------------- */

static void words_emit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    start = (start + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    end &= ~(sizeof(void *) - 1);
    if (start < end)
        walk->visit(
            (const void *)start, end - start, walk->arg); /* NOLINT: addresses found as numbers */
}

static void excluded_emit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    const struct gm_ranges *excluded = walk->excluded;
    for (size_t i = 0; excluded && i < excluded->count && start < end; i++) {
        const struct gm_range_pair *hole = &excluded->rows[i];
        if (hole->end <= start || hole->start >= end)
            continue;
        if (hole->start > start)
            words_emit(walk, start, hole->start);
        start = hole->end;
    }
    words_emit(walk, start, end);
}

static void range_emit(uintptr_t start, uintptr_t end, void *arg)
{
    uintptr_t heap = gm_range.start, heap_end = heap + gm_range.bytes;
    if (heap >= end || heap_end <= start) {
        excluded_emit(arg, start, end);
        return;
    }
    if (start < heap)
        excluded_emit(arg, start, heap);
    if (heap_end < end)
        excluded_emit(arg, heap_end, end);
}

static void range_visit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    if (start >= end)
        return;
    if (end - start < LARGE_BYTES)
        range_emit(start, end, walk);
    else
        gm_maps_resident(&walk->maps, start, end, range_emit, walk);
}

/* Only what is readable; shared memory whole, since others may have filled it. */
static void doubtful_visit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    struct gm_mapping m;
    while (start < end && gm_maps_next(&walk->maps, start, &m) == 0 && m.start < end) {
        uintptr_t from = m.start > start ? m.start : start, to = m.end < end ? m.end : end;
        if (m.readable && m.shared)
            range_emit(from, to, walk);
        else if (m.readable)
            range_visit(walk, from, to);
        start = m.end;
    }
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

/* The end of the heap block that an address lies in, 0: it lies in none. */
static uintptr_t block_end(uintptr_t address)
{
    struct gm_segment *segment = gm_segment_at(address);
    const struct gm_span *span = segment ? gm_span_at(segment, address) : NULL;
    if (!span)
        return 0;
    unsigned flags = atomic_load_explicit(&span->flags, memory_order_relaxed);
    if (!(flags & GM_SPAN_IN_USE) || address < span->start)
        return 0;
    if (flags & GM_SPAN_LARGE)
        return span->start + span->large_bytes;
    return span->start + (uintptr_t)(gm_span_index(span, address) + 1) * span->block_bytes;
}

/* Of a stack that is not the thread's own, or of a thread of which no more is known. */
static void foreign_stack_visit(struct walk *walk, const struct gm_mutator *m, uintptr_t sp)
{
    uintptr_t end = block_end(sp);
    struct gm_mapping mapping;
    if (end) { /* range_emit would take it for the collector's own business */
        excluded_emit(walk, sp, end);
    } else if (gm_maps_at(&walk->maps, sp, &mapping) == 0) {
        end = mapping.end;
        if (sp < m->stack_high && m->stack_high <= end)
            end = m->stack_high; /* its own after all: the main thread's has grown */
        else if (sp < m->tp && m->tp + gm_tls_descriptor_bytes() <= end)
            end = m->tp +
                  gm_tls_descriptor_bytes(); /* made by pthread_create, by way of libc itself */
        range_visit(walk, sp, end);
        if (end == m->stack_high)
            return;
    }
    if (m->kind == GM_MUTATOR_REGISTERED && m->stack_high)
        doubtful_visit(walk, m->stack_low, m->stack_high);
}

/* Where to begin on the stack of one that waited when it was counted. It may have woken since, and a busy machine leaves
 * it waiting for a processor: after a little while, the whole mapping that its stack lies in. */
static uintptr_t unreachable_stack_low(struct walk *walk, const struct gm_mutator *m)
{
    struct gm_mapping mapping;
    for (int tries = 0; tries < 20; tries++) {
        uintptr_t sp = gm_task_stack_pointer(m->tid);
        if (sp)
            return sp - RED_ZONE_BYTES;
        gm_sys_sleep_ns(20000);
    }
    if (!block_end(m->asleep_sp) && gm_maps_at(&walk->maps, m->asleep_sp, &mapping) == 0)
        return mapping.start;
    return m->asleep_sp - RED_ZONE_BYTES;
}

static void mutator_visit(struct walk *walk, struct gm_mutator *m)
{
    uintptr_t sp = m->unreachable ? unreachable_stack_low(walk, m) : m->sp;
    bool own = m->kind == GM_MUTATOR_REGISTERED && sp - m->stack_low < m->stack_high - m->stack_low;
    if (own)
        range_visit(walk, sp, m->stack_high);
    else
        foreign_stack_visit(walk, m, sp);
    if (atomic_load_explicit(&m->state, memory_order_relaxed) == GM_MUTATOR_IN_REGION)
        words_emit(walk, (uintptr_t)m->saved, (uintptr_t)m->saved + sizeof m->saved);
    gm_tls_visit(m->tp, &walk->maps, range_emit, walk);
}

/* Suspended ones too; where in a heap block, range_emit would pass them over. */
static void coroutines_visit(struct walk *walk)
{
    for (size_t i = 0; i < coroutines.count; i++) {
        uintptr_t start = coroutines.rows[i].start, end = coroutines.rows[i].end;
        if (start - gm_range.start >= gm_range.bytes) {
            doubtful_visit(walk, start, end);
            continue;
        }
        for (uintptr_t block; start < end && (block = block_end(start)); start = block)
            words_emit(walk, start, block < end ? block : end);
    }
}

/* 0: not told. The world's lock is held. */
static uintptr_t caller_sp;

void gm_roots_caller(const void *sp)
{
    caller_sp = (uintptr_t)sp;
}

static __attribute__((noinline)) void threads_visit(struct walk *walk)
{
    struct gm_mutator *self = gm_mutator_self;
    for (struct gm_mutator *m = gm_mutators.first; m; m = m->next) {
        words_emit(walk, (uintptr_t)&m->value, (uintptr_t)(&m->value + 1));
        if (m != self && (m->kind == GM_MUTATOR_REGISTERED || m->kind == GM_MUTATOR_FOUND))
            mutator_visit(walk, m);
    }
    coroutines_visit(walk);
    if (!self || self->kind != GM_MUTATOR_REGISTERED)
        return;
    self->sp = caller_sp != 0 ? caller_sp : (uintptr_t)__builtin_frame_address(0);
    mutator_visit(walk, self);
}

/* ---- globals and registered ranges ---------------------------------------------------------------------- */

static void globals_visit(struct walk *walk)
{
    const struct gm_module_range *globals;
    bool sure;
    size_t count = gm_modules_globals(&globals, &sure);
    for (size_t i = 0; i < count; i++) {
        if (sure)
            range_visit(walk, globals[i].start, globals[i].end);
        else
            doubtful_visit(walk, globals[i].start, globals[i].end);
    }
}

static _Atomic(gm_roots_source *) roots_source;

void gm_roots_callback(gm_roots_source *source)
{
    atomic_store(&roots_source, source);
}

/* The registers that calls keep are put where threads_visit's frame ends: on the stack of the caller. */
__attribute__((noinline)) void gm_roots_visit(unsigned parts, gm_roots_visitor *visit, void *arg)
{
    struct walk walk = {.visit = visit, .arg = arg, .maps = GM_MAPS_INIT};
    __builtin_unwind_init();
    gm_modules_refresh(&walk.maps);
    if (parts & GM_ROOTS_THREADS)
        threads_visit(&walk);
    walk.excluded = &excluded_ranges;
    if (parts & GM_ROOTS_GLOBALS)
        globals_visit(&walk);
    walk.excluded = NULL;
    for (size_t i = 0; (parts & GM_ROOTS_REGISTERED) && i < registered.count; i++)
        doubtful_visit(&walk, registered.rows[i].start, registered.rows[i].end);
    gm_roots_source *source = atomic_load(&roots_source);
    if (source && (parts & GM_ROOTS_REGISTERED))
        source(visit, arg);
    gm_maps_close(&walk.maps);
}

int gm_roots_add(const void *start, size_t bytes)
{
    gm_world_lock();
    int err = gm_ranges_add(&registered, (uintptr_t)start, bytes);
    gm_world_unlock();
    return err;
}

int gm_roots_remove(const void *start, size_t bytes)
{
    gm_world_lock();
    int err = gm_ranges_remove(&registered, (uintptr_t)start, bytes);
    gm_world_unlock();
    return err;
}

int gm_roots_exclude(const void *start, size_t bytes)
{
    gm_world_lock();
    int err = gm_ranges_add(&excluded_ranges, (uintptr_t)start, bytes);
    gm_world_unlock();
    return err;
}

void gm_coroutine_stack_add(const void *start, size_t bytes)
{
    gm_world_lock();
    gm_ranges_add(&coroutines, (uintptr_t)start, bytes);
    gm_world_unlock();
}
