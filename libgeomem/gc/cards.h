/* cards.h - old blocks that may point to young ones.
 *
 * A young collection takes these for roots:
 *   - pages of watched spans that were written to since they were armed (dirty.h);
 *   - cards that geomem_write has set, in spans with GM_SPAN_BARRIERED;
 *   - cards on which an old block was left pointing to a block that stayed young;
 *   - all old blocks of spans that were allocated from since the last collection and so are not watched. Of spans with
 *     GM_SPAN_BARRIERED too. That is no leave to store unreported into a block that has just been given out: it may be
 *     old after the next collection, and its span no longer looked at.
 *
 *   a span:  given to a thread ──► spans_young set, not watched ──► swept, owned by nobody ──► spans_young cleared, watched
 *                 ▲                                                                                     │
 *                 └───────────── allocated from again (unwatched by the heap's request) ◄───────────────┘
 *
 * The pages of a span that is allocated from are never watched: each would fault once for nothing.
 *
 * Stands between mark.h, sweep.h, dirty.h and cycle.h.
 */
#ifndef GM_GC_CARDS_H
#define GM_GC_CARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/gc/mark.h"

struct gm_dirty;
struct gm_heap;

struct gm_cards {
    struct gm_dirty *dirty; /* NULL: pages are not watched */
    struct gm_marker *marker;
    uint8_t live; /* the colour of old blocks that live */
    bool old_all; /* so do those of the other colour: their collection is under way, or not begun */
    /* While the old generation is marked in steps: what is looked at is looked at for pointers to young blocks, and noted, to
     * be looked at for those to old ones by gm_cards_scan_noted before the steps end, once for many young collections. */
    bool notes;
    uint64_t dirty_bytes; /* found written to, added up */
};

/* Pushes what the old blocks point to. World stopped, heap's lock held. The pages are armed again. */
void gm_cards_scan(struct gm_cards *cards, struct gm_heap *heap);
/* Notes the cards of [start, end), in one span. World stopped. */
void gm_cards_note(const struct gm_span *span, uintptr_t start, uintptr_t end);
/* Pushes what marked old blocks on noted pages point to, until the marker has something to do. True if there are none left. */
bool gm_cards_scan_noted(struct gm_cards *cards, struct gm_heap *heap);
/* Forgets what was written until now, unseen; pages are armed again. */
void gm_cards_forget(struct gm_cards *cards, struct gm_heap *heap);

/* The old blocks of a span, all of them; explicit ones that are roots. */
void gm_cards_scan_span(struct gm_cards *cards, const struct gm_span *span);

/* From now on the pages of these spans of the segment (a bit map by first slice) are watched: neighbours by one call. World
 * stopped. Returns those that cannot be. */
uint64_t gm_cards_watch(struct gm_cards *cards, struct gm_segment *segment, uint64_t spans);
/* Heap's lock held. */
void gm_cards_unwatch(struct gm_cards *cards, struct gm_span *span);

#endif
