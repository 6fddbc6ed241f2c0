/* report_check.c - whether the recording is whole: the file, the recording of it, the figures in
 * it.
 *
 * Exit status 0 if nothing is missing (a recording that still runs is not missing anything), 1 if
 * the recorder was cut off, events were lost or figures disagree, 3 if the file itself is damaged.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "analyzer/core/check.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/names.h"
#include "analyzer/report/show.h"

struct findings {
    struct gm_check_items items;
    struct show_gaps gaps;
    size_t disagreeing;
    bool missing; /* exit status 1 */
};

/* Whether the figures have to agree: lost events and a cut leave gaps, but within the file all
 * figures come from the same events. */
static int findings_load(struct report *r, struct findings *f)
{
    int e = gm_check_sums(r->recording, &f->items);
    if (e == 0)
        e = show_gaps_load(r, &f->gaps);
    for (size_t i = 0; e == 0 && i < f->items.n; i++)
        f->disagreeing += !f->items.v[i].holds;
    f->missing = f->disagreeing || r->run.state == GM_RUN_CUT || r->run.lost_events ||
                 r->run.corrupt_records || r->run.late_events || r->run.hash_collisions;
    return e;
}

static void findings_done(struct findings *f)
{
    gm_check_items_done(&f->items);
    show_gaps_done(&f->gaps);
}

static const char *state_text(const struct report *r)
{
    switch (r->run.state) {
    case GM_RUN_COMPLETE:
        return "closed in order";
    case GM_RUN_RUNNING:
        return "still recording: the recorder is alive";
    case GM_RUN_CUT:
        break;
    }
    return "CUT: the recorder died or was killed; whole up to its last commit";
}

static void check_json(struct report *r, const struct findings *f)
{
    struct json *j = &r->json;
    char end[96];
    gm_run_end_text(&r->run, end);
    show_json_head(r, "check");
    json_put_bool(j, "whole", !f->missing);
    json_put_text(j, "end", end);
    json_put_text(j, "stop_reason", r->run.stop_reason);
    json_put_bool(j, "cut", r->run.state == GM_RUN_CUT);
    json_put_count(j, "events", r->run.events);
    json_put_count(j, "corrupt_records", r->run.corrupt_records);
    json_put_count(j, "late_events", r->run.late_events);
    json_put_count(j, "hash_collisions", r->run.hash_collisions);
    json_put_count(j, "cut_stacks", r->run.cut_stacks);
    json_put_count(j, "left_out_stacks", r->run.left_out_stacks);
    json_put_array(j, "losses", false);
    for (size_t i = 0; i < f->gaps.losses.n; i++) {
        json_put_object(j, NULL, true);
        json_put_count(j, "process_id", f->gaps.losses.v[i].process_id);
        json_put_text(j, "reason", f->gaps.losses.v[i].reason);
        json_put_count(j, "events", f->gaps.losses.v[i].events);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_object(j, "symbols", true);
    json_put_count(j, "frames", f->gaps.symbols.frames);
    json_put_count(j, "pending", f->gaps.symbols.pending);
    json_put_count(j, "unnamed", f->gaps.symbols.unnamed);
    json_put_close(j);
    json_put_array(j, "sums", false);
    for (size_t i = 0; i < f->items.n; i++) {
        json_put_object(j, NULL, true);
        json_put_text(j, "name", f->items.v[i].name);
        json_put_count(j, "left", f->items.v[i].left);
        json_put_count(j, "right", f->items.v[i].right);
        json_put_bool(j, "holds", f->items.v[i].holds);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
    json_end(j);
}

static void check_line(struct report *r, bool good, const char *name, const char *text)
{
    out_styled(&r->out, good ? OUT_PLAIN : OUT_WARN, "  %-4s", good ? "ok" : "NO");
    out_printf(&r->out, "%-12s ", name);
    out_cut(&r->out, text, OUT_COLUMNS - 19);
    out_printf(&r->out, "\n");
}

static void check_losses(struct report *r, const struct findings *f)
{
    char text[256], a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES];
    snprintf(text, sizeof text, "%s taken in, %s lost", gm_figure_count(a, r->run.events),
        gm_figure_count(b, r->run.lost_events));
    check_line(r, !r->run.lost_events, "events", text);
    for (size_t i = 0; i < f->gaps.losses.n; i++) {
        const struct gm_loss *loss = &f->gaps.losses.v[i];
        snprintf(text, sizeof text, "%s lost in process #%" PRIu32 ": %s",
            gm_figure_count(a, loss->events), loss->process_id, loss->reason);
        check_line(r, false, "", text);
    }
    snprintf(text, sizeof text, "%s corrupt, %s too late for their place, %s hash collisions",
        gm_figure_count(a, r->run.corrupt_records), gm_figure_count(b, r->run.late_events),
        r->run.hash_collisions ? "some" : "no");
    check_line(r, !r->run.corrupt_records && !r->run.late_events && !r->run.hash_collisions,
        "records", text);
}

static void check_symbols(struct report *r, const struct gm_symbol_state *s)
{
    char text[256], a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES];
    snprintf(text, sizeof text, "%s addresses, %s without a name, %s not looked up yet",
        gm_figure_count(a, s->frames), gm_figure_count(b, s->unnamed),
        gm_figure_count(c, s->pending));
    check_line(r, s->pending == 0 || r->run.state == GM_RUN_RUNNING, "symbols", text);
    for (size_t i = 0; i < s->module_count && i < 5; i++) {
        snprintf(text, sizeof text, "%s without a name in %s",
            gm_figure_count(a, s->modules[i].frames),
            s->modules[i].path ? s->modules[i].path : "generated code");
        out_printf(&r->out, "  %-16s ", "");
        out_cut(&r->out, text, OUT_COLUMNS - 19);
        out_printf(&r->out, "\n");
    }
    if (r->run.cut_stacks) {
        snprintf(text, sizeof text, "%s were too deep and lost frames in their middle",
            gm_figure_count(a, r->run.cut_stacks));
        check_line(r, true, "stacks", text);
    }
    if (r->run.left_out_stacks) {
        snprintf(text, sizeof text, "%s were more than the recorder holds; their blocks have none",
            gm_figure_count(a, r->run.left_out_stacks));
        check_line(r, false, "stacks", text);
    }
}

