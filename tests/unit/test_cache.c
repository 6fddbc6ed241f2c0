/* test_cache.c - what a cache promises, case by case. Random use is in cache_model.c, many threads in cache_stress.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "geomem/cache.h"
#include "geomem/geomem.h"
#include "geomem/memory.h"
#include "libgeomem/base/os.h"
#include "libgeomem/cache/elastic.h"
#include "libgeomem/cache/slot.h"
#include "libgeomem/heap/listener.h"

#define SECOND 1000000000u

static uint64_t now_ns;
static uint64_t clock_injected(void *arg)
{
    (void)arg;
    return now_ns;
}

static struct {
    uint64_t count[GEOMEM_CACHE_CAUSE_COUNT];
    char last[64];
    void (*hook)(struct geomem_cache *cache);
    struct geomem_cache *hooked;
} gone;
static void on_gone(const struct geomem_cache_gone *entry, void *arg)
{
    (void)arg;
    gone.count[entry->cause]++;
    snprintf(gone.last, sizeof gone.last, "%.*s", (int)entry->key_bytes, (const char *)entry->key);
    if (gone.hook)
        gone.hook(gone.hooked);
}

static struct geomem_cache *cache_new(uint64_t bytes, struct geomem_cache_options options)
{
    struct geomem_cache *cache = NULL;
    options.struct_bytes = sizeof options;
    options.capacity_bytes = bytes;
    options.evicted = on_gone;
    memset(&gone, 0, sizeof gone);
    cr_assert(geomem_cache_create(&options, &cache) == 0);
    return cache;
}
#define CACHE(bytes, ...) cache_new((bytes), (struct geomem_cache_options){__VA_ARGS__})

static int put(struct geomem_cache *cache, const char *key, const char *value)
{
    return geomem_cache_store(cache, key, strlen(key), value, strlen(value) + 1, NULL, NULL);
}
static bool has(struct geomem_cache *cache, const char *key, const char *value)
{
    struct geomem_cache_entry *entry = geomem_cache_get(cache, key, strlen(key));
    bool right = entry && (!value || strcmp(geomem_cache_data(entry), value) == 0);
    geomem_cache_release(entry);
    return right;
}
static struct geomem_cache_statistics statistics_of(struct geomem_cache *cache)
{
    struct geomem_cache_statistics statistics = {.struct_bytes = sizeof statistics};
    cr_assert(geomem_cache_statistics(cache, &statistics) == 0);
    return statistics;
}

/* ---- what is refused ---- */

Test(cache, options_that_contradict_are_refused)
{
    struct geomem_cache *cache = NULL;
    struct geomem_cache_options good = {.struct_bytes = sizeof good, .capacity_bytes = 1000};
    struct geomem_cache_options bad[] = {good, good, good, good, good, good};
    bad[0].struct_bytes--;
    bad[1].capacity_bytes = 0;
    bad[2].policy = GEOMEM_POLICY_OTHER;
    bad[3].shards = 3;
    bad[4].min_bytes = 2000;
    bad[4].max_bytes = 3000;
    bad[5].goal = (enum geomem_cache_goal)7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(geomem_cache_create(&bad[i], &cache) == -EINVAL, "%zu", i);
    cr_assert(cache == NULL);
    cr_assert(geomem_cache_create(NULL, &cache) == -EINVAL);
    geomem_cache_destroy(NULL);
}

Test(cache, keys_of_no_bytes_or_too_many_are_refused)
{
    struct geomem_cache *cache = CACHE(300000, .policy = GEOMEM_POLICY_LRU);
    static char key[65536];
    cr_assert(geomem_cache_store(cache, key, 0, "v", 1, NULL, NULL) == -EINVAL);
    cr_assert(geomem_cache_store(cache, key, 65536, "v", 1, NULL, NULL) == -EINVAL);
    cr_assert(geomem_cache_store(cache, key, 65535, "v", 1, NULL, NULL) == 0);
    cr_assert(geomem_cache_get(cache, key, 0) == NULL);
    cr_assert(geomem_cache_remove(cache, key, 0) == -ENOENT);
    geomem_cache_destroy(cache);
}

Test(cache, a_value_larger_than_the_cache_is_handed_back_and_the_old_one_gone)
{
    struct geomem_cache *cache = CACHE(4000, .policy = GEOMEM_POLICY_LRU);
    char large[5000] = "large";
    struct geomem_cache_entry *entry = NULL;
    cr_assert(put(cache, "key", "old") == 0);
    cr_assert(geomem_cache_store(cache, "key", 3, large, sizeof large, NULL, &entry) ==
              GEOMEM_CACHE_TOO_LARGE);
    cr_assert(strcmp(geomem_cache_data(entry), "large") == 0);
    cr_assert(!has(cache, "key", NULL));
    cr_assert(gone.count[GEOMEM_CACHE_REPLACED] == 1 && gone.count[GEOMEM_CACHE_REJECTED] == 1);
    cr_assert(statistics_of(cache).pinned_entries == 1 && statistics_of(cache).used_bytes == 0);
    geomem_cache_release(entry);
    cr_assert(statistics_of(cache).pinned_entries == 0);
    geomem_cache_destroy(cache);
}

