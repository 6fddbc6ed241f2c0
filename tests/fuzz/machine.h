/* machine.h - the recorder from its readers to its figures, for fuzzing: order, live set and roll-up, with a check that
 * what was kept adds up, and no store behind. */
#ifndef GM_TESTS_FUZZ_MACHINE_H
#define GM_TESTS_FUZZ_MACHINE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/order.h"
#include "collector/rollup.h"
#include "wire_words.h"

struct machine {
    struct gm_timebase timebase;
    struct gm_batch batch;
    struct gm_rollup rollup;
    struct gm_order order;
    struct gm_process *process;
    struct gm_reader_group *group;
};

static inline int machine_commit(void *arg)
{
    struct machine *m = arg;
    gm_rollup_fill(&m->rollup, m->timebase.last_ns);
    gm_batch_clear(&m->batch);
    gm_rollup_use(&m->rollup, &m->batch);
    return 0;
}

/* The group's readers are the caller's. */
static inline void machine_init(struct machine *m, struct gm_reader_group *group)
{
    memset(m, 0, sizeof *m);
    m->timebase.clock = GM_CLOCK_MONOTONIC;
    gm_rollup_init(&m->rollup, &m->timebase, &m->batch);
    m->rollup.flush = machine_commit;
    m->rollup.flush_arg = m;
    struct gm_order_sink sink = {.arg = &m->rollup, .event = gm_rollup_event};
    gm_order_init(&m->order, &sink, 1000);
    struct gm_process_start start = {
        .pid = 1, .origin = "root", .exe = "", .command = "[]", .ring_count = group->count};
    if (gm_rollup_add_process(&m->rollup, &start, &m->process) < 0)
        abort();
    m->group = group;
    group->owner = m->process;
    m->process->group = group;
}

static inline void machine_merge(struct machine *m, uint64_t watermark, bool last)
{
    m->rollup.round++;
    for (uint32_t i = 0; i < m->group->count; i++)
        if (gm_order_add(&m->order, &m->group->readers[i], last) < 0)
            abort();
    gm_order_run(&m->order, watermark);
}

static inline void machine_done(struct machine *m)
{
    for (int i = 0; i < 64; i++) /* each round may leave an unstamped tail for the next */
        machine_merge(m, UINT64_MAX, true);
    const char *wrong = gm_live_set_check(&m->process->live);
    for (uint32_t i = 0; i < m->group->count && !wrong; i++)
        if (gm_reader_left(&m->group->readers[i]))
            wrong = "words are left over";
    /* Those that died in a nursery, but not yet by what was read, are live; sampled blocks stand for several. */
    uint64_t live = m->process->live.n;
    for (uint32_t i = 0; i < m->group->count; i++)
        live += m->process->threads[i].young.near + m->process->threads[i].young.n;
    if (!wrong && live != m->process->row.live_blocks && m->process->row.samples == 0)
        wrong = "the live set and the live blocks differ";
    for (uint32_t i = 0; i < m->process->caches.count && !wrong; i++)
        wrong = gm_cache_keys_check(&m->process->caches.v[i]->keys);
    if (wrong) {
        fprintf(stderr, "fuzz: %s\n", wrong);
        abort();
    }
    machine_commit(m);
    gm_process_ended(m->process, m->timebase.last_ns, "exit", 0);
    machine_commit(m);
    gm_order_done(&m->order);
    gm_rollup_done(&m->rollup);
    gm_batch_done(&m->batch);
}

#endif
