/* launch.h - starting the program that is recorded.
 *
 * The child is made first and held back before execve: the recording's name may hold its pid, and no target
 * may run before there is a file to record into. Standard streams, signal mask, dispositions and limits are
 * the program's own as they were given to us.
 */
#ifndef GM_COLLECTOR_LAUNCH_H
#define GM_COLLECTOR_LAUNCH_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "collector/limits.h"

struct gm_launch_options {
    const char *path;     /* the file to execute */
    char *const *argv;    /* NULL-terminated; argv[0] as the user said it */
    const char *preload;  /* path of our library, without blanks and colons */
    const char *session;  /* for GM_ENV_SESSION */
    const sigset_t *mask; /* signal mask of the program */
    const int *
        ignored_by_us; /* signals this process ignores and the program shall not; 0 ends; or NULL */
    const struct gm_limits_saved *limits; /* the program's soft limits; NULL: as they are */
};

struct gm_launch {
    pid_t pid;
    int go_fd, error_fd; /* ours; -1 when done with */
};

/* Forks the child, which waits. Call before there are threads. Returns 0 or a negative errno. */
int gm_launch_fork(const struct gm_launch_options *options, struct gm_launch *ret_launch);

/* Lets the child execute the program. Returns 0 once it has, or the negative errno of execve; the child is
 * then gone and reaped. */
int gm_launch_go(struct gm_launch *launch);

/* Ends and reaps a child that still waits. Does nothing after gm_launch_go. */
void gm_launch_cancel(struct gm_launch *launch);

/* Finds the preload library beside this program: built (../lib/geomem) or installed. Where its path holds
 * what LD_PRELOAD cannot (blank, colon), it is linked to from `link_folder`, an absolute path without them.
 * On success *ret_path is allocated. Returns a negative errno with one line in message. */
int gm_launch_find_preload(
    const char *link_folder, char **ret_path, char *message, size_t message_bytes);

#endif
