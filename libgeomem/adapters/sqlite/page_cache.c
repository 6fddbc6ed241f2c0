/* page_cache.c - tells the recorder of SQLite's page caches.
 *
 *   pager.c -> [methods below] -> SQLite's own page cache
 *                  |
 *                  +-> pages.h: what it holds    +-> geomem/cache_probe.h: what it did
 *
 * Preloaded into a program that is being recorded; anywhere else it does nothing. Each connection's cache of each database
 * file is one cache; a page is an entry, its number the key, the first byte of a b-tree page its class. SQLite's own page
 * cache goes on deciding everything: it gets the same calls and is asked nothing that it would answer by doing something.
 *
 * A use is known for what it is only afterwards (watch.h), so it is settled at the next call for the same cache, when its
 * page is still in use. The next call may come on another thread: hence the lock, which is never contended otherwise.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "geomem/cache_probe.h"
#include "libgeomem/adapters/sqlite/pages.h"
#include "libgeomem/adapters/sqlite/watch.h"
#include "libgeomem/base/os.h"

enum use {
    USE_NONE,
    USE_HIT,
    USE_DOUBT,  /* a hit unless the content has been thrown away: `before` is how it was */
    USE_FILLED, /* new in the cache: a miss once it is read, else only a store */
};

struct cache {
    sqlite3_pcache *inner;
    struct cache
        *next; /* all there are, and unused ones; never freed, since watch.h may still know it */
    struct gm_pages pages;
    struct geomem_probe *probe; /* NULL: not told of yet; the hits of each page stand in pages */
    uint64_t early_hits;        /* of pages that left before that */
    bool failed;                /* no cache, or no memory for us: told of no more */
    uint32_t page_bytes, extra_bytes;
    uint32_t capacity; /* PRAGMA cache_size, in pages */
    atomic_flag lock;  /* of what follows */
    enum use use;
    uint32_t number;
    const unsigned char *buffer;
    unsigned char *before; /* page_bytes; NULL until it is needed */
};

static sqlite3_pcache_methods2 inner;
static pthread_mutex_t caches_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cache *caches_unused;
static _Atomic unsigned cache_numbers;

static void cache_lock(struct cache *c)
{
    /* acquire: pairs with the release in cache_unlock */
    while (atomic_flag_test_and_set_explicit(&c->lock, memory_order_acquire))
        ;
}

static void cache_unlock(struct cache *c)
{
    atomic_flag_clear_explicit(&c->lock, memory_order_release);
}

/* ---- telling ---- */

/* "orders.db" of the file that a page was read from; its write-ahead log is the same database. */
static void name_of_file(int fd, char *name, size_t bytes)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return;
    path[n] = 0;
    const char *last = strrchr(path, '/');
    snprintf(name, bytes, "%.60s", last ? last + 1 : path);
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, "-wal") == 0)
        name[length - 4] = 0;
}

/* Kinds of pages, by the first byte of a b-tree page; overflow pages and others have none. */
static const struct {
    uint32_t kind;
    const char *name;
} page_classes[] = {{2, "inner index"}, {5, "inner table"}, {10, "leaf index"}, {13, "leaf table"}};

/* What it can hold: from cache_size pages on SQLite takes another's place for a new one before it is there. */
static uint64_t cache_capacity(const struct cache *c)
{
    return c->capacity ? (uint64_t)(c->capacity - 1) * c->page_bytes : 0;
}

/* From now on the recorder is told of it, and of what it did already, but of the page `except`. fd of -1: the file is not
 * known. */
