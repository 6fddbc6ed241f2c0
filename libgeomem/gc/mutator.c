/* mutator.c - see mutator.h. */
#include "libgeomem/gc/mutator.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/maps.h"
#include "libgeomem/gc/signals.h"
#include "libgeomem/gc/tls.h"
#include "libgeomem/gc/world.h"

/* Address space only; Linux's default limit of threads for a process lies below it. */
#define SLOTS (1u << 17)

/* Of a stack without a limit, as far as it is searched where the kernel does not tell. */
#define STACK_GUESS_MAX ((uintptr_t)64 << 20)

/* The loader's: the main thread's stack pointer at its beginning. */
extern void *__libc_stack_end;

__thread struct gm_mutator *gm_mutator_self __attribute__((tls_model("initial-exec")));
struct gm_mutators gm_mutators;

static struct gm_mutator *slots;      /* the range */
static uint32_t slots_fresh;          /* from here on never used */
static struct gm_mutator *slots_free; /* linked by next */
static _Atomic uint32_t lock_word;    /* 0 free, 1 held, 2 held and waited for */
static pthread_key_t end_key;

void gm_mutators_lock(uint64_t *ret_mask)
{
    uint64_t all = ~0ull, mask = 0;
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
    uint32_t expected = 0;
    /* acquire: pairs with the release in gm_mutators_unlock */
    if (!atomic_compare_exchange_strong_explicit(
            &lock_word, &expected, 1, memory_order_acquire, memory_order_relaxed))
        while (atomic_exchange_explicit(&lock_word, 2, memory_order_acquire) != 0)
            gm_sys4(SYS_futex, &lock_word, FUTEX_WAIT_PRIVATE, 2, 0);
    *ret_mask = mask;
}

void gm_mutators_unlock(uint64_t mask)
{
    /* release: pairs with the acquire in gm_mutators_lock */
    if (atomic_exchange_explicit(&lock_word, 0, memory_order_release) == 2)
        gm_sys3(SYS_futex, &lock_word, FUTEX_WAKE_PRIVATE, 1);
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof mask);
}

bool gm_mutator_is_slot(const void *p)
{
    uintptr_t offset = (uintptr_t)p - (uintptr_t)slots;
    return slots && offset < SLOTS * sizeof *slots && offset % sizeof *slots == 0;
}

struct gm_mutator *gm_mutator_new(enum gm_mutator_kind kind, int32_t tid)
{
    struct gm_mutator *m = slots_free;
    if (m)
        slots_free = m->next;
    else if (slots && slots_fresh < SLOTS)
        m = &slots[slots_fresh++];
    else
        return NULL;
    memset(m, 0, sizeof *m);
    m->kind = (uint8_t)kind;
    m->tid = tid;
    m->next = gm_mutators.first;
    if (m->next)
        m->next->previous = m;
    gm_mutators.first = m;
    gm_mutators.count++;
    return m;
}

void gm_mutator_free(struct gm_mutator *m)
{
    if (m->previous)
        m->previous->next = m->next;
    else
        gm_mutators.first = m->next;
    if (m->next)
        m->next->previous = m->previous;
    gm_mutators.count--;
    m->kind = GM_MUTATOR_FREE;
    m->tid = 0;
    m->next = slots_free;
    slots_free = m;
}

struct gm_mutator *gm_mutator_by_tid(int32_t tid)
{
    struct gm_mutator *m = gm_mutators.first;
    while (m && (m->tid != tid || m->kind == GM_MUTATOR_NEWBORN || m->kind == GM_MUTATOR_ENDED))
        m = m->next;
    return m;
}

/* Without /proc: what the loader and the limits say. */
static void mutator_guess(struct gm_mutator *m, uintptr_t here, uintptr_t top)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    gm_sys2(SYS_getrlimit, RLIMIT_STACK, &limit);
    uintptr_t room = limit.rlim_cur < STACK_GUESS_MAX ? limit.rlim_cur : STACK_GUESS_MAX;
    uintptr_t end = (uintptr_t)__libc_stack_end;
    m->stack_high = here < end && end - here < room ? end : top;
    m->stack_low = m->stack_high - room;
}

/* Where the calling thread's own stack lies. A stack of pthread_create ends with the thread's descriptor, which the
 * thread pointer points to; the main thread's is a mapping of its own. */
static void mutator_measure(struct gm_mutator *m)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t tp = (uintptr_t)__builtin_thread_pointer(), top = tp + gm_tls_descriptor_bytes();
    struct gm_mapping mapping;
    m->tp = tp;
    if (gm_maps_find(here, &mapping) < 0 || mapping.guessed) {
        mutator_guess(m, here, top);
        return;
    }
    m->stack_low = mapping.start;
    m->stack_high = mapping.end;
    if (here < tp && tp < mapping.end && top <= mapping.end)
        m->stack_high = top;
}

