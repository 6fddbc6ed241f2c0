/* show.c - see show.h. */
#include "analyzer/report/show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/generations.h"
#include "analyzer/core/names.h"
#include "analyzer/core/where.h"

/* Characters of a path that a shell leaves alone. */
#define SHOW_PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_"

int show_gaps_load(struct report *report, struct show_gaps *ret_gaps)
{
    struct show_gaps gaps = {0};
    int e = gm_losses_load(report->recording, &gaps.losses);
    if (e == 0)
        e = gm_symbol_state_load(report->recording, &gaps.symbols);
    if (e < 0)
        show_gaps_done(&gaps);
    else
        *ret_gaps = gaps;
    return e;
}

void show_gaps_done(struct show_gaps *gaps)
{
    gm_losses_done(&gaps->losses);
    gm_symbol_state_done(&gaps->symbols);
}

bool show_is_complete(const struct report *report)
{
    const struct gm_run *run = &report->run;
    return run->state == GM_RUN_COMPLETE && !run->lost_events && !run->corrupt_records;
}

static const char *state_name(enum gm_run_state state)
{
    switch (state) {
    case GM_RUN_COMPLETE:
        return "complete";
    case GM_RUN_RUNNING:
        return "recording";
    case GM_RUN_CUT:
        break;
    }
    return "cut";
}

char *show_moment(int64_t ns, char text[static 32])
{
    return gm_figure_time(text, ns);
}

static char *utc_text(int64_t utc_ns, const char *format, char text[static 64])
{
    time_t seconds = (time_t)(utc_ns / 1000000000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || strftime(text, 64, format, &tm) == 0)
        snprintf(text, 64, "date unknown");
    return text;
}

