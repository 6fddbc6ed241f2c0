/* store_rows.h - the statements of the store: turns a batch into rows. Used by store.c only.
 *
 * The caller owns the connection and the transaction. All functions return an SQLite result code.
 */
#ifndef GM_COLLECTOR_STORE_ROWS_H
#define GM_COLLECTOR_STORE_ROWS_H

#include <sqlite3.h>

#include "collector/batch.h"
#include "collector/store.h"

struct gm_store_rows;

int gm_store_rows_create(sqlite3 *db, struct gm_store_rows **ret_rows);
void gm_store_rows_free(struct gm_store_rows *rows); /* takes NULL */

/* Row run, before everything else. */
int gm_store_rows_run(struct gm_store_rows *rows, const struct gm_store_run *run);

/* Everything in the batch. Call gm_store_rows_undo when the transaction was rolled back: the slices
 * of time then stand as before the batch. */
int gm_store_rows_batch(struct gm_store_rows *rows, const struct gm_batch *batch);
void gm_store_rows_undo(struct gm_store_rows *rows);

/* What is known only at the end. State 'complete' is for recordings that hold all they were given. */
int gm_store_rows_end(struct gm_store_rows *rows, bool complete, const char *stop_reason,
    uint64_t recorder_cpu_ns, uint64_t recorder_rss_bytes);

#endif