Test(cache, a_cache_whose_entries_are_all_pinned_says_so)
{
    struct geomem_cache *cache = CACHE(1000, .policy = GEOMEM_POLICY_ADAPTIVE);
    struct geomem_cache_entry *held[100] = {0}, *refused = NULL;
    int status = 0, count = 0;
    for (char key[16]; status == 0; count++) {
        snprintf(key, sizeof key, "%d", count);
        status = geomem_cache_store(cache, key, strlen(key), key, sizeof key, NULL, &held[count]);
    }
    cr_assert(status == GEOMEM_CACHE_FULL_PINNED);
    refused = held[count - 1];
    cr_assert(atoi(geomem_cache_data(refused)) == count - 1);
    cr_assert(statistics_of(cache).used_bytes <= 1000);
    for (int i = 0; i < count; i++)
        geomem_cache_release(held[i]);
    cr_assert(put(cache, "one more", "v") == 0);
    geomem_cache_destroy(cache);
}

/* ---- shards ---- */

Test(cache, what_is_larger_than_a_shard_borrows_of_the_others)
{
    struct geomem_cache *cache = CACHE(400000, .shards = 8, .policy = GEOMEM_POLICY_LRU);
    static char large[300000];
    for (int i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        cr_assert(put(cache, key, key) == 0);
    }
    cr_assert(geomem_cache_store(cache, "large", 5, large, sizeof large, NULL, NULL) == 0);
    cr_assert(has(cache, "large", NULL));
    cr_assert(statistics_of(cache).used_bytes <= 400000);
    cr_assert(geomem_cache_check(cache) == 0);
    geomem_cache_destroy(cache);
}

/* Half of it pinned, then one that is larger than the other half: of that nothing leaves. */
static void large_is_refused(uint32_t shards)
{
    struct geomem_cache *cache = CACHE(400000, .shards = shards, .policy = GEOMEM_POLICY_LRU);
    static char large[300000], value[1000];
    struct geomem_cache_entry *held[200] = {0};
    for (int i = 0; i < 350; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        cr_assert(geomem_cache_store(cache, key, strlen(key), value, sizeof value, NULL,
                      i % 2 == 0 ? &held[i / 2] : NULL) == 0);
    }
    uint64_t before = statistics_of(cache).entries;
    cr_assert(geomem_cache_store(cache, "large", 5, large, sizeof large, NULL, NULL) ==
              GEOMEM_CACHE_FULL_PINNED);
    cr_assert(statistics_of(cache).entries == before);
    cr_assert(geomem_cache_store(cache, "less", 4, large, 150000, NULL, NULL) == 0);
    for (int i = 0; i < 200; i++)
        geomem_cache_release(held[i]);
    cr_assert(geomem_cache_store(cache, "large", 5, large, sizeof large, NULL, NULL) == 0);
    cr_assert(geomem_cache_check(cache) == 0);
    geomem_cache_destroy(cache);
}

Test(cache, what_cannot_be_let_in_drives_nothing_out)
{
    large_is_refused(1);
    large_is_refused(8);
}

Test(cache, few_entries_are_one_shard_and_many_are_several)
{
    struct geomem_cache *few = CACHE(100000, .expected_entries = 1023);
    struct geomem_cache *many = CACHE((uint64_t)1 << 30, .name = "many");
    cr_assert(statistics_of(few).shards == 1);
    cr_assert(statistics_of(many).shards >= 4);
    geomem_cache_destroy(few);
    geomem_cache_destroy(many);
}

/* ---- pins ---- */

Test(cache, what_is_removed_or_replaced_lives_until_its_last_pin)
{
    struct geomem_cache *cache = CACHE(10000, .policy = GEOMEM_POLICY_LRU);
    put(cache, "key", "first");
    struct geomem_cache_entry *first = geomem_cache_get(cache, "key", 3);
    put(cache, "key", "second");
    struct geomem_cache_entry *second = geomem_cache_retain(geomem_cache_peek(cache, "key", 3));
    cr_assert(geomem_cache_references(second) == 2);
    cr_assert(geomem_cache_remove(cache, "key", 3) == 0);
    cr_assert(geomem_cache_remove(cache, "key", 3) == -ENOENT);
    cr_assert(!has(cache, "key", NULL));
    cr_assert(strcmp(geomem_cache_data(first), "first") == 0);
    cr_assert(strcmp(geomem_cache_data(second), "second") == 0);
    geomem_cache_release(second);
    geomem_cache_destroy(cache);
    size_t bytes;
    cr_assert(strncmp(geomem_cache_key(second, &bytes), "key", 3) == 0 && bytes == 3);
    cr_assert(strcmp(geomem_cache_data(first), "first") == 0);
    geomem_cache_release(first);
    geomem_cache_release(second);
}

static int pin_take(const struct geomem_cache_pin *pin, void *arg)
{
    *(struct geomem_cache_pin *)arg = *pin;
    return 7;
}

