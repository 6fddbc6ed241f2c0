/* interpose_threads.c - pthread_create as the program calls it: the new thread is known before it runs the program's code.
 *
 * Found by name in a program that is linked against libgeomem. libc's own calls, and those of a program that loaded
 * libgeomem later, do not come here: their threads are found by the next stop.
 */
#include <pthread.h>

#include "libgeomem/gc/interpose.h"
#include "libgeomem/gc/mutator.h"

GM_REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))

static void *thread_start(void *slot)
{
    void *(*start)(void *), *argument;
    gm_mutator_begin(slot, &start, &argument);
    return start(argument);
}

GM_INTERPOSED int pthread_create(
    pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *argument)
{
    struct gm_mutator *slot = gm_world_in_use() ? gm_mutator_expect(start, argument) : NULL;
    if (!slot) /* found by the next stop */
        return pthread_create_real()(thread, attr, start, argument);
    int err = pthread_create_real()(thread, attr, thread_start, slot);
    if (err)
        gm_mutator_unexpect(slot);
    return err;
}
