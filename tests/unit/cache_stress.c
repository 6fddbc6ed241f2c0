/* cache_stress.c [THREADS [STEPS [SEED]]] - many threads get, store, remove, load and resize one cache while another watches:
 * no moment shows it over its capacity, and every value that is pinned stays what it was.
 *
 * A plain program, so that it runs under ThreadSanitizer. Each value says which key it belongs to and which store made it,
 * and repeats that in every word.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "geomem/cache.h"
#include "geomem/geomem.h"

#define KEYS 3000u
#define HELD 6
#define FORKS 12

static struct geomem_cache *cache;
static long steps = 50000;
static uint64_t seed = 0xcac4e57e55;
static _Atomic uint64_t stores_made, left, loads_running[KEYS], let_in;
static _Atomic bool ended;

static void die(const char *what)
{
    fprintf(stderr, "cache_stress: %s (seed %llu)\n", what, (unsigned long long)seed);
    abort();
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 8;
}

/* ---- values ---- */

static size_t value_make(uint64_t *words, uint64_t key, uint64_t random)
{
    size_t count = 2 + random % 40 + (random % 97 == 0 ? 900 : 0);
    uint64_t number = atomic_fetch_add_explicit(&stores_made, 1, memory_order_relaxed);
    for (size_t i = 0; i < count; i += 2) {
        words[i] = key;
        words[i + 1] = number;
    }
    return count / 2 * 16;
}

static void value_check(const struct geomem_cache_entry *entry, uint64_t key)
{
    const uint64_t *words = geomem_cache_data(entry);
    size_t count = geomem_cache_bytes(entry) / 8, key_bytes;
    const uint64_t *found = geomem_cache_key(entry, &key_bytes);
    if (key_bytes != sizeof key || *found != key)
        die("an entry has another's key");
    for (size_t i = 0; i < count; i += 2)
        if (words[i] != key || words[i + 1] != words[1])
            die("a pinned value has changed");
}

static void on_evicted(const struct geomem_cache_gone *gone, void *arg)
{
    (void)arg;
    uint64_t key;
    memcpy(&key, gone->key, sizeof key);
    if (gone->data_bytes >= 8 && *(const uint64_t *)gone->data != key)
        die("what left is not what was there");
    atomic_fetch_add_explicit(&left, 1, memory_order_relaxed);
}

/* ---- what threads do ---- */

struct held {
    struct geomem_cache_entry *entry;
    uint64_t key;
};

static void hold(struct held *held, struct geomem_cache_entry *entry, uint64_t key, uint64_t random)
{
    if (!entry)
        return;
    value_check(entry, key);
    struct held *at = &held[random % HELD];
    if (at->entry) {
        value_check(at->entry, at->key);
        geomem_cache_release(at->entry);
    }
    *at = (struct held){entry, key};
}

static int load_value(
    struct geomem_cache_load *load, const void *bytes, size_t key_bytes, void *arg)
{
    uint64_t key, *random = arg;
    memcpy(&key, bytes, key_bytes);
    if (atomic_fetch_add(&loads_running[key], 1) != 0)
        die("two loaders of one key at once");
    uint64_t words[1000];
    size_t size = value_make(words, key, random_next(random));
    int err = random_next(random) % 9 == 0 ? -5 : geomem_cache_load_copy(load, words, size);
    atomic_fetch_sub(&loads_running[key], 1);
    return err;
}

static void step(uint64_t *random, struct held *held)
{
    uint64_t key = random_next(random) % KEYS, what = random_next(random) % 1000;
    if (random_next(random) % 2)
        key %= KEYS / 50;
    struct geomem_cache_entry *entry = NULL;
    uint64_t words[1000];
    if (what < 600) {
        hold(held, geomem_cache_get(cache, &key, sizeof key), key, random_next(random));
    } else if (what < 850) {
        size_t size = value_make(words, key, random_next(random));
        int status = geomem_cache_store(
            cache, &key, sizeof key, words, size, NULL, what % 2 ? &entry : NULL);
        if (status < 0)
            die("a store failed");
        if (status == 0)
            atomic_fetch_add_explicit(&let_in, 1, memory_order_relaxed);
        hold(held, entry, key, random_next(random));
    } else if (what < 930) {
        int status = geomem_cache_get_or_load(cache, &key, sizeof key, load_value, random, &entry);
        if (status < 0 && status != -5)
            die("a load failed");
        hold(held, entry, key, random_next(random));
    } else if (what < 998) {
        geomem_cache_remove(cache, &key, sizeof key);
    } else if (what == 998) {
        geomem_cache_resize(cache, 100000 + random_next(random) % 400000);
    } else {
        geomem_cache_shrink(cache, random_next(random) % 50000);
    }
}

