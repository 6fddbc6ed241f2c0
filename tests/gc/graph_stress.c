/* graph_stress.c [SECONDS [SEED [THREADS]]] - threads build, change, share and drop graphs of collected blocks; a precise model of
 * each graph says what must still be there.
 *
 * The model names blocks by numbers and never holds an address, so it keeps nothing alive. Each step walks a graph and its
 * model side by side: a block that was lost, or is somebody else's by now, has the wrong number. Roots are on the
 * stack, in thread-local storage, in an explicit root block and in globals. Blocks that the model knows to be referenced by
 * nothing are freed by the program at times; children of fork check what they inherited. At the end, with everything
 * dropped, little may be left.
 *
 * The seed fixes what each thread does, not how threads meet.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "geomem/geomem.h"
#include "libgeomem/base/sys.h"
#include "tests/gc/world.h"

enum { EDGES = 4, NODES = 3000, ROOTS = 24, SLOTS = 16, WALK = 40 };

struct node {
    uint64_t number; /* of the model, mixed with the thread's seed */
    struct node *edges[EDGES];
    uint64_t bytes;
    unsigned char rest[];
};

struct model_node {
    bool used;
    uint32_t references; /* from roots and from nodes of the model */
    uint32_t bytes;
    int32_t edges[EDGES]; /* -1: none */
};

struct mutator {
    uint64_t random;
    uint64_t mix;
    struct node **roots;        /* ROOTS of them, in three places */
    struct model_node *model;   /* NODES */
    int32_t root_models[ROOTS]; /* -1: none */
    uint64_t allocated, freed, walked, shared, forked;
};

static __thread struct node *roots_in_tls[ROOTS / 3];
/* Lists handed from thread to thread; between them only this word holds one. */
static _Atomic(struct node *) slots[SLOTS];
static uint64_t deadline_ns;
static _Atomic int failed;

