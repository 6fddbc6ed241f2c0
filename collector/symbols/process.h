/* process.h - one geomem-symbolize process as the client sees it: start, priority, bytes in and
 * out, end.
 *
 * The process gets one end of a socket pair as its standard input and no other descriptor of ours.
 * It stands in a process group of its own, so that Ctrl-C at the terminal does not end it before
 * its work is done, and is the out-of-memory killer's first choice. Closing the socket ends it.
 */
#ifndef GM_COLLECTOR_SYMBOLS_PROCESS_H
#define GM_COLLECTOR_SYMBOLS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "collector/symbols/protocol.h"

struct gm_symworker {
    pid_t pid; /* 0: not running */
    int pidfd; /* the pid may be reaped by others and used again; this cannot */
    int fd;
    bool idle_priority;
    uint64_t cpu_ns;                 /* of all processes that have ended here */
    struct gm_symmsg_buffer in, out; /* kept from one process to the next */
};

/* Starts the program argv[0] with argv. Returns 0 or a negative errno. */
int gm_symworker_start(
    struct gm_symworker *worker, char *const *argv, bool idle_priority, bool keep_stderr);
/* Kills it if need be and releases all but the buffers' memory. Returns its wait status, or -1 if
 * unknown. */
int gm_symworker_stop(struct gm_symworker *worker);
/* Stops it and frees the buffers. */
void gm_symworker_done(struct gm_symworker *worker);

/* Gives an idle-priority process normal priority. Returns 0, or -EPERM when the system does not let
 * an ordinary user do so: then it must be replaced by a new one. */
int gm_symworker_raise(struct gm_symworker *worker);

/* Sends of worker->out what the socket takes. Returns 0, or a negative errno when the process is
 * gone. */
int gm_symworker_send(struct gm_symworker *worker);
/* Adds to worker->in what has arrived. Returns 0, -EPIPE when the process is gone, -ENOMEM. */
int gm_symworker_receive(struct gm_symworker *worker);

#endif