/* ---- head and warnings, as text
 * ---------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void warn(struct report *r, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    out_styled(&r->out, OUT_WARN, "  WARNING ");
    out_cut(&r->out, text, OUT_COLUMNS - 10);
    out_printf(&r->out, "\n");
}

static void warn_state(struct report *r)
{
    char moment[32], utc[64];
    show_moment(r->run.duration_ns, moment);
    utc_text(r->run.start_utc_ns + r->run.duration_ns, "%H:%M:%S UTC", utc);
    if (r->run.state == GM_RUN_RUNNING)
        out_printf(&r->out, "  still recording: all figures as of %s (%s)\n", moment, utc);
    else if (r->run.state == GM_RUN_CUT)
        warn(r, "the recorder was cut off: all figures as of %s, the last commit", moment);
}

static void warn_losses(struct report *r, const struct gm_losses *losses)
{
    char figure[GM_FIGURE_BYTES];
    if (r->run.lost_events && losses->n == 0)
        warn(r, "%s events were lost: counts are too low, live figures may be off",
            gm_figure_count(figure, r->run.lost_events));
    for (size_t i = 0; i < losses->n; i++)
        warn(r, "%s events lost (%s) in process #%u: counts are too low, live may be off",
            gm_figure_count(figure, losses->v[i].events), losses->v[i].reason,
            losses->v[i].process_id);
    if (r->run.corrupt_records)
        warn(r, "%s corrupt records were skipped", gm_figure_count(figure, r->run.corrupt_records));
    if (r->run.late_events)
        warn(r, "%s events came too late for their place in the order",
            gm_figure_count(figure, r->run.late_events));
    if (r->run.hash_collisions)
        warn(r, "%s stacks share a hash with another",
            gm_figure_count(figure, r->run.hash_collisions));
    if (r->run.cut_stacks)
        warn(r, "%s stacks were too deep; frames in their middle were left out",
            gm_figure_count(figure, r->run.cut_stacks));
    if (r->run.left_out_stacks)
        warn(r,
            "%s stacks came after the recorder held as many as it may; what they allocated has no "
            "stack",
            gm_figure_count(figure, r->run.left_out_stacks));
}

static void warn_symbols(struct report *r, const struct gm_symbol_state *s)
{
    char figure[GM_FIGURE_BYTES], all[GM_FIGURE_BYTES];
    gm_figure_count(all, s->frames);
    if (s->pending)
        warn(r, "%s of %s code addresses not looked up yet%s", gm_figure_count(figure, s->pending),
            all, r->run.state == GM_RUN_RUNNING ? "" : "; try: geomem-report symbolize FILE");
    if (s->unnamed * 20 >= s->frames && s->unnamed && s->module_count)
        warn(r, "%s of %s code addresses have no name, most in %s",
            gm_figure_count(figure, s->unnamed), all,
            s->modules[0].path ? gm_name_base(s->modules[0].path) : "generated code");
}

static void head_program(struct report *r)
{
    const struct gm_process *root = gm_process_find(&r->processes, r->run.root_process_id);
    char duration[GM_FIGURE_BYTES], utc[64], tail[160];
    snprintf(tail, sizeof tail, " \u00b7 pid %" PRId64 " \u00b7 %s \u00b7 %s", root ? root->pid : 0,
        gm_figure_time(duration, r->run.duration_ns),
        utc_text(r->run.start_utc_ns, "%F %T UTC", utc));
    out_printf(&r->out, "  ");
    out_cut(&r->out, r->run.command, OUT_COLUMNS - 2 - gm_name_width(tail));
    out_printf(&r->out, "%s\n", tail);
}

static void head_end(struct report *r)
{
    char end[96], events[GM_FIGURE_BYTES], lost[GM_FIGURE_BYTES];
    gm_run_end_text(&r->run, end);
    out_printf(&r->out, "  %s \u00b7 %s events, %s lost", end,
        gm_figure_count(events, r->run.events), gm_figure_count(lost, r->run.lost_events));
    if (r->processes.n > 1)
        out_printf(&r->out, " \u00b7 %zu processes", r->processes.n);
    out_printf(&r->out, "\n");
}

/* "one per 512 KiB", or from .. to where --budget changed it */
static void head_estimated(struct report *r)
{
    const struct gm_run *run = &r->run;
    char n[GM_FIGURE_BYTES], from[GM_FIGURE_BYTES], to[GM_FIGURE_BYTES], share[GM_FIGURE_BYTES];
    if (!gm_run_is_estimated(run))
        return;
    out_printf(&r->out, "  %c estimated from %s samples, one per %s", OUT_ABOUT,
        gm_figure_count(n, run->totals.samples), gm_figure_binary(from, run->sample_min_bytes));
    if (run->sample_max_bytes != run->sample_min_bytes)
        out_printf(&r->out, " to %s", gm_figure_binary(to, run->sample_max_bytes));
    out_printf(&r->out, "; %c is two standard errors\n", OUT_PLUS_MINUS);
    if (run->sample_budget > 0 || run->sample_share >= 0)
        out_printf(&r->out, "  recording took %s of the CPU time%s%s%s\n",
            run->sample_share >= 0 ? gm_figure_percent(share, run->sample_share, 1)
                                   : "unknown parts",
            run->sample_budget > 0 ? ", the budget was " : "",
            run->sample_budget > 0 ? gm_figure_percent(n, run->sample_budget, 1) : "",
            run->sample_share >= 0 ? " (measured)" : "");
}

static void head_selection(struct report *r)
{
    char from[32], to[32];
    if (r->set.n)
        out_printf(&r->out, "  only process #%u, pid %" PRId64 "%s\n", r->set.ids[0],
            gm_process_find(&r->processes, r->set.ids[0])->pid,
            r->set.n > 1 ? " and the programs it executed before or after" : "");
    if (r->ranged)
        out_printf(&r->out, "  only from %s to %s, in whole slices\n",
            show_moment(r->from_ns, from), show_moment(r->to_ns, to));
}

int show_head(struct report *report, const char *title)
{
    struct show_gaps gaps;
    int e = show_gaps_load(report, &gaps);
    if (e < 0)
        return e;
    out_styled(&report->out, OUT_BOLD, "geomem %s \u00b7 %s", GEOMEM_VERSION, title);
    out_printf(&report->out, " \u00b7 ");
    size_t used = strlen("geomem " GEOMEM_VERSION) + gm_name_width(title) + 6;
    out_cut(&report->out, gm_name_base(gm_recording_path(report->recording)), OUT_COLUMNS - used);
    out_printf(&report->out, "\n");
    head_program(report);
    head_end(report);
    head_estimated(report);
    head_selection(report);
    warn_state(report);
    warn_losses(report, &gaps.losses);
    warn_symbols(report, &gaps.symbols);
    show_gaps_done(&gaps);
    return 0;
}

