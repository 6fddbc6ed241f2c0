/* cache_hit_ratio.c - replays traces through simulated caches and prints what they hit. Run by bench/cache_hit_ratio.
 *
 *     cache_hit_ratio adaptive|lru|s3fifo|predict TRACE [-s SIZES] FRACTION...
 *
 * TRACE: little-endian 32-bit object numbers, one a request. SIZES: bytes of each object; without, each is 1. Prints for each
 * FRACTION of all objects' sizes, tab-separated: trace, fraction, capacity, hits, hit ratio, byte hit ratio, processor ns a request, choice,
 * switches. `predict`: trace, fraction, capacity, times (0.5, 2, 4), the hit ratio that the recorder (collector/cache_simulate.h)
 * predicts for so many times the capacity from a sample of some 2,048 entries at the capacity, the error told with it, what a run
 * with that capacity hits, and the share of the keys in the sample.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/cache_simulate.h"
#include "geomem/listener.h"
#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/simulate.h"

struct trace {
    const char *name;
    uint32_t *requests;
    size_t count;
    uint32_t *sizes; /* by object; NULL: all are 1 */
    uint32_t objects;
    uint64_t bytes; /* of all objects */
};

static int file_read(const char *path, uint32_t **ret_words, size_t *ret_count)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    fseek(file, 0, SEEK_END);
    size_t count = (size_t)ftell(file) / sizeof(uint32_t);
    rewind(file);
    uint32_t *words = malloc((count + 1) * sizeof(uint32_t));
    size_t got = words ? fread(words, sizeof(uint32_t), count, file) : 0;
    fclose(file);
    if (got != count) {
        free(words);
        return words ? -EIO : -ENOMEM;
    }
    *ret_words = words;
    *ret_count = count;
    return 0;
}

static int trace_measure(struct trace *trace, size_t sizes)
{
    uint32_t most = 0;
    for (size_t i = 0; i < trace->count; i++)
        if (trace->requests[i] > most)
            most = trace->requests[i];
    if (trace->sizes && sizes <= most)
        return -EINVAL;
    char *seen = calloc((size_t)most + 1, 1);
    if (!seen)
        return -ENOMEM;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t object = trace->requests[i];
        if (seen[object])
            continue;
        seen[object] = 1;
        trace->objects++;
        trace->bytes += trace->sizes ? trace->sizes[object] : 1;
    }
    free(seen);
    return 0;
}

static int trace_read(struct trace *trace, const char *path, const char *sizes_path)
{
    size_t sizes = 0;
    const char *slash = strrchr(path, '/');
    trace->name = slash ? slash + 1 : path;
    int error = file_read(path, &trace->requests, &trace->count);
    if (error == 0 && sizes_path)
        error = file_read(sizes_path, &trace->sizes, &sizes);
    return error < 0 ? error : trace_measure(trace, sizes);
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t key_of(uint32_t object)
{
    return gm_policy_mix(object + 0x1234567u);
}

static uint64_t size_of(const struct trace *trace, uint32_t object)
{
    return trace->sizes ? trace->sizes[object] : 1;
}

static uint64_t capacity_of(const struct trace *trace, double fraction)
{
    uint64_t capacity = (uint64_t)(fraction * (double)trace->bytes + 0.5);
    return capacity ? capacity : 1;
}

struct counts {
    uint64_t hits, hit_bytes, bytes;
    double ns;
    uint32_t choice, switches;
};

static int cache_create(const struct trace *trace, enum gm_policy_kind kind, uint64_t capacity,
    struct gm_simulation **ret_cache)
{
    struct gm_policy_config config = {.kind = kind, .capacity = capacity, .seed = 42};
    config.slots = trace->objects < capacity ? trace->objects : (uint32_t)capacity;
    return gm_simulation_create(&config, ret_cache);
}

static int replay(const struct trace *trace, enum gm_policy_kind kind, uint64_t capacity,
    struct counts *ret_counts)
{
    struct gm_simulation *simulation;
    int error = cache_create(trace, kind, capacity, &simulation);
    if (error < 0)
        return error;
    struct counts counts = {0};
    double start = now_ns();
    for (size_t i = 0; i < trace->count; i++) {
        uint64_t size = size_of(trace, trace->requests[i]);
        bool hit = gm_simulate_use(simulation, key_of(trace->requests[i]), size, 0);
        counts.hits += hit;
        counts.hit_bytes += hit ? size : 0;
        counts.bytes += size;
    }
    counts.ns = now_ns() - start;
    counts.choice = gm_policy_choice(gm_simulation_policy(simulation));
    counts.switches = gm_policy_switches(gm_simulation_policy(simulation));
    gm_simulation_free(simulation);
    *ret_counts = counts;
    return 0;
}

static int print_replay(const struct trace *trace, enum gm_policy_kind kind, double fraction)
{
    struct counts counts;
    uint64_t capacity = capacity_of(trace, fraction);
    int error = replay(trace, kind, capacity, &counts);
    if (error < 0)
        return error;
    printf("%s\t%g\t%llu\t%llu\t%.6f\t%.6f\t%.1f\t%u\t%u\n", trace->name, fraction,
        (unsigned long long)capacity, (unsigned long long)counts.hits,
        (double)counts.hits / (double)trace->count, (double)counts.hit_bytes / (double)counts.bytes,
        counts.ns / (double)trace->count, counts.choice, counts.switches);
    return 0;
}

/* As libgeomem/cache samples for a recorder: keys of about so many entries. */
#define SAMPLE_ENTRIES 2048u

static uint64_t entry_bytes(const struct trace *trace)
{
    uint64_t bytes = trace->bytes / trace->objects;
    return bytes ? bytes : 1;
}

static uint64_t sample_threshold(uint64_t entries)
{
    return entries <= SAMPLE_ENTRIES ? UINT64_MAX : UINT64_MAX / entries * SAMPLE_ENTRIES;
}

/* Uses the cache and tells the curve, as the recorder is told. */
static void curve_feed(
    const struct trace *trace, struct gm_simulation *cache, struct gm_cache_curve_sim *curve)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < trace->count; i++) {
        struct gm_cache_curve_sim_event event = {
            .key = key_of(trace->requests[i]), .bytes = size_of(trace, trace->requests[i])};
        bool hit = gm_simulate_use(cache, event.key, event.bytes, 0);
        event.use = hit ? GM_CACHE_CURVE_HIT : GM_CACHE_CURVE_MISS;
        gm_cache_curve_sim_use(curve, &event);
        hits += hit;
    }
    gm_cache_curve_sim_state(curve, hits, trace->count - hits);
}

