/* launch.h - starts geomem-record for `geomem-top -- PROGRAM`.
 *
 * The screen belongs to geomem-top, so the program gets /dev/null to read from, and its output goes to a
 * file in the current folder, named on the screen. Program and recorder live in a session of their own:
 * they go on when geomem-top ends, and when its terminal goes away.
 */
#ifndef GM_TUI_LAUNCH_H
#define GM_TUI_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "analyzer/core/recording.h"

struct gm_launch {
    pid_t pid;        /* of the recorder */
    bool ended;       /* and was waited for */
    int status;       /* as from waitpid, when ended */
    char file[256];   /* PROGRAM.PID.geomem, PID being the recorder's */
    char output[256]; /* PROGRAM.PID.out */
};

/* Starts the recorder. Returns 0, or a negative errno and one line in message. */
int gm_launch_start(struct gm_launch *launch, char **program, char *message, size_t message_bytes);

/* Waits until the recording can be read and opens it. If the recorder ends first without one, returns
 * -ECHILD with what it said in message; its exit status is in launch->status. */
int gm_launch_open(struct gm_launch *launch, struct gm_recording **ret_recording, char *message,
    size_t message_bytes);

/* Looks, without waiting, whether the recorder has ended. */
void gm_launch_poll(struct gm_launch *launch);

/* Once the recording is complete and closed here: lets the recorder make one file of it, for which it needs the file to
 * itself. */
void gm_launch_finish(struct gm_launch *launch);

#endif
