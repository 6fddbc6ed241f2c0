/* registry.h - which recordings of this user are being written right now, and how to talk to their recorders.
 *
 * Folder geomem-UID (0700) in $XDG_RUNTIME_DIR, or in /tmp: for each recorder an entry named by its pid, and
 * its control socket beside it. The protocol on the socket: docs/control.md.
 * Written by geomem-record; read by geomem-top. Entries of recorders that are gone are removed by whoever
 * comes across them.
 */
#ifndef GM_SCHEMAS_REGISTRY_H
#define GM_SCHEMAS_REGISTRY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct gm_registry_entry {
    pid_t recorder_pid;
    char file[PATH_MAX];   /* absolute path of the recording */
    char socket[PATH_MAX]; /* absolute path of the control socket */
};

/* Makes the folder where it is not there, and checks that it is ours alone. Returns 0, or a negative errno;
 * -EPERM: something of that name belongs to somebody else or is open to others. */
int gm_registry_folder(char *ret_path, size_t room);

/* Enters the calling process as the recorder of `file`, with a socket path of gm_registry_socket_path. */
int gm_registry_add(const char *folder, const char *file);
/* Takes the calling process's entry out. */
void gm_registry_remove(const char *folder);
/* folder/PID.sock of the calling process. */
int gm_registry_socket_path(const char *folder, char *ret_path, size_t room);

/* Calls back for each recorder that lives, in no order, until the callback returns false. Looks in
 * $XDG_RUNTIME_DIR and in /tmp. Returns how many were shown. */
int gm_registry_list(
    bool (*show)(void *context, const struct gm_registry_entry *entry), void *context);

/* Sends one line (without newline) to a control socket and waits up to timeout_ms for the one line that
 * answers. Returns the length of the answer, or a negative errno: -ECONNREFUSED, -ENOENT (gone), -ETIMEDOUT,
 * -EPROTO (no whole line, or longer than room). */
int gm_control_ask(
    const char *socket_path, const char *line, int timeout_ms, char *ret_answer, size_t room);

#endif
