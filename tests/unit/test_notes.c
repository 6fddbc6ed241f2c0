/* Finalizers, weak references and links, ephemerons: programs whose answer is known. The random ones are in notes_model.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gc_hidden.h"

struct node {
    struct node *next;
    uintptr_t number;
};

/* All that a test keeps between its threads, out of the collector's sight. */
struct apart {
    struct hidden a, b, c;
    struct geomem_weak **weaks; /* an explicit root block: what is in there is kept */
    struct node **roots;        /* likewise */
    int called[16], calls;
    uintptr_t order[16];
    struct hidden data_seen;
    int thread;
    void *links[4];
    long count;
};
static struct apart *t;

static void nobody_is_told(void) {}

static void setup(void)
{
    t = memory_apart(sizeof *t);
    t->weaks = geomem_alloc_root(64 * sizeof *t->weaks);
    t->roots = geomem_alloc_root(64 * sizeof *t->roots);
    cr_assert_eq(geomem_finalizers_notify(nobody_is_told), 0);
}

TestSuite(notes, .init = setup);

static struct node *node_new(uintptr_t number, struct node *next)
{
    struct node *node = geomem_gc_alloc(sizeof *node);
    cr_assert_neq(node, NULL);
    node->number = number;
    node->next = next;
    return node;
}

static void finalize(void *block, void *data)
{
    struct node *node = block;
    t->called[node->number]++;
    t->order[t->calls++] = node->number;
    t->data_seen = hide(data);
    t->thread = (int)syscall(SYS_gettid);
}

static void finalizers_run(void *arg)
{
    (void)arg;
    geomem_finalizers_run();
}

static void collect(enum geomem_generation generation)
{
    cr_assert_eq(geomem_gc(NULL, generation), 0);
}

static void collect_and_run(void)
{
    collect(GEOMEM_OLD);
    in_thread(finalizers_run, NULL);
}

static void must_set(struct node *node, enum geomem_finalizer_order order)
{
    cr_assert_eq(geomem_finalizer_set(node, finalize, NULL, order, NULL, NULL), 0);
}

static void make_one(void *arg)
{
    struct node *node = node_new(1, NULL);
    must_set(node, GEOMEM_FINALIZE_UNORDERED);
    if (arg != NULL)
        t->roots[0] = node;
}

Test(notes, a_finalizer_is_called_once_and_only_when_its_block_is_unreachable)
{
    in_thread(make_one, t);
    collect_and_run();
    collect_and_run();
    cr_assert_eq(t->calls, 0);
    t->roots[0] = NULL;
    collect(GEOMEM_OLD);
    cr_assert_eq(t->calls, 0, "not before somebody runs them");
    in_thread(finalizers_run, NULL);
    cr_assert_eq(t->calls, 1);
    collect_and_run();
    cr_assert_eq(t->calls, 1);
}

Test(notes, a_young_collection_finds_dead_young_blocks_and_leaves_old_ones)
{
    in_thread(make_one, t); /* old soon */
    collect(GEOMEM_OLD);
    t->roots[0] = NULL;
    collect(GEOMEM_YOUNG);
    in_thread(finalizers_run, NULL);
    cr_assert_eq(t->calls, 0);
    in_thread(make_one, NULL);
    collect(GEOMEM_YOUNG);
    in_thread(finalizers_run, NULL);
    cr_assert_eq(t->calls, 1);
    collect_and_run();
    cr_assert_eq(t->calls, 2);
}

static void allocate_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000000; i++)
        node_new((uintptr_t)i, NULL);
}

Test(notes, no_finalizer_runs_inside_an_allocation)
{
    in_thread(make_one, NULL);
    in_thread(allocate_much, NULL);
    collect(GEOMEM_OLD);
    cr_assert_eq(t->calls, 0);
    in_thread(finalizers_run, NULL);
    cr_assert_eq(t->calls, 1);
}