__attribute__((noinline)) static struct geomem_cache_entry *forget(struct geomem_cache *cache)
{
    struct geomem_cache_entry *entry = geomem_cache_get(cache, "key", 3);
    __asm__ volatile(""); /* no tail call: the site is in here */
    return entry;
}

Test(cache, a_forgotten_pin_is_listed_with_its_site_and_age)
{
    now_ns = 100 * (uint64_t)SECOND;
    struct geomem_cache *cache =
        CACHE(10000, .policy = GEOMEM_POLICY_LRU, .clock_ns = clock_injected);
    put(cache, "key", "value");
    struct geomem_cache_pin pin = {0};
    cr_assert(geomem_cache_pins(cache, 0, pin_take, &pin) == 0);
    struct geomem_cache_entry *entry = forget(cache);
    cr_assert(geomem_cache_pins(cache, 0, pin_take, &pin) == 7);
    cr_assert((uintptr_t)pin.site - (uintptr_t)forget < 200);
    cr_assert(pin.entry == entry && pin.in_cache && pin.thread != 0 && pin.age_ns == 0);
    now_ns += 70 * (uint64_t)SECOND;
    cr_assert(geomem_cache_pins(cache, 71 * (uint64_t)SECOND, pin_take, &pin) == 0);
    cr_assert(geomem_cache_pins(cache, 60 * (uint64_t)SECOND, pin_take, &pin) == 7);
    cr_assert(pin.age_ns == 70 * (uint64_t)SECOND);
    static const uint64_t long_s[] = {32770, 65534, 65535, 65540, 131070, 400 * 86400};
    for (size_t i = 0; i < sizeof long_s / sizeof *long_s; i++) {
        now_ns = (100 + long_s[i]) * SECOND;
        cr_assert(geomem_cache_pins(cache, long_s[i] * SECOND, pin_take, &pin) == 7, "%zu", i);
        cr_assert(pin.age_ns == long_s[i] * SECOND);
    }
    geomem_cache_remove(cache, "key", 3);
    cr_assert(geomem_cache_pins(cache, 0, pin_take, &pin) == 7 && !pin.in_cache);
    geomem_cache_release(entry);
    cr_assert(geomem_cache_pins(cache, 0, pin_take, &pin) == 0);
    geomem_cache_destroy(cache);
}

static void *release_it(void *entry)
{
    geomem_cache_release(entry);
    return NULL;
}

Test(cache, a_pin_may_be_given_back_by_another_thread)
{
    struct geomem_cache *cache = CACHE(10000, .policy = GEOMEM_POLICY_LRU);
    struct geomem_cache_pin pin;
    pthread_t thread;
    put(cache, "key", "value");
    pthread_create(&thread, NULL, release_it, forget(cache));
    pthread_join(thread, NULL);
    cr_assert(geomem_cache_pins(cache, 0, pin_take, &pin) == 0);
    cr_assert(statistics_of(cache).pinned_entries == 0);
    forget(cache);
    cr_assert(geomem_cache_pins(cache, 0, pin_take, &pin) == 7 && pin.site);
    geomem_cache_release(pin.entry);
    geomem_cache_destroy(cache);
}

/* Beyond what a slot can count nothing is freed that is pinned. */
Test(cache, pins_that_cannot_be_counted_are_for_ever)
{
    struct gm_cache_slot slot = {.word = GM_SLOT_LIVE | (GM_SLOT_PINS - 1)};
    for (int i = 0; i < 10; i++)
        gm_slot_repin(&slot);
    cr_assert(slot.word == (GM_SLOT_LIVE | GM_SLOT_PINS) && !gm_slot_pin(&slot));
    gm_slot_unpin(&slot);
    cr_assert(slot.word == (GM_SLOT_LIVE | GM_SLOT_PINS));
    cr_assert(!gm_slot_kill(&slot) && slot.word == (GM_SLOT_DEAD | GM_SLOT_PINS));
    cr_assert(!gm_word_is_last_of_dead(gm_slot_unpin(&slot)));
    cr_assert(slot.word == (GM_SLOT_DEAD | GM_SLOT_PINS));
}

/* ---- time ---- */

Test(cache, entries_leave_when_their_time_is_up_and_never_before)
{
    now_ns = 1000 * (uint64_t)SECOND + 700000000;
    struct geomem_cache *cache = CACHE(10000, .ttl_ns = 5 * (uint64_t)SECOND,
        .clock_ns = clock_injected, .policy = GEOMEM_POLICY_LRU);
    struct geomem_cache_store_options ever = {.struct_bytes = sizeof ever, .ttl_ns = UINT64_MAX};
    put(cache, "short", "v");
    geomem_cache_store(cache, "ever", 4, "v", 2, &ever, NULL);
    now_ns += 5 * (uint64_t)SECOND - 1;
    cr_assert(has(cache, "short", "v"));
    now_ns += SECOND + 1;
    cr_assert(!has(cache, "short", NULL));
    cr_assert(gone.count[GEOMEM_CACHE_EXPIRED] == 1 && strcmp(gone.last, "short") == 0);
    now_ns += 1000000 * (uint64_t)SECOND;
    cr_assert(has(cache, "ever", "v"));
    geomem_cache_destroy(cache);
}

