/* notes_table.c - see notes_table.h. */
#include "libgeomem/gc/notes_table.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/base/os.h"
#include "libgeomem/heap/lock.h"

/* Arbitrary: the first table takes 64 KB + 24 KB. */
#define TABLE_FIRST_CAPACITY 1024u

struct gm_notes_table gm_notes_table;
static struct gm_lock table_lock = {.rank = GM_RANK_NOTES};

void gm_notes_lock(void)
{
    gm_lock_acquire(&table_lock);
}

void gm_notes_unlock(void)
{
    gm_lock_release(&table_lock);
}

static uint32_t *table_bucket(uint32_t *buckets, uintptr_t key)
{
    /* Fibonacci hashing: Knuth, The Art of Computer Programming, vol. 3, 6.4 */
    uint64_t hash = (uint64_t)(key >> 4) * 0x9e3779b97f4a7c15u;
    return &buckets[hash >> 32 & (gm_notes_table.capacity - 1)];
}

static void chain_target_add(uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    uint32_t *bucket = table_bucket(gm_notes_table.target_buckets, note->target);
    note->target_previous = 0;
    note->target_next = *bucket;
    if (*bucket != 0)
        gm_note_at(*bucket)->target_previous = number;
    *bucket = number;
}

static void chain_target_remove(uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    if (note->target_next != 0)
        gm_note_at(note->target_next)->target_previous = note->target_previous;
    if (note->target_previous != 0)
        gm_note_at(note->target_previous)->target_next = note->target_next;
    else
        *table_bucket(gm_notes_table.target_buckets, note->target) = note->target_next;
}

static void chain_holder_add(uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    uintptr_t key = gm_note_holder_key(note);
    if (key == 0)
        return;
    uint32_t *bucket = table_bucket(gm_notes_table.holder_buckets, key);
    note->holder_previous = 0;
    note->holder_next = *bucket;
    if (*bucket != 0)
        gm_note_at(*bucket)->holder_previous = number;
    *bucket = number;
}

static void chain_holder_remove(uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    uintptr_t key = gm_note_holder_key(note);
    if (key == 0)
        return;
    if (note->holder_next != 0)
        gm_note_at(note->holder_next)->holder_previous = note->holder_previous;
    if (note->holder_previous != 0)
        gm_note_at(note->holder_previous)->holder_next = note->holder_next;
    else
        *table_bucket(gm_notes_table.holder_buckets, key) = note->holder_next;
}

uint32_t gm_note_by_target(uintptr_t target)
{
    return gm_notes_table.capacity == 0 ? 0 : *table_bucket(gm_notes_table.target_buckets, target);
}

uint32_t gm_note_by_holder(uintptr_t holder)
{
    return gm_notes_table.capacity == 0 ? 0 : *table_bucket(gm_notes_table.holder_buckets, holder);
}

/* ---- growing ---- */

static size_t table_note_bytes(uint32_t capacity)
{
    return capacity * sizeof(struct gm_note);
}
static size_t table_bucket_bytes(uint32_t capacity)
{
    return capacity * sizeof(uint32_t);
}
static size_t table_queue_bytes(uint32_t capacity)
{
    return 2 * capacity * sizeof(uintptr_t);
}

static void table_unmap(struct gm_notes_table *table)
{
    if (table->notes != NULL)
        gm_os_unmap(table->notes, table_note_bytes(table->capacity));
    if (table->target_buckets != NULL)
        gm_os_unmap(table->target_buckets, table_bucket_bytes(table->capacity));
    if (table->holder_buckets != NULL)
        gm_os_unmap(table->holder_buckets, table_bucket_bytes(table->capacity));
    if (table->queue != NULL)
        gm_os_unmap(table->queue, table_queue_bytes(table->capacity));
}

static int table_map(struct gm_notes_table *table, uint32_t capacity)
{
    table->capacity = capacity;
    table->notes = gm_os_map(table_note_bytes(capacity));
    table->target_buckets = gm_os_map(table_bucket_bytes(capacity));
    table->holder_buckets = gm_os_map(table_bucket_bytes(capacity));
    table->queue = gm_os_map(table_queue_bytes(capacity));
    if (table->notes != NULL && table->target_buckets != NULL && table->holder_buckets != NULL &&
        table->queue != NULL)
        return 0;
    table_unmap(table);
    return -ENOMEM;
}

static int table_grow(void)
{
    struct gm_notes_table old = gm_notes_table, new = gm_notes_table;
    if (old.capacity > UINT32_MAX / 4)
        return -ENOMEM;
    int err = table_map(&new, old.capacity == 0 ? TABLE_FIRST_CAPACITY : old.capacity * 2);
    if (err < 0)
        return err;
    if (old.capacity == 0)
        new.fresh = 1;
    else
        memcpy(new.notes, old.notes, old.fresh * sizeof(struct gm_note));
    gm_notes_table = new;
    if (old.capacity == 0)
        return 0;
    for (uint32_t number = 1; number < new.fresh; number++) {
        if (new.notes[number].kind == GM_NOTE_FREE)
            continue;
        chain_target_add(number);
        chain_holder_add(number);
    }
    table_unmap(&old);
    return 0;
}

