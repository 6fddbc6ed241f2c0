/* closing.c - see closing.h. */
#include "collector/closing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "collector/say.h"
#include "schemas/text.h"

/* What is missing from the recording, said also with -q. */
static void say_losses(const struct gm_closing *c)
{
    const struct gm_recorder_figures *f = &c->figures;
    char n[GM_SAY_FIGURE];
    if (f->lost_events)
        gm_say("%s events were lost, as they came faster than they could be stored: try a larger "
               "--ring-size, or"
               " --on-full=wait",
            gm_say_count(f->lost_events, n));
    if (f->corrupt_records)
        gm_say(
            "%s corrupt records were left out: the program wrote into memory that is not its own",
            gm_say_count(f->corrupt_records, n));
    if (f->processes_refused)
        gm_say("%s processes ran unrecorded for want of memory or descriptors: see ulimit -a, or "
               "use a smaller"
               " --ring-size",
            gm_say_count(f->processes_refused, n));
    if (c->out_of_memory)
        gm_say(
            "recording stopped early: the recorder is out of memory; what was committed is kept");
    if (c->message[0])
        gm_say("%s%s", c->failed ? "" : "frames without names: ", c->message);
    if (c->names_left)
        gm_say("not all frames have names yet; geomem-report symbolize %s goes on", c->file);
}

static void say_verified(const struct gm_closing *c)
{
    char compared[GM_SAY_FIGURE], differing[GM_SAY_FIGURE];
    if (!c->options->verify)
        return;
    if (c->figures.verified_captures == 0)
        gm_say(
            "no stack was compared: libunwind.so.8 could not be loaded into the program; install "
            "libunwind8");
    else
        gm_say("%s stacks were compared frame by frame with libunwind's, %s differ",
            gm_say_count(c->figures.verified_captures, compared),
            gm_say_count(c->figures.differing_captures, differing));
}

static void say_nothing_recorded(const struct gm_closing *c)
{
    char program[256];
    gm_text_clean(c->program, program, sizeof program);
    if (c->figures.processes_refused)
        gm_say("nothing was recorded: there was no memory to record %s into; free some, or use a "
               "smaller --ring-size",
            program);
    else
        gm_say(
            "nothing was recorded: %s did not load geomem's library; it may run another program "
            "with a cleared"
            " environment, end before it starts (LD_DEBUG=libs shows what is loaded), or be built "
            "with -fsanitize=address (ASAN_OPTIONS=verify_asan_link_order=0 lets it run)",
            program);
}

static void say_nothing_seen(const struct gm_closing *c)
{
    char program[256];
    gm_text_clean(c->program, program, sizeof program);
    gm_say("no allocation was seen: %s makes none, or has a malloc of its own linked into it, "
           "which comes "
           "before geomem's; build it with libc's, or with its allocator as a shared library",
        program);
}

/* A power of two. */
static char *interval_text(uint64_t bytes, char text[static 32])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB"};
    unsigned u = 0;
    for (; bytes >= 1024 && u < 3; bytes /= 1024)
        u++;
    snprintf(text, 32, "%" PRIu64 " %s", bytes, unit[u]);
    return text;
}

/* Two standard errors. */
static const char *error_text(double variance, char text[static GM_SAY_FIGURE])
{
    return gm_say_bytes(variance > 0 ? (uint64_t)(2 * sqrt(variance)) : 0, text);
}

static void say_used(const struct gm_closing *c)
{
    char rss[GM_SAY_FIGURE];
    gm_say("the recorder used %.2f s of CPU and %s of memory", (double)c->cpu_ns / 1e9,
        gm_say_bytes(c->rss_bytes, rss));
}

static void say_estimated(const struct gm_closing *c)
{
    const struct gm_recorder_figures *f = &c->figures;
    char peak[GM_SAY_FIGURE], live[GM_SAY_FIGURE], peak_error[GM_SAY_FIGURE],
        live_error[GM_SAY_FIGURE], n[GM_SAY_FIGURE], from[32], to[32] = "", share[48] = "";
    bool one = f->sample_max_bytes == f->sample_min_bytes;
    if (f->sample_share >= 0)
        snprintf(
            share, sizeof share, "; recording took %.1f%% of the CPU time", 100 * f->sample_share);
    gm_say("about %s +- %s at the peak, about %s +- %s live at the end: %s",
        gm_say_bytes(f->peak_bytes, peak), error_text(f->peak_bytes_variance, peak_error),
        gm_say_bytes(f->end_live_bytes, live), error_text(f->end_live_bytes_variance, live_error),
        c->file);
    gm_say("estimated from %s samples, one per %s%s%s%s", gm_say_count(f->samples, n),
        interval_text(f->sample_min_bytes, from), one ? "" : " to ",
        one ? "" : interval_text(f->sample_max_bytes, to), share);
    if (c->options->sample_budget > 0 && f->sample_share > c->options->sample_budget)
        gm_say("that is more than the budget of %g%%%s", 100 * c->options->sample_budget,
            f->sample_max_bytes >= 64u << 20 ? ": the hooks alone cost so much here"
                                             : ": the program ended before it was kept to");
    say_used(c);
    gm_say("next: geomem-report leaks %s", c->file);
}

static void say_result(const struct gm_closing *c)
{
    const struct gm_recorder_figures *f = &c->figures;
    char events[GM_SAY_FIGURE], peak[GM_SAY_FIGURE], live[GM_SAY_FIGURE], blocks[GM_SAY_FIGURE];
    if (f->sample_min_bytes) {
        say_estimated(c);
        return;
    }
    gm_say("%s events, peak %s, live at the end %s in %s blocks: %s",
        gm_say_count(f->events, events), gm_say_bytes(f->peak_bytes, peak),
        gm_say_bytes(f->end_live_bytes, live), gm_say_count(f->end_live_blocks, blocks), c->file);
    say_used(c);
    gm_say("next: geomem-report leaks %s", c->file);
}

void gm_closing_say(const struct gm_closing *closing)
{
    bool quiet = closing->options->quiet;
    say_losses(closing);
    say_verified(closing);
    if (closing->figures.processes_seen == 0)
        say_nothing_recorded(closing);
    else if (closing->figures.events == 0 && !closing->figures.sample_min_bytes)
        say_nothing_seen(closing);
    if (closing->figures.processes_seen > 0 && !quiet)
        say_result(closing);
    if (closing->program_runs && !quiet)
        gm_say("recording has ended; the program runs on");
    if (closing->options->verbose)
        gm_say("%s processes, %s late events",
            gm_say_count(closing->figures.processes_seen, (char[GM_SAY_FIGURE]){0}),
            gm_say_count(closing->figures.late_events, (char[GM_SAY_FIGURE]){0}));
}