/* Those that would wrap in 32 bits of seconds, or in 64 of nanoseconds, too. */
Test(cache, times_of_centuries_are_for_ever)
{
    static const uint64_t long_s[] = {
        INT32_MAX, UINT32_MAX, (uint64_t)UINT32_MAX + 1, (uint64_t)UINT32_MAX + 3, 17000000000};
    for (size_t i = 0; i < sizeof long_s / sizeof *long_s; i++)
        for (int which = 0; which < 2; which++) {
            now_ns = 50 * (uint64_t)SECOND;
            uint64_t ns = long_s[i] * SECOND;
            struct geomem_cache *cache = CACHE(10000, .ttl_ns = which == 0 ? ns : 0,
                .idle_ns = which == 1 ? ns : 0, .clock_ns = clock_injected);
            put(cache, "key", "v");
            cr_assert(has(cache, "key", "v"), "%zu %d", i, which);
            now_ns += 1000000000 * (uint64_t)SECOND;
            cr_assert(has(cache, "key", "v"), "%zu %d", i, which);
            geomem_cache_destroy(cache);
        }
}

/* The clock that lookups read may be behind the one that the cache was made by. */
Test(cache, entries_of_a_cache_just_made_are_not_over)
{
    for (int i = 0; i < 1000; i++) {
        struct geomem_cache *cache = CACHE(10000, .ttl_ns = 10 * (uint64_t)SECOND,
            .idle_ns = 10 * (uint64_t)SECOND, .policy = GEOMEM_POLICY_LRU);
        put(cache, "key", "v");
        cr_assert(has(cache, "key", "v"), "%d", i);
        geomem_cache_destroy(cache);
    }
}

Test(cache, entries_that_are_used_do_not_become_idle)
{
    now_ns = 50 * (uint64_t)SECOND;
    struct geomem_cache *cache = CACHE(10000, .idle_ns = 3 * (uint64_t)SECOND,
        .clock_ns = clock_injected, .policy = GEOMEM_POLICY_LRU);
    put(cache, "used", "v");
    put(cache, "peeked", "v");
    for (int i = 0; i < 10; i++) {
        now_ns += 2 * (uint64_t)SECOND;
        cr_assert(has(cache, "used", "v"));
        if (i == 0) {
            struct geomem_cache_entry *entry = geomem_cache_peek(cache, "peeked", 6);
            cr_assert(entry != NULL);
            geomem_cache_release(entry);
        }
    }
    cr_assert(geomem_cache_peek(cache, "peeked", 6) == NULL);
    now_ns += 5 * (uint64_t)SECOND;
    cr_assert(!has(cache, "used", NULL));
    cr_assert(gone.count[GEOMEM_CACHE_EXPIRED] == 2);
    geomem_cache_destroy(cache);
}

/* ---- collected values ---- */

struct node {
    struct node *next;
    uint64_t value;
};

__attribute__((noinline)) static void store_list(struct geomem_cache *cache)
{
    struct node *list = NULL;
    for (uint64_t i = 0; i < 1000; i++) {
        struct node *node = geomem_gc_alloc(sizeof *node);
        node->next = list;
        node->value = i;
        list = node;
    }
    cr_assert(geomem_cache_store_collected(cache, "list", 4, list, 16000, NULL, NULL) == 0);
}
__attribute__((noinline)) static void stack_clear(void)
{
    volatile char room[16384];
    memset((void *)(uintptr_t)room, 0, sizeof room);
}
static uint64_t old_blocks(void)
{
    struct geomem_heap_statistics heap = {.struct_bytes = sizeof heap};
    geomem_heap_statistics(NULL, &heap);
    return heap.old_blocks + heap.young_blocks;
}

Test(cache, a_collected_value_lives_while_it_is_cached_or_pinned)
{
    struct geomem_cache *cache = CACHE(100000, .policy = GEOMEM_POLICY_LRU);
    store_list(cache);
    stack_clear();
    geomem_gc(NULL, GEOMEM_YOUNG);
    geomem_gc(NULL, GEOMEM_OLD);
    struct geomem_cache_entry *entry = geomem_cache_get(cache, "list", 4);
    cr_assert(geomem_cache_bytes(entry) == 16000);
    cr_assert(statistics_of(cache).used_bytes > 16000);
    geomem_cache_remove(cache, "list", 4);
    geomem_gc(NULL, GEOMEM_OLD);
    uint64_t expected = 1000;
    for (struct node *node = geomem_cache_data(entry); node; node = node->next)
        cr_assert(node->value == --expected);
    cr_assert(expected == 0);
    geomem_cache_release(entry);
    stack_clear();
    geomem_gc(NULL, GEOMEM_OLD);
    cr_assert(old_blocks() < 100);
    int on_stack;
    cr_assert(geomem_cache_store_collected(cache, "x", 1, &on_stack, 0, NULL, NULL) == -EINVAL);
    geomem_cache_destroy(cache);
}