static sem_t ran;
static void finalize_and_post(void *block, void *data)
{
    finalize(block, data);
    sem_post(&ran);
}
static void make_posting(void *arg)
{
    (void)arg;
    cr_assert_eq(
        geomem_finalizer_set(node_new(2, NULL), finalize_and_post, NULL, 0, NULL, NULL), 0);
}

Test(notes, without_a_callback_finalizers_run_on_a_thread_of_their_own)
{
    geomem_finalizers_notify(NULL);
    sem_init(&ran, 0, 0);
    for (int round = 1; round <= 3; round++) {
        in_thread(make_posting, NULL);
        collect(GEOMEM_YOUNG);
        while (sem_wait(&ran) < 0)
            cr_assert_eq(errno, EINTR);
        cr_assert_eq(t->called[2], round);
        cr_assert_neq(t->thread, (int)syscall(SYS_gettid));
    }
}

Test(notes, a_forked_child_runs_its_finalizers_too)
{
    geomem_finalizers_notify(NULL);
    sem_init(&ran, 0, 0);
    in_thread(make_posting, NULL);
    collect(GEOMEM_YOUNG);
    while (sem_wait(&ran) < 0)
        ;
    in_thread(make_posting, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (geomem_gc(NULL, GEOMEM_OLD) != 0)
            _exit(1);
        while (sem_wait(&ran) < 0)
            ;
        in_thread(make_posting, NULL);
        if (geomem_gc(NULL, GEOMEM_YOUNG) != 0)
            _exit(2);
        while (sem_wait(&ran) < 0)
            ;
        _exit(t->called[2] == 3 ? 0 : 3);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "child: %#x", (unsigned)status);
}

static void make_chain(void *arg)
{
    enum geomem_finalizer_order order = *(enum geomem_finalizer_order *)arg;
    struct node *c = node_new(3, NULL), *b = node_new(2, c), *a = node_new(1, b);
    must_set(c, order);
    must_set(a, order);
    must_set(b, order);
}

Test(notes, topological_finalizers_go_from_the_one_that_points_to_the_one_pointed_to)
{
    in_thread(make_chain, &(enum geomem_finalizer_order){GEOMEM_FINALIZE_TOPOLOGICAL});
    for (int i = 1; i <= 3; i++) {
        collect_and_run();
        cr_assert_eq(t->calls, i);
        cr_assert_eq(t->order[i - 1], i);
    }
}

Test(notes, unordered_finalizers_are_all_due_at_once)
{
    in_thread(make_chain, &(enum geomem_finalizer_order){GEOMEM_FINALIZE_UNORDERED});
    collect_and_run();
    cr_assert_eq(t->calls, 3);
}

static void make_cycles(void *arg)
{
    (void)arg;
    struct node *self = node_new(1, NULL);
    self->next = self;
    must_set(self, GEOMEM_FINALIZE_TOPOLOGICAL);
    struct node *a = node_new(2, NULL), *b = node_new(3, a);
    a->next = b;
    must_set(a, GEOMEM_FINALIZE_TOPOLOGICAL);
    must_set(b, GEOMEM_FINALIZE_TOPOLOGICAL);
    struct node *c = node_new(4, NULL), *d = node_new(5, c);
    c->next = d;
    must_set(c, GEOMEM_FINALIZE_UNORDERED);
    must_set(d, GEOMEM_FINALIZE_TOPOLOGICAL);
}

Test(notes, topological_finalizers_on_cycles_wait_but_a_block_that_points_to_itself_does_not)
{
    in_thread(make_cycles, NULL);
    for (int i = 0; i < 4; i++)
        collect_and_run();
    cr_assert_eq(t->called[1], 1, "a pointer to itself does not count");
    cr_assert_eq(t->called[2] + t->called[3], 0);
    cr_assert_eq(t->called[4], 1);
    cr_assert_eq(t->called[5], 0, "it can be reached from itself through another block");
    cr_assert_eq(t->calls, 2);
}

