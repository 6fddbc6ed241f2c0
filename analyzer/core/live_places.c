/* live_places.c - see live_places.h. */
#include "analyzer/core/live_places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "analyzer/core/stack_runs.h"
#include "analyzer/core/stacks.h"
#include "analyzer/core/where.h"

/* Sites without final names that one update looks at again: arbitrary, about 2 ms of work. */
#define AGAIN_PER_UPDATE 256

static const struct gm_live_place place_no_stack = {.function = "[no stack]"};

/* ---- interning -------------------------------------------------------------------------------------- */

/* Names come from the recording's tables of texts, each of which has one address. */
static bool place_equal(const struct gm_live_place *a, const struct gm_live_place *b)
{
    return a->function == b->function && a->file == b->file && a->module == b->module &&
           a->line == b->line;
}

static size_t place_hash(const struct gm_live_place *p)
{
    uint64_t h = (uintptr_t)p->function * 0x9e3779b97f4a7c15ull;
    h = (h ^ (h >> 29) ^ (uintptr_t)p->file) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ (h >> 32) ^ (uintptr_t)p->module ^ p->line) * 0x94d049bb133111ebull;
    return (size_t)(h ^ (h >> 31));
}

static uint32_t *places_slot(struct gm_live_places *places, const struct gm_live_place *p)
{
    size_t mask = places->slot_room - 1;
    for (size_t i = place_hash(p) & mask;; i = (i + 1) & mask)
        if (places->slots[i] == 0 || place_equal(&places->v[places->slots[i] - 1], p))
            return &places->slots[i];
}

static bool places_grow(struct gm_live_places *places)
{
    size_t room = places->room ? places->room * 2 : 256;
    struct gm_live_place *v = realloc(places->v, room * sizeof *v);
    if (!v)
        return false;
    places->v = v;
    uint32_t *slots = calloc(room * 2, sizeof *slots);
    if (!slots)
        return false;
    free(places->slots);
    places->room = room;
    places->slots = slots;
    places->slot_room = room * 2;
    for (size_t i = 0; i < places->n; i++)
        *places_slot(places, &places->v[i]) = (uint32_t)i + 1;
    return true;
}

static int places_intern(struct gm_recording *rec, struct gm_live_places *places,
    const struct gm_live_place *p, uint32_t *ret)
{
    if (places->n == places->room && !places_grow(places))
        return gm_recording_fail(rec, SQLITE_NOMEM);
    uint32_t *slot = places_slot(places, p);
    if (*slot == 0) {
        places->v[places->n++] = *p;
        *slot = (uint32_t)places->n;
    }
    *ret = *slot - 1;
    return 0;
}

/* ---- finding ---------------------------------------------------------------------------------------- */

struct place_search {
    struct gm_live_place place;
    enum gm_frame_class best;
    bool final; /* no name on the way is still to come */
};

static int search_frame(struct gm_recording *rec, uint32_t frame_id, struct place_search *search)
{
    const struct gm_frame *v = NULL;
    size_t n = 0;
    int r = gm_frame_load(rec, frame_id, &v, &n);
    for (size_t i = 0; r == 0 && i < n && search->best != GM_FRAME_MINE; i++) {
        enum gm_frame_class class = gm_frame_classify(&v[i]);
        search->final = search->final && v[i].named;
        if (class < search->best) {
            search->best = class;
            search->place = (struct gm_live_place){
                v[i].function, v[i].file, v[i].module, v[i].line, v[i].named};
        }
    }
    return r;
}

static int search_stack(struct gm_recording *rec, struct gm_stack_runs *runs, uint32_t stack_id,
    struct place_search *search)
{
    int r = 0;
    for (int i = 0; r == 0 && stack_id && i < GM_STACK_MAX_NODES && search->best != GM_FRAME_MINE;
         i++) {
        uint32_t parent_id, frame_id;
        if (!gm_stack_runs_find(runs, stack_id, &parent_id, &frame_id))
            break;
        r = search_frame(rec, frame_id, search);
        stack_id = parent_id < stack_id ? parent_id : 0; /* else damaged, and could go in circles */
    }
    return r < 0 ? r : runs->query.error;
}

static int places_find(struct gm_recording *rec, struct gm_live_places *places,
    struct gm_stack_runs *runs, const struct gm_site *site, size_t index)
{
    struct place_search search = {
        .place = place_no_stack, .best = GM_FRAME_ALLOCATOR + 1, .final = true};
    int r = search_stack(rec, runs, site->stack_id, &search);
    if (r == 0)
        r = places_intern(rec, places, &search.place, &places->site_place[index]);
    if (r == 0)
        places->site_final[index] = search.final;
    return r;
}

static int places_reserve(struct gm_recording *rec, struct gm_live_places *places, size_t n)
{
    if (n <= places->site_room)
        return 0;
    size_t room = n + n / 2 + 64;
    uint32_t *site_place = realloc(places->site_place, room * sizeof *site_place);
    if (!site_place)
        return gm_recording_fail(rec, SQLITE_NOMEM);
    places->site_place = site_place;
    uint8_t *site_final = realloc(places->site_final, room);
    if (!site_final)
        return gm_recording_fail(rec, SQLITE_NOMEM);
    places->site_final = site_final;
    places->site_room = room;
    return 0;
}

/* Sites that already had a place go round in turn, so that a long list of nameless ones stays cheap. */
static int places_look_again(struct gm_recording *rec, struct gm_live_places *places,
    struct gm_stack_runs *runs, const struct gm_sites *sites, size_t known)
{
    int r = 0;
    size_t looked = 0;
    for (size_t i = 0; r == 0 && i < known && looked < AGAIN_PER_UPDATE; i++) {
        places->cursor = places->cursor + 1 < known ? places->cursor + 1 : 0;
        if (places->site_final[places->cursor])
            continue;
        r = places_find(rec, places, runs, &sites->v[places->cursor], places->cursor);
        looked++;
    }
    return r;
}

int gm_live_places_update(
    struct gm_recording *recording, struct gm_live_places *places, const struct gm_sites *sites)
{
    struct gm_stack_runs runs;
    size_t known = places->site_count;
    int r = places_reserve(recording, places, sites->n);
    if (r < 0)
        return r;
    r = gm_stack_runs_open(recording, &runs);
    if (r == 0)
        r = places_look_again(recording, places, &runs, sites, known < sites->n ? known : sites->n);
    for (size_t i = known; r == 0 && i < sites->n; i++)
        r = places_find(recording, places, &runs, &sites->v[i], i);
    if (r == 0)
        places->site_count = sites->n;
    int closed = gm_stack_runs_close(&runs);
    return r < 0 ? r : closed;
}

void gm_live_places_done(struct gm_live_places *places)
{
    free(places->v);
    free(places->slots);
    free(places->site_place);
    free(places->site_final);
    *places = (struct gm_live_places){0};
}
