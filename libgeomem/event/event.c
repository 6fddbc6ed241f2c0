/* event.c - see event.h. */
#include "libgeomem/event/event.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/base/clock.h"
#include "libgeomem/event/module.h"
#include "libgeomem/event/naming.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/quick.h"
#include "libgeomem/event/sample.h"

/* ---- events --------------------------------------------------------------------------------------------- */

static void alloc_put(struct gm_scope *scope, uint64_t address, uint64_t packed, uint64_t hash)
{
    gm_quick_write_alloc(scope->producer, gm_scope_stamp_after(scope), address, packed, hash);
}

static void free_put(struct gm_scope *scope, uint64_t address, uint64_t flag, uint64_t stamp)
{
    gm_producer_put(scope->producer, gm_rec_word0(GM_EV_FREE, 2, stamp));
    gm_producer_put(scope->producer, address | flag);
}

static void alloc_tell(
    struct gm_scope *scope, const void *block, uint64_t packed, const struct gm_naming *name)
{
    gm_scope_busy(scope);
    gm_naming_put(scope, name);
    uint64_t position = scope->producer->head;
    alloc_put(scope, (uintptr_t)block, packed, name->hash);
    gm_scope_publish(scope);
    gm_scope_idle(scope);
    gm_scope_enter_nursery(scope, (uintptr_t)block, position);
}

/* A stack that the memo knows, with names to send. */
__attribute__((noinline)) static void alloc_captured(const void *block, uint64_t packed)
{
    struct gm_scope scope;
    struct gm_naming name;
    gm_scope_resume(&scope);
    gm_naming_from_memo(&scope.thread->memo, &name);
    if (gm_naming_prepare(&scope, 4, &name))
        alloc_tell(&scope, block, packed, &name);
    gm_scope_leave(&scope);
}

__attribute__((noinline)) static void alloc_slow(
    const struct gm_context *context, const void *block, uint64_t packed)
{
    struct gm_scope scope;
    struct gm_naming name;
    if (!gm_scope_enter(&scope))
        return;
    if (gm_naming_capture(&scope, context, 4, &name))
        alloc_tell(&scope, block, packed, &name);
    gm_scope_leave(&scope);
}

void gm_event_alloc(const struct gm_context *context, const void *block, uint64_t packed)
{
    enum gm_quick quick = gm_quick_alloc(context, block, packed);
    if (__builtin_expect(quick == GM_QUICK_TOLD, 1))
        return;
    if (quick == GM_QUICK_CAPTURED)
        alloc_captured(block, packed);
    else if (gm_process.sampling)
        gm_event_alloc_sampled(context, block, packed, 0);
    else
        alloc_slow(context, block, packed);
}

static void event_free_sampled(const void *block);

/* A free that is not folded. Shared rings are locked before the stamp is taken. */
static void free_alone(struct gm_scope *scope, uint64_t address, uint64_t position)
{
    if (!gm_scope_reserve(scope, 2))
        return;
    gm_scope_busy(scope);
    uint64_t stamp = gm_scope_stamp_before(scope);
    if (position == GM_NURSERY_NONE)
        gm_scope_freed_elsewhere(scope, address, stamp);
    free_put(scope, address, 0, stamp);
    gm_scope_publish(scope);
    gm_scope_idle(scope);
}

__attribute__((noinline)) static void free_slow(const void *block)
{
    struct gm_scope scope;
    if (!gm_scope_enter(&scope))
        return;
    uint64_t position = gm_scope_find(&scope, (uintptr_t)block);
    if (!gm_scope_fold(&scope, position, 0))
        free_alone(&scope, (uintptr_t)block, position);
    gm_scope_leave(&scope);
}

void gm_event_free(const void *block)
{
    if (__builtin_expect(gm_quick_free(block), 1))
        return;
    if (gm_process.sampling)
        event_free_sampled(block);
    else
        free_slow(block);
}

void gm_event_realloc_begin(struct gm_event_realloc *r, uint64_t old_address)
{
    r->open = gm_scope_enter(&r->scope);
    if (!r->open)
        return;
    if (!gm_scope_lock(&r->scope)) {
        gm_scope_leave(&r->scope);
        r->open = false;
        return;
    }
    gm_scope_busy(&r->scope);
    r->stamp = gm_scope_stamp_before(&r->scope);
    r->position = old_address ? gm_scope_find(&r->scope, old_address) : GM_NURSERY_NONE;
    if (old_address && r->position == GM_NURSERY_NONE)
        gm_scope_freed_elsewhere(&r->scope, old_address, r->stamp);
}