static void resurrect(void *block, void *data)
{
    finalize(block, data);
    t->roots[0] = block;
}
static void make_resurrected(void *arg)
{
    (void)arg;
    struct node *inner = node_new(7, NULL), *node = node_new(6, inner);
    must_set(inner, GEOMEM_FINALIZE_UNORDERED);
    geomem_finalizer_set(inner, NULL, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL);
    cr_assert_eq(
        geomem_finalizer_set(node, resurrect, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL), 0);
}

Test(notes, a_block_that_its_finalizer_saves_lives_on_and_can_have_another)
{
    in_thread(make_resurrected, NULL);
    collect_and_run();
    cr_assert_eq(t->called[6], 1);
    for (int i = 0; i < 3; i++)
        collect_and_run();
    cr_assert_eq(t->roots[0]->number, 6);
    cr_assert_eq(t->roots[0]->next->number, 7);
    must_set(t->roots[0], GEOMEM_FINALIZE_UNORDERED);
    t->roots[0] = NULL;
    collect_and_run();
    collect_and_run();
    cr_assert_eq(t->calls, 2);
    cr_assert_eq(t->called[6], 2);
    cr_assert_eq(t->called[7], 0);
}

static void make_data(void *arg)
{
    (void)arg;
    struct node *data = node_new(9, NULL), *node = node_new(8, NULL);
    data->next = node; /* data may point to the block: that does not keep it */
    cr_assert_eq(
        geomem_finalizer_set(node, finalize, data, GEOMEM_FINALIZE_TOPOLOGICAL, NULL, NULL), 0);
    cr_assert_eq(geomem_weak_create(data, 1, &t->weaks[0]), 0);
    t->roots[0] = node;
}
static void weak_is_null(void *arg)
{
    *(int *)arg = geomem_weak_get(t->weaks[0]) == NULL;
}
static int weak0_is_null(void)
{
    int is_null = -1;
    in_thread(weak_is_null, &is_null);
    return is_null;
}

Test(notes, a_finalizers_data_lives_until_it_has_been_called)
{
    in_thread(make_data, NULL);
    collect(GEOMEM_YOUNG);
    collect(GEOMEM_OLD);
    cr_assert_eq(weak0_is_null(), 0);
    t->roots[0] = NULL;
    collect(GEOMEM_OLD);
    collect(GEOMEM_OLD);
    cr_assert_eq(weak0_is_null(), 0);
    in_thread(finalizers_run, NULL);
    cr_assert_eq(t->called[8], 1);
    cr_assert_neq(unhide(t->data_seen), NULL);
    collect(GEOMEM_OLD);
    cr_assert_eq(weak0_is_null(), 1);
}

Test(notes, setting_a_finalizer_returns_the_one_before)
{
    struct node *node = node_new(1, NULL);
    geomem_finalizer *function = finalize;
    void *data = &data;
    cr_assert_eq(
        geomem_finalizer_set(node, resurrect, t, GEOMEM_FINALIZE_UNORDERED, &function, &data), 0);
    cr_assert_eq(function, NULL);
    cr_assert_eq(data, NULL);
    cr_assert_eq(
        geomem_finalizer_set(node, finalize, NULL, GEOMEM_FINALIZE_UNORDERED, &function, &data), 0);
    cr_assert_eq(function, resurrect);
    cr_assert_eq(data, t);
    cr_assert_eq(
        geomem_finalizer_set(node, NULL, NULL, GEOMEM_FINALIZE_UNORDERED, &function, NULL), 0);
    cr_assert_eq(function, finalize);
}

