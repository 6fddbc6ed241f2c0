/* malloc.c - the interposed malloc family: calls the program's allocator and records what it did.
 *
 * Order (see wire.h): a free is recorded before the allocator gets the block, an allocation after it came out.
 * realloc counts as both. errno stays what the allocator left. Nothing here locks or allocates. In a sampled recording
 * most calls end at the first question (see sample.h).
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/event/event.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/sample.h"
#include "libgeomem/preload/real.h"
#include "libgeomem/unwind/object.h"
#include "schemas/wire.h"

/* Declared here and not through the system's headers: their attributes would have us optimised away. */
void *malloc(size_t bytes);
void *calloc(size_t n, size_t bytes);
void *realloc(void *p, size_t bytes);
void *reallocarray(void *p, size_t n, size_t bytes);
void free(void *p);
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes);
void *aligned_alloc(size_t alignment, size_t bytes);
int posix_memalign(void **p, size_t alignment, size_t bytes);
void *valloc(size_t bytes);
void *pvalloc(size_t bytes);
size_t malloc_usable_size(void *p);

#define PAGE_LOG2 12

#define RECORD_ALLOC(block, bytes, function, align_log2) \
    do { \
        if ((block) && gm_process_on() && !gm_sample_passes(bytes)) { \
            struct gm_context context = GM_CALLER_CONTEXT(); \
            gm_event_alloc( \
                &context, (block), gm_size_pack((bytes), GM_FN_##function, (align_log2))); \
        } \
    } while (0)

static unsigned log2_of(size_t alignment)
{
    return alignment ? 63u - (unsigned)__builtin_clzl(alignment) : 0;
}

/* malloc, calloc and free ask a sampled recording's question before anything else, without a frame of their own: what is
 * not recorded goes on with a jump to the program's allocator. What may be is recorded by a function that they jump to,
 * so that it finds their caller where they would have. Both jumps are tail calls, for which this file is compiled with
 * -foptimize-sibling-calls; without, each stack would begin here, and no test of stacks would pass. */
#define RECORDED static __attribute__((noinline, noipa))
#define RECORD_ASKED(block, bytes, function) \
    do { \
        if ((block) && gm_process_on()) { \
            struct gm_context context = GM_CALLER_CONTEXT(); \
            gm_event_alloc(&context, (block), gm_size_pack((bytes), GM_FN_##function, 0)); \
        } \
    } while (0)

RECORDED void *malloc_recorded(size_t bytes)
{
    void *p = gm_real.malloc(bytes);
    RECORD_ASKED(p, bytes, malloc);
    return p;
}

GM_EXPORT void *malloc(size_t bytes)
{
    return gm_sample_passes(bytes) ? gm_real.malloc(bytes) : malloc_recorded(bytes);
}

RECORDED void *calloc_recorded(size_t n, size_t bytes)
{
    void *p = gm_real.calloc(n, bytes);
    RECORD_ASKED(p, n * bytes, calloc);
    return p;
}

GM_EXPORT void *calloc(size_t n, size_t bytes)
{
    return gm_sample_passes(n * bytes) ? gm_real.calloc(n, bytes) : calloc_recorded(n, bytes);
}

/* A block that was not sampled, and whose new form is not, costs no more than two questions. */
static void *reallocate_sampled(
    const struct gm_context *context, void *p, size_t bytes, enum gm_alloc_function function)
{
    struct gm_event_realloc event;
    bool was_sampled = p && gm_sample_set_remove(p);
    if (was_sampled)
        gm_event_realloc_begin(&event, 0);
    void *q = gm_real.realloc(p, bytes);
    int saved_errno = errno;
    uint64_t packed = gm_size_pack(bytes, function, 0);
    if (was_sampled)
        gm_event_realloc_end_sampled(&event, context, p, q, packed);
    else if (q && !gm_sample_passes(bytes))
        gm_event_alloc_sampled(context, q, packed, p ? GM_SAMPLE_REALLOC : 0);
    errno = saved_errno;
    return q;
}

/* The one body of realloc and reallocarray; in the callers' frames stands the context. */
static inline __attribute__((always_inline)) void *reallocate(
    const struct gm_context *context, void *p, size_t bytes, enum gm_alloc_function function)
{
    struct gm_event_realloc event;
    uint64_t old_address = (uintptr_t)p;
    if (gm_process.sampling)
        return reallocate_sampled(context, p, bytes, function);
    gm_event_realloc_begin(&event, old_address);
    void *q = gm_real.realloc(p, bytes);
    int saved_errno = errno;
    gm_event_realloc_end(&event, context, old_address, q, gm_size_pack(bytes, function, 0));
    errno = saved_errno;
    return q;
}

GM_EXPORT void *realloc(void *p, size_t bytes)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    if (!gm_process_on())
        return gm_real.realloc(p, bytes);
    return reallocate(&context, p, bytes, GM_FN_realloc);
}

GM_EXPORT void *reallocarray(void *p, size_t n, size_t bytes)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    size_t all;
    if (__builtin_mul_overflow(n, bytes, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!gm_process_on())
        return gm_real.realloc(p, all);
    return reallocate(&context, p, all, GM_FN_reallocarray);
}

static inline __attribute__((always_inline)) void record_free(void *p)
{
    if (p && gm_process_on() && !gm_sample_passes_free(p))
        gm_event_free(p);
}

RECORDED void free_recorded(void *p, uintptr_t caller)
{
    if (gm_object_ends(p, caller))
        gm_event_unload();
    record_free(p);
    gm_real.free(p);
}

GM_EXPORT void free(void *p)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (gm_sample_passes_free(p) && !gm_object_is_loader(caller))
        gm_real.free(p);
    else
        free_recorded(p, caller);
}

/* C23's forms. The standard gives them the meaning of free for blocks of the right size (7.24.3.4, 7.24.3.5), so every
 * allocator's free may have them; looking for a form of its own would cost allocations where there is none. */
GM_EXPORT void free_sized(void *p, size_t bytes)
{
    (void)bytes;
    record_free(p);
    gm_real.free(p);
}

GM_EXPORT void free_aligned_sized(void *p, size_t alignment, size_t bytes)
{
    (void)alignment;
    (void)bytes;
    record_free(p);
    gm_real.free(p);
}

GM_EXPORT void *memalign(size_t alignment, size_t bytes)
{
    void *p = gm_real.memalign(alignment, bytes);
    RECORD_ALLOC(p, bytes, memalign, log2_of(alignment));
    return p;
}

GM_EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    void *p = gm_real.aligned_alloc(alignment, bytes);
    RECORD_ALLOC(p, bytes, aligned_alloc, log2_of(alignment));
    return p;
}

GM_EXPORT int posix_memalign(void **p, size_t alignment, size_t bytes)
{
    int r = gm_real.posix_memalign(p, alignment, bytes);
    if (r == 0)
        RECORD_ALLOC(*p, bytes, posix_memalign, log2_of(alignment));
    return r;
}

GM_EXPORT void *valloc(size_t bytes)
{
    void *p = gm_real.valloc(bytes);
    RECORD_ALLOC(p, bytes, valloc, PAGE_LOG2);
    return p;
}

GM_EXPORT void *pvalloc(size_t bytes)
{
    void *p = gm_real.pvalloc(bytes);
    RECORD_ALLOC(p, bytes, pvalloc, PAGE_LOG2);
    return p;
}

GM_EXPORT size_t malloc_usable_size(void *p)
{
    return gm_real.malloc_usable_size(p);
}
