/* dirty_signal.h - SIGSEGV shared with the program.
 *
 * Ours is the handler that the kernel knows; the program's is kept, told to the program when it asks, and called for faults
 * that are not ours as the kernel would call it. sigaction and signal are interposed once a handler of ours is
 * installed, so that a program may install its own at any time. One put in by a bare system call is found at the next
 * collection, and kept likewise.
 */
#ifndef GM_GC_DIRTY_SIGNAL_H
#define GM_GC_DIRTY_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

/* Any number of calls; each makes sure that the handler is still there. 0 or a negative errno. */
int gm_dirty_signal_install(void);

/* Was it a write to a watched page? Then it may be tried again. Defined in dirty_mprotect.c. */
bool gm_dirty_fault(const siginfo_t *info, const void *context);

#endif
