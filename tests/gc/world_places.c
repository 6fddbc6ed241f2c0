/* world_places.c CASE: a secret is found in the places that are easily missed. One case a run. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "geomem/geomem.h"
#include "libgeomem/base/sys.h"
#include "tests/gc/world.h"

static _Atomic int ready, done;
static bool asks_kernel = true; /* what pages there are */

static void wait_for(_Atomic int *word, int value)
{
    while (atomic_load(word) < value)
        gm_sys_sleep_ns(100000);
}

static unsigned found(unsigned n)
{
    return secret_find(n, GM_ROOTS_ALL).found;
}

static pthread_t started(void *(*start)(void *), void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, start, arg) == 0);
    return thread;
}

static void *mapped(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

#define CLONE_THREAD_FLAGS \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* ---- a thread of a raw clone, which shares its maker's thread-local storage ------------------------------ */

static int cloned(void *arg)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(1);
    (void)arg;
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&done))
        gm_sys_sleep_ns(100000);
    word = 0;
    atomic_fetch_add(&ready, 1);
    for (;;)
        gm_sys1(SYS_exit, 0);
    return (int)word;
}

static void case_clone(void)
{
    char *stack = mapped(1 << 16);
    for (int i = 0; i < 3; i++)
        found(2);
    CHECK(clone(cloned, stack + (1 << 16), CLONE_THREAD_FLAGS, NULL) > 0);
    wait_for(&ready, 1);
    CHECK(found(1) > 0);
    atomic_store(&done, 1);
    wait_for(&ready, 2);
    munmap(stack, 1 << 16); /* the thread runs no instruction that needs it any more but exit's */
    for (int i = 0; i < 10; i++)
        CHECK(found(1) == 0);
}

/* ---- a tid that is used again, while the signal to its first owner was never taken ------------------------- */

enum { CLONE_STACK = 1 << 16 };

static int clone_start(int (*run)(void *), void *arg)
{
    return clone(run, (char *)mapped(CLONE_STACK) + CLONE_STACK, CLONE_THREAD_FLAGS, arg);
}

/* Blocks everything, as a helper thread of libc, and ends with the signal pending when `arg` is set. */
static int cloned_blocked(void *arg)
{
    uint64_t all = ~0ull;
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    atomic_fetch_add(&ready, 1);
    wait_for(arg, 1);
    for (;;)
        gm_sys1(SYS_exit, 0);
    return 0;
}

/* A clone with that very tid; false: not allowed, or others were always faster. */
static bool clone_again(int tid)
{
    for (int tries = 0; tries < 100; tries++) {
        FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
        if (!last || fprintf(last, "%d", tid - 1) < 0 || fclose(last) != 0)
            return false;
        if (clone_start(cloned, NULL) == tid)
            return true;
        wait_for(&ready, 1); /* it has another number, and goes */
        atomic_store(&done, 1);
        wait_for(&ready, 2);
        atomic_store(&done, 0);
        atomic_store(&ready, 0);
    }
    return false;
}

static void case_tid_again(void)
{
    static _Atomic int leave;
    int tid = clone_start(cloned_blocked, &leave);
    wait_for(&ready, 1);
    found(2); /* the signal is sent, and stays pending */
    atomic_store(&leave, 1);
    while (gm_sys3(SYS_tgkill, getpid(), tid, 0) == 0)
        gm_sys_sleep_ns(100000);
    atomic_store(&ready, 0);
    if (!clone_again(tid))
        return;
    wait_for(&ready, 1);
    uint64_t began = gm_sys_monotonic_ns();
    CHECK(found(1) > 0);
    CHECK(gm_sys_monotonic_ns() - began < 5000000000u);
    atomic_store(&done, 1);
    puts("the same tid");
}

/* ---- a handler on an alternate stack, over a stack that keeps a secret ------------------------------------ */

static void on_alternate(int number)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(1);
    (void)number;
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    word = 0;
}

static void *with_alternate(void *arg)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(2);
    stack_t stack = {.ss_sp = arg, .ss_size = 1 << 16};
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = on_alternate, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    word = 0;
    return NULL;
}

