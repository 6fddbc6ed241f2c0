/* report.c - what start_profiling's tables hold, as one block of memory that is the caller's.
 *
 *     | MemoryUsageReport | sites, by bytes | names, each once per frame |
 *
 * Built in memory of the profiler's own first, since its length is known at the end only, and the heap's figures
 * should not show the report.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/profile/profile.h"

#define SITES_SHOWN 64u
#define NAME_BYTES 200u
#define INNER_FRAMES 10u /* of a stack's innermost, in which libgeomem's own may be */

struct report_draft {
    MemoryUsageReport report;
    struct geomem_site_usage site[SITES_SHOWN];
    size_t name_bytes;
    char name[SITES_SHOWN * GEOMEM_SITE_FRAMES * NAME_BYTES];
};

/* ---- sites ---- */

static void site_name_frames(struct report_draft *d, struct geomem_site_usage *out)
{
    uint32_t ours = 0;
    for (uint32_t i = 0; i < out->frame_count; i++) {
        char *name = d->name + d->name_bytes;
        gm_profile_name((uintptr_t)out->frame[i], name, NAME_BYTES);
        out->name[i] = name;
        d->name_bytes += strlen(name) + 1;
        /* A function of ours without a name that tells it may stand between two; two and more are the program's, called by a
         * function of ours: a loader of a cache. */
        if (i < INNER_FRAMES && (ours == 0 || i - ours <= 1) && gm_profile_name_is_ours(name))
            ours = i + 1;
    }
    if (ours == out->frame_count)
        return;
    out->frame_count -= ours;
    memmove(out->frame, out->frame + ours, out->frame_count * sizeof *out->frame);
    memmove(out->name, out->name + ours, out->frame_count * sizeof *out->name);
}

static void site_read(const struct gm_profile_site *site, struct geomem_site_usage *out)
{
    *out = (struct geomem_site_usage){
        .allocated_blocks = atomic_load(&site->allocated_blocks),
        .allocated_bytes = atomic_load(&site->allocated_bytes),
        .promoted_blocks = atomic_load(&site->promoted_blocks),
        .promoted_bytes = atomic_load(&site->promoted_bytes),
        .old_died_blocks = atomic_load(&site->old_died_blocks),
        .pretenured_blocks = atomic_load(&site->pretenured_blocks),
        .live_blocks = site->live_blocks,
        .live_bytes = site->live_bytes,
        .explicit_blocks = atomic_load(&site->explicit_blocks) ? 1 : 0,
        .frame_count = site->frame_count,
    };
    for (uint32_t i = 0; i < site->frame_count; i++)
        out->frame[i] = (const void *)site->frame[i];
}

/* Keeps the SITES_SHOWN with the most bytes, largest first. */
static void site_insert(struct report_draft *d, const struct gm_profile_site *site)
{
    uint32_t count = d->report.site_count, at = count;
    uint64_t bytes = atomic_load(&site->allocated_bytes);
    while (at > 0 && d->site[at - 1].allocated_bytes < bytes)
        at--;
    if (at == SITES_SHOWN)
        return;
    uint32_t moved = (count < SITES_SHOWN ? count : SITES_SHOWN - 1) - at;
    memmove(&d->site[at + 1], &d->site[at], moved * sizeof d->site[0]);
    site_read(site, &d->site[at]);
    d->report.site_count = count < SITES_SHOWN ? count + 1 : SITES_SHOWN;
}

static void sites_read(struct report_draft *d)
{
    uint64_t promoted = 0, died = 0;
    gm_profile_blocks_count_live();
    for (uint32_t index = 0; index < GM_PROFILE_SITES; index++) {
        const struct gm_profile_site *site = gm_profile_site(index);
        promoted += atomic_load(&site->promoted_bytes);
        died += atomic_load(&site->old_died_bytes);
        if (atomic_load(&site->allocated_blocks) == 0)
            continue;
        d->report.site_total += index != GM_PROFILE_NO_SITE;
        site_insert(d, site);
    }
    for (uint32_t i = 0; i < d->report.site_count; i++)
        site_name_frames(d, &d->site[i]);
    gm_profile_names_close();
    d->report.premature_promotion_rate = promoted ? (double)died / (double)promoted : (double)NAN;
}

/* ---- figures ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Blocks that left a generation otherwise than by promotion are those missing at the end. */
static void generation_close(struct geomem_generation_usage *g, uint64_t came_blocks,
    uint64_t came_bytes, uint64_t went_blocks, uint64_t went_bytes, uint64_t start_bytes)
{
    g->died_blocks = less(came_blocks, went_blocks + g->live_blocks);
    g->died_bytes = less(came_bytes, went_bytes + g->live_bytes);
    g->grown_bytes = (int64_t)(g->live_bytes - start_bytes);
}