static void cache_open(struct cache *c, int fd, uint32_t except)
{
    char name[64];
    if (c->probe)
        return;
    snprintf(name, sizeof name, "sqlite %u",
        atomic_fetch_add_explicit(&cache_numbers, 1, memory_order_relaxed) + 1); /* a number */
    if (fd >= 0)
        name_of_file(fd, name, sizeof name);
    c->probe = geomem_cache_register(name, cache_capacity(c));
    for (size_t i = 0; i < sizeof page_classes / sizeof *page_classes; i++)
        geomem_probe_class(c->probe, page_classes[i].kind, page_classes[i].name);
    for (uint32_t slot = 1; slot < c->pages.used; slot++) {
        const struct gm_page *page = &c->pages.slots[slot];
        if (!page->number || page->number == except)
            continue;
        geomem_probe_store(c->probe, page->number, c->page_bytes);
        for (uint32_t i = 0; i < page->hits; i++)
            geomem_cache_access(c->probe, page->number, true, c->page_bytes);
    }
    if (c->probe) { /* of pages that are gone: counted, though no key of theirs is told */
        geomem_probe_add(&c->probe->hits, c->early_hits);
        geomem_probe_add(&c->probe->hit_bytes, c->early_hits * c->page_bytes);
    }
}

static void cache_evict(struct cache *c, uint32_t slot, enum geomem_cache_cause cause)
{
    if (cause == GEOMEM_CACHE_SIZE)
        cache_open(c, -1, 0);
    if (!c->probe)
        c->early_hits += c->pages.slots[slot].hits;
    geomem_cache_evict(c->probe, c->pages.slots[slot].number, c->page_bytes, cause);
    gm_pages_remove(&c->pages, slot);
}

/* The first byte of a b-tree page says of which kind it is; page 1 begins with the file's header. */
static uint32_t page_class(uint32_t number, const unsigned char *buffer)
{
    unsigned kind = buffer[number == 1 ? 100 : 0];
    for (size_t i = 0; i < sizeof page_classes / sizeof *page_classes; i++)
        if (page_classes[i].kind == kind)
            return kind;
    return 0;
}

static bool content_thrown_away(const struct cache *c)
{
    static const unsigned char zero[65536];
    return memcmp(c->before, c->buffer, c->page_bytes) != 0 ||
           memcmp(c->before, zero, c->page_bytes) == 0;
}

static void cache_hit(struct cache *c)
{
    uint32_t slot = gm_pages_find(&c->pages, c->number);
    if (c->probe)
        geomem_probe_hit(c->probe, c->page_bytes);
    else if (slot)
        c->pages.slots[slot].hits++;
}

static void cache_settle(struct cache *c)
{
    cache_lock(c);
    enum use use = c->use;
    c->use = USE_NONE;
    cache_unlock(c);
    if (use == USE_HIT || (use == USE_DOUBT && !content_thrown_away(c)))
        cache_hit(c);
    else if (use == USE_FILLED)
        geomem_probe_store(c->probe, c->number, c->page_bytes);
}

static void cache_expect(struct cache *c, enum use use, uint32_t number, const void *buffer)
{
    cache_lock(c);
    c->use = use;
    c->number = number;
    c->buffer = buffer;
    cache_unlock(c);
    gm_watched = (struct gm_watched){.cache = c, .buffer = buffer};
}

static void page_was_read(void *cache, const void *buffer, int fd, uint64_t ns)
{
    struct cache *c = cache;
    cache_lock(c);
    bool missed = c->use == USE_FILLED && c->buffer == buffer;
    if (missed)
        c->use = USE_NONE;
    cache_unlock(c);
    if (!missed)
        return;
    cache_open(c, fd, c->number);
    uint32_t key_class = page_class(c->number, buffer);
    geomem_cache_access_class(c->probe, c->number, key_class, false, c->page_bytes);
    geomem_probe_load(c->probe, c->number, key_class, ns);
}

static void page_may_be_unwanted(void *cache, const void *buffer)
{
    struct cache *c = cache;
    cache_lock(c);
    if (c->use == USE_HIT && c->buffer == buffer) {
        if (!c->before)
            c->before = gm_os_map((c->page_bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1));
        if (c->before) {
            memcpy(c->before, buffer, c->page_bytes);
            c->use = USE_DOUBT;
        }
    }
    cache_unlock(c);
}

/* ---- what it holds ---- */

/* Our own room behind what SQLite keeps with a page: the page's slot. */
static uint32_t *page_slot(const struct cache *c, const sqlite3_pcache_page *page)
{
    return (uint32_t *)((char *)page->pExtra + c->extra_bytes);
}