static void *worker(void *arg)
{
    uint64_t random = seed ^ ((uint64_t)(uintptr_t)arg + 1) * 0x9e3779b97f4a7c15u;
    struct held held[HELD] = {0};
    for (long i = 0; i < steps; i++)
        step(&random, held);
    for (int i = 0; i < HELD; i++)
        if (held[i].entry) {
            value_check(held[i].entry, held[i].key);
            geomem_cache_release(held[i].entry);
        }
    return NULL;
}

/* ---- who watches ---- */

static int each_check(struct geomem_cache_entry *entry, void *arg)
{
    size_t key_bytes;
    const uint64_t *key = geomem_cache_key(entry, &key_bytes);
    value_check(entry, *key);
    ++*(uint64_t *)arg;
    return 0;
}

static int pin_check(const struct geomem_cache_pin *pin, void *arg)
{
    size_t key_bytes;
    value_check(pin->entry, *(const uint64_t *)geomem_cache_key(pin->entry, &key_bytes));
    ++*(uint64_t *)arg;
    return 0;
}

static void *watcher(void *arg)
{
    (void)arg;
    uint64_t looks = 0, seen = 0;
    while (!atomic_load(&ended)) {
        struct geomem_cache_statistics now = {.struct_bytes = sizeof now};
        geomem_cache_statistics(cache, &now);
        if (now.used_bytes > now.capacity_bytes)
            die("over its capacity");
        if (looks++ % 16 == 0) {
            geomem_cache_each(cache, each_check, &seen);
            geomem_cache_pins(cache, 0, pin_check, &seen);
        }
    }
    return NULL;
}

#if !defined(__SANITIZE_THREAD__)
/* A child that waits for what a thread of its parent's had is killed by its alarm. */
static void child_uses_it(void)
{
    alarm(30);
    geomem_cache_resize(cache, 250000);
    uint64_t key = 1, words[1000], random = seed;
    size_t size = value_make(words, key, 5);
    for (key = 0; key < KEYS; key++) {
        words[0] = key;
        for (size_t i = 0; i < size / 8; i += 2)
            words[i] = key;
        if (geomem_cache_store(cache, &key, sizeof key, words, size, NULL, NULL) < 0)
            _exit(2);
        struct geomem_cache_entry *entry = geomem_cache_get(cache, &key, sizeof key);
        if (entry)
            value_check(entry, key);
        geomem_cache_release(entry);
        if (geomem_cache_get_or_load(cache, &key, sizeof key, load_value, &random, &entry) >= 0)
            geomem_cache_release(entry);
    }
    _exit(geomem_cache_check(cache) == 0 ? 0 : 3);
}

/* Loaders that ran in other threads count as running for ever in the child. */
static void fork_once(void)
{
    pid_t child = fork();
    if (child == 0) {
        for (uint32_t i = 0; i < KEYS; i++)
            atomic_store(&loads_running[i], 0);
        child_uses_it();
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "cache_stress: child's status %d\n", status);
        die("the child of a fork could not use the cache");
    }
}

#endif

static void run(long threads, uint32_t shards)
{
    struct geomem_cache_options options = {
        .struct_bytes = sizeof options,
        .name = "stress",
        .capacity_bytes = 300000,
        .shards = shards,
        .evicted = on_evicted,
    };
    pthread_t thread[64], watching;
    atomic_store(&ended, false);
    if (geomem_cache_create(&options, &cache) != 0)
        die("no cache");
    pthread_create(&watching, NULL, watcher, NULL);
    for (long i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)i); /* NOLINT */
