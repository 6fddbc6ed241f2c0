/* world.h - the threads of the program: finding them, stopping them, and where their roots are.
 *
 * A thread that uses libgeomem is known from its first use, any other that could hold a pointer (made by
 * pthread_create, which is interposed, or found in /proc/self/task) from the first stop after it began. Threads are
 * stopped by a signal whose handler waits; a thread inside a safe region (a system call that may block) is not
 * disturbed and counts as stopped: it cannot leave the region before the world goes on.
 *
 * Rules:
 *  - One collector at a time (gm_world_lock); it stops the world for as short as it can.
 *  - While the world is stopped the collector allocates nothing, takes no lock of libc's and calls nothing of the
 *    program: a stopped thread may hold any lock.
 *  - The stop is not seen by the program: system calls go on, errno is kept.
 */
#ifndef GM_GC_WORLD_H
#define GM_GC_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Installs the signal handler and registers the calling thread. Any number of calls. 0 or a negative errno. */
int gm_world_init(void);

/* The calling thread becomes, or ceases to be, known. Made by the interposer for threads of pthread_create, and undone
 * when a registered thread ends: after all destructors of its keys. Need not be called: a thread that nobody registered is
 * found by the next stop. -EAGAIN: too many threads. */
int gm_mutator_register(void);
void gm_mutator_unregister(void);
/* The calling thread works for the collector: it is neither stopped nor scanned, and never touches what a stopped thread
 * may have locked while the world is stopped. */
int gm_mutator_register_internal(void);

/* A thread that waits for the lock counts as stopped. Not recursive. No handler of the program's runs on a thread that holds
 * it; those of signals that came meanwhile run when it has been given back. */
void gm_world_lock(void);
void gm_world_unlock(void);
/* The same, for one who runs the program's code under the lock, or another program: signals stay as they are, and a handler
 * must not want the lock. */
void gm_world_lock_for_program(void);
bool gm_world_lock_is_mine(void);

struct gm_world_stop_figures {
    uint32_t threads;    /* stopped, without the caller */
    uint32_t in_regions; /* of those: were in a safe region and needed no signal */
    uint32_t
        unreachable; /* of those: take no signal, being in libc's hands; see docs/design/threads.md */
    uint64_t stop_ns; /* until the last had stopped */
    int32_t slowest_tid;
};
/* Stops all other threads. The caller holds gm_world_lock. 0, or -ETIMEDOUT when a thread could not be stopped within
 * 10 s (`slowest_tid` names it), -EMFILE when for 1 s there has been a thread that nobody knows and no descriptor to look for it:
 * all go on again; the collection must be given up. */
int gm_world_stop(struct gm_world_stop_figures *ret_figures);
void gm_world_start(void);

/* While stopped: calls visit for each range of memory that may hold roots and is not part of a heap: registers and
 * stacks of all threads (of the caller: from its frame of gm_roots_visit's caller outward, registers included),
 * alternate signal stacks and coroutine stacks in use, thread-local storage of all threads and modules, writable
 * globals of all modules, ranges registered by the program less those excluded. Ranges are word-aligned and may
 * overlap. They are readable; only resident pages of very large stacks are visited.
 * `parts`: which (enum gm_root_part, or-ed). */
enum gm_root_part {
    GM_ROOTS_THREADS = 1u << 0,
    GM_ROOTS_GLOBALS = 1u << 1,
    GM_ROOTS_REGISTERED = 1u << 2,
    GM_ROOTS_ALL = 7u,
};
typedef void gm_roots_visitor(const void *start, size_t bytes, void *arg);
void gm_roots_visit(unsigned parts, gm_roots_visitor *visit, void *arg);

/* Of the calling thread's stack only what lies from `sp` on is the program's: what is below are frames of the collector, in which
 * addresses of its last collection may stand still. The registers that calls keep are at `sp` too. NULL: not known. The
 * world's lock is held. */
void gm_roots_caller(const void *sp);

/* Registered ranges; any alignment. -ENOMEM, -EINVAL (empty). What is not readable there when a collection looks is passed
 * over. Not to be called with the lock of the world held. */
int gm_roots_add(const void *start, size_t bytes);
int gm_roots_remove(const void *start, size_t bytes);  /* every registered part inside the range */
int gm_roots_exclude(const void *start, size_t bytes); /* of globals: never looked at */
/* One who knows of more, asked with GM_ROOTS_REGISTERED: it calls `visit` for each range, which is readable and word-aligned.
 * It runs while the world is stopped: no lock that a thread may hold, no allocation. NULL: nobody. */
typedef void gm_roots_source(gm_roots_visitor *visit, void *arg);
void gm_roots_callback(gm_roots_source *source);

/* Safe regions: between the two the thread holds no pointer into a heap that is not also below its stack pointer or in
 * registers at the time of entry, and does not touch a heap. Not nested. */
void gm_world_region_enter(void);
void gm_world_region_leave(void);

/* Called in the child of a fork, by an atfork handler: the calling thread is the only one. */
void gm_world_after_fork(void);

#endif
