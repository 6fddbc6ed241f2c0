/* world_stops.c CASE: what runs beside a stop: handlers of the program, threads in the middle of the allocator, forks. One case
 * a run; a hang is a failure. */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "geomem/geomem.h"
#include "libgeomem/base/sys.h"
#include "libgeomem/gc/notes.h"
#include "libgeomem/heap/heap.h"
#include "tests/gc/world.h"

enum { THREADS = 3, KEPT = 512 };

struct node {
    struct node *next;
    uintptr_t number;
};
static struct node *list;

static void list_make(uintptr_t count)
{
    for (uintptr_t i = 0; i < count; i++) {
        struct node *node = geomem_gc_alloc(sizeof *node + i % 5 * 16);
        CHECK(node);
        node->number = i;
        node->next = list;
        list = node;
    }
}

/* ---- a handler that waits in a safe region, on the thread that collects ---------------------------------------- */

static int ends[2];
static _Atomic unsigned handled;

static void on_timer(int number)
{
    (void)number;
    char byte = 0;
    CHECK(write(ends[1], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1);
    atomic_fetch_add(&handled, 1);
}

static void case_handler(void)
{
    struct itimerval often = {.it_interval = {.tv_usec = 100}, .it_value = {.tv_usec = 100}};
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    sigset_t before, after;
    CHECK(pipe(ends) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    list_make(20000);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (unsigned i = 0; i < 300 || atomic_load(&handled) < 300; i++)
        CHECK(geomem_gc(NULL, i % 2 ? GEOMEM_OLD : GEOMEM_YOUNG) == 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        CHECK(sigismember(&before, number) == sigismember(&after, number));
}

/* ---- a handler that collects, on the thread that has just collected ------------------------------------------- */

static void on_timer_collect(int number)
{
    (void)number;
    CHECK(geomem_gc(NULL, GEOMEM_YOUNG) == 0);
    atomic_fetch_add(&handled, 1);
}

static void case_handler_collects(void)
{
    struct itimerval often = {.it_interval = {.tv_usec = 50}, .it_value = {.tv_usec = 50}};
    struct sigaction action = {.sa_handler = on_timer_collect, .sa_flags = SA_RESTART};
    list_make(1000);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (unsigned i = 0; i < 300 || atomic_load(&handled) < 300; i++)
        CHECK(geomem_gc(NULL, i % 2 ? GEOMEM_OLD : GEOMEM_YOUNG) == 0);
}

/* ---- threads that allocate and free while the heap is looked through ------------------------------------------- */

static _Atomic bool done;
static _Atomic unsigned ready;

static size_t bytes_random(unsigned *random)
{
    int r = rand_r(random);
    return (size_t)r % (r % 64 == 0 ? 300000 : r % 8 == 0 ? 9000 : 300) + 1;
}

static void *allocates(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;
    void *kept[KEPT] = {NULL};
    while (!atomic_load(&done)) {
        size_t at = (size_t)rand_r(&random) % KEPT;
        geomem_free(kept[at]);
        kept[at] = geomem_alloc(bytes_random(&random));
        CHECK(kept[at] && geomem_gc_alloc(bytes_random(&random)));
        if (at == 0)
            atomic_fetch_add(&ready, 1);
    }
    for (size_t at = 0; at < KEPT; at++)
        geomem_free(kept[at]);
    return NULL;
}

static int block_count(const struct geomem_block *block, void *arg)
{
    CHECK(block->start && block->bytes);
    ++*(size_t *)arg;
    return 0;
}

static void look_often(bool check)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, allocates, (void *)(i + 1)) == 0);
    while (atomic_load(&ready) < THREADS)
        gm_sys_sleep_ns(100000);
    for (int i = 0; i < 300; i++) {
        size_t blocks = 0;
        if (check)
            CHECK(geomem_heap_check(NULL, 1 + i % 3, stderr) == 0);
        else
            CHECK(geomem_heap_walk(NULL, block_count, &blocks) == 0 && blocks > 0);
    }
    atomic_store(&done, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void case_walk(void)
{
    look_often(false);
}

static void case_check(void)
{
    look_often(true);
}

/* ---- forks: locks in the order of a collection, and those of the program's handlers around ours ------------------ */

static void child_wait(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void *forks(void *arg)
{
    (void)arg;
    pid_t child = fork();
    if (child == 0)
        _exit(geomem_gc(NULL, GEOMEM_OLD) == 0 ? 0 : 1);
    child_wait(child);
    return NULL;
}

/* While the notes' lock is held, a fork comes as far as the heaps' locks, and no further. */
static void case_fork_order(void)
{
    pthread_t thread;
    list_make(1000);
    gm_notes_lock();
    CHECK(pthread_create(&thread, NULL, forks, NULL) == 0);
    while (atomic_load(&gm_heaps_lock.word) == 0 || atomic_load(&gm_heap_default()->lock.word) == 0)
        gm_sys_sleep_ns(100000);
    gm_notes_unlock();
    pthread_join(thread, NULL);
}

static void collect(void)
{
    CHECK(geomem_gc(NULL, GEOMEM_YOUNG) == 0 && geomem_gc(NULL, GEOMEM_OLD) == 0);
    list_make(100);
}

/* Registered before anything has been allocated: they are called while no lock of ours is held, and in the child when
 * all has been made anew. */
static void case_fork_collects(void)
{
    CHECK(pthread_atfork(collect, collect, collect) == 0);
    list_make(1000);
    CHECK(geomem_gc(NULL, GEOMEM_OLD) == 0);
    for (int i = 0; i < 20; i++) {
        forks(NULL);
        list_make(100);
    }
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"handler", case_handler},
    {"handler_collects", case_handler_collects},
    {"walk", case_walk},
    {"check", case_check},
    {"fork_order", case_fork_order},
    {"fork_collects", case_fork_collects},
};

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        cases[i].run();
        printf("ok\n");
        return 0;
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