int gm_note_new(enum gm_note_kind kind, uint32_t *ret_number)
{
    struct gm_notes_table *table = &gm_notes_table;
    uint32_t number = table->free;
    if (number != 0) {
        table->free = gm_note_at(number)->next;
    } else {
        if (table->fresh == table->capacity) {
            int err = table_grow();
            if (err < 0)
                return err;
        }
        number = table->fresh++;
    }
    table->count++;
    struct gm_note *note = gm_note_at(number);
    memset(note, 0, sizeof *note);
    note->kind = (uint8_t)kind;
    *ret_number = number;
    return 0;
}

void gm_note_enter(uint32_t number)
{
    chain_target_add(number);
    chain_holder_add(number);
}

void gm_note_remove(uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    gm_note_list_remove(number);
    chain_target_remove(number);
    chain_holder_remove(number);
    note->kind = GM_NOTE_FREE;
    note->next = gm_notes_table.free;
    gm_notes_table.free = number;
    gm_notes_table.count--;
}

void gm_note_clear(struct gm_note *note)
{
    if (note->kind == GM_NOTE_LINK) {
        *note->link = NULL;
        return;
    }
    if (note->kind != GM_NOTE_WEAK && note->kind != GM_NOTE_EPHEMERON)
        return;
    struct geomem_weak *weak = (struct geomem_weak *)note->holder;
    /* relaxed: nothing is published by it */
    atomic_store_explicit(&weak->target, 0, memory_order_relaxed);
    atomic_store_explicit(&weak->value, 0, memory_order_relaxed);
}

/* ---- lists ---- */

static struct gm_notes_ends *list_ends(enum gm_note_list list)
{
    switch (list) {
    case GM_NOTES_YOUNG:
        return &gm_notes_table.young;
    case GM_NOTES_OLD:
        return &gm_notes_table.old;
    case GM_NOTES_DUE:
        return &gm_notes_table.due;
    case GM_NOTES_NONE:
        break;
    }
    return NULL;
}

/* At the end: due finalizers are called in the order in which they became so. */
void gm_note_list_add(enum gm_note_list list, uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    struct gm_notes_ends *ends = list_ends(list);
    note->list = (uint8_t)list;
    note->next = 0;
    note->previous = ends->last;
    if (ends->last != 0)
        gm_note_at(ends->last)->next = number;
    else
        ends->first = number;
    ends->last = number;
    if (list == GM_NOTES_DUE && gm_notes_table.due_young == 0)
        gm_notes_table.due_young = number;
}

void gm_note_list_remove(uint32_t number)
{
    struct gm_note *note = gm_note_at(number);
    if (note->list == GM_NOTES_NONE)
        return;
    struct gm_notes_ends *ends = list_ends((enum gm_note_list)note->list);
    if (gm_notes_table.due_young == number)
        gm_notes_table.due_young = note->next;
    if (note->next != 0)
        gm_note_at(note->next)->previous = note->previous;
    else
        ends->last = note->previous;
    if (note->previous != 0)
        gm_note_at(note->previous)->next = note->next;
    else
        ends->first = note->next;
    note->list = GM_NOTES_NONE;
}

/* ---- heaps ---- */

/* What it would keep goes with its heap. */
static void note_drop_value(struct gm_note *note)
{
    note->value = 0;
    if (note->kind == GM_NOTE_EPHEMERON)
        atomic_store_explicit(
            &((struct geomem_weak *)note->holder)->value, 0, memory_order_relaxed);
}

static bool notes_is_in_heap(uintptr_t block, const struct gm_heap *heap)
{
    const struct gm_segment *segment = block == 0 ? NULL : gm_segment_at(block);
    return segment != NULL && segment->heap == heap;
}

void gm_notes_forget_heap(struct gm_heap *heap)
{
    gm_notes_lock();
    for (uint32_t number = 1; number < gm_notes_table.fresh; number++) {
        struct gm_note *note = gm_note_at(number);
        if (note->kind == GM_NOTE_FREE)
            continue;
        bool target_goes = notes_is_in_heap(note->target, heap);
        bool holder_goes = notes_is_in_heap(note->holder, heap);
        if (target_goes && !holder_goes)
            gm_note_clear(note);
        if (target_goes || holder_goes)
            gm_note_remove(number);
        else if (notes_is_in_heap(note->value, heap))
            note_drop_value(note);
    }
    gm_notes_unlock();
}
