/* store.h - the one place that writes a recording.
 *
 * The store owns the SQLite connection and a thread. The recorder's main thread fills a batch and
 * hands it over; while a batch is being written the next one fills. Every batch is one transaction.
 */
#ifndef GM_COLLECTOR_STORE_H
#define GM_COLLECTOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/batch.h"

struct gm_store;

/* The constant columns of table run. Strings are borrowed for the call. */
struct gm_store_run {
    const char *program, *command_json, *cwd, *options_json;
    int64_t start_utc_ns;
    uint64_t g_age_bytes[GM_GENERATIONS - 1];
    uint64_t memory_limit_bytes;   /* 0: none known */
    const char *memory_limit_kind; /* static; see collector/limits.h; NULL: none */
    uint64_t sample_bytes;         /* 0: every event is recorded */
    double sample_budget;          /* 0: none */
};

/* Where names come from; see symbols/client.h for what the fields mean. NULL where none are wanted.
 */
struct gm_symbols_options;

/* Creates the file (which must not exist), writes row run, starts the thread. With symbols, names
 * are resolved while recording, at low priority; without a worker program the recording goes on
 * without names (gm_store_names_message). On failure returns a negative errno and one line in
 * message, and leaves no file behind. */
int gm_store_open(const char *path, const struct gm_store_run *run,
    const struct gm_symbols_options *symbols, struct gm_store **ret_store, char *message,
    size_t message_bytes);

/* True when the store would take a batch at once. Main thread only, as all functions here. */
bool gm_store_ready(const struct gm_store *store);

/* Hands a filled batch over and gives back an empty one to fill next. Two batches go round: one is
 * the store's own, the other the one first handed over; when the store has closed, the caller's
 * `struct gm_batch` is its caller's again and the other one is gone. Blocks while the previous
 * batch is being written. Returns 0, or a negative errno once writing has failed for good (disk
 * full: -ENOSPC): the file then stays valid up to the last commit, and message() says what
 * happened; `full` stays the caller's). */
int gm_store_submit(struct gm_store *store, struct gm_batch *full, struct gm_batch **ret_empty);
const char *gm_store_message(const struct gm_store *store);

/* Why frames have no names: no worker program, or workers that fail; "" else. */
const char *gm_store_names_message(const struct gm_store *store);

struct gm_store_end {
    const char *stop_reason; /* as in column run.stop_reason */
    /* Asked last of all before the file is completed, with the CPU time of the symbol workers: what the recorder has
     * used, for the columns of run. May be NULL. */
    void (*used)(
        void *context, uint64_t workers_cpu_ns, uint64_t *ret_cpu_ns, uint64_t *ret_rss_bytes);
    /* Asked a few times a second while names are resolved, with how many frames are left: true ends
     * the waiting, and what is left can be resolved later. May be NULL. */
    bool (*give_up)(void *context, size_t frames_left);
    void *context;
};

/* Waits for everything handed over, resolves what names are left, sets state 'complete' with the
 * reason, leaves one file without -wal. What went wrong is then in message (empty:
 * nothing did). Frees the store, also on failure. NULL is allowed. Returns 0 or the first negative
 * errno. */
int gm_store_close(
    struct gm_store *store, const struct gm_store_end *end, char *message, size_t message_bytes);

#endif