/* Pages that are gone without anybody having said so, where there should be `more` than are known. */
static void cache_count(struct cache *c, uint32_t more, enum geomem_cache_cause cause)
{
    uint32_t left = (uint32_t)inner.xPagecount(c->inner);
    while (c->pages.count + more > left && c->pages.oldest)
        cache_evict(c, c->pages.oldest, cause);
}

static void cache_fail(struct cache *c)
{
    c->failed = true;
    geomem_probe_close(c->probe);
}

/* A page that SQLite's cache has made room for. */
static void cache_filled(struct cache *c, uint32_t number, sqlite3_pcache_page *page)
{
    uint32_t slot = gm_pages_find(&c->pages, number);
    if (slot) /* it was dropped, and is here again */
        cache_evict(c, slot, GEOMEM_CACHE_SIZE);
    cache_count(c, 1, GEOMEM_CACHE_SIZE);
    slot = gm_pages_add(&c->pages, number);
    *page_slot(c, page) = slot;
    if (slot)
        cache_expect(c, USE_FILLED, number, page->pBuf);
    else
        cache_fail(c);
}

/* ---- methods ---- */

static int page_cache_init(void *arg)
{
    return inner.xInit(arg);
}

static void page_cache_shutdown(void *arg)
{
    inner.xShutdown(arg);
}

static struct cache *cache_take(void)
{
    pthread_mutex_lock(&caches_lock);
    struct cache *c = caches_unused;
    if (c)
        caches_unused = c->next;
    pthread_mutex_unlock(&caches_lock);
    return c ? c : gm_os_map((sizeof *c + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1));
}

static void cache_give(struct cache *c)
{
    if (c->before)
        gm_os_unmap(c->before, (c->page_bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1));
    gm_pages_done(&c->pages);
    cache_lock(c);
    c->use = USE_NONE;
    c->buffer = NULL;
    c->before = NULL;
    cache_unlock(c);
    pthread_mutex_lock(&caches_lock);
    c->next = caches_unused;
    caches_unused = c;
    pthread_mutex_unlock(&caches_lock);
}

static sqlite3_pcache *page_cache_create(int page_bytes, int extra_bytes, int purgeable)
{
    struct cache *c = cache_take();
    if (!c)
        return NULL;
    c->page_bytes = (uint32_t)page_bytes;
    c->extra_bytes = ((uint32_t)extra_bytes + 7) & ~7u;
    c->capacity = 0;
    c->probe = NULL;
    c->early_hits = 0;
    c->failed = !purgeable || !gm_watch_reads(); /* a database in memory is no cache */
    c->inner = inner.xCreate(page_bytes, (int)c->extra_bytes + 8, purgeable);
    if (!c->inner) {
        cache_give(c);
        return NULL;
    }
    return (sqlite3_pcache *)c;
}

static void page_cache_size(sqlite3_pcache *cache, int pages)
{
    struct cache *c = (struct cache *)cache;
    if (!c->failed)
        cache_settle(c);
    inner.xCachesize(c->inner, pages);
    c->capacity = (uint32_t)pages;
    if (c->failed)
        return;
    cache_count(c, 0, GEOMEM_CACHE_SIZE);
    geomem_probe_resize(c->probe, cache_capacity(c));
}

static int page_cache_count(sqlite3_pcache *cache)
{
    return inner.xPagecount(((struct cache *)cache)->inner);
}

static sqlite3_pcache_page *page_cache_fetch(sqlite3_pcache *cache, unsigned number, int create)
{
    struct cache *c = (struct cache *)cache;
    if (!c->failed)
        cache_settle(c);
    sqlite3_pcache_page *page = inner.xFetch(c->inner, number, create);
    if (c->failed || !page)
        return page;
    if (*(void **)page->pExtra == NULL) { /* as SQLite itself tells a new page */
        cache_filled(c, number, page);
        return page;
    }
    gm_pages_take(&c->pages, *page_slot(c, page));
    if (!create)
        return page;
    cache_expect(c, USE_HIT, number, page->pBuf);
    if (c->probe) /* here, where the call comes from; it is counted when it is settled */
        geomem_probe_use(
            c->probe, number, page_class(number, page->pBuf), GEOMEM_CACHE_HIT, c->page_bytes, 0);
    return page;
}

