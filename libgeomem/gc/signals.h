/* signals.h - the signal that stops threads, beside those of the program. */
#ifndef GM_GC_SIGNALS_H
#define GM_GC_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Takes a real-time signal out of those that SIGRTMIN and SIGRTMAX offer, and handles it. 0 or a negative errno. */
int gm_signals_init(void);
/* In the calling thread. 0 or a negative errno. */
int gm_signals_unblock(void);
int gm_stop_signal(void); /* 0: not taken yet */

/* Takes the stop signal out of a set of signals to be blocked, or waited for. */
void gm_signals_keep_deliverable(sigset_t *set);

/* In world.c: true if the signal was one of a stop, and the stop is over. */
bool gm_world_stop_signal(const siginfo_t *info);

#endif
