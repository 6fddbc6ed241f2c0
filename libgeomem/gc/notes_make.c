/* notes_make.c - the program's side of notes: making, reading and dropping them. See notes.h and geomem/geomem.h. */
#include <errno.h>

#include "libgeomem/gc/notes_table.h"
#include "libgeomem/heap/block.h"

/* A block of some heap: an address in it, or its beginning only. */
static bool place_find(uintptr_t address, bool interior, struct gm_place *ret_place)
{
    enum gm_found found = gm_block_find(address, ret_place);
    return found == GM_FOUND_BLOCK || (interior && found == GM_FOUND_INSIDE);
}

/* Its heap calls gm_notes_forget when the program frees it, and the marker tells of it. */
static void place_set_noted(const struct gm_place *place)
{
    /* relaxed: read under the lock of notes, while the world is stopped, or by who frees the block */
    __atomic_fetch_or(place->state, GM_STATE_NOTED, __ATOMIC_RELAXED);
}

static bool place_is_young(const struct gm_place *place)
{
    return gm_state_is_young(__atomic_load_n(place->state, __ATOMIC_RELAXED));
}

static bool word_may_be_young(uintptr_t word)
{
    struct gm_place place;
    return word != 0 && place_find(word, true, &place) && place_is_young(&place);
}

/* Lock held. Target, holder and the rest are filled in. */
static void note_publish(
    uint32_t number, const struct gm_place *target, const struct gm_place *holder)
{
    struct gm_note *note = gm_note_at(number);
    bool young = place_is_young(target) || (holder != NULL && place_is_young(holder)) ||
                 word_may_be_young(note->value);
    gm_note_enter(number);
    gm_note_list_add(young ? GM_NOTES_YOUNG : GM_NOTES_OLD, number);
    place_set_noted(target);
    if (holder != NULL)
        place_set_noted(holder);
}

/* ---- finalizers ---- */

static uint32_t finalizer_find(uintptr_t block)
{
    uint32_t number = gm_note_by_target(block);
    while (number != 0 &&
           !(gm_note_at(number)->target == block && gm_note_at(number)->kind == GM_NOTE_FINALIZER))
        number = gm_note_at(number)->target_next;
    return number;
}

/* Lock held. A finalizer that was there goes; the new one, unless it is NULL, takes its place or is not made at all. */
static int finalizer_replace(uintptr_t block, const struct gm_place *place,
    geomem_finalizer *function, void *data, enum geomem_finalizer_order order,
    geomem_finalizer **ret_old_function, void **ret_old_data)
{
    uint32_t old = finalizer_find(block), number = 0;
    if (function != NULL) {
        int err = gm_note_new(GM_NOTE_FINALIZER, &number);
        if (err < 0)
            return err;
    }
    if (ret_old_function != NULL)
        *ret_old_function = old == 0 ? NULL : gm_note_at(old)->function;
    if (ret_old_data != NULL)
        *ret_old_data =
            old == 0 ? NULL : (void *)gm_note_at(old)->value; /* NOLINT: a word of the program's */
    if (old != 0)
        gm_note_remove(old);
    if (function == NULL)
        return 0;
    struct gm_note *note = gm_note_at(number);
    note->target = block;
    note->function = function;
    note->value = (uintptr_t)data;
    note->order = (uint8_t)order;
    note_publish(number, place, NULL);
    return 0;
}

int geomem_finalizer_set(void *block, geomem_finalizer *function, void *data,
    enum geomem_finalizer_order order, geomem_finalizer **ret_old_function, void **ret_old_data)
{
    struct gm_place place;
    if (!place_find((uintptr_t)block, false, &place) || !gm_state_is_collected(*place.state) ||
        (order != GEOMEM_FINALIZE_UNORDERED && order != GEOMEM_FINALIZE_TOPOLOGICAL))
        return -EINVAL;
    gm_notes_lock();
    int err = finalizer_replace(
        place.start, &place, function, data, order, ret_old_function, ret_old_data);
    gm_notes_unlock();
    return err;
}

/* ---- weak references and ephemerons ---- */

/* `value` 0 and kind weak, or an ephemeron's. The holder comes first: with the lock held nothing may be allocated. */
static int weak_make(enum gm_note_kind kind, uintptr_t target, uintptr_t value, bool is_long,
    struct geomem_weak **ret_weak)
{
    struct gm_place place, holder_place;
    if (!place_find(target, false, &place))
        return -EINVAL;
    struct geomem_weak *weak = geomem_heap_gc_alloc(
        (struct geomem_heap *)place.span->heap, sizeof(struct geomem_weak), 1, GEOMEM_YOUNG);
    if (weak == NULL)
        return -ENOMEM;
    atomic_init(&weak->target, target);
    atomic_init(&weak->value, value);
    if (!place_find((uintptr_t)weak, false, &holder_place))
        return -EINVAL;
    uint32_t number;
    gm_notes_lock();
    int err = gm_note_new(kind, &number);
    if (err == 0) {
        struct gm_note *note = gm_note_at(number);
        note->target = target;
        note->holder = holder_place.start;
        note->value = value;
        note->is_long = is_long;
        note_publish(number, &place, &holder_place);
    }
    gm_notes_unlock();
    if (err == 0)
        *ret_weak = weak;
    return err;
}

