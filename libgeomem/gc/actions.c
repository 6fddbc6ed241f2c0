/* actions.c - see actions.h. */
#include "libgeomem/gc/actions.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/region.h"
#include "libgeomem/gc/signals.h"

/* The C library's own, under the name that nobody interposes. */
extern int __sigaction(
    int signal_number, const struct sigaction *action, struct sigaction *ret_old);

#define SIGNALS 65

/* A handler reads it while a thread changes it: a copy whose version is even, and the same before and after, is whole. */
struct kept {
    _Atomic uint32_t version;
    _Atomic bool claimed;
    struct sigaction action;
};
static struct kept kept[SIGNALS];
static _Atomic uint32_t kept_lock;

static void kept_read(int number, struct sigaction *ret_action)
{
    const struct kept *k = &kept[number];
    uint32_t before;
    do {
        /* acquire: pairs with the release in kept_write */
        before = atomic_load_explicit(&k->version, memory_order_acquire);
        *ret_action = k->action;
        atomic_thread_fence(memory_order_acquire);
    } while (
        (before & 1) != 0 || before != atomic_load_explicit(&k->version, memory_order_relaxed));
}

/* All signals are blocked meanwhile: a handler on this very thread would wait for ever. */
static void kept_write(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    struct kept *k = &kept[number];
    struct sigaction fresh = action ? *action : k->action;
    uint64_t all = ~(uint64_t)0, before;
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof before);
    while (atomic_exchange_explicit(&kept_lock, 1, memory_order_acquire) != 0)
        gm_sys0(SYS_sched_yield);
    struct sigaction old = k->action;
    if (action) {
        atomic_fetch_add_explicit(&k->version, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
        k->action = fresh;
        /* release: pairs with the acquire in kept_read */
        atomic_fetch_add_explicit(&k->version, 1, memory_order_release);
    }
    atomic_store_explicit(&kept_lock, 0, memory_order_release);
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    if (ret_old)
        *ret_old = old;
}

static bool kept_claimed(int number)
{
    /* acquire: pairs with the release in gm_action_claim */
    return atomic_load_explicit(&kept[number].claimed, memory_order_acquire);
}

static bool action_is_function(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

static void action_call(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    if ((unsigned)action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
}

/* In front of the program's handlers. One that comes while its thread is in a safe region may touch the heap, or jump out
 * of the region and never come back: so the region ends here, and is entered again if the handler returns. */
static void program_handle(int number, siginfo_t *info, void *context)
{
    struct sigaction action;
    kept_read(number, &action);
    struct gm_suspended_region region;
    gm_region_suspend(&region);
    action_call(&action, number, info, context);
    gm_region_resume(&region);
}

int gm_action_get(int number, struct sigaction *ret_action)
{
    if (!kept_claimed(number))
        return gm_action_get_installed(number, ret_action);
    kept_read(number, ret_action);
    return 0;
}

int gm_action_get_installed(int number, struct sigaction *ret_action)
{
    struct sigaction known;
    if (__sigaction(number, NULL, &known) < 0)
        return -errno;
    if (known.sa_sigaction == program_handle)
        kept_read(number, &known);
    *ret_action = known;
    return 0;
}

void gm_action_claim(int number, const struct sigaction *action)
{
    kept_write(number, action, NULL);
    /* release: pairs with the acquire in kept_claimed */
    atomic_store_explicit(&kept[number].claimed, true, memory_order_release);
}

/* As if we were not there: the signal comes again, and finds the default. */
static void signal_default(int number, const siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    __sigaction(number, &action, NULL);
    if (info->si_code <= 0)
        gm_sys3(SYS_tgkill, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), number);
}

void gm_action_pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction action;
    kept_read(number, &action);
    if (action.sa_handler == SIG_IGN && info->si_code <= 0)
        return;
    if (!action_is_function(&action)) {
        signal_default(number, info);
        return;
    }
    if ((unsigned)action.sa_flags & SA_RESETHAND) {
        struct sigaction reset = {.sa_handler = SIG_DFL};
        kept_write(number, &reset, NULL);
    }
    /* the mask that the kernel would have set: the interrupted one, the action's, and the signal itself */
    const ucontext_t *registers = context;
    sigset_t mask = registers->uc_sigmask;
    sigorset(&mask, &mask, &action.sa_mask);
    if (!((unsigned)action.sa_flags & SA_NODEFER))
        sigaddset(&mask, number);
    gm_signals_keep_deliverable(&mask);
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(uint64_t));
    struct gm_suspended_region region;
    gm_region_suspend(&region);
    action_call(&action, number, info, context);
    gm_region_resume(&region);
}

/* What the kernel is to know: a function of the program's stands behind ours. */
static int action_set(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    struct sigaction ours = *action;
    gm_signals_keep_deliverable(&ours.sa_mask);
    if (action_is_function(action)) {
        kept_write(number, action, NULL);
        ours.sa_sigaction = program_handle;
        ours.sa_flags |= SA_SIGINFO;
    }
    return __sigaction(number, &ours, ret_old);
}

__attribute__((visibility("default"))) int sigaction(
    int number, const struct sigaction *restrict action, struct sigaction *restrict ret_old)
{
    struct sigaction old;
    if (number <= 0 || number >= SIGNALS)
        return __sigaction(number, action, ret_old);
    if (kept_claimed(number)) {
        kept_write(number, action, ret_old);
        return 0;
    }
    int err = gm_action_get(number, &old);
    if (err < 0) {
        errno = -err;
        return -1;
    }
    if (action && action_set(number, action, NULL) < 0)
        return -1;
    if (ret_old)
        *ret_old = old;
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
