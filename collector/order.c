/* order.c - see order.h. */
#include "collector/order.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_RECORDS 256u     /* how deep into another ring a missing event is looked for */
#define LOOKS_PER_RUN 100000u /* arbitrary: some 10 ms of searching at worst */
#define REPAIRS_MAX 4u        /* of one event */
#define REPAIR_DEPTH_MAX 8u   /* a chain of events that wait for each other over that many rings */

void gm_order_init(struct gm_order *order, const struct gm_order_sink *sink, uint64_t skew_ticks)
{
    *order = (struct gm_order){.sink = *sink, .skew = skew_ticks};
}

void gm_order_done(struct gm_order *order)
{
    free(order->heap);
    order->heap = NULL;
    order->n = order->room = 0;
}

static void heap_sift_down(struct gm_reader **heap, size_t n, size_t i)
{
    struct gm_reader *moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1]->stamp < heap[child]->stamp)
            child++;
        if (moved->stamp <= heap[child]->stamp)
            break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

int gm_order_add(struct gm_order *order, struct gm_reader *reader, bool last)
{
    if (!gm_reader_ready(reader, last))
        return 0;
    if (order->n == order->room) {
        size_t room = order->room ? order->room * 2 : 64;
        struct gm_reader **heap = reallocarray(order->heap, room, sizeof *heap);
        if (!heap)
            return -ENOMEM;
        order->heap = heap;
        order->room = room;
    }
    order->heap[order->n++] = reader;
    return 0;
}

static inline void order_note_stamp(struct gm_order *order, const struct gm_event *event)
{
    if (event->stamp >= order->merged)
        order->merged = event->stamp;
    else if (order->depth == 0 && order->merged - event->stamp > order->skew)
        order->late++;
}

static inline void order_tell(
    struct gm_order *order, struct gm_reader *reader, const struct gm_event *event);

/* Takes events of `reader` up to and including the one that brings `address` into the wanted state.
 */
static void order_advance(
    struct gm_order *order, struct gm_reader *reader, uint64_t address, bool want_alloc)
{
    struct gm_event event;
    for (size_t i = 0; i < 2 * LOOK_RECORDS && gm_reader_ready(reader, false); i++) {
        if (!gm_reader_take(reader, &event))
            continue;
        order_tell(order, reader, &event);
        bool allocates = event.kind == GM_EV_ALLOC && !event.died && event.address == address;
        if (want_alloc ? allocates : gm_event_frees(&event, address))
            return;
    }
}

/* The ring whose event for `address` comes first, no later than `until`. */
static struct gm_reader *order_look(struct gm_order *order, const struct gm_reader_group *group,
    uint64_t address, bool want_alloc, uint64_t until)
{
    struct gm_reader *first = NULL;
    for (uint32_t i = 0; i < group->count && order->looks_left > 0; i++) {
        struct gm_reader *reader = &group->readers[i];
        if (reader->held || gm_reader_left(reader) == 0)
            continue;
        order->looks_left--;
        uint64_t stamp = gm_reader_expects(reader, address, want_alloc, until, LOOK_RECORDS);
        if (stamp == UINT64_MAX)
            continue;
        first = reader;
        until = stamp - 1;
    }
    return first;
}

/* The event does not fit: an allocation of a live address lacks a free, a free of an unknown one an
 * allocation. Looks for it in the other rings of the process, and takes it first. */
static bool order_repair(
    struct gm_order *order, struct gm_reader *reader, const struct gm_event *event)
{
    bool want_alloc = event->kind == GM_EV_FREE;
    if (!reader->group || order->depth >= REPAIR_DEPTH_MAX)
        return false;
    reader->held = true; /* what follows in it must not overtake the event in hand */
    struct gm_reader *other =
        order_look(order, reader->group, event->address, want_alloc, event->stamp + order->skew);
    if (other) {
        order->depth++;
        order->repaired++;
        order->disturbed = true;
        order_advance(order, other, event->address, want_alloc);
        order->depth--;
    }
    reader->held = false;
    return other != NULL;
}

/* The sink has refused the event. */
static void order_insist(
    struct gm_order *order, struct gm_reader *reader, const struct gm_event *event)
{
    /* A repair may be undone by what it brought along: then there may be another. */
    for (unsigned i = 0; i < REPAIRS_MAX; i++)
        if (!order_repair(order, reader, event))
            break;
        else if (order->sink.event(order->sink.arg, reader, event, false))
            return;
    order->sink.event(order->sink.arg, reader, event, true);
}

static inline void order_tell(
    struct gm_order *order, struct gm_reader *reader, const struct gm_event *event)
{
    order_note_stamp(order, event);
    if (!order->sink.event(order->sink.arg, reader, event, false))
        order_insist(order, reader, event);
}

/* Takes events of the reader while they are the earliest. */
static void order_consume(struct gm_order *order, struct gm_reader *reader, uint64_t until)
{
    struct gm_event event;
    while (reader->stamp <= until) {
        if (gm_reader_take(reader, &event))
            order_tell(order, reader, &event);
        if (!gm_reader_ready(reader, false) || order->disturbed)
            return;
    }
}

/* The second smallest stamp, or the watermark where that is less. */
static uint64_t order_limit(const struct gm_order *order)
{
    uint64_t limit = order->watermark;
    for (size_t i = 1; i < 3 && i < order->n; i++)
        if (order->heap[i]->stamp < limit)
            limit = order->heap[i]->stamp;
    return limit;
}

/* Drops readers that have nothing left and restores the heap. */
static void order_heapify(struct gm_order *order)
{
    size_t kept = 0;
    for (size_t i = 0; i < order->n; i++)
        if (gm_reader_ready(order->heap[i], false))
            order->heap[kept++] = order->heap[i];
    order->n = kept;
    for (size_t i = kept / 2; i-- > 0;)
        heap_sift_down(order->heap, kept, i);
    order->disturbed = false;
}

void gm_order_run(struct gm_order *order, uint64_t watermark)
{
    order->watermark = watermark;
    order->looks_left = LOOKS_PER_RUN;
    order_heapify(order);
    while (order->n > 0 && order->heap[0]->stamp <= watermark) {
        struct gm_reader *reader = order->heap[0];
        order_consume(order, reader, order_limit(order));
        if (order->disturbed) {
            order_heapify(order);
            continue;
        }
        if (!gm_reader_ready(reader, false))
            order->heap[0] = order->heap[--order->n];
        if (order->n > 0)
            heap_sift_down(order->heap, order->n, 0);
    }
    order->n = 0;
}
