/* geomem/memory.h: allocation by generation, the profiler, the verdicts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"
#include "geomem/memory.h"

/* ---- allocation ---- */

Test(memory, size_zero_gives_a_block_of_its_own)
{
    void *a = allocate_memory(0, gc_young_generation);
    void *b = allocate_memory(0, gc_young_generation);
    cr_assert(a && b && a != b);
}

Test(memory, a_block_is_zeroed_and_aligned)
{
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        unsigned char *block =
            allocate_memory(size, size % 2 ? gc_young_generation : gc_old_generation);
        cr_assert(block && (uintptr_t)block % 16 == 0);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(block[i], 0);
        memset(block, 0xff, size);
        free_memory(block);
    }
}

Test(memory, a_size_beyond_ptrdiff_is_refused_with_enomem)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        cr_assert_null(allocate_memory(sizes[i], gc_young_generation));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_null(allocate_memory(sizes[i], gc_old_generation));
    }
    cr_assert_not_null(allocate_memory(100, gc_young_generation), "and the heap works on");
}

Test(memory, an_unknown_generation_is_refused)
{
    errno = 0;
    cr_assert_null(allocate_memory(16, (Generation)7));
    cr_assert_eq(errno, EINVAL);
    cr_assert_eq(perform_gc((Generation)7), -EINVAL);
}

Test(memory, null_may_be_freed_and_errno_is_kept)
{
    void *block = allocate_memory(16, gc_young_generation);
    errno = 77;
    free_memory(NULL);
    free_memory(block);
    cr_assert_eq(errno, 77);
}

Test(memory, a_block_is_born_where_it_is_asked_to_be)
{
    struct geomem_block young, old;
    cr_assert_eq(geomem_block_at(allocate_memory(16, gc_young_generation), &young), 0);
    cr_assert_eq(geomem_block_at(allocate_memory(16, gc_old_generation), &old), 0);
    cr_assert_eq(young.state, GEOMEM_BLOCK_YOUNG);
    cr_assert_eq(old.state, GEOMEM_BLOCK_OLD);
}

/* The names alone are values, the names called collect. */
Test(memory, the_names_of_the_generations_are_values_and_calls)
{
    Generation generation = gc_old_generation;
    cr_assert_eq(generation, GENERATION_OLD);
    cr_assert_eq(GENERATION_YOUNG, gc_young_generation);
    struct geomem_heap_statistics before = {.struct_bytes = sizeof before}, after = before;
    cr_assert_eq(init_gc(), 0);
    cr_assert_not_null(allocate_memory(16, generation));
    geomem_heap_statistics(NULL, &before);
    cr_assert_eq(gc_young_generation(), 0);
    cr_assert_eq(gc_old_generation(), 0);
    geomem_heap_statistics(NULL, &after);
    cr_assert_eq(after.young_collections + after.full_collections,
        before.young_collections + before.full_collections + 2);
}

/* ---- the profiler ---- */

static void *volatile kept[20000];

__attribute__((noinline)) static void site_of_the_dropped(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        kept[0] = allocate_memory(48, gc_young_generation);
}

__attribute__((noinline)) static void site_of_the_kept(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        kept[i + 1] = allocate_memory(96, gc_young_generation);
}

__attribute__((noinline)) static void site_of_the_explicit(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        geomem_free(geomem_alloc(32));
}

static const struct geomem_site_usage *site_named(const MemoryUsageReport *report, const char *name)
{
    for (uint32_t i = 0; i < report->site_count; i++)
        for (uint32_t frame = 0; frame < report->site[i].frame_count && frame < 2; frame++)
            if (strcmp(report->site[i].name[frame], name) == 0)
                return &report->site[i];
    return NULL;
}

Test(profile, counts_every_allocation_by_its_call_site)
{
    cr_assert_eq(start_profiling(), 0);
    site_of_the_dropped(5000);
    site_of_the_kept(300);
    site_of_the_explicit(70);
    MemoryUsageReport *report = stop_profiling();
    cr_assert_not_null(report);
    cr_assert_eq(report->struct_bytes, sizeof *report);
    const struct geomem_site_usage *dropped = site_named(report, "site_of_the_dropped");
    const struct geomem_site_usage *stays = site_named(report, "site_of_the_kept");
    const struct geomem_site_usage *freed = site_named(report, "site_of_the_explicit");
    cr_assert(dropped && stays && freed, "all three sites have names");
    cr_assert_eq(dropped->allocated_blocks, 5000);
    cr_assert_eq(dropped->allocated_bytes, 5000 * 48);
    cr_assert_eq(stays->allocated_blocks, 300);
    cr_assert_eq(freed->allocated_blocks, 70);
    cr_assert_eq(freed->live_blocks, 0);
    cr_assert(freed->explicit_blocks && !stays->explicit_blocks);
    cr_assert_eq(report->allocated_blocks, 5370);
    cr_assert_eq(report->young.allocated_blocks, 5300);
    cr_assert_eq(report->explicit_blocks.allocated_blocks, 70);
    cr_assert_eq(report->unattributed_blocks, 0);
    free_memory(report);
}

