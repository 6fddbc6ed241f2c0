/* adapter_libgc.c - libgc behind adapter.h. A pause is from the moment it begins to stop threads until all have been
 * told to go on; what it does to sweep comes after, in the allocations. */
#include "adapter.h"

#include <errno.h>
#include <string.h>

#include "pauses.h"

static uint64_t stop_ns;

static void GC_CALLBACK collection_event(GC_EventType event)
{
    if (event == GC_EVENT_PRE_STOP_WORLD)
        stop_ns = now_ns();
    else if (event == GC_EVENT_POST_START_WORLD)
        pauses_add(now_ns() - stop_ns);
}

int gc_start(const char *mode, int is_timing_pauses)
{
    if (strcmp(mode, "default") != 0)
        return -EINVAL;
    GC_INIT();
    if (!is_timing_pauses)
        return 0;
    GC_set_on_collection_event(collection_event);
    return pauses_open();
}

void gc_counts(struct gc_counts *ret_counts)
{
    *ret_counts = (struct gc_counts){.collections = GC_get_gc_no()};
}

size_t gc_pauses(const uint64_t **ret_pauses_ns)
{
    return pauses_all(ret_pauses_ns);
}

int gc_thread_start(pthread_t *ret_thread, void *(*start)(void *), void *arg)
{
    return pthread_create(ret_thread, NULL, start, arg); /* gc.h makes GC_pthread_create of it */
}

int gc_thread_join(pthread_t thread)
{
    return pthread_join(thread, NULL);
}
