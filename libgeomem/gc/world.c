/* world.c - stopping the threads. See world.h and docs/design/threads.md.
 *
 *   collector                                    thread
 *   epoch becomes odd
 *   pass over the table: signal who runs   --->  handler: publishes sp, stopped_in = epoch, waits on epoch
 *   wait until all signalled have answered <---  the last one wakes the collector
 *   as many stopped as the kernel counts?  no: look for unknown tasks, next pass
 *   ... stopped ...
 *   epoch becomes even, wake all           --->  handler returns
 *
 * A thread in a safe region has published its sp before; leaving, it looks at the epoch and waits.
 * While the world is stopped only the collector and threads of the table's INTERNAL kind run.
 */
#include "libgeomem/gc/world.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/modules.h"
#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/race_checker.h"
#include "libgeomem/gc/region.h"
#include "libgeomem/gc/registers.h"
#include "libgeomem/gc/signals.h"
#include "libgeomem/gc/tasks.h"
#include "libgeomem/gc/tls.h"
#include "libgeomem/gc/unsanitized.h"
#include "libgeomem/heap/lock.h"

#define STOP_TIMEOUT_NS 10000000000u
/* Without an answer for so long, a thread is looked at: it may have ended, or have all signals blocked. Grows to the
 * second. Arbitrary; a thread that runs answers in 5 to 50 us (measured, bench/stop). */
#define LOOK_AFTER_NS 200000u
#define LOOK_AFTER_MAX_NS 20000000u
/* A thread that has ended is counted until it ran once more: on a busy machine that takes a while. Arbitrary. */
#define UNLISTED_NS 1000000000u

static struct {
    _Atomic uint32_t epoch;   /* odd: stopping or stopped */
    _Atomic uint32_t answers; /* of threads signalled in this epoch */
    _Atomic uint32_t target;  /* the answer that wakes the collector */
    _Atomic uint32_t lock;    /* 0 free, 1 held, 2 held and waited for */
    _Atomic bool in_use;
    _Atomic int32_t owner; /* of the lock: a tid, or 0 */
    uint64_t signals;      /* that the owner had blocked before */
    bool blocks_signals;   /* the owner has all blocked */
    bool forks_under_lock; /* the thread that forks had it already */
    int32_t pid;
} world;

static void futex_wake(_Atomic uint32_t *word, int count)
{
    gm_sys3(SYS_futex, word, FUTEX_WAKE_PRIVATE, count);
}

/* ---- the thread's side ---------------------------------------------------------------------------------- */

static void answer(void)
{
    /* seq_cst, as in answers_wait: either the collector sees the answer or the thread sees the target */
    uint32_t n = atomic_fetch_add(&world.answers, 1) + 1;
    if (n >= atomic_load(&world.target))
        futex_wake(&world.answers, 1);
}

/* Returns when the world runs. `sp`: all that the thread holds lies above. */
static GM_UNSANITIZED void mutator_wait(struct gm_mutator *m, uintptr_t sp, uintptr_t tp)
{
    uint32_t epoch;
    /* acquire: pairs with the release in gm_world_start; what the collector changed is seen */
    while ((epoch = atomic_load_explicit(&world.epoch, memory_order_acquire)) & 1) {
        if (atomic_load_explicit(&m->stopped_in, memory_order_relaxed) != epoch) {
            m->sp = sp;
            m->tp = tp;
            GM_RACE_RELEASE(m);
            /* release: pairs with the acquire in mutator_has_stopped; the thread's memory is as it left it */
            atomic_store_explicit(&m->stopped_in, epoch, memory_order_release);
            answer();
        }
        gm_sys4(SYS_futex, &world.epoch, FUTEX_WAIT_PRIVATE, epoch, 0);
    }
    GM_RACE_ACQUIRE(&world.epoch);
}

/* Every register of the interrupted code is in the signal's frame, above this function's; or, where ThreadSanitizer keeps
 * signals and calls, the last of its frames: so those that calls keep are saved in this one, and its end is told. */
