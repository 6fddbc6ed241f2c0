/* thread.c - see thread.h. */
#include "libgeomem/heap/thread.h"

#include <emmintrin.h>
#include <pthread.h>
#include <string.h>

#include "libgeomem/base/os.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/listener.h"
#include "libgeomem/heap/span.h"

__thread struct gm_heap_thread *gm_heap_self = &gm_heap_nobody;
struct gm_heap_thread gm_heap_nobody;

/* The calling thread's parts of other heaps, by next_of_self. */
static __thread struct gm_heap_thread *thread_others;

static pthread_key_t ending_key;
static pthread_once_t ending_once = PTHREAD_ONCE_INIT;
static bool ending_works;
static _Atomic bool slow_always;

#define THREAD_BYTES ((sizeof(struct gm_heap_thread) + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1))
#define STACKS_BYTES (GM_CACHES * GM_CACHE_ENTRIES * sizeof(struct gm_cached))

/* ---- the memory of a cache ---- */

static struct gm_cached *cache_base(const struct gm_heap_thread *thread, uint32_t index)
{
    return thread->stacks + (size_t)index * GM_CACHE_ENTRIES;
}

/* relaxed: another thread may switch the fast paths at any time; either value is right for a while */
static void cache_switch(struct gm_heap_thread *thread, uint32_t index, bool enabled)
{
    struct gm_cache *cache = &thread->caches[index];
    struct gm_cached *base = cache_base(thread, index);
    struct gm_cached *bottom = enabled ? base : (struct gm_cached *)UINTPTR_MAX; /* NOLINT */
    struct gm_cached *limit = enabled ? base + gm_cache_capacity(index) : NULL;
    __atomic_store_n(&cache->bottom, bottom, __ATOMIC_RELAXED);
    __atomic_store_n(&cache->limit, limit, __ATOMIC_RELAXED);
}

static void thread_switch(struct gm_heap_thread *thread, bool enabled)
{
    for (uint32_t index = 1; index < GM_CACHES; index++)
        cache_switch(thread, index, enabled);
}

void gm_fast_paths(bool enabled)
{
    gm_lock_acquire(&gm_heaps_lock);
    atomic_store_explicit(&slow_always, !enabled, memory_order_relaxed);
    for (struct gm_heap *heap = gm_heap_next(NULL); heap != NULL; heap = gm_heap_next(heap)) {
        gm_heap_lock(heap);
        for (struct gm_heap_thread *thread = heap->threads; thread != NULL;
             thread = thread->next_of_heap)
            thread_switch(thread, enabled);
        gm_heap_unlock(heap);
    }
    gm_lock_release(&gm_heaps_lock);
}

/* ---- filling: free blocks of the current span, found by their states ---- */

/* Bit i: the i-th of 64 states is GM_STATE_FREE. Bytes beyond the span's are read too, and masked by the caller; they
 * lie in the same header. acquire: pairs with the release of whoever freed the block. x86 loads acquire, also the wide
 * ones byte by byte; the sanitizer for threads knows only the narrow. */
#if defined(__SANITIZE_THREAD__)
static uint64_t states_free(const uint8_t *state)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < 64; i++)
        if (__atomic_load_n(state + i, __ATOMIC_ACQUIRE) == GM_STATE_FREE)
            bits |= (uint64_t)1 << i;
    return bits;
}
#else
__attribute__((no_sanitize("address"))) static uint64_t states_free(const uint8_t *state)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i_u *)(const void *)(state + i * 16));
        uint32_t free = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
        bits |= (uint64_t)free << (i * 16);
    }
    atomic_signal_fence(memory_order_acquire);
    return bits;
}
#endif

static bool span_hands_out_zeroed(const struct gm_span *span)
{
    return span->kind != GM_KIND_LEAF && (span->flags & GM_SPAN_EXPLICIT) == 0;
}

