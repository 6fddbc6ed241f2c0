/* thread.c - see thread.h. */
#include "libgeomem/event/thread.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "libgeomem/base/clock.h"
#include "libgeomem/base/sys.h"
#include "libgeomem/event/process.h"

__thread struct gm_thread_local gm_tls;

static pthread_key_t end_key;
static bool end_key_made;

/* relaxed, all: only this thread and its handlers look */
static uintptr_t hook_at(unsigned level)
{
    return atomic_load_explicit(&gm_tls.entered_at[level], memory_order_relaxed);
}

static void hook_set(unsigned level, uintptr_t at)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&gm_tls.entered_at[level], at, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static unsigned hooks_depth(void)
{
    return hook_at(0) == 0 ? 0 : hook_at(1) == 0 ? 1 : 2;
}

bool gm_thread_outside_hooks(void)
{
    return hook_at(0) == 0;
}

static void lost_count(uint64_t n)
{
    if (gm_process.session)
        atomic_fetch_add_explicit(&gm_process.session->lost_unringed, n, memory_order_relaxed);
}

/* ---- pool of states --------------------------------------------------------------------------------- */

#define POOL 64
static _Atomic(struct gm_thread *) pool[POOL];

static struct gm_thread *pool_take(void)
{
    for (unsigned i = 0; i < POOL; i++) {
        if (!atomic_load_explicit(&pool[i], memory_order_relaxed))
            continue;
        /* acquire: pairs with the release in pool_give; the last owner's writes are over */
        struct gm_thread *t = atomic_exchange_explicit(&pool[i], NULL, memory_order_acquire);
        if (t)
            return t;
    }
    struct gm_thread *t = gm_sys_map(sizeof *t);
    if (t)
        t->ring = GM_NO_RING;
    t->own_session_id = 0;
    return t;
}

static void pool_give(struct gm_thread *t)
{
    for (unsigned i = 0; i < POOL; i++) {
        struct gm_thread *expected = NULL;
        if (atomic_compare_exchange_strong_explicit(
                &pool[i], &expected, t, memory_order_release, memory_order_relaxed))
            return;
    }
    gm_sys2(SYS_munmap, t, sizeof *t);
}

/* ---- own rings ---------------------------------------------------------------------------------------- */

static struct gm_ring *ring_at(uint32_t index)
{
    return (struct gm_ring *)(void *)((char *)gm_process.session + GM_SESSION_HEADER_BYTES) + index;
}

/* On an own ring what follows is this thread's; on the overflow ring it only says that there is one more. */
static void thread_announce(struct gm_thread *t, struct gm_producer *p, enum gm_event_kind kind)
{
    uint64_t name[2] = {0};
    unsigned words = kind == GM_EV_THREAD_START ? 4 : 2;
    if (!gm_producer_has_room(p, words))
        return;
    t->started = kind == GM_EV_THREAD_START;
    t->last_stamp = gm_clock_after(gm_process.clock);
    gm_producer_put(p, gm_rec_word0(kind, words, t->last_stamp));
    gm_producer_put(p, (uint64_t)(uint32_t)t->tid);
    if (kind == GM_EV_THREAD_START) {
        gm_sys2(SYS_prctl, PR_GET_NAME, name);
        gm_producer_put(p, name[0]);
        gm_producer_put(p, name[1]);
    }
    gm_producer_publish(p);
}

static void ring_announce(struct gm_thread *t, enum gm_event_kind kind)
{
    gm_producer_busy(&t->producer);
    thread_announce(t, &t->producer, kind);
    gm_producer_idle(&t->producer);
}

/* Finds a free ring. The search starts at the thread id, so that threads seldom meet. */
static void ring_claim(struct gm_thread *t)
{
    uint32_t own = gm_process.ring_count - GM_SHARED_RINGS;
    for (uint32_t i = 0; i < own; i++) {
        uint32_t index = ((uint32_t)t->tid + i) % own, expected = 0;
        if (atomic_load_explicit(&ring_at(index)->owner, memory_order_relaxed) != 0)
            continue;
        /* acquire: pairs with the release in ring_release; the last owner's head is visible */
        if (atomic_compare_exchange_strong_explicit(&ring_at(index)->owner, &expected,
                (uint32_t)t->tid, memory_order_acquire, memory_order_relaxed)) {
            t->ring = index;
            t->own_session_id = gm_process.session_id;
            gm_producer_init(&t->producer, gm_process.session, index, gm_process.ring_words);
            memset(&t->nursery, 0, sizeof t->nursery); /* positions were another ring's */
            ring_announce(t, GM_EV_THREAD_START);
            return;
        }
    }
    t->ring = GM_NO_RING;
    t->own_session_id = 0;
}

