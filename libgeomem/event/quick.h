/* quick.h - the usual event, without the ceremony: a thread in no other hook, with a ring of its own and room in it, whose
 * stack the memo knows by a name that was sent before; or a free.
 *
 * Whatever is not so is left to event.c, which does everything, a little slower. What they do is the same, record for
 * record; tests/unit/event_stress.c runs through both.
 *
 * Async-signal-safe; a handler that interrupts one of them finds a hook entered, as in event.c.
 */
#ifndef GM_EVENT_QUICK_H
#define GM_EVENT_QUICK_H

#include "libgeomem/event/process.h"
#include "libgeomem/event/thread.h"

/* The calling thread's state, with a hook entered in the frame `here`; or NULL. gm_quick_leave must follow. */
static inline struct gm_thread *gm_quick_enter(uintptr_t here)
{
    struct gm_thread *t = gm_tls.state;
    struct gm_session *session = gm_process.session;
    /* relaxed, all: what changes here changes what the next event does */
    if (!t || !gm_process.quick || t->own_session_id != gm_process.session_id ||
        atomic_load_explicit(&gm_tls.entered_at[0], memory_order_relaxed) != 0 || !session ||
        atomic_load_explicit(&session->stop, memory_order_relaxed) ||
        atomic_load_explicit(&gm_process.stalled_after, memory_order_relaxed))
        return NULL;
    atomic_store_explicit(&gm_tls.entered_at[0], here, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* a handler from here on is nested */
    return t;
}

static inline void gm_quick_leave(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&gm_tls.entered_at[0], 0, memory_order_relaxed);
}

static inline uint64_t gm_quick_stamp(struct gm_thread *t)
{
    if (__builtin_expect(atomic_load_explicit(&gm_process.precise, memory_order_relaxed), 0))
        return t->last_stamp = gm_clock_after(gm_process.clock);
    return gm_thread_stamp_coarse(t, gm_process.session);
}

/* The words of an ALLOC record, for which there is room. */
static inline void gm_quick_write_alloc(
    struct gm_producer *p, uint64_t stamp, uint64_t address, uint64_t packed, uint64_t hash)
{
    gm_producer_put4(p, gm_rec_word0(GM_EV_ALLOC, 4, stamp), address, packed, hash);
}

static inline void gm_quick_put_alloc(
    struct gm_thread *t, uint64_t address, uint64_t packed, uint64_t hash)
{
    struct gm_producer *p = &t->producer;
    uint64_t position = p->head;
    gm_producer_busy(p);
    gm_quick_write_alloc(p, gm_quick_stamp(t), address, packed, hash);
    gm_producer_publish(p);
    gm_producer_idle(p);
    gm_nursery_enter(&t->nursery, address, position);
}

enum gm_quick {
    GM_QUICK_NO,       /* nothing was done */
    GM_QUICK_TOLD,     /* the allocation is told */
    GM_QUICK_CAPTURED, /* the memo holds the stack, and the hook is still entered */
};
static inline enum gm_quick gm_quick_alloc(
    const struct gm_context *context, const void *block, uint64_t packed)
{
    struct gm_thread *t = gm_quick_enter((uintptr_t)__builtin_frame_address(0));
    if (!t)
        return GM_QUICK_NO;
    struct gm_memo *m = &t->memo;
    /* acquire: pairs with the release in gm_event_unload; what was mapped before is gone */
    if (atomic_load_explicit(&gm_image.epoch, memory_order_acquire) != t->epoch[0]) {
        gm_quick_leave();
        return GM_QUICK_NO;
    }
    uint64_t hash = gm_memo_find(m, context);
    if (hash == 0 || !gm_seen_holds(t->seen[0], hash)) {
        if (!gm_memo_capture(
                m, &t->unwind, context, gm_process.depth_leaf + gm_process.depth_root)) {
            gm_quick_leave();
            return GM_QUICK_NO;
        }
        hash = m->frame[m->count].hash;
        if (!gm_seen_holds(t->seen[0], hash))
            return GM_QUICK_CAPTURED;
    }
    if (!gm_producer_has_room(&t->producer, 4)) {
        gm_quick_leave();
        return GM_QUICK_NO;
    }
    gm_quick_put_alloc(t, (uintptr_t)block, packed, hash);
    gm_quick_leave();
    return GM_QUICK_TOLD;
}

/* A FREE record, for which there is room. `position`: as found. */
static inline void gm_quick_put_free(struct gm_thread *t, uint64_t address, uint64_t position)
{
    struct gm_producer *p = &t->producer;
    gm_producer_busy(p);
    bool precise = atomic_load_explicit(&gm_process.precise, memory_order_relaxed);
    uint64_t stamp = precise ? (t->last_stamp = gm_clock_before(gm_process.clock))
                             : gm_thread_stamp_coarse(t, gm_process.session);
    if (precise && position == GM_NURSERY_NONE)
        gm_nursery_freed_elsewhere(address, stamp);
    gm_producer_put2(p, gm_rec_word0(GM_EV_FREE, 2, stamp), address);
    gm_producer_publish(p);
    gm_producer_idle(p);
}

/* True: the free is folded, or told. */
static inline bool gm_quick_free(const void *block)
{
    struct gm_thread *t = gm_quick_enter((uintptr_t)__builtin_frame_address(0));
    if (!t)
        return false;
    uint64_t position = gm_process.folds
                            ? gm_nursery_find(&t->nursery, &t->producer, (uintptr_t)block)
                            : GM_NURSERY_NONE;
    bool told =
        position != GM_NURSERY_NONE &&
        gm_nursery_fold(&t->producer, position, gm_thread_stamp_coarse(t, gm_process.session), 0);
    if (!told && gm_producer_has_room(&t->producer, 2)) {
        gm_quick_put_free(t, (uintptr_t)block, position);
        told = true;
    }
    gm_quick_leave();
    return told;
}

#endif