Test(notes, what_is_no_block_is_refused)
{
    struct node *node = node_new(1, NULL);
    struct geomem_weak *weak = (struct geomem_weak *)t;
    int local;
    void *explicit = geomem_alloc(10), *link = node;
    cr_assert_eq(
        geomem_finalizer_set(&local, finalize, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL),
        -EINVAL);
    cr_assert_eq(
        geomem_finalizer_set(&node->number, finalize, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL),
        -EINVAL);
    cr_assert_eq(
        geomem_finalizer_set(explicit, finalize, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL),
        -EINVAL);
    cr_assert_eq(geomem_weak_create(&local, 0, &weak), -EINVAL);
    cr_assert_eq(geomem_weak_create(NULL, 0, &weak), -EINVAL);
    cr_assert_eq(weak, (struct geomem_weak *)t, "untouched on failure");
    cr_assert_eq(geomem_ephemeron_create(NULL, node, &weak), -EINVAL);
    cr_assert_eq(geomem_weak_link(&link, &local, 0), -EINVAL);
    cr_assert_eq(geomem_weak_link(NULL, node, 0), -EINVAL);
    cr_assert_eq(geomem_weak_unlink(&link), -ENOENT);
    geomem_free(explicit);
}

static void make_weaks(void *arg)
{
    (void)arg;
    struct node *node = node_new(4, NULL);
    must_set(node, GEOMEM_FINALIZE_UNORDERED);
    cr_assert_eq(geomem_weak_create(node, 0, &t->weaks[0]), 0);
    cr_assert_eq(geomem_weak_create(node, 1, &t->weaks[1]), 0);
    t->links[0] = t->links[1] = (void *)~(uintptr_t)node;
    cr_assert_eq(geomem_weak_link(&t->links[0], node, 0), 0);
    cr_assert_eq(geomem_weak_link(&t->links[1], node, 1), 0);
    t->roots[0] = node;
}
static void weaks_read(void *arg)
{
    int *cleared = arg;
    *cleared = (geomem_weak_get(t->weaks[0]) == NULL) |
               (geomem_weak_get(t->weaks[1]) == NULL) << 1 | (t->links[0] == NULL) << 2 |
               (t->links[1] == NULL) << 3;
}
static int weaks_cleared(void)
{
    int cleared;
    in_thread(weaks_read, &cleared);
    return cleared;
}

Test(notes, short_weak_references_are_cleared_before_the_finalizer_and_long_ones_after)
{
    in_thread(make_weaks, NULL);
    collect(GEOMEM_YOUNG);
    collect(GEOMEM_OLD);
    cr_assert_eq(weaks_cleared(), 0);
    t->roots[0] = NULL;
    collect(GEOMEM_OLD);
    cr_assert_eq(weaks_cleared(), 1 | 4);
    in_thread(finalizers_run, NULL);
    cr_assert_eq(weaks_cleared(), 1 | 4);
    collect(GEOMEM_OLD);
    cr_assert_eq(weaks_cleared(), 15);
}

static void free_node(void *arg)
{
    (void)arg;
    struct node *node = t->roots[0];
    t->roots[0] = NULL;
    geomem_free(node);
}

Test(notes, a_block_that_the_program_frees_is_forgotten_at_once)
{
    in_thread(make_weaks, NULL);
    in_thread(free_node, NULL);
    cr_assert_eq(weaks_cleared(), 15);
    collect_and_run();
    cr_assert_eq(t->calls, 0);
}

static void make_due_and_weak(void *arg)
{
    (void)arg;
    struct node *node = node_new(4, NULL);
    must_set(node, GEOMEM_FINALIZE_UNORDERED);
    cr_assert_eq(geomem_weak_create(node, 1, &t->weaks[0]), 0);
}
static void free_through_weak(void *arg)
{
    (void)arg;
    geomem_free(geomem_weak_get(t->weaks[0]));
}

Test(notes, a_due_finalizer_of_a_freed_block_is_not_called)
{
    in_thread(make_due_and_weak, NULL);
    collect(GEOMEM_OLD);
    in_thread(free_through_weak, NULL);
    in_thread(finalizers_run, NULL);
    cr_assert_eq(t->calls, 0);
    cr_assert_eq(weak0_is_null(), 1);
}

