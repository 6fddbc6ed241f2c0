/* answers.h - answers to FIND that need not be found again: a cache of libgeomem.
 *
 * An answer is of the moment at which it was found. It tells the latest change of any word of its query, and is good as long as
 * none of these words has changed since: no document with one of them has come or gone.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct geomem_cache;

/* 0 bytes: no cache, and *ret_cache is NULL, which the functions below take. */
int answers_open(size_t bytes, struct geomem_cache **ret_cache);
void answers_close(struct geomem_cache *cache);

/* NULL: there is none that is good. `changed`: the latest change of the query's words, as the index counts. */
struct text *answers_get(struct geomem_cache *cache, const struct text *query, uint64_t changed);
void answers_put(struct geomem_cache *cache, const struct text *query, uint64_t changed,
    const struct text *answer);

/* How often there was one, and how often not; and bytes. */
void answers_count(
    struct geomem_cache *cache, uint64_t *ret_hits, uint64_t *ret_misses, uint64_t *ret_bytes);

#endif
