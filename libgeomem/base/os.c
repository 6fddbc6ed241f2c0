/* os.c - see os.h. */
#include "libgeomem/base/os.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "libgeomem/base/sys.h"

static _Atomic uint64_t call_count;
static _Atomic uint64_t fail_from =
    UINT64_MAX; /* the first call that fails, counted by call_count */
static _Atomic uint64_t fail_until;

/* relaxed: tests set the two while nothing else runs */
static bool call_fails(void)
{
    uint64_t call = atomic_fetch_add_explicit(&call_count, 1, memory_order_relaxed);
    return call >= atomic_load_explicit(&fail_from, memory_order_relaxed) &&
           call < atomic_load_explicit(&fail_until, memory_order_relaxed);
}

void gm_os_fail_after(uint64_t calls, uint64_t failures)
{
    uint64_t from = gm_os_calls() + calls;
    atomic_store_explicit(&fail_from, from, memory_order_relaxed);
    atomic_store_explicit(&fail_until, from + failures, memory_order_relaxed);
}

uint64_t gm_os_calls(void)
{
    return atomic_load_explicit(&call_count, memory_order_relaxed);
}

static long map_anonymous(uintptr_t start, size_t bytes, int protection, int flags)
{
    return gm_sys6(
        SYS_mmap, (long)start, (long)bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static bool map_failed(long result)
{
    return result < 0 && result > -4096;
}

uintptr_t gm_os_reserve(size_t bytes, size_t alignment)
{
    if (call_fails())
        return 0;
    size_t larger = bytes + alignment;
    long result = map_anonymous(0, larger, PROT_NONE, MAP_NORESERVE);
    if (map_failed(result))
        return 0;
    uintptr_t start = (uintptr_t)result;
    uintptr_t aligned = (start + alignment - 1) & ~(alignment - 1);
    if (aligned > start)
        gm_sys2(SYS_munmap, start, aligned - start);
    if (aligned + bytes < start + larger)
        gm_sys2(SYS_munmap, aligned + bytes, start + larger - aligned - bytes);
    return aligned;
}

int gm_os_commit(uintptr_t start, size_t bytes)
{
    if (call_fails())
        return -ENOMEM;
    return (int)gm_sys3(SYS_mprotect, start, bytes, PROT_READ | PROT_WRITE);
}

int gm_os_decommit(uintptr_t start, size_t bytes)
{
    if (call_fails())
        return -ENOMEM;
    long result = map_anonymous(start, bytes, PROT_NONE, MAP_NORESERVE | MAP_FIXED);
    return map_failed(result) ? (int)result : 0;
}

int gm_os_purge(uintptr_t start, size_t bytes)
{
    if (call_fails())
        return -ENOMEM;
    return (int)gm_sys3(SYS_madvise, start, bytes, MADV_DONTNEED);
}

/* The kernel gives addresses out again after they were taken back, and orders the two: told to a race checker, which sees
 * neither. */
#if defined(__SANITIZE_THREAD__)
static _Atomic int unmaps;
#define UNMAP_BEGINS() atomic_fetch_add_explicit(&unmaps, 1, memory_order_release)
#define MAP_ENDED() atomic_load_explicit(&unmaps, memory_order_acquire)
#else
#define UNMAP_BEGINS() ((void)0)
#define MAP_ENDED() ((void)0)
#endif

void *gm_os_map(size_t bytes)
{
    if (call_fails())
        return NULL;
    void *start = gm_sys_map(bytes);
    MAP_ENDED();
    return start;
}

void gm_os_unmap(void *start, size_t bytes)
{
    UNMAP_BEGINS();
    gm_sys2(SYS_munmap, start, bytes);
}
