/* dirty_signal.c - see dirty_signal.h. */
#include "libgeomem/gc/dirty_signal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "libgeomem/base/sys.h"

/* The C library's own, under the name that nobody interposes. */
extern int __sigaction(
    int signal_number, const struct sigaction *action, struct sigaction *ret_old);

/* The program's action. The handler reads it while a thread changes it: a copy whose number is even, and the same
 * before and after, is whole. */
static struct {
    _Atomic uint32_t version;
    struct sigaction action;
} chained;
static _Atomic uint32_t chained_lock;
static _Atomic bool installed;

static void chained_read(struct sigaction *ret_action)
{
    uint32_t before;
    do {
        /* acquire: pairs with the release in chained_write */
        before = atomic_load_explicit(&chained.version, memory_order_acquire);
        *ret_action = chained.action;
        atomic_thread_fence(memory_order_acquire);
    } while ((before & 1) != 0 ||
             before != atomic_load_explicit(&chained.version, memory_order_relaxed));
}

/* All signals are blocked meanwhile: a handler on this very thread would wait for ever. */
static void chained_write(const struct sigaction *action, struct sigaction *ret_old)
{
    uint64_t all = ~(uint64_t)0, before;
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof before);
    while (atomic_exchange_explicit(&chained_lock, 1, memory_order_acquire) != 0)
        gm_sys0(SYS_sched_yield);
    struct sigaction old = chained.action;
    if (action != NULL) {
        struct sigaction copy = *action;
        atomic_fetch_add_explicit(&chained.version, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
        chained.action = copy;
        /* release: pairs with the acquire in chained_read */
        atomic_fetch_add_explicit(&chained.version, 1, memory_order_release);
    }
    atomic_store_explicit(&chained_lock, 0, memory_order_release);
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    if (ret_old != NULL)
        *ret_old = old;
}

/* As if we were not there: the fault comes again, and finds the default. */
static void signal_default(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    __sigaction(SIGSEGV, &action, NULL);
}

static void signal_pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction action;
    chained_read(&action);
    bool is_sent = info->si_code <= 0;
    if (action.sa_handler == SIG_IGN && is_sent)
        return;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
        signal_default();
        if (is_sent)
            gm_sys3(SYS_tgkill, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), number);
        return;
    }
    if ((unsigned)action.sa_flags & SA_RESETHAND) {
        struct sigaction reset = {.sa_handler = SIG_DFL};
        chained_write(&reset, NULL);
    }
    /* the mask that the kernel would have set: the interrupted one, the action's, and the signal itself */
    const ucontext_t *registers = context;
    sigset_t mask = registers->uc_sigmask;
    sigorset(&mask, &mask, &action.sa_mask);
    if (!((unsigned)action.sa_flags & SA_NODEFER))
        sigaddset(&mask, SIGSEGV);
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(uint64_t));
    if ((unsigned)action.sa_flags & SA_SIGINFO)
        action.sa_sigaction(number, info, context);
    else
        action.sa_handler(number);
}

static void signal_handler(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (!gm_dirty_fault(info, context))
        signal_pass_on(number, info, context);
    errno = saved;
}

int gm_dirty_signal_install(void)
{
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, old;
    if (__sigaction(SIGSEGV, NULL, &old) < 0)
        return -errno;
    if (old.sa_sigaction == signal_handler)
        return 0;
    ours.sa_sigaction = signal_handler;
    /* all: see dirty_mprotect.c */
    sigfillset(&ours.sa_mask);
    chained_write(&old, NULL);
    if (__sigaction(SIGSEGV, &ours, NULL) < 0)
        return -errno;
    atomic_store_explicit(&installed, true, memory_order_relaxed);
    return 0;
}

static bool signal_is_ours(int number)
{
    return number == SIGSEGV && atomic_load_explicit(&installed, memory_order_relaxed);
}

__attribute__((visibility("default"))) int sigaction(
    int number, const struct sigaction *restrict action, struct sigaction *restrict ret_old)
{
    if (!signal_is_ours(number))
        return __sigaction(number, action, ret_old);
    chained_write(action, ret_old);
    return 0;
}

__attribute__((visibility("default"))) sighandler_t signal(int number, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    if (sigaddset(&action.sa_mask, number) < 0 || handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return sigaction(number, &action, &old) < 0 ? SIG_ERR : old.sa_handler;
}
