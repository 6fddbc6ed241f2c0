/* timeline.c - see timeline.h.
 *
 * A process writes a row only for the slices in which something changed, so a sum over processes
 * carries the last value of each forward, until the process ends and its memory is gone.
 */
#include "analyzer/core/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "analyzer/core/run.h"

bool gm_process_set_has(const struct gm_process_set *set, uint32_t process_id)
{
    if (!set || set->n == 0)
        return true;
    for (size_t i = 0; i < set->n; i++)
        if (set->ids[i] == process_id)
            return true;
    return false;
}

/* The last known state of one process. */
struct carried {
    uint32_t process_id;
    int64_t end_ns; /* < 0: runs */
    uint64_t live_blocks, live_bytes, rss_bytes;
};

struct carry {
    struct carried *v; /* by process_id */
    size_t n;
    uint64_t live_blocks, live_bytes, rss_bytes; /* sums of v */
};

static int carry_init(
    struct gm_recording *rec, const struct gm_process_set *set, struct carry *ret_carry)
{
    struct gm_processes processes;
    int r = gm_processes_load(rec, &processes);
    if (r < 0)
        return r;
    struct carry c = {.v = calloc(processes.n + 1, sizeof *c.v)};
    for (size_t i = 0; c.v && i < processes.n; i++)
        if (gm_process_set_has(set, processes.v[i].process_id))
            c.v[c.n++] =
                (struct carried){processes.v[i].process_id, processes.v[i].end_ns, 0, 0, 0};
    gm_processes_done(&processes);
    if (!c.v)
        return gm_recording_fail(rec, SQLITE_NOMEM);
    *ret_carry = c;
    return 0;
}

static struct carried *carry_find(struct carry *c, uint32_t process_id)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->v[middle].process_id < process_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->v[low].process_id == process_id ? &c->v[low] : NULL;
}

static void carry_set(struct carry *c, struct carried *p, uint64_t live_blocks, uint64_t live_bytes,
    uint64_t rss_bytes)
{
    c->live_blocks += live_blocks - p->live_blocks;
    c->live_bytes += live_bytes - p->live_bytes;
    c->rss_bytes += rss_bytes - p->rss_bytes;
    p->live_blocks = live_blocks;
    p->live_bytes = live_bytes;
    p->rss_bytes = rss_bytes;
}

/* Forgets processes that had ended by now. A single process keeps its last figures: what it left is
 * what one wants to see. */
static void carry_end(struct carry *c, int64_t now_ns)
{
    for (size_t i = 0; c->n > 1 && i < c->n; i++)
        if (c->v[i].end_ns >= 0 && c->v[i].end_ns < now_ns &&
            (c->v[i].live_blocks || c->v[i].rss_bytes))
            carry_set(c, &c->v[i], 0, 0, 0);
}

static struct gm_slice *slice_add(struct gm_query *q, struct gm_slices *list)
{
    if ((list->n & (list->n - 1)) == 0) {
        struct gm_slice *grown = realloc(list->v, (list->n ? list->n * 2 : 1) * sizeof *grown);
        if (!grown) {
            q->error = gm_recording_fail(q->recording, SQLITE_NOMEM);
            return NULL;
        }
        list->v = grown;
    }
    list->v[list->n] = (struct gm_slice){0};
    return &list->v[list->n++];
}

static void slice_finish(struct gm_slice *s, struct carry *c)
{
    s->live_blocks = c->live_blocks;
    s->live_bytes = c->live_bytes;
    s->rss_bytes = c->rss_bytes;
    if (s->peak_bytes < s->live_bytes || s->peak_bytes > (uint64_t)GM_VALUE_MAX)
        s->peak_bytes = s->live_bytes;
}

/* Adds one process's row to its slice. The peak of several processes is at most the sum of theirs.
 */
static void slice_read(struct gm_query *q, struct gm_slice *s, struct carry *c)
{
    struct carried *p = carry_find(c, gm_query_id(q, 3));
    if (!p)
        return;
    s->allocs += gm_query_count(q, 4);
    s->alloc_bytes += gm_query_count(q, 5);
    s->frees += gm_query_count(q, 6);
    s->free_bytes += gm_query_count(q, 7);
    s->peak_bytes += gm_query_count(q, 10) - p->live_bytes;
    s->lost_events += gm_query_count(q, 12);
    carry_set(c, p, gm_query_count(q, 8), gm_query_count(q, 9), gm_query_count(q, 11));
}

static void slices_read(struct gm_query *q, struct gm_slices *list, struct carry *c)
{
    struct gm_slice *s = NULL;
    while (gm_query_next(q)) {
        int64_t id = gm_query_integer(q, 0);
        if (!s || s->interval_id != id) {
            if (s)
                slice_finish(s, c);
            s = slice_add(q, list);
            if (!s)
                return;
            s->interval_id = id;
            s->start_ns = gm_query_time(q, 1);
            s->end_ns = gm_query_time(q, 2);
            carry_end(c, s->start_ns);
            s->peak_bytes = c->live_bytes;
        }
        slice_read(q, s, c);
    }
    if (s)
        slice_finish(s, c);
}

