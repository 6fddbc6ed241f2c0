/* collection.c - see collection.h. */
#include "libgeomem/event/collection.h"

#include "libgeomem/event/event.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/sample.h"
#include "libgeomem/event/thread.h"

#define SWEEP_WORDS 5u
#define BEGIN_WORDS 4u
#define STOP_WORDS 3u
#define CYCLE_WORDS (GM_CYCLE_FIRST_WORD + GM_CYCLE_FIGURE_COUNT)

static const void *swept_block(const struct geomem_swept *swept, unsigned i)
{
    return (const char *)swept->first + i * swept->block_bytes;
}

/* Those of a sampled recording that were taken, or may have been. The dead leave the set. */
static uint64_t swept_sampled(const struct geomem_swept *swept, uint64_t mask, bool dead)
{
    uint64_t taken = 0;
    for (uint64_t left = mask; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        const void *block = swept_block(swept, i);
        if (!gm_sample_passes_free(block) && (!dead || gm_sample_set_remove(block)))
            taken |= 1ull << i;
    }
    return taken;
}

/* Returns those whose record is not in the nursery of this thread. */
static uint64_t swept_fold(
    struct gm_scope *scope, const struct geomem_swept *swept, uint64_t dead, uint64_t stamp)
{
    uint64_t rest = 0;
    for (; dead; dead &= dead - 1) {
        unsigned i = (unsigned)__builtin_ctzll(dead);
        uint64_t address = (uintptr_t)swept_block(swept, i);
        uint64_t position = gm_scope_find(scope, address);
        if (gm_scope_fold(scope, position, GM_DEATH_COLLECTED))
            continue;
        if (position == GM_NURSERY_NONE)
            gm_scope_freed_elsewhere(scope, address, stamp);
        rest |= 1ull << i;
    }
    return rest;
}

/* What is promoted has more to tell than its birth and death: its record in the nursery of whoever has it is no longer
 * taken for the block's. */
static void swept_keep(const struct geomem_swept *swept, uint64_t promoted, uint64_t stamp)
{
    for (; promoted && gm_process.folds; promoted &= promoted - 1) {
        unsigned i = (unsigned)__builtin_ctzll(promoted);
        gm_nursery_freed_elsewhere((uintptr_t)swept_block(swept, i), stamp);
    }
}

static void swept_put(struct gm_scope *scope, const struct geomem_swept *swept, uint64_t dead,
    uint64_t promoted, uint64_t stamp)
{
    struct gm_producer *p = scope->producer;
    gm_producer_put(p, gm_rec_word0(GM_EV_SWEEP, SWEEP_WORDS, stamp));
    gm_producer_put(p, ((uintptr_t)swept->first & GM_ADDRESS_MASK) | swept->heap << 48);
    gm_producer_put(p, (swept->block_bytes & GM_ADDRESS_MASK) | (uint64_t)swept->age << 48);
    gm_producer_put(p, dead);
    gm_producer_put(p, promoted);
}

/* No room: each block counts as an event that is lost. */
static void swept_lost(struct gm_scope *scope, uint64_t blocks)
{
    struct gm_ring *ring = scope->producer->ring;
    unsigned more = (unsigned)__builtin_popcountll(blocks) - 1; /* reserve has counted one */
    atomic_fetch_add_explicit(&ring->dropped, more, memory_order_relaxed);
}

static void swept_tell(
    struct gm_scope *scope, const struct geomem_swept *swept, uint64_t dead, uint64_t promoted)
{
    if (!gm_scope_reserve(scope, SWEEP_WORDS)) {
        swept_lost(scope, dead | promoted);
        return;
    }
    gm_scope_busy(scope);
    uint64_t stamp = gm_scope_stamp_before(scope);
    dead = swept_fold(scope, swept, dead, stamp);
    swept_keep(swept, promoted, stamp);
    if (dead | promoted)
        swept_put(scope, swept, dead, promoted, stamp);
    gm_scope_publish(scope);
    gm_scope_idle(scope);
}

void gm_event_swept(const struct geomem_swept *swept)
{
    struct gm_scope scope;
    uint64_t dead = swept->dead, promoted = swept->promoted;
    if (!gm_process_on())
        return;
    if (gm_process.sampling) {
        dead = swept_sampled(swept, dead, true);
        promoted = swept_sampled(swept, promoted, false);
    }
    if (!(dead | promoted) || !gm_scope_enter(&scope))
        return;
    swept_tell(&scope, swept, dead, promoted);
    gm_scope_leave(&scope);
}

void gm_event_gc_begin(uint64_t heap, uint64_t number, uint32_t kind, uint32_t trigger)
{
    const uint64_t words[BEGIN_WORDS] = {0, heap, number, gm_gc_pack(kind, trigger)};
    gm_event_words(GM_EV_GC_BEGIN, words, BEGIN_WORDS);
}

void gm_event_gc_stop(uint64_t number, uint64_t start_ns, uint64_t pause_ns)
{
    const uint64_t words[STOP_WORDS] = {0, number, pause_ns};
    (void)start_ns; /* the stamp tells */
    gm_event_words(GM_EV_GC_STOP, words, STOP_WORDS);
}

void gm_event_gc_end(const struct geomem_gc_cycle *c)
{
    const uint64_t words[CYCLE_WORDS] = {
        0,
        c->heap,
        c->number,
        gm_gc_pack(c->kind, c->trigger),
        c->end_ns - c->start_ns,
#define FIGURE(name, value) [GM_CYCLE_FIRST_WORD + GM_CYCLE_##name] = (value)
        FIGURE(stops, c->stops),
        FIGURE(pause_ns, c->pause_ns),
        FIGURE(max_pause_ns, c->max_pause_ns),
        FIGURE(stop_ns, c->phase_ns[GEOMEM_PHASE_STOP]),
        FIGURE(roots_ns, c->phase_ns[GEOMEM_PHASE_ROOTS]),
        FIGURE(mark_ns, c->phase_ns[GEOMEM_PHASE_MARK]),
        FIGURE(notes_ns, c->phase_ns[GEOMEM_PHASE_NOTES]),
        FIGURE(sweep_ns, c->phase_ns[GEOMEM_PHASE_SWEEP]),
        FIGURE(concurrent_mark_ns, c->phase_ns[GEOMEM_PHASE_CONCURRENT_MARK]),
        FIGURE(cpu_ns, c->cpu_ns),
        FIGURE(threads_stopped, c->threads_stopped),
        FIGURE(roots_bytes, c->roots_bytes),
        FIGURE(dirty_bytes, c->dirty_bytes),
        FIGURE(marked_blocks, c->marked_blocks),
        FIGURE(marked_bytes, c->marked_bytes),
        FIGURE(swept_blocks, c->swept_blocks),
        FIGURE(swept_bytes, c->swept_bytes),
        FIGURE(promoted_blocks, c->promoted_blocks),
        FIGURE(promoted_bytes, c->promoted_bytes),
        FIGURE(young_before_bytes, c->young_before_bytes),
        FIGURE(young_after_bytes, c->young_after_bytes),
        FIGURE(old_before_bytes, c->old_before_bytes),
        FIGURE(old_after_bytes, c->old_after_bytes),
        FIGURE(footprint_bytes, c->footprint_bytes),
#undef FIGURE
    };
    gm_event_words(GM_EV_GC_CYCLE, words, CYCLE_WORDS);
}
