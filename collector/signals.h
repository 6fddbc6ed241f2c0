/* signals.h - the signals of geomem-record.
 *
 * From the terminal, SIGINT and SIGQUIT (and SIGHUP at its end) reach the program by themselves, as it stands in
 * the same foreground group: they are only noted. What is sent to the recorder alone, by kill(1) or a
 * supervisor, is passed on. All are blocked and read from a descriptor, so that nothing happens between two
 * rounds of the recorder; the program gets the mask we were given.
 */
#ifndef GM_COLLECTOR_SIGNALS_H
#define GM_COLLECTOR_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gm_signals {
    int fd;
    sigset_t before;     /* the mask we were given */
    int ignored[3];      /* signals we ignore and the program shall not; 0 ends */
    int64_t last_int_ns; /* CLOCK_MONOTONIC of the last SIGINT; 0: none */
};

enum gm_signal_event {
    GM_SIGNAL_NONE,
    GM_SIGNAL_CHILD,  /* a child may have ended */
    GM_SIGNAL_PASSED, /* a signal the program has got, or gets now */
    GM_SIGNAL_STOP, /* the user wants recording to end: a second SIGINT, or any signal once the program is gone */
};

/* Before any thread is started. Returns 0 or a negative errno. */
int gm_signals_init(struct gm_signals *signals);
void gm_signals_done(struct gm_signals *signals);

/* Reads one signal, if there is one. program: its pid, 0 once it has ended. */
enum gm_signal_event gm_signals_next(struct gm_signals *signals, pid_t program);

#endif
