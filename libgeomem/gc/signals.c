/* signals.c - see signals.h.
 *
 * Handlers are installed by the system call and not by sigaction: a sanitizer's sigaction would put a handler of
 * its own in between, which delays signals until it likes. */
#include "libgeomem/gc/signals.h"

#include <errno.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/actions.h"
#include "libgeomem/gc/unsanitized.h"

/* glibc's, exported since 2.1: 0 takes the highest real-time signal that is left, and SIGRTMAX shrinks. */
extern int __libc_allocate_rtsig(int high);

static int stop_signal;

/* As the kernel has it (x86-64). */
struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
#define KERNEL_SA_RESTORER 0x04000000ul

/* What a handler returns to. Unwinders know it by its instructions. */
__asm__(".pushsection .text\n"
        ".globl gm_signal_restorer\n"
        ".hidden gm_signal_restorer\n"
        ".type gm_signal_restorer, @function\n"
        "gm_signal_restorer:\n\t"
        "mov $15, %rax\n\t"
        "syscall\n"
        ".size gm_signal_restorer, . - gm_signal_restorer\n"
        ".popsection\n");
void gm_signal_restorer(void);

static GM_UNSANITIZED void stop_handle(int number, siginfo_t *info, void *context)
{
    if (!gm_world_stop_signal(info))
        gm_action_pass_on(number, info, context);
}

#ifdef GM_THREAD_SANITIZER
/* See race_checker.h. */
extern int __interceptor_sigaction(
    int number, const struct sigaction *action, struct sigaction *ret_old);

static int handler_install(int number)
{
    struct sigaction action = {.sa_sigaction = stop_handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    return __interceptor_sigaction(number, &action, NULL) == 0 ? 0 : -EINVAL;
}
#else
/* All signals wait while a thread is stopped. Not on the alternate stack: that is the program's. */
static int handler_install(int number)
{
    struct kernel_sigaction action = {
        .handler = stop_handle,
        .flags = SA_SIGINFO | SA_RESTART | KERNEL_SA_RESTORER,
        .restorer = gm_signal_restorer,
        .mask = ~0ull,
    };
    return (int)gm_sys4(SYS_rt_sigaction, number, &action, 0, sizeof action.mask);
}
#endif

int gm_signals_unblock(void)
{
    uint64_t mask = 1ull << (stop_signal - 1);
    return (int)gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, 0, sizeof mask);
}

int gm_signals_init(void)
{
    if (stop_signal)
        return 0;
    /* Valgrind keeps the highest for itself and refuses it to its client. */
    for (int tries = 0; tries < 4; tries++) {
        int number = __libc_allocate_rtsig(0);
        if (number < 0)
            return -EAGAIN;
        struct sigaction programs;
        if (gm_action_get(number, &programs) == 0 && handler_install(number) == 0) {
            gm_action_claim(number, &programs);
            stop_signal = number;
            return gm_signals_unblock();
        }
    }
    return -EINVAL;
}

void gm_signals_keep_deliverable(sigset_t *set)
{
    if (stop_signal)
        sigdelset(set, stop_signal);
}

int gm_stop_signal(void)
{
    return stop_signal;
}