static void span_zero(const struct gm_span *span, uint32_t first, uint32_t count)
{
    uintptr_t start = span->start + (uintptr_t)first * span->block_bytes;
    size_t bytes = (size_t)count * span->block_bytes;
    gm_checker_open(start, bytes);
    memset((void *)start, 0, bytes); /* NOLINT */
    gm_checker_close(start, bytes);
}

/* Blocks [first, first + count) of the span go onto the stack so that the first of them is popped first. */
static struct gm_cached *stack_run(
    struct gm_span *span, struct gm_cached *top, uint32_t first, uint32_t count)
{
    uintptr_t block = span->start + (uintptr_t)first * span->block_bytes;
    struct gm_cached *at = top + count;
    for (uint32_t i = 0; i < count; i++, block += span->block_bytes) {
        __atomic_store_n(&span->state[first + i], GM_STATE_CACHED, __ATOMIC_RELAXED);
        *--at = (struct gm_cached){(void *)block, &span->state[first + i]}; /* NOLINT */
    }
    return top + count;
}

/* Never handed out yet: no states to read, and perhaps known to be zero. */
static uint32_t span_carve_fresh(struct gm_span *span, struct gm_cache *cache, uint32_t want)
{
    uint32_t first = span->fresh, left = span->capacity - first;
    uint32_t count = want < left ? want : left;
    if (count == 0)
        return 0;
    if (span_hands_out_zeroed(span) && (gm_span_flags(span) & GM_SPAN_ZEROED) == 0)
        span_zero(span, first, count);
    atomic_fetch_add_explicit(&span->live, count, memory_order_relaxed);
    span->fresh = first + count;
    span->cursor = span->fresh;
    /* A collector that stops this thread looks at states below fresh only. */
    atomic_signal_fence(memory_order_seq_cst);
    struct gm_cached *top = stack_run(span, cache->top, first, count);
    atomic_signal_fence(memory_order_seq_cst);
    cache->top = top;
    return count;
}

/* Freed since: by their states, in runs. */
static uint32_t span_carve_used(struct gm_span *span, struct gm_cache *cache, uint32_t want)
{
    bool zero = span_hands_out_zeroed(span);
    uint32_t taken = 0;
    while (taken < want && span->cursor < span->fresh) {
        uint32_t window = span->fresh - span->cursor < 64 ? span->fresh - span->cursor : 64;
        uint64_t bits = states_free(span->state + span->cursor);
        if (window < 64)
            bits &= ((uint64_t)1 << window) - 1;
        if (bits == 0) {
            span->cursor += window;
            continue;
        }
        uint32_t skip = (uint32_t)__builtin_ctzll(bits);
        uint64_t rest = ~(bits >> skip);
        uint32_t run = rest == 0 ? 64 - skip : (uint32_t)__builtin_ctzll(rest);
        if (run > want - taken)
            run = want - taken;
        uint32_t first = span->cursor + skip;
        if (zero)
            span_zero(span, first, run);
        atomic_fetch_add_explicit(&span->live, run, memory_order_relaxed);
        cache->top = stack_run(span, cache->top, first, run);
        span->cursor = first + run;
        taken += run;
    }
    return taken;
}

static uint32_t span_carve(struct gm_span *span, struct gm_cache *cache, uint32_t want)
{
    uint32_t taken = span_carve_used(span, cache, want);
    if (taken == 0)
        taken = span_carve_fresh(span, cache, want);
    return taken;
}

static void heap_clear_orphans(struct gm_heap *heap);

/* Another current span, or the same once more if it has room by now. False: no memory. */
static bool thread_next_span(struct gm_heap_thread *thread, uint32_t index)
{
    struct gm_heap *heap = thread->heap;
    struct gm_span *span = thread->current[index];
    if (span != NULL && gm_span_has_room(span)) {
        span->cursor = 0;
        return true;
    }
    if (atomic_load_explicit(&heap->orphans, memory_order_relaxed) &&
        atomic_exchange(&heap->orphans, false))
        heap_clear_orphans(heap);
    gm_heap_lock(heap);
    if (span != NULL) {
        thread->current[index] = NULL;
        gm_span_give_up(span);
    }
    thread->current[index] = gm_span_acquire(heap, thread, index);
    gm_heap_unlock(heap);
    return thread->current[index] != NULL;
}