static void ring_release(struct gm_thread *t)
{
    if (t->ring == GM_NO_RING || t->session_id != gm_process.session_id)
        return;
    ring_announce(t, GM_EV_THREAD_END);
    atomic_store_explicit(&t->producer.ring->owner, 0, memory_order_release);
    t->ring = GM_NO_RING;
    t->own_session_id = 0;
}

/* ---- thread states -------------------------------------------------------------------------------------- */

static void thread_give_back(void)
{
    struct gm_thread *t = gm_tls.state;
    gm_tls.state = NULL;
    if (!t)
        return;
    if (atomic_load_explicit(&gm_process.state, memory_order_acquire) == GM_PROCESS_ON)
        ring_release(t);
    pool_give(t);
}

/* glibc runs key destructors in rounds as long as there are values; staying until the last round keeps the
 * state for destructors of others that still free. (ThreadSanitizer leaves a thread before its last round.) */
#ifdef __SANITIZE_THREAD__
#define END_ROUND 1
#else
#define END_ROUND PTHREAD_DESTRUCTOR_ITERATIONS
#endif
static void thread_end(void *state)
{
    if (++gm_tls.ending < END_ROUND) {
        pthread_setspecific(end_key, state);
        return;
    }
    hook_set(0, UINTPTR_MAX); /* above every stack: not taken for left */
    gm_tls.ended = true;
    thread_give_back();
    hook_set(0, 0);
}

void gm_thread_watch_ends(void)
{
    end_key_made = pthread_key_create(&end_key, thread_end) == 0;
}

/* Ties a state to the current session: at a thread's first event, and in a forked child. */
static void thread_bind(struct gm_thread *t)
{
    bool other_session = t->session_id != gm_process.session_id;
    t->tid = (int32_t)gm_sys0(SYS_gettid);
    /* relaxed, both: whatever brings an address of this thread's to another orders these before its stamps */
    if (atomic_fetch_add_explicit(&gm_process.threads, 1, memory_order_relaxed) > 0)
        atomic_store_explicit(&gm_process.precise, true, memory_order_relaxed);
    if (other_session && t->session_id) { /* new memory is empty, and stays untouched for now */
        memset(t->seen, 0, sizeof t->seen);
        memset(t->announced, 0, sizeof t->announced);
    }
    t->session_id = gm_process.session_id;
    t->overrun = false;
    t->started = gm_tls.ended; /* such a thread has had its start and its end */
    for (unsigned i = 0; i < 2; i++) {
        t->capture[i].leaf = gm_process.depth_leaf;
        t->capture[i].root = gm_process.depth_root;
    }
    t->ring = GM_NO_RING;
    t->own_session_id = 0;
    if (!gm_tls.ended)
        ring_claim(t);
}

static struct gm_thread *thread_new(void)
{
    struct gm_thread *t = pool_take();
    if (!t)
        return NULL;
    thread_bind(t);
    gm_tls.state = t;
    if (end_key_made && !gm_tls.ended)
        pthread_setspecific(
            end_key, t); /* allocates nothing for the first 32 keys; ours is among them */
    return t;
}

/* ---- scopes ------------------------------------------------------------------------------------------------ */

static bool recorder_stalled(const struct gm_session *session)
{
    /* relaxed, all: a figure that is only compared; seen late, it costs one more wait or one more loss */
    uint64_t stalled = atomic_load_explicit(&gm_process.stalled_after, memory_order_relaxed);
    if (stalled == 0)
        return false;
    if (stalled == 1 + atomic_load_explicit(&session->heartbeat, memory_order_relaxed))
        return true;
    atomic_store_explicit(&gm_process.stalled_after, 0, memory_order_relaxed);
    return false;
}

