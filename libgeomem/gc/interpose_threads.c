/* interpose_threads.c - how threads and coroutines begin and end.
 *
 * Found by name in a program that is linked against libgeomem. libc's own calls, and those of a program that loaded
 * libgeomem later, do not come here: their threads are found by the next stop.
 */
#include <pthread.h>
#include <ucontext.h>

#include "libgeomem/gc/interpose.h"
#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/roots.h"

GM_REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))

static void *thread_start(void *slot)
{
    void *(*start)(void *), *argument;
    gm_mutator_begin(slot, &start, &argument);
    void *result = start(argument);
    gm_mutator_result(result);
    return result;
}

static bool attr_is_detached(const pthread_attr_t *attr)
{
    int state;
    return attr && pthread_attr_getdetachstate(attr, &state) == 0 &&
           state == PTHREAD_CREATE_DETACHED;
}

GM_INTERPOSED int pthread_create(
    pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *argument)
{
    struct gm_mutator *slot = NULL;
    if (gm_world_in_use())
        slot = gm_mutator_expect(start, argument, !attr_is_detached(attr));
    if (!slot) /* found by the next stop */
        return pthread_create_real()(thread, attr, start, argument);
    int err = pthread_create_real()(thread, attr, thread_start, slot);
    if (err)
        gm_mutator_unexpect(slot);
    return err;
}

/* ---- a thread's result is a root until it is fetched ------------------------------------------------------ */

GM_REAL(void, pthread_exit, (void *))
GM_INTERPOSED __attribute__((noreturn)) void pthread_exit(void *result)
{
    gm_mutator_result(result);
    pthread_exit_real()(result);
    __builtin_unreachable();
}

/* The result is in the caller's hands before the slot goes. */
#define JOIN(name, parameters, arguments) \
    GM_REAL(int, name, parameters) \
    GM_INTERPOSED int name parameters \
    { \
        int err = name##_real() arguments; \
        if (err == 0) \
            gm_mutator_forget(thread); \
        return err; \
    }
JOIN(pthread_join, (pthread_t thread, void **ret_result), (thread, ret_result))
JOIN(pthread_tryjoin_np, (pthread_t thread, void **ret_result), (thread, ret_result))
JOIN(pthread_timedjoin_np, (pthread_t thread, void **ret_result, const struct timespec *deadline),
    (thread, ret_result, deadline))
JOIN(pthread_clockjoin_np,
    (pthread_t thread, void **ret_result, clockid_t clock, const struct timespec *deadline),
    (thread, ret_result, clock, deadline))
JOIN(pthread_detach, (pthread_t thread), (thread))

/* ---- stacks of coroutines ----------------------------------------------------------------------------------- */

/* makecontext takes any number of arguments: the stack is noted, and the call goes on as it came. */
uintptr_t gm_coroutine_note(const ucontext_t *context);
__attribute__((used)) uintptr_t gm_coroutine_note(const ucontext_t *context)
{
    static _Atomic(uintptr_t) real;
    gm_coroutine_stack_add(context->uc_stack.ss_sp, context->uc_stack.ss_size);
    uintptr_t found = atomic_load_explicit(&real, memory_order_relaxed);
    if (!found) {
        found = gm_interposed_find("makecontext", NULL);
        atomic_store_explicit(&real, found, memory_order_relaxed);
    }
    return found;
}

__asm__(".pushsection .text\n"
        ".globl makecontext\n"
        ".type makecontext, @function\n"
        "makecontext:\n\t"
        ".cfi_startproc\n\t"
        "push %rdi\n\t"
        "push %rsi\n\t"
        "push %rdx\n\t"
        "push %rcx\n\t"
        "push %r8\n\t"
        "push %r9\n\t"
        "push %rax\n\t"
        ".cfi_adjust_cfa_offset 56\n\t"
        "call gm_coroutine_note\n\t"
        "mov %rax, %r11\n\t"
        "pop %rax\n\t"
        "pop %r9\n\t"
        "pop %r8\n\t"
        "pop %rcx\n\t"
        "pop %rdx\n\t"
        "pop %rsi\n\t"
        "pop %rdi\n\t"
        ".cfi_adjust_cfa_offset -56\n\t"
        "jmp *%r11\n\t"
        ".cfi_endproc\n"
        ".size makecontext, . - makecontext\n"
        ".popsection\n");
