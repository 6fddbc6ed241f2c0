/* check.c - see check.h. */
#include "analyzer/core/check.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

/* Each query gives two columns that must be equal, in one row. */
static const struct {
    const char *name, *sql;
} checks[] = {
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

int gm_check_sums(struct gm_recording *recording, struct gm_check_items *ret_items)
{
    struct gm_check_items items = {.v = calloc(CHECK_COUNT, sizeof *items.v)};
    int r = items.v ? 0 : gm_recording_fail(recording, SQLITE_NOMEM);
    for (size_t i = 0; r == 0 && i < CHECK_COUNT; i++) {
        struct gm_check_item *item = &items.v[items.n++];
        struct gm_query q;
        *item = (struct gm_check_item){.name = checks[i].name};
        gm_query_open(recording, &q, checks[i].sql);
        if (gm_query_next(&q)) {
            item->left = gm_query_count(&q, 0);
            item->right = gm_query_count(&q, 1);
            item->holds = item->left == item->right;
        }
        r = gm_query_close(&q);
    }
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
