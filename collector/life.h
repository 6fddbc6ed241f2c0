/* life.h - lifetime histograms as they stand in site_row.life_bytes and site_row.life_ns.
 *
 * The stored form is short JSON, [[bucket,blocks],...] by rising bucket, so that SQL can read it
 * with json_each; the bucket alone, an integer, where all that the site freed is in one. It is merged inside SQLite by a function of our own: reading the old text out,
 * adding and writing it back in C would take two statements per site and commit.
 */
#ifndef GM_COLLECTOR_LIFE_H
#define GM_COLLECTOR_LIFE_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "collector/batch.h"

/* What one batch adds to one histogram: those of the n entries that are of this unit. */
struct gm_life_delta {
    const struct gm_life *v;
    size_t n;
    uint8_t unit;
    uint64_t
        frees; /* of the batch: what the entries add up to, but for rounding in a sampled recording */
};
#define GM_LIFE_POINTER "gm_life_delta" /* type name for sqlite3_bind_pointer */

/* Registers gm_life_merge(old, delta_pointer, blocks freed before): the sum as it is stored. */
int gm_life_register(sqlite3 *db);

/* Adds what `text` (may be NULL) holds to blocks[GM_LIFE_BUCKETS]; stops at the first thing that
 * does not belong. */
void gm_life_parse(const char *text, uint64_t blocks[GM_LIFE_BUCKETS]);

/* Room for every bucket with the largest counts: [bb,20 digits], each. */
#define GM_LIFE_TEXT_ROOM (GM_LIFE_BUCKETS * 26 + 3)
/* Writes the text; returns its length, 0 if all buckets are empty. */
size_t gm_life_print(const uint64_t blocks[GM_LIFE_BUCKETS], char out[GM_LIFE_TEXT_ROOM]);

/* A histogram as it is stored: by its length a text, or one bucket (-1), or NULL (0). */
struct gm_life_value {
    int length, bucket;
    char text[GM_LIFE_TEXT_ROOM];
};
/* That of a site's first batch. */
void gm_life_first(const struct gm_life_delta *delta, struct gm_life_value *ret_value);

#endif
