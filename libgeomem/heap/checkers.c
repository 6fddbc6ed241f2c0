/* checkers.c - see checkers.h. */
#include "libgeomem/heap/checkers.h"

#include <stdlib.h>
#include <string.h>

#include "libgeomem/heap/thread.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define NO_MEMCHECK 1
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_NOACCESS(start, bytes) ((void)(start), (void)(bytes))
#define VALGRIND_MAKE_MEM_UNDEFINED(start, bytes) ((void)(start), (void)(bytes))
#define VALGRIND_CHECK_MEM_IS_ADDRESSABLE(start, bytes) 0
#define VALGRIND_MALLOCLIKE_BLOCK(start, bytes, redzone, zeroed) ((void)(start), (void)(zeroed))
#define VALGRIND_FREELIKE_BLOCK(start, redzone) ((void)(start))
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#endif

unsigned gm_checkers;

/* Of AddressSanitizer's runtime, if it is in the process: sanitizer/asan_interface.h. */
void __asan_poison_memory_region(const volatile void *start, size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *start, size_t bytes) __attribute__((weak));
void *__asan_region_is_poisoned(void *start, size_t bytes) __attribute__((weak));

static bool asan_is_there(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return false; /* the heap itself would be reported: it is instrumented */
#else
    return __asan_poison_memory_region && __asan_unpoison_memory_region &&
           __asan_region_is_poisoned;
#endif
}

/* Before the first allocation of any constructor, and before the listener is attached. */
__attribute__((constructor(102))) static void checkers_begin(void)
{
    const char *wanted = getenv("GEOMEM_HEAP_DEBUG");
    if (RUNNING_ON_VALGRIND)
        gm_checkers |= GM_CHECKER_MEMCHECK;
    if (asan_is_there())
        gm_checkers |= GM_CHECKER_ASAN;
    if (wanted != NULL && wanted[0] != 0 && strcmp(wanted, "0") != 0)
        gm_checkers |= GM_CHECKER_POISON;
    if (gm_checkers != 0)
        gm_fast_paths(false);
}

void gm_checker_close_memory(uintptr_t start, size_t bytes)
{
    if (gm_checkers & GM_CHECKER_MEMCHECK)
        VALGRIND_MAKE_MEM_NOACCESS(start, bytes);
    if (gm_checkers & GM_CHECKER_ASAN)
        __asan_poison_memory_region((void *)start, bytes); /* NOLINT */
}

void gm_checker_open_memory(uintptr_t start, size_t bytes)
{
    if (gm_checkers & GM_CHECKER_MEMCHECK)
        VALGRIND_MAKE_MEM_UNDEFINED(start, bytes);
    if (gm_checkers & GM_CHECKER_ASAN)
        __asan_unpoison_memory_region((void *)start, bytes); /* NOLINT */
}

void gm_checker_tell_allocated(const void *block, size_t size, bool zeroed)
{
    struct gm_place place;
    if (gm_block_find((uintptr_t)block, &place) != GM_FOUND_BLOCK)
        return;
    gm_checker_close_memory(place.start, place.bytes);
    if (gm_checkers & GM_CHECKER_MEMCHECK)
        VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, zeroed);
    if (gm_checkers & GM_CHECKER_ASAN)
        __asan_unpoison_memory_region(block, size);
}

void gm_checker_tell_freed(uintptr_t start, size_t bytes)
{
    if (gm_checkers & GM_CHECKER_MEMCHECK)
        VALGRIND_FREELIKE_BLOCK(start, 0);
    gm_checker_close_memory(start, bytes);
}

void gm_checker_tell_swept(const void *first, size_t block_bytes, uint64_t dead)
{
    for (; dead != 0; dead &= dead - 1)
        gm_checker_tell_freed(
            (uintptr_t)first + (size_t)__builtin_ctzll(dead) * block_bytes, block_bytes);
}

void gm_checker_quiet_thread(bool quiet)
{
    if ((gm_checkers & GM_CHECKER_MEMCHECK) == 0)
        return;
    if (quiet)
        VALGRIND_DISABLE_ERROR_REPORTING;
    else
        VALGRIND_ENABLE_ERROR_REPORTING;
}

size_t gm_checker_find_size(const void *block, size_t usable)
{
    uintptr_t start = (uintptr_t)block, end = 0;
    if (gm_checkers & GM_CHECKER_MEMCHECK) {
        /* The request reports what it finds, which is what we want to know. */
        gm_checker_quiet_thread(true);
        end = (uintptr_t)VALGRIND_CHECK_MEM_IS_ADDRESSABLE(block, usable);
        gm_checker_quiet_thread(false);
    }
    if (gm_checkers & GM_CHECKER_ASAN)
        end = (uintptr_t)__asan_region_is_poisoned((void *)start, usable); /* NOLINT */
    return end > start ? end - start : end == start ? 0 : usable;
}