static uint64_t random_next(struct mutator *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static uint32_t random_below(struct mutator *m, uint32_t bound)
{
    return (uint32_t)((random_next(m) >> 32) * bound >> 32);
}

static uint64_t node_number(const struct mutator *m, int32_t i)
{
    return ((uint64_t)i + 1) * 0x9e3779b97f4a7c15u ^ m->mix;
}

static void fail(const struct mutator *m, const char *what, int32_t i, const struct node *node)
{
    fprintf(stderr, "%s: node %d at %p holds %llx, %llu allocated, %llu freed\n", what, i,
        (const void *)node, node ? (unsigned long long)node->number : 0,
        (unsigned long long)m->allocated, (unsigned long long)m->freed);
    atomic_store(&failed, 1);
    abort();
}

static void node_check(const struct mutator *m, int32_t i, const struct node *node)
{
    const struct model_node *model = &m->model[i];
    if (!node || node->number != node_number(m, i) || node->bytes != model->bytes)
        fail(m, "lost", i, node);
    if (model->bytes > sizeof *node && node->rest[model->bytes - sizeof *node - 1] != (i & 0xff))
        fail(m, "overwritten", i, node);
    for (int e = 0; e < EDGES; e++)
        if ((model->edges[e] < 0) != (node->edges[e] == NULL))
            fail(m, "an edge is wrong", i, node);
}

/* Where root r lies: a third each on the stack, in thread-local storage, in an explicit root block. */
static struct node **root_at(struct mutator *m, uint32_t r, struct node **stack)
{
    if (r < ROOTS / 3)
        return &stack[r];
    if (r < ROOTS / 3 * 2)
        return &roots_in_tls[r - ROOTS / 3];
    return &m->roots[r - ROOTS / 3 * 2];
}

/* A random node reachable from the roots, by both ways; -1: none. */
static int32_t walk(struct mutator *m, struct node **stack, struct node **ret_node)
{
    uint32_t r = random_below(m, ROOTS);
    int32_t i = m->root_models[r];
    struct node *node = *root_at(m, r, stack);
    if (i < 0)
        return -1;
    node_check(m, i, node);
    for (uint32_t steps = random_below(m, WALK); steps; steps--) {
        uint32_t e = random_below(m, EDGES);
        if (m->model[i].edges[e] < 0)
            continue;
        i = m->model[i].edges[e];
        node = node->edges[e];
        node_check(m, i, node);
        m->walked++;
    }
    *ret_node = node;
    return i;
}

/* The model forgets what nothing refers to, as a collector of reference counts would. Cycles are found by model_sweep. */
static void model_release(struct mutator *m, int32_t i)
{
    if (--m->model[i].references)
        return;
    int32_t edges[EDGES];
    memcpy(edges, m->model[i].edges, sizeof edges);
    m->model[i].used = false;
    for (int e = 0; e < EDGES; e++)
        if (edges[e] >= 0)
            model_release(m, edges[e]);
}

static void model_mark(struct mutator *m, int32_t i, bool *seen)
{
    static __thread int32_t pending[NODES * EDGES];
    size_t count = 0;
    pending[count++] = i;
    while (count) {
        i = pending[--count];
        if (seen[i])
            continue;
        seen[i] = true;
        for (int e = 0; e < EDGES; e++)
            if (m->model[i].edges[e] >= 0)
                pending[count++] = m->model[i].edges[e];
    }
}

/* Forgets what is not reachable, cycles too. */
static void model_sweep(struct mutator *m)
{
    static __thread bool seen[NODES];
    memset(seen, 0, sizeof seen);
    for (int r = 0; r < ROOTS; r++)
        if (m->root_models[r] >= 0)
            model_mark(m, m->root_models[r], seen);
    for (int32_t i = 0; i < NODES; i++) {
        if (seen[i] || !m->model[i].used)
            continue;
        m->model[i].used = false;
        for (int e = 0; e < EDGES; e++)
            if (m->model[i].edges[e] >= 0 && seen[m->model[i].edges[e]])
                m->model[m->model[i].edges[e]].references--;
    }
}

static int32_t model_new(struct mutator *m)
{
    uint32_t start = random_below(m, NODES);
    for (uint32_t k = 0; k < NODES; k++) {
        int32_t i = (int32_t)((start + k) % NODES);
        if (m->model[i].used)
            continue;
        m->model[i] = (struct model_node){.used = true, .edges = {-1, -1, -1, -1}};
        return i;
    }
    model_sweep(m);
    return -1;
}

static struct node *node_new(struct mutator *m, int32_t i)
{
    static const uint32_t sizes[] = {0, 8, 24, 100, 300, 1000, 3000};
    uint32_t bytes = sizeof(struct node) + sizes[random_below(m, 7)];
    if (random_below(m, 500) == 0)
        bytes = 20000 + random_below(m, 200000);
    struct node *node =
        random_below(m, 30) == 0 ? geomem_gc_alloc_old(bytes, 0) : geomem_gc_alloc(bytes);
    if (!node)
        fail(m, "no memory", i, NULL);
    for (int e = 0; e < EDGES; e++)
        if (node->edges[e])
            fail(m, "not zeroed", i, node);
    node->number = node_number(m, i);
    node->bytes = m->model[i].bytes = bytes;
    if (bytes > sizeof *node)
        node->rest[bytes - sizeof *node - 1] = (unsigned char)i;
    m->allocated++;
    return node;
}

static void root_set(
    struct mutator *m, struct node **stack, uint32_t r, int32_t i, struct node *node)
{
    int32_t old = m->root_models[r];
    if (i >= 0)
        m->model[i].references++;
    m->root_models[r] = i;
    *root_at(m, r, stack) = node;
    if (old >= 0)
        model_release(m, old);
}

/* ---- what a thread does ---------------------------------------------------------------------------------------- */

static void step_grow(struct mutator *m, struct node **stack)
{
    struct node *parent;
    int32_t p = walk(m, stack, &parent);
    int32_t i = model_new(m);
    if (i < 0)
        return;
    struct node *node = node_new(m, i);
    if (p < 0 || !m->model[p].used || random_below(m, 20) == 0) {
        root_set(m, stack, random_below(m, ROOTS), i, node);
        return;
    }
    uint32_t e = random_below(m, EDGES);
    int32_t old = m->model[p].edges[e];
    m->model[i].references = 1;
    m->model[p].edges[e] = i;
    parent->edges[e] = node;
    if (old >= 0)
        model_release(m, old);
}

static void step_link(struct mutator *m, struct node **stack)
{
    struct node *from, *to;
    int32_t f = walk(m, stack, &from), t = walk(m, stack, &to);
    if (f < 0 || t < 0)
        return;
    uint32_t e = random_below(m, EDGES);
    int32_t old = m->model[f].edges[e];
    m->model[t].references++;
    m->model[f].edges[e] = t;
    from->edges[e] = to;
    if (old >= 0)
        model_release(m, old);
}

/* Takes an edge away; what then is referred to by nothing at all may be freed at once. */
static void step_cut(struct mutator *m, struct node **stack)
{
    struct node *from;
    int32_t f = walk(m, stack, &from);
    uint32_t e = random_below(m, EDGES);
    int32_t old = f < 0 ? -1 : m->model[f].edges[e];
    if (old < 0)
        return;
    struct node *node = from->edges[e];
    bool free_it = m->model[old].references == 1 && old != f;
    from->edges[e] = NULL;
    m->model[f].edges[e] = -1;
    if (free_it && random_below(m, 2) == 0) {
        node_check(m, old, node);
        geomem_free(node);
        m->freed++;
    }
    model_release(m, old);
}

/* A list whose numbers count down, put where only a global holds it; and one taken from there and looked through. */
static void step_share(struct mutator *m)
{
    struct node *list = NULL;
    uint32_t length = 1 + random_below(m, 60);
    for (uint32_t i = 0; i < length; i++) {
        struct node *node = geomem_gc_alloc(sizeof *node + random_below(m, 200));
        node->number = i;
        node->edges[0] = list;
        list = node;
    }
    list = atomic_exchange(&slots[random_below(m, SLOTS)], list);
    uint64_t expected = list ? list->number : 0;
    for (; list; list = list->edges[0], expected--)
        if (list->number != expected)
            fail(m, "a shared list is torn", (int32_t)expected, list);
    m->shared++;
}

static void graph_check(struct mutator *m, struct node **stack)
{
    struct node *node;
    for (int i = 0; i < 200; i++)
        walk(m, stack, &node);
}

#ifdef __SANITIZE_THREAD__ /* which takes no fork of a program with threads */
#define step_fork(m, stack) ((void)0)
#else
static void step_fork(struct mutator *m, struct node **stack)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        graph_check(m, stack);
        for (int i = 0; i < 2000; i++)
            step_grow(m, stack);
        geomem_gc(NULL, random_below(m, 2) ? GEOMEM_OLD : GEOMEM_YOUNG);
        graph_check(m, stack);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    m->forked++;
}
#endif

