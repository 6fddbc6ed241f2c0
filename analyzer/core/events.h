/* events.h - the log of events, one after the other; see events_table.h for what it is read through. */
#ifndef GM_ANALYZER_CORE_EVENTS_H
#define GM_ANALYZER_CORE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/core/recording.h"
#include "analyzer/core/timeline.h"

struct gm_logged_event {
    int64_t time_ns;
    const char *kind;     /* "alloc", "free", "thread_start", ...: never NULL */
    const char *function; /* of an alloc; NULL: none */
    uint32_t process_id, thread_id, site_id, stack_id; /* 0: none, or not known */
    bool is_block;                                     /* an alloc or free: it has an address */
    uint64_t address;
    bool has_size;
    uint64_t size_bytes;
    bool realloc, implicit; /* half of a reallocation; a free that nobody saw */
    bool collected;         /* a free by a collector, which found the block dead */
};

/* What a field is 0 or NULL of is not asked for. */
struct gm_event_filter {
    const struct gm_process_set *processes; /* an empty set: all */
    int64_t from_ns, to_ns;                 /* to_ns: the first moment that is no longer meant */
    uint32_t site_id;
    uint64_t address;
    const char *kind;
};

/* Tells all events that pass the filter to `event`, in the order of the log, strings borrowed for the call. A
 * return below 0 ends it and is returned; above 0 ends it well. -ENODATA, with a message: the recording has no log. */
int gm_events_walk(struct gm_recording *recording, const struct gm_event_filter *filter,
    int (*event)(void *data, const struct gm_logged_event *event), void *data);

/* 0, or -ENODATA as above: to be asked before anything is printed. */
int gm_events_check(struct gm_recording *recording);

/* Whether a word is a kind. */
bool gm_event_kind_is(const char *word);

#endif