/* The slot of the calling thread becomes its own. A stop may have found it before. */
static struct gm_mutator *mutator_adopt(struct gm_mutator *newborn, enum gm_mutator_kind kind)
{
    int32_t tid = (int32_t)gm_sys0(SYS_gettid);
    struct gm_mutator *m = gm_mutator_by_tid(tid);
    if (m && newborn) {
        m->joinable = newborn->joinable;
        gm_mutator_free(newborn);
    } else if (newborn)
        m = newborn;
    else if (!m)
        m = gm_mutator_new(kind, tid);
    if (!m)
        return NULL;
    m->kind = (uint8_t)kind;
    m->tid = tid;
    m->value = NULL;
    m->unreachable = false;
    /* A tid may have been another's: what was on its way to that one will not come. */
    atomic_store_explicit(&m->signalled, false, memory_order_relaxed);
    return m;
}

static int mutator_attach(struct gm_mutator *newborn, enum gm_mutator_kind kind)
{
    struct gm_mutator measured = {0};
    uint64_t mask;
    mutator_measure(&measured);
    gm_mutators_lock(&mask);
    struct gm_mutator *m = mutator_adopt(newborn, kind);
    if (m) {
        m->tp = measured.tp;
        m->stack_low = measured.stack_low;
        m->stack_high = measured.stack_high;
        gm_mutator_self = m;
    }
    gm_mutators_unlock(mask);
    if (!m)
        return -EAGAIN;
    /* A thread of libc's own runs the program's code with all signals blocked (a timer's, a queue's notification). */
    gm_signals_unblock();
    pthread_setspecific(end_key, m);
    return 0;
}

int gm_mutator_register(void)
{
    if (gm_mutator_self)
        return 0;
    int err = gm_world_setup();
    return err < 0 ? err : mutator_attach(NULL, GM_MUTATOR_REGISTERED);
}

int gm_world_init(void)
{
    return gm_mutator_register();
}

int gm_mutator_register_internal(void)
{
    int err = gm_world_setup();
    return err < 0 ? err : mutator_attach(NULL, GM_MUTATOR_INTERNAL);
}

void gm_mutator_unregister(void)
{
    struct gm_mutator *m = gm_mutator_self;
    uint64_t mask;
    if (!m)
        return;
    gm_mutators_lock(&mask);
    gm_mutator_self = NULL;
    if (m->joinable && m->value)
        m->kind = GM_MUTATOR_ENDED;
    else
        gm_mutator_free(m);
    gm_mutators_unlock(mask);
}

void gm_mutator_result(void *result)
{
    if (gm_mutator_self)
        gm_mutator_self->value = result;
}

void gm_mutator_forget(uintptr_t thread)
{
    uint64_t mask;
    if (!gm_world_in_use())
        return;
    gm_mutators_lock(&mask);
    struct gm_mutator *m = gm_mutators.first;
    while (m && (m->tp != thread || !m->joinable))
        m = m->next;
    if (m && m->kind == GM_MUTATOR_ENDED)
        gm_mutator_free(m);
    else if (m)
        m->joinable = false; /* detached */
    gm_mutators_unlock(mask);
}

/* Destructors of other keys may allocate: the slot is kept for as many rounds as there are. */
static void mutator_end(void *value)
{
    static __thread unsigned rounds __attribute__((tls_model("initial-exec")));
    if (++rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(end_key, value);
    else
        gm_mutator_unregister();
}

struct gm_mutator *gm_mutator_expect(void *(*start)(void *), void *argument, bool joinable)
{
    uint64_t mask;
    gm_mutators_lock(&mask);
    struct gm_mutator *m = gm_mutator_new(GM_MUTATOR_NEWBORN, 0);
    if (m) {
        m->start = start;
        m->value = argument;
        m->joinable = joinable;
    }
    gm_mutators_unlock(mask);
    return m;
}

void gm_mutator_unexpect(struct gm_mutator *m)
{
    uint64_t mask;
    gm_mutators_lock(&mask);
    gm_mutator_free(m);
    gm_mutators_unlock(mask);
}

void gm_mutator_begin(struct gm_mutator *m, void *(**ret_start)(void *), void **ret_argument)
{
    *ret_start = m->start;
    *ret_argument = m->value;
    mutator_attach(m, GM_MUTATOR_REGISTERED);
}

/* The list and the lock are as some thread of the parent left them, perhaps in the middle of a change. */
void gm_mutators_after_fork(void)
{
    struct gm_mutator *self = gm_mutator_self;
    atomic_store_explicit(&lock_word, 0, memory_order_relaxed);
    gm_mutators.first = NULL;
    gm_mutators.count = 0;
    slots_free = NULL;
    for (uint32_t i = 0; i < slots_fresh; i++) {
        if (&slots[i] == self)
            continue;
        slots[i].kind = GM_MUTATOR_FREE;
        slots[i].next = slots_free;
        slots_free = &slots[i];
    }
    if (!self)
        return;
    self->next = self->previous = NULL;
    self->tid = (int32_t)gm_sys0(SYS_gettid);
    atomic_store_explicit(&self->signalled, false, memory_order_relaxed);
    gm_mutators.first = self;
    gm_mutators.count = 1;
}

int gm_mutators_init(void)
{
    if (slots)
        return 0;
    void *p = mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    int err = pthread_key_create(&end_key, mutator_end);
    if (err) {
        munmap(p, SLOTS * sizeof *slots);
        return -err;
    }
    slots = p;
    return 0;
}