static void case_altstack(void)
{
    pthread_t thread = started(with_alternate, malloc(1 << 16));
    wait_for(&ready, 1);
    CHECK(found(1) > 0);
    CHECK(found(2) > 0);
    atomic_store(&done, 1);
    pthread_join(thread, NULL);
}

/* ---- coroutines: the one that runs, those that do not, and the stack they came from ----------------------- */

static ucontext_t thread_context, coroutine_context, other_context;

static void coroutine(unsigned n)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(n);
    if (n == 2) /* suspended for good, in the middle */
        swapcontext(&other_context, &thread_context);
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    word = 0;
}

static void context_make(ucontext_t *context, void *stack, unsigned n)
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = 1 << 16;
    context->uc_link = &thread_context;
    makecontext(context, (void (*)(void))(uintptr_t)coroutine, 1, n);
}

static void *with_coroutines(void *arg)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(3);
    void **stacks = arg;
    context_make(&other_context, stacks[0], 2);
    context_make(&coroutine_context, stacks[1], 1);
    swapcontext(&thread_context, &other_context);
    swapcontext(&thread_context, &coroutine_context);
    word = 0;
    return NULL;
}

static void coroutines_check(void *first, void *second)
{
    void *stacks[2] = {first, second};
    pthread_t thread = started(with_coroutines, stacks);
    wait_for(&ready, 1);
    CHECK(found(1) > 0);
    CHECK(found(2) > 0);
    CHECK(found(3) > 0);
    atomic_store(&done, 1);
    pthread_join(thread, NULL);
}

static void case_coroutine(void)
{
    coroutines_check(mapped(1 << 16), malloc(1 << 16));
}

static void case_coroutine_in_heap(void)
{
    coroutines_check(geomem_alloc(1 << 16), geomem_alloc(1 << 16));
}

/* ---- all signals blocked ------------------------------------------------------------------------------------ */

static void *with_signals_blocked(void *arg)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(1);
    sigset_t all, mask;
    sigfillset(&all);
    if (arg)
        sigprocmask(SIG_SETMASK, &all, NULL);
    else
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK(
        sigismember(&mask, SIGINT) && sigismember(&mask, SIGRTMAX) && !sigismember(&mask, SIGKILL));
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&done))
        ;
    word = 0;
    return NULL;
}

