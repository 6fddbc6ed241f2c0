/* cache_model.c [STEPS [SEED]] - one thread does everything at random to a cache, and to a naive model beside it.
 *
 * What the policy evicts is the cache's to choose: the model is told by the callback. Everything else the model knows by itself:
 * which keys are there, with what values, what they are charged, which are pinned, and that the capacity holds.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/cache.h"
#include "geomem/geomem.h"

#define KEYS 600
#define PINS 40

struct model_entry {
    uint64_t value; /* 0: not there */
    uint64_t charge;
    uint64_t bytes;
    uint32_t pins;
};
static struct model_entry model[KEYS];
static uint64_t model_used, model_count;
static uint64_t gone[GEOMEM_CACHE_CAUSE_COUNT];

static struct {
    struct geomem_cache_entry *entry;
    uint64_t value, bytes;
    int key;
} pins[PINS];

static struct geomem_cache *cache;
static uint64_t seed, state, values, step_number;
static bool storing_rejected;

static void die(const char *what)
{
    fprintf(stderr, "cache_model: %s (step %llu, seed %llu)\n", what,
        (unsigned long long)step_number, (unsigned long long)seed);
    abort();
}

static uint64_t random_below(uint64_t most)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % most;
}

/* Keys of different lengths, the number at the end. */
static size_t key_make(int number, char key[64])
{
    memset(key, 'k', 64);
    size_t bytes = 1 + (size_t)number % 40;
    if (bytes < 4)
        bytes = 4;
    memcpy(key + bytes - 4, &number, 4);
    return bytes;
}

static int key_number(const void *key, size_t bytes)
{
    int number;
    memcpy(&number, (const char *)key + bytes - 4, 4);
    return number;
}

static void value_fill(void *data, uint64_t value, size_t bytes)
{
    unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (i % 8 * 8));
}

static void value_check(const void *data, uint64_t value, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != (unsigned char)(value >> (i % 8 * 8)))
            die("a value is not what was stored");
}

static void model_drop(int number)
{
    model_used -= model[number].charge;
    model_count--;
    model[number].value = 0;
}

static void on_evicted(const struct geomem_cache_gone *entry, void *arg)
{
    int number = key_number(entry->key, entry->key_bytes);
    if (arg != &model)
        die("another's argument");
    gone[entry->cause]++;
    if (entry->cause == GEOMEM_CACHE_REJECTED) {
        storing_rejected = true;
        return;
    }
    if (!model[number].value)
        die("what left was not there");
    value_check(entry->data, model[number].value, entry->data_bytes);
    if (entry->data_bytes != model[number].bytes || entry->charged_bytes != model[number].charge)
        die("what left had another size");
    if ((entry->cause == GEOMEM_CACHE_SIZE || entry->cause == GEOMEM_CACHE_PRESSURE) &&
        model[number].pins != 0)
        die("a pinned entry was evicted");
    model_drop(number);
}

static struct geomem_cache_statistics statistics_get(void)
{
    struct geomem_cache_statistics statistics = {.struct_bytes = sizeof statistics};
    if (geomem_cache_statistics(cache, &statistics) != 0)
        die("no statistics");
    return statistics;
}

/* ---- pins ---- */

static void pin_keep(struct geomem_cache_entry *entry, int number, uint64_t value, uint64_t bytes)
{
    uint64_t at = random_below(PINS);
    if (pins[at].entry || random_below(2) == 0) {
        geomem_cache_release(entry);
        return;
    }
    pins[at].entry = entry;
    pins[at].key = number;
    pins[at].value = value;
    pins[at].bytes = bytes;
    if (model[number].value == value)
        model[number].pins++;
}

static void pin_drop(uint64_t at)
{
    if (!pins[at].entry)
        return;
    if (geomem_cache_bytes(pins[at].entry) != pins[at].bytes)
        die("a pinned value has another size");
    value_check(geomem_cache_data(pins[at].entry), pins[at].value, pins[at].bytes);
    size_t key_bytes;
    const void *key = geomem_cache_key(pins[at].entry, &key_bytes);
    if (key_number(key, key_bytes) != pins[at].key)
        die("a pinned entry has another key");
    if (model[pins[at].key].value == pins[at].value)
        model[pins[at].key].pins--;
    geomem_cache_release(pins[at].entry);
    pins[at].entry = NULL;
}

