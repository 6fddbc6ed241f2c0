/* store_caches.h - the statements of the store for caches. Used by store_rows.c only.
 *
 * The caller owns the connection and the transaction. Functions return an SQLite result code.
 */
#ifndef GM_COLLECTOR_STORE_CACHES_H
#define GM_COLLECTOR_STORE_CACHES_H

#include <sqlite3.h>

#include "collector/batch.h"

struct gm_store_caches;

int gm_store_caches_create(sqlite3 *db, struct gm_store_caches **ret_caches);
void gm_store_caches_free(struct gm_store_caches *caches); /* takes NULL */

/* What the batch has of caches; interval_id: the open slice of time. */
int gm_store_caches_batch(
    struct gm_store_caches *caches, const struct gm_batch *batch, int64_t interval_id);

#endif
