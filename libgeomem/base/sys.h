/* sys.h - system calls as the hooks need them: no errno, no cancellation point, no lock.
 *
 * Everything here is async-signal-safe. Results are the kernel's: a value >= 0 or a negative errno.
 * glibc's wrappers are not used inside hooks because several are cancellation points (malloc is not one)
 * and all of them write errno.
 */
#ifndef GM_BASE_SYS_H
#define GM_BASE_SYS_H

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

static inline long gm_sys6(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#define gm_sys0(nr) gm_sys6((nr), 0, 0, 0, 0, 0, 0)
#define gm_sys1(nr, a) gm_sys6((nr), (long)(a), 0, 0, 0, 0, 0)
#define gm_sys2(nr, a, b) gm_sys6((nr), (long)(a), (long)(b), 0, 0, 0, 0)
#define gm_sys3(nr, a, b, c) gm_sys6((nr), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define gm_sys4(nr, a, b, c, d) gm_sys6((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* Sleeps on a futex that nobody wakes: allocators wait on futexes too, so a sandboxed program may, while
 * nanosleep can be a reason to kill it. Where even that is refused it returns at once. */
static inline void gm_sys_sleep_ns(long ns)
{
    struct timespec ts = {.tv_sec = 0, .tv_nsec = ns};
    uint32_t word = 0;
    gm_sys4(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &ts);
}

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t gm_sys_monotonic_ns(void)
{
    struct timespec ts;
    gm_sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A file's text, as much as there is room for, with a NUL behind it. Its length, or a negative errno. */
long gm_sys_read_file(const char *path, char *buffer, size_t room);

/* Anonymous private memory, or NULL. */
void *gm_sys_map(size_t bytes);

#endif
