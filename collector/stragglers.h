/* stragglers.h - processes of a recording that have not said hello yet.
 *
 * A forked child connects at its first event, a program when the library in it starts. Between its fork or
 * execve and that moment the recorder knows nothing of a process: a daemon whose parents have exited would
 * be taken for the end of it all. It gives itself away in /proc: a forked child still has its parent's
 * session mapped, whose memfd bears our name; a program that was just executed has our socket in its
 * environment.
 */
#ifndef GM_COLLECTOR_STRAGGLERS_H
#define GM_COLLECTOR_STRAGGLERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gm_stragglers {
    const char *socket_path; /* the caller's */
    char memfd_name[64];     /* as maps shows it */
    pid_t found;             /* looked at first the next time; 0: none */
    int64_t started_ns;      /* CLOCK_MONOTONIC when the first of these was seen, 0: none yet */
    int64_t looked_ns;       /* CLOCK_MONOTONIC */
};

/* Of the recorder whose memfds carry this pid in their names (gm_session_memfd_name). */
void gm_stragglers_init(
    struct gm_stragglers *stragglers, pid_t recorder_pid, const char *socket_path);

/* True while there is one. A program that was executed and stays silent (a static one) is waited for no
 * longer than a second in all. Looks no more often than every 50 ms, and says what it said before in between. */
bool gm_stragglers_any(struct gm_stragglers *stragglers);

#endif
