/* quarantine.c - freed blocks, oldest first, until enough others were freed. See checkers.h.
 *
 * They are GM_STATE_QUARANTINE: no allocation finds them, a collection passes them by, and a second free is told what it
 * is.
 */
#include <string.h>

#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/misuse.h"
#include "libgeomem/heap/span.h"

/* How long a block stays: so many frees, or bytes, whichever comes first. Arbitrary. */
#define QUARANTINE_BLOCKS 4096u
#define QUARANTINE_BYTES ((size_t)16 << 20)

struct gm_lock gm_quarantine_lock = {.rank = GM_RANK_QUARANTINE};
static struct gm_place waiting[QUARANTINE_BLOCKS]; /* a ring; span NULL: forgotten */
static uint32_t waiting_first, waiting_count;
static size_t waiting_bytes;

static void poison_fill(const struct gm_place *place)
{
    if (gm_checkers & GM_CHECKER_POISON)
        memset((void *)place->start, GM_POISON, place->bytes); /* NOLINT */
}

static void poison_verify(const struct gm_place *place)
{
    const unsigned char *block = (const unsigned char *)place->start; /* NOLINT */
    size_t at = 0;
    if (gm_checkers != GM_CHECKER_POISON)
        return;
    while (at < place->bytes && block[at] == GM_POISON)
        at++;
    if (at < place->bytes)
        gm_misuse_written(place, at);
}

/* Back to its span. */
static void place_let_go(const struct gm_place *place)
{
    if (place->span == NULL)
        return;
    poison_verify(place);
    __atomic_store_n(place->state, GM_STATE_FREE, __ATOMIC_RELEASE);
    gm_span_freed(place->span, NULL, 1);
}

/* The oldest, if there is no room for so many bytes more. */
static bool waiting_take(size_t bytes, struct gm_place *ret_oldest)
{
    if (waiting_count < QUARANTINE_BLOCKS && waiting_bytes + bytes <= QUARANTINE_BYTES)
        return false;
    *ret_oldest = waiting[waiting_first];
    waiting_first = (waiting_first + 1) % QUARANTINE_BLOCKS;
    waiting_count--;
    waiting_bytes -= ret_oldest->bytes;
    return true;
}

/* False: the oldest has come out instead, to be let go, and it is to be tried again. */
static bool waiting_put(const struct gm_place *place, struct gm_place *ret_oldest)
{
    gm_lock_acquire(&gm_quarantine_lock);
    bool put = !waiting_take(place->bytes, ret_oldest);
    if (put) {
        waiting[(waiting_first + waiting_count++) % QUARANTINE_BLOCKS] = *place;
        waiting_bytes += place->bytes;
    }
    gm_lock_release(&gm_quarantine_lock);
    return put;
}

void gm_quarantine_put(const struct gm_place *place)
{
    struct gm_place oldest;
    gm_checker_open_memory(place->start, place->bytes);
    poison_fill(place);
    __atomic_store_n(place->state, GM_STATE_QUARANTINE, __ATOMIC_RELEASE);
    gm_checker_tell_freed(place->start, place->bytes);
    if (place->bytes > QUARANTINE_BYTES / 4) {
        place_let_go(place);
        return;
    }
    while (!waiting_put(place, &oldest))
        place_let_go(&oldest);
}

void gm_quarantine_forget(const struct gm_heap *heap)
{
    gm_lock_acquire(&gm_quarantine_lock);
    for (uint32_t i = 0; i < waiting_count; i++) {
        struct gm_place *place = &waiting[(waiting_first + i) % QUARANTINE_BLOCKS];
        if (place->span != NULL && place->span->heap == heap)
            place->span = NULL;
    }
    gm_lock_release(&gm_quarantine_lock);
}