/* Writes what a reallocation amounts to (see the records in wire.h), if there is room for it. */
static void realloc_put(struct gm_event_realloc *r, const struct gm_context *context,
    uint64_t old_address, const void *block, uint64_t packed)
{
    struct gm_naming name = {0};
    struct gm_scope *scope = &r->scope;
    uint64_t moved = old_address && block ? GM_FREE_REALLOC : 0;
    if (block ? !gm_naming_capture(scope, context, 6, &name) : !gm_scope_reserve(scope, 2))
        return;
    gm_naming_put(scope, &name);
    if (old_address && !gm_scope_fold(scope, r->position, moved ? GM_DEATH_REALLOC : 0))
        free_put(scope, old_address, moved, r->stamp);
    uint64_t position = scope->producer->head;
    if (block)
        alloc_put(scope, (uintptr_t)block, packed | (moved ? GM_SIZE_REALLOC : 0), name.hash);
    gm_scope_publish(scope);
    if (block)
        gm_scope_enter_nursery(scope, (uintptr_t)block, position);
}

void gm_event_realloc_end(struct gm_event_realloc *r, const struct gm_context *context,
    uint64_t old_address, const void *block, uint64_t packed)
{
    if (!r->open)
        return;
    if (block || (old_address && gm_size_bytes(packed) == 0))
        realloc_put(r, context, old_address, block, packed);
    gm_scope_idle(&r->scope);
    gm_scope_leave(&r->scope);
}

/* ---- sampled -------------------------------------------------------------------------------------------- */

#define ALLOC_WORDS 6u
#define FREE_WORDS 3u

/* What a sampled event cost, for the recorder's budget. A reading long after the one before says that the thread was
 * off its processor meanwhile: that much is not ours. */
#define COST_MAX_US 200u
static void cost_add(struct gm_session *session, uint64_t began)
{
    uint64_t ticks = (gm_clock_before(gm_process.clock) - began) & GM_STAMP_MASK;
    uint64_t most = gm_process.ticks_per_ms * COST_MAX_US / 1000;
    atomic_fetch_add_explicit(
        &session->sample_ticks, ticks < most ? ticks : most, memory_order_relaxed);
}

/* Threads take turns on a shared ring, so that a clock of one says nothing there. */
static uint64_t clock_shown(const struct gm_scope *scope, uint64_t clock)
{
    return scope->shared ? 0 : clock;
}

static void sampled_free_put(
    struct gm_scope *scope, const void *block, uint64_t stamp, uint64_t allocated_bytes)
{
    gm_producer_put(scope->producer, gm_rec_word0(GM_EV_FREE, FREE_WORDS, stamp));
    gm_producer_put(scope->producer, (uint64_t)block);
    gm_producer_put(scope->producer, clock_shown(scope, allocated_bytes));
}

/* A block whose record can be published is in the set before the program has it. */
static void sampled_alloc_put(struct gm_scope *scope, const void *block, uint64_t packed,
    uint64_t hash, const struct gm_sample *sample, uint32_t flags, uint64_t stamp)
{
    struct gm_producer *p = scope->producer;
    gm_sample_set_add(block);
    gm_producer_put(p, gm_rec_word0(GM_EV_ALLOC, ALLOC_WORDS, stamp));
    gm_producer_put(p, (uint64_t)block);
    gm_producer_put(p, packed);
    gm_producer_put(p, hash);
    gm_producer_put(p, gm_sample_pack(sample->log2, flags));
    gm_producer_put(p, clock_shown(scope, sample->clock));
}

void gm_event_alloc_sampled(
    const struct gm_context *context, const void *block, uint64_t packed, uint32_t flags)
{
    struct gm_scope scope;
    struct gm_sample sample;
    struct gm_naming name;
    uint64_t began = gm_clock_before(gm_process.clock);
    if (!gm_sample_take(gm_size_bytes(packed), &sample) || !gm_scope_enter(&scope))
        return;
    if (gm_naming_capture(&scope, context, ALLOC_WORDS, &name)) {
        gm_scope_busy(&scope);
        gm_naming_put(&scope, &name);
        sampled_alloc_put(
            &scope, block, packed, name.hash, &sample, flags, gm_scope_stamp_after(&scope));
        gm_scope_publish(&scope);
        gm_scope_idle(&scope);
        cost_add(scope.session, began);
    }
    gm_scope_leave(&scope);
}