/* Half of what the cache holds. */
static bool cache_fill(struct gm_heap_thread *thread, uint32_t index)
{
    uint32_t want = gm_cache_capacity(index) / 2, taken = 0;
    while (taken == 0) {
        struct gm_span *span = thread->current[index];
        if (span != NULL)
            taken = span_carve(span, &thread->caches[index], want);
        if (taken == 0 && !thread_next_span(thread, index))
            return false;
    }
    if (gm_sort_is_collected(gm_sort_of_index(index)))
        thread->allocated_bytes_since +=
            (size_t)taken * gm_size_class_bytes(gm_class_of_index(index));
    return true;
}

void gm_heap_thread_tell(struct gm_heap_thread *thread)
{
    struct gm_heap *heap = thread->heap;
    size_t bytes = thread->allocated_bytes_since;
    if (bytes < heap->budget_step || heap->collector.allocated == NULL)
        return;
    thread->allocated_bytes_since = 0;
    heap->collector.allocated(heap, bytes);
}

bool gm_cache_pop(struct gm_heap_thread *thread, uint32_t index, struct gm_cached *ret_cached)
{
    struct gm_cache *cache = &thread->caches[index];
    if (cache->top == cache_base(thread, index)) {
        if (gm_sort_is_collected(gm_sort_of_index(index)))
            gm_heap_thread_tell(thread);
        struct gm_heap *heap = thread->heap;
        while (!cache_fill(thread, index))
            if (heap->collector.exhausted == NULL ||
                !heap->collector.exhausted(heap, GM_SLICE_BYTES))
                return false;
    }
    *ret_cached = cache->top[-1];
    cache->top--;
    GM_COUNT_OWN(&cache->allocations);
    return true;
}

/* ---- emptying ---- */

static struct gm_span *cached_span(const struct gm_cached *cached)
{
    uintptr_t address = (uintptr_t)cached->block;
    struct gm_segment *segment =
        (struct gm_segment *)(address & ~(GM_SEGMENT_BYTES - 1)); /* NOLINT */
    return &segment->spans[segment->span_of_slice[(address >> GM_SLICE_LOG2) % GM_SEGMENT_SLICES]];
}

/* Neighbours on the stack are often neighbours in memory: each run of one span is counted at once. */
static void blocks_release(
    struct gm_heap_thread *thread, const struct gm_cached *blocks, size_t count)
{
    for (size_t i = 0; i < count;) {
        struct gm_span *span = cached_span(&blocks[i]);
        uint32_t run = 0;
        /* release: pairs with the acquire in states_free */
        do
            __atomic_store_n(blocks[i + run].state, GM_STATE_FREE, __ATOMIC_RELEASE);
        while (++run < count - i && cached_span(&blocks[i + run]) == span);
        gm_span_freed(span, thread, run);
        i += run;
    }
}

/* The older half goes: the newer is warm. */
static void cache_spill(struct gm_heap_thread *thread, uint32_t index)
{
    struct gm_cache *cache = &thread->caches[index];
    struct gm_cached *base = cache_base(thread, index);
    size_t have = (size_t)(cache->top - base), gone = have - have / 2;
    struct gm_cached blocks[GM_CACHE_ENTRIES];
    memcpy(blocks, base, have * sizeof *blocks);
    /* A fork in another thread copies the cache as it is at any instruction: no block may be in it twice. */
    cache->top = base;
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(base, blocks + gone, (have - gone) * sizeof *base);
    atomic_signal_fence(memory_order_seq_cst);
    cache->top = base + (have - gone);
    blocks_release(thread, blocks, gone);
}