/* What each process had at the end of slice `after_id`. */
static int carry_seek(struct gm_recording *rec, struct carry *c, int64_t after_id)
{
    struct gm_query q;
    gm_query_open(rec, &q,
        "SELECT live_blocks, live_bytes, rss_bytes FROM process_interval"
        " WHERE process_id = ?1 AND interval_id <= ?2 ORDER BY interval_id DESC LIMIT 1");
    for (size_t i = 0; i < c->n && !q.error; i++) {
        gm_query_bind(&q, 1, c->v[i].process_id);
        gm_query_bind(&q, 2, after_id);
        if (gm_query_next(&q))
            carry_set(
                c, &c->v[i], gm_query_count(&q, 0), gm_query_count(&q, 1), gm_query_count(&q, 2));
        if (!q.error)
            gm_query_rewind(&q);
    }
    return gm_query_close(&q);
}

/* The id before the first slice that ends after from_ns. */
static int slice_before(struct gm_recording *rec, int64_t from_ns, int64_t *ret_id)
{
    struct gm_query q;
    int64_t id = 0;
    gm_query_open(rec, &q, "SELECT max(interval_id) FROM interval WHERE end_ns <= ?1");
    gm_query_bind(&q, 1, from_ns);
    if (gm_query_next(&q))
        id = gm_query_integer(&q, 0);
    int r = gm_query_close(&q);
    if (r == 0)
        *ret_id = id;
    return r;
}

int gm_slices_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t after_id, int64_t from_ns, int64_t to_ns, struct gm_slices *ret_slices)
{
    struct gm_slices list = {0};
    struct carry carry = {0};
    struct gm_query q = {.recording = recording};
    int64_t before = 0;
    int r = slice_before(recording, from_ns, &before);
    if (r == 0)
        r = carry_init(recording, processes, &carry);
    if (after_id < before)
        after_id = before;
    if (r == 0 && after_id > 0)
        r = carry_seek(recording, &carry, after_id);
    if (r < 0)
        goto out;
    gm_query_open(recording, &q,
        "SELECT i.interval_id, i.start_ns, i.end_ns, p.process_id, p.allocs, p.alloc_bytes, "
        "p.frees,"
        " p.free_bytes, p.live_blocks, p.live_bytes, p.peak_bytes, p.rss_bytes, p.lost_events"
        " FROM interval i LEFT JOIN process_interval p USING (interval_id)"
        " WHERE i.interval_id > ?1 AND i.start_ns < ?2 ORDER BY i.interval_id");
    gm_query_bind(&q, 1, after_id);
    gm_query_bind(&q, 2, to_ns);
    slices_read(&q, &list, &carry);
    r = gm_query_close(&q);
out:
    free(carry.v);
    if (r < 0)
        gm_slices_done(&list);
    else
        *ret_slices = list;
    return r;
}

void gm_slices_done(struct gm_slices *slices)
{
    free(slices->v);
    *slices = (struct gm_slices){0};
}

int gm_site_slices_load(
    struct gm_recording *recording, uint32_t site_id, struct gm_slices *ret_slices)
{
    struct gm_slices list = {0};
    struct gm_query q;
    uint64_t blocks = 0, bytes = 0;
    gm_query_open(recording, &q,
        "SELECT i.interval_id, i.start_ns, i.end_ns, x.allocs, x.alloc_bytes, x.frees, x.free_bytes"
        " FROM interval i LEFT JOIN site_interval x ON x.interval_id = i.interval_id AND x.site_id "
        "= ?1"
        " ORDER BY i.interval_id");
    gm_query_bind(&q, 1, site_id);
    while (gm_query_next(&q)) {
        struct gm_slice *s = slice_add(&q, &list);
        if (!s)
            break;
        *s = (struct gm_slice){.interval_id = gm_query_integer(&q, 0),
            .start_ns = gm_query_time(&q, 1),
            .end_ns = gm_query_time(&q, 2),
            .allocs = gm_query_count(&q, 3),
            .alloc_bytes = gm_query_count(&q, 4),
            .frees = gm_query_count(&q, 5),
            .free_bytes = gm_query_count(&q, 6)};
        blocks = blocks + s->allocs > s->frees ? blocks + s->allocs - s->frees : 0;
        bytes = bytes + s->alloc_bytes > s->free_bytes ? bytes + s->alloc_bytes - s->free_bytes : 0;
        s->live_blocks = blocks;
        s->live_bytes = bytes;
    }
    int r = gm_query_close(&q);
    if (r < 0)
        gm_slices_done(&list);
    else
        *ret_slices = list;
    return r;
}
