/* control.h - requests to the recorder of a running recording; see docs/control.md. */
#ifndef GM_TUI_CONTROL_H
#define GM_TUI_CONTROL_H

#include <stddef.h>

#include "analyzer/core/run.h"

/* Sends `request`, followed by `argument` if that is not NULL, to the recorder of this run and waits up to a
 * second for its answer. Returns 0, or a negative errno and one line in message. */
int gm_control_request(const struct gm_run *run, const char *request, const char *argument,
    char *message, size_t message_bytes);

/* The file of the recording in which process `pid` is being recorded, or which recorder `pid` writes.
 * Returns 0, or -ESRCH if there is none. */
int gm_control_find_file(long pid, char *ret_file, size_t room);

#endif