GM_UNSANITIZED bool gm_world_stop_signal(const siginfo_t *info)
{
    struct gm_mutator *m = info->si_value.sival_ptr;
    if (info->si_code != SI_QUEUE || info->si_pid != world.pid || !gm_mutator_is_slot(m))
        return false;
    /* A signal that came too late for its stop may find that the slot has become another thread's. */
    if (m->tid != (int32_t)gm_sys0(SYS_gettid))
        return true;
    atomic_store_explicit(&m->signalled, false, memory_order_relaxed);
    m->stops++;
    uintptr_t tp = 0;
    gm_sys2(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &tp);
#ifdef GM_THREAD_SANITIZER
    uintptr_t end;
    __builtin_unwind_init();
    __asm__ volatile("mov %%rsp, %0" : "=r"(end));
#else
    uintptr_t end = (uintptr_t)__builtin_frame_address(0);
#endif
    mutator_wait(m, end, tp);
    return true;
}

/* The slot that thread-local storage names, unless the caller is a raw clone that shares another thread's storage. */
static struct gm_mutator *region_owner(uintptr_t here)
{
    struct gm_mutator *m = gm_mutator_self;
    if (!m || m->kind != GM_MUTATOR_REGISTERED)
        return NULL;
    if (here - m->stack_low < m->stack_high - m->stack_low)
        return m;
    return m->tid == (int32_t)gm_sys0(SYS_gettid) ? m : NULL;
}

GM_WITH_SAVED_REGISTERS(gm_region_enter, gm_region_enter_saved, rdi);

struct gm_mutator *gm_region_enter_saved(const uintptr_t *saved);
__attribute__((used)) struct gm_mutator *gm_region_enter_saved(const uintptr_t *saved)
{
    struct gm_mutator *m = region_owner((uintptr_t)saved);
    /* relaxed: only this thread changes it */
    if (!m || atomic_load_explicit(&m->state, memory_order_relaxed) == GM_MUTATOR_IN_REGION)
        return NULL;
    memcpy(m->saved, saved, sizeof m->saved);
    m->sp = (uintptr_t)(saved + GM_SAVED_WORDS);
    m->tp = (uintptr_t)__builtin_thread_pointer();
    m->stops_before = m->stops;
    m->handlers_before = m->handlers;
    GM_RACE_RELEASE(m);
    /* release: pairs with the seq_cst load in mutator_pass */
    atomic_store_explicit(&m->state, GM_MUTATOR_IN_REGION, memory_order_release);
    return m;
}

void gm_region_leave(struct gm_mutator *m)
{
    uint32_t epoch;
    while (m) {
        /* seq_cst, as in mutator_pass: either the collector sees that it runs and signals, or it sees the epoch */
        atomic_store(&m->state, GM_MUTATOR_RUNNING);
        epoch = atomic_load(&world.epoch);
        if (!(epoch & 1)) {
            GM_RACE_ACQUIRE(&world.epoch);
            return;
        }
        atomic_store(&m->state, GM_MUTATOR_IN_REGION);
        gm_sys4(SYS_futex, &world.epoch, FUTEX_WAIT_PRIVATE, epoch, 0);
    }
}

void gm_region_suspend(struct gm_suspended_region *ret_region)
{
    struct gm_mutator *m = region_owner((uintptr_t)__builtin_frame_address(0));
    ret_region->mutator = m;
    if (!m)
        return;
    m->handlers++;
    /* Kept even outside of a region: the handler may have come while one was being entered. */
    ret_region->sp = m->sp;
    memcpy(ret_region->saved, m->saved, sizeof m->saved);
    ret_region->inside =
        atomic_load_explicit(&m->state, memory_order_relaxed) == GM_MUTATOR_IN_REGION;
    if (ret_region->inside)
        gm_region_leave(m);
}

void gm_region_resume(const struct gm_suspended_region *region)
{
    struct gm_mutator *m = region->mutator;
    if (!m)
        return;
    memcpy(m->saved, region->saved, sizeof m->saved);
    m->sp = region->sp;
    GM_RACE_RELEASE(m);
    /* release: pairs with the seq_cst load in mutator_pass */
    if (region->inside)
        atomic_store_explicit(&m->state, GM_MUTATOR_IN_REGION, memory_order_release);
}

