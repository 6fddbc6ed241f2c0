/* dirty_signal.c - see dirty_signal.h. */
#include "libgeomem/gc/dirty_signal.h"

#include <errno.h>

#include "libgeomem/gc/actions.h"

/* The C library's own, under the name that nobody interposes. */
extern int __sigaction(
    int signal_number, const struct sigaction *action, struct sigaction *ret_old);

static void signal_handler(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (!gm_dirty_fault(info, context))
        gm_action_pass_on(number, info, context);
    errno = saved;
}

int gm_dirty_signal_install(void)
{
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, known;
    if (__sigaction(SIGSEGV, NULL, &known) < 0)
        return -errno;
    if (known.sa_sigaction == signal_handler)
        return 0;
    /* One that a bare system call put in our place is the program's now. */
    int err = gm_action_get_installed(SIGSEGV, &known);
    if (err < 0)
        return err;
    ours.sa_sigaction = signal_handler;
    /* all: see dirty_mprotect.c */
    sigfillset(&ours.sa_mask);
    gm_action_claim(SIGSEGV, &known);
    if (__sigaction(SIGSEGV, &ours, NULL) < 0)
        return -errno;
    return 0;
}
