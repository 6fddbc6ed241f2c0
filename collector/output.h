/* output.h - the file a recording goes to: its name, and whether it may be written. */
#ifndef GM_COLLECTOR_OUTPUT_H
#define GM_COLLECTOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* PROGRAM.PID.geomem, control characters made visible. */
void gm_output_default(const char *program, pid_t pid, char *ret_path, size_t room);

/* May `path` be created, or with force overwritten? A folder, a device or a recording whose recorder lives is
 * never overwritten. Returns 0, or a negative errno with one line in message: -EEXIST and -EISDIR are the
 * user's choice of name, anything else is trouble. */
int gm_output_check(const char *path, bool force, char *message, size_t message_bytes);

#endif
