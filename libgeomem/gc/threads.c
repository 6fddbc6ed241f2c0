/* threads.c - pthread_create as the program calls it: the new thread is known before it runs the program's code.
 *
 * Found by name in a program that is linked against libgeomem. libc's own calls, and those of a program that loaded
 * libgeomem later, do not come here: their threads are found by the next stop.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "libgeomem/gc/mutator.h"

typedef int create_function(
    pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *argument);

static create_function *create_real(void)
{
    static _Atomic(create_function *) real;
    /* relaxed: any number of threads find the same */
    create_function *found = atomic_load_explicit(&real, memory_order_relaxed);
    if (!found) {
        found = (create_function *)(uintptr_t)dlsym(RTLD_NEXT, "pthread_create");
        atomic_store_explicit(&real, found, memory_order_relaxed);
    }
    return found;
}

static void *thread_start(void *slot)
{
    void *(*start)(void *), *argument;
    gm_mutator_begin(slot, &start, &argument);
    return start(argument);
}

__attribute__((visibility("default"))) int pthread_create(
    pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *argument)
{
    create_function *real = create_real();
    if (!real)
        return ENOSYS;
    struct gm_mutator *slot = gm_world_setup() == 0 ? gm_mutator_expect(start, argument) : NULL;
    if (!slot) /* found by the next stop */
        return real(thread, attr, start, argument);
    int err = real(thread, attr, thread_start, slot);
    if (err)
        gm_mutator_unexpect(slot);
    return err;
}
