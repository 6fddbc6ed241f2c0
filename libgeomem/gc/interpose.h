/* interpose.h - how libgeomem stands in front of functions of the C library.
 *
 * A program that is linked against libgeomem finds ours first; ours find the next ones by name. What stands here is
 * no part of builds for tests with sanitizers, which interpose the same functions themselves.
 */
#ifndef GM_GC_INTERPOSE_H
#define GM_GC_INTERPOSE_H

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/gc/dirty.h"
#include "libgeomem/gc/region.h"

#define GM_INTERPOSED __attribute__((visibility("default")))

/* Defines name_real(): the function that would be called were it not for ours. Looked for when libgeomem is loaded, or by
 * a call before that: dlsym may allocate and takes the loader's lock, neither of which is right in a safe region or in a
 * handler of the program's. */
#define GM_REAL_VERSION(type, name, parameters, version) \
    typedef type name##_function parameters; \
    static name##_function *name##_real(void) \
    { \
        static _Atomic(uintptr_t) found; \
        /* relaxed: any number of threads find the same */ \
        uintptr_t real = atomic_load_explicit(&found, memory_order_relaxed); \
        if (__builtin_expect(real == 0, 0)) { \
            real = gm_interposed_find(#name, version); \
            atomic_store_explicit(&found, real, memory_order_relaxed); \
        } \
        return (name##_function *)real; \
    } \
    static __attribute__((constructor)) void name##_find(void) \
    { \
        name##_real(); \
    }
#define GM_REAL(type, name, parameters) GM_REAL_VERSION(type, name, parameters, NULL)

/* `version` NULL: the default one. Never 0: a function that the C library lacks fails with ENOSYS. errno is kept. */
uintptr_t gm_interposed_find(const char *name, const char *version);

/* A safe region until the end of the block, also if the thread is cancelled in it. */
#define GM_REGION \
    struct gm_mutator *region __attribute__((cleanup(gm_region_cleanup))) = gm_region_enter_known()

static inline void gm_region_cleanup(struct gm_mutator **region)
{
    gm_region_leave(*region);
}

/* Registers the thread first, if libgeomem is in use. */
struct gm_mutator *gm_region_enter_known(void);

/* Within GM_REGION: the call has failed because of a stop, and of nothing else. It is made again with all of its time:
 * the signal was on its way when the region was entered, so next to none has passed. */
#define GM_INTERRUPTED(result) \
    ((result) == -1 && errno == EINTR && gm_region_interrupted_by_us(region))

/* Before a call that fills [start, start + bytes), and when it has failed: true if it is worth making again, because a
 * collection in between had closed the pages to the kernel. See dirty.h. */
static inline bool gm_fill_again(bool has_failed, const void *start, size_t bytes)
{
    return (!has_failed || errno == EFAULT) && gm_dirty_open_for_kernel((uintptr_t)start, bytes);
}

#endif
