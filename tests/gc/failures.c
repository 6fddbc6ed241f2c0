/* failures.c [FROM TO] - one system call fails, for each of them in turn: no block that is reachable is lost, no call of libgeomem
 * does worse than to say that there is no memory, and afterwards everything works again.
 *
 * A child is traced from its first use of libgeomem. Memory, descriptors, threads and signals are what can run out: the n-th
 * call for one of them fails, and in a second round also the 40 after it. So everything between the program and the
 * kernel is tested as it is shipped, the C library's own calls included.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "geomem/geomem.h"

/* ---- the program ---- */

/* Told to the tracer by a system call that takes no arguments: failures end here. */
#define END_OF_FAILURES 0x67656f6d656dul

struct node {
    struct node *next;
    struct node *other; /* made later: an old block that points to a young one */
    uintptr_t number;
    uintptr_t seal;
};
enum { CHAIN = 400, CHURN = 3000, ROUNDS = 5 };

static struct node *chain; /* a global: a root */
static struct geomem_weak *weaks[CHAIN];
static struct geomem_weak *ephemerons[CHAIN];
static void *links[CHAIN];
static int linked[CHAIN];
static _Atomic int finalized;

static void fail(const char *what)
{
    fprintf(stderr, "failures: %s\n", what);
    _exit(1);
}

static struct node *node_new(uintptr_t number, struct node *next)
{
    struct node *node = geomem_gc_alloc(sizeof *node);
    if (node == NULL)
        return NULL;
    if (node->next != NULL || node->other != NULL || node->number != 0)
        fail("a block is not zeroed");
    node->number = number;
    node->seal = ~number;
    node->next = next;
    return node;
}

static void finalize(void *block, void *data)
{
    struct node *node = block;
    if (node->seal != ~node->number || data != &finalized)
        fail("a finalizer's block is gone");
    finalized++;
}

static void chain_grow(int count)
{
    for (int i = 0; i < count; i++) {
        uintptr_t number = chain == NULL ? 0 : chain->number + 1;
        struct node *node = node_new(number, chain);
        if (node == NULL || number >= CHAIN)
            return;
        chain = node;
        if (geomem_weak_create(node, (int)number & 1, &weaks[number]) != 0)
            weaks[number] = NULL;
        struct node *value = node_new(number, NULL);
        if (value == NULL || geomem_ephemeron_create(node, value, &ephemerons[number]) != 0)
            ephemerons[number] = NULL;
        links[number] = (void *)1;
        linked[number] = geomem_weak_link(&links[number], node, 0) == 0;
        struct node *doomed = node_new(number, node);
        if (doomed != NULL)
            geomem_finalizer_set(
                doomed, finalize, &finalized, GEOMEM_FINALIZE_UNORDERED, NULL, NULL);
    }
}

static void chain_change(void)
{
    for (struct node *node = chain; node != NULL; node = node->next)
        if (node->number % 3 == 0)
            node->other = node_new(node->number, NULL);
}

static void chain_check(void)
{
    for (struct node *node = chain; node != NULL; node = node->next) {
        uintptr_t i = node->number;
        if (node->seal != ~i || (node->next != NULL && node->next->number != i - 1))
            fail("a block of the chain is gone");
        if (node->other != NULL && (node->other->number != i || node->other->seal != ~i))
            fail("a young block is gone");
        if (weaks[i] != NULL && geomem_weak_get(weaks[i]) != node)
            fail("a weak reference to a living block was cleared");
        struct node *value =
            ephemerons[i] == NULL ? NULL : geomem_ephemeron_value(ephemerons[i], NULL);
        if (ephemerons[i] != NULL && (value == NULL || value->number != i || value->seal != ~i))
            fail("the value of a living key is gone");
        if (linked[i] && links[i] == NULL)
            fail("a link to a living block was cleared");
    }
}

static void *churn(void *arg)
{
    struct node *kept = NULL;
    for (uintptr_t i = 0; i < CHURN; i++) {
        struct node *node = node_new(i, i % 50 == 0 ? NULL : kept);
        if (node != NULL)
            kept = node;
        void *block = geomem_alloc(16 + i * 7 % 3000);
        if (block != NULL)
            memset(block, 0x5a, 16);
        void *moved = block == NULL ? NULL : geomem_realloc(block, 100 + i % 500);
        geomem_free(moved != NULL ? moved : block);
        if (i % 500 == 0) {
            uintptr_t *large = geomem_gc_alloc(300000 + i * 1000);
            if (large != NULL && large[(300000 + i * 1000) / sizeof *large - 1] != 0)
                fail("a large block is not zeroed");
        }
    }
    for (struct node *node = kept; node != NULL; node = node->next)
        if (node->seal != ~node->number)
            fail("a block of a thread is gone");
    return arg;
}

