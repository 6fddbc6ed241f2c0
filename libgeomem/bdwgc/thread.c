/* thread.c - the threads of a client: mostly known already.
 *
 * libgeomem finds threads however they were made, and their stacks by where their stack pointers are. Registration makes a
 * thread known earlier; the rest answers what clients ask.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

#include "libgeomem/bdwgc/bdwgc.h"
#include "libgeomem/gc/signals.h"
#include "libgeomem/gc/world.h"

static _Thread_local bool thread_is_registered, thread_is_blocking;
GM_BDWGC_API char *GC_stackbottom;

/* ---- the lock ---- */

_Thread_local bool gm_bdwgc_has_lock;

void GC_alloc_lock(void)
{
    gm_world_lock_for_program();
    gm_bdwgc_has_lock = true;
}

void GC_alloc_unlock(void)
{
    gm_bdwgc_has_lock = false;
    gm_world_unlock();
}

void *GC_call_with_alloc_lock(GC_fn_type function, void *data)
{
    GC_alloc_lock();
    void *result = function(data);
    GC_alloc_unlock();
    return result;
}

/* ---- stacks ---- */

__attribute__((noinline)) void *GC_call_with_stack_base(GC_stack_base_func function, void *data)
{
    struct GC_stack_base base = {.mem_base = __builtin_frame_address(0)};
    return function(&base, data);
}

int GC_get_stack_base(struct GC_stack_base *ret_base)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes))
        return GC_UNIMPLEMENTED;
    int failed = pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
    if (failed)
        return GC_UNIMPLEMENTED;
    ret_base->mem_base = (char *)low + bytes;
    return GC_SUCCESS;
}

void *GC_get_my_stackbottom(struct GC_stack_base *ret_base)
{
    GC_get_stack_base(ret_base);
    return &thread_is_registered; /* a handle: not NULL, the thread's own */
}

/* A stack is where the stack pointer is. */
void GC_set_stackbottom(void *thread, const struct GC_stack_base *base)
{
    (void)thread;
    GC_stackbottom = base->mem_base;
}

void GC_register_altstack(void *stack, GC_word stack_bytes, void *altstack, GC_word altstack_bytes)
{
    (void)stack;
    (void)stack_bytes;
    (void)altstack;
    (void)altstack_bytes;
}

/* ---- registration ---- */

void GC_allow_register_threads(void) {}

int GC_register_my_thread(const struct GC_stack_base *base)
{
    (void)base;
    if (thread_is_registered)
        return GC_DUPLICATE;
    if (geomem_register_thread() < 0)
        return GC_NO_MEMORY;
    thread_is_registered = true;
    return GC_SUCCESS;
}

/* The thread stays known: it may use the heap on, and is forgotten when it ends. */
int GC_unregister_my_thread(void)
{
    thread_is_registered = false;
    return GC_SUCCESS;
}

int GC_thread_is_registered(void)
{
    return thread_is_registered;
}

/* ---- safe regions: libgeomem's do not nest, bdwgc's two calls do ---- */

static void *thread_call(GC_fn_type function, void *data, bool blocking)
{
    bool was_blocking = thread_is_blocking;
    if (was_blocking == blocking)
        return function(data);
    if (blocking)
        geomem_region_enter();
    else
        geomem_region_leave();
    thread_is_blocking = blocking;
    void *result = function(data);
    if (blocking)
        geomem_region_leave();
    else
        geomem_region_enter();
    thread_is_blocking = was_blocking;
    return result;
}

__attribute__((noinline)) void *GC_do_blocking(GC_fn_type function, void *data)
{
    return thread_call(function, data, true);
}

__attribute__((noinline)) void *GC_call_with_gc_active(GC_fn_type function, void *data)
{
    return thread_call(function, data, false);
}

/* ---- signals ---- */

int GC_get_suspend_signal(void)
{
    GC_init();
    return gm_stop_signal();
}

int GC_get_thr_restart_signal(void)
{
    return GC_get_suspend_signal(); /* there is one signal only */
}

void GC_set_suspend_signal(int signal)
{
    (void)signal;
}

void GC_set_thr_restart_signal(int signal)
{
    (void)signal;
}

void GC_start_mark_threads(void) {}

/* ---- pthread ---- */

int GC_pthread_create(
    pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*start)(void *), void *data)
{
    return pthread_create(ret_thread, attributes, start, data);
}

int GC_pthread_join(pthread_t thread, void **ret_value)
{
    return pthread_join(thread, ret_value);
}

int GC_pthread_detach(pthread_t thread)
{
    return pthread_detach(thread);
}

int GC_pthread_cancel(pthread_t thread)
{
    return pthread_cancel(thread);
}

void GC_pthread_exit(void *value)
{
    pthread_exit(value);
}

int GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    return pthread_sigmask(how, set, ret_old);
}

void *GC_dlopen(const char *path, int mode)
{
    return dlopen(path, mode);
}

/* ---- fork: handled without being asked ---- */

void GC_set_handle_fork(int value)
{
    (void)value;
}

void GC_atfork_prepare(void) {}

void GC_atfork_parent(void) {}

void GC_atfork_child(void) {}
