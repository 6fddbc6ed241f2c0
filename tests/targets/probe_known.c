/* probe_known.c - a program with a cache of its own, told of by geomem/cache_probe.h, whose every count is known.
 *
 *   first in, first out; 100 entries of 64 bytes; keys 0..149 used in turns by two functions:
 *     fill       150 misses, each put in: 50 leave to make room (keys 0..49), never hit
 *     read_hot   keys 140..149, ten times: 100 hits
 *     read_cold  keys 0..9: 10 misses, each put in: 10 leave (keys 50..59); they had left not long ago
 *   then 5 values are replaced, 3 removed, 2 expire, 1 is refused; the capacity is doubled.
 * Prints nothing. With an argument, that many keys more are used once in a second cache of 1 MB, which is closed.
 * With a second one, that many entries leave a third cache that was filled before it was registered; then 5 come in.
 */
#include <geomem/cache_probe.h>

#include <stdio.h>
#include <stdlib.h>

#define ENTRY_BYTES 64u
#define ENTRIES 100u

static struct geomem_probe *probe;
static uint64_t fifo[ENTRIES];
static unsigned first, count;

static int fifo_holds(uint64_t key)
{
    for (unsigned i = 0; i < count; i++)
        if (fifo[(first + i) % ENTRIES] == key)
            return 1;
    return 0;
}

static void fifo_put(uint64_t key)
{
    if (count == ENTRIES) {
        geomem_cache_evict(probe, fifo[first], ENTRY_BYTES, GEOMEM_CACHE_SIZE);
        first = (first + 1) % ENTRIES;
        count--;
    }
    fifo[(first + count++) % ENTRIES] = key;
}

__attribute__((noinline)) static void lookup(uint64_t key, uint32_t key_class)
{
    int hit = fifo_holds(key);
    if (!hit)
        fifo_put(key);
    geomem_cache_access_class(probe, key, key_class, hit, ENTRY_BYTES);
}

__attribute__((noinline)) static void fill(void)
{
    for (uint64_t key = 0; key < 150; key++)
        lookup(key, 1);
}

__attribute__((noinline)) static void read_hot(void)
{
    for (unsigned i = 0; i < 10; i++)
        for (uint64_t key = 140; key < 150; key++)
            lookup(key, 2);
}

__attribute__((noinline)) static void read_cold(void)
{
    for (uint64_t key = 0; key < 10; key++)
        lookup(key, 1);
}

static void leave(uint64_t from, unsigned entries, enum geomem_cache_cause cause)
{
    for (unsigned i = 0; i < entries; i++)
        geomem_cache_evict(probe, from + i, ENTRY_BYTES, cause);
}

static void second_cache(uint64_t keys)
{
    struct geomem_probe *second = geomem_cache_register("second", 1 << 20);
    for (uint64_t key = 0; key < keys; key++)
        geomem_cache_access(second, key, false, 16);
    geomem_probe_close(second);
}

static void late_cache(uint64_t entries)
{
    struct geomem_probe *late = geomem_cache_register("late", 1 << 20);
    for (uint64_t key = 0; key < entries; key++)
        geomem_cache_evict(late, key, 16, GEOMEM_CACHE_SIZE);
    for (uint64_t key = 0; key < 5; key++)
        geomem_cache_access(late, key, false, 16);
}

int main(int argc, char **argv)
{
    probe = geomem_cache_register("known", ENTRIES * ENTRY_BYTES);
    geomem_probe_class(probe, 2, "hot ones");
    fill();
    read_hot();
    read_cold();
    for (uint64_t key = 0; key < 5; key++) {
        geomem_cache_evict(probe, key, ENTRY_BYTES, GEOMEM_CACHE_REPLACED);
        geomem_probe_store(probe, key, ENTRY_BYTES);
    }
    leave(0, 3, GEOMEM_CACHE_REMOVED);
    leave(3, 2, GEOMEM_CACHE_EXPIRED);
    leave(1000, 1, GEOMEM_CACHE_REJECTED);
    geomem_probe_resize(probe, 2 * ENTRIES * ENTRY_BYTES);
    if (argc > 1)
        second_cache(strtoull(argv[1], NULL, 10));
    if (argc > 2)
        late_cache(strtoull(argv[2], NULL, 10));
    return 0;
}
