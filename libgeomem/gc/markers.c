/* markers.c - see markers.h.
 *
 * Everything that markers share is under one lock, held for as long as it takes to copy a packet; what they ask in between,
 * whether somebody is dry and whether it is over, are two words of their own line.
 */
#include "libgeomem/gc/markers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/geomem.h"
#include "libgeomem/base/os.h"
#include "libgeomem/base/sys.h"
#include "libgeomem/gc/signals.h"
#include "libgeomem/gc/world.h"
#include "libgeomem/heap/lock.h"

enum {
    /* Looked at before others are asked to help: what it takes to wake them must be worth it. Measured, docs/design/gc.md. */
    ALONE_WORDS = 32768,
    /* ... and before threads are made: arbitrary, some 2 ms. */
    WORTH_WORDS = 131072,
    /* Between two looks at the clock, and at the others. */
    ALONE_STEP_WORDS = 4096,
    SHARED_STEP_WORDS = 1024,
    /* Given at a time, and what must be there to be given of. */
    PACKET_WORDS = 256,
    GIVE_FROM_WORDS = 64,
    /* A piece of a large block that is longer is given in halves. */
    SPLIT_WORDS = 2048,
    POOL_WORDS = 4096,
    POOL_PIECES = 64,
    /* By default. */
    HELPERS_MOST = 4,
    /* How often one who is dry looks before it sleeps: some 5 us. Arbitrary. */
    DRY_LOOKS = 100,
    /* Runs without helpers after one in which they were waited for; doubled each time, up to 64 times as many. */
    PATIENCE_RUNS = 4,
};
/* Without work for so long, a helper ends. Arbitrary. */
#define HELPER_IDLE_NS 2000000000u
#define HELPER_STACK_BYTES ((size_t)256 << 10)
/* Waited for so long, and for half of the run, in vain. */
#define WAIT_MOST_NS 500000u

struct helper {
    struct gm_marker marker, later;
    bool is_ready; /* the stacks are there */
    bool is_taken; /* a thread has it */
    bool has_joined;
    uint64_t cpu_ns;
};

/* Memory of its own: the words in it are no roots. */
struct pool {
    _Alignas(64) _Atomic uint32_t hungry; /* who have joined, are dry and wait */
    _Atomic bool ends; /* nothing is left, or the time is up: those who have joined leave */
    _Alignas(64) struct gm_lock lock;
    _Atomic uint32_t opened;  /* counts runs; helpers outside of one sleep on it */
    _Atomic uint32_t changed; /* counts what one who waits inside may wait for, and sleeps on */
    struct gm_marker *first;  /* whose run it is; NULL: there is none */
    uint32_t joined;          /* with the one whose run it is */
    uint32_t helpers;         /* threads */
    size_t words, pieces;
    uintptr_t word[POOL_WORDS];
    struct gm_mark_piece piece[POOL_PIECES];
    struct helper helper[GM_MARKERS_MOST];
};

static struct {
    struct pool *pool;  /* NULL until helpers are wanted for the first time */
    _Atomic int limit;  /* of helpers; -1: not known yet */
    _Atomic bool wants; /* a run would have been shorter with them */
    bool always;        /* see gm_markers_always */
    int32_t pid;        /* of the process that the threads are of */
    /* Of the thread that collects. */
    uint64_t waited_ns;  /* in this run */
    uint32_t alone_runs; /* so many without helpers */
    uint32_t patience;   /* how often in a row they were waited for */
    uint64_t cpu_ns, all_waited_ns;
} markers = {.limit = -1};