static int program(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        bool has_thread = pthread_create(&thread, NULL, churn, NULL) == 0;
        chain_grow(CHAIN / ROUNDS);
        churn(NULL);
        geomem_gc(NULL, round % 2 == 0 ? GEOMEM_YOUNG : GEOMEM_OLD);
        chain_change();
        geomem_gc(NULL, GEOMEM_YOUNG);
        chain_check();
        if (has_thread)
            pthread_join(thread, NULL);
        geomem_heap_purge(NULL);
    }
    syscall(SYS_getpid, END_OF_FAILURES);
    chain_check();
    for (int i = 0; i < 3; i++) {
        chain_grow(10);
        if (node_new(0, NULL) == NULL || geomem_alloc(100000) == NULL)
            fail("there is no memory, though it can be had again");
        if (geomem_gc(NULL, i == 1 ? GEOMEM_YOUNG : GEOMEM_OLD) != 0)
            fail("no collection, though nothing fails any more");
        chain_check();
        if (geomem_heap_check(NULL, 3, stderr) != 0)
            fail("the heap is damaged");
    }
    return 0;
}

/* ---- the tracer ---- */

static int call_error(long number)
{
    switch (number) {
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_mremap:
    case SYS_ioctl:
        return ENOMEM;
    case SYS_openat:
    case SYS_userfaultfd:
        return EMFILE;
    case SYS_clone:
    case SYS_clone3:
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo:
        return EAGAIN;
    default:
        return 0;
    }
}

struct trace {
    long from, to; /* calls that fail, counted from 0 */
    long calls;
    bool is_over;
    long first[3];      /* the first that failed: number, two arguments */
    int fails_with[64]; /* by thread id: the call that it is in is to fail so */
    pid_t thread[64];
    bool is_inside[64];
    int threads;
};

static int trace_slot(struct trace *trace, pid_t thread)
{
    for (int i = 0; i < trace->threads; i++)
        if (trace->thread[i] == thread)
            return i;
    if (trace->threads == 64)
        abort();
    trace->thread[trace->threads] = thread;
    return trace->threads++;
}

static void trace_enter(struct trace *trace, int slot, struct user_regs_struct *registers)
{
    int error = call_error((long)registers->orig_rax);
    trace->fails_with[slot] = 0;
    if (registers->orig_rax == SYS_getpid && registers->rdi == END_OF_FAILURES)
        trace->is_over = true;
    if (error == 0 || trace->is_over)
        return;
    long call = trace->calls++;
    if (call < trace->from || call >= trace->to)
        return;
    trace->fails_with[slot] = error;
    if (call == trace->from) {
        trace->first[0] = (long)registers->orig_rax;
        trace->first[1] = (long)registers->rdi;
        trace->first[2] = (long)registers->rsi;
    }
    registers->orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, trace->thread[slot], 0, registers);
}

static void trace_call(struct trace *trace, pid_t thread)
{
    struct user_regs_struct registers;
    int slot = trace_slot(trace, thread);
    if (ptrace(PTRACE_GETREGS, thread, 0, &registers) < 0)
        return; /* killed */
    trace->is_inside[slot] = !trace->is_inside[slot];
    if (trace->is_inside[slot]) {
        trace_enter(trace, slot, &registers);
    } else if (trace->fails_with[slot] != 0) {
        registers.rax = (unsigned long long)-(long long)trace->fails_with[slot];
        ptrace(PTRACE_SETREGS, thread, 0, &registers);
    }
}

/* Its exit status, or 1000 and the signal. */
static int trace_run(struct trace *trace)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        alarm(60); /* a hang is a failure */
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(program());
    }
    int status;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, 0,
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, child, 0, 0);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread == child && WIFEXITED(status))
            return WEXITSTATUS(status);
        if (thread == child && WIFSIGNALED(status))
            return 1000 + WTERMSIG(status);
        if (thread < 0)
            return -errno;
        if (!WIFSTOPPED(status))
            continue;
        int signal_number = WSTOPSIG(status);
        if (signal_number == (SIGTRAP | 0x80))
            trace_call(trace, thread);
        /* a new thread begins with a stop of its own, and an event is no signal of the program's */
        bool is_own =
            signal_number == (SIGTRAP | 0x80) || status >> 16 != 0 || signal_number == SIGSTOP;
        ptrace(PTRACE_SYSCALL, thread, 0, (unsigned long)(is_own ? 0 : signal_number));
    }
}

static int try_from(long from, long count)
{
    struct trace trace = {.from = from, .to = from + count};
    int result = trace_run(&trace);
    if (result != 0)
        fprintf(stderr,
            "failures: with calls %ld to %ld failing, from system call %ld(%#lx, %#lx) on: %s %d\n",
            from, from + count - 1, trace.first[0], trace.first[1], trace.first[2],
            result > 1000 ? "signal" : "exit status", result > 1000 ? result - 1000 : result);
    return result != 0;
}

int main(int argc, char **argv)
{
    struct trace none = {.from = -1, .to = -1};
    int result = trace_run(&none);
    if (result == -EPERM || none.calls == 0) {
        printf("failures: nothing can be traced here\n");
        return 0;
    }
    long from = argc > 1 ? atol(argv[1]) : 0, to = argc > 2 ? atol(argv[2]) : none.calls + 5;
    int failed = result != 0;
    printf("failures: %ld calls can fail\n", none.calls);
    for (long call = from; call < to; call++) {
        failed += try_from(call, 1);
        if (call % 8 == 0)
            failed += try_from(call, 40);
    }
    printf("failures: %d runs failed\n", failed);
    return failed != 0;
}
