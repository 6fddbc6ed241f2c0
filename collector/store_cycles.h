/* store_cycles.h - the statements of the store for collections. Used by store_rows.c only.
 *
 * A daemon collects for weeks, so old rows are thinned out: from some 20,000 on, all but the last 8,192 are put together
 * two by two, those of one process, kind and cause. A row that has been there for long stands for many collections,
 * and sums over rows stay what they were.
 *
 * The caller owns the connection and the transaction. Functions return an SQLite result code.
 */
#ifndef GM_COLLECTOR_STORE_CYCLES_H
#define GM_COLLECTOR_STORE_CYCLES_H

#include <sqlite3.h>

#include "collector/batch.h"

#define GM_CYCLES_WHOLE 8192u /* the last ones, row by row */
#define GM_CYCLES_THIN_AFTER \
    4096u /* rows, before the next look at how many there are; both arbitrary */

struct gm_store_cycles;

int gm_store_cycles_create(sqlite3 *db, struct gm_store_cycles **ret_cycles);
void gm_store_cycles_free(struct gm_store_cycles *cycles); /* takes NULL */

int gm_store_cycles_batch(struct gm_store_cycles *cycles, const struct gm_batch *batch);

#endif
