/* check.c - see check.h. */
#include "analyzer/core/check.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

/* Each query gives two columns that must be equal, in one row. */
struct check {
    const char *name, *sql;
};

static const struct check checks[] = {
    {"sites and processes agree on allocations",
        "SELECT (SELECT total(allocs) FROM site), (SELECT total(allocs) FROM process)"},
    {"sites and processes agree on bytes allocated",
        "SELECT (SELECT total(alloc_bytes) FROM site), (SELECT total(alloc_bytes) FROM process)"},
    {"sites and processes agree on blocks live",
        "SELECT (SELECT total(live_blocks) FROM site), (SELECT total(live_blocks) FROM process)"},
    {"sites and processes agree on bytes live",
        "SELECT (SELECT total(live_bytes) FROM site), (SELECT total(live_bytes) FROM process)"},
    {"allocations are frees and live blocks",
        "SELECT total(allocs), total(frees) + total(live_blocks) FROM process"},
    {"bytes allocated are bytes freed and live",
        "SELECT total(alloc_bytes), total(free_bytes) + total(live_bytes) FROM process"},
    {"slices and processes agree on allocations",
        "SELECT (SELECT total(allocs) FROM process_interval), (SELECT total(allocs) FROM process)"},
    {"slices of sites and sites agree on allocations",
        "SELECT (SELECT total(allocs) FROM site_interval), (SELECT total(allocs) FROM site)"},
    {"slices of sites and sites agree on bytes live",
        "SELECT (SELECT total(alloc_bytes) - total(free_bytes) FROM site_interval),"
        " (SELECT total(live_bytes) FROM site)"},
    {"generations and processes agree on allocations",
        "SELECT (SELECT total(born) FROM generation_interval WHERE generation = 0),"
        " (SELECT total(allocs) FROM process)"},
    {"sites at the peak add up to it: bytes",
        "SELECT total(CASE WHEN s.run_peak_seen = r.peak_epoch THEN s.run_peak_bytes"
        " WHEN p.end_peak_epoch < r.peak_epoch THEN 0 ELSE s.live_bytes END), max(r.peak_bytes)"
        " FROM run r LEFT JOIN (site s JOIN process p USING (process_id))"},
    {"sites at the peak add up to it: blocks",
        "SELECT total(CASE WHEN s.run_peak_seen = r.peak_epoch THEN s.run_peak_blocks"
        " WHEN p.end_peak_epoch < r.peak_epoch THEN 0 ELSE s.live_blocks END), max(r.peak_blocks)"
        " FROM run r LEFT JOIN (site s JOIN process p USING (process_id))"},
    {"sites at each process's own peak add up to it",
        "SELECT total(CASE WHEN s.peak_seen = p.peak_epoch THEN s.peak_bytes ELSE s.live_bytes "
        "END),"
        " (SELECT total(peak_bytes) FROM process) FROM process p LEFT JOIN site s USING "
        "(process_id)"},
    /* What is executed in place of a recorded image has the same number; a static or setuid program, or one that
     * was refused, never says hello. Where children are not recorded this holds of itself. */
    {"executed programs are recorded too",
        "SELECT total(p.end_kind = 'exec' AND r.follow), total(p.origin = 'exec' AND r.follow)"
        " FROM process p, (SELECT json_valid(options) AND json_extract(options, '$.follow') AS "
        "follow"
        " FROM run) r"},
    {"losses add up to the events lost", "SELECT (SELECT total(events) FROM loss WHERE reason <> "
                                         "'corrupt'), (SELECT lost_events FROM run)"},
};
#define CHECK_COUNT (sizeof checks / sizeof *checks)

/* Of recordings with a log of events. The first decodes it from end to end, by which its chunks are found to hold what
 * their rows say, so that the others can go by those; a damaged chunk is an error that names it. */
static const struct check log_checks[] = {
    {"the log of events can be read: events",
        "SELECT (SELECT count(*) FROM gm_events), (SELECT total(events) FROM event_chunk)"},
    {"the log of events and processes agree on allocations",
        "SELECT (SELECT total(allocs) FROM event_chunk), (SELECT total(allocs) FROM process)"},
    {"the log of events and processes agree on frees",
        "SELECT (SELECT total(frees) FROM event_chunk),"
        " (SELECT total(frees) + total(unmatched_frees) FROM process)"},
};
#define LOG_CHECK_COUNT (sizeof log_checks / sizeof *log_checks)

static int check_run(
    struct gm_recording *recording, const struct check *check, struct gm_check_item *ret_item)
{
    struct gm_query q;
    *ret_item = (struct gm_check_item){.name = check->name};
    gm_query_open(recording, &q, check->sql);
    if (gm_query_next(&q)) {
        ret_item->left = gm_query_count(&q, 0);
        ret_item->right = gm_query_count(&q, 1);
        ret_item->holds = ret_item->left == ret_item->right;
    }
    return gm_query_close(&q);
}

static int log_exists(struct gm_recording *recording, bool *ret_exists)
{
    struct gm_query q;
    gm_query_open(recording, &q, "SELECT EXISTS (SELECT 1 FROM event_chunk)");
    *ret_exists = gm_query_next(&q) && gm_query_count(&q, 0);
    return gm_query_close(&q);
}

int gm_check_sums(struct gm_recording *recording, struct gm_check_items *ret_items)
{
    struct gm_check_items items = {.v = calloc(CHECK_COUNT + LOG_CHECK_COUNT, sizeof *items.v)};
    bool log = false;
    if (!items.v)
        return gm_recording_fail(recording, SQLITE_NOMEM);
    int r = log_exists(recording, &log);
    for (size_t i = 0; r == 0 && i < CHECK_COUNT; i++)
        r = check_run(recording, &checks[i], &items.v[items.n++]);
    for (size_t i = 0; r == 0 && log && i < LOG_CHECK_COUNT; i++)
        r = check_run(recording, &log_checks[i], &items.v[items.n++]);
    if (r < 0)
        gm_check_items_done(&items);
    else
        *ret_items = items;
    return r;
}

void gm_check_items_done(struct gm_check_items *items)
{
    free(items->v);
    *items = (struct gm_check_items){0};
}

int gm_check_integrity(struct gm_recording *recording, char **ret_complaint)
{
    struct gm_query q;
    char *complaint = NULL;
    gm_query_open(recording, &q, "PRAGMA integrity_check(1)");
    if (gm_query_next(&q))
        complaint = gm_query_text_or_empty(&q, 0);
    int r = gm_query_close(&q);
    if (complaint && strcmp(complaint, "ok") == 0) {
        free(complaint);
        complaint = NULL;
    }
    if (r < 0)
        free(complaint);
    else
        *ret_complaint = complaint;
    return r;
}