static void make_links_in_blocks(void *arg)
{
    (void)arg;
    void **leaf = geomem_gc_alloc_leaf(64), **explicit = geomem_alloc(64);
    struct node *node = node_new(1, NULL);
    leaf[3] = explicit[3] = node;
    cr_assert_eq(geomem_weak_link(&leaf[3], node, 0), 0);
    cr_assert_eq(geomem_weak_link(&explicit[3], node, 0), 0);
    t->roots[0] = node;
    t->roots[1] = (void *)leaf;
    t->a = hide(explicit);
}
static void drop_link_blocks(void *arg)
{
    (void)arg;
    t->roots[1] = NULL;
    geomem_free(unhide(t->a));
}
/* Takes the memory that the link's blocks had, and looks whether anybody writes to it. */
static void fill_leaves(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        uintptr_t *p = i & 1 ? geomem_gc_alloc_leaf(64) : geomem_alloc(64);
        for (int k = 0; k < 8; k++)
            p[k] = 0x5a5a;
        struct node *node = node_new((uintptr_t)p, t->roots[2]);
        t->roots[2] = node;
    }
}
static void check_leaves(void *arg)
{
    (void)arg;
    for (struct node *node = t->roots[2]; node != NULL; node = node->next)
        for (int k = 0; k < 8; k++)
            cr_assert_eq(((uintptr_t *)node->number)[k], 0x5a5a);
}

Test(notes, a_link_in_a_block_that_is_gone_is_forgotten)
{
    in_thread(make_links_in_blocks, NULL);
    collect(GEOMEM_YOUNG);
    in_thread(drop_link_blocks, NULL);
    collect(GEOMEM_OLD);
    in_thread(fill_leaves, NULL);
    t->roots[0] = NULL;
    collect(GEOMEM_OLD);
    in_thread(check_leaves, NULL);
}

static void unlink_and_relink(void *arg)
{
    (void)arg;
    struct node *node = node_new(1, NULL), *other = node_new(2, NULL);
    for (int i = 0; i < 3; i++)
        t->links[i] = (void *)1;
    cr_assert_eq(geomem_weak_link(&t->links[0], node, 0), 0);
    cr_assert_eq(geomem_weak_link(&t->links[1], node, 0), 0);
    cr_assert_eq(geomem_weak_link(&t->links[2], node, 0), 0);
    cr_assert_eq(geomem_weak_unlink(&t->links[0]), 0);
    cr_assert_eq(geomem_weak_unlink(&t->links[0]), -ENOENT);
    cr_assert_eq(geomem_weak_link(&t->links[2], other, 0), 0);
    t->roots[1] = other;
}

Test(notes, a_link_follows_its_last_target_and_none_when_taken_away)
{
    in_thread(unlink_and_relink, NULL);
    collect(GEOMEM_OLD);
    cr_assert_eq((uintptr_t)t->links[0], 1);
    cr_assert_eq(t->links[1], NULL);
    cr_assert_eq((uintptr_t)t->links[2], 1);
    t->roots[1] = NULL;
    collect(GEOMEM_OLD);
    cr_assert_eq(t->links[2], NULL);
}

static void make_ephemerons(void *arg)
{
    (void)arg;
    /* 0: key kept. 1: its value points to its own key, which nothing else keeps. 2: key is the value of 0. */
    struct node *key = node_new(1, NULL), *value = node_new(2, NULL);
    struct node *own_key = node_new(3, NULL), *own_value = node_new(4, own_key);
    t->roots[0] = key;
    cr_assert_eq(geomem_ephemeron_create(value, node_new(5, NULL), &t->weaks[2]), 0);
    cr_assert_eq(geomem_ephemeron_create(own_key, own_value, &t->weaks[1]), 0);
    cr_assert_eq(geomem_ephemeron_create(key, value, &t->weaks[0]), 0);
}
static void ephemerons_read(void *arg)
{
    uintptr_t *values = arg;
    for (int i = 0; i < 3; i++) {
        void *key = NULL;
        struct node *value = geomem_ephemeron_value(t->weaks[i], &key);
        values[i] = value == NULL ? 0 : value->number;
    }
}
static void ephemerons_are(uintptr_t a, uintptr_t b, uintptr_t c)
{
    uintptr_t values[3];
    in_thread(ephemerons_read, values);
    cr_assert_eq(values[0], a, "%lu", values[0]);
    cr_assert_eq(values[1], b, "%lu", values[1]);
    cr_assert_eq(values[2], c, "%lu", values[2]);
}