void gm_cache_push(struct gm_heap_thread *thread, uint32_t index, void *block, uint8_t *state)
{
    struct gm_cache *cache = &thread->caches[index];
    if (cache->top >= cache_base(thread, index) + gm_cache_capacity(index))
        cache_spill(thread, index);
    *cache->top = (struct gm_cached){block, state};
    atomic_signal_fence(memory_order_seq_cst); /* for fork: see cache_spill */
    cache->top++;
}

static void cache_flush(struct gm_heap_thread *thread, uint32_t index)
{
    struct gm_cache *cache = &thread->caches[index];
    struct gm_cached *base = cache_base(thread, index);
    size_t have = (size_t)(cache->top - base);
    cache->top = base;
    blocks_release(thread, base, have);
}

void gm_heap_thread_flush(struct gm_heap_thread *thread)
{
    for (uint32_t index = 1; index < GM_CACHES; index++)
        cache_flush(thread, index);
    gm_heap_lock(thread->heap);
    for (uint32_t index = 1; index < GM_CACHES; index++) {
        struct gm_span *span = thread->current[index];
        thread->current[index] = NULL;
        if (span != NULL)
            gm_span_give_up(span);
    }
    gm_heap_unlock(thread->heap);
}

/* ---- threads begin and end ---- */

/* Its figures stay with the heap. Heap's lock held. */
static void thread_retire(struct gm_heap_thread *thread)
{
    struct gm_heap *heap = thread->heap;
    for (uint32_t i = 1; i < GM_CACHES; i++) {
        atomic_fetch_add_explicit(
            &heap->allocations_of_ended[i], thread->caches[i].allocations, memory_order_relaxed);
        thread->caches[i].allocations = 0;
    }
    atomic_fetch_add_explicit(
        &heap->large_allocations_of_ended, thread->large_allocations, memory_order_relaxed);
    atomic_fetch_add_explicit(
        &heap->large_allocated_bytes_of_ended, thread->large_allocated_bytes, memory_order_relaxed);
    struct gm_heap_thread **at = &heap->threads;
    while (*at != thread)
        at = &(*at)->next_of_heap;
    *at = thread->next_of_heap;
    thread->next_of_heap = heap->threads_free;
    heap->threads_free = thread;
}

static void thread_end(struct gm_heap_thread *thread)
{
    struct gm_heap *heap = thread->heap;
    gm_heap_thread_flush(thread);
    gm_heap_lock(heap);
    thread_retire(thread);
    gm_heap_unlock(heap);
}

static void thread_free(struct gm_heap_thread *thread)
{
    gm_os_unmap(thread->stacks, STACKS_BYTES);
    gm_os_unmap(thread, THREAD_BYTES);
}

/* Called when a thread ends. What it allocates after this gets new structures, and this is called again. */
static void thread_ending(void *arg)
{
    (void)arg;
    struct gm_heap_thread *self = gm_heap_self, *others = thread_others;
    gm_heap_self = &gm_heap_nobody;
    thread_others = NULL;
    if (self != &gm_heap_nobody)
        thread_end(self);
    gm_lock_acquire(&gm_heaps_lock);
    while (others != NULL) {
        struct gm_heap_thread *next = others->next_of_self;
        if (others->heap == NULL)
            thread_free(others);
        else
            thread_end(others);
        others = next;
    }
    gm_lock_release(&gm_heaps_lock);
}

static void ending_init(void)
{
    ending_works = pthread_key_create(&ending_key, thread_ending) == 0;
}

/* A structure of a thread that has ended, or new memory. */
static struct gm_heap_thread *thread_memory(struct gm_heap *heap)
{
    gm_heap_lock(heap);
    struct gm_heap_thread *thread = heap->threads_free;
    if (thread != NULL)
        heap->threads_free = thread->next_of_heap;
    gm_heap_unlock(heap);
    if (thread != NULL) {
        struct gm_cached *stacks = thread->stacks;
        memset(thread, 0, sizeof *thread);
        thread->stacks = stacks;
        return thread;
    }
    thread = gm_os_map(THREAD_BYTES);
    if (thread == NULL)
        return NULL;
    thread->stacks = gm_os_map(STACKS_BYTES);
    if (thread->stacks == NULL) {
        gm_os_unmap(thread, THREAD_BYTES);
        return NULL;
    }
    return thread;
}