Test(profile, tells_what_was_promoted_and_what_died)
{
    cr_assert_eq(init_gc(), 0);
    cr_assert_eq(start_profiling(), 0);
    site_of_the_kept(10000);
    site_of_the_dropped(10000);
    for (int i = 0; i < 5; i++)
        perform_gc(gc_young_generation);
    MemoryUsageReport *report = stop_profiling();
    const struct geomem_site_usage *dropped = site_named(report, "site_of_the_dropped");
    const struct geomem_site_usage *stays = site_named(report, "site_of_the_kept");
    cr_assert_eq(report->followed_share, 1.0);
    cr_assert(dropped && stays);
    cr_assert_eq(stays->promoted_blocks, 10000);
    cr_assert_eq(stays->live_blocks, 10000);
    /* A stray word may keep one or two of them. */
    cr_assert_leq(dropped->promoted_blocks, 8);
    cr_assert_leq(dropped->live_blocks, 8);
    cr_assert_geq(report->old.live_bytes, 10000 * 96);
    cr_assert_geq(report->collections.young, 5);
    cr_assert_geq(report->collections.by_trigger[GEOMEM_TRIGGER_EXPLICIT], 5);
    cr_assert_geq(report->pauses.count, 5);
    cr_assert(report->pauses.p50_ns <= report->pauses.p99_ns &&
              report->pauses.p99_ns <= report->pauses.max_ns);
    uint64_t sum = 0;
    for (int i = 0; i < GEOMEM_PAUSE_BUCKETS; i++)
        sum += report->pauses.histogram[i];
    cr_assert_eq(sum, report->pauses.count);
    free_memory(report);
}

/* More live blocks than are followed: figures by site become estimates, and say so. */
Test(profile, follows_a_share_where_there_are_too_many)
{
    enum { BLOCKS = 400000 };
    void **all = geomem_alloc_root(BLOCKS * sizeof *all);
    cr_assert_eq(start_profiling(), 0);
    for (int i = 0; i < BLOCKS; i++)
        all[i] = allocate_memory(16, gc_young_generation);
    perform_gc(gc_young_generation);
    perform_gc(gc_young_generation);
    MemoryUsageReport *report = stop_profiling();
    cr_assert_lt(report->followed_share, 1.0);
    const struct geomem_site_usage *site = &report->site[0];
    cr_assert_eq(site->allocated_blocks, BLOCKS, "what was allocated is exact all the same");
    cr_assert_float_eq((double)site->promoted_blocks, BLOCKS, BLOCKS * 0.1);
    cr_assert_float_eq((double)site->live_blocks, BLOCKS, BLOCKS * 0.1);
    free_memory(report);
    geomem_free(all);
}

Test(profile, is_started_and_stopped_once)
{
    errno = 0;
    cr_assert_null(stop_profiling());
    cr_assert_eq(errno, EINVAL);
    cr_assert_eq(start_profiling(), 0);
    cr_assert_eq(start_profiling(), -EALREADY);
    MemoryUsageReport *report = stop_profiling();
    cr_assert_not_null(report);
    cr_assert_null(stop_profiling());
    cr_assert_eq(report->site_count, 0);
    cr_assert(isnan(report->promotion_rate));
    free_memory(report);
}

Test(profile, a_report_is_not_touched_by_the_next)
{
    cr_assert_eq(start_profiling(), 0);
    site_of_the_dropped(100);
    MemoryUsageReport *first = stop_profiling();
    cr_assert_eq(start_profiling(), 0);
    site_of_the_kept(200);
    MemoryUsageReport *second = stop_profiling();
    cr_assert_eq(site_named(first, "site_of_the_dropped")->allocated_blocks, 100);
    cr_assert_null(site_named(first, "site_of_the_kept"));
    cr_assert_eq(site_named(second, "site_of_the_kept")->allocated_blocks, 200);
    cr_assert_null(site_named(second, "site_of_the_dropped"));
    free_memory(first);
    free_memory(second);
}