bool gm_region_interrupted_by_us(struct gm_mutator *m)
{
    if (!m || m->stops == m->stops_before || m->handlers != m->handlers_before)
        return false;
    m->stops_before = m->stops;
    return true;
}

void gm_world_region_enter(void)
{
    gm_region_enter();
}

void gm_world_region_leave(void)
{
    struct gm_mutator *m = region_owner((uintptr_t)__builtin_frame_address(0));
    if (m && atomic_load_explicit(&m->state, memory_order_relaxed) == GM_MUTATOR_IN_REGION)
        gm_region_leave(m);
}

/* ---- the lock --------------------------------------------------------------------------------------------- */

/* A handler of the program's on the thread that holds the lock could want it, or wait in a region for the end of the stop that its
 * own thread makes; or store pointers in the middle of marking. What an instruction of ours raises cannot wait: it would end
 * the process. By the bare system call: libc's masks leave the stop signal out. */
static uint64_t signals_block(void)
{
    const uint64_t synchronous = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) |
                                 1ull << (SIGILL - 1) | 1ull << (SIGFPE - 1) |
                                 1ull << (SIGTRAP - 1);
    uint64_t mask = ~synchronous, before = 0;
    gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &mask, &before, sizeof before);
    return before;
}

static void signals_restore(uint64_t before)
{
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

/* Blocked before the lock is taken, but not while it is waited for: one that is asked to stop there answers. */
static bool lock_take(uint32_t value)
{
    uint32_t free = 0;
    uint64_t signals = signals_block();
    /* acquire: pairs with the release in gm_world_unlock. A 2 may stand where nobody waits, a 1 not where somebody does. */
    bool taken = value == 2 ? atomic_exchange_explicit(&world.lock, 2, memory_order_acquire) == 0
                            : atomic_compare_exchange_strong_explicit(&world.lock, &free, 1,
                                  memory_order_acquire, memory_order_relaxed);
    if (!taken) {
        signals_restore(signals);
        return false;
    }
    gm_rank_taken(GM_RANK_WORLD);
    GM_RACE_ACQUIRE(&world.lock);
    world.signals = signals;
    world.blocks_signals = true;
    atomic_store_explicit(&world.owner, (int32_t)gm_sys0(SYS_gettid), memory_order_relaxed);
    return true;
}

void gm_world_lock(void)
{
    if (lock_take(1))
        return;
    gm_mutator_register(); /* else a region is none; no matter if it cannot be */
    struct gm_mutator *region = gm_region_enter();
    while (!lock_take(2))
        gm_sys4(SYS_futex, &world.lock, FUTEX_WAIT_PRIVATE, 2, 0);
    gm_region_leave(region);
}

void gm_world_lock_for_program(void)
{
    gm_world_lock();
    world.blocks_signals = false;
    signals_restore(world.signals);
}

bool gm_world_lock_is_mine(void)
{
    /* relaxed: a thread reads its own number only if it stored it */
    return atomic_load_explicit(&world.owner, memory_order_relaxed) == (int32_t)gm_sys0(SYS_gettid);
}

void gm_world_unlock(void)
{
    uint64_t signals = world.signals;
    bool blocked = world.blocks_signals;
    gm_rank_given(GM_RANK_WORLD);
    atomic_store_explicit(&world.owner, 0, memory_order_relaxed);
    GM_RACE_RELEASE(&world.lock);
    /* release: pairs with the acquire in lock_take */
    if (atomic_exchange_explicit(&world.lock, 0, memory_order_release) == 2)
        futex_wake(&world.lock, 1);
    if (blocked) /* last: a handler that comes now finds the lock free */
        signals_restore(signals);
}

/* ---- the collector's side ------------------------------------------------------------------------------- */

static bool mutator_has_stopped(const struct gm_mutator *m, uint32_t epoch)
{
    /* acquire: pairs with the release in mutator_wait */
    return atomic_load_explicit(&m->stopped_in, memory_order_acquire) == epoch;
}

static int mutator_signal(struct gm_mutator *m)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = gm_stop_signal();
    info.si_code = SI_QUEUE;
    info.si_pid = world.pid;
    info.si_value.sival_ptr = m;
    return (int)gm_sys4(SYS_rt_tgsigqueueinfo, world.pid, m->tid, info.si_signo, &info);
}