static uint64_t thread_cpu_ns(void)
{
    struct timespec time;
    gm_sys2(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- how many ---- */

static int limit_default(void)
{
    cpu_set_t set;
    const char *text = getenv("GEOMEM_MARKERS");
    if (text && *text) {
        char *end;
        long number = strtol(text, &end, 10);
        if (*end == 0 && number >= 0)
            return number < GM_MARKERS_MOST ? (int)number : GM_MARKERS_MOST;
    }
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 0;
    int spare = CPU_COUNT(&set) - 1;
    return spare < HELPERS_MOST ? spare : HELPERS_MOST;
}

unsigned gm_markers_limit_get(void)
{
    int limit = atomic_load_explicit(&markers.limit, memory_order_relaxed);
    if (limit < 0) {
        limit = limit_default();
        atomic_store_explicit(&markers.limit, limit, memory_order_relaxed);
    }
    return (unsigned)limit;
}

int gm_markers_limit(unsigned helpers)
{
    if (helpers > GM_MARKERS_MOST)
        return -EINVAL;
    atomic_store_explicit(&markers.limit, (int)helpers, memory_order_relaxed);
    return 0;
}

int geomem_gc_markers(unsigned helpers)
{
    return gm_markers_limit(helpers);
}

void gm_markers_always(unsigned helpers)
{
    gm_markers_limit(helpers);
    markers.always = true;
}

/* ---- packets; the pool's lock held ---- */

static void change_tell(struct pool *pool, int count)
{
    atomic_fetch_add_explicit(&pool->changed, 1, memory_order_release);
    gm_sys3(SYS_futex, &pool->changed, FUTEX_WAKE_PRIVATE, count);
}

static bool words_give(struct pool *pool, struct gm_mark_stack *stack)
{
    size_t words = (size_t)(stack->top - stack->bottom);
    if (words < GIVE_FROM_WORDS || pool->words + PACKET_WORDS > POOL_WORDS)
        return false;
    words = words / 2 < PACKET_WORDS ? words / 2 : PACKET_WORDS;
    memcpy(&pool->word[pool->words], stack->bottom, words * sizeof *stack->bottom);
    stack->bottom += words;
    pool->words += words;
    return true;
}

/* The oldest piece; half of it where it is the only one. */
static bool piece_give(struct pool *pool, struct gm_mark_stack *stack)
{
    struct gm_mark_piece *first = (struct gm_mark_piece *)stack->bottom;
    struct gm_mark_piece *end = (struct gm_mark_piece *)stack->top;
    if (first == end || pool->pieces == POOL_PIECES)
        return false;
    struct gm_mark_piece given = *first;
    if (end - first > 1) {
        stack->bottom = (uintptr_t *)(first + 1);
    } else if (given.to - given.from > SPLIT_WORDS) {
        given.from += (given.to - given.from) / 2;
        first->to = given.from;
    } else {
        return false;
    }
    pool->piece[pool->pieces++] = given;
    return true;
}

static bool packet_take(struct pool *pool, struct gm_marker *marker)
{
    if (pool->pieces > 0) {
        gm_mark_stack_append(
            &marker->pieces, &pool->piece[--pool->pieces], sizeof *pool->piece / sizeof(uintptr_t));
        return true;
    }
    size_t words = pool->words < PACKET_WORDS ? pool->words : PACKET_WORDS;
    pool->words -= words;
    gm_mark_stack_append(&marker->words, &pool->word[pool->words], words);
    return words > 0;
}

/* ---- a run, from inside ---- */

static void share(struct pool *pool, struct gm_marker *marker)
{
    /* relaxed: a hint */
    if (atomic_load_explicit(&pool->hungry, memory_order_relaxed) == 0)
        return;
    gm_lock_acquire(&pool->lock);
    bool given = pool->words < PACKET_WORDS && pool->pieces == 0 &&
                 (words_give(pool, &marker->words) || piece_give(pool, &marker->pieces));
    gm_lock_release(&pool->lock);
    if (given)
        change_tell(pool, 1);
}

static void end(struct pool *pool)
{
    atomic_store_explicit(&pool->ends, true, memory_order_relaxed); /* seen with `changed` */
    change_tell(pool, INT32_MAX);
}

/* Until `changed` is not `seen` any more. */
static void change_wait(struct pool *pool, uint32_t seen, uint64_t until_ns)
{
    struct timespec timeout = {0};
    for (int i = 0; i < DRY_LOOKS; i++) {
        /* acquire: pairs with the release in change_tell */
        if (atomic_load_explicit(&pool->changed, memory_order_acquire) != seen)
            return;
        __builtin_ia32_pause();
    }
    if (until_ns != UINT64_MAX) {
        uint64_t now = gm_sys_monotonic_ns();
        if (now >= until_ns)
            return;
        timeout.tv_sec = (time_t)((until_ns - now) / 1000000000u);
        timeout.tv_nsec = (long)((until_ns - now) % 1000000000u);
    }
    gm_sys4(SYS_futex, &pool->changed, FUTEX_WAIT_PRIVATE, seen,
        until_ns != UINT64_MAX ? &timeout : NULL);
}

/* For one who is dry. False: it is over. */
static bool work_find(struct pool *pool, struct gm_marker *marker, uint64_t until_ns)
{
    for (;;) {
        gm_lock_acquire(&pool->lock);
        uint32_t seen = atomic_load_explicit(&pool->changed, memory_order_acquire);
        bool ends = atomic_load_explicit(&pool->ends, memory_order_relaxed);
        bool found = !ends && packet_take(pool, marker);
        /* Everybody else waits, and what they had is in no packet: nothing is left. */
        bool last = !ends && !found &&
                    atomic_load_explicit(&pool->hungry, memory_order_relaxed) + 1 == pool->joined;
        if (!ends && !found && !last)
            atomic_fetch_add_explicit(&pool->hungry, 1, memory_order_relaxed);
        gm_lock_release(&pool->lock);
        if (last)
            end(pool);
        if (found || ends || last)
            return found;
        change_wait(pool, seen, until_ns);
        gm_lock_acquire(&pool->lock);
        atomic_fetch_sub_explicit(&pool->hungry, 1, memory_order_relaxed);
        gm_lock_release(&pool->lock);
        if (until_ns != UINT64_MAX && gm_sys_monotonic_ns() >= until_ns)
            return false;
    }
}

/* Until nothing is left or the time is up, as far as this marker can tell. */
static void work(struct pool *pool, struct gm_marker *marker, uint64_t until_ns)
{
    for (;;) {
        bool dry = gm_mark_some(marker, SHARED_STEP_WORDS);
        /* relaxed: told sooner or later */
        if (atomic_load_explicit(&pool->ends, memory_order_relaxed))
            break;
        uint64_t now = marker == pool->first ? gm_sys_monotonic_ns() : 0;
        if (now >= until_ns)
            break;
        if (!dry) {
            share(pool, marker);
            continue;
        }
        bool found = work_find(pool, marker, until_ns);
        if (marker == pool->first)
            markers.waited_ns += gm_sys_monotonic_ns() - now;
        if (!found)
            break;
    }
    gm_mark_give_back(marker);
}

/* ---- a run, from its beginning to its end ---- */

static bool run_join(struct pool *pool, struct helper *helper)
{
    gm_lock_acquire(&pool->lock);
    const struct gm_marker *first = pool->first;
    bool joins = first && !atomic_load_explicit(&pool->ends, memory_order_relaxed) &&
                 pool->joined <= gm_markers_limit_get();
    if (joins) {
        struct gm_marker *marker = &helper->marker, *later = &helper->later;
        pool->joined++;
        helper->has_joined = true;
        memcpy(marker->become, first->become, sizeof marker->become);
        marker->map = first->map;
        marker->later = first->later ? later : NULL;
        if (first->later)
            memcpy(later->become, first->later->become, sizeof later->become);
    }
    gm_lock_release(&pool->lock);
    return joins;
}

static void run_leave(struct pool *pool, struct helper *helper, uint64_t cpu_ns)
{
    gm_lock_acquire(&pool->lock);
    helper->cpu_ns += cpu_ns;
    pool->joined--;
    gm_lock_release(&pool->lock);
    change_tell(pool, INT32_MAX);
}

static void stack_move(struct gm_mark_stack *to, struct gm_mark_stack *from)
{
    gm_mark_stack_append(to, from->bottom, (size_t)(from->top - from->bottom));
    from->bottom = from->top = from->memory;
}

static void marker_move(struct gm_marker *to, struct gm_marker *from)
{
    stack_move(&to->words, &from->words);
    stack_move(&to->pieces, &from->pieces);
    gm_marker_trim(from);
    to->figures.blocks += from->figures.blocks;
    to->figures.bytes += from->figures.bytes;
    from->figures = (struct gm_mark_figures){0};
}

/* What the time was too short for. */
static void pool_empty(struct pool *pool, struct gm_marker *marker)
{
    while (packet_take(pool, marker))
        ;
}

static void run_open(struct pool *pool, struct gm_marker *first)
{
    gm_lock_acquire(&pool->lock);
    pool->first = first;
    pool->joined = 1;
    atomic_store_explicit(&pool->hungry, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->ends, false, memory_order_relaxed);
    /* release: pairs with the acquire in helper_thread */
    atomic_fetch_add_explicit(&pool->opened, 1, memory_order_release);
    gm_lock_release(&pool->lock);
    gm_sys3(SYS_futex, &pool->opened, FUTEX_WAKE_PRIVATE, pool->helpers);
}

static bool run_is_left(struct pool *pool, uint32_t *ret_seen)
{
    gm_lock_acquire(&pool->lock);
    *ret_seen = atomic_load_explicit(&pool->changed, memory_order_acquire);
    bool left = pool->joined == 1;
    if (left)
        pool->first = NULL;
    gm_lock_release(&pool->lock);
    return left;
}

static void run_close(struct pool *pool, struct gm_marker *first)
{
    uint32_t seen;
    uint64_t start_ns = gm_sys_monotonic_ns();
    end(pool);
    while (!run_is_left(pool, &seen))
        change_wait(pool, seen, UINT64_MAX);
    markers.waited_ns += gm_sys_monotonic_ns() - start_ns;
    pool_empty(pool, first);
    for (struct helper *helper = pool->helper; helper < pool->helper + GM_MARKERS_MOST; helper++) {
        if (!helper->has_joined)
            continue;
        helper->has_joined = false;
        marker_move(first, &helper->marker);
        if (first->later)
            marker_move(first->later, &helper->later);
        markers.cpu_ns += helper->cpu_ns;
        helper->cpu_ns = 0;
    }
}

/* Were helpers worth it? */
static void patience_set(uint64_t run_ns)
{
    if (markers.always || markers.waited_ns < WAIT_MOST_NS || markers.waited_ns < run_ns / 2) {
        markers.patience = 0;
        return;
    }
    markers.alone_runs = PATIENCE_RUNS << markers.patience;
    if (markers.patience < 6)
        markers.patience++;
}

static bool run(struct pool *pool, struct gm_marker *marker, uint64_t until_ns)
{
    uint64_t start_ns = gm_sys_monotonic_ns();
    struct gm_marker *later = marker->later;
    marker->shared = true;
    if (later)
        later->shared = true;
    markers.waited_ns = 0;
    run_open(pool, marker);
    work(pool, marker, until_ns);
    run_close(pool, marker);
    marker->shared = false;
    if (later)
        later->shared = false;
    markers.all_waited_ns += markers.waited_ns;
    patience_set(gm_sys_monotonic_ns() - start_ns);
    return marker->words.top == marker->words.bottom && marker->pieces.top == marker->pieces.bottom;
}

/* The child of a fork has no helpers. The world's lock held. */
static struct pool *pool_own(void)
{
    struct pool *pool = markers.pool;
    int32_t pid = (int32_t)gm_sys0(SYS_getpid);
    if (!pool || markers.pid == pid)
        return pool;
    markers.pid = pid;
    pool->helpers = 0;
    atomic_store(&pool->lock.word, 0);
    for (struct helper *helper = pool->helper; helper < pool->helper + GM_MARKERS_MOST; helper++)
        helper->is_taken = false;
    return pool;
}

static struct pool *pool_for_run(void)
{
    struct pool *pool = pool_own();
    if (!pool || pool->helpers == 0 || gm_markers_limit_get() == 0)
        return NULL;
    if (markers.alone_runs == 0)
        return pool;
    markers.alone_runs--;
    return NULL;
}

bool gm_markers_mark_until(struct gm_marker *marker, uint64_t until_ns)
{
    bool in_time = until_ns == UINT64_MAX;
    uint64_t alone = in_time ? ALONE_WORDS : ALONE_STEP_WORDS;
    uint64_t worth = WORTH_WORDS;
    if (markers.always)
        alone = worth = 0;
    for (uint64_t words = 0;; words += ALONE_STEP_WORDS) {
        struct pool *pool = words == alone ? pool_for_run() : NULL;
        if (pool)
            return run(pool, marker, until_ns);
        if (words == worth)
            atomic_store_explicit(&markers.wants, true, memory_order_relaxed);
        if (gm_mark_run(marker, ALONE_STEP_WORDS))
            return true;
        if (!in_time && gm_sys_monotonic_ns() >= until_ns)
            return false;
    }
}

void gm_markers_mark(struct gm_marker *marker)
{
    while (!gm_markers_mark_until(marker, UINT64_MAX))
        ;
}

uint64_t gm_markers_waited_ns(void)
{
    return markers.all_waited_ns;
}

uint64_t gm_markers_cpu_ns(void)
{
    return markers.cpu_ns;
}

/* ---- threads ---- */

/* The table of threads is changed under the lock of the world: in no stop. */
static void helper_begin(void)
{
    gm_world_lock();
    gm_mutator_register_internal();
    gm_world_unlock();
    pthread_setname_np(pthread_self(), "geomem-mark");
}

static void helper_end(struct pool *pool, struct helper *helper)
{
    gm_world_lock();
    helper->is_taken = false;
    pool->helpers--;
    gm_mutator_unregister();
    gm_world_unlock();
}

static void *helper_thread(void *arg)
{
    struct helper *helper = arg;
    struct pool *pool = markers.pool;
    const struct timespec idle = {
        .tv_sec = HELPER_IDLE_NS / 1000000000u, .tv_nsec = HELPER_IDLE_NS % 1000000000u};
    long err = 0;
    helper_begin();
    while (err != -ETIMEDOUT) {
        /* acquire: pairs with the release in run_open */
        uint32_t seen = atomic_load_explicit(&pool->opened, memory_order_acquire);
        if (run_join(pool, helper)) {
            uint64_t cpu_ns = thread_cpu_ns();
            work(pool, &helper->marker, UINT64_MAX);
            run_leave(pool, helper, thread_cpu_ns() - cpu_ns);
        }
        err = gm_sys4(SYS_futex, &pool->opened, FUTEX_WAIT_PRIVATE, seen, &idle);
    }
    helper_end(pool, helper);
    return NULL;
}

/* No handler of the program's runs on it. */
static int helper_start(struct helper *helper)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    gm_signals_keep_deliverable(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread, &attributes, helper_thread, helper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -err;
}

static int helper_prepare(struct helper *helper)
{
    struct gm_marker *marker = &helper->marker, *later = &helper->later;
    if (helper->is_ready)
        return 0;
    if (gm_mark_stack_init(&marker->words) < 0 || gm_mark_stack_init(&marker->pieces) < 0 ||
        gm_mark_stack_init(&later->words) < 0 || gm_mark_stack_init(&later->pieces) < 0) {
        gm_mark_stack_done(&marker->words);
        gm_mark_stack_done(&marker->pieces);
        gm_mark_stack_done(&later->words);
        gm_mark_stack_done(&later->pieces);
        return -ENOMEM;
    }
    marker->shared = later->shared = true;
    helper->is_ready = true;
    return 0;
}

/* One that is to have a thread: taken. NULL: there are enough, or no more can be had. The world's lock held. */
static struct helper *helper_take(void)
{
    struct pool *pool = pool_own();
    if (!pool) {
        pool = gm_os_map(sizeof *pool);
        markers.pool = pool;
        markers.pid = (int32_t)gm_sys0(SYS_getpid);
    }
    if (!pool || pool->helpers >= gm_markers_limit_get())
        return NULL;
    struct helper *helper = pool->helper;
    while (helper->is_taken)
        helper++;
    if (helper_prepare(helper) < 0)
        return NULL;
    helper->is_taken = true;
    pool->helpers++;
    return helper;
}

static void helper_give_up(struct helper *helper)
{
    gm_world_lock();
    helper->is_taken = false;
    markers.pool->helpers--;
    gm_world_unlock();
}

void gm_markers_announce(void)
{
    if (!atomic_load_explicit(&markers.wants, memory_order_relaxed) ||
        !atomic_exchange(&markers.wants, false))
        return;
    int err = 0, saved = errno;
    for (;;) {
        gm_world_lock();
        struct helper *helper = helper_take();
        gm_world_unlock();
        if (!helper)
            break;
        if ((err = helper_start(helper)) < 0) {
            helper_give_up(helper);
            break;
        }
    }
    errno = saved;
}