static void case_blocked(void)
{
    pthread_t first = started(with_signals_blocked, NULL);
    pthread_t second = started(with_signals_blocked, &done);
    wait_for(&ready, 2);
    CHECK(found(1) >= 2);
    /* those of threads made with everything blocked, too */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t third = started(with_signals_blocked, NULL);
    wait_for(&ready, 3);
    CHECK(found(1) >= 3);
    atomic_store(&done, 1);
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    pthread_join(third, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- a library loaded later: its globals, its thread-local storage ---------------------------------------- */

static void *with_library(void *library)
{
    volatile uint64_t *(*word)(void) =
        (volatile uint64_t * (*)(void))(uintptr_t)dlsym(library, "word_of_thread");
    CHECK(word);
    *word() = ~secret_hidden(1);
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    *word() = 0;
    return NULL;
}

static void case_library(void)
{
    void *library = dlopen(getenv("GM_TEST_LIBRARY"), RTLD_NOW);
    CHECK(library);
    volatile uint64_t *global = dlsym(library, "word_of_library");
    CHECK(global);
    pthread_t thread = started(with_library, library);
    wait_for(&ready, 1);
    CHECK(found(1) > 0);
    *global = ~secret_hidden(2);
    CHECK(found(2) > 0);
    atomic_store(&done, 1);
    pthread_join(thread, NULL);
    CHECK(found(1) == 0);
    /* of another name space */
    void *again = dlmopen(LM_ID_NEWLM, getenv("GM_TEST_LIBRARY"), RTLD_NOW);
    CHECK(again);
    volatile uint64_t *other = dlsym(again, "word_of_library");
    CHECK(other && other != global);
    *other = ~secret_hidden(3);
    CHECK(found(3) > 0);
    dlclose(again);
    dlclose(library);
    CHECK(found(2) == 0);
    CHECK(found(3) == 0);
}

/* ---- argument and result of a thread ------------------------------------------------------------------------ */

static void *with_result(void *arg)
{
    uint64_t n = (uintptr_t)arg;
    if (n == 2)
        pthread_exit((void *)~secret_hidden(2));
    return (void *)~secret_hidden((unsigned)n);
}

static void case_result(void)
{
    pthread_t threads[3];
    for (uintptr_t n = 1; n <= 3; n++)
        threads[n - 1] = started(with_result, (void *)n);
    for (unsigned n = 1; n <= 3; n++) /* also once it has ended */
        for (int i = 0; i < 50; i++) {
            CHECK(found(n) > 0 || i < 20);
            gm_sys_sleep_ns(1000000);
        }
    void *result;
    for (unsigned n = 1; n <= 3; n++) {
        pthread_join(threads[n - 1], &result);
        CHECK((uint64_t)(uintptr_t)result == ~secret_hidden(n));
    }
    result = NULL;
    for (unsigned n = 1; n <= 3; n++)
        CHECK(found(n) == 0 || n == 3); /* a register or a dead frame may still hold the last */
}

/* ---- memory that cannot be read ------------------------------------------------------------------------------ */

static unsigned registered(unsigned n)
{
    return secret_find(n, GM_ROOTS_REGISTERED).found;
}

static void case_unreadable(void)
{
    uint64_t *words = mapped(1 << 20);
    words[100] = ~secret_hidden(1);
    words[(1 << 17) - 1] = ~secret_hidden(2);
    CHECK(geomem_add_roots(words, 1 << 20) == 0);
    CHECK(registered(1) == 1 && registered(2) == 1);
    mprotect(words + 4096, 1 << 16, PROT_NONE);
    CHECK(registered(1) == 1 && registered(2) == 1);
    munmap(words, 1 << 16);
    CHECK(registered(1) == 0 && registered(2) == 1);
    munmap(words, 1 << 20);
    CHECK(registered(1) == 0 && registered(2) == 0);
    CHECK(geomem_remove_roots(words, 1 << 20) == 0);
}

/* ---- a deep stack, and one with a hole never touched -------------------------------------------------------- */

static void *with_deep_stack(void *arg)
{
    volatile uint64_t words[1 << 17]; /* 1 MB, of which two pages are touched */
    (void)arg;
    words[0] = ~secret_hidden(1);
    words[(1 << 17) - 1] = ~secret_hidden(2);
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    words[0] = words[(1 << 17) - 1] = 0;
    return NULL;
}

static void case_deep(void)
{
    pthread_t thread = started(with_deep_stack, NULL);
    wait_for(&ready, 1);
    CHECK(found(1) > 0 && found(2) > 0);
    if (asks_kernel)
        CHECK(secret_find(1, GM_ROOTS_THREADS).words < 1 << 16);
    atomic_store(&done, 1);
    pthread_join(thread, NULL);
}

/* ---- the main thread ends, others run on -------------------------------------------------------------------- */

static void *after_main(void *arg)
{
    (void)arg;
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(1);
    wait_for(&done, 1);
    for (int i = 0; i < 200; i++)
        CHECK(found(1) > 0);
    CHECK(found(2) == 0);
    word = 0;
    puts("ok");
    exit(0);
}

static void case_main_ends(void)
{
    started(after_main, NULL);
    found(2);
    atomic_store(&done, 1);
    pthread_exit(NULL);
}

/* ---- destructors of keys ------------------------------------------------------------------------------------ */

static pthread_key_t late_key;

static void late_destructor(void *value)
{
    static _Atomic int rounds;
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(1);
    if (atomic_fetch_add(&rounds, 1) < 2) {
        pthread_setspecific(late_key, value);
        return;
    }
    atomic_store(&ready, 1);
    while (!atomic_load(&done))
        ;
    word = 0;
}

static void *with_key(void *arg)
{
    pthread_setspecific(late_key, &late_key);
    return arg;
}

static void case_destructor(void)
{
    pthread_key_create(&late_key, late_destructor);
    pthread_t thread = started(with_key, NULL);
    wait_for(&ready, 1);
    CHECK(found(1) > 0);
    atomic_store(&done, 1);
    pthread_join(thread, NULL);
    CHECK(found(1) == 0);
}

/* ---- a thread that libc made by itself ---------------------------------------------------------------------- */

static void on_timer(union sigval value)
{
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(1);
    (void)value;
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&done)) { /* runs more than it waits, with all signals blocked */
        uint64_t until = gm_sys_monotonic_ns() + 300000;
        while (gm_sys_monotonic_ns() < until)
            ;
        gm_sys_sleep_ns(100000);
    }
    word = 0;
    atomic_fetch_add(&ready, 1);
}

