/* signals.c - see signals.h. */
#include "collector/signals.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_NS \
    5000000000 /* two SIGINTs further apart are two for the program: a shell or Python at its
                               prompt takes many; arbitrary */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* A signal that was ignored when we started (nohup) stays so for the program. */
static void signals_ignore(struct gm_signals *signals)
{
    static const int ignored[] = {SIGPIPE, SIGXFSZ};
    size_t n = 0;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        struct sigaction ours = {.sa_handler = SIG_IGN}, before;
        if (sigaction(ignored[i], &ours, &before) == 0 && before.sa_handler != SIG_IGN)
            signals->ignored[n++] = ignored[i];
    }
    signals->ignored[n] = 0;
}

int gm_signals_init(struct gm_signals *signals)
{
    sigset_t watched;
    memset(signals, 0, sizeof *signals);
    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGQUIT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &watched, &signals->before) < 0)
        return -errno;
    /* Inherited SIGCHLD = SIG_IGN would take the program's exit status away from us. */
    signal(SIGCHLD, SIG_DFL);
    signals_ignore(signals);
    signals->fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals->fd < 0 ? -errno : 0;
}

void gm_signals_done(struct gm_signals *signals)
{
    if (signals->fd >= 0)
        close(signals->fd);
    signals->fd = -1;
}

static enum gm_signal_event interrupt(struct gm_signals *signals)
{
    int64_t now = now_ns(), last = signals->last_int_ns;
    signals->last_int_ns = now;
    return last && now - last < AGAIN_NS ? GM_SIGNAL_STOP : GM_SIGNAL_PASSED;
}

enum gm_signal_event gm_signals_next(struct gm_signals *signals, pid_t program)
{
    struct signalfd_siginfo info;
    if (read(signals->fd, &info, sizeof info) != (ssize_t)sizeof info)
        return GM_SIGNAL_NONE;
    int number = (int)info.ssi_signo;
    if (number == SIGCHLD)
        return GM_SIGNAL_CHILD;
    if (program <= 0)
        return GM_SIGNAL_STOP;
    enum gm_signal_event event = number == SIGINT ? interrupt(signals) : GM_SIGNAL_PASSED;
    bool from_terminal = info.ssi_code == SI_KERNEL;
    if (event == GM_SIGNAL_PASSED && !from_terminal)
        kill(program, number);
    return event;
}