static void caches_refresh(struct gm_thread *t, unsigned level)
{
    /* acquire: pairs with the release in gm_event_unload; what was mapped before is gone */
    uint32_t epoch = atomic_load_explicit(&gm_image.epoch, memory_order_acquire);
    if (__builtin_expect(epoch == t->epoch[level], 1))
        return;
    memset(t->seen[level], 0, sizeof t->seen[level]);
    memset(t->announced[level], 0, sizeof t->announced[level]);
    gm_unwind_flush(
        &t->unwind); /* word by word: the walk that this one interrupted finds old rules or none */
    if (level == 0)
        gm_memo_flush(&t->memo);
    t->epoch[level] = epoch;
}

void gm_thread_own_work(bool on)
{
    gm_tls.own_work = on;
}

/* A signal handler may leave the hook that it interrupted by longjmp. The frame that holds the hook's scope is gone
 * when another scope lies above it on the same stack; what the hook had not published is taken back. (The frame of
 * gm_scope_enter would not tell: during a realloc it is gone, and the allocator's own calls may reach above it.) */
__attribute__((noinline)) static void hooks_forget_abandoned(uintptr_t here)
{
    stack_t alternate = {0};
    struct gm_thread *t = gm_tls.state;
    unsigned entered = hooks_depth(), depth = entered;
    while (depth > 0 && here > hook_at(depth - 1))
        depth--;
    if (depth == entered || gm_sys2(SYS_sigaltstack, NULL, &alternate) != 0 ||
        (alternate.ss_flags & SS_ONSTACK))
        return;
    while (entered > depth)
        hook_set(--entered, 0);
    if (depth > 0 || !t || t->ring == GM_NO_RING || t->session_id != gm_process.session_id)
        return;
    /* relaxed: our own store */
    t->producer.head = atomic_load_explicit(&t->producer.ring->head, memory_order_relaxed);
    gm_nursery_abandon_fold(&t->producer);
    gm_producer_idle(&t->producer);
}

bool gm_scope_enter(struct gm_scope *scope)
{
    uintptr_t here = (uintptr_t)scope;
    /* NULL in a child that a signal handler forked after gm_process_on, and that returned from the handler */
    struct gm_session *session = gm_process.session;
    if (gm_tls.own_work || !session)
        return false;
    if (atomic_load_explicit(&session->stop, memory_order_relaxed)) {
        gm_process_stop();
        return false;
    }
    if (__builtin_expect(hook_at(0) != 0, 0))
        hooks_forget_abandoned(here);
    scope->level = hooks_depth();
    if (scope->level > 1 || recorder_stalled(session)) {
        lost_count(1);
        return false;
    }
    hook_set(scope->level, here); /* a handler from here on is nested */
    struct gm_thread *t = gm_tls.state;
    if (scope->level == 0) {
        if (!t)
            t = thread_new();
        else if (t->session_id != gm_process.session_id)
            thread_bind(t);
    }
    if (!t) {
        lost_count(1);
        hook_set(scope->level, 0);
        return false;
    }
    scope->session = session;
    scope->thread = t;
    scope->shared = scope->masked = false;
    if (__builtin_expect(scope->level > 0, 0))
        atomic_store_explicit(&gm_process.precise, true, memory_order_relaxed);
    caches_refresh(t, scope->level);
    scope->producer =
        scope->level == 0 && t->ring != GM_NO_RING ? &t->producer : &scope->shared_producer;
    if (scope->producer == &scope->shared_producer) {
        if (scope->level == 0 && !gm_tls.ended && (++t->overflow_uses & 255) == 0)
            ring_claim(t);
        scope->shared_producer.ring = ring_at(
            scope->level == 0 ? GM_RING_OVERFLOW(&gm_process) : GM_RING_NESTED(&gm_process));
        if (t->ring != GM_NO_RING && scope->level == 0)
            scope->producer = &t->producer;
    }
    return true;
}

void gm_scope_resume(struct gm_scope *scope)
{
    scope->session = gm_process.session;
    scope->thread = gm_tls.state;
    scope->level = 0;
    scope->shared = scope->masked = false;
    scope->producer = &scope->thread->producer;
}

/* All but those that a fault of this very thread raises: what collectors track writes by may be among them. */
#define SIGNALS_KEPT \
    (1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGILL - 1) | 1ull << (SIGFPE - 1) | \
        1ull << (SIGTRAP - 1))

