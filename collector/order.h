/* order.h - one history out of many rings.
 *
 *   readers of all processes --[merge by stamp, up to the watermark]--> sink
 *
 * Each reader is in order by itself; the merge takes the one whose next stamp is smallest and stays
 * with it while it is. What has a stamp above the watermark waits: another ring may still bring
 * something earlier.
 *
 * Stamps of two processors can disagree by a little. It shows when an address is allocated that is
 * live, or freed that is not, and then the missing event stands near the front of another ring of
 * the process: the merge looks there, and takes that ring first up to it. So every address has a
 * history in which allocations and frees alternate, wherever the rings hold one.
 *
 * Nothing here knows of processes, blocks or shared memory: readers in, events out.
 */
#ifndef GM_COLLECTOR_ORDER_H
#define GM_COLLECTOR_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/decode.h"

struct gm_order_sink {
    void *arg;
    /* Takes the event. Unless `forced` it may refuse one that does not fit what is known of its
     * address (returns false, having changed nothing); it is then offered again, forced if nothing
     * was found. */
    bool (*event)(void *arg, struct gm_reader *reader, const struct gm_event *event, bool forced);
};

struct gm_order {
    struct gm_order_sink sink;
    uint64_t skew; /* ticks by which stamps of different processors may disagree */
    uint64_t watermark;
    struct gm_reader **heap; /* least stamp first */
    size_t n, room;
    uint64_t merged;   /* greatest stamp told so far */
    uint64_t late;     /* events told after one with a greater stamp */
    uint64_t repaired; /* events moved ahead of their stamp because their address asked for it */
    size_t looks_left; /* searches left in this run: bounds what a target with foreign frees can
                          cost */
    unsigned depth;    /* nesting of repairs */
    bool disturbed;    /* a repair moved readers on behind the heap's back */
};

void gm_order_init(struct gm_order *order, const struct gm_order_sink *sink, uint64_t skew_ticks);
void gm_order_done(struct gm_order *order);

/* Enters a reader for the next run, where it has anything. -ENOMEM. */
int gm_order_add(struct gm_order *order, struct gm_reader *reader, bool last);

/* Tells all events with a stamp up to the watermark, and leaves no reader entered. */
void gm_order_run(struct gm_order *order, uint64_t watermark);

#endif
