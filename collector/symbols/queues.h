/* queues.h - inside the symbol client: modules, their queues, and which worker has what.
 *
 *   module: queue of requests --batch--> slot of a worker --answers--> handler
 *
 * Rules: a module is with at most one worker at a time, and a worker reads one module at a time, so that a
 * worker's death names the module that caused it. A request is in its module's queue or in one slot's batch,
 * and is counted in pending until the handler has seen it.
 */
#ifndef GM_COLLECTOR_SYMBOLS_QUEUES_H
#define GM_COLLECTOR_SYMBOLS_QUEUES_H

#include <limits.h>

#include "collector/symbols/client.h"
#include "collector/symbols/process.h"
#include "collector/symbols/protocol.h"

#define GM_SYMBOLS_MAX_WORKERS 16
#define GM_SYMBOLS_SOURCE_UNKNOWN (-1)

struct request {
    uint64_t address;
    uint32_t frame_id;
    bool exact_pc;
};

struct module {
    char *path, *build_id;
    struct request *queue; /* queue[first .. end) wait */
    size_t first, end, room;
    int source; /* enum gm_symbols_source as told to the handler, or GM_SYMBOLS_SOURCE_UNKNOWN */
    int last_worker; /* has its file open, perhaps; -1: none */
    bool listed;     /* in gm_symbols.ready */
    bool busy;       /* with a worker */
    bool dead;       /* killed a worker */
};

struct slot {
    struct gm_symworker process;
    bool greeted;
    uint32_t module_id; /* 0: has no work */
    bool begun;         /* with it */
    struct request batch[GM_SYMMSG_MAX_BATCH];
    bool answered[GM_SYMMSG_MAX_BATCH];
    size_t batch_count, batch_left;
};

struct gm_symbols {
    char *worker_path, **argv;
    bool keep_stderr, hurried;
    struct slot *slots;
    unsigned slot_count;
    struct module **modules; /* by id; NULL: not known */
    size_t module_room;
    uint32_t *ready; /* ids of modules with a queue */
    size_t ready_count, ready_room;
    size_t pending, answered; /* answered: within this poll */
    bool buried;              /* a worker died: its work is to be given anew before we wait */
    unsigned idle_deaths;
    int failed; /* negative errno: no worker works */
    char message[PATH_MAX + 128];
};

/* Keeps the reason why no worker can be used, in s->failed and s->message. */
void gm_symbols_fail(struct gm_symbols *s, int error, const char *what);
/* Answers everything that waits for a module that killed its worker: without names. */
void gm_symbols_give_up(
    struct gm_symbols *s, const struct gm_symbols_handler *handler, uint32_t module_id);
/* Takes unanswered work back from a worker that did nothing wrong. */
void gm_symbols_recall(struct gm_symbols *s, struct slot *slot);
/* Sends and receives with every worker, calls back, and buries the dead. */
void gm_symbols_serve(struct gm_symbols *s, const struct gm_symbols_handler *handler);

#endif
