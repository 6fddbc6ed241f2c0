/* world_signals.c CASE: the program's signals are its own, while the world is stopped again and again. One case a run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "libgeomem/base/sys.h"
#include "tests/gc/world.h"

static _Atomic int done;
static _Atomic uint64_t stops;
static _Atomic int in_stop;

static void *stop_often(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        struct gm_world_stop_figures figures;
        gm_world_lock();
        CHECK(gm_world_stop(&figures) == 0);
        atomic_store(&in_stop, 1);
        gm_sys_sleep_ns(50000);
        atomic_store(&in_stop, 0);
        gm_world_start();
        gm_world_unlock();
        atomic_fetch_add(&stops, 1);
        gm_sys_sleep_ns(50000);
    }
    return NULL;
}

/* ---- every real-time signal, by handler, by sigwait and by descriptor -------------------------------------- */

static _Atomic int counts[65];

static void on_count(int number, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(info->si_signo == number);
    CHECK(!atomic_load(&in_stop)); /* no code of the program's runs while it is stopped */
    atomic_fetch_add(&counts[number], 1);
}

static void case_realtime(void)
{
    sigset_t all, before;
    for (int n = SIGRTMIN; n <= SIGRTMAX; n++) {
        struct sigaction action = {.sa_sigaction = on_count, .sa_flags = SA_SIGINFO}, now;
        sigfillset(&action.sa_mask);
        CHECK(sigaction(n, &action, NULL) == 0);
        CHECK(sigaction(n, NULL, &now) == 0 && now.sa_sigaction == on_count);
    }
    for (int round = 0; round < 2000; round++)
        for (int n = SIGRTMIN; n <= SIGRTMAX; n++)
            CHECK(raise(n) == 0);
    for (int n = SIGRTMIN; n <= SIGRTMAX; n++)
        CHECK(atomic_load(&counts[n]) == 2000);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int round = 0; round < 100; round++)
        for (int n = SIGRTMIN; n <= SIGRTMAX; n++) {
            int got = 0;
            siginfo_t info;
            CHECK(raise(n) == 0);
            CHECK(sigwait(&all, &got) == 0 && got == n);
            CHECK(raise(n) == 0);
            CHECK(sigwaitinfo(&all, &info) == n && info.si_signo == n);
        }
    int fd = signalfd(-1, &all, 0);
    CHECK(fd >= 0);
    for (int n = SIGRTMIN; n <= SIGRTMAX; n++) {
        struct signalfd_siginfo info;
        CHECK(raise(n) == 0);
        CHECK(read(fd, &info, sizeof info) == sizeof info && (int)info.ssi_signo == n);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The stop signal itself, sent by somebody else to a program that handles it by number. */
static void case_stop_signal(void)
{
    int number = SIGRTMAX + 1;
    struct sigaction action = {.sa_sigaction = on_count, .sa_flags = SA_SIGINFO}, now;
    CHECK(sigaction(number, &action, NULL) == 0);
    CHECK(sigaction(number, NULL, &now) == 0 && now.sa_sigaction == on_count);
    for (int i = 0; i < 200; i++)
        CHECK(kill(getpid(), number) == 0 && usleep(200) == 0);
    CHECK(atomic_load(&counts[number]) == 200);
}

/* ---- a handler of SIGSEGV that mends and goes on ---------------------------------------------------------------- */

static char *page;
static _Atomic int faults;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    CHECK((char *)info->si_addr >= page && (char *)info->si_addr < page + 4096);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
    atomic_fetch_add(&faults, 1);
}

static void case_fault(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED && sigaction(SIGSEGV, &action, NULL) == 0);
    for (int i = 0; i < 20000; i++) {
        *(volatile char *)page = (char)i;
        CHECK(atomic_load(&faults) == i + 1);
        mprotect(page, 4096, PROT_NONE);
    }
}

/* ---- out of a wait by a jump, or by cancellation: the region ends ------------------------------------------ */

static sigjmp_buf out;

static void on_jump(int number)
{
    (void)number;
    siglongjmp(out, 1);
}

/* While the world is stopped the count may not change, though the thread once was in a region. */
static void count_watched(_Atomic uint64_t *count)
{
    struct gm_world_stop_figures figures;
    for (int i = 0; i < 20; i++) {
        gm_world_lock();
        CHECK(gm_world_stop(&figures) == 0);
        uint64_t before = atomic_load(count);
        gm_sys_sleep_ns(200000);
        CHECK(before == atomic_load(count));
        gm_world_start();
        gm_world_unlock();
        gm_sys_sleep_ns(100000);
    }
}

static _Atomic uint64_t count;
static _Atomic int counting;

static void count_on(void)
{
    atomic_fetch_add(&counting, 1);
    while (!atomic_load(&done))
        atomic_fetch_add(&count, 1);
}

static void *jumps_out(void *arg)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec soon = {.it_value = {.tv_nsec = 20000000}};
    (void)arg;
    event._sigev_un._tid = (int)gm_sys0(SYS_gettid);
    signal(SIGUSR1, on_jump);
    if (sigsetjmp(out, 1) == 0) {
        CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
        poll(NULL, 0, -1);
        CHECK(!"poll returned");
    }
    count_on();
    return NULL;
}

static void case_jump(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, jumps_out, NULL) == 0);
    while (!atomic_load(&counting))
        gm_sys_sleep_ns(100000);
    count_watched(&count);
    atomic_store(&done, 1);
    pthread_join(thread, NULL);
}

static void on_cancel(void *arg)
{
    (void)arg;
    count_on();
}

static void *is_cancelled(void *arg)
{
    pthread_cleanup_push(on_cancel, arg);
    atomic_fetch_add(&counting, 1);
    poll(NULL, 0, -1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void case_cancel(void)
{
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, is_cancelled, NULL) == 0);
    while (!atomic_load(&counting))
        gm_sys_sleep_ns(100000);
    pthread_cancel(thread);
    while (atomic_load(&counting) < 2)
        gm_sys_sleep_ns(100000);
    count_watched(&count);
    atomic_store(&done, 1);
    pthread_join(thread, &result);
    CHECK(result == PTHREAD_CANCELED);
}

/* ---- another program instead of this one, out of many threads ---------------------------------------------- */

static void *waits_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        atomic_fetch_add(&count, 1);
    return NULL;
}

static void *executes(void *arg)
{
    (void)arg;
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

static void case_exec(void)
{
    for (int i = 0; i < 40; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, stop_often, NULL);
            pthread_create(&thread, NULL, waits_for_ever, NULL);
            pthread_create(&thread, NULL, waits_for_ever, NULL);
            gm_sys_sleep_ns(3000000 + i * 10000);
            pthread_create(&thread, NULL, executes, NULL);
            waits_for_ever(NULL);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
    bool with_stops;
} cases[] = {
    {"realtime", case_realtime, true},
    {"stop_signal", case_stop_signal, true},
    {"fault", case_fault, true},
    {"jump", case_jump, false},
    {"cancel", case_cancel, false},
    {"exec", case_exec, false},
};

int main(int argc, char **argv)
{
    pthread_t stopper;
    CHECK(argc == 2 && gm_world_init() == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        if (cases[i].with_stops) {
            sigset_t all, before; /* the process's signals are for this thread */
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
            CHECK(pthread_create(&stopper, NULL, stop_often, NULL) == 0);
            pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
        cases[i].run();
        atomic_store(&done, 1);
        if (cases[i].with_stops)
            pthread_join(stopper, NULL);
        printf("ok: %llu stops\n", (unsigned long long)atomic_load(&stops));
        return 0;
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
