/* actions.h - the program's signal handlers, as the program knows them, where ours stand in front.
 *
 * The kernel knows ours: for SIGSEGV the one that sees writes to watched pages, for the stop signal the one that stops,
 * and for every other signal that the program handles one that leaves a safe region before it calls the program's.
 * sigaction and signal, interposed, tell the program what it has set itself.
 */
#ifndef GM_GC_ACTIONS_H
#define GM_GC_ACTIONS_H

#include <signal.h>
#include <stdbool.h>

/* What the program has set, wherever it is kept. */
int gm_action_get(int number, struct sigaction *ret_action);
/* What the kernel calls in the end; of a claimed signal that is asked for by whoever claims it. */
int gm_action_get_installed(int number, struct sigaction *ret_action);

/* From here on the kernel's handler for the signal is not the program's business: what it sets is only kept, beginning
 * with `action`. */
void gm_action_claim(int number, const struct sigaction *action);

/* Does what the program wants done with a signal that is not ours, as the kernel would. */
void gm_action_pass_on(int number, siginfo_t *info, void *context);

#endif
