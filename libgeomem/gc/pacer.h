/* pacer.h - when to collect what.
 *
 * The nursery: a part of what lives, so that it does not dominate the footprint, but no more than can be collected within
 * the pause that is aimed at. A pause is measured as it goes: the part that a smaller nursery would not shorten (roots, pages
 * that were written to), and nanoseconds for each byte of nursery. Where the first part is large the pause may be longer, so
 * that a collection does as much for the nursery as for getting there.
 *
 * The old generation: collected when it has grown by
 *     extra = sqrt(live * growth / speed * TUNING_BYTES)
 * bytes over what lived after its last collection, where growth is bytes per second that become old, speed is bytes per second
 * that are marked: the rule that minimises the sum of all heaps' collector time for a given sum of memory (Kirisame, Shenoy and
 * Panchekha, "Optimal heap limits for reducing browser memory use", OOPSLA 2022, section 4). Between bounds.
 *
 * Where young collections do not pay, since most of the young live or most of the old was written to, full ones come instead,
 * with all of that growth as their nursery: as long as a stop for them is short. Each FULL_RUN of them the young are tried
 * again.
 *
 * The footprint is not to pass the program's limit, nor the room that a container leaves (pressure.h): the old generation grows to
 * four fifths of that, if what lives allows.
 *
 * While the old generation is marked in steps, they come so often that it grows by no more than a part meanwhile.
 *
 * Stands below cycle.h; knows no heap, only figures, so that a test can drive it.
 */
#ifndef GM_GC_PACER_H
#define GM_GC_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"

struct gm_pacer {
    _Atomic uint64_t
        allocated_bytes;            /* collected bytes handed out since the last young collection */
    _Atomic uint64_t young_bytes;   /* at which the next one comes */
    _Atomic uint64_t step_at_bytes; /* of allocated_bytes: when the next step is due */
    uint64_t old_bytes;             /* believed to be in the old generation */
    uint64_t live_bytes;            /* of it, after its last collection */
    uint64_t old_limit_bytes;       /* at which it is collected */
    uint64_t limit_bytes;           /* of the footprint: the program's; 0: none */
    uint64_t room_bytes;         /* of the footprint: what the container leaves; 0: all there is */
    uint64_t young_option_bytes; /* the program's wish; 0: none */
    /* Measured, as moving averages. */
    double pause_ns_per_byte;   /* of nursery, all parts of the pause */
    double fixed_ns;            /* the part of the pause that does not depend on the nursery */
    double young_ns_per_byte;   /* the part that does */
    double survival;            /* of the nursery's bytes */
    double growth_bytes_per_ns; /* of the old generation */
    double mark_bytes_per_ns;   /* of processor time */
    double pause_bytes_per_ns;  /* the same, of the pause */
    uint64_t old_since_ns;      /* when the old generation was last collected */
    bool full_only;             /* there is one generation */
    double
        live_growth; /* of live_bytes, from one collection of the old generation to the next; at least 1 */
    unsigned full_run; /* so many full collections before the next young one */
};

void gm_pacer_init(
    struct gm_pacer *pacer, const struct geomem_heap_options *options, uint64_t now_ns);
/* One more heap: limits add up, and there is none if one heap has none; a nursery that it wishes for is everybody's. */
void gm_pacer_add_heap(struct gm_pacer *pacer, const struct geomem_heap_options *options);
/* True if it may be time for something. */
bool gm_pacer_allocated(struct gm_pacer *pacer, size_t bytes);
bool gm_pacer_is_time(const struct gm_pacer *pacer);    /* for a young collection */
bool gm_pacer_wants_full(const struct gm_pacer *pacer); /* for a full one in its place */
bool gm_pacer_wants_old(const struct gm_pacer *pacer);  /* for one of the old generation */
bool gm_pacer_wants_step(const struct gm_pacer *pacer); /* of the one under way */

/* So much of what the container may use is the heaps' already, or nobody's. 0: it has no limit. */
void gm_pacer_set_room(struct gm_pacer *pacer, uint64_t room_bytes);

/* One generation, or two, from now on. */
void gm_pacer_set_full_only(struct gm_pacer *pacer, bool full_only);

/* `pause_ns`: of the young collection alone, in processor time. */
void gm_pacer_after_young(
    struct gm_pacer *pacer, const struct geomem_gc_cycle *cycle, uint64_t pause_ns);
/* `all`: nothing is left to be marked but what was written since: a young collection is to find that, soon. */
void gm_pacer_after_step(struct gm_pacer *pacer, bool all);
/* The whole heap, or the old generation, was marked: `marked_bytes` of it live; `old_bytes` with what has become old
 * meanwhile. It took `cpu_ns` of processor time by all who marked, `own_ns` by the thread that collected: with helpers the
 * pause is shorter than the work. */
void gm_pacer_after_old(struct gm_pacer *pacer, uint64_t old_bytes, uint64_t marked_bytes,
    uint64_t cpu_ns, uint64_t own_ns, uint64_t now_ns);
/* Before that, if it was a full one: did the young die in it? */
void gm_pacer_after_full(struct gm_pacer *pacer, const struct geomem_gc_cycle *cycle);

#endif
