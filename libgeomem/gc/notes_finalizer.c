/* notes_finalizer.c - calls finalizers: when the program asks, or on a thread of libgeomem's own.
 *
 *   gm_notes_process ──► due list ──► gm_notes_announce ──┬─► the program's callback ──► geomem_finalizers_run
 *                                                        └─► our thread, woken ──────► the same
 *
 * Never inside an allocation: a finalizer may take a lock that whoever allocates holds already. (bdwgc runs them inside
 * GC_malloc unless told otherwise, and its manual warns of it; Boehm, "Destructors, Finalizers, and Synchronization",
 * POPL 2003, says why no other way is right.)
 *
 * The thread is made when the first finalizer has become due and nobody has asked to be told; it blocks all signals that can
 * be blocked, so that no handler of the program's runs on it. If it cannot be made, finalizers stay due, and
 * making it is tried again after the next collection.
 */
#include "libgeomem/gc/notes_finalizer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/notes_table.h"
#include "libgeomem/gc/world.h"

/* Finalizers are the program's code: as much stack as the program's own threads get by default would be more. Arbitrary. */
#define FINALIZER_STACK_BYTES ((size_t)1 << 20)

static void (*_Atomic finalizer_notify)(void);
static _Atomic bool finalizer_is_due; /* since it was last told */
static _Atomic bool finalizer_has_thread;
static _Atomic uint32_t finalizer_word; /* the thread sleeps on it; counts wakings */
static __thread bool finalizer_runs;    /* on this thread, further up the stack */

void gm_finalizers_became_due(void)
{
    atomic_store_explicit(&finalizer_is_due, true, memory_order_relaxed);
}

/* The next one that is due: from here on its block is an ordinary one, and held by the caller's stack only. */
static bool finalizer_take(struct gm_note *ret_note)
{
    gm_notes_lock();
    uint32_t number = gm_notes_table.due.first;
    if (number != 0) {
        *ret_note = *gm_note_at(number);
        gm_note_remove(number);
    }
    gm_notes_unlock();
    return number != 0;
}

size_t geomem_finalizers_run(void)
{
    if (finalizer_runs)
        return 0;
    finalizer_runs = true;
    size_t count = 0;
    for (struct gm_note note; finalizer_take(&note); count++)
        note.function((void *)note.target, (void *)note.value);
    finalizer_runs = false;
    return count;
}

static void *finalizer_thread(void *arg)
{
    (void)arg;
    gm_mutator_register();
    for (;;) {
        /* acquire: pairs with the release in gm_notes_announce: what was due then is seen */
        uint32_t seen = atomic_load_explicit(&finalizer_word, memory_order_acquire);
        geomem_finalizers_run();
        gm_world_region_enter();
        gm_sys4(SYS_futex, &finalizer_word, FUTEX_WAIT_PRIVATE, seen, NULL);
        gm_world_region_leave();
    }
    return NULL;
}

static bool finalizer_thread_make(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, FINALIZER_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread, &attributes, finalizer_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (err == 0)
        pthread_setname_np(thread, "geomem-final");
    return err == 0;
}

static void finalizer_wake(void)
{
    /* release: pairs with the acquire in finalizer_thread */
    atomic_fetch_add_explicit(&finalizer_word, 1, memory_order_release);
    gm_sys3(SYS_futex, &finalizer_word, FUTEX_WAKE_PRIVATE, 1);
    if (!atomic_exchange(&finalizer_has_thread, true) && !finalizer_thread_make()) {
        atomic_store(&finalizer_has_thread, false);
        gm_finalizers_became_due();
    }
}

void gm_notes_announce(void)
{
    if (!atomic_load_explicit(&finalizer_is_due, memory_order_relaxed) ||
        !atomic_exchange(&finalizer_is_due, false))
        return;
    int saved = errno;
    void (*notify)(void) = atomic_load(&finalizer_notify);
    if (notify != NULL)
        notify();
    else
        finalizer_wake();
    errno = saved;
}

int geomem_finalizers_notify(void (*notify)(void))
{
    atomic_store(&finalizer_notify, notify);
    return 0;
}

/* ---- fork ---- */

/* The thread is not there; what it would have called is due still. */
static void fork_child(void)
{
    atomic_store(&finalizer_has_thread, false);
    finalizer_runs = false;
    if (gm_notes_table.due.first != 0)
        gm_finalizers_became_due();
    gm_notes_unlock();
}

/* The lock is held over the fork, so that the child's table is whole. Handlers that prepare are called in reverse order: the
 * first to be registered takes its lock last, as its rank demands; the heaps' are registered by constructor 103, and those that rank below
 * by 101. */
__attribute__((constructor(102))) static void fork_register(void)
{
    pthread_atfork(gm_notes_lock, gm_notes_unlock, fork_child);
}
