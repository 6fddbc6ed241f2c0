/* cache_known.c - a program with two caches of libgeomem, whose hits, misses, evictions and forgotten pins are known.
 *
 *   pages    LRU, room for 100 entries of 176 bytes. 300 keys are asked for in a loop, three times, and stored when they
 *            are missed: every one is a miss. Then the last 100 again, five times: all hits. 5 of them are removed, 5 replaced.
 *   queries  filled by loaders, a class for each key: 40 keys, one load each, then 400 hits. One load fails.
 *
 * Pins: 3 of pages are never given back, by page_forget; 2 of queries by query_forget.
 */
#include <geomem/cache.h>

#include "target.h"

#define PAGES 300
#define FIT 100

static struct geomem_cache *pages, *queries;

static uint32_t class_of(const void *key, size_t key_bytes, void *arg)
{
    (void)key_bytes, (void)arg;
    uint64_t number;
    memcpy(&number, key, sizeof number);
    return number % 4 == 0 ? 1 : 2;
}

static struct geomem_cache *cache_new(
    const char *name, uint64_t bytes, enum geomem_cache_policy policy)
{
    struct geomem_cache_options options = {
        .struct_bytes = sizeof options,
        .name = name,
        .capacity_bytes = bytes,
        .policy = policy,
        .seed = 1,
        .key_class = class_of,
    };
    struct geomem_cache *cache;
    REQUIRE(geomem_cache_create(&options, &cache) == 0);
    return cache;
}

NOINLINE static void page_store(uint64_t number)
{
    char page[100];
    memset(page, (int)number, sizeof page);
    REQUIRE(geomem_cache_store(pages, &number, sizeof number, page, sizeof page, NULL, NULL) == 0);
}

NOINLINE static int page_read(uint64_t number)
{
    struct geomem_cache_entry *page = geomem_cache_get(pages, &number, sizeof number);
    if (!page)
        return 0;
    REQUIRE(*(char *)geomem_cache_data(page) == (char)number);
    geomem_cache_release(page);
    return 1;
}

NOINLINE static void page_forget(uint64_t number)
{
    REQUIRE(geomem_cache_get(pages, &number, sizeof number));
}

static void use_pages(void)
{
    for (int round = 0; round < 3; round++)
        for (uint64_t number = 0; number < PAGES; number++)
            if (!page_read(number))
                page_store(number);
    for (int round = 0; round < 5; round++)
        for (uint64_t number = PAGES - FIT; number < PAGES; number++)
            REQUIRE(page_read(number));
    for (uint64_t number = PAGES - 5; number < PAGES; number++)
        REQUIRE(geomem_cache_remove(pages, &number, sizeof number) == 0);
    for (uint64_t number = PAGES - 10; number < PAGES - 5; number++)
        page_store(number);
    for (uint64_t number = PAGES - 13; number < PAGES - 10; number++)
        page_forget(number);
}

static int query_run(struct geomem_cache_load *load, const void *key, size_t key_bytes, void *arg)
{
    (void)key_bytes, (void)arg;
    uint64_t number;
    memcpy(&number, key, sizeof number);
    return number == 1000 ? -5 : geomem_cache_load_copy(load, &number, sizeof number);
}

NOINLINE static struct geomem_cache_entry *query_answer(uint64_t number)
{
    struct geomem_cache_entry *answer = NULL;
    int err = geomem_cache_get_or_load(queries, &number, sizeof number, query_run, NULL, &answer);
    REQUIRE(number == 1000 ? err == -5 : err == 0);
    return answer;
}

NOINLINE static void query_forget(uint64_t number)
{
    REQUIRE(query_answer(number));
}

static void use_queries(void)
{
    for (int round = 0; round < 11; round++)
        for (uint64_t number = 0; number < 40; number++)
            geomem_cache_release(query_answer(number));
    query_answer(1000);
    query_forget(7);
    query_forget(8);
}

static void print(struct geomem_cache *cache)
{
    struct geomem_cache_statistics s = {.struct_bytes = sizeof s};
    REQUIRE(geomem_cache_statistics(cache, &s) == 0);
    printf("%s hits %llu misses %llu stores %llu loads %llu failed %llu size %llu replaced %llu "
           "removed %llu "
           "used %llu capacity %llu pinned %llu\n",
        s.name, (unsigned long long)s.hits, (unsigned long long)s.misses,
        (unsigned long long)s.stores, (unsigned long long)s.loads,
        (unsigned long long)s.load_failures, (unsigned long long)s.evictions[GEOMEM_CACHE_SIZE],
        (unsigned long long)s.evictions[GEOMEM_CACHE_REPLACED],
        (unsigned long long)s.evictions[GEOMEM_CACHE_REMOVED], (unsigned long long)s.used_bytes,
        (unsigned long long)s.capacity_bytes, (unsigned long long)s.pinned_entries);
}

int main(void)
{
    pages = cache_new("pages", FIT * 176, GEOMEM_POLICY_LRU);
    queries = cache_new("queries", 100000, GEOMEM_POLICY_ADAPTIVE);
    use_pages();
    use_queries();
    print(pages);
    print(queries);
    geomem_cache_destroy(queries); /* pages goes with the process */
    return 0;
}