static void step(struct mutator *m, struct node **stack)
{
    uint32_t dice = random_below(m, 10000);
    if (dice < 5000)
        step_grow(m, stack);
    else if (dice < 7000)
        step_link(m, stack);
    else if (dice < 8500)
        step_cut(m, stack);
    else if (dice < 8800)
        root_set(m, stack, random_below(m, ROOTS), -1, NULL);
    else if (dice < 9500)
        geomem_free(geomem_alloc(random_below(m, 1000)));
    else if (dice < 9900)
        step_share(m);
    else if (dice < 9990)
        graph_check(m, stack);
    else if (dice < 9997)
        geomem_gc(NULL, GEOMEM_YOUNG);
    else
        geomem_gc(NULL, GEOMEM_OLD);
    if (random_below(m, 40000) == 0)
        step_fork(m, stack);
}

static void *mutate(void *arg)
{
    struct mutator *m = arg;
    struct node *volatile keep[ROOTS / 3] = {0};
    struct node **stack = (struct node **)(uintptr_t)keep;
    m->roots = geomem_alloc_root(ROOTS / 3 * sizeof *m->roots);
    for (int r = 0; r < ROOTS; r++)
        m->root_models[r] = -1;
    for (unsigned i = 0; !atomic_load(&failed); i++) {
        step(m, stack);
        if (i % 256 == 0 && gm_sys_monotonic_ns() > deadline_ns)
            break;
    }
    for (uint32_t r = 0; r < ROOTS; r++)
        root_set(m, stack, r, -1, NULL);
    geomem_free(m->roots);
    return NULL;
}

