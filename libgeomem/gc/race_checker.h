/* race_checker.h - what ThreadSanitizer is told, in builds of libgeomem for tests.
 *
 * It cannot see the order that a stop makes: the files of the world are not instrumented, since a stop finds threads that are
 * in them. So each way to stop releases, the collector acquires when all have stopped, and the reverse when they go on.
 *
 * Nor may a thread be stopped in the middle of ThreadSanitizer's own code, whose locks the collector needs: it has a lock for
 * each atomic word. There the stop signal's handler is set by ThreadSanitizer's sigaction, which keeps a signal until the thread
 * has come to its next atomic access, or is in a call of the C library's that waits.
 */
#ifndef GM_GC_RACE_CHECKER_H
#define GM_GC_RACE_CHECKER_H

#ifdef GM_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#include <stdint.h>
#define GM_RACE_RELEASE(word) __tsan_release((void *)(uintptr_t)(word))
#define GM_RACE_ACQUIRE(word) __tsan_acquire((void *)(uintptr_t)(word))
#else
#define GM_RACE_RELEASE(word) ((void)(word))
#define GM_RACE_ACQUIRE(word) ((void)(word))
#endif

#endif