static int predictions_make(const struct trace *trace, uint64_t capacity, uint64_t threshold,
    struct gm_cache_curve_result *ret_result)
{
    struct gm_simulation *cache;
    struct gm_cache_curve_sim curve;
    int error = cache_create(trace, GM_POLICY_ADAPTIVE, capacity, &cache);
    if (error < 0)
        return error;
    gm_cache_curve_sim_init(&curve, GEOMEM_POLICY_ADAPTIVE, capacity, threshold);
    gm_cache_curve_sim_begin(&curve, entry_bytes(trace));
    curve_feed(trace, cache, &curve);
    gm_cache_curve_sim_result(&curve, ret_result);
    gm_cache_curve_sim_done(&curve);
    gm_simulation_free(cache);
    return ret_result->lookups ? 0 : -ENODATA;
}

static int print_predictions(const struct trace *trace, double fraction)
{
    static const struct {
        unsigned point;
        double times;
    } asked[] = {
        {GM_CACHE_CURVE_OWN - 2, 0.5}, {GM_CACHE_CURVE_OWN + 2, 2}, {GM_CACHE_CURVE_OWN + 4, 4}};
    uint64_t capacity = capacity_of(trace, fraction);
    uint64_t threshold = sample_threshold(capacity / entry_bytes(trace));
    struct gm_cache_curve_result result;
    struct gm_cache_curve_point points[GM_CACHE_CURVE_POINTS];
    int error = predictions_make(trace, capacity, threshold, &result);
    if (error < 0)
        return error;
    gm_cache_curve_result_points(&result, points);
    for (unsigned i = 0; i < sizeof asked / sizeof *asked && error == 0; i++) {
        const struct gm_cache_curve_point *point = &points[asked[i].point];
        struct counts counts;
        error = replay(trace, GM_POLICY_ADAPTIVE, point->capacity_bytes, &counts);
        if (error == 0)
            printf("%s\t%g\t%llu\t%g\t%.6f\t%.6f\t%.6f\t%.6f\n", trace->name, fraction,
                (unsigned long long)capacity, asked[i].times, point->hit_ratio, point->error,
                (double)counts.hits / (double)trace->count, ((double)threshold + 1) / 0x1p64);
    }
    return error;
}

#define PREDICT 3

static int kind_of(const char *name)
{
    static const char *const names[] = {"adaptive", "lru", "s3fifo", "predict"};
    for (int kind = 0; kind <= PREDICT; kind++)
        if (strcmp(name, names[kind]) == 0)
            return kind;
    return -1;
}

int main(int count, char **arguments)
{
    int kind = count > 3 ? kind_of(arguments[1]) : -1;
    if (kind < 0) {
        fprintf(stderr,
            "usage: cache_hit_ratio adaptive|lru|s3fifo|predict TRACE [-s SIZES] FRACTION...\n");
        return 2;
    }
    bool sized = strcmp(arguments[3], "-s") == 0 && count > 5;
    struct trace trace = {0};
    int error = trace_read(&trace, arguments[2], sized ? arguments[4] : NULL);
    for (int i = sized ? 5 : 3; i < count && error == 0; i++)
        error = kind == PREDICT
                    ? print_predictions(&trace, strtod(arguments[i], NULL))
                    : print_replay(&trace, (enum gm_policy_kind)kind, strtod(arguments[i], NULL));
    if (error < 0)
        fprintf(stderr, "cache_hit_ratio: %s: %s\n", arguments[2], strerror(-error));
    free(trace.requests);
    free(trace.sizes);
    return error < 0;
}