/* ---- steps ---- */

static void step_get(int number, bool peeks)
{
    char key[64];
    size_t key_bytes = key_make(number, key);
    struct geomem_cache_entry *entry =
        peeks ? geomem_cache_peek(cache, key, key_bytes) : geomem_cache_get(cache, key, key_bytes);
    if (!entry != !model[number].value)
        die("found what is not there, or not what is");
    if (!entry)
        return;
    if (geomem_cache_bytes(entry) != model[number].bytes ||
        ((uintptr_t)geomem_cache_data(entry) & 15) != 0)
        die("size or alignment");
    value_check(geomem_cache_data(entry), model[number].value, model[number].bytes);
    pin_keep(entry, number, model[number].value, model[number].bytes);
}

static size_t size_draw(void)
{
    uint64_t kind = random_below(1000);
    return kind == 0 ? 70000 : kind < 30 ? random_below(20000) : random_below(300);
}

static void stored(int number, int status, uint64_t value, size_t bytes, uint64_t used_before,
    struct geomem_cache_entry *entry)
{
    if (status < 0)
        die("a store failed");
    if ((status != 0) != storing_rejected)
        die("refused, or not, without saying so");
    if (status == 0) {
        struct geomem_cache_statistics now = statistics_get();
        model[number] = (struct model_entry){.value = value, .bytes = bytes};
        model[number].charge = now.used_bytes - model_used;
        model_used = now.used_bytes;
        model_count++;
        if (model[number].charge < bytes + 48 || model[number].charge > bytes * 3 / 2 + 200)
            die("a strange charge");
    } else if (model[number].value) {
        die("refused, and the old value is still there");
    }
    (void)used_before;
    if (entry) {
        value_check(geomem_cache_data(entry), value, bytes);
        pin_keep(entry, number, status == 0 ? value : value, bytes);
    }
}

static void step_store(int number)
{
    char key[64];
    static unsigned char data[80000];
    size_t key_bytes = key_make(number, key), bytes = size_draw();
    uint64_t value = ++values * 0x9e3779b97f4a7c15u | 1;
    value_fill(data, value, bytes);
    struct geomem_cache_entry *entry = NULL;
    storing_rejected = false;
    int status = geomem_cache_store(
        cache, key, key_bytes, data, bytes, NULL, random_below(2) ? &entry : NULL);
    stored(number, status, value, bytes, model_used, entry);
}

struct making {
    uint64_t value;
    size_t bytes;
    int calls;
};

static int make(struct geomem_cache_load *load, const void *key, size_t key_bytes, void *arg)
{
    struct making *making = arg;
    making->calls++;
    (void)key, (void)key_bytes;
    if (making->bytes % 7 == 3)
        return -5;
    void *room = geomem_cache_load_room(load, making->bytes);
    if (!room)
        die("no room for a load");
    value_fill(room, making->value, making->bytes);
    return 0;
}

static void step_load(int number)
{
    char key[64];
    size_t key_bytes = key_make(number, key);
    struct making making = {.value = ++values * 0x9e3779b97f4a7c15u | 1, .bytes = size_draw()};
    bool was_there = model[number].value != 0;
    struct geomem_cache_entry *entry = NULL;
    storing_rejected = false;
    int status = geomem_cache_get_or_load(cache, key, key_bytes, make, &making, &entry);
    if (making.calls != (was_there ? 0 : 1))
        die("loaded what was there, or not what was not");
    if (was_there)
        pin_keep(entry, number, model[number].value, model[number].bytes);
    else if (making.bytes % 7 == 3) {
        if (status != -5 || entry)
            die("a loader's error was lost");
    } else
        stored(number, status, making.value, making.bytes, model_used, entry);
}

static void step_remove(int number)
{
    char key[64];
    size_t key_bytes = key_make(number, key);
    bool was_there = model[number].value != 0;
    if ((geomem_cache_remove(cache, key, key_bytes) == 0) != was_there || model[number].value)
        die("removed what was not there, or not what was");
}

static int visit_count(struct geomem_cache_entry *entry, void *arg)
{
    size_t key_bytes;
    const void *key = geomem_cache_key(entry, &key_bytes);
    if (!model[key_number(key, key_bytes)].value)
        die("a walk found what is not there");
    ++*(uint64_t *)arg;
    return 0;
}