Test(notes, an_ephemerons_value_lives_while_its_key_does)
{
    in_thread(make_ephemerons, NULL);
    collect(GEOMEM_YOUNG);
    ephemerons_are(2, 0, 5);
    collect(GEOMEM_OLD);
    ephemerons_are(2, 0, 5);
    t->roots[0] = NULL;
    collect(GEOMEM_OLD);
    ephemerons_are(0, 0, 0);
}

static void make_unheld_ephemeron(void *arg)
{
    (void)arg;
    struct node *key = node_new(1, NULL), *value = node_new(2, NULL);
    struct geomem_weak *ephemeron;
    cr_assert_eq(geomem_ephemeron_create(key, value, &ephemeron), 0);
    cr_assert_eq(geomem_weak_create(value, 1, &t->weaks[0]), 0);
    t->roots[0] = key;
}

Test(notes, an_ephemeron_that_nobody_holds_keeps_nothing)
{
    in_thread(make_unheld_ephemeron, NULL);
    collect(GEOMEM_OLD);
    cr_assert_eq(weak0_is_null(), 1);
}

/* Ephemeron i: node i is the key, and node i + 1 its value. Made in the order that is worst for a pass over the list. */
static void make_ephemeron_chain(void *arg)
{
    bool backward = *(bool *)arg;
    long count = t->count;
    struct node **nodes = geomem_alloc_root((size_t)(count + 1) * sizeof *nodes);
    struct geomem_weak **held = geomem_alloc_root((size_t)count * sizeof *held);
    for (long i = 0; i <= count; i++)
        nodes[i] = node_new((uintptr_t)i, NULL);
    for (long i = 0; i < count; i++) {
        long k = backward ? count - 1 - i : i;
        cr_assert_eq(geomem_ephemeron_create(nodes[k], nodes[k + 1], &held[k]), 0);
    }
    cr_assert_eq(geomem_weak_create(nodes[count], 1, &t->weaks[0]), 0);
    t->roots[0] = nodes[0];
    t->roots[1] = (struct node *)held; /* explicit, kept anyway */
    geomem_free(nodes);
}

/* A fixpoint by passes over all ephemerons would look at 40,000,000,000 of them. */
Test(notes, a_chain_of_200000_ephemerons_is_followed_in_one_pass)
{
    for (int backward = 0; backward < 2; backward++) {
        t->count = 200000;
        bool is_backward = backward != 0;
        in_thread(make_ephemeron_chain, &is_backward);
        collect(backward ? GEOMEM_YOUNG : GEOMEM_OLD);
        cr_assert_eq(weak0_is_null(), 0);
        collect(GEOMEM_OLD);
        cr_assert_eq(weak0_is_null(), 0);
        t->roots[0] = NULL;
        collect(GEOMEM_OLD);
        cr_assert_eq(weak0_is_null(), 1);
        geomem_free(t->roots[1]);
    }
}

static void make_finalized_key(void *arg)
{
    (void)arg;
    struct node *key = node_new(1, NULL), *value = node_new(2, NULL);
    must_set(key, GEOMEM_FINALIZE_UNORDERED);
    cr_assert_eq(geomem_ephemeron_create(key, value, &t->weaks[0]), 0);
    cr_assert_eq(geomem_ephemeron_create(value, node_new(3, NULL), &t->weaks[1]), 0);
    cr_assert_eq(
        geomem_ephemeron_create(t->roots[5] = node_new(4, NULL), node_new(5, NULL), &t->weaks[2]),
        0);
}

