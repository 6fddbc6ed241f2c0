/* notes.c - what a collection does with the notes: see notes.h.
 *
 * The fixpoint of ephemerons is reached without looking at any of them twice for each of its two blocks: a block that
 * has notes, and is marked while the notes are processed, comes into a queue (gm_notes_reached), and its own chains are
 * looked through then. So the work is linear in notes, and in what they keep.
 */
#include "libgeomem/gc/notes.h"

#include "libgeomem/gc/notes_finalizer.h"
#include "libgeomem/gc/notes_table.h"
#include "libgeomem/heap/block.h"

/* Blocks reached, to be looked up. */
static struct {
    _Atomic bool active;
    _Atomic uint32_t in;
    uint32_t out;
} reached;

void gm_notes_reached(uintptr_t block)
{
    /* relaxed: the queue is opened and emptied by the thread that asks others to mark */
    if (!atomic_load_explicit(&reached.active, memory_order_relaxed))
        return;
    uint32_t at = atomic_fetch_add_explicit(&reached.in, 1, memory_order_relaxed);
    if (at < 2 * gm_notes_table.capacity)
        gm_notes_table.queue[at] = block;
}

static bool block_is_live(struct gm_notes_tracer *tracer, uintptr_t block)
{
    return block == 0 || tracer->is_live(tracer, block);
}

/* An ephemeron's value, or a finalizer's data, is kept if the blocks that it depends on are. */
static void note_resolve(const struct gm_note *note, struct gm_notes_tracer *tracer)
{
    if ((note->kind == GM_NOTE_EPHEMERON || note->kind == GM_NOTE_FINALIZER) && note->value != 0 &&
        tracer->is_live(tracer, note->target) && block_is_live(tracer, note->holder))
        tracer->mark(tracer, note->value);
}

static void block_resolve(uintptr_t block, struct gm_notes_tracer *tracer)
{
    for (uint32_t n = gm_note_by_target(block); n != 0; n = gm_note_at(n)->target_next)
        if (gm_note_at(n)->target == block)
            note_resolve(gm_note_at(n), tracer);
    for (uint32_t n = gm_note_by_holder(block); n != 0; n = gm_note_at(n)->holder_next)
        if (gm_note_at(n)->holder == block)
            note_resolve(gm_note_at(n), tracer);
}

static void list_resolve(uint32_t number, struct gm_notes_tracer *tracer)
{
    for (; number != 0; number = gm_note_at(number)->next)
        note_resolve(gm_note_at(number), tracer);
}

/* Marks all that what is marked keeps, by pointers or by notes. */
static void settle(struct gm_notes_tracer *tracer)
{
    for (;;) {
        tracer->drain(tracer);
        uint32_t in = atomic_load_explicit(&reached.in, memory_order_relaxed);
        uint32_t capacity = 2 * gm_notes_table.capacity;
        if (in > capacity) { /* not with a marker that marks each block once */
            list_resolve(gm_notes_table.young.first, tracer);
            list_resolve(gm_notes_table.old.first, tracer);
            in = capacity;
        }
        if (reached.out == in)
            break;
        while (reached.out < in)
            block_resolve(gm_notes_table.queue[reached.out++], tracer);
        reached.out = 0;
        atomic_store_explicit(&reached.in, 0, memory_order_relaxed);
    }
}

/* ---- generations ---- */

/* May the word speak of a young block? */
static bool word_is_young(uintptr_t word)
{
    struct gm_place place;
    return word != 0 && gm_block_find(word, &place) >= GM_FOUND_INSIDE &&
           gm_state_is_young(*place.state);
}

static bool note_is_young(const struct gm_note *note)
{
    return word_is_young(note->target) || word_is_young(note->holder) || word_is_young(note->value);
}

/* Notes that speak of old blocks only go over to the old list: what the last collection promoted. */
static void young_sort(void)
{
    for (uint32_t number = gm_notes_table.young.first, next; number != 0; number = next) {
        next = gm_note_at(number)->next;
        if (note_is_young(gm_note_at(number)))
            continue;
        gm_note_list_remove(number);
        gm_note_list_add(GM_NOTES_OLD, number);
    }
    while (gm_notes_table.due_young != 0 && !note_is_young(gm_note_at(gm_notes_table.due_young)))
        gm_notes_table.due_young = gm_note_at(gm_notes_table.due_young)->next;
}

/* ---- the steps ---- */

static void note_clear(struct gm_note *note, struct gm_notes_figures *figures)
{
    gm_note_clear(note);
    figures->cleared++;
}

static bool note_is_short(const struct gm_note *note)
{
    return (note->kind == GM_NOTE_WEAK || note->kind == GM_NOTE_LINK) && !note->is_long;
}

/* Step 2, and the finalizers of dead targets, taken off the list: linked by `next`, newest last. */
static struct gm_notes_ends list_clear_short(
    uint32_t first, struct gm_notes_tracer *tracer, struct gm_notes_figures *figures)
{
    struct gm_notes_ends dead = {0, 0};
    for (uint32_t number = first, next; number != 0; number = next) {
        struct gm_note *note = gm_note_at(number);
        next = note->next;
        figures->looked_at++;
        if (!(note_is_short(note) || note->kind == GM_NOTE_FINALIZER) ||
            tracer->is_live(tracer, note->target))
            continue;
        if (note->kind == GM_NOTE_FINALIZER) {
            gm_note_list_remove(number);
            note->next = 0;
            if (dead.last != 0)
                gm_note_at(dead.last)->next = number;
            else
                dead.first = number;
            dead.last = number;
        } else {
            note_clear(note, figures);
            gm_note_remove(number);
        }
    }
    return dead;
}

