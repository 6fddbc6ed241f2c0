/* notes_table.h - the notes: where they lie, and how they are found.
 *
 *   notes     one cache line each; number 0 stands for none
 *   buckets   by target, and by holder (of a link outside the heap: by the link's own address): doubly linked chains
 *   lists     young, old; and one of the finalizers that are due
 *
 * Grows by doubling, into memory of its own. Everything is reached by number, so that it may move. What a collection needs
 * besides (a queue of two entries for each note) is set aside when the table grows: a collection never runs out of it.
 *
 * All of it under gm_notes_lock.
 */
#ifndef GM_GC_NOTES_TABLE_H
#define GM_GC_NOTES_TABLE_H

#include <assert.h>
#include <stdatomic.h>

#include "geomem/geomem.h"
#include "libgeomem/gc/notes.h"

/* The holder of a weak reference or ephemeron: a collected leaf block. Read without the lock: it is cleared by its first
 * member, and only while the world is stopped, or because the program frees the block. */
struct geomem_weak {
    _Atomic uintptr_t target;
    _Atomic uintptr_t value;
};

enum gm_note_kind {
    GM_NOTE_FREE = 0,
    GM_NOTE_FINALIZER,
    GM_NOTE_WEAK,
    GM_NOTE_LINK,
    GM_NOTE_EPHEMERON,
    GM_NOTE_DUE, /* a finalizer whose block is dead but for it */
};

enum gm_note_list {
    GM_NOTES_NONE = 0,
    GM_NOTES_YOUNG,
    GM_NOTES_OLD,
    GM_NOTES_DUE,
};

struct gm_note {
    uintptr_t target;
    uintptr_t holder; /* 0: a link outside the heap, or a finalizer */
    union {
        geomem_finalizer *function;
        void **link;
    };
    uintptr_t value; /* of an ephemeron; of a finalizer its data */
    uint32_t target_next, target_previous;
    uint32_t holder_next, holder_previous;
    uint32_t next, previous; /* in its list */
    uint32_t reserved;
    uint8_t kind;    /* enum gm_note_kind */
    uint8_t list;    /* enum gm_note_list */
    uint8_t is_long; /* weak, link: survives the finalizer */
    uint8_t order;   /* enum geomem_finalizer_order */
};
static_assert(sizeof(struct gm_note) == 64, "one cache line");

struct gm_notes_ends {
    uint32_t first, last;
};

struct gm_notes_table {
    struct gm_note *notes;
    uint32_t *target_buckets;
    uint32_t *holder_buckets;
    uintptr_t *queue;
    uint32_t capacity; /* a power of two; of buckets as many, of the queue twice */
    uint32_t fresh;    /* notes from here on were never used */
    uint32_t free;     /* the first of those that were, linked by `next` */
    uint32_t count;
    struct gm_notes_ends young, old, due;
    /* The first due note that may speak of a young block; 0: none does. Those before it do not. */
    uint32_t due_young;
};
extern struct gm_notes_table gm_notes_table;

static inline struct gm_note *gm_note_at(uint32_t number)
{
    return &gm_notes_table.notes[number];
}

/* A new note, zeroed but for the kind, on no list and in no chain. -ENOMEM. */
int gm_note_new(enum gm_note_kind kind, uint32_t *ret_number);
/* Target and holder (or link) are filled in: it can be found. */
void gm_note_enter(uint32_t number);
/* Off its list, out of its chains, free. */
void gm_note_remove(uint32_t number);

void gm_note_list_add(enum gm_note_list list, uint32_t number);
void gm_note_list_remove(uint32_t number);

/* The first of the chain. Others are in it too: compare. */
uint32_t gm_note_by_target(uintptr_t target);
uint32_t gm_note_by_holder(uintptr_t holder);
/* What a note is found by in the chains of holders; 0: nothing. */
static inline uintptr_t gm_note_holder_key(const struct gm_note *note)
{
    if (note->holder != 0 || note->kind != GM_NOTE_LINK)
        return note->holder;
    return (uintptr_t)note->link;
}

/* A weak reference, link or ephemeron whose target is dead: it says so. */
void gm_note_clear(struct gm_note *note);

#endif