static void check_sums(struct report *r, const struct findings *f)
{
    char text[256];
    snprintf(
        text, sizeof text, "%zu of %zu cross-checks hold", f->items.n - f->disagreeing, f->items.n);
    check_line(r, f->disagreeing == 0, "sums", text);
    for (size_t i = 0; i < f->items.n; i++) {
        const struct gm_check_item *item = &f->items.v[i];
        if (item->holds)
            continue;
        snprintf(text, sizeof text, "%s: %" PRIu64 " against %" PRIu64, item->name, item->left,
            item->right);
        check_line(r, false, "", text);
    }
}

static int check_text(struct report *r, const struct findings *f)
{
    char end[96];
    int e = show_head(r, "check");
    if (e < 0)
        return e;
    gm_run_end_text(&r->run, end);
    out_printf(&r->out, "\n");
    check_line(r, true, "file", "every page can be read (integrity_check)");
    check_line(r, r->run.state != GM_RUN_CUT, "recording", state_text(r));
    check_line(r, true, "program", end);
    check_losses(r, f);
    check_sums(r, f);
    check_symbols(r, &f->gaps.symbols);
    out_printf(&r->out, "\n");
    out_styled(&r->out, f->missing ? OUT_WARN : OUT_BOLD, "%s\n",
        f->missing ? "Something is missing: see NO above." : "Whole: nothing is missing.");
    return 0;
}

int report_check(struct report *report)
{
    struct findings f = {0};
    char *complaint = NULL;
    int e = gm_check_integrity(report->recording, &complaint);
    if (e < 0)
        return e;
    if (complaint) {
        e = report_fail(
            REPORT_UNREADABLE, "%s: damaged (%s)", gm_recording_path(report->recording), complaint);
        free(complaint);
        return e;
    }
    e = findings_load(report, &f);
    if (e == 0 && report->options->json)
        check_json(report, &f);
    else if (e == 0)
        e = check_text(report, &f);
    int exit = e < 0 ? e : f.missing ? REPORT_FINDINGS : REPORT_DONE;
    findings_done(&f);
    return exit;
}
