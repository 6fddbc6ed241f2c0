/* store_names.h - from the symbol workers' answers to rows of string, frame_line, frame and module.
 *
 * Used by the store while it records and by symbolize.c on a finished file. One thread at a time;
 * the caller owns the connection. Functions return SQLite result codes unless they say otherwise.
 */
#ifndef GM_COLLECTOR_STORE_NAMES_H
#define GM_COLLECTOR_STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "collector/symbols/client.h"
#include "schemas/wire.h"

struct gm_store_names;

/* Frames that stand for something left out, or lie in no file, have no name to be found. */
static inline bool gm_store_frame_has_name(uint32_t module_id, uint32_t flags)
{
    return module_id != 0 && !(flags & (GM_PC_CUT | GM_PC_LOST_ROOT));
}

/* Returns 0 or a negative errno: -ENOENT without a worker program. */
int gm_store_names_create(
    sqlite3 *db, const struct gm_symbols_options *options, struct gm_store_names **ret_names);
void gm_store_names_free(struct gm_store_names *names); /* takes NULL */

/* Make known and ask; what cannot be asked for stays unresolved. */
void gm_store_names_module(
    struct gm_store_names *names, uint32_t module_id, const char *path, const char *build_id);
void gm_store_names_request(struct gm_store_names *names, uint32_t frame_id, uint32_t module_id,
    uint64_t address, uint32_t flags);

/* Writes what is answered by now, or until timeout_ms are over or nothing is left, in one transaction. */
int gm_store_names_poll(struct gm_store_names *names, int timeout_ms);

/* While names are written, texts are found by an index; a finished file has no use for it. Returns an SQLite result. */
int gm_store_names_settle(sqlite3 *db);

/* Ends the workers; returns the CPU time they took. */
uint64_t gm_store_names_stop(struct gm_store_names *names);

/* Frames asked for and not answered; 0 also when no worker works any more. */
size_t gm_store_names_pending(const struct gm_store_names *names);
void gm_store_names_hurry(struct gm_store_names *names);
const char *gm_store_names_trouble(const struct gm_store_names *names);

#endif