struct stop {
    uint32_t epoch;
    int32_t self;
    uint32_t signalled; /* threads, each answers once */
    bool look;          /* at those who have not answered */
    uint64_t
        unlisted_since_ns; /* there is one more thread than is known, and no descriptor to look for it; 0: no */
    /* of the pass under way: */
    uint32_t live;     /* tasks accounted for, the caller included */
    uint32_t internal; /* of those: the collector's own */
    uint32_t waiting;  /* for an answer */
    bool awake;        /* one is waited for that will not answer, but sleep */
    struct gm_world_stop_figures figures;
};

enum look { LOOK_WAIT, LOOK_COUNTS, LOOK_GONE };

/* At a thread that has not answered. GONE: its slot is free. */
static enum look mutator_look(struct stop *stop, struct gm_mutator *m)
{
    struct gm_task task;
    if (gm_task_look(m->tid, &task) < 0 || mutator_has_stopped(m, stop->epoch))
        return LOOK_WAIT;
    if (task.state == 'Z' && m->tid == world.pid) {
        m->kind = GM_MUTATOR_ZOMBIE;
        return LOOK_COUNTS;
    }
    if (task.state == 0 || task.state == 'Z' || task.state == 'X') {
        gm_mutator_free(m);
        return LOOK_GONE;
    }
    /* A thread of libc's own, or one not yet or no longer in the program's code: the signal waits for it, so it runs
     * none of the program's code before it stops. One that registered itself may hold pointers in registers. */
    m->unreachable =
        m->kind == GM_MUTATOR_FOUND && (task.blocked_signals >> (gm_stop_signal() - 1) & 1);
    /* A slot that was found may have become another thread's, with the same tid, which was never asked. */
    if (!m->unreachable && !(task.pending_signals >> (gm_stop_signal() - 1) & 1))
        mutator_signal(m);
    /* One that runs, or is about to on a busy machine, has no stack to search yet: it will wait, take the signal or end. */
    m->asleep_sp = m->unreachable ? gm_task_stack_pointer(m->tid) : 0;
    return m->asleep_sp ? LOOK_COUNTS : LOOK_WAIT;
}

/* 0: a signal is on its way. -EAGAIN: RLIMIT_SIGPENDING is reached. -ESRCH: the thread has ended. */
static int mutator_ask(struct stop *stop, struct gm_mutator *m)
{
    /* One still on its way from an earlier stop serves as well. */
    if (!atomic_exchange(&m->signalled, true)) {
        int err = mutator_signal(m);
        if (err < 0) {
            atomic_store(&m->signalled, false);
            return err;
        }
    }
    m->asked_in = stop->epoch;
    stop->signalled++;
    return 0;
}

static void mutator_pass(struct stop *stop, struct gm_mutator *m)
{
    if (m->kind == GM_MUTATOR_NEWBORN || m->kind == GM_MUTATOR_ENDED)
        return;
    stop->live++;
    stop->internal += m->kind == GM_MUTATOR_INTERNAL;
    if (m->kind == GM_MUTATOR_INTERNAL || m->kind == GM_MUTATOR_ZOMBIE || m->tid == stop->self)
        return;
    if (mutator_has_stopped(m, stop->epoch)) {
        m->unreachable = false; /* any more: it has told where its stack ends */
        return;
    }
    bool asked = m->asked_in == stop->epoch;
    /* seq_cst: see gm_region_leave. One that was asked, and came into a region before the signal came to it, stops all the
     * same. */
    if (atomic_load(&m->state) == GM_MUTATOR_IN_REGION) {
        stop->figures.in_regions++;
        return;
    }
    enum look look = LOOK_WAIT;
    if (!asked && mutator_ask(stop, m) == -ESRCH) {
        gm_mutator_free(m);
        look = LOOK_GONE;
    } else if ((asked && stop->look) || m->unreachable) {
        look = mutator_look(stop, m);
    }
    if (look == LOOK_COUNTS && m->unreachable)
        stop->figures.unreachable++;
    if (look == LOOK_GONE)
        stop->live--;
    if (look != LOOK_WAIT)
        return;
    stop->figures.slowest_tid = m->tid;
    stop->waiting++;
    stop->awake |= m->unreachable;
}

