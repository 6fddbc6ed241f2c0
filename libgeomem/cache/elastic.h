/* elastic.h - see elastic.c; for tests. */
#ifndef GM_CACHE_ELASTIC_H
#define GM_CACHE_ELASTIC_H

#include "libgeomem/cache/cache.h"
#include "libgeomem/cache/pressure.h"

/* What is done once in a second, with what the witnesses say. No lock held. */
void gm_caches_react(const struct gm_pressure *pressure);

#endif