/* ---- loads ---- */

static _Atomic int loads;
static int load_slowly(struct geomem_cache_load *load, const void *key, size_t key_bytes, void *arg)
{
    (void)key, (void)key_bytes;
    struct geomem_cache *cache = arg;
    atomic_fetch_add(&loads, 1);
    /* Until all others wait, or have come too late to. */
    while (statistics_of(cache).load_waits < 7)
        sched_yield();
    return geomem_cache_load_copy(load, "loaded", 7);
}
static int load_in_vain(
    struct geomem_cache_load *load, const void *key, size_t key_bytes, void *arg)
{
    (void)load, (void)key, (void)key_bytes;
    atomic_fetch_add(&loads, 1);
    while (statistics_of(arg).load_waits < 14)
        sched_yield();
    return -EIO;
}
struct asking {
    struct geomem_cache *cache;
    geomem_cache_loader *loader;
    _Atomic int right;
};
static void *ask(void *arg)
{
    struct asking *asking = arg;
    struct geomem_cache_entry *entry = NULL;
    int status =
        geomem_cache_get_or_load(asking->cache, "key", 3, asking->loader, asking->cache, &entry);
    if (asking->loader == load_slowly)
        atomic_fetch_add(
            &asking->right, status == 0 && strcmp(geomem_cache_data(entry), "loaded") == 0);
    else
        atomic_fetch_add(&asking->right, status == -EIO && !entry);
    geomem_cache_release(entry);
    return NULL;
}
static void stampede(struct geomem_cache *cache, geomem_cache_loader *loader)
{
    struct asking asking = {.cache = cache, .loader = loader};
    pthread_t thread[8];
    atomic_store(&loads, 0);
    for (int i = 0; i < 8; i++)
        pthread_create(&thread[i], NULL, ask, &asking);
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    cr_assert(atomic_load(&asking.right) == 8);
    cr_assert(atomic_load(&loads) == 1);
}

Test(cache, of_eight_threads_that_miss_a_key_one_loads_it)
{
    struct geomem_cache *cache = CACHE(10000, .policy = GEOMEM_POLICY_LRU);
    stampede(cache, load_slowly);
    struct geomem_cache_statistics now = statistics_of(cache);
    cr_assert(now.loads == 1 && now.load_waits == 7 && now.load_ns > 0 && now.load_failures == 0);
    cr_assert(has(cache, "key", "loaded"));
    geomem_cache_remove(cache, "key", 3);
    stampede(cache, load_in_vain);
    now = statistics_of(cache);
    cr_assert(now.loads == 2 && now.load_failures == 1 && now.pinned_entries == 0);
    geomem_cache_destroy(cache);
}

static int load_odd(struct geomem_cache_load *load, const void *key, size_t key_bytes, void *arg)
{
    struct geomem_cache *cache = arg;
    struct geomem_cache_entry *entry;
    char which = *(const char *)key;
    if (which == 'n')
        return 0;
    if (which == 'd')
        return geomem_cache_get_or_load(cache, key, key_bytes, load_odd, cache, &entry);
    if (which == 'e')
        pthread_exit(NULL);
    if (which == 'r')
        geomem_cache_remove(cache, key, key_bytes);
    if (which == 's')
        put(cache, "s", "stored");
    struct geomem_cache_store_options options = {
        .struct_bytes = sizeof options, .ttl_ns = 10 * (uint64_t)SECOND};
    char *room = geomem_cache_load_room(load, 7);
    memcpy(room, "loaded", 7);
    return which == 't' ? geomem_cache_load_options(load, &options) : 0;
}
static int load_one(struct geomem_cache *cache, const char *key, char value[8])
{
    struct geomem_cache_entry *entry = NULL;
    int status = geomem_cache_get_or_load(cache, key, 1, load_odd, cache, &entry);
    *value = 0;
    if (entry)
        snprintf(value, 8, "%s", (char *)geomem_cache_data(entry));
    geomem_cache_release(entry);
    return status;
}
static void *load_and_end(void *cache)
{
    char value[8];
    load_one(cache, "e", value);
    return cache;
}

Test(cache, loaders_that_do_odd_things)
{
    now_ns = 10 * (uint64_t)SECOND;
    struct geomem_cache *cache =
        CACHE(10000, .policy = GEOMEM_POLICY_LRU, .clock_ns = clock_injected);
    char value[8];
    cr_assert(load_one(cache, "n", value) == -ENODATA);
    cr_assert(load_one(cache, "d", value) == -EDEADLK);
    cr_assert(load_one(cache, "r", value) == 0 && strcmp(value, "loaded") == 0);
    cr_assert(!has(cache, "r", NULL), "removed meanwhile");
    cr_assert(load_one(cache, "s", value) == 0 && has(cache, "s", "stored"));
    cr_assert(load_one(cache, "t", value) == 0 && strcmp(value, "loaded") == 0);
    now_ns += 12 * (uint64_t)SECOND;
    cr_assert(!has(cache, "t", NULL), "its time is up");
    pthread_t thread;
    void *ended;
    pthread_create(&thread, NULL, load_and_end, cache);
    pthread_join(thread, &ended);
    cr_assert(ended == NULL);
    cr_assert(statistics_of(cache).load_failures == 3);
    cr_assert(statistics_of(cache).pinned_entries == 0);
    geomem_cache_destroy(cache);
}