static void event_free_sampled(const void *block)
{
    struct gm_scope scope;
    uint64_t began = gm_clock_before(gm_process.clock);
    if (!gm_sample_set_remove(block) || !gm_scope_enter(&scope))
        return;
    if (gm_scope_reserve(&scope, FREE_WORDS)) {
        gm_scope_busy(&scope);
        sampled_free_put(&scope, block, gm_scope_stamp_before(&scope), gm_sample_clock());
        gm_scope_publish(&scope);
        gm_scope_idle(&scope);
        cost_add(scope.session, began);
    }
    gm_scope_leave(&scope);
}

/* Free and allocation go out as one group; the first names of stacks belong to the first record after them. */
void gm_event_realloc_end_sampled(struct gm_event_realloc *r, const struct gm_context *context,
    const void *old, const void *block, uint64_t packed)
{
    struct gm_naming name = {0};
    struct gm_sample sample;
    uint64_t bytes = gm_size_bytes(packed), allocated_before = gm_sample_clock();
    bool failed = !block && bytes > 0;
    bool taken = block && !gm_sample_passes(bytes) && gm_sample_take(bytes, &sample);
    if (failed)
        gm_sample_set_add(old);
    if (!r->open)
        return;
    uint64_t after = gm_scope_stamp_after(&r->scope);
    bool room = taken ? gm_naming_capture(&r->scope, context, FREE_WORDS + ALLOC_WORDS, &name)
                      : !failed && gm_scope_reserve(&r->scope, FREE_WORDS);
    if (room) {
        gm_naming_put(&r->scope, &name);
        sampled_free_put(&r->scope, old, r->stamp, allocated_before);
        if (taken)
            sampled_alloc_put(
                &r->scope, block, packed, name.hash, &sample, GM_SAMPLE_REALLOC, after);
        gm_scope_publish(&r->scope);
    }
    gm_scope_idle(&r->scope);
    gm_scope_leave(&r->scope);
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

void gm_event_words_put(
    struct gm_scope *scope, enum gm_event_kind kind, const uint64_t *words, uint32_t count)
{
    struct gm_producer *p = scope->producer;
    gm_producer_put(p, gm_rec_word0(kind, count, gm_scope_stamp_exact(scope)));
    for (uint32_t i = 1; i < count; i++)
        gm_producer_put(p, words[i]);
}

void gm_event_words(enum gm_event_kind kind, const uint64_t *words, uint32_t count)
{
    struct gm_scope scope;
    if (!gm_process_on() || !gm_scope_enter(&scope))
        return;
    if (gm_scope_reserve(&scope, count)) {
        gm_scope_busy(&scope);
        gm_event_words_put(&scope, kind, words, count);
        gm_scope_publish(&scope);
        gm_scope_idle(&scope);
    }
    gm_scope_leave(&scope);
}

void gm_event_unload(void)
{
    struct gm_scope scope;
    /* release: pairs with the acquire in caches_refresh */
    uint32_t epoch = 1 + atomic_fetch_add_explicit(&gm_image.epoch, 1, memory_order_release);
    if (!gm_process_on())
        return;
    atomic_store_explicit(&gm_process.session->module_epoch, epoch, memory_order_relaxed);
    if (!gm_scope_enter(&scope))
        return;
    if (gm_scope_reserve(&scope, 2)) {
        gm_scope_busy(&scope);
        gm_producer_put(
            scope.producer, gm_rec_word0(GM_EV_MODULE_EPOCH, 2, gm_scope_stamp_before(&scope)));
        gm_producer_put(scope.producer, epoch);
        gm_scope_publish(&scope);
        gm_scope_idle(&scope);
    }
    gm_scope_leave(&scope);
}

int gm_event_mark(const char *text)
{
    struct gm_scope scope;
    size_t bytes = strnlen(text, 1000);
    uint32_t words = 2 + (uint32_t)(bytes + 7) / 8;
    if (!gm_process_on() || !gm_scope_enter(&scope))
        return -ENOTCONN;
    bool room = gm_scope_reserve(&scope, words);
    if (room) {
        gm_scope_busy(&scope);
        gm_producer_put(
            scope.producer, gm_rec_word0(GM_EV_MARK, words, gm_scope_stamp_before(&scope)));
        gm_producer_put(scope.producer, bytes);
        for (size_t at = 0; at < bytes; at += 8) {
            uint64_t v = 0;
            memcpy(&v, text + at, bytes - at < 8 ? bytes - at : 8);
            gm_producer_put(scope.producer, v);
        }
        gm_scope_publish(&scope);
        gm_scope_idle(&scope);
    }
    gm_scope_leave(&scope);
    return room ? 0 : -ENOTCONN;
}