static void case_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer};
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    wait_for(&ready, 1);
    for (int i = 0; i < 50; i++)
        CHECK(found(1) > 0);
    atomic_store(&done, 1);
    wait_for(&ready, 2);
    for (int i = 0; i < 50; i++)
        found(1);
}

/* ---- nothing to ask the kernel with: no /proc, no descriptor ---------------------------------------------- */

static void places_check(void)
{
    void (*places[])(void) = {case_altstack, case_coroutine, case_unreadable, case_deep};
    asks_kernel = false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        atomic_store(&ready, 0);
        atomic_store(&done, 0);
        places[i]();
    }
    volatile uint64_t word __attribute__((unused)) = ~secret_hidden(9);
    CHECK(found(9) > 0);
    word = 0;
}

static void case_no_proc(void)
{
    char folder[] = "/tmp/geomem-empty-XXXXXX";
    found(9);
    if (geteuid() != 0) /* chroot is for root */
        return;
    CHECK(mkdtemp(folder) && chroot(folder) == 0 && chdir("/") == 0);
    places_check();
    struct gm_world_stop_figures figures;
    gm_mutator_unregister();
    CHECK(gm_mutator_register() == 0);
    gm_world_lock();
    CHECK(gm_world_stop(&figures) == 0 && figures.threads == 0);
    gm_world_start();
    gm_world_unlock();
    places_check();
}

static void case_no_descriptor(void)
{
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    found(9);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    places_check();
}

static void *ends_at_once(void *arg)
{
    return arg;
}

/* A thread that was joined is counted by the kernel for a moment more, and cannot be looked for. */
static void case_no_descriptor_ends(void)
{
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    found(9);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int i = 0; i < 1000; i++) {
        pthread_join(started(ends_at_once, NULL), NULL);
        found(9);
    }
}

/* One that is really there, and that nobody knows: the stop is given up, and is possible again when it has gone. */
static void case_no_descriptor_unknown(void)
{
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    struct gm_world_stop_figures figures;
    found(9);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    clone_start(cloned, NULL);
    wait_for(&ready, 1);
    gm_world_lock();
    CHECK(gm_world_stop(&figures) == -EMFILE);
    gm_world_unlock();
    atomic_store(&done, 1);
    found(9);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"clone", case_clone},
    {"tid_again", case_tid_again},
    {"altstack", case_altstack},
    {"coroutine", case_coroutine},
    {"coroutine_in_heap", case_coroutine_in_heap},
    {"blocked", case_blocked},
    {"library", case_library},
    {"result", case_result},
    {"unreadable", case_unreadable},
    {"deep", case_deep},
    {"main_ends", case_main_ends},
    {"destructor", case_destructor},
    {"timer", case_timer},
    {"no_proc", case_no_proc},
    {"no_descriptor", case_no_descriptor},
    {"no_descriptor_ends", case_no_descriptor_ends},
    {"no_descriptor_unknown", case_no_descriptor_unknown},
};

int main(int argc, char **argv)
{
    CHECK(argc == 2 && gm_world_init() == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        cases[i].run();
        puts("ok");
        return 0;
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