Test(notes, an_ephemeron_lasts_until_its_key_has_been_finalized)
{
    in_thread(make_finalized_key, NULL);
    collect(GEOMEM_OLD);
    ephemerons_are(2, 3, 5);
    collect(GEOMEM_YOUNG);
    collect(GEOMEM_OLD);
    ephemerons_are(2, 3, 5);
    in_thread(finalizers_run, NULL);
    collect(GEOMEM_OLD);
    ephemerons_are(0, 0, 5);
}

static uint64_t layout_bits = 2; /* word 1 of each element of two words */
static struct geomem_layout layout = {
    .struct_bytes = sizeof layout, .element_bytes = 16, .pointers = &layout_bits};
static void make_typed(void *arg)
{
    size_t words = *(size_t *)arg;
    void **typed = geomem_gc_alloc_typed(words * sizeof *typed, &layout);
    cr_assert_neq(typed, NULL);
    for (size_t i = 0; i < words; i++)
        cr_assert_eq(typed[i], NULL);
    /* the last words that may and may not be pointers, and the first ones */
    size_t last = words & 1 ? words - 2 : words - 1;
    size_t at[4] = {1, last, 0, last - 1};
    for (int i = 0; i < 4; i++) {
        typed[at[i]] = node_new((uintptr_t)i, NULL);
        cr_assert_eq(geomem_weak_create(typed[at[i]], 0, &t->weaks[i]), 0);
    }
    t->roots[0] = (struct node *)typed;
}
static void typed_read(void *arg)
{
    int *cleared = arg;
    for (int i = 0; i < 4; i++)
        cleared[i] = geomem_weak_get(t->weaks[i]) == NULL;
}

Test(notes, a_typed_block_keeps_what_its_layout_says_and_nothing_else)
{
    size_t sizes[] = {4, 5, 16, 31, 100, 1001, 5000, 100001, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int generation = 0; generation < 2; generation++) {
            int cleared[4];
            in_thread(make_typed, &sizes[i]);
            collect(generation ? GEOMEM_OLD : GEOMEM_YOUNG);
            in_thread(typed_read, cleared);
            cr_assert(
                !cleared[0] && !cleared[1], "%zu words: a pointer was not followed", sizes[i]);
            /* blocks beyond the size classes are looked at word for word */
            cr_assert(sizes[i] > 4000 || (cleared[2] && cleared[3]),
                "%zu words: a number was taken for a pointer", sizes[i]);
        }
    }
}

static void make_in_heap(void *arg)
{
    struct geomem_heap *heap = arg;
    struct node *there = geomem_heap_gc_alloc(heap, sizeof *there, 0, GEOMEM_YOUNG),
                *here = node_new(1, NULL);
    there->number = 2;
    must_set(there, GEOMEM_FINALIZE_UNORDERED);
    t->roots[0] = here;
    cr_assert_eq(geomem_ephemeron_create(here, there, &t->weaks[0]), 0);
    cr_assert_eq(geomem_ephemeron_create(t->roots[0], here, &t->weaks[1]), 0);
    cr_assert_eq(geomem_ephemeron_create(t->roots[0], here, &t->weaks[2]), 0);
    t->links[0] = (void *)1;
    cr_assert_eq(geomem_weak_link(&t->links[0], there, 1), 0);
}

Test(notes, notes_across_heaps_end_with_the_heap)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options};
    struct geomem_heap *heap;
    cr_assert_eq(geomem_heap_create(&options, &heap), 0);
    in_thread(make_in_heap, heap);
    collect(GEOMEM_YOUNG);
    collect(GEOMEM_OLD);
    ephemerons_are(2, 1, 1);
    geomem_heap_destroy(heap);
    ephemerons_are(0, 1, 1);
    cr_assert_eq(t->links[0], NULL);
    collect_and_run();
    cr_assert_eq(t->calls, 0);
}
