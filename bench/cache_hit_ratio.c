/* cache_hit_ratio.c - replays traces through simulated caches and prints what they hit. Run by bench/cache_hit_ratio.
 *
 *     cache_hit_ratio adaptive|lru|s3fifo|predict TRACE [-s SIZES] FRACTION...
 *
 * TRACE: little-endian 32-bit object numbers, one a request. SIZES: bytes of each object; without, each is 1. Prints for each
 * FRACTION of all objects' sizes, tab-separated: trace, fraction, capacity, hits, hit ratio, byte hit ratio, processor ns a request, choice,
 * switches. `predict`: trace, fraction, capacity, times (0.5, 2, 4), the hit ratio predicted for so many times the capacity from a
 * sample of some 2,048 entries at the capacity, the error told with it, and what a run with that capacity hits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libgeomem/policy/curve.h"
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

static int replay(const struct trace *trace, enum gm_policy_kind kind, uint64_t capacity,
    struct counts *ret_counts)
{
    struct gm_policy_config config = {.kind = kind, .capacity = capacity, .seed = 42};
    config.slots = trace->objects < capacity ? trace->objects : (uint32_t)capacity;
    struct gm_simulation *simulation;
    int error = gm_simulation_create(&config, &simulation);
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

/* What a recorder would see of a cache with this capacity. */
static int curve_feed(const struct trace *trace, uint64_t capacity, struct gm_curve **ret_curve)
{
    uint64_t entry = trace->bytes / trace->objects;
    double rate = 2048.0 * (double)entry / (double)capacity;
    struct gm_curve_config config = {.kind = GM_POLICY_ADAPTIVE,
        .capacity = capacity,
        .entry = entry ? entry : 1,
        .threshold = rate < 1 ? (uint64_t)(rate * 0x1p64) : UINT64_MAX,
        .seed = 1};
    int error = gm_curve_create(&config, ret_curve);
    for (size_t i = 0; i < trace->count && error == 0; i++) {
        uint64_t key = key_of(trace->requests[i]);
        if (key <= config.threshold)
            gm_curve_use(*ret_curve, key, size_of(trace, trace->requests[i]), 0);
    }
    return error;
}

static int print_predictions(const struct trace *trace, double fraction)
{
    static const double times[GM_CURVE_POINTS] = {0, 0, 0.5, 0, 2, 4, 0};
    uint64_t capacity = capacity_of(trace, fraction);
    struct gm_curve_point points[GM_CURVE_POINTS];
    struct gm_curve *curve;
    int error = curve_feed(trace, capacity, &curve);
    if (error < 0)
        return error;
    gm_curve_total(curve, trace->count);
    gm_curve_read(curve, points);
    gm_curve_free(curve);
    for (unsigned i = 0; i < GM_CURVE_POINTS && error == 0; i++) {
        struct counts counts;
        if (times[i] == 0)
            continue;
        error = replay(trace, GM_POLICY_ADAPTIVE, points[i].capacity, &counts);
        if (error == 0)
            printf("%s\t%g\t%llu\t%g\t%.6f\t%.6f\t%.6f\n", trace->name, fraction,
                (unsigned long long)capacity, times[i], points[i].hit_ratio, points[i].error,
                (double)counts.hits / (double)trace->count);
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