#if !defined(__SANITIZE_THREAD__)
    for (int i = 0; i < FORKS; i++)
        fork_once();
#endif
    for (long i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    atomic_store(&ended, true);
    pthread_join(watching, NULL);
    struct geomem_cache_statistics now = {.struct_bytes = sizeof now};
    geomem_cache_statistics(cache, &now);
    if (now.pinned_entries != 0 || geomem_cache_check(cache) != 0)
        die("pins are left, or the cache is not whole");
    printf("cache_stress: %ld threads, %u shards: %llu hits, %llu misses, %llu stores, %llu loads, "
           "%llu "
           "waited\n",
        threads, shards, (unsigned long long)now.hits, (unsigned long long)now.misses,
        (unsigned long long)now.stores, (unsigned long long)now.loads,
        (unsigned long long)now.load_waits);
    geomem_cache_destroy(cache);
}

/* ---- elastic caches come and go while all threads relieve them ---- */

#define OWNER_ALIVE 0xa11feULL
/* Of a thread, in turn: each stays dead for a while. */
#define OWNERS 16

struct owner {
    _Atomic uint64_t alive;
};

static void on_elastic_evicted(const struct geomem_cache_gone *gone, void *arg)
{
    struct owner *owner = arg;
    (void)gone;
    sched_yield(); /* time for its owner to destroy it */
    if (atomic_load_explicit(&owner->alive, memory_order_relaxed) != OWNER_ALIVE)
        die("an entry was told after its cache was destroyed");
}

static void elastic_once(struct owner *owner, uint64_t *random)
{
    struct geomem_cache_options options = {
        .struct_bytes = sizeof options,
        .capacity_bytes = 50000,
        .min_bytes = 20000,
        .max_bytes = 90000,
        .evicted = on_elastic_evicted,
        .arg = owner,
    };
    struct geomem_cache *own = NULL;
    atomic_store(&owner->alive, OWNER_ALIVE);
    if (geomem_cache_create(&options, &own) != 0)
        die("no elastic cache");
    for (int i = 0; i < 100; i++) {
        uint64_t key = random_next(random), words[100] = {0};
        if (geomem_cache_store(own, &key, sizeof key, words, sizeof words, NULL, NULL) < 0)
            die("a store into an elastic cache failed");
        if (i % 50 == 49)
            geomem_caches_relieve(random_next(random) % 300000);
    }
    struct geomem_cache_statistics now = {.struct_bytes = sizeof now};
    geomem_cache_statistics(own, &now);
    if (now.min_bytes != 20000 || now.max_bytes != 90000 || now.capacity_bytes < 20000 ||
        geomem_cache_check(own) != 0)
        die("an elastic cache is not whole, or beyond its bounds");
    geomem_cache_destroy(own);
    atomic_store(&owner->alive, 0);
}

static void *elastic_worker(void *arg)
{
    uint64_t random = seed ^ ((uint64_t)(uintptr_t)arg + 1) * 0x9e3779b97f4a7c15u;
    static struct owner owners[64][OWNERS];
    for (long i = 0; i < steps / 200; i++)
        elastic_once(&owners[(uintptr_t)arg][i % OWNERS], &random);
    return NULL;
}

static void run_elastic(long threads)
{
    pthread_t thread[64];
    for (long i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, elastic_worker, (void *)(uintptr_t)i); /* NOLINT */
    for (long i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? atol(argv[1]) : 8;
    if (argc > 2)
        steps = atol(argv[2]);
    if (argc > 3)
        seed = strtoull(argv[3], NULL, 10);
    if (threads < 1 || threads > 64)
        return 2;
    run(threads, 1);
    run(threads, 8);
    run_elastic(threads);
    struct geomem_heap_statistics heap = {.struct_bytes = sizeof heap};
    if (geomem_heap_statistics(NULL, &heap) != 0 || heap.explicit_blocks != 0)
        die("blocks are left in the heap");
    return 0;
}