/* ---- verdicts, from reports made here ---- */

struct heard {
    unsigned count;
    char rules[512];
    char text[4096];
};

static void hear(const struct geomem_verdict *verdict, void *arg)
{
    struct heard *heard = arg;
    heard->count++;
    snprintf(heard->rules + strlen(heard->rules), sizeof heard->rules - strlen(heard->rules),
        "%s%s ", verdict->severity == GEOMEM_WARNING ? "!" : "", verdict->rule);
    snprintf(heard->text + strlen(heard->text), sizeof heard->text - strlen(heard->text), "%s\n",
        verdict->text);
}

static int judged(const MemoryUsageReport *report, struct heard *heard)
{
    *heard = (struct heard){0};
    geomem_analysis_callback(hear, heard);
    int warnings = analyze_memory_usage(report);
    geomem_analysis_callback(NULL, NULL);
    return warnings;
}

static MemoryUsageReport plain_report(void)
{
    return (MemoryUsageReport){.struct_bytes = sizeof(MemoryUsageReport),
        .elapsed_ns = 1000000000,
        .cpu_ns = 1000000000,
        .promotion_rate = 0.02,
        .premature_promotion_rate = (double)NAN,
        .young = {.allocated_blocks = 1000000,
            .allocated_bytes = 100000000,
            .promoted_bytes = 2000000},
        .collections = {.young = 40, .cpu_ns = 20000000},
        .pauses = {.count = 40, .max_ns = 800000, .p50_ns = 300000, .p99_ns = 800000},
        .followed_share = 1};
}

Test(analyze, a_healthy_report_has_no_warnings)
{
    struct heard heard;
    MemoryUsageReport report = plain_report();
    cr_assert_eq(judged(&report, &heard), 0);
    cr_assert_str_eq(heard.rules, "survival pauses ");
}

Test(analyze, null_is_no_report)
{
    struct heard heard;
    cr_assert_eq(judged(NULL, &heard), 0);
    cr_assert_eq(heard.count, 0);
}

Test(analyze, premature_promotion_names_the_site)
{
    struct heard heard;
    struct geomem_site_usage site = {.allocated_blocks = 1000,
        .promoted_blocks = 900,
        .promoted_bytes = 5000000,
        .old_died_blocks = 850,
        .frame_count = 1,
        .name = {"request_parse"}};
    MemoryUsageReport report = plain_report();
    report.young.promoted_bytes = 5000000;
    report.premature_promotion_rate = 0.9;
    report.site = &site;
    report.site_count = 1;
    cr_assert_eq(judged(&report, &heard), 1);
    cr_assert_not_null(strstr(heard.rules, "!premature-promotion"));
    cr_assert_not_null(strstr(heard.text, "request_parse"));
}

Test(analyze, what_stays_is_recommended_for_the_old_generation)
{
    struct heard heard;
    struct geomem_site_usage site = {.allocated_blocks = 1000,
        .promoted_blocks = 950,
        .promoted_bytes = 5000000,
        .live_blocks = 950,
        .live_bytes = 5000000,
        .frame_count = 1,
        .name = {"index_load"}};
    MemoryUsageReport report = plain_report();
    report.site = &site;
    report.site_count = 1;
    cr_assert_eq(judged(&report, &heard), 0);
    cr_assert_not_null(strstr(heard.rules, "pretenure"));
}

Test(analyze, long_pauses_limits_and_a_busy_collector_are_warned_of)
{
    struct heard heard;
    MemoryUsageReport report = plain_report();
    report.pauses.max_ns = 80000000;
    report.pauses.p99_ns = 40000000;
    report.collections.cpu_ns = 500000000;
    report.collections.by_trigger[GEOMEM_TRIGGER_LIMIT] = 3;
    report.promotion_rate = 0.7;
    cr_assert_eq(judged(&report, &heard), 4);
}

Test(analyze, writes_to_the_file_it_is_given)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    MemoryUsageReport report = plain_report();
    geomem_analysis_output(out);
    analyze_memory_usage(&report);
    geomem_analysis_output(NULL);
    fclose(out);
    cr_assert_not_null(strstr(text, "memory usage over 1.00 s"));
    cr_assert_not_null(strstr(text, "40 young"));
    free(text);
}
