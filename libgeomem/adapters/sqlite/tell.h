/* tell.h - one page cache of SQLite, as the recorder hears of it. A page is an entry, its number the key.
 *
 * Not thread-safe, like the cache itself. All but gm_tell_recorded only where that is true. */
#ifndef GM_ADAPTERS_SQLITE_TELL_H
#define GM_ADAPTERS_SQLITE_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "geomem/listener.h"

struct gm_tell {
    struct geomem_cache_state state;
    char name[64];
    uint64_t told_ns;
};

/* Whether this process is being recorded, by a recorder that knows of caches. */
bool gm_tell_recorded(void);
/* CLOCK_MONOTONIC */
uint64_t gm_tell_now(void);

void gm_tell_open(struct gm_tell *tell, const char *name, uint64_t page_bytes, uint64_t pages);
void gm_tell_resize(struct gm_tell *tell, uint64_t capacity_bytes);
void gm_tell_hit(struct gm_tell *tell, uint32_t page, uint32_t key_class, uint64_t bytes);
void gm_tell_miss(struct gm_tell *tell, uint32_t page, uint32_t key_class);
/* A page is in the cache now. */
void gm_tell_store(struct gm_tell *tell, uint32_t page, uint32_t key_class, uint64_t bytes);
/* It is not any more. */
void gm_tell_evict(struct gm_tell *tell, uint32_t page, enum geomem_cache_cause cause,
    uint64_t bytes, uint32_t hits, uint64_t age_ns);
void gm_tell_close(struct gm_tell *tell);

#endif
