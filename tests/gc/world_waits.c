/* world_waits.c CASE: while the world is stopped again and again, a wait ends when it should, with what it should: no EINTR, no
 * short transfer, no time lost; and one that is stopped meanwhile goes on only afterwards. One case a run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "libgeomem/base/sys.h"
#include "tests/gc/world.h"

static _Atomic int done;
static _Atomic uint64_t stops;

static void *stop_often(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        struct gm_world_stop_figures figures;
        gm_world_lock();
        CHECK(gm_world_stop(&figures) == 0);
        gm_world_start();
        gm_world_unlock();
        atomic_fetch_add(&stops, 1);
        gm_sys_sleep_ns(20000);
    }
    return NULL;
}

static uint64_t now(void)
{
    return gm_sys_monotonic_ns();
}

static struct timespec in_ns(clockid_t clock, uint64_t ns)
{
    struct timespec t;
    clock_gettime(clock, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / 1000000000u);
    t.tv_nsec = (long)(ns % 1000000000u);
    return t;
}

/* The call's time, in which at least some stops fell, was not cut short. */
#define TIMED(ms, call, expected) \
    do { \
        uint64_t began = now(); \
        errno = 0; \
        long long result = (long long)(call); \
        if (result != (long long)(expected) || now() - began < (ms)*1000000ull - 100000) { \
            fprintf(stderr, "%s: %lld after %.3f ms, %s\n", #call, result, (now() - began) / 1e6, \
                strerror(errno)); \
            _exit(1); \
        } \
    } while (0)

static void case_timeouts(void)
{
    int pair[2], epoll = epoll_create1(0);
    sem_t sem;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    sem_init(&sem, 0, 0);
    struct pollfd fd = {.fd = pair[0], .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
    struct timespec short_time = {.tv_nsec = 30000000}, deadline;
    struct timeval limit = {.tv_usec = 30000};
    char byte;
    for (int i = 0; i < 10; i++) {
        TIMED(30, poll(&fd, 1, 30), 0);
        TIMED(30, ppoll(&fd, 1, &short_time, NULL), 0);
        TIMED(30, epoll_wait(epoll, &event, 1, 30), 0);
        fd_set set;
        FD_ZERO(&set);
        FD_SET(pair[0], &set);
        struct timeval select_time = limit;
        TIMED(30, select(pair[0] + 1, &set, NULL, NULL, &select_time), 0);
        TIMED(30, nanosleep(&short_time, NULL), 0);
        TIMED(30, clock_nanosleep(CLOCK_MONOTONIC, 0, &short_time, NULL), 0);
        TIMED(30, usleep(30000), 0);
        /* inside: the thread may lose its processor between the two */
        TIMED(30, (deadline = in_ns(CLOCK_REALTIME, 30000000), sem_timedwait(&sem, &deadline)), -1);
        CHECK(errno == ETIMEDOUT);
        pthread_mutex_lock(&mutex);
        TIMED(30,
            (deadline = in_ns(CLOCK_REALTIME, 30000000),
                pthread_cond_timedwait(&condition, &mutex, &deadline)),
            ETIMEDOUT);
        pthread_mutex_unlock(&mutex);
    }
    TIMED(1000, sleep(1), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (int i = 0; i < 10; i++) {
        TIMED(25, recv(pair[0], &byte, 1, 0), -1); /* the kernel counts in jiffies */
        CHECK(errno == EAGAIN);
    }
}

/* ---- transfers: whole, in the sizes that were asked for ---------------------------------------------------- */

enum { BULK = 4 << 20 };

static void *write_bulk(void *arg)
{
    char *bulk = calloc(1, BULK);
    CHECK(write(*(int *)arg, bulk, BULK) == BULK);
    CHECK(send(((int *)arg)[1], bulk, BULK, 0) == BULK);
    free(bulk);
    return NULL;
}

static void case_transfers(void)
{
    int pipes[2], pair[2], ends[2];
    pthread_t writer;
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    ends[0] = pipes[1];
    ends[1] = pair[1];
    CHECK(pthread_create(&writer, NULL, write_bulk, ends) == 0);
    char *buffer = malloc(BULK);
    for (int got = 0; got < BULK;) {
        struct timespec little = {.tv_nsec = 200000};
        ssize_t n = read(pipes[0], buffer, 30000);
        CHECK(n > 0);
        got += (int)n;
        nanosleep(&little, NULL);
    }
    CHECK(recv(pair[0], buffer, BULK, MSG_WAITALL) == BULK);
    pthread_join(writer, NULL);
    free(buffer);
}

/* ---- hand-overs without a timeout: each side waits for the other -------------------------------------------- */

static sem_t there, back;
static int pipe_there[2], pipe_back[2];

static void *answer(void *arg)
{
    char byte;
    for (int i = 0; i < *(int *)arg; i++) {
        CHECK(sem_wait(&there) == 0);
        CHECK(sem_post(&back) == 0);
        CHECK(read(pipe_there[0], &byte, 1) == 1);
        CHECK(write(pipe_back[1], &byte, 1) == 1);
    }
    return NULL;
}

static void case_handovers(void)
{
    int rounds = 20000;
    char byte = 1;
    pthread_t thread;
    sem_init(&there, 0, 0);
    sem_init(&back, 0, 0);
    CHECK(pipe(pipe_there) == 0 && pipe(pipe_back) == 0);
    CHECK(pthread_create(&thread, NULL, answer, &rounds) == 0);
    for (int i = 0; i < rounds; i++) {
        CHECK(sem_post(&there) == 0);
        CHECK(sem_wait(&back) == 0);
        CHECK(write(pipe_there[1], &byte, 1) == 1);
        CHECK(read(pipe_back[0], &byte, 1) == 1);
    }
    pthread_join(thread, NULL);
}

/* ---- children: made in every way, while stops go on ---------------------------------------------------------- */

static void ended(pid_t child, int expected)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

/* It has one thread, whatever its parent was in the middle of. */
static void forked(void)
{
    struct gm_world_stop_figures figures;
    pthread_t thread;
    int none = 0;
    for (int i = 0; i < 3; i++) {
        gm_world_lock();
        CHECK(gm_world_stop(&figures) == 0 && figures.threads == 0);
        gm_world_start();
        gm_world_unlock();
    }
    CHECK(pthread_create(&thread, NULL, answer, &none) == 0 && pthread_join(thread, NULL) == 0);
    _exit(7);
}

static pid_t vforked(void)
{
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    return child;
}

static void case_children(void)
{
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0)
            forked();
        ended(child, 7);
        ended(vforked(), 0);
    }
    for (int i = 0; i < 20; i++) {
        CHECK(system("exit 3") == 3 << 8);
        FILE *stream = popen("echo word", "r");
        char line[16];
        CHECK(stream && fgets(line, sizeof line, stream) && strcmp(line, "word\n") == 0);
        CHECK(pclose(stream) == 0);
    }
}