int geomem_weak_create(void *target, int survives_finalizer, struct geomem_weak **ret_weak)
{
    return weak_make(GM_NOTE_WEAK, (uintptr_t)target, 0, survives_finalizer != 0, ret_weak);
}

int geomem_ephemeron_create(void *key, void *value, struct geomem_weak **ret_ephemeron)
{
    return weak_make(GM_NOTE_EPHEMERON, (uintptr_t)key, (uintptr_t)value, true, ret_ephemeron);
}

/* A collection between the load and the return sees the pointer in a register; one before it has cleared the word. */
void *geomem_weak_get(struct geomem_weak *weak)
{
    return (void *)atomic_load_explicit(
        &weak->target, memory_order_relaxed); /* NOLINT: kept as a word */
}

/* The key first: once it is held the value cannot go. */
void *geomem_ephemeron_value(struct geomem_weak *ephemeron, void **ret_key)
{
    void *key = (void *)atomic_load_explicit(
        &ephemeron->target, memory_order_relaxed); /* NOLINT: as above */
    if (key == NULL)
        return NULL;
    void *value = (void *)atomic_load_explicit(
        &ephemeron->value, memory_order_relaxed); /* NOLINT: as above */
    if (ret_key != NULL)
        *ret_key = key;
    return value;
}

/* ---- links ---- */

/* The block of any heap that a word of memory lies in; its beginning, or 0. */
static uintptr_t link_holder(void **link, struct gm_place *ret_place)
{
    return place_find((uintptr_t)link, true, ret_place) ? ret_place->start : 0;
}

static uint32_t link_find(void **link, uintptr_t holder)
{
    uint32_t number = gm_note_by_holder(holder != 0 ? holder : (uintptr_t)link);
    while (number != 0 &&
           !(gm_note_at(number)->kind == GM_NOTE_LINK && gm_note_at(number)->link == link))
        number = gm_note_at(number)->holder_next;
    return number;
}

/* Lock held; a link that was there goes. */
static int link_set(void **link, const struct gm_place *target, bool is_long)
{
    struct gm_place holder_place;
    uintptr_t holder = link_holder(link, &holder_place);
    uint32_t number;
    int err = gm_note_new(GM_NOTE_LINK, &number);
    if (err < 0)
        return err;
    uint32_t old = link_find(link, holder);
    if (old != 0)
        gm_note_remove(old);
    struct gm_note *note = gm_note_at(number);
    note->target = target->start;
    note->holder = holder;
    note->link = link;
    note->is_long = is_long;
    note_publish(number, target, holder != 0 ? &holder_place : NULL);
    return 0;
}

int geomem_weak_link(void **link, void *target, int survives_finalizer)
{
    struct gm_place place;
    if (link == NULL || !place_find((uintptr_t)target, false, &place))
        return -EINVAL;
    gm_notes_lock();
    int err = link_set(link, &place, survives_finalizer != 0);
    gm_notes_unlock();
    return err;
}

static uint32_t link_find_any(void **link)
{
    struct gm_place holder_place;
    return link_find(link, link_holder(link, &holder_place));
}

/* Lock held. The note that goes leaves room for the new one, so that this cannot fail for want of memory. */
static int link_move(void **link, void **new_link)
{
    uint32_t number = link_find_any(link);
    if (number == 0)
        return -ENOENT;
    if (link == new_link)
        return 0;
    if (new_link == NULL)
        return -EINVAL;
    if (link_find_any(new_link) != 0)
        return -EEXIST;
    struct gm_place place;
    bool is_long = gm_note_at(number)->is_long;
    bool found = place_find(gm_note_at(number)->target, false, &place);
    gm_note_remove(number);
    return found ? link_set(new_link, &place, is_long) : -ENOENT;
}

int geomem_weak_move(void **link, void **new_link)
{
    gm_notes_lock();
    int err = link_move(link, new_link);
    gm_notes_unlock();
    return err;
}

int geomem_weak_unlink(void **link)
{
    gm_notes_lock();
    uint32_t number = link_find_any(link);
    if (number != 0)
        gm_note_remove(number);
    gm_notes_unlock();
    return number != 0 ? 0 : -ENOENT;
}

/* ---- blocks that the program frees ---- */

void gm_notes_forget(struct gm_heap *heap, void *block)
{
    (void)heap;
    uintptr_t start = (uintptr_t)block;
    gm_notes_lock();
    for (uint32_t number = gm_note_by_target(start), next; number != 0; number = next) {
        next = gm_note_at(number)->target_next;
        if (gm_note_at(number)->target != start)
            continue;
        gm_note_clear(gm_note_at(number));
        gm_note_remove(number);
    }
    for (uint32_t number = gm_note_by_holder(start), next; number != 0; number = next) {
        next = gm_note_at(number)->holder_next;
        if (gm_note_at(number)->holder == start)
            gm_note_remove(number);
    }
    gm_notes_unlock();
}
