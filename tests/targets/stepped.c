/* stepped.c step | alarm N - a signal handler on an alternate stack that allocates, in the middle of everything.
 *
 * step    the handler runs after every single instruction (the processor's trap flag) of work() and of all it calls:
 *         prologues and epilogues, the PLT and the lazy binder, libc, the vDSO, the allocator, the recorder's own
 *         hooks. Prints how many instructions that were.
 * alarm N a timer interrupts work() again and again, until N signals have come.
 *
 * Each signal makes one allocation of 4,001 bytes: on_signal > handler_outer > handler_inner > malloc. */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "target.h"

enum { TRAP_FLAG = 0x100 };

static volatile int stepping;
static volatile unsigned long signals;
static void *volatile handler_sink, *volatile sink;

static NOINLINE void handler_inner(void)
{
    handler_sink = malloc(4001); /* LEAK handler */
}

static NOINLINE void handler_outer(void)
{
    char frame[200];
    target_opaque(frame);
    handler_inner();
    __asm__ volatile(""); /* no tail call */
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)info;
    handler_outer();
    signals++;
    if (number == SIGALRM)
        return;
    if (stepping)
        uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    else
        uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static void handler_set(int number, int more_flags)
{
    struct sigaction action = {
        .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | more_flags};
    REQUIRE(sigaction(number, &action, NULL) == 0);
}

/* ---- what is interrupted: functions of every shape ------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    free(malloc(24));
    return *(const int *)a - *(const int *)b;
}

/* A frame whose size is known at run time only: its table goes by rbp. */
static NOINLINE size_t varying(size_t bytes)
{
    char *area = __builtin_alloca(bytes);
    memset(area, (int)bytes, bytes);
    sink = malloc(bytes);
    free(sink);
    return (size_t)(unsigned char)area[bytes / 2];
}

/* A frame whose stack is aligned anew: its table is an expression. */
static NOINLINE int aligned(int n)
{
    char frame[64] __attribute__((aligned(128)));
    target_opaque(frame);
    snprintf(frame, sizeof frame, "%d %.3f %s", n, n / 7.0, "text");
    sink = strdup(frame);
    free(sink);
    return frame[0];
}

static NOINLINE int six_saved(int a, int b, int c, int d, int e, int f)
{
    int sum = 0;
    for (int i = a; i < b; i++) {
        sum += c * d - e % (f + 1);
        sink = malloc((size_t)(i + 1));
        free(sink);
    }
    return sum;
}

static NOINLINE int recursion(int depth)
{
    int below = depth ? recursion(depth - 1) : six_saved(0, 3, 5, 7, 11, 13);
    return below + depth;
}

static NOINLINE void work(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct timespec now;
    int numbers[] = {5, 3, 9, 1};
    pthread_mutex_lock(&mutex);
    qsort(numbers, 4, sizeof *numbers, compare);
    pthread_mutex_unlock(&mutex);
    varying(100);
    aligned(42);
    recursion(6);
    clock_gettime(CLOCK_MONOTONIC, &now);
    getppid();
    sink = calloc(3, 50);
    sink = realloc(sink, 300);
    free(sink);
}

int main(int argc, char **argv)
{
    static char alternate[262144];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    REQUIRE(argc >= 2 && sigaltstack(&stack, NULL) == 0);
    free(target_opaque(malloc(1))); /* a handler inside a thread's very first event is counted as lost */
    handler_set(SIGTRAP, 0);
    handler_set(SIGALRM, SA_RESTART);
    if (strcmp(argv[1], "step") == 0) {
        stepping = 1;
        raise(SIGTRAP); /* the handler turns the trap flag on */
        work();
        stepping = 0;
        __asm__ volatile("nop\n\tnop");
        REQUIRE(signals > 1000);
    } else {
        struct itimerval timer = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
        REQUIRE(argc == 3 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
        while (signals < strtoul(argv[2], NULL, 10))
            work();
        setitimer(ITIMER_REAL, &off, NULL);
    }
    printf("%lu\n", signals);
    return 0;
}
