/* gc_stops.c - each stop of the world is told once, and those of a collection add up to what the collection says of itself: to
 * a listener, and in stop_profiling's report. With a heap large enough to have its old generation marked in steps.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"
#include "geomem/memory.h"
#include "libgeomem/heap/listener.h"

enum { CYCLES = 4096, NODES = 250000, ROUNDS = 40, CHURN = 100000 };

/* Of a collection, by its number. */
static struct {
    uint64_t stops, pause_ns, longest_ns;
    int begun, ended;
} told[CYCLES];
static uint64_t stops, pause_ns, kinds[4], last_end_ns;
static int failures;

static void fail(const char *what, uint64_t number, uint64_t got, uint64_t wanted)
{
    printf("collection %" PRIu64 ": %s %" PRIu64 ", not %" PRIu64 "\n", number, what, got, wanted);
    failures++;
}

static void on_begin(uint64_t heap, uint64_t number, uint32_t kind, uint32_t trigger)
{
    (void)heap, (void)kind, (void)trigger;
    if (number >= CYCLES)
        abort();
    told[number].begun++;
}

static void on_stop(uint64_t number, uint64_t start_ns, uint64_t ns)
{
    if (told[number].begun != 1 || told[number].ended != 0)
        fail("a stop of a collection not under way,", number, 1, 0);
    if (start_ns < last_end_ns)
        fail("a stop begins inside another,", number, start_ns, last_end_ns);
    last_end_ns = start_ns + ns;
    told[number].stops++;
    told[number].pause_ns += ns;
    if (ns > told[number].longest_ns)
        told[number].longest_ns = ns;
    stops++;
    pause_ns += ns;
}

static void on_end(const struct geomem_gc_cycle *cycle)
{
    uint64_t number = cycle->number;
    told[number].ended++;
    kinds[cycle->kind & 3]++;
    if (told[number].stops != cycle->stops)
        fail("stops", number, told[number].stops, cycle->stops);
    if (told[number].pause_ns != cycle->pause_ns)
        fail("nanoseconds", number, told[number].pause_ns, cycle->pause_ns);
    if (told[number].longest_ns != cycle->max_pause_ns)
        fail("nanoseconds of the longest", number, told[number].longest_ns, cycle->max_pause_ns);
}

static const struct geomem_listener listener = {
    .version = GEOMEM_LISTENER_VERSION,
    .gc_begin = on_begin,
    .gc_stop = on_stop,
    .gc_end = on_end,
};

struct node {
    struct node *next;
    uint64_t rest[7];
};

static void list_grow(struct node **list, int count)
{
    for (int i = 0; i < count; i++) {
        struct node *node = geomem_gc_alloc(sizeof *node);
        if (!node)
            abort();
        node->next = *list;
        *list = node;
    }
}

static void program_run(struct node **list)
{
    struct node *lost = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        list_grow(list, NODES / ROUNDS);
        list_grow(&lost, CHURN);
        lost = NULL;
        geomem_gc(NULL, GEOMEM_YOUNG);
    }
    geomem_gc(NULL, GEOMEM_OLD);
}

int main(void)
{
    struct node **root = geomem_alloc_root(sizeof *root);
    if (!root)
        abort();
    gm_listener_attach(&listener);
    start_profiling();
    program_run(root);
    MemoryUsageReport *report = stop_profiling();
    if (!report)
        abort();
    uint64_t told_stops = stops, told_ns = pause_ns, in_histogram = 0;
    for (int i = 0; i < GEOMEM_PAUSE_BUCKETS; i++)
        in_histogram += report->pauses.histogram[i];
    if (report->pauses.count != told_stops || in_histogram != told_stops)
        fail("pauses in the report", 0, report->pauses.count, told_stops);
    if (report->pauses.total_ns != told_ns)
        fail("nanoseconds in the report", 0, report->pauses.total_ns, told_ns);
    if (!kinds[GEOMEM_GC_YOUNG] || !kinds[GEOMEM_GC_FULL])
        fail("kinds of collections, full", 0, kinds[GEOMEM_GC_FULL], 1);
    printf("%" PRIu64 " stops; collections: %" PRIu64 " young, %" PRIu64 " full, %" PRIu64
           " in steps\n%s\n",
        told_stops, kinds[GEOMEM_GC_YOUNG], kinds[GEOMEM_GC_FULL],
        kinds[GEOMEM_GC_MOSTLY_CONCURRENT], failures ? "failed" : "ok");
    return failures != 0;
}
