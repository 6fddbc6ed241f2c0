/* doorman.h - lets targets in: a thread that accepts on the session socket, makes each target's
 * session and answers at once, so that the start of a program never waits for a drain or a commit.
 *
 *   target ──hello──▶ doorman ──newcomer──▶ main loop
 *          ◀─welcome─    (queued before the welcome leaves: so whoever reads a clock and then
 *                         empties the queue knows every target that wrote before that reading)
 *
 * Who a target is comes from the kernel (SO_PEERCRED, a pidfd, /proc), not from its hello.
 * Connections that say nothing, or nonsense, are dropped and counted.
 */
#ifndef GM_COLLECTOR_DOORMAN_H
#define GM_COLLECTOR_DOORMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/session.h"

#define GM_ANCESTORS_MAX 16

/* A process image that has just been given a session. */
struct gm_newcomer {
    struct gm_newcomer *next;
    struct gm_shared_session session;
    int pidfd;
    pid_t pid;
    uint64_t start_ticks;              /* of the process */
    uint32_t hello_kind;               /* enum gm_hello_kind */
    uint64_t parent_session_id;        /* as the target says */
    pid_t ancestors[GM_ANCESTORS_MAX]; /* parent first */
    size_t ancestor_count;
    char *exe;      /* path, never NULL */
    char *command;  /* JSON array of strings, never NULL */
    uint64_t stamp; /* clock when it knocked */
};
/* Frees it with its session and descriptor, as far as the taker has not set them to 0 and -1. NULL
 * is allowed. */
void gm_newcomer_free(struct gm_newcomer *newcomer);

struct gm_doorman;

/* Makes the folder and the socket; starts no thread. */
int gm_doorman_create(const struct gm_session_options *options, struct gm_doorman **ret_doorman);
/* Starts the thread. The first session, and any other for root_pid (if > 0), is a large one. */
int gm_doorman_start(struct gm_doorman *doorman, pid_t root_pid);
/* Stops the thread, removes socket and folder. NULL is allowed. */
void gm_doorman_free(struct gm_doorman *doorman);

const char *gm_doorman_path(const struct gm_doorman *doorman);
/* Readable while newcomers wait. */
int gm_doorman_event_fd(const struct gm_doorman *doorman);
/* All that wait, in order of arrival, or NULL. The list is the caller's. */
struct gm_newcomer *gm_doorman_take(struct gm_doorman *doorman);

/* A session of that size has been unmapped. */
void gm_doorman_session_gone(struct gm_doorman *doorman, size_t bytes);
/* True when nobody knocks or is being served; who has been served before is in the queue. */
bool gm_doorman_is_idle(struct gm_doorman *doorman);
/* From now on everyone is told to run unrecorded. */
void gm_doorman_close(struct gm_doorman *doorman);
uint32_t gm_doorman_refused(const struct gm_doorman *doorman); /* targets without a session */
uint32_t gm_doorman_bad_hellos(const struct gm_doorman *doorman);

#endif