static void page_cache_unpin(sqlite3_pcache *cache, sqlite3_pcache_page *page, int discard)
{
    struct cache *c = (struct cache *)cache;
    if (c->failed) {
        inner.xUnpin(c->inner, page, discard);
        return;
    }
    cache_settle(c);
    uint32_t slot = *page_slot(c, page);
    inner.xUnpin(c->inner, page, discard);
    if (discard)
        cache_evict(c, slot, GEOMEM_CACHE_REMOVED);
    else if ((uint32_t)inner.xPagecount(c->inner) < c->pages.count)
        cache_evict(c, slot, GEOMEM_CACHE_SIZE); /* there are too many: this one goes at once */
    else
        gm_pages_let_go(&c->pages, slot);
}

static void page_cache_rekey(
    sqlite3_pcache *cache, sqlite3_pcache_page *page, unsigned from, unsigned to)
{
    struct cache *c = (struct cache *)cache;
    if (!c->failed)
        cache_settle(c);
    inner.xRekey(c->inner, page, from, to);
    if (c->failed)
        return;
    uint32_t there = gm_pages_find(&c->pages, to);
    if (there)
        cache_evict(c, there, GEOMEM_CACHE_REMOVED);
    gm_pages_renumber(&c->pages, *page_slot(c, page), to);
}

/* Uses that there must have been of a cache that never read or lost a page, as those of temporary tables do not: arbitrary */
#define USES_WORTH_TELLING 1000u

static bool cache_is_worth_telling(const struct cache *c)
{
    uint64_t hits = c->early_hits;
    for (uint32_t slot = 1; slot < c->pages.used; slot++)
        hits += c->pages.slots[slot].hits;
    return hits >= USES_WORTH_TELLING;
}

static void cache_truncate(struct cache *c, uint32_t from)
{
    if (!c->probe && cache_is_worth_telling(c))
        cache_open(c, -1, 0);
    for (uint32_t slot = 1; slot < c->pages.used; slot++)
        if (c->pages.slots[slot].number >= from && c->pages.slots[slot].number)
            cache_evict(c, slot, GEOMEM_CACHE_REMOVED);
}

static void page_cache_truncate(sqlite3_pcache *cache, unsigned from)
{
    struct cache *c = (struct cache *)cache;
    if (!c->failed)
        cache_settle(c);
    inner.xTruncate(c->inner, from);
    if (!c->failed)
        cache_truncate(c, from);
}

static void page_cache_destroy(sqlite3_pcache *cache)
{
    struct cache *c = (struct cache *)cache;
    if (!c->failed) {
        cache_settle(c);
        geomem_probe_close(c->probe);
    }
    inner.xDestroy(c->inner);
    cache_give(c);
}

static void page_cache_shrink(sqlite3_pcache *cache)
{
    struct cache *c = (struct cache *)cache;
    if (!c->failed)
        cache_settle(c);
    inner.xShrink(c->inner);
    if (!c->failed)
        cache_count(c, 0, GEOMEM_CACHE_PRESSURE);
}

static sqlite3_pcache_methods2 methods = {
    .iVersion = 1,
    .xInit = page_cache_init,
    .xShutdown = page_cache_shutdown,
    .xCreate = page_cache_create,
    .xCachesize = page_cache_size,
    .xPagecount = page_cache_count,
    .xFetch = page_cache_fetch,
    .xUnpin = page_cache_unpin,
    .xRekey = page_cache_rekey,
    .xTruncate = page_cache_truncate,
    .xDestroy = page_cache_destroy,
    .xShrink = page_cache_shrink,
};

/* Before the program, which is before sqlite3_initialize. */
__attribute__((constructor)) static void page_cache_begin(void)
{
    static const struct gm_watcher watcher = {page_was_read, page_may_be_unwanted};
    if (!geomem_recorder_listener || !geomem_recorder_listener() ||
        sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &inner) != SQLITE_OK)
        return;
    methods.pArg = inner.pArg;
    if (sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods) == SQLITE_OK)
        gm_watch_allocations(&watcher);
}