/* ---- memory that cannot be had ---- */

Test(cache, every_call_that_may_fail_may_fail)
{
    uint64_t failed = 0;
    for (uint64_t calls = 0;; calls++) {
        struct geomem_cache *cache = NULL;
        struct geomem_cache_options options = {
            .struct_bytes = sizeof options, .capacity_bytes = 2000000, .shards = 2};
        uint64_t before = gm_os_calls();
        gm_os_fail_after(calls, 1);
        int err = geomem_cache_create(&options, &cache);
        for (uint64_t key = 0; err == 0 && key < 20000; key++)
            err = geomem_cache_store(cache, &key, sizeof key, &key, sizeof key, NULL, NULL);
        gm_os_fail_after(0, 0);
        cr_assert(err == 0 || err == -ENOMEM);
        failed += err != 0;
        if (cache) {
            cr_assert(geomem_cache_check(cache) == 0);
            cr_assert(put(cache, "key", "value") == 0 && has(cache, "key", "value"));
        }
        geomem_cache_destroy(cache);
        if (gm_os_calls() - before < calls)
            break;
    }
    cr_assert(failed > 5);
}

/* ---- elastic ---- */

static void fill(struct geomem_cache *cache, int from, int to, int uses)
{
    for (int use = 0; use < uses; use++)
        for (int i = from; i < to; i++) {
            char key[16], value[100] = "v";
            snprintf(key, sizeof key, "%d", i);
            if (!has(cache, key, NULL))
                geomem_cache_store(cache, key, strlen(key), value, sizeof value, NULL, NULL);
        }
}

Test(cache, under_pressure_the_cache_with_the_fewest_hits_a_byte_gives)
{
    struct geomem_cache *hot = CACHE(50000, .min_bytes = 10000, .max_bytes = 100000,
                            .policy = GEOMEM_POLICY_LRU),
                        *cold = CACHE(50000, .min_bytes = 10000, .max_bytes = 100000,
                            .policy = GEOMEM_POLICY_LRU),
                        *fixed = CACHE(50000, .policy = GEOMEM_POLICY_LRU);
    fill(hot, 0, 200, 30);
    fill(cold, 0, 200, 1);
    fill(fixed, 0, 200, 1);
    uint64_t fixed_bytes = statistics_of(fixed).used_bytes;
    struct gm_pressure pressure = {.over_bytes = 20000};
    gm_caches_react(&pressure);
    cr_assert(statistics_of(cold).capacity_bytes < 20000);
    cr_assert(statistics_of(hot).capacity_bytes == 50000);
    cr_assert(statistics_of(fixed).used_bytes == fixed_bytes);
    cr_assert(statistics_of(cold).evictions[GEOMEM_CACHE_PRESSURE] > 50);
    geomem_caches_relieve(UINT64_MAX / 2);
    cr_assert(statistics_of(hot).capacity_bytes == 10000);
    cr_assert(statistics_of(cold).capacity_bytes == 10000);
    struct gm_pressure quiet = {.room_bytes = UINT64_MAX};
    for (int i = 0; i < 60; i++) {
        gm_caches_react(&quiet);
        fill(hot, 0, 80, 2); /* a loop larger than it: what has left comes back */
    }
    cr_assert(statistics_of(hot).capacity_bytes > 10000);
    cr_assert(statistics_of(cold).capacity_bytes == 10000);
    cr_assert(geomem_cache_check(hot) == 0 && geomem_cache_check(cold) == 0);
    geomem_cache_destroy(hot);
    geomem_cache_destroy(cold);
    geomem_cache_destroy(fixed);
}

Test(cache, the_kernels_words_on_pressure_are_read)
{
    cr_assert(gm_pressure_stall(
                  "some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00") == 1234);
    cr_assert(gm_pressure_stall("some avg10=0.05 avg60") == 5);
    cr_assert(gm_pressure_stall("some avg10=100.00") == 10000);
    cr_assert(gm_pressure_stall("") == 0 && gm_pressure_stall("some avg10=") == 0);
    struct gm_pressure pressure;
    gm_pressure_read(&pressure);
    cr_assert(pressure.over_bytes == 0 || pressure.room_bytes == 0);
}

Test(cache, shrinking_a_cache_that_is_not_elastic_empties_it_and_keeps_its_capacity)
{
    struct geomem_cache *cache = CACHE(50000, .policy = GEOMEM_POLICY_LRU);
    fill(cache, 0, 200, 1);
    uint64_t used = statistics_of(cache).used_bytes;
    uint64_t left = geomem_cache_shrink(cache, 20000);
    cr_assert(left >= 20000 && left < 21000);
    cr_assert(statistics_of(cache).used_bytes == used - left);
    cr_assert(statistics_of(cache).capacity_bytes == 50000);
    geomem_cache_destroy(cache);
}

