/* recording.h - an open recording, as all readers see it.
 *
 * Where it stands: recorder -> SQLite -> [recording -> run, sites, stacks, timeline, ...] ->
 * report, top.
 *
 * A recording may be read while it grows. Everything read between gm_recording_begin and
 * gm_recording_end belongs to one commit of the recorder, so that figures of different tables
 * agree. A program that follows a growing file calls gm_recording_changed (one pragma, no table is
 * touched), and begins anew if it did.
 *
 * Functions return 0 or a negative errno; gm_recording_message then holds one line, without
 * newline, that names the file. -EBADMSG says that the file is damaged. A recording and all that is
 * read from it belong to one thread at a time. The file is input: no value of it is trusted,
 * negative counts read as 0.
 */
#ifndef GM_ANALYZER_CORE_RECORDING_H
#define GM_ANALYZER_CORE_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gm_recording;

/* Opens the recording at `path`. On failure writes one line into message (message_bytes > 0). */
int gm_recording_open(
    const char *path, struct gm_recording **ret_recording, char *message, size_t message_bytes);

/* Opens the file anew, for a follower that has seen the recording complete: the recorder can make
 * one file of it only when no reader holds it. Names stay. Not between begin and end. On failure
 * the recording can only be closed. */
int gm_recording_reopen(struct gm_recording *recording);

/* Takes NULL. Frees also what gm_stack_load and gm_frame_name handed out. */
void gm_recording_close(struct gm_recording *recording);

/* Holds one state of the file until gm_recording_end. Nested calls are not allowed. */
int gm_recording_begin(struct gm_recording *recording);
void gm_recording_end(struct gm_recording *recording);

/* Says whether the file changed since the last gm_recording_begin. Not between begin and end. */
int gm_recording_changed(struct gm_recording *recording, bool *ret_changed);

const char *gm_recording_path(const struct gm_recording *recording);
const char *gm_recording_message(const struct gm_recording *recording);

#endif