static struct gm_heap_thread *thread_begin(struct gm_heap *heap)
{
    pthread_once(&ending_once, ending_init);
    struct gm_heap_thread *thread = thread_memory(heap);
    if (thread == NULL)
        return NULL;
    thread->heap = heap;
    for (uint32_t index = 1; index < GM_CACHES; index++)
        thread->caches[index].top = cache_base(thread, index);
    gm_heap_lock(heap);
    thread->next_of_heap = heap->threads;
    heap->threads = thread;
    thread_switch(thread, !atomic_load_explicit(&slow_always, memory_order_relaxed));
    gm_heap_unlock(heap);
    if (ending_works)
        pthread_setspecific(ending_key, thread);
    return thread;
}

/* Drops those whose heap is gone on the way. */
static struct gm_heap_thread *others_find(struct gm_heap *heap)
{
    for (struct gm_heap_thread **at = &thread_others; *at != NULL;) {
        struct gm_heap_thread *thread = *at;
        /* acquire: pairs with the release in gm_heap_threads_forget */
        struct gm_heap *its = __atomic_load_n(&thread->heap, __ATOMIC_ACQUIRE);
        if (its == heap)
            return thread;
        if (its == NULL) {
            *at = thread->next_of_self;
            thread_free(thread);
        } else {
            at = &thread->next_of_self;
        }
    }
    return NULL;
}

struct gm_heap_thread *gm_heap_thread_find(struct gm_heap *heap)
{
    if (heap->number == 1)
        return gm_heap_self == &gm_heap_nobody ? NULL : gm_heap_self;
    return others_find(heap);
}

struct gm_heap_thread *gm_heap_thread_get(struct gm_heap *heap)
{
    struct gm_heap_thread *thread = gm_heap_thread_find(heap);
    if (thread != NULL)
        return thread;
    thread = thread_begin(heap);
    if (thread == NULL)
        return NULL;
    if (heap->number == 1) {
        gm_heap_self = thread;
    } else {
        thread->next_of_self = thread_others;
        thread_others = thread;
    }
    return thread;
}

void gm_heap_threads_forget(struct gm_heap *heap)
{
    for (struct gm_heap_thread *thread = heap->threads; thread != NULL;) {
        struct gm_heap_thread *next = thread->next_of_heap;
        /* release: pairs with the acquire in others_find; its thread frees it from here on */
        __atomic_store_n(&thread->heap, NULL, __ATOMIC_RELEASE);
        thread = next;
    }
    while (heap->threads_free != NULL) {
        struct gm_heap_thread *thread = heap->threads_free;
        heap->threads_free = thread->next_of_heap;
        thread_free(thread);
    }
}

/* ---- fork ---- */

void gm_heap_threads_after_fork(struct gm_heap *heap)
{
    const struct gm_heap_thread *self = gm_heap_thread_find(heap);
    for (struct gm_heap_thread *thread = heap->threads; thread != NULL;
         thread = thread->next_of_heap)
        thread->orphan = thread != self;
    atomic_store_explicit(&heap->orphans, true, memory_order_relaxed);
}

static struct gm_heap_thread *orphan_find(struct gm_heap *heap)
{
    gm_heap_lock(heap);
    struct gm_heap_thread *thread = heap->threads;
    while (thread != NULL && !thread->orphan)
        thread = thread->next_of_heap;
    gm_heap_unlock(heap);
    return thread;
}

static void heap_clear_orphans(struct gm_heap *heap)
{
    struct gm_heap_thread *thread;
    while ((thread = orphan_find(heap)) != NULL)
        thread_end(thread);
}