/* ---- the program's own signals still interrupt ---------------------------------------------------------------- */

static _Atomic int alarms;

static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

static void case_own_signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm}, old;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(sigaction(SIGALRM, NULL, &old) == 0 && old.sa_handler == on_alarm && old.sa_flags == 0);
    sigset_t alarm_set, before;
    sigemptyset(&alarm_set);
    sigaddset(&alarm_set, SIGALRM);
    for (int i = 0; i < 100; i++) {
        timer_t timer;
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
        struct itimerspec soon = {.it_value = {.tv_nsec = 2000000}};
        int had = atomic_load(&alarms);
        /* blocked, and let in by ppoll alone: it cannot come before the wait */
        pthread_sigmask(SIG_BLOCK, &alarm_set, &before);
        CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
        CHECK(ppoll(NULL, 0, NULL, &before) == -1 && errno == EINTR);
        CHECK(atomic_load(&alarms) == had + 1);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        timer_delete(timer);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"timeouts", case_timeouts},
    {"transfers", case_transfers},
    {"handovers", case_handovers},
    {"children", case_children},
    {"own_signals", case_own_signals},
};

int main(int argc, char **argv)
{
    pthread_t stopper;
    sigset_t alarm_set;
    CHECK(argc == 2 && gm_world_init() == 0);
    /* a process's signal goes to any thread: to this one */
    sigemptyset(&alarm_set);
    sigaddset(&alarm_set, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_set, NULL);
    CHECK(pthread_create(&stopper, NULL, stop_often, NULL) == 0);
    pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        cases[i].run();
        atomic_store(&done, 1);
        pthread_join(stopper, NULL);
        printf("ok: %llu stops\n", (unsigned long long)atomic_load(&stops));
        return 0;
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