/* Another program's threads, as it were: unknown to libgeomem until a stop finds them, coming and going. */
static void *come_and_go(void *arg)
{
    struct timespec little = {.tv_nsec = 300000};
    (void)arg;
    while (gm_sys_monotonic_ns() < deadline_ns) {
        pthread_t thread;
        if (pthread_create(
                &thread, NULL, (void *(*)(void *))(uintptr_t)geomem_gc_alloc, (void *)100) == 0)
            pthread_join(thread, NULL);
        nanosleep(&little, NULL);
    }
    return NULL;
}

/* What frames left behind on this thread's stack. */
static __attribute__((noinline)) void stack_wipe(void)
{
    volatile char frame[1 << 16];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = 0;
}

static void run(unsigned threads, uint64_t seed)
{
    struct mutator *mutators = calloc(threads, sizeof *mutators);
    pthread_t ids[64], visitor;
    for (unsigned i = 0; i < threads; i++) {
        mutators[i].mix = seed * 0xbf58476d1ce4e5b9u + i;
        mutators[i].random = (seed + i + 1) * 0x94d049bb133111ebu | 1;
        mutators[i].model = calloc(NODES, sizeof *mutators[i].model);
        CHECK(pthread_create(&ids[i], NULL, mutate, &mutators[i]) == 0);
    }
    CHECK(pthread_create(&visitor, NULL, come_and_go, NULL) == 0);
    uint64_t sums[5] = {0};
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sums[0] += mutators[i].allocated;
        sums[1] += mutators[i].freed;
        sums[2] += mutators[i].walked;
        sums[3] += mutators[i].shared;
        sums[4] += mutators[i].forked;
        free(mutators[i].model);
    }
    pthread_join(visitor, NULL);
    free(mutators);
    printf("%llu nodes, %llu freed by hand, %llu looked at, %llu lists shared, %llu forks\n",
        (unsigned long long)sums[0], (unsigned long long)sums[1], (unsigned long long)sums[2],
        (unsigned long long)sums[3], (unsigned long long)sums[4]);
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : gm_sys_monotonic_ns() % 1000000007u;
    unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 8;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    deadline_ns = gm_sys_monotonic_ns() + seconds * 1000000000u;
    run(threads, seed);
    for (int i = 0; i < SLOTS; i++)
        atomic_store(&slots[i], NULL);
    stack_wipe();
    CHECK(geomem_gc(NULL, GEOMEM_OLD) == 0 && geomem_gc(NULL, GEOMEM_OLD) == 0);
    struct geomem_heap_statistics s = {.struct_bytes = sizeof s};
    CHECK(geomem_heap_statistics(NULL, &s) == 0);
    printf("%llu young and %llu full collections, longest pause %.3f ms; left: %llu bytes\n",
        (unsigned long long)s.young_collections, (unsigned long long)s.full_collections,
        s.pause_max_ns / 1e6, (unsigned long long)(s.young_bytes + s.old_bytes));
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
    /* A word on some stack that looks like a pointer may keep a graph, of about 3 MB; not half of them. */
    CHECK(s.young_bytes + s.old_bytes < threads * (3ull << 20) / 2);
    puts("ok");
    return 0;
}