static void generations_read(MemoryUsageReport *r, const struct geomem_heap_statistics *a,
    const struct geomem_heap_statistics *b, const struct gm_profile_flows *f)
{
    uint64_t promoted_blocks = b->promoted_blocks - a->promoted_blocks;
    uint64_t promoted_bytes = b->promoted_bytes - a->promoted_bytes;
    r->young = (struct geomem_generation_usage){.allocated_blocks = f->young_blocks,
        .allocated_bytes = f->young_bytes,
        .promoted_blocks = promoted_blocks,
        .promoted_bytes = promoted_bytes,
        .live_blocks = b->young_blocks,
        .live_bytes = b->young_bytes};
    r->old = (struct geomem_generation_usage){.allocated_blocks = f->old_blocks,
        .allocated_bytes = f->old_bytes,
        .promoted_blocks = promoted_blocks,
        .promoted_bytes = promoted_bytes,
        .live_blocks = b->old_blocks,
        .live_bytes = b->old_bytes};
    r->explicit_blocks = (struct geomem_generation_usage){.allocated_blocks = f->explicit_blocks,
        .allocated_bytes = f->explicit_bytes,
        .live_blocks = b->explicit_blocks,
        .live_bytes = b->explicit_bytes};
    generation_close(&r->young, a->young_blocks + f->young_blocks, a->young_bytes + f->young_bytes,
        promoted_blocks, promoted_bytes, a->young_bytes);
    generation_close(&r->old, a->old_blocks + f->old_blocks + promoted_blocks,
        a->old_bytes + f->old_bytes + promoted_bytes, 0, 0, a->old_bytes);
    generation_close(&r->explicit_blocks, a->explicit_blocks + f->explicit_blocks,
        a->explicit_bytes + f->explicit_bytes, 0, 0, a->explicit_bytes);
    r->promotion_rate = r->young.allocated_bytes
                            ? (double)promoted_bytes / (double)r->young.allocated_bytes
                            : (double)NAN;
}

static void totals_read(MemoryUsageReport *r, const struct gm_profile_start *start,
    const struct geomem_heap_statistics *now)
{
    const struct geomem_heap_statistics *then = &start->heap;
    struct timespec cpu;
    gm_sys2(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &cpu);
    r->struct_bytes = sizeof *r;
    r->recorded = start->recorded;
    r->elapsed_ns = gm_sys_monotonic_ns() - start->time_ns;
    r->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec - start->cpu_ns;
    r->allocated_blocks = now->allocated_blocks - then->allocated_blocks;
    r->allocated_bytes = now->allocated_bytes - then->allocated_bytes;
    r->freed_blocks = now->freed_blocks - then->freed_blocks;
    r->freed_bytes = now->freed_bytes - then->freed_bytes;
    r->live_blocks = now->explicit_blocks + now->young_blocks + now->old_blocks;
    r->live_bytes = now->explicit_bytes + now->young_bytes + now->old_bytes;
    r->footprint_bytes = now->footprint_bytes;
}

static void pauses_read(MemoryUsageReport *r, const struct geomem_heap_statistics *then)
{
    struct gm_profile_pauses pauses;
    gm_profile_pauses_read(&pauses);
    r->collections = pauses.collections;
    r->pauses = pauses.pauses;
    r->footprint_peak_bytes = pauses.footprint_peak_bytes;
    if (r->footprint_peak_bytes < then->footprint_bytes)
        r->footprint_peak_bytes = then->footprint_bytes;
    if (r->footprint_peak_bytes < r->footprint_bytes)
        r->footprint_peak_bytes = r->footprint_bytes;
}

/* ---- the block ---- */

static MemoryUsageReport *draft_copy(const struct report_draft *d)
{
    size_t site_bytes = d->report.site_count * sizeof d->site[0];
    MemoryUsageReport *report = geomem_alloc(sizeof *report + site_bytes + d->name_bytes);
    if (!report)
        return NULL;
    struct geomem_site_usage *site = (struct geomem_site_usage *)(report + 1);
    char *names = (char *)site + site_bytes;
    *report = d->report;
    report->site = site;
    memcpy(site, d->site, site_bytes);
    memcpy(names, d->name, d->name_bytes);
    for (uint32_t i = 0; i < report->site_count; i++)
        for (uint32_t frame = 0; frame < site[i].frame_count; frame++)
            site[i].name[frame] = names + (site[i].name[frame] - d->name);
    return report;
}

int gm_profile_report_create(const struct gm_profile_start *start, MemoryUsageReport **ret_report)
{
    struct geomem_heap_statistics now = {.struct_bytes = sizeof now};
    struct gm_profile_flows flows;
    int failed = geomem_heap_statistics(NULL, &now);
    struct report_draft *draft = gm_sys_map(sizeof *draft);
    if (failed || !draft) {
        if (draft)
            munmap(draft, sizeof *draft);
        return failed ? failed : -ENOMEM;
    }
    gm_profile_flows_read(&flows);
    totals_read(&draft->report, start, &now);
    generations_read(&draft->report, &start->heap, &now, &flows);
    pauses_read(&draft->report, &start->heap);
    draft->report.followed_share = gm_profile_blocks_share();
    draft->report.unattributed_blocks = flows.unattributed_blocks;
    sites_read(draft);
    *ret_report = draft_copy(draft);
    munmap(draft, sizeof *draft);
    return *ret_report ? 0 : -ENOMEM;
}
