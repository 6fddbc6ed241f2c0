/* control.h - the recorder's control socket: one line in, one line of JSON out. The protocol: docs/control.md.
 *
 * Served by the main thread between two rounds of the recorder: nothing here waits for a client. A client that
 * sends too much or reads too little is closed.
 */
#ifndef GM_COLLECTOR_CONTROL_H
#define GM_COLLECTOR_CONTROL_H

#include <poll.h>
#include <stddef.h>

struct gm_control;

#define GM_CONTROL_CLIENTS 8 /* at once; one more takes the place of the most silent */
#define GM_CONTROL_FDS (GM_CONTROL_CLIENTS + 1)
#define GM_CONTROL_LINE 1024 /* longest line taken, with its newline */
#define GM_CONTROL_ANSWER 2048

/* Writes the answer to `line` (no newline at its end) into `answer`, without newline. */
typedef void gm_control_handler(void *context, const char *line, char answer[GM_CONTROL_ANSWER]);

/* Listens at `path` (0600, replaced if it is there). Returns 0 or a negative errno. */
int gm_control_create(
    const char *path, gm_control_handler *handler, void *context, struct gm_control **ret_control);
/* Takes NULL; removes the socket. */
void gm_control_free(struct gm_control *control);

/* What to poll for: always GM_CONTROL_FDS entries, unused ones with fd -1. control may be NULL. */
void gm_control_poll_for(const struct gm_control *control, struct pollfd fds[GM_CONTROL_FDS]);
/* The same entries after poll(2): takes in clients, answers lines. */
void gm_control_serve(struct gm_control *control, const struct pollfd fds[GM_CONTROL_FDS]);

#endif