static void finalizer_make_due(
    uint32_t number, struct gm_notes_tracer *tracer, struct gm_notes_figures *figures)
{
    struct gm_note *note = gm_note_at(number);
    note->kind = GM_NOTE_DUE;
    gm_note_list_add(GM_NOTES_DUE, number);
    tracer->mark(tracer, note->target);
    if (note->value != 0)
        tracer->mark(tracer, note->value);
    figures->due++;
}

/* Step 3. Returns the topological ones. */
static uint32_t finalizers_unordered(
    uint32_t first, struct gm_notes_tracer *tracer, struct gm_notes_figures *figures)
{
    uint32_t topological = 0;
    for (uint32_t number = first, next; number != 0; number = next) {
        struct gm_note *note = gm_note_at(number);
        next = note->next;
        if (note->order == GEOMEM_FINALIZE_UNORDERED) {
            finalizer_make_due(number, tracer, figures);
        } else {
            note->next = topological;
            topological = number;
        }
    }
    settle(tracer);
    return topological;
}

/* Step 4. What a block points to is marked before it is decided on any of them, so that no order among them matters. Data is
 * not: it belongs to the finalizer and not to the block. */
static void finalizers_topological(
    uint32_t first, struct gm_notes_tracer *tracer, struct gm_notes_figures *figures)
{
    for (uint32_t number = first; number != 0; number = gm_note_at(number)->next)
        if (!tracer->is_live(tracer, gm_note_at(number)->target))
            tracer->mark_children(tracer, gm_note_at(number)->target);
    settle(tracer);
    uint32_t dead = 0;
    for (uint32_t number = first, next; number != 0; number = next) {
        struct gm_note *note = gm_note_at(number);
        next = note->next;
        if (tracer->is_live(tracer, note->target)) {
            gm_note_list_add(GM_NOTES_YOUNG, number);
        } else {
            note->next = dead;
            dead = number;
        }
    }
    for (uint32_t number = dead, next; number != 0; number = next) {
        next = gm_note_at(number)->next;
        finalizer_make_due(number, tracer, figures);
    }
    settle(tracer);
}

/* Step 5. */
static void list_clear_rest(
    uint32_t first, struct gm_notes_tracer *tracer, struct gm_notes_figures *figures)
{
    for (uint32_t number = first, next; number != 0; number = next) {
        struct gm_note *note = gm_note_at(number);
        next = note->next;
        bool target_is_dead = !tracer->is_live(tracer, note->target);
        if (target_is_dead)
            note_clear(note, figures);
        if (target_is_dead || !block_is_live(tracer, note->holder))
            gm_note_remove(number);
    }
}

static struct gm_notes_ends ends_join(struct gm_notes_ends a, struct gm_notes_ends b)
{
    if (a.first == 0)
        return b;
    if (b.first == 0)
        return a;
    gm_note_at(a.last)->next = b.first;
    return (struct gm_notes_ends){a.first, b.last};
}

static void notes_steps(struct gm_notes_tracer *tracer, struct gm_notes_figures *figures)
{
    young_sort();
    list_resolve(gm_notes_table.young.first, tracer);
    if (tracer->full)
        list_resolve(gm_notes_table.old.first, tracer);
    settle(tracer);
    struct gm_notes_ends dead = list_clear_short(gm_notes_table.young.first, tracer, figures);
    if (tracer->full)
        dead = ends_join(dead, list_clear_short(gm_notes_table.old.first, tracer, figures));
    if (dead.first != 0) {
        uint32_t topological = finalizers_unordered(dead.first, tracer, figures);
        if (topological != 0)
            finalizers_topological(topological, tracer, figures);
    }
    list_clear_rest(gm_notes_table.young.first, tracer, figures);
    if (tracer->full)
        list_clear_rest(gm_notes_table.old.first, tracer, figures);
}

void gm_notes_roots(struct gm_notes_tracer *tracer)
{
    uint32_t number = tracer->full ? gm_notes_table.due.first : gm_notes_table.due_young;
    for (; number != 0; number = gm_note_at(number)->next) {
        tracer->mark(tracer, gm_note_at(number)->target);
        if (gm_note_at(number)->value != 0)
            tracer->mark(tracer, gm_note_at(number)->value);
    }
}

void gm_notes_process(struct gm_notes_tracer *tracer, struct gm_notes_figures *ret_figures)
{
    struct gm_notes_figures figures = {0};
    if (gm_notes_table.young.first != 0 || gm_notes_table.due_young != 0 ||
        (tracer->full && gm_notes_table.old.first != 0)) {
        reached.out = 0;
        atomic_store_explicit(&reached.in, 0, memory_order_relaxed);
        atomic_store_explicit(&reached.active, true, memory_order_relaxed);
        notes_steps(tracer, &figures);
        atomic_store_explicit(&reached.active, false, memory_order_relaxed);
        if (figures.due != 0)
            gm_finalizers_became_due();
    }
    *ret_figures = figures;
}
