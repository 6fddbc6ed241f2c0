/* collections.h - what a recorded program's collectors did: collections and their pauses, and what became of collected
 * blocks.
 *
 *   table gc_cycle    --> struct gm_gc: counts, pauses, phases, by kind; each row is looked at once
 *   table gc_interval --> struct gm_gc_generation: the collector's generations, as the recorder counted them
 *   table site_gc     --> struct gm_gc_sites
 *
 * A pause is one stop of the world. Of a collection that stopped it more than twice, or of several put together, only the
 * longest is known by itself: the others count as equal parts of the rest.
 */
#ifndef GM_ANALYZER_CORE_COLLECTIONS_H
#define GM_ANALYZER_CORE_COLLECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/generations.h"
#include "analyzer/core/recording.h"
#include "analyzer/core/timeline.h"
#include "schemas/wire.h"

struct gm_gc_cycle {
    uint32_t process_id;
    uint64_t heap, number;
    unsigned kind, trigger; /* codes of schemas/event_kinds.h; 0: not known */
    int64_t start_ns, end_ns;
    uint64_t collections; /* that are put together in this one: see table gc_cycle */
    uint64_t figures[GM_CYCLE_FIGURE_COUNT]; /* enum gm_cycle_figure */
};

/* The collections of processes that ended within from_ns..to_ns, after the one with this id, in that order, to `tell`.
 * A return below 0 ends it and is returned. */
int gm_gc_walk(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t after_id, int64_t from_ns, int64_t to_ns,
    int (*tell)(void *arg, int64_t id, const struct gm_gc_cycle *cycle), void *arg);

struct gm_pauses {
    struct gm_pause {
        uint64_t ns, count;
    } * v; /* ascending after gm_pauses_sort */
    size_t n, room;
    uint64_t count, sum_ns; /* of all */
};
void gm_pauses_sort(struct gm_pauses *pauses);
/* The least pause that is no shorter than `percent` of all, after gm_pauses_sort; 0 without any. */
uint64_t gm_pauses_percentile(const struct gm_pauses *pauses, double percent);

#define GM_GC_KINDS_ROOM 4    /* by code; 0: all together */
#define GM_GC_TRIGGERS_ROOM 6 /* by code */
#define GM_GC_LONGEST 5u
#define GM_GC_RECENT 64u /* more than a screen has lines; arbitrary */

struct gm_gc_of_kind {
    uint64_t collections, triggers[GM_GC_TRIGGERS_ROOM];
    uint64_t figures[GM_CYCLE_FIGURE_COUNT]; /* sums; of footprint_bytes the largest */
    struct gm_pauses pauses;
};

/* Zeroed memory is the start. */
struct gm_gc {
    struct gm_gc_of_kind kinds[GM_GC_KINDS_ROOM];
    struct gm_gc_cycle longest[GM_GC_LONGEST]; /* by their longest pause */
    size_t longest_count;
    struct gm_gc_cycle recent[GM_GC_RECENT]; /* the last ones, in a circle: see gm_gc_recent */
    uint64_t rows;                           /* of gc_cycle, read so far */
    int64_t last_id;                         /* of gc_cycle: read up to here */
};
/* Adds the collections that were not read yet, and sorts pauses. */
int gm_gc_read(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t from_ns, int64_t to_ns, struct gm_gc *gc);
void gm_gc_done(struct gm_gc *gc);
/* The i-th of the last collections, 0 the last of all; NULL: it is not kept, or there is none. */
const struct gm_gc_cycle *gm_gc_recent(const struct gm_gc *gc, size_t i);

struct gm_gc_sum {
    uint64_t blocks, bytes;
};
struct gm_gc_generation {
    struct gm_gc_sum born, died, freed, promoted, premature, nepotism; /* within the time */
    struct gm_gc_sum live;                                             /* at its end */
};
/* young, old */
int gm_gc_generations_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t from_ns, int64_t to_ns, struct gm_gc_generation ret_generations[static 2]);

struct gm_gc_site {
    uint32_t site_id, stack_id;
    struct gm_gc_sum born, died_young, died_old, freed, promoted, premature, nepotism;
};
struct gm_gc_sites {
    struct gm_gc_site *v; /* most promoted bytes first */
    size_t n;
};
/* Of the whole recording. */
int gm_gc_sites_load(struct gm_recording *recording, const struct gm_process_set *processes,
    struct gm_gc_sites *ret_sites);
void gm_gc_sites_done(struct gm_gc_sites *sites);

/* Whether the recording knows of any collected block or collection. */
int gm_gc_exists(struct gm_recording *recording, bool *ret_exists);

#endif
