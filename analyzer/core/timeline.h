/* timeline.h - how the figures of the processes changed over time. */
#ifndef GM_ANALYZER_CORE_TIMELINE_H
#define GM_ANALYZER_CORE_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

/* A set of processes; n = 0 means all. */
struct gm_process_set {
    uint32_t *ids; /* ascending */
    size_t n;
};
bool gm_process_set_has(const struct gm_process_set *set, uint32_t process_id);

/* One slice of time, summed over the processes asked for. */
struct gm_slice {
    int64_t interval_id, start_ns, end_ns;
    uint64_t allocs, alloc_bytes, frees, free_bytes; /* within it */
    uint64_t live_blocks, live_bytes, rss_bytes;     /* at its end */
    uint64_t peak_bytes; /* most within it; with several processes an upper bound, the sum of their
                            peaks */
    uint64_t lost_events;
};

struct gm_slices {
    struct gm_slice *v; /* by time, without gaps in it */
    size_t n;
};

/* Slices with an id above after_id that overlap from_ns..to_ns. The last slice may grow until the
 * next has begun: a follower asks again with after_id one below the last it has. */
int gm_slices_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t after_id, int64_t from_ns, int64_t to_ns, struct gm_slices *ret_slices);
void gm_slices_done(struct gm_slices *slices);

/* Live bytes at one moment, summed over the processes asked for. */
struct gm_sample {
    int64_t ns;
    uint64_t live_bytes, live_blocks;
};

struct gm_samples {
    struct gm_sample *v; /* by time */
    size_t n;
};

/* Samples after after_ns up to to_ns (each process's last value before counts as its start),
 * thinned to at most `most` points by keeping the largest of neighbours; most = 0: all. */
int gm_samples_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t after_ns, int64_t to_ns, size_t most, struct gm_samples *ret_samples);
void gm_samples_done(struct gm_samples *samples);

/* Live bytes of one site over time. */
int gm_site_slices_load(
    struct gm_recording *recording, uint32_t site_id, struct gm_slices *ret_slices);

struct gm_mark {
    uint32_t process_id; /* 0: from outside */
    int64_t ns;
    char *text;
};

struct gm_marks {
    struct gm_mark *v; /* by time */
    size_t n;
};

int gm_marks_load(struct gm_recording *recording, struct gm_marks *ret_marks);
void gm_marks_done(struct gm_marks *marks);

#endif
