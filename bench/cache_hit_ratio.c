/* cache_hit_ratio.c - replays traces through simulated caches and prints what they hit. Run by bench/cache_hit_ratio.
 *
 *     cache_hit_ratio POLICY TRACE [-s SIZES] FRACTION...
 *
 * TRACE: little-endian 32-bit object numbers, one a request. SIZES: bytes of each object; without, each is 1. Prints for each
 * FRACTION of all objects' sizes, tab-separated: trace, fraction, capacity, hits, hit ratio, byte hit ratio, ns a request, choice,
 * switches.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int trace_replay(const struct trace *trace, enum gm_policy_kind kind, double fraction)
{
    uint64_t capacity = (uint64_t)(fraction * (double)trace->bytes + 0.5);
    capacity = capacity ? capacity : 1;
    struct gm_policy_config config = {.kind = kind, .capacity = capacity, .seed = 42};
    config.slots = trace->objects < capacity ? trace->objects : (uint32_t)capacity;
    struct gm_simulation *simulation;
    int error = gm_simulation_create(&config, &simulation);
    if (error < 0)
        return error;
    uint64_t hits = 0, hit_bytes = 0, bytes = 0;
    double start = now_ns();
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t object = trace->requests[i];
        uint64_t size = trace->sizes ? trace->sizes[object] : 1;
        bool hit = gm_simulate_use(simulation, gm_policy_mix(object + 0x1234567u), size, 0);
        hits += hit;
        hit_bytes += hit ? size : 0;
        bytes += size;
    }
    double took = now_ns() - start;
    struct gm_policy *policy = gm_simulation_policy(simulation);
    printf("%s\t%g\t%llu\t%llu\t%.6f\t%.6f\t%.1f\t%u\t%u\n", trace->name, fraction,
        (unsigned long long)capacity, (unsigned long long)hits, (double)hits / (double)trace->count,
        (double)hit_bytes / (double)bytes, took / (double)trace->count, gm_policy_choice(policy),
        gm_policy_switches(policy));
    gm_simulation_free(simulation);
    return 0;
}

static int kind_of(const char *name)
{
    static const char *const names[] = {"adaptive", "lru", "s3fifo"};
    for (int kind = 0; kind < 3; kind++)
        if (strcmp(name, names[kind]) == 0)
            return kind;
    return -1;
}

int main(int count, char **arguments)
{
    int kind = count > 3 ? kind_of(arguments[1]) : -1;
    if (kind < 0) {
        fprintf(stderr, "usage: cache_hit_ratio adaptive|lru|s3fifo TRACE [-s SIZES] FRACTION...\n");
        return 2;
    }
    bool sized = strcmp(arguments[3], "-s") == 0 && count > 5;
    struct trace trace = {0};
    int error = trace_read(&trace, arguments[2], sized ? arguments[4] : NULL);
    for (int i = sized ? 5 : 3; i < count && error == 0; i++)
        error = trace_replay(&trace, (enum gm_policy_kind)kind, strtod(arguments[i], NULL));
    if (error < 0)
        fprintf(stderr, "cache_hit_ratio: %s: %s\n", arguments[2], strerror(-error));
    free(trace.requests);
    free(trace.sizes);
    return error < 0;
}
