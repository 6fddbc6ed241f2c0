/* mutator.h - the table of threads, as the files of the world share it.
 *
 *            gm_mutator_register, or the parent in pthread_create
 *   free ---------------------------------------------------------> REGISTERED --thread ends--> free
 *     '-----a stop finds the task in /proc/self/task----> FOUND ----task is gone--------------> free
 *
 * Slots lie in one reserved range and are never given back, so that a signal handler may look at any pointer into it.
 * The list of slots in use changes under gm_mutators_lock alone. Whoever holds that lock has all signals blocked: it
 * is never held by a stopped thread, and a collector may take it at any time.
 */
#ifndef GM_GC_MUTATOR_H
#define GM_GC_MUTATOR_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum gm_mutator_kind {
    GM_MUTATOR_FREE = 0,
    GM_MUTATOR_NEWBORN,    /* made by pthread_create; has not run yet, its tid is not known */
    GM_MUTATOR_REGISTERED, /* knows its slot */
    GM_MUTATOR_FOUND, /* was found; does not know its slot, and its place may become another thread's */
    GM_MUTATOR_INTERNAL, /* works for the collector: neither stopped nor scanned */
    GM_MUTATOR_ZOMBIE,   /* the main thread, after it has ended while others run on */
    GM_MUTATOR_ENDED,    /* a thread no more; its result has not been fetched */
};

enum gm_mutator_state {
    GM_MUTATOR_RUNNING = 0,
    GM_MUTATOR_IN_REGION = 1,
};

struct gm_mutator {
    _Atomic uint32_t state;      /* enum gm_mutator_state; written by the thread */
    _Atomic uint32_t stopped_in; /* the epoch in which the handler said that it waits */
    _Atomic bool signalled;      /* a stop signal is under way to it */
    uint8_t kind;                /* enum gm_mutator_kind; under the lock, as all that follows */
    bool unreachable;            /* has the stop signal blocked by a system call of its own */
    int32_t tid;
    uint32_t asked_in; /* the epoch in which it was last signalled */
    /* The thread's own: stop signals and handlers of the program that ran, now and at the beginning of the region. */
    uint32_t stops, stops_before;
    uint32_t handlers, handlers_before;
    uintptr_t sp;        /* written by the thread before it is stopped; 0: not known */
    uintptr_t asleep_sp; /* of one unreachable: as the kernel told when it was counted */
    uintptr_t saved[6];  /* the registers that calls keep, as of the beginning of the region */
    uintptr_t tp;        /* thread pointer (fs base); 0: not known */
    uintptr_t stack_low; /* of its own stack, as given by the system; 0: not known */
    uintptr_t stack_high;
    void *value;   /* a root: the argument until the thread runs, its result from then on */
    bool joinable; /* somebody may fetch the result */
    void *(*start)(void *);
    struct gm_mutator *next;
    struct gm_mutator *previous;
};

extern __thread struct gm_mutator *gm_mutator_self __attribute__((tls_model("initial-exec")));

/* Slots in use. */
struct gm_mutators {
    struct gm_mutator *first;
    uint32_t count;
};
extern struct gm_mutators gm_mutators;

/* Blocks all signals, then locks. `ret_mask` holds what is to be restored. */
void gm_mutators_lock(uint64_t *ret_mask);
void gm_mutators_unlock(uint64_t mask);

/* All under the lock. A new slot, on the list, or NULL when there are too many threads. */
struct gm_mutator *gm_mutator_new(enum gm_mutator_kind kind, int32_t tid);
void gm_mutator_free(struct gm_mutator *m);
struct gm_mutator *gm_mutator_by_tid(int32_t tid);

/* True if the pointer is one of a slot; any value may be asked about. */
bool gm_mutator_is_slot(const void *p);

/* For pthread_create: a slot for the thread to come; NULL when there is none. The thread calls gm_mutator_begin first. */
struct gm_mutator *gm_mutator_expect(void *(*start)(void *), void *argument, bool joinable);
void gm_mutator_unexpect(struct gm_mutator *m);
void gm_mutator_begin(struct gm_mutator *m, void *(**ret_start)(void *), void **ret_argument);

/* What the calling thread will return; and that nobody will ask a thread for that any more. */
void gm_mutator_result(void *result);
void gm_mutator_forget(uintptr_t thread); /* a pthread_t: on x86-64 its thread pointer */

/* In a forked child: the calling thread's slot is the only one. */
void gm_mutators_after_fork(void);

int gm_mutators_init(void);

/* In world.c: once, all but the registration of the calling thread. */
int gm_world_setup(void);
bool gm_world_in_use(void); /* it has been */
/* In use, and not by a parent in whose memory this child of vfork runs. */
bool gm_world_is_ours(void);

#endif