void show_json_head(struct report *report, const char *command)
{
    struct json *j = &report->json;
    char schema[64];
    snprintf(schema, sizeof schema, "geomem.%s/1", command);
    json_put_object(j, NULL, false);
    json_put_text(j, "schema", schema);
    json_put_text(j, "file", gm_recording_path(report->recording));
    json_put_text(j, "program", report->run.program);
    json_put_text(j, "state", state_name(report->run.state));
    json_put_bool(j, "complete", show_is_complete(report));
    json_put_integer(j, "as_of_ns", report->run.duration_ns);
    json_put_count(j, "lost_events", report->run.lost_events);
    json_put_bool(j, "estimated", gm_run_is_estimated(&report->run));
    if (gm_run_is_estimated(&report->run)) {
        json_put_count(j, "sampled_allocations", report->run.totals.samples);
        json_put_count(j, "sample_bytes", report->run.sample_bytes);
        json_put_count(j, "sample_min_bytes", report->run.sample_min_bytes);
        json_put_count(j, "sample_max_bytes", report->run.sample_max_bytes);
    }
    if (report->ranged) {
        json_put_integer(j, "from_ns", report->from_ns);
        json_put_integer(j, "to_ns", report->to_ns);
    }
    if (report->set.n) {
        json_put_array(j, "process_ids", true);
        for (size_t i = 0; i < report->set.n; i++)
            json_put_count(j, NULL, report->set.ids[i]);
        json_put_close(j);
    }
}

/* ---- sites and stacks
 * --------------------------------------------------------------------------------- */

int show_where(struct report *report, uint32_t stack_id, char *text, size_t text_bytes)
{
    struct gm_stack stack;
    int e = gm_stack_load(report->recording, stack_id, &stack);
    if (e < 0)
        return e;
    gm_where_text(&stack, text, text_bytes);
    gm_stack_done(&stack);
    return 0;
}

static void stack_line(struct report *report, const struct gm_frame *f, bool where)
{
    char name[256], place[256];
    gm_function_short(f->function, name, sizeof name);
    gm_frame_place(f, place, sizeof place);
    out_printf(&report->out, "   %s ", where ? ">" : " ");
    if (!*place) {
        out_cut(&report->out, name, OUT_COLUMNS - 5);
        out_printf(&report->out, "\n");
        return;
    }
    out_padded(&report->out, name, 46);
    out_printf(&report->out, " ");
    out_cut(&report->out, place, OUT_COLUMNS - 52 - (f->inlined ? 10 : 0));
    out_printf(&report->out, "%s\n", f->inlined ? " (inlined)" : "");
}

/* Where the line of interest lies deep, the frames inside of it are cut short so that it is seen. */
void show_stack(struct report *report, const struct gm_stack *stack, size_t most)
{
    size_t where = gm_where_index(stack), shown = 0;
    if (stack->n == 0)
        out_printf(&report->out, "     [no stack was captured]\n");
    for (size_t i = 0; i < stack->n; i++, shown++) {
        if (most && shown == 2 && where > i + 5) {
            out_printf(&report->out, "     \u2026 %zu more of libraries\n", where - 1 - i);
            i = where - 1;
        }
        if (most && shown >= most && stack->n - i > 1) {
            out_printf(&report->out, "     \u2026 %zu more\n", stack->n - i);
            break;
        }
        stack_line(report, &stack->v[i], i == where);
    }
    if (stack->damaged)
        out_styled(&report->out, OUT_WARN, "     the rest of this stack is damaged in the file\n");
}

static void json_frame(struct json *j, const char *key, const struct gm_frame *f)
{
    json_put_object(j, key, true);
    json_put_text(j, "module", f->module);
    json_put_text(j, "function", f->function);
    json_put_text(j, "file", f->file);
    if (f->line)
        json_put_count(j, "line", f->line);
    else
        json_put_null(j, "line");
    json_put_bool(j, "inlined", f->inlined);
    json_put_close(j);
}

int show_json_stack(struct report *report, uint32_t stack_id)
{
    struct gm_stack stack;
    struct json *j = &report->json;
    int e = gm_stack_load(report->recording, stack_id, &stack);
    if (e < 0)
        return e;
    if (stack.n)
        json_frame(j, "where", &stack.v[gm_where_index(&stack)]);
    else
        json_put_null(j, "where");
    json_put_array(j, "stack", false);
    for (size_t i = 0; i < stack.n; i++)
        json_frame(j, NULL, &stack.v[i]);
    json_put_close(j);
    gm_stack_done(&stack);
    return 0;
}