static void signals_block(struct gm_scope *scope)
{
    uint64_t block = ~SIGNALS_KEPT;
    scope->masked = gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &block, &scope->signals, 8) == 0;
}

static void signals_unblock(struct gm_scope *scope)
{
    if (scope->masked)
        gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &scope->signals, NULL, 8);
    scope->masked = false;
}

void gm_scope_leave(struct gm_scope *scope)
{
    if (scope->shared)
        atomic_store_explicit(&scope->producer->ring->owner, 0, memory_order_release);
    /* libc frees what a thread kept after the last round of destructors: nothing would give this back later */
    if (__builtin_expect(gm_tls.ended, 0) && scope->level == 0)
        thread_give_back();
    hook_set(scope->level, 0);
    signals_unblock(scope);
}

static bool scope_is_shared(const struct gm_scope *scope)
{
    return scope->producer == &scope->shared_producer;
}

void gm_scope_busy(struct gm_scope *scope)
{
    if (!scope_is_shared(scope)) {
        gm_producer_busy(scope->producer);
        return;
    }
    atomic_fetch_add_explicit(&scope->producer->ring->busy, 1, memory_order_seq_cst);
}

void gm_scope_idle(struct gm_scope *scope)
{
    if (!scope_is_shared(scope))
        gm_producer_idle(scope->producer);
    else
        atomic_fetch_sub_explicit(&scope->producer->ring->busy, 1, memory_order_release);
}

/* ---- stamps and the nursery ---- */

static bool scope_is_ordered(const struct gm_scope *scope)
{
    return !scope_is_shared(scope) &&
           !atomic_load_explicit(&gm_process.precise, memory_order_relaxed);
}

uint64_t gm_scope_stamp_exact(struct gm_scope *scope)
{
    /* On a shared ring it must also not be older than those of the threads before, and rdtsc may run ahead of the
     * lock that was taken: there it is fenced. */
    return scope->thread->last_stamp =
               scope->shared ? gm_clock_after(gm_process.clock) : gm_clock_before(gm_process.clock);
}

uint64_t gm_scope_stamp_before(struct gm_scope *scope)
{
    if (scope_is_ordered(scope))
        return gm_thread_stamp_coarse(scope->thread, scope->session);
    return gm_scope_stamp_exact(scope);
}

uint64_t gm_scope_stamp_after(struct gm_scope *scope)
{
    if (scope_is_ordered(scope))
        return gm_thread_stamp_coarse(scope->thread, scope->session);
    return scope->thread->last_stamp = gm_clock_after(gm_process.clock);
}

uint64_t gm_scope_find(const struct gm_scope *scope, uint64_t address)
{
    struct gm_thread *t = scope->thread;
    return scope_is_shared(scope) || !gm_process.folds
               ? GM_NURSERY_NONE
               : gm_nursery_find(&t->nursery, &t->producer, address);
}

void gm_scope_freed_elsewhere(const struct gm_scope *scope, uint64_t address, uint64_t stamp)
{
    if (!scope_is_ordered(scope))
        gm_nursery_freed_elsewhere(address, stamp);
}

bool gm_scope_fold(struct gm_scope *scope, uint64_t position, uint64_t how)
{
    return position != GM_NURSERY_NONE &&
           gm_nursery_fold(&scope->thread->producer, position,
               gm_thread_stamp_coarse(scope->thread, scope->session), how);
}

void gm_scope_enter_nursery(const struct gm_scope *scope, uint64_t address, uint64_t position)
{
    if (!scope_is_shared(scope))
        gm_nursery_enter(&scope->thread->nursery, address, position);
}

/* Between two readings of the session's clock, which takes no system call where it is the processor's. For ever in a
 * child that a signal handler forked from within the wait: it need not wait for its parent's recorder. */
static uint64_t waited_ms(uint64_t from, uint64_t to)
{
    uint64_t ticks_per_ms = gm_process.ticks_per_ms;
    return ticks_per_ms ? ((to - from) & GM_STAMP_MASK) / ticks_per_ms : UINT64_MAX;
}

