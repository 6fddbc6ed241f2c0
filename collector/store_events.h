/* store_events.h - the full log of events on its way into table event_chunk. Used by store.c only, on its thread.
 *
 *   batch.events --take--> the open chunk --full--> chunks to be written --write--> rows
 *
 * The last chunk is open until it is full. Each batch writes it as far as it has come, over the row that the batch
 * before wrote of it: so what is committed holds every event told up to then, and still no chunk but the last is small.
 */
#ifndef GM_COLLECTOR_STORE_EVENTS_H
#define GM_COLLECTOR_STORE_EVENTS_H

#include <sqlite3.h>

#include "collector/batch.h"

struct gm_store_events;

/* -ENOMEM. */
int gm_store_events_create(sqlite3 *db, struct gm_store_events **ret_events);
void gm_store_events_free(struct gm_store_events *events); /* takes NULL */

/* Takes the batch's events in; outside of a transaction, as it takes its time. 0 or -ENOMEM. */
int gm_store_events_take(struct gm_store_events *events, const struct gm_batch *batch);

/* Writes what was taken in since the last gm_store_events_written, within the caller's transaction; may be called again
 * when that was rolled back. Returns an SQLite result code. */
int gm_store_events_write(struct gm_store_events *events);
void gm_store_events_written(struct gm_store_events *events);

#endif
