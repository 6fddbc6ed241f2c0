/* small_stacks.c - allocates on the smallest stacks there are, and prints how much stack a malloc takes at
 * most: first event of a thread, later ones, and in a handler on an alternate stack. The test compares the
 * figures with those of the same program unrecorded. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target.h"

enum { STACK = 256 * 1024 };

static NOINLINE void allocate_some(void)
{
    for (int i = 0; i < 100; i++)
        free(realloc(malloc((size_t)(20 + i)), 300));
    free(target_opaque(aligned_alloc(64, 256)));
}

static void *thread_run(void *unused)
{
    allocate_some();
    return unused;
}

static size_t stack_used(const unsigned char *stack, size_t bytes)
{
    size_t untouched = 0;
    while (untouched < bytes && stack[untouched] == 0x5a)
        untouched++;
    return bytes - untouched;
}

static unsigned char *stack_new(size_t bytes)
{
    unsigned char *stack =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(stack != MAP_FAILED);
    memset(stack, 0x5a, bytes);
    return stack;
}

static void thread_on(unsigned char *stack, size_t bytes)
{
    pthread_t id;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstack(&attributes, stack, bytes) == 0);
    REQUIRE(pthread_create(&id, &attributes, thread_run, NULL) == 0);
    pthread_join(id, NULL);
    pthread_attr_destroy(&attributes);
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    allocate_some();
}

static void handler_on(unsigned char *stack, size_t bytes)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = bytes};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    REQUIRE(sigaltstack(&alternate, NULL) == 0);
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    raise(SIGUSR1);
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
}

int main(void)
{
    unsigned char *stack = stack_new(STACK);
    thread_on(stack, STACK);
    printf("thread %zu\n", stack_used(stack, STACK));
    memset(stack, 0x5a, STACK);
    handler_on(stack, STACK);
    printf("handler %zu\n", stack_used(stack, STACK));

    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    thread_on(stack_new(least), least);
    /* What the kernel needs for its frame, what glibc's allocator may need, and 2 KB for the hook. */
    size_t alternate = (size_t)sysconf(_SC_MINSIGSTKSZ) + 4096;
    handler_on(stack_new(alternate), alternate);
    printf("least ok\n");
    return 0;
}