Test(cache, an_elastic_cache_that_was_emptied_grows_again)
{
    struct geomem_cache *cache = CACHE(50000, .max_bytes = 100000, .policy = GEOMEM_POLICY_LRU);
    fill(cache, 0, 200, 1);
    geomem_caches_relieve(UINT64_MAX / 2);
    cr_assert(statistics_of(cache).capacity_bytes == 0);
    cr_assert(put(cache, "key", "value") == GEOMEM_CACHE_TOO_LARGE);
    struct gm_pressure none = {0}, quiet = {.room_bytes = UINT64_MAX};
    for (int i = 0; i < 20; i++) {
        gm_caches_react(&none);
        put(cache, "key", "value");
    }
    cr_assert(statistics_of(cache).capacity_bytes == 0);
    gm_caches_react(&quiet);
    cr_assert(put(cache, "key", "value") == 0);
    for (int i = 0; i < 200; i++) {
        gm_caches_react(&quiet);
        fill(cache, 0, 80, 2);
    }
    cr_assert(statistics_of(cache).capacity_bytes > 10000);
    cr_assert(geomem_cache_check(cache) == 0);
    geomem_cache_destroy(cache);
}

Test(cache, a_value_that_comes_back_is_one_hit_missed_however_often_it_is_replaced)
{
    struct geomem_cache *cache =
        CACHE(20000, .max_bytes = 100000, .shards = 1, .policy = GEOMEM_POLICY_LRU);
    fill(cache, 0, 200, 1);
    const struct gm_cache_ghosts *ghosts = &cache->shards[0].ghosts;
    uint64_t before = ghosts->returned, returned = 0;
    for (int i = 0; i < 20 && returned == 0; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        for (int times = 0; times < 100; times++)
            cr_assert(put(cache, key, "v") == 0);
        returned = ghosts->returned - before;
    }
    cr_assert(returned == 1);
    geomem_cache_destroy(cache);
}

static void resize_once(struct geomem_cache *cache)
{
    gone.hook = NULL;
    cr_assert(geomem_cache_resize(cache, 40000) == 0);
}

Test(cache, a_capacity_set_while_a_cache_is_shrunk_stays)
{
    struct geomem_cache *cache = CACHE(50000, .policy = GEOMEM_POLICY_LRU, .shards = 4);
    fill(cache, 0, 200, 1);
    gone.hooked = cache;
    gone.hook = resize_once;
    cr_assert(geomem_cache_shrink(cache, 20000) >= 20000);
    struct geomem_cache_statistics statistics = statistics_of(cache);
    cr_assert(statistics.capacity_bytes == 40000);
    cr_assert(statistics.min_bytes == 40000 && statistics.max_bytes == 40000);
    cr_assert(geomem_cache_check(cache) == 0);
    geomem_cache_destroy(cache);
}

static void *shrink_often(void *cache)
{
    for (int i = 0; i < 200; i++) {
        geomem_cache_shrink(cache, 10000);
        fill(cache, 0, 200, 1);
    }
    return NULL;
}

Test(cache, threads_that_shrink_a_cache_at_once_leave_its_capacity_alone)
{
    struct geomem_cache *cache = CACHE(50000, .policy = GEOMEM_POLICY_LRU, .shards = 4);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, shrink_often, cache);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct geomem_cache_statistics statistics = statistics_of(cache);
    cr_assert(statistics.capacity_bytes == 50000 && statistics.min_bytes == 50000);
    cr_assert(geomem_cache_check(cache) == 0);
    geomem_cache_destroy(cache);
}

/* What happens if a thread relieves a cache while its owner destroys it. */
static _Atomic int destroy_state; /* 1: an entry is being told, 2: destroy has returned */

static bool is_listed(const struct geomem_cache *wanted)
{
    bool listed = false;
    gm_lock_acquire(&gm_caches_lock);
    for (struct geomem_cache *cache = gm_cache_next(NULL); cache; cache = gm_cache_next(cache))
        listed |= cache == wanted;
    gm_lock_release(&gm_caches_lock);
    return listed;
}

static void stay_until_unlisted(struct geomem_cache *cache)
{
    gone.hook = NULL;
    destroy_state = 1;
    while (is_listed(cache))
        sched_yield();
    for (int i = 0; i < 1000; i++)
        sched_yield();
    cr_assert(destroy_state == 1);
}

static void *relieve(void *arg)
{
    geomem_caches_relieve(1000);
    return arg;
}

Test(cache, no_entry_is_told_after_its_cache_was_destroyed)
{
    struct geomem_cache *cache =
        CACHE(50000, .min_bytes = 10000, .max_bytes = 100000, .policy = GEOMEM_POLICY_LRU);
    fill(cache, 0, 200, 1);
    gone.hooked = cache;
    gone.hook = stay_until_unlisted;
    pthread_t thread;
    pthread_create(&thread, NULL, relieve, NULL);
    while (destroy_state != 1)
        sched_yield();
    geomem_cache_destroy(cache);
    destroy_state = 2;
    pthread_join(thread, NULL);
}

