/* real.c - see real.h. */
#include "libgeomem/preload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Serves what dlsym itself may allocate while we look up malloc. Nothing is given back. */
static _Alignas(16) char area[32768];
static _Atomic size_t area_used;

static void *area_alloc(size_t bytes)
{
    bytes = (bytes + 31) & ~(size_t)15; /* a header of 16 bytes keeps the size */
    size_t at = atomic_fetch_add_explicit(&area_used, bytes, memory_order_relaxed);
    if (bytes > sizeof area || at > sizeof area - bytes) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(area + at, &bytes, sizeof bytes);
    return area + at + 16;
}

static bool area_holds(const void *p)
{
    return (uintptr_t)p - (uintptr_t)area < sizeof area;
}

void *gm_real_symbol(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static _Thread_local bool finding __attribute__((tls_model("initial-exec")));

static void *first_malloc(size_t bytes)
{
    if (finding)
        return area_alloc(bytes);
    gm_real_find();
    return gm_real.malloc(bytes);
}

static void *first_calloc(size_t n, size_t bytes)
{
    if (!finding) {
        gm_real_find();
        return gm_real.calloc(n, bytes);
    }
    size_t all;
    return __builtin_mul_overflow(n, bytes, &all) ? NULL
                                                  : area_alloc(all); /* static memory is zero */
}

static void *first_realloc(void *p, size_t bytes)
{
    if (!finding)
        gm_real_find();
    if (!finding && !area_holds(p))
        return gm_real.realloc(p, bytes);
    void *fresh = finding ? area_alloc(bytes) : gm_real.malloc(bytes);
    size_t old = 0;
    if (p)
        memcpy(&old, (char *)p - 16, sizeof old);
    if (fresh && p)
        memcpy(fresh, p, old - 16 < bytes ? old - 16 : bytes);
    return fresh;
}

static void first_free(void *p)
{
    if (finding || area_holds(p))
        return;
    gm_real_find();
    gm_real.free(p);
}

static void *first_memalign(size_t alignment, size_t bytes)
{
    gm_real_find();
    return gm_real.memalign(alignment, bytes);
}

static void *first_aligned_alloc(size_t alignment, size_t bytes)
{
    gm_real_find();
    return gm_real.aligned_alloc(alignment, bytes);
}

static int first_posix_memalign(void **p, size_t alignment, size_t bytes)
{
    gm_real_find();
    return gm_real.posix_memalign(p, alignment, bytes);
}

static void *first_valloc(size_t bytes)
{
    gm_real_find();
    return gm_real.valloc(bytes);
}

static void *first_pvalloc(size_t bytes)
{
    gm_real_find();
    return gm_real.pvalloc(bytes);
}

static size_t first_malloc_usable_size(void *p)
{
    gm_real_find();
    return gm_real.malloc_usable_size(p);
}

struct gm_real gm_real = {
    .malloc = first_malloc,
    .calloc = first_calloc,
    .realloc = first_realloc,
    .free = first_free,
    .memalign = first_memalign,
    .aligned_alloc = first_aligned_alloc,
    .posix_memalign = first_posix_memalign,
    .valloc = first_valloc,
    .pvalloc = first_pvalloc,
    .malloc_usable_size = first_malloc_usable_size,
};

/* free and realloc stay behind a check for the static area if anything was served from it. */
static void (*next_free)(void *);
static void *(*next_realloc)(void *, size_t);

static void guarded_free(void *p)
{
    if (!area_holds(p))
        next_free(p);
}

static void *guarded_realloc(void *p, size_t bytes)
{
    return area_holds(p) ? first_realloc(p, bytes) : next_realloc(p, bytes);
}

void gm_real_find(void)
{
    struct gm_real found;
    finding = true;
#define FIND(name) *(void **)&found.name = gm_real_symbol(#name)
    FIND(malloc);
    FIND(calloc);
    FIND(realloc);
    FIND(free);
    FIND(memalign);
    FIND(aligned_alloc);
    FIND(posix_memalign);
    FIND(valloc);
    FIND(pvalloc);
    FIND(malloc_usable_size);
#undef FIND
    if (atomic_load_explicit(&area_used, memory_order_relaxed)) {
        next_free = found.free;
        next_realloc = found.realloc;
        found.free = guarded_free;
        found.realloc = guarded_realloc;
    }
    gm_real = found;
    finding = false;
}
