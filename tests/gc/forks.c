/* forks.c [uffd | mprotect | none [FORKS]] - forks in the middle of everything: threads allocate, change old blocks, collect, set
 * finalizers and make weak references while the process forks, and its children fork.
 *
 * A child has one thread and all of the heap: it checks what it can reach, goes on as its parent did, collects both
 * generations, runs finalizers, and looks through the whole heap.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "geomem/geomem.h"

enum { THREADS = 3, CHAIN = 300 };

struct node {
    struct node *next, *young;
    struct geomem_weak *weak; /* of `young` */
    uintptr_t number, seal;
};

static struct node *chains[THREADS + 1]; /* a global: roots */
static _Atomic bool ending;
static _Atomic unsigned long finalized;

static void fail(const char *what)
{
    fprintf(stderr, "forks: %s in process %d\n", what, (int)getpid());
    _exit(1);
}

static struct node *node_new(uintptr_t number)
{
    struct node *node = geomem_gc_alloc(sizeof *node + number % 7 * 16);
    if (node == NULL)
        fail("no memory");
    node->number = number;
    node->seal = ~number;
    return node;
}

static void finalize(void *block, void *data)
{
    struct node *node = block;
    if (node->seal != ~node->number || data != &finalized)
        fail("a finalizer's block is gone");
    finalized++;
}

static void chain_make(int thread)
{
    for (uintptr_t i = 0; i < CHAIN; i++) {
        struct node *node = node_new(i);
        node->next = chains[thread];
        chains[thread] = node;
    }
}

/* A fork may find another thread between any two of these stores. */
static void chain_change(int thread, unsigned *random)
{
    unsigned at = 0, chosen = (unsigned)rand_r(random) % CHAIN;
    for (struct node *node = chains[thread]; node != NULL; node = node->next, at++) {
        if (node->seal != ~node->number || node->number != CHAIN - 1 - at)
            fail("a block is gone");
        if (node->young != NULL && (node->young->seal != ~node->young->number))
            fail("a young block is gone");
        void *weak = node->weak == NULL ? NULL : geomem_weak_get(node->weak);
        if (weak != NULL && ((struct node *)weak)->seal != ~((struct node *)weak)->number)
            fail("what a weak reference names is gone");
        if (at != chosen && at != chosen / 2)
            continue;
        node->weak = NULL;
        node->young = node_new(at);
        if (geomem_weak_create(node->young, 0, &node->weak) != 0)
            fail("no weak reference");
        struct node *doomed = node_new(at);
        if (geomem_finalizer_set(
                doomed, finalize, &finalized, GEOMEM_FINALIZE_UNORDERED, NULL, NULL) != 0)
            fail("no finalizer");
        geomem_free(geomem_alloc(at * 40 + 1));
    }
    if (at != CHAIN)
        fail("a chain is broken");
}

static void *mutate(void *arg)
{
    int thread = (int)(intptr_t)arg;
    unsigned random = (unsigned)thread;
    while (!ending) {
        chain_change(thread, &random);
        if (rand_r(&random) % 64 == 0)
            geomem_gc(NULL, rand_r(&random) % 4 == 0 ? GEOMEM_OLD : GEOMEM_YOUNG);
    }
    return NULL;
}

static void wait_for(pid_t pid)
{
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fail("a child failed");
}

static int child(unsigned random, int depth)
{
    alarm(60); /* a hang is a failure */
    if (depth < 2 && rand_r(&random) % 2 == 0) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(random + 1, depth + 1));
        wait_for(pid);
    }
    for (int round = 0; round < 6; round++) {
        for (int thread = 0; thread <= THREADS; thread++)
            chain_change(thread, &random);
        if (geomem_gc(NULL, round == 3 ? GEOMEM_OLD : GEOMEM_YOUNG) != 0)
            fail("no collection");
    }
    /* its own thread is not stopped in time otherwise, and finalizers were set since */
    unsigned long before = finalized;
    struct node *doomed = node_new(1);
    geomem_finalizer_set(doomed, finalize, &finalized, GEOMEM_FINALIZE_UNORDERED, NULL, NULL);
    doomed = NULL;
    pthread_t thread;
    ending = true;
    if (pthread_create(&thread, NULL, mutate, (void *)0) != 0 || pthread_join(thread, NULL) != 0)
        fail("no thread");
    geomem_gc(NULL, GEOMEM_OLD);
    geomem_finalizers_run();
    while (finalized == before)
        usleep(1000); /* the thread of libgeomem's has them; the alarm ends it */
    if (geomem_heap_check(NULL, 3, stderr) != 0)
        fail("the heap is damaged");
    return 0;
}

int main(int argc, char **argv)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .young_bytes = 256 << 10};
    if (argc > 1 && strcmp(argv[1], "mprotect") == 0)
        options.tracking = GEOMEM_TRACK_MPROTECT;
    else if (argc > 1 && strcmp(argv[1], "none") == 0)
        options.tracking = GEOMEM_TRACK_NONE;
    int forks = argc > 2 ? atoi(argv[2]) : 60;
    pthread_t threads[THREADS];
    if (geomem_heap_configure(NULL, &options) != 0)
        return 1;
    for (int i = 0; i <= THREADS; i++)
        chain_make(i);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, mutate, (void *)(intptr_t)i) != 0)
            return 1;
    unsigned random = 1;
    for (int i = 0; i < forks; i++) {
        chain_change(THREADS, &random);
        pid_t pid = fork();
        if (pid == 0)
            _exit(child((unsigned)i, 0));
        for (int k = 0; k < 20; k++)
            chain_change(THREADS, &random);
        wait_for(pid);
    }
    ending = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (geomem_heap_check(NULL, 3, stderr) != 0)
        fail("the heap is damaged");
    printf("forks: %d, %lu finalized\n", forks, finalized);
    return 0;
}