int show_json_sites(struct report *report, const struct selection *selection, size_t rows)
{
    struct json *j = &report->json;
    int e = 0;
    json_put_array(j, "sites", false);
    for (size_t i = 0; e == 0 && i < rows; i++) {
        json_put_object(j, NULL, false);
        show_json_site(report, selection, selection->list[i]);
        e = show_json_stack(report, selection->list[i]->sum.stack_id);
        json_put_close(j);
    }
    json_put_close(j);
    return e;
}

int64_t show_age_now(const struct report *report)
{
    return report->to_ns < report->run.duration_ns ? -1 : report->run.duration_ns;
}

char *show_age(const struct report *report, const struct gm_site *site, char text[static 32])
{
    int64_t now = show_age_now(report), age = now < 0 ? -1 : gm_site_mean_age_ns(site, now);
    if (age < 0)
        snprintf(text, 32, "-");
    else
        gm_figure_time(text, age);
    return text;
}

static void json_site_ids(struct json *j, const struct selection *s, const struct gm_site_group *g)
{
    json_put_array(j, "site_ids", true);
    for (uint32_t i = 0; i < g->n; i++)
        json_put_count(j, NULL, s->groups.members[g->first + i]->site_id);
    json_put_close(j);
    json_put_array(j, "process_ids", true);
    for (uint32_t i = 0; i < g->n; i++)
        json_put_count(j, NULL, s->groups.members[g->first + i]->process_id);
    json_put_close(j);
}

static void json_site_generations(struct json *j, const struct gm_site *s)
{
    json_put_array(j, "died", true);
    for (int g = 0; g < 4; g++)
        json_put_count(j, NULL, s->died[g]);
    json_put_close(j);
    json_put_array(j, "promoted", true);
    for (int g = 0; g < 3; g++)
        json_put_count(j, NULL, s->promoted[g]);
    json_put_close(j);
    double rate = gm_site_promotion_rate(s);
    if (rate < 0)
        json_put_null(j, "promotion_rate");
    else
        json_put_real(j, "promotion_rate", rate);
}

void show_json_site(
    struct report *report, const struct selection *selection, const struct gm_site_group *group)
{
    struct json *j = &report->json;
    const struct gm_site *s = &group->sum;
    int64_t now = show_age_now(report);
    json_site_ids(j, selection, group);
    json_put_text(j, "allocator", s->allocator);
    json_put_count(j, "live_blocks", s->live_blocks);
    json_put_count(j, "live_bytes", s->live_bytes);
    json_put_count(j, "allocations", s->allocs);
    json_put_count(j, "allocated_bytes", s->alloc_bytes);
    json_put_count(j, "frees", report->ranged ? s->window.frees : s->allocs - s->live_blocks);
    json_put_time(j, "mean_age_ns", now < 0 ? -1 : gm_site_mean_age_ns(s, now));
    if (selection->windowed) {
        json_put_integer(j, "growth_bytes", gm_site_growth_bytes(s));
        json_put_real(j, "allocations_per_s",
            (double)s->window.allocs * 1e9 /
                (double)(selection->sites.to_ns - selection->sites.from_ns));
    }
    if (report->ranged)
        return; /* what follows is of the whole recording */
    if (gm_run_is_estimated(&report->run)) {
        json_put_count(j, "sampled_allocations", s->samples);
        show_json_error(report, "live_blocks_se", s->live_blocks_var);
        show_json_error(report, "live_bytes_se", s->live_bytes_var);
        show_json_error(report, "allocations_se", s->allocs_var);
        show_json_error(report, "allocated_bytes_se", s->alloc_bytes_var);
    }
    json_put_count(j, "reallocs", s->reallocs);
    json_put_count(j, "peak_blocks", s->run_peak_blocks);
    json_put_count(j, "peak_bytes", s->run_peak_bytes);
    json_put_count(j, "min_block_bytes", s->min_bytes);
    json_put_count(j, "max_block_bytes", s->max_bytes);
    json_put_integer(j, "first_ns", s->first_ns);
    json_put_integer(j, "last_ns", s->last_ns);
    json_put_time(j, "last_free_ns", s->last_free_ns);
    json_site_generations(j, s);
}