/* Shared rings: whoever holds the lock word is recording one event, or waiting for room within its bound. */
bool gm_scope_lock(struct gm_scope *scope)
{
    if (!scope_is_shared(scope) || scope->shared)
        return true;
    _Atomic uint32_t *owner = &scope->producer->ring->owner;
    uint64_t start = 0, limit_ms = gm_process.full_wait_ms + 100ull;
    /* relaxed: set before the program has a thread that could be stopped */
    if (atomic_load_explicit(&gm_image.stops, memory_order_relaxed) && !scope->masked)
        signals_block(scope);
    for (unsigned i = 0;; i++) {
        uint32_t expected = 0;
        /* acquire: pairs with the release in gm_scope_leave of the owner before */
        if (atomic_compare_exchange_weak_explicit(owner, &expected, (uint32_t)scope->thread->tid,
                memory_order_acquire, memory_order_relaxed))
            break;
        if (i < 100) {
            __builtin_ia32_pause();
            continue;
        }
        uint64_t now = gm_clock_before(gm_process.clock);
        if (start == 0)
            start = now;
        /* our own thread holds it below this handler: waiting would be for ever */
        if (waited_ms(start, now) > limit_ms || expected == (uint32_t)scope->thread->tid ||
            recorder_stalled(scope->session)) {
            lost_count(1);
            return false;
        }
        gm_sys_sleep_ns(50000);
    }
    uint32_t index = (uint32_t)(scope->producer->ring - ring_at(0));
    gm_producer_init(scope->producer, gm_process.session, index, gm_process.ring_words);
    scope->shared = true;
    if (scope->level == 0 && !scope->thread->started) {
        gm_scope_busy(scope);
        thread_announce(scope->thread, scope->producer, GM_EV_THREAD_START);
        gm_scope_idle(scope);
    }
    return true;
}

/* The ring is full: waits for room, at most full_wait_ms. A recorder whose heart has not beaten in all that time is
 * taken for gone. */
static bool room_wait(struct gm_scope *scope, uint32_t words)
{
    struct gm_producer *p = scope->producer;
    struct gm_thread *t = scope->thread;
    struct gm_session *session = scope->session;
    if ((gm_process.flags & GM_SESSION_DROP_ON_FULL) || recorder_stalled(session))
        return false;
    if (t->overrun && !gm_producer_has_room(p, p->words / 2))
        return false;
    t->overrun = false;
    uint64_t start = gm_clock_before(gm_process.clock), now = start;
    uint64_t sleep_ns = 50000;
    uint64_t beat = atomic_load_explicit(&session->heartbeat, memory_order_relaxed);
    bool room = false;
    while (!room) {
        gm_sys_sleep_ns((long)sleep_ns);
        sleep_ns = sleep_ns < 1000000 ? sleep_ns * 2 : sleep_ns;
        now = gm_clock_before(gm_process.clock);
        room = gm_producer_has_room(p, words);
        if (room || atomic_load_explicit(&session->stop, memory_order_relaxed))
            break;
        if (waited_ms(start, now) > gm_process.full_wait_ms) {
            t->overrun = true;
            if (atomic_load_explicit(&session->heartbeat, memory_order_relaxed) == beat)
                atomic_store_explicit(&gm_process.stalled_after, beat + 1, memory_order_relaxed);
            break;
        }
    }
    uint64_t ticks_per_ms = gm_process.ticks_per_ms;
    if (ticks_per_ms)
        atomic_fetch_add_explicit(&p->ring->waited_ns,
            ((now - start) & GM_STAMP_MASK) * 1000000 / ticks_per_ms, memory_order_relaxed);
    return room;
}

bool gm_scope_reserve(struct gm_scope *scope, uint32_t words)
{
    if (!gm_scope_lock(scope))
        return false;
    if (__builtin_expect(gm_producer_has_room(scope->producer, words), 1) ||
        room_wait(scope, words))
        return true;
    atomic_fetch_add_explicit(&scope->producer->ring->dropped, 1, memory_order_relaxed);
    return false;
}

void gm_scope_publish(struct gm_scope *scope)
{
    /* A child forked in a signal handler inside this very hook must not publish into its parent's ring. */
    if (scope->level == 0 && scope->thread->session_id != gm_process.session_id)
        return;
    gm_producer_publish(scope->producer);
}
