/* analyze.c - from a report's figures to what a programmer should do about them.
 *
 * Each rule is a function that looks at the report and, where it has something to say, says it with the figures
 * that it rests on. Bounds are the rules' own constants: arbitrary where no source is given, chosen so that a
 * program with nothing to mend gets no warning.
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "geomem/listener.h"
#include "geomem/memory.h"

typedef void verdict_callback(const struct geomem_verdict *verdict, void *arg);
static struct {
    pthread_mutex_t lock;
    FILE *out; /* NULL: stderr */
    verdict_callback *callback;
    void *arg;
} analyze_sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* One analysis. */
struct analysis {
    const MemoryUsageReport *report;
    FILE *out;
    verdict_callback *callback;
    void *arg;
    int warnings;
};

void geomem_analysis_output(FILE *out)
{
    pthread_mutex_lock(&analyze_sink.lock);
    analyze_sink.out = out;
    pthread_mutex_unlock(&analyze_sink.lock);
}

void geomem_analysis_callback(
    void (*callback)(const struct geomem_verdict *verdict, void *arg), void *arg)
{
    pthread_mutex_lock(&analyze_sink.lock);
    analyze_sink.callback = callback;
    analyze_sink.arg = arg;
    pthread_mutex_unlock(&analyze_sink.lock);
}

/* ---- text ---- */

struct amount {
    char text[32];
};

