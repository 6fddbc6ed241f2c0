/* live_places.h - the place of each site, found once; for live.c only.
 *
 * The stack of a site is walked from the leaf until the function to show is found, mostly one or two
 * nodes. Sites whose names were not known yet are looked at again, a few at a time, as the file grows.
 */
#ifndef GM_ANALYZER_CORE_LIVE_PLACES_H
#define GM_ANALYZER_CORE_LIVE_PLACES_H

#include "analyzer/core/live.h"

struct gm_live_places {
    struct gm_live_place *v;
    size_t n, room;
    uint32_t *slots; /* hash table of index + 1, by the fields of a place */
    size_t slot_room;
    uint32_t *site_place; /* by index in gm_sites */
    uint8_t *site_final;  /* names will not change any more */
    size_t site_count, site_room;
    size_t cursor; /* next site to look at again */
};

/* Finds places for new sites, and again for some whose names were not final. Between begin and end. */
int gm_live_places_update(
    struct gm_recording *recording, struct gm_live_places *places, const struct gm_sites *sites);
void gm_live_places_done(struct gm_live_places *places);

#endif
