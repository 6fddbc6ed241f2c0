/* pages.c - see pages.h. */
#include "libgeomem/adapters/sqlite/pages.h"

#include <string.h>

#include "libgeomem/base/os.h"

#define ROOM_FIRST 128u /* slots */

static size_t pages_bytes(uint32_t room)
{
    size_t bytes = (size_t)room * (sizeof(struct gm_page) + sizeof(uint32_t));
    return (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
}

void gm_pages_done(struct gm_pages *pages)
{
    if (pages->slots)
        gm_os_unmap(pages->slots, pages_bytes(pages->room));
    memset(pages, 0, sizeof *pages);
}

static uint32_t *pages_bucket(const struct gm_pages *pages, uint32_t number)
{
    return &pages->buckets[(number * 0x9E3779B1u) & (pages->room - 1)];
}

static void bucket_add(struct gm_pages *pages, uint32_t slot)
{
    uint32_t *bucket = pages_bucket(pages, pages->slots[slot].number);
    pages->slots[slot].next = *bucket;
    *bucket = slot;
}

static void bucket_remove(struct gm_pages *pages, uint32_t slot)
{
    uint32_t *link = pages_bucket(pages, pages->slots[slot].number);
    while (*link != slot)
        link = &pages->slots[*link].next;
    *link = pages->slots[slot].next;
}

/* Slot 0 is nobody's, so that room - 1 pages fit. */
static bool pages_grow(struct gm_pages *pages)
{
    struct gm_pages grown = *pages;
    grown.room = pages->room ? pages->room * 2 : ROOM_FIRST;
    grown.slots = grown.room ? gm_os_map(pages_bytes(grown.room)) : NULL;
    if (!grown.slots)
        return false;
    grown.buckets = (uint32_t *)(grown.slots + grown.room);
    grown.used = pages->used ? pages->used : 1;
    if (pages->slots)
        memcpy(grown.slots, pages->slots, pages->used * sizeof *pages->slots);
    for (uint32_t slot = 1; slot < grown.used; slot++)
        if (grown.slots[slot].number)
            bucket_add(&grown, slot);
    gm_pages_done(pages);
    *pages = grown;
    return true;
}

uint32_t gm_pages_find(const struct gm_pages *pages, uint32_t number)
{
    uint32_t slot = pages->room ? *pages_bucket(pages, number) : 0;
    while (slot && pages->slots[slot].number != number)
        slot = pages->slots[slot].next;
    return slot;
}

uint32_t gm_pages_add(struct gm_pages *pages, uint32_t number)
{
    uint32_t slot = pages->free;
    if (slot) {
        pages->free = pages->slots[slot].next;
    } else {
        if (pages->used == pages->room && !pages_grow(pages))
            return 0;
        slot = pages->used++;
    }
    pages->slots[slot] = (struct gm_page){.number = number};
    bucket_add(pages, slot);
    pages->count++;
    return slot;
}

void gm_pages_remove(struct gm_pages *pages, uint32_t slot)
{
    gm_pages_take(pages, slot);
    bucket_remove(pages, slot);
    pages->slots[slot] = (struct gm_page){.next = pages->free};
    pages->free = slot;
    pages->count--;
}

void gm_pages_renumber(struct gm_pages *pages, uint32_t slot, uint32_t number)
{
    bucket_remove(pages, slot);
    pages->slots[slot].number = number;
    bucket_add(pages, slot);
}

void gm_pages_take(struct gm_pages *pages, uint32_t slot)
{
    struct gm_page *page = &pages->slots[slot];
    if (!page->idle)
        return;
    *(page->newer ? &pages->slots[page->newer].older : &pages->newest) = page->older;
    *(page->older ? &pages->slots[page->older].newer : &pages->oldest) = page->newer;
    page->older = page->newer = 0;
    page->idle = false;
}

void gm_pages_let_go(struct gm_pages *pages, uint32_t slot)
{
    struct gm_page *page = &pages->slots[slot];
    if (page->idle)
        return;
    page->idle = true;
    page->older = pages->newest;
    page->newer = 0;
    *(pages->newest ? &pages->slots[pages->newest].newer : &pages->oldest) = slot;
    pages->newest = slot;
}