static struct amount amount_of(double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    struct amount a;
    unsigned unit = 0;
    for (; bytes >= 1000 && unit < 4; unit++)
        bytes /= 1000;
    snprintf(
        a.text, sizeof a.text, unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return a;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static const char *site_name(const struct geomem_site_usage *site)
{
    return site->frame_count ? site->name[0] : "(no stack)";
}

__attribute__((format(printf, 5, 6))) static void verdict(struct analysis *a,
    enum geomem_severity severity, const char *rule, const struct geomem_site_usage *site,
    const char *format, ...)
{
    static const char *const marks[] = {"good", "note", "WARNING"};
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    a->warnings += severity == GEOMEM_WARNING;
    const struct geomem_verdict v = {
        .severity = severity, .rule = rule, .text = text, .site = site};
    if (a->callback)
        a->callback(&v, a->arg);
    else
        fprintf(a->out, "%-8s %s: %s\n", marks[severity], rule, text);
}

/* ---- rules ---- */

#define ENOUGH_BYTES (1u << 20) /* below it a program's habits do not show */

static void rule_survival(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    if (r->young.allocated_bytes < ENOUGH_BYTES || r->collections.young + r->collections.full == 0)
        return;
    double percent = r->promotion_rate * 100;
    if (percent <= 10)
        verdict(a, GEOMEM_GOOD, "survival", NULL,
            "%.1f %% of the young generation was promoted: what the program drops, it drops young.",
            percent);
    else if (percent <= 40)
        verdict(a, GEOMEM_NOTE, "survival", NULL,
            "%.1f %% of the young generation was promoted; young collections still pay.", percent);
    else
        verdict(a, GEOMEM_WARNING, "survival", NULL,
            "%.1f %% of the young generation was promoted, so young collections save little: "
            "allocate what is "
            "known to stay with gc_old_generation, or give the nursery more room (young_bytes).",
            percent);
}

static void rule_premature(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    if (isnan(r->premature_promotion_rate) || r->young.promoted_bytes < ENOUGH_BYTES)
        return;
    const struct geomem_site_usage *worst = NULL;
    for (uint32_t i = 0; i < r->site_count; i++)
        if (!worst || r->site[i].old_died_blocks > worst->old_died_blocks)
            worst = &r->site[i];
    if (r->premature_promotion_rate < 0.5 || !worst || worst->old_died_blocks == 0)
        return;
    verdict(a, GEOMEM_WARNING, "premature-promotion", worst,
        "%.0f %% of what was promoted has died since, most of it from %s: it lives a little longer "
        "than the "
        "nursery lets it. A larger nursery (young_bytes) keeps it out of the old "
        "generation.",
        r->premature_promotion_rate * 100, site_name(worst));
}

static void rule_pretenure(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    for (uint32_t i = 0; i < r->site_count; i++) {
        const struct geomem_site_usage *s = &r->site[i];
        uint64_t young_blocks = s->allocated_blocks - s->pretenured_blocks;
        if (s->explicit_blocks || s->promoted_bytes < ENOUGH_BYTES || young_blocks == 0)
            continue;
        double share = (double)s->promoted_blocks / (double)young_blocks;
        double died = (double)s->old_died_blocks / (double)s->promoted_blocks;
        if (share >= 0.8 && died < 0.2)
            verdict(a, GEOMEM_NOTE, "pretenure", s,
                "%.0f %% of the blocks of %s are promoted, and stay: allocate_memory(size, "
                "gc_old_generation) "
                "there spares young collections %s.",
                share * 100 > 100 ? 100.0 : share * 100, site_name(s),
                amount_of((double)s->promoted_bytes).text);
    }
}

static void rule_pauses(struct analysis *a)
{
    const struct geomem_pause_usage *p = &a->report->pauses;
    if (p->count == 0)
        return;
    if (p->max_ns <= 5000000)
        verdict(a, GEOMEM_GOOD, "pauses", NULL, "no pause was longer than %.2f ms.", ms(p->max_ns));
    else
        verdict(a, p->p99_ns > 10000000 ? GEOMEM_WARNING : GEOMEM_NOTE, "pauses", NULL,
            "the longest of %" PRIu64 " pauses took %.1f ms, the 99th percentile %.1f ms.",
            p->count, ms(p->max_ns), ms(p->p99_ns));
}

static void rule_asked_for(struct analysis *a)
{
    const struct geomem_collection_usage *c = &a->report->collections;
    uint64_t all = c->young + c->full, asked = c->by_trigger[GEOMEM_TRIGGER_EXPLICIT];
    if (asked >= 10 && asked * 2 > all)
        verdict(a, GEOMEM_NOTE, "asked-for", NULL,
            "%" PRIu64 " of %" PRIu64
            " collections were asked for by the program (perform_gc): the collector "
            "knows better when one pays.",
            asked, all);
    if (c->by_trigger[GEOMEM_TRIGGER_LIMIT])
        verdict(a, GEOMEM_WARNING, "limit", NULL,
            "%" PRIu64
            " collections were forced by the memory limit: raise max_bytes, or hold less.",
            c->by_trigger[GEOMEM_TRIGGER_LIMIT]);
}

static void rule_collector_share(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    if (r->cpu_ns < 100000000)
        return; /* too short to say */
    double share = (double)r->collections.cpu_ns / (double)r->cpu_ns;
    if (share > 0.25)
        verdict(a, GEOMEM_WARNING, "collector-share", NULL,
            "%.0f %% of the processor time went into collecting: allocate less, or give the heap "
            "more room.",
            share * 100);
}

static void rule_growth(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    int64_t grown = r->old.grown_bytes + r->explicit_blocks.grown_bytes;
    const struct geomem_site_usage *largest = NULL;
    for (uint32_t i = 0; i < r->site_count; i++)
        if (!largest || r->site[i].live_bytes > largest->live_bytes)
            largest = &r->site[i];
    if (grown < (int64_t)ENOUGH_BYTES || !largest || largest->live_bytes == 0)
        return;
    verdict(a, GEOMEM_NOTE, "growth", largest,
        "the old generation and explicit blocks grew by %s; most of what is new and still there, "
        "%s, was "
        "allocated by %s.",
        amount_of((double)grown).text, amount_of((double)largest->live_bytes).text,
        site_name(largest));
}

static void rule_fragmentation(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    if (r->footprint_bytes > 64 * (uint64_t)ENOUGH_BYTES && r->footprint_bytes > 3 * r->live_bytes)
        verdict(a, GEOMEM_NOTE, "footprint", NULL,
            "%s stand behind %s of live blocks: geomem_heap_purge gives back what is unused after "
            "a peak.",
            amount_of((double)r->footprint_bytes).text, amount_of((double)r->live_bytes).text);
}

static void rule_honesty(struct analysis *a)
{
    const MemoryUsageReport *r = a->report;
    if (r->followed_share < 1)
        verdict(a, GEOMEM_NOTE, "sampled", NULL,
            "one block in %.0f was followed: promotions, deaths and live bytes of single sites are "
            "estimates.",
            1 / r->followed_share);
    if (r->unattributed_blocks)
        verdict(a, GEOMEM_NOTE, "unattributed", NULL,
            "%" PRIu64 " allocations have no site of their own in this report.",
            r->unattributed_blocks);
    if (r->recorded)
        verdict(a, GEOMEM_NOTE, "recorded", NULL,
            "geomem-record was recording: `geomem-report gc`, `generations` and `leaks` know "
            "lines, time and "
            "every site.");
}

static void (*const analyze_rules[])(struct analysis *) = {rule_survival, rule_premature,
    rule_pretenure, rule_pauses, rule_asked_for, rule_collector_share, rule_growth,
    rule_fragmentation, rule_honesty};

/* ---- the summary ---- */

static void summary_generation(
    FILE *out, const char *name, const struct geomem_generation_usage *g, const char *promoted)
{
    fprintf(out, "  %-10s %10" PRIu64 " %10s %10s %10" PRIu64 " %10s %10s\n", name,
        g->allocated_blocks, amount_of((double)g->allocated_bytes).text, promoted, g->died_blocks,
        amount_of((double)g->died_bytes).text, amount_of((double)g->live_bytes).text);
}

#define SUMMARY_FRAMES 4u

static void summary_sites(FILE *out, const MemoryUsageReport *r)
{
    fprintf(out, "\n  %10s %10s %10s %10s  %s\n", "allocated", "blocks", "promoted", "live", "by");
    for (uint32_t i = 0; i < r->site_count && i < 10; i++) {
        const struct geomem_site_usage *s = &r->site[i];
        fprintf(out, "  %10s %10" PRIu64 " %10" PRIu64 " %10s  ",
            amount_of((double)s->allocated_bytes).text, s->allocated_blocks, s->promoted_blocks,
            amount_of((double)s->live_bytes).text);
        for (uint32_t frame = 0; frame < s->frame_count && frame < SUMMARY_FRAMES; frame++) {
            fprintf(out, "%s%s", frame ? " < " : "", s->name[frame]);
            if (!strcmp(s->name[frame], "main"))
                break;
        }
        fprintf(out, "%s\n", s->frame_count ? "" : "(no stack)");
    }
    if (r->site_total > 10)
        fprintf(out, "  ... of %" PRIu32 " sites\n", r->site_total);
}

static void summary_print(FILE *out, const MemoryUsageReport *r)
{
    const struct geomem_pause_usage *p = &r->pauses;
    fprintf(out,
        "memory usage over %.2f s: %" PRIu64
        " blocks, %s allocated; %s live, footprint %s, at most %s\n",
        (double)r->elapsed_ns / 1e9, r->allocated_blocks,
        amount_of((double)r->allocated_bytes).text, amount_of((double)r->live_bytes).text,
        amount_of((double)r->footprint_bytes).text,
        amount_of((double)r->footprint_peak_bytes).text);
    fprintf(out, "  %-10s %10s %10s %10s %10s %10s %10s\n", "generation", "blocks", "allocated",
        "promoted", "died", "", "live");
    summary_generation(out, "young", &r->young, amount_of((double)r->young.promoted_bytes).text);
    summary_generation(out, "old", &r->old, "");
    summary_generation(out, "explicit", &r->explicit_blocks, "");
    fprintf(out,
        "  collections: %" PRIu64 " young, %" PRIu64
        " full; %s collected, %.1f ms of processor time\n",
        r->collections.young, r->collections.full,
        amount_of((double)r->collections.collected_bytes).text, ms(r->collections.cpu_ns));
    if (p->count)
        fprintf(out,
            "  pauses: %" PRIu64 ", half within %.2f ms, 99 %% within %.2f ms, longest %.2f ms\n",
            p->count, ms(p->p50_ns), ms(p->p99_ns), ms(p->max_ns));
    summary_sites(out, r);
    fprintf(out, "\n");
}

int analyze_memory_usage(const MemoryUsageReport *report)
{
    if (!report)
        return 0;
    pthread_mutex_lock(&analyze_sink.lock);
    struct analysis a = {.report = report,
        .out = analyze_sink.out ? analyze_sink.out : stderr,
        .callback = analyze_sink.callback,
        .arg = analyze_sink.arg};
    pthread_mutex_unlock(&analyze_sink.lock);
    if (!a.callback)
        summary_print(a.out, report);
    for (size_t i = 0; i < sizeof analyze_rules / sizeof *analyze_rules; i++)
        analyze_rules[i](&a);
    return a.warnings;
}