static void world_pass(struct stop *stop)
{
    struct gm_mutator *next;
    uint64_t mask;
    stop->live = gm_mutator_self ? 0 : 1;
    stop->internal = stop->waiting = stop->figures.in_regions = stop->figures.unreachable = 0;
    stop->awake = false;
    gm_mutators_lock(&mask);
    for (struct gm_mutator *m = gm_mutators.first; m; m = next) {
        next = m->next;
        mutator_pass(stop, m);
    }
    for (struct gm_mutator *m = gm_mutators.first; m && stop->waiting == 0; m = m->next)
        GM_RACE_ACQUIRE(m);
    gm_mutators_unlock(mask);
}

struct search {
    int32_t self;
    uint32_t found;
};

static void task_find(int32_t tid, void *arg)
{
    struct search *search = arg;
    uint64_t mask;
    if (tid == search->self)
        return;
    gm_mutators_lock(&mask);
    if (!gm_mutator_by_tid(tid) && gm_mutator_new(GM_MUTATOR_FOUND, tid))
        search->found++;
    gm_mutators_unlock(mask);
}

/* Everybody known has stopped. Is everybody known? Whoever is not may still make others, so the number decides; but for a
 * thread that is ending, which may be counted and not listed. 1: yes; 0: not yet; a negative errno: cannot be told. */
static int world_is_complete(struct stop *stop, unsigned *tries)
{
    uint32_t count = gm_tasks_count();
    if (count == stop->live ||
        count == 0) /* without /proc, those who registered are all that can be known */
        return 1;
    struct search search = {.self = stop->self};
    int err = gm_tasks_each(&task_find, &search);
    if (err == 0 && search.found)
        return 0;
    gm_sys_sleep_ns(20000);
    if (err == 0)
        return ++*tries > 50;
    /* Nobody knows who runs there. One that is ending or beginning, as a rule: soon the number will be right. */
    uint64_t now = gm_sys_monotonic_ns();
    if (stop->unlisted_since_ns == 0)
        stop->unlisted_since_ns = now;
    return now - stop->unlisted_since_ns > UNLISTED_NS ? err : 0;
}

static void answers_wait(const struct stop *stop, uint64_t timeout_ns)
{
    struct timespec timeout = {.tv_nsec = (long)timeout_ns};
    uint32_t answers = atomic_load(&world.answers);
    if (answers < stop->signalled)
        gm_sys4(SYS_futex, &world.answers, FUTEX_WAIT_PRIVATE, answers, &timeout);
}

/* Waits until the threads that were signalled have answered, or a while. True if it is time to look at the others. */
static bool world_wait(const struct stop *stop, uint64_t *patience_ns)
{
    uint64_t deadline = gm_sys_monotonic_ns() + *patience_ns, now;
    atomic_store(&world.target, stop->signalled); /* seq_cst: see answer */
    while (atomic_load(&world.answers) < stop->signalled) {
        now = gm_sys_monotonic_ns();
        if (now >= deadline) {
            *patience_ns =
                *patience_ns * 2 < LOOK_AFTER_MAX_NS ? *patience_ns * 2 : LOOK_AFTER_MAX_NS;
            return true;
        }
        answers_wait(stop, deadline - now);
    }
    /* All have answered, and still one is waited for: it could not be signalled. */
    gm_sys_sleep_ns(20000);
    return true;
}