static int visit_pin(const struct geomem_cache_pin *pin, void *arg)
{
    if (!pin->site && *(uint64_t *)arg < 50)
        die("a pin without a site");
    ++*(uint64_t *)arg;
    return 0;
}

static void step_check(void)
{
    struct geomem_cache_statistics now = statistics_get();
    uint64_t seen = 0, pinned = 0, held = 0;
    geomem_cache_each(cache, visit_count, &seen);
    geomem_cache_pins(cache, 0, visit_pin, &pinned);
    for (int i = 0; i < PINS; i++)
        held += pins[i].entry != NULL;
    if (geomem_cache_check(cache) != 0)
        die("the cache is not whole");
    if (now.used_bytes != model_used || now.entries != model_count || seen != model_count)
        die("counts differ");
    if (pinned != held || now.pinned_entries > held || (held != 0 && now.pinned_entries == 0))
        die("pins differ");
}

static void step_capacity(uint64_t wanted)
{
    int err = geomem_cache_resize(cache, wanted);
    uint64_t capacity = statistics_get().capacity_bytes;
    if (err != 0 && err != -16)
        die("a resize failed");
    if (err == 0 ? capacity != wanted : capacity <= wanted)
        die("another capacity");
}

static void step(void)
{
    int number = (int)(random_below(3) ? random_below(60) : random_below(KEYS));
    uint64_t what = random_below(1000);
    if (what < 450)
        step_get(number, what < 50);
    else if (what < 700)
        step_store(number);
    else if (what < 800)
        step_load(number);
    else if (what < 850)
        step_remove(number);
    else if (what < 980)
        pin_drop(random_below(PINS));
    else if (what < 985)
        step_capacity(2000 + random_below(100000));
    else if (what < 990)
        geomem_cache_shrink(cache, random_below(20000));
    else if (what < 999)
        step_check();
    else if (geomem_cache_clear(cache) > KEYS || model_count != 0)
        die("cleared, and something is left");
    struct geomem_cache_statistics now = statistics_get();
    if (now.used_bytes > now.capacity_bytes)
        die("over its capacity");
}

static void run(uint64_t steps, uint32_t shards, enum geomem_cache_policy policy)
{
    struct geomem_cache_options options = {
        .struct_bytes = sizeof options,
        .name = "model",
        .capacity_bytes = 60000,
        .policy = policy,
        .shards = shards,
        .seed = seed,
        .evicted = on_evicted,
        .arg = &model,
    };
    if (geomem_cache_create(&options, &cache) != 0)
        die("no cache");
    for (step_number = 0; step_number < steps; step_number++)
        step();
    step_check();
    for (uint64_t i = 0; i < PINS / 2; i++)
        pin_drop(i);
    geomem_cache_destroy(cache);
    if (model_count != 0 || model_used != 0)
        die("destroyed, and something is left");
    for (uint64_t i = 0; i < PINS; i++)
        pin_drop(i);
}

int main(int argc, char **argv)
{
    uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 60000;
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0x5eed0fcac4e5;
    static const enum geomem_cache_policy policies[] = {
        GEOMEM_POLICY_ADAPTIVE, GEOMEM_POLICY_LRU, GEOMEM_POLICY_S3FIFO};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
        for (uint32_t shards = 1; shards <= 8; shards *= 8) {
            state = seed;
            run(steps, shards, policies[i]);
        }
    struct geomem_heap_statistics heap = {.struct_bytes = sizeof heap};
    if (geomem_heap_statistics(NULL, &heap) != 0 || heap.explicit_blocks != 0)
        die("blocks are left in the heap");
    printf("cache_model: seed %llu: %llu evicted for size, %llu replaced, %llu removed, %llu "
           "rejected, "
           "%llu under pressure, %llu closed\n",
        (unsigned long long)seed, (unsigned long long)gone[GEOMEM_CACHE_SIZE],
        (unsigned long long)gone[GEOMEM_CACHE_REPLACED],
        (unsigned long long)gone[GEOMEM_CACHE_REMOVED],
        (unsigned long long)gone[GEOMEM_CACHE_REJECTED],
        (unsigned long long)gone[GEOMEM_CACHE_PRESSURE],
        (unsigned long long)gone[GEOMEM_CACHE_CLOSED]);
    return 0;
}
