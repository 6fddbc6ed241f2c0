/* world_roots.c - a secret is found wherever a thread can keep one: on its stack, in a register, in static TLS, under a
 * late key, in a global, a registered range; and not where it was told not to look. */
#include <pthread.h>

#include "tests/gc/world.h"

static _Atomic int ready, done;
static __thread volatile uint64_t in_tls;
static volatile uint64_t in_global;
static volatile uint64_t in_excluded[4];
static pthread_key_t keys[40];

static void wait_for(_Atomic int *word, int value)
{
    while (atomic_load(word) < value)
        usleep(100);
}

static void *on_stack(void *arg)
{
    volatile uint64_t word = ~secret_hidden(1);
    (void)arg;
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    return (void *)(uintptr_t)(word == 0);
}

/* A loop that keeps its secret in a register and nowhere else. */
static void *in_register(void *arg)
{
    (void)arg;
    uint64_t hidden = secret_hidden(2);
    __asm__ volatile("mov %0, %%r15\n\t"
                     "not %%r15\n\t"
                     "lock incl (%1)\n"
                     "1: pause\n\t"
                     "cmpl $0, (%2)\n\t"
                     "je 1b\n\t"
                     "xor %%r15, %%r15"
                     :
                     : "r"(hidden), "r"(&ready), "r"(&done)
                     : "r15", "memory");
    return NULL;
}

static void *in_thread_local(void *arg)
{
    (void)arg;
    in_tls = ~secret_hidden(3);
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    in_tls = 0;
    return NULL;
}

static void *under_key(void *arg)
{
    (void)arg;
    pthread_setspecific(keys[3], (void *)~secret_hidden(4));
    pthread_setspecific(keys[39], (void *)~secret_hidden(5));
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    return NULL;
}

static void *unregistered(void *arg)
{
    gm_mutator_unregister();
    volatile uint64_t word = ~secret_hidden(6);
    (void)arg;
    atomic_fetch_add(&ready, 1);
    wait_for(&done, 1);
    return (void *)(uintptr_t)(word == 0);
}

int main(void)
{
    void *(*starts[])(void *) = {on_stack, in_register, in_thread_local, under_key, unregistered};
    enum { THREADS = sizeof starts / sizeof starts[0] };
    pthread_t threads[THREADS];
    CHECK(gm_world_init() == 0);
    for (int i = 0; i < 40; i++)
        pthread_key_create(&keys[i], NULL);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, starts[i], NULL) == 0);
    wait_for(&ready, THREADS);
    for (unsigned n = 1; n <= 6; n++)
        if (secret_find(n, GM_ROOTS_THREADS).found == 0) {
            fprintf(stderr, "secret %u of a thread was not found\n", n);
            return 1;
        }
    CHECK(secret_find(7, GM_ROOTS_ALL).found == 0);

    in_global = ~secret_hidden(8);
    CHECK(secret_find(8, GM_ROOTS_GLOBALS).found == 1);
    in_global = 0;
    in_excluded[1] = ~secret_hidden(9);
    CHECK(secret_find(9, GM_ROOTS_GLOBALS).found == 1);
    CHECK(gm_roots_exclude(PLAIN(in_excluded), sizeof in_excluded) == 0);
    CHECK(secret_find(9, GM_ROOTS_GLOBALS).found == 0);

    volatile uint64_t *range = malloc(1 << 20);
    for (int i = 0; i < 1 << 17; i++)
        range[i] = 0;
    range[1000] = range[100000] = ~secret_hidden(10);
    CHECK(secret_find(10, GM_ROOTS_ALL).found == 0);
    CHECK(gm_roots_add(PLAIN(range), 1 << 20) == 0);
    CHECK(secret_find(10, GM_ROOTS_REGISTERED).found == 2);
    CHECK(gm_roots_remove(PLAIN(range + 500), 1000 * 8) == 0);
    CHECK(secret_find(10, GM_ROOTS_REGISTERED).found == 1);

    uint64_t volatile own = ~secret_hidden(11);
    CHECK(secret_find(11, GM_ROOTS_THREADS).found >= 1);
    own = 0;

    atomic_store(&done, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct secret_search all = secret_find(12, GM_ROOTS_ALL);
    CHECK(all.found == 0);
    printf("ok: %llu words of roots\n", (unsigned long long)all.words);
    return (int)own;
}