int gm_world_stop(struct gm_world_stop_figures *ret_figures)
{
    uint64_t start = gm_sys_monotonic_ns(), patience_ns = LOOK_AFTER_NS;
    unsigned tries = 0;
    if (world.pid != (int32_t)gm_sys0(SYS_getpid))
        gm_world_after_fork(); /* by a system call of the program's own */
    atomic_store(&world.answers, 0);
    atomic_store(&world.target, UINT32_MAX);
    struct stop stop = {
        .epoch = atomic_fetch_add(&world.epoch, 1) + 1, .self = (int32_t)gm_sys0(SYS_gettid)};
    int complete = 0;
    while (complete == 0) {
        world_pass(&stop);
        if (stop.awake)
            patience_ns = LOOK_AFTER_NS; /* its sleep may be short */
        if (stop.waiting)
            stop.look = world_wait(&stop, &patience_ns);
        else
            complete = world_is_complete(&stop, &tries);
        if (complete == 0 && gm_sys_monotonic_ns() - start > STOP_TIMEOUT_NS)
            complete = -ETIMEDOUT;
    }
    if (complete < 0)
        gm_world_start();
    stop.figures.threads = stop.live - stop.internal - 1;
    stop.figures.stop_ns = gm_sys_monotonic_ns() - start;
    *ret_figures = stop.figures;
    return complete < 0 ? complete : 0;
}

void gm_world_start(void)
{
    GM_RACE_RELEASE(&world.epoch);
    /* release: pairs with the acquire in mutator_wait */
    atomic_fetch_add(&world.epoch, 1);
    futex_wake(&world.epoch, INT_MAX);
}

/* ---- beginning, and beginning again in a forked child -------------------------------------------------- */

void gm_world_after_fork(void)
{
    world.pid = (int32_t)gm_sys0(SYS_getpid);
    atomic_store(&world.epoch, (atomic_load(&world.epoch) + 1) & ~1u);
    gm_mutators_after_fork();
}

/* What the lock protects must be whole in the child. A collector's own handler may have taken it. */
/* Before the world's lock, where both are held. */
static pthread_mutex_t setup_lock = PTHREAD_MUTEX_INITIALIZER;

static void fork_prepare(void)
{
    pthread_mutex_lock(&setup_lock);
    bool held = gm_world_lock_is_mine();
    if (!held)
        gm_world_lock();
    world.forks_under_lock = held;
}

static void fork_parent(void)
{
    if (!world.forks_under_lock)
        gm_world_unlock();
    pthread_mutex_unlock(&setup_lock);
}

static void fork_child(void)
{
    gm_world_after_fork();
    if (world.forks_under_lock)
        atomic_store(&world.owner, (int32_t)gm_sys0(SYS_gettid));
    else
        gm_world_unlock();
    pthread_mutex_unlock(&setup_lock);
}

static int fork_error;

/* Handlers before a fork run in reverse order: after those of the program, which may collect, and before those of the heaps and
 * the notes, whose locks rank below. See docs/design/threads.md, "fork". */
__attribute__((constructor(105))) static void fork_register(void)
{
    fork_error = -pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* What fails for want of memory is tried again by the next call. */
static int world_setup(void)
{
    world.pid = (int32_t)gm_sys0(SYS_getpid);
    gm_tls_init();
    int err = gm_modules_init();
    if (err < 0 || (err = gm_mutators_init()) < 0 || (err = gm_signals_init()) < 0)
        return err;
    err = fork_error;
    /* release: pairs with the acquire in gm_world_setup */
    atomic_store_explicit(&world.in_use, err == 0, memory_order_release);
    return err;
}

int gm_world_setup(void)
{
    if (atomic_load_explicit(&world.in_use, memory_order_acquire))
        return 0;
    pthread_mutex_lock(&setup_lock);
    int err = gm_world_in_use() ? 0 : world_setup();
    pthread_mutex_unlock(&setup_lock);
    return err;
}

bool gm_world_is_ours(void)
{
    return gm_world_in_use() && world.pid == (int32_t)gm_sys0(SYS_getpid);
}

bool gm_world_in_use(void)
{
    return atomic_load_explicit(&world.in_use, memory_order_relaxed);
}
