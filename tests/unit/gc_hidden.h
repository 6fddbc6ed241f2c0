/* gc_hidden.h - for tests that know exactly what is reachable, in spite of a collector that looks at every word of the stack.
 *
 * Addresses are kept inverted, in memory that is no root, and everything that has one in its hands runs on a thread that has
 * ended when the collection begins.
 */
#ifndef GC_HIDDEN_H
#define GC_HIDDEN_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "geomem/geomem.h"

struct hidden {
    uintptr_t inverted;
};
static inline struct hidden hide(void *p)
{
    return (struct hidden){~(uintptr_t)p};
}
static inline void *unhide(struct hidden h)
{
    return (void *)~h.inverted;
}

struct hidden_call {
    void (*function)(void *);
    void *arg;
};
static inline void *hidden_thread(void *arg)
{
    struct hidden_call *call = arg;
    call->function(call->arg);
    return NULL;
}

/* Calls it on a thread of its own, and waits for its end. */
static inline void in_thread(void (*function)(void *), void *arg)
{
    struct hidden_call call = {function, arg};
    pthread_t thread;
    if (pthread_create(&thread, NULL, hidden_thread, &call) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

/* Memory that is no root, zeroed. */
static inline void *memory_apart(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

#endif
