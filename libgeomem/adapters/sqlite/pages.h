/* pages.h - which pages a page cache of SQLite holds, and in which order it will let them go.
 *
 * SQLite's own page cache says neither when it drops a page nor which: all there is to see is how many pages it holds.
 * It drops the page that was let go of first among those nobody uses, so a list in that order names what is gone when
 * there is one page less than there should be.
 *
 *   newest <-> ... <-> oldest     pages nobody uses; those in use are in no list
 *
 * Not thread-safe: SQLite uses a cache on one thread at a time. Memory comes from the system, since the program's malloc
 * is being recorded.
 */
#ifndef GM_ADAPTERS_SQLITE_PAGES_H
#define GM_ADAPTERS_SQLITE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct gm_page {
    uint32_t number; /* of the page in its file; 0: the slot is free */
    uint32_t hits;
    uint32_t next;         /* slot with the same bucket, or the next free one */
    uint32_t older, newer; /* slots; 0: none */
    bool idle;             /* in the list */
};

/* Slots are numbered from 1. Zeroed memory is an empty set. */
struct gm_pages {
    struct gm_page *slots;
    uint32_t *buckets; /* first slot; as many as there are slots */
    uint32_t room;     /* a power of two */
    uint32_t count, used, free;
    uint32_t oldest, newest;
};

void gm_pages_done(struct gm_pages *pages);
/* The slot of a page; 0: it is not there. */
uint32_t gm_pages_find(const struct gm_pages *pages, uint32_t number);
/* Adds a page that is not there, in use. 0 without memory. */
uint32_t gm_pages_add(struct gm_pages *pages, uint32_t number);
void gm_pages_remove(struct gm_pages *pages, uint32_t slot);
/* The same page, found by another number from now on. */
void gm_pages_renumber(struct gm_pages *pages, uint32_t slot, uint32_t number);
/* Somebody uses it, and nobody does any more. */
void gm_pages_take(struct gm_pages *pages, uint32_t slot);
void gm_pages_let_go(struct gm_pages *pages, uint32_t slot);

#endif
