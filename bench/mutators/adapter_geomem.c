/* adapter_geomem.c - libgeomem behind adapter.h. Pauses come by the listener that a recorder would have; a mostly
 * concurrent collection tells its longest stop and the sum, of which the others are the rest. */
#include "adapter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/listener.h"
#include "pauses.h"

static void cycle_ended(const struct geomem_gc_cycle *cycle)
{
    pauses_add(cycle->max_pause_ns);
    if (cycle->pause_ns > cycle->max_pause_ns)
        pauses_add(cycle->pause_ns - cycle->max_pause_ns);
}

static const struct geomem_listener listener = {
    .version = GEOMEM_LISTENER_VERSION, .gc_end = cycle_ended};

/* libgeomem asks for it when it starts, before main. */
__attribute__((visibility("default"))) const struct geomem_listener *geomem_recorder_listener(void)
{
    return getenv("MUTATOR_PAUSES") ? &listener : NULL;
}

static int mode_by_name(const char *name, enum geomem_gc_mode *ret_mode)
{
    if (!strcmp(name, "mark-sweep"))
        *ret_mode = GEOMEM_GC_MARK_SWEEP;
    else if (!strcmp(name, "generational"))
        *ret_mode = GEOMEM_GC_GENERATIONAL;
    else
        return -EINVAL;
    return 0;
}

int gc_start(const char *mode, int is_timing_pauses)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options};
    int r = mode_by_name(mode, &options.gc_mode);
    if (r < 0)
        return r;
#ifdef MUTATOR_BARRIER
    options.tracking = GEOMEM_TRACK_BARRIER;
#endif
    r = geomem_heap_configure(NULL, &options);
    return r < 0 || !is_timing_pauses ? r : pauses_open();
}

void gc_counts(struct gc_counts *ret_counts)
{
    struct geomem_heap_statistics all = {.struct_bytes = sizeof all};
    geomem_heap_statistics(NULL, &all);
    *ret_counts = (struct gc_counts){.collections = all.young_collections + all.full_collections,
        .collector_cpu_ns = all.collector_cpu_ns};
}

size_t gc_pauses(const uint64_t **ret_pauses_ns)
{
    return pauses_all(ret_pauses_ns);
}

int gc_thread_start(pthread_t *ret_thread, void *(*start)(void *), void *arg)
{
    return pthread_create(ret_thread, NULL, start, arg);
}

int gc_thread_join(pthread_t thread)
{
    return pthread_join(thread, NULL);
}
