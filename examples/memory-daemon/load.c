/* memory-daemon-load - puts memory-daemon under load, and says how long it let its clients wait.
 *
 *   memory-daemon-load [options] SOCKET
 *     --documents=N    puts so many first (20000)
 *     --words=N        in each of them (40)
 *     --rate=N         requests per second, at random moments (1000); 0: as many as are answered
 *     --seconds=N      of load (5)
 *     --connections=N  (4)
 *     --puts=N         of a hundred requests so many replace a document, the others look for two words (20)
 *     --fill=0         the documents are there already
 *     --seed=N
 *
 * With a rate the load is open: when a request is to be sent is decided beforehand, it is sent then whether or not the
 * ones before it have been answered, and its latency counts from that moment. A daemon that stops for a second makes all
 * wait that came meanwhile, and all count. Prints names and values, one a line; those that begin with daemon_ are what
 * STATS says, as the difference that the load made.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
    const char *name;
    size_t offset;
};

static const struct option_row rows[] = {
    {"documents", offsetof(struct load_options, documents)},
    {"words", offsetof(struct load_options, words)},
    {"rate", offsetof(struct load_options, rate)},
    {"seconds", offsetof(struct load_options, seconds)},
    {"connections", offsetof(struct load_options, connections)},
    {"puts", offsetof(struct load_options, puts)},
    {"fill", offsetof(struct load_options, fill)},
    {"seed", offsetof(struct load_options, seed)},
};
#define ROWS (sizeof rows / sizeof *rows)

static int options_read(int argc, char **argv, struct load_options *options)
{
    struct option known[ROWS + 1] = {0};
    int row;
    for (size_t i = 0; i < ROWS; i++)
        known[i] = (struct option){rows[i].name, required_argument, NULL, (int)i};
    while ((row = getopt_long(argc, argv, "", known, NULL)) != -1) {
        char *end;
        if (row < 0 || row >= (int)ROWS)
            return -EINVAL;
        uint64_t value = strtoull(optarg, &end, 10);
        if (*end || end == optarg)
            return -EINVAL;
        *(uint64_t *)((char *)options + rows[row].offset) = value;
    }
    if (optind + 1 != argc || !options->documents || !options->words || !options->seed ||
        !options->connections || options->connections > LOAD_CONNECTIONS_MAX)
        return -EINVAL;
    options->socket = argv[optind];
    return 0;
}

static int latency_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void latencies_print(struct load_result *result)
{
    static const struct {
        const char *name;
        double share;
    } wanted[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    qsort(result->latency_ns, result->answered, sizeof *result->latency_ns, latency_compare);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && result->answered; i++) {
        uint64_t rank = (uint64_t)(wanted[i].share * (double)result->answered);
        if (rank >= result->answered)
            rank = result->answered - 1;
        printf("latency_%s_ms %.3f\n", wanted[i].name, (double)result->latency_ns[rank] / 1e6);
    }
}

/* The difference of two lines "OK name value name value...\n"; what is not a count is printed as it is now. */
static void stats_print(char *before, char *now)
{
    static const char *const levels[] = {
        "documents", "words", "pause_max_ns", "footprint_bytes", "young_bytes", "old_bytes"};
    char *save_before, *save_now;
    strtok_r(before, " \n", &save_before);
    strtok_r(now, " \n", &save_now);
    for (;;) {
        const char *name = strtok_r(NULL, " \n", &save_now);
        const char *value = strtok_r(NULL, " \n", &save_now);
        if (!name || !value || !strtok_r(NULL, " \n", &save_before))
            return;
        const char *old = strtok_r(NULL, " \n", &save_before);
        int is_level = 0;
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
            is_level |= !strcmp(levels[i], name);
        uint64_t less = is_level || !old ? 0 : strtoull(old, NULL, 10);
        uint64_t counted = strtoull(value, NULL, 10) - less;
        printf("daemon_%s %" PRIu64 "\n", name, counted);
    }
}

static int load(const struct load_options *options)
{
    char before[LOAD_LINE_MAX], now[LOAD_LINE_MAX];
    struct load_result result = {0};
    int r = options->fill ? load_fill(options) : 0;
    if (r < 0 || (r = load_ask(options, "STATS\n", before)) < 0 ||
        (r = load_run(options, &result)) < 0 || (r = load_ask(options, "STATS\n", now)) < 0)
        return r;
    double seconds = (double)(result.end_ns - result.start_ns) / 1e9;
    printf("requests %" PRIu64 "\nrefused %" PRIu64 "\nseconds %.3f\nrequests_per_second %.1f\n",
        result.answered, result.refused, seconds, (double)result.answered / seconds);
    printf("start_ns %" PRIu64 "\nend_ns %" PRIu64 "\n", result.start_ns, result.end_ns);
    latencies_print(&result);
    stats_print(before, now);
    free(result.latency_ns);
    return 0;
}

int main(int argc, char **argv)
{
    struct load_options options = {.documents = 20000,
        .words = 40,
        .rate = 1000,
        .seconds = 5,
        .connections = 4,
        .puts = 20,
        .fill = 1,
        .seed = 1};
    if (options_read(argc, argv, &options) < 0) {
        fputs("usage: memory-daemon-load [--documents=N] [--words=N] [--rate=N] [--seconds=N] "
              "[--connections=N] [--puts=N] [--fill=0|1] [--seed=N] SOCKET\n",
            stderr);
        return 2;
    }
    int r = load(&options);
    if (r < 0)
        fprintf(stderr, "memory-daemon-load: %s: %s; does memory-daemon run there?\n",
            options.socket, strerror(-r));
    return r < 0;
}