/* ---- what is told ---- */

static struct {
    uint64_t states, closed, uses[8], evictions[GEOMEM_CACHE_CAUSE_COUNT], pins;
    struct geomem_cache_state last;
    char name[64];
    uint32_t key_class;
} told;
static void tell_state(const struct geomem_cache_state *state)
{
    told.states++;
    told.closed += state->closed;
    told.last = *state;
    snprintf(told.name, sizeof told.name, "%s", state->name);
}
static void tell_use(const struct geomem_cache_key_use *use)
{
    told.uses[use->use]++;
    told.key_class = use->key_class;
}
static void tell_evict(const struct geomem_cache_eviction *eviction)
{
    told.evictions[eviction->cause]++;
}
static uint32_t first_letter(const void *key, size_t key_bytes, void *arg)
{
    (void)key_bytes, (void)arg;
    return *(const unsigned char *)key;
}

Test(cache, a_listener_is_told_of_all_that_happens_to_sampled_keys)
{
    static const struct geomem_listener listener = {.version = GEOMEM_LISTENER_VERSION,
        .cache_state = tell_state,
        .cache_use = tell_use,
        .cache_evict = tell_evict};
    gm_listener_attach(&listener);
    struct geomem_cache *cache =
        CACHE(10000, .name = "told", .policy = GEOMEM_POLICY_LRU, .key_class = first_letter);
    cr_assert(told.states == 1 && strcmp(told.name, "told") == 0);
    put(cache, "key", "value");
    has(cache, "key", "value");
    has(cache, "none", NULL);
    put(cache, "key", "value");
    geomem_cache_remove(cache, "key", 3);
    struct geomem_cache_entry *entry = NULL;
    cr_assert(geomem_cache_get_or_load(cache, "t", 1, load_odd, cache, &entry) == 0);
    geomem_cache_release(entry);
    uint64_t used = statistics_of(cache).used_bytes;
    geomem_cache_resize(cache, 5000);
    cr_assert(told.last.capacity_bytes == 5000 && told.last.used_bytes == used);
    entry = geomem_cache_peek(cache, "t", 1);
    geomem_cache_destroy(cache);
    cr_assert(told.last.pinned_entries == 1 && told.last.pinned_bytes != 0);
    geomem_cache_release(entry);
    gm_listener_attach(NULL);
    cr_assert(told.closed == 1 && told.last.closed && told.last.hits == 1 && told.last.misses == 2);
    cr_assert(told.uses[GEOMEM_CACHE_HIT] == 1 && told.uses[GEOMEM_CACHE_MISS] == 2);
    cr_assert(told.uses[GEOMEM_CACHE_STORE] == 3 && told.uses[GEOMEM_CACHE_LOAD] == 1);
    cr_assert(told.uses[GEOMEM_CACHE_PIN] == 3 && told.uses[GEOMEM_CACHE_UNPIN] == 3);
    cr_assert(told.evictions[GEOMEM_CACHE_REPLACED] == 1);
    cr_assert(told.evictions[GEOMEM_CACHE_REMOVED] == 1);
    cr_assert(told.evictions[GEOMEM_CACHE_CLOSED] == 1);
    cr_assert(told.key_class == 't');
}

/* ---- the seed names ---- */

static int seed_loads;
static int seed_load(CacheKey key, CachedData *ret_data)
{
    seed_loads++;
    if (key.size == 1)
        return -ENOTCONN;
    char *copy = allocate_memory(key.size + 1, gc_young_generation);
    memcpy(copy, key.bytes, key.size);
    *ret_data = (CachedData){.bytes = copy, .size = key.size + 1};
    return 0;
}

Test(cache, the_seed_names)
{
    cr_assert(remove_cached_data(geomem_text_key("a key")) == -ENOENT);
    cr_assert(init_caching_layer() == 0 && init_caching_layer() == 0);
    CacheKey key = geomem_text_key("a key");
    cr_assert(get_cached_data(key).entry == NULL);
    cr_assert(store_cached_data(key, (CachedData){.bytes = "data", .size = 5}) == 0);
    CachedData data = get_cached_data(key);
    cr_assert(strcmp(data.bytes, "data") == 0 && data.size == 5);
    cr_assert(geomem_cache_references(data.entry) == 1);
    cr_assert(remove_cached_data(key) == 0 && get_cached_data(key).entry == NULL);
    cr_assert(strcmp(data.bytes, "data") == 0);
    release_cached_data(data);
    for (int i = 0; i < 3; i++) {
        data = get_or_load_cached_data(key, seed_load);
        cr_assert(strcmp(data.bytes, "a key") == 0);
        release_cached_data(data);
    }
    cr_assert(seed_loads == 1);
    errno = 0;
    cr_assert(get_or_load_cached_data(geomem_text_key("x"), seed_load).entry == NULL);
    cr_assert(errno == ENOTCONN);
    release_cached_data(get_cached_data(geomem_text_key("x")));
    cr_assert(geomem_cache_resize(geomem_caching_layer(), 1 << 20) == 0);
}
