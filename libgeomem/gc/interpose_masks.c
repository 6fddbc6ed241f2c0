/* interpose_masks.c - functions that block or fetch signals leave the stop signal out, so that it always comes.
 *
 * The C library's own calls do not come here; see docs/design/threads.md for what that means. sigset_t is the kernel's
 * first eight bytes, and 120 that nobody reads. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/interpose.h"
#include "libgeomem/gc/region.h"
#include "libgeomem/gc/signals.h"

/* Before the program blocks its first signal. */
static __attribute__((constructor)) void signals_begin(void)
{
    gm_signals_init();
}

/* As glibc: its own two signals cannot be blocked either. */
static long mask_change(int how, const sigset_t *set, sigset_t *ret_old)
{
    sigset_t allowed;
    if (set) {
        allowed = *set;
        if (how != SIG_UNBLOCK) {
            gm_signals_keep_deliverable(&allowed);
            *(uint64_t *)&allowed &= ~(3ull << 31);
        }
        set = &allowed;
    }
    return gm_sys4(SYS_rt_sigprocmask, how, set, ret_old, sizeof(uint64_t));
}

GM_INTERPOSED int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    return (int)-mask_change(how, set, ret_old);
}

GM_INTERPOSED int sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    long err = mask_change(how, set, ret_old);
    if (err == 0)
        return 0;
    errno = (int)-err;
    return -1;
}

GM_REAL(int, pthread_attr_setsigmask_np, (pthread_attr_t *, const sigset_t *))

GM_INTERPOSED int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
    if (!set)
        return pthread_attr_setsigmask_np_real()(attr, NULL);
    sigset_t allowed = *set;
    gm_signals_keep_deliverable(&allowed);
    return pthread_attr_setsigmask_np_real()(attr, &allowed);
}

/* libc runs the function of such a timer in threads with all signals blocked, unless their attributes say otherwise. */
GM_REAL(int, timer_create, (clockid_t, struct sigevent *, timer_t *))

GM_INTERPOSED int timer_create(
    clockid_t clock, struct sigevent *restrict event, timer_t *restrict ret_timer)
{
    if (!event || event->sigev_notify != SIGEV_THREAD || event->sigev_notify_attributes)
        return timer_create_real()(clock, event, ret_timer);
    struct sigevent reachable = *event;
    pthread_attr_t attr;
    sigset_t all;
    sigfillset(&all);
    pthread_attr_init(&attr);
    if (pthread_attr_setsigmask_np(&attr, &all) == 0)
        reachable.sigev_notify_attributes = &attr;
    int result = timer_create_real()(clock, &reachable, ret_timer);
    pthread_attr_destroy(&attr);
    return result;
}

GM_REAL(int, signalfd, (int, const sigset_t *, int))

GM_INTERPOSED int signalfd(int fd, const sigset_t *set, int flags)
{
    sigset_t allowed = *set;
    gm_signals_keep_deliverable(&allowed);
    return signalfd_real()(fd, &allowed, flags);
}

/* A thread that waits for signals would take the stop signal for one that it was sent. */
GM_REAL(int, sigwait, (const sigset_t *, int *))
GM_REAL(int, sigtimedwait, (const sigset_t *, siginfo_t *, const struct timespec *))
GM_REAL(int, sigwaitinfo, (const sigset_t *, siginfo_t *))

GM_INTERPOSED int sigwait(const sigset_t *set, int *ret_number)
{
    sigset_t allowed = *set;
    gm_signals_keep_deliverable(&allowed);
    GM_REGION;
    return sigwait_real()(&allowed, ret_number);
}

GM_INTERPOSED int sigwaitinfo(const sigset_t *set, siginfo_t *ret_info)
{
    sigset_t allowed = *set;
    gm_signals_keep_deliverable(&allowed);
    GM_REGION;
    int result;
    do
        result = sigwaitinfo_real()(&allowed, ret_info);
    while (GM_INTERRUPTED(result));
    return result;
}

GM_INTERPOSED int sigtimedwait(
    const sigset_t *set, siginfo_t *ret_info, const struct timespec *timeout)
{
    sigset_t allowed = *set;
    gm_signals_keep_deliverable(&allowed);
    GM_REGION;
    int result;
    do
        result = sigtimedwait_real()(&allowed, ret_info, timeout);
    while (GM_INTERRUPTED(result));
    return result;
}
