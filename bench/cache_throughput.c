/* cache_throughput.c WAY THREADS OBJECTS OPERATIONS - what one get-or-put of a cache costs.
 *
 * WAY: uthash (its LRU idiom), glib (a GHashTable and a GQueue), or a policy of libgeomem: adaptive, lru, s3fifo. Keys are 8
 * bytes, values 64; of OBJECTS, drawn by Zipf's law with exponent 1, a tenth fits. THREADS replay one sequence, each
 * every THREADS-th operation. uthash and glib are for one thread. THREADS 1: there is no other in the process; 1i: there is
 * another that sleeps, so that locks are locks.
 *
 * Prints: nanoseconds of CPU time an operation, nanoseconds of real time an operation, hits in percent, bytes resident for each
 * entry beside its key and value. The first half of the sequence fills the cache and is not measured.
 */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>
#include <uthash.h>

#include <geomem/cache.h>

#define VALUE_BYTES 64
#define THREADS_MOST 64

static uint32_t *sequence;
static uint64_t operations, objects, fit;
static int threads;

static void die(const char *what)
{
    fprintf(stderr, "cache_throughput: %s\n", what);
    exit(1);
}

/* ---- the sequence ---- */

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint32_t rank_draw(const double *sums, uint64_t *state)
{
    double at = (double)(random_next(state) >> 11) / 9007199254740992.0 * sums[objects - 1];
    uint64_t low = 0, high = objects - 1;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void sequence_make(void)
{
    double *sums = malloc(objects * sizeof *sums), sum = 0;
    sequence = malloc(operations * sizeof *sequence);
    if (!sums || !sequence)
        die("no memory");
    for (uint64_t i = 0; i < objects; i++)
        sums[i] = sum += 1.0 / (double)(i + 1);
    uint64_t state = 42;
    for (uint64_t i = 0; i < operations; i++)
        sequence[i] = rank_draw(sums, &state);
    free(sums);
}

/* Neighbours in rank are no neighbours in the table. */
static uint64_t key_of(uint32_t rank)
{
    return (rank + 1) * 0x9e3779b97f4a7c15u;
}

static void value_make(char value[VALUE_BYTES], uint64_t key)
{
    memset(value, (int)(key >> 56), VALUE_BYTES);
}

static void value_use(const char *value, uint64_t key)
{
    if (value[0] != (char)(key >> 56))
        die("a wrong value");
}

/* ---- uthash ---- */

struct uthash_entry {
    uint64_t key;
    char value[VALUE_BYTES];
    UT_hash_handle hh;
};
static struct uthash_entry *uthash_entries;

static int uthash_use(uint64_t key)
{
    struct uthash_entry *entry;
    HASH_FIND(hh, uthash_entries, &key, sizeof key, entry);
    if (entry) {
        /* To the end of the order of insertion. */
        HASH_DELETE(hh, uthash_entries, entry);
        HASH_ADD(hh, uthash_entries, key, sizeof entry->key, entry);
        value_use(entry->value, key);
        return 1;
    }
    if (HASH_COUNT(uthash_entries) >= fit) {
        struct uthash_entry *oldest = uthash_entries;
        HASH_DELETE(hh, uthash_entries, oldest);
        free(oldest);
    }
    entry = malloc(sizeof *entry);
    if (!entry)
        die("no memory");
    entry->key = key;
    value_make(entry->value, key);
    HASH_ADD(hh, uthash_entries, key, sizeof entry->key, entry);
    return 0;
}

/* ---- GLib ---- */

struct glib_entry {
    gint64 key;
    GList link;
    char value[VALUE_BYTES];
};
static GHashTable *glib_table;
static GQueue glib_queue = G_QUEUE_INIT;

static int glib_use(uint64_t key)
{
    gint64 wanted = (gint64)key;
    struct glib_entry *entry = g_hash_table_lookup(glib_table, &wanted);
    if (entry) {
        g_queue_unlink(&glib_queue, &entry->link);
        g_queue_push_head_link(&glib_queue, &entry->link);
        value_use(entry->value, key);
        return 1;
    }
    if (glib_queue.length >= fit) {
        struct glib_entry *oldest = g_queue_pop_tail_link(&glib_queue)->data;
        g_hash_table_remove(glib_table, &oldest->key);
        free(oldest);
    }
    entry = malloc(sizeof *entry);
    if (!entry)
        die("no memory");
    *entry = (struct glib_entry){.key = wanted};
    entry->link.data = entry;
    value_make(entry->value, key);
    g_hash_table_insert(glib_table, &entry->key, entry);
    g_queue_push_head_link(&glib_queue, &entry->link);
    return 0;
}

/* ---- libgeomem ---- */

static struct geomem_cache *cache;

static void geomem_make(enum geomem_cache_policy policy)
{
    struct geomem_cache_options options = {
        .struct_bytes = sizeof options,
        .name = "throughput",
        .capacity_bytes = fit * (GEOMEM_CACHE_ENTRY_BYTES + 80),
        .expected_entries = fit,
        .policy = policy,
        .seed = 1,
    };
    if (geomem_cache_create(&options, &cache) != 0)
        die("no cache");
}

static int geomem_use(uint64_t key)
{
    struct geomem_cache_entry *entry = geomem_cache_get(cache, &key, sizeof key);
    if (entry) {
        value_use(geomem_cache_data(entry), key);
        geomem_cache_release(entry);
        return 1;
    }
    char value[VALUE_BYTES];
    value_make(value, key);
    if (geomem_cache_store(cache, &key, sizeof key, value, sizeof value, NULL, NULL) != 0)
        die("a value was not stored");
    return 0;
}

/* ---- the measurement ---- */

static int (*use)(uint64_t key);
static pthread_barrier_t barrier;
struct worker {
    pthread_t thread;
    uint64_t first, hits, cpu_ns, real_ns;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t replay(uint64_t from, uint64_t to)
{
    uint64_t hits = 0;
    for (uint64_t i = from; i < to; i += (uint64_t)threads)
        hits += (uint64_t)use(key_of(sequence[i]));
    return hits;
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    uint64_t half = operations / 2;
    replay(worker->first, half);
    pthread_barrier_wait(&barrier);
    uint64_t cpu = now_ns(CLOCK_THREAD_CPUTIME_ID), real = now_ns(CLOCK_MONOTONIC);
    worker->hits = replay(half + worker->first, operations);
    worker->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    worker->real_ns = now_ns(CLOCK_MONOTONIC) - real;
    return NULL;
}

static uint64_t resident_bytes(void)
{
    unsigned long all, resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%lu %lu", &all, &resident) != 2)
        die("/proc/self/statm cannot be read");
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void *sleeper(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

static void measure(void)
{
    struct worker workers[THREADS_MOST] = {0};
    uint64_t hits = 0, cpu = 0, real = 0, before = resident_bytes();
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    if (threads == 1)
        worker_run(&workers[0]);
    for (int i = 0; i < threads; i++) {
        workers[i].first = (uint64_t)i;
        if (threads > 1 && pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) != 0)
            die("no thread");
    }
    for (int i = 0; i < threads; i++) {
        if (threads > 1)
            pthread_join(workers[i].thread, NULL);
        hits += workers[i].hits;
        cpu += workers[i].cpu_ns;
        real = workers[i].real_ns > real ? workers[i].real_ns : real;
    }
    double measured = (double)(operations - operations / 2);
    double bytes = ((double)resident_bytes() - (double)before) / (double)fit;
    printf("%.2f %.2f %.3f %.1f\n", (double)cpu / measured, (double)real / measured,
        100.0 * (double)hits / measured, bytes - VALUE_BYTES - 8);
}

static void way_choose(const char *way)
{
    static const char *const policies[] = {"adaptive", "lru", "s3fifo"};
    for (int i = 0; i < 3; i++)
        if (strcmp(way, policies[i]) == 0) {
            geomem_make((enum geomem_cache_policy)i);
            use = geomem_use;
        }
    if (strcmp(way, "uthash") == 0)
        use = uthash_use;
    if (strcmp(way, "glib") == 0) {
        glib_table = g_hash_table_new(g_int64_hash, g_int64_equal);
        use = glib_use;
    }
    if (!use)
        die("WAY is one of uthash, glib, adaptive, lru, s3fifo");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage: cache_throughput WAY THREADS OBJECTS OPERATIONS");
    threads = atoi(argv[2]);
    objects = strtoull(argv[3], NULL, 10);
    operations = strtoull(argv[4], NULL, 10);
    fit = objects / 10;
    if (threads < 1 || threads > THREADS_MOST || fit == 0 || operations < 2)
        die("THREADS 1 to 64, OBJECTS at least 10");
    pthread_t other;
    if (strcmp(argv[2], "1i") == 0 && pthread_create(&other, NULL, sleeper, NULL) != 0)
        die("no thread");
    sequence_make();
    way_choose(argv[1]);
    if (use != geomem_use && threads != 1)
        die("uthash and glib are for one thread");
    measure();
    return 0;
}