void show_json_histogram(struct json *j, const char *key, const uint64_t *buckets)
{
    json_put_array(j, key, false);
    for (unsigned b = 0; b < GM_LIFETIME_BUCKETS; b++) {
        if (!buckets[b])
            continue;
        json_put_object(j, NULL, true);
        json_put_count(j, "from", gm_lifetime_from(b));
        json_put_count(j, "blocks", buckets[b]);
        json_put_close(j);
    }
    json_put_close(j);
}

/* ---- estimates ---- */

static char *figure_put(
    const struct report *report, char text[static 32], bool estimated, const char *figure)
{
    char *start = text;
    if (estimated && gm_run_is_estimated(&report->run))
        *start++ = OUT_ABOUT;
    snprintf(start, 31, "%.30s", figure);
    return text;
}

char *show_bytes(const struct report *report, char text[static 32], uint64_t bytes)
{
    char figure[GM_FIGURE_BYTES];
    return figure_put(report, text, true, gm_figure_bytes(figure, bytes));
}

char *show_count(const struct report *report, char text[static 32], uint64_t blocks)
{
    char figure[GM_FIGURE_BYTES];
    return figure_put(report, text, true, gm_figure_count(figure, blocks));
}

char *show_short(const struct report *report, char text[static 32], uint64_t blocks)
{
    char figure[GM_FIGURE_BYTES];
    return figure_put(report, text, true, gm_figure_short(figure, blocks));
}

char *show_change(const struct report *report, char text[static 32], double bytes)
{
    char figure[GM_FIGURE_BYTES];
    return figure_put(report, text, true, gm_figure_change(figure, bytes));
}

char *show_percent(const struct report *report, char text[static 32], double part, double whole)
{
    char figure[GM_FIGURE_BYTES];
    return figure_put(report, text, whole > 0, gm_figure_percent(figure, part, whole));
}

/* An interval of two standard errors, as wide as a row's "+-38%" and the gap after it. */
#define MARGIN_TITLE "+/-2SE  "
const char *show_margin_title(const struct report *report)
{
    return gm_run_is_estimated(&report->run) ? MARGIN_TITLE : "";
}

size_t show_margin_columns(const struct report *report)
{
    return strlen(show_margin_title(report));
}

static void margin_percent(char text[static 31], uint64_t estimate, double variance)
{
    double percent = estimate ? 200 * gm_estimate_error(variance) / (double)estimate : 0;
    snprintf(text, 31, percent < 9.95 ? "%c%.1f%%" : "%c%.0f%%", OUT_PLUS_MINUS, percent);
}

void show_margin(struct report *report, uint64_t estimate, double variance, uint64_t samples)
{
    char text[32];
    if (!gm_run_is_estimated(&report->run))
        return;
    if (estimate == 0 || variance < 0)
        snprintf(text, sizeof text, "-");
    else if (samples < GM_ESTIMATE_FEW)
        snprintf(text, sizeof text, "n=%" PRIu64, samples);
    else
        margin_percent(text, estimate, variance);
    out_printf(&report->out, "%6s  ", text);
}

char *show_margin_text(
    const struct report *report, char text[static 32], uint64_t estimate, double variance)
{
    text[0] = 0;
    if (gm_run_is_estimated(&report->run) && estimate == 0)
        snprintf(text, 32, " no sample of");
    else if (gm_run_is_estimated(&report->run)) {
        margin_percent(text + 1, estimate, variance);
        text[0] = ' ';
    }
    return text;
}

void show_json_error(struct report *report, const char *key, double variance)
{
    if (gm_run_is_estimated(&report->run))
        json_put_real(&report->json, key, gm_estimate_error(variance));
}

size_t show_rows(const struct report *report, size_t usual, size_t n)
{
    size_t most = report->options->all ? n : report->options->top ? report->options->top : usual;
    return most < n ? most : n;
}

void show_title(struct report *report, const char *title)
{
    out_printf(&report->out, "\n");
    out_styled(&report->out, OUT_BOLD, "%s\n", title);
}

void show_file(struct report *report)
{
    const char *path = gm_recording_path(report->recording);
    bool plain = *path && path[strspn(path, SHOW_PLAIN)] == 0;
    out_printf(&report->out, plain ? "%s" : "'%s'", path);
}
