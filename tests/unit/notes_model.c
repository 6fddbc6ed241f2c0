/* Random graphs with finalizers, weak references, weak links and ephemerons against a naive model that knows, to the block,
 * what each collection has to find dead: by fixpoints over everything, without marks, lists or queues.
 *
 * notes_model [STEPS [TRACKING [SEED]]], TRACKING as enum geomem_write_tracking. The program touches the heap on threads that
 * have ended when a collection begins; so nothing but the table of roots keeps anything.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "gc_hidden.h"
#include "libgeomem/gc/cycle.h"

enum { NODES = 600, SLOTS = 3, ROOTS = 24, WEAKS = 300, LINKS = 150 };

/* A block as the program sees it. */
struct node {
    struct node *slot[SLOTS];
    uint64_t number;
    uint64_t seal;
};

enum order { NONE, UNORDERED, TOPOLOGICAL };
struct known {
    bool exists, is_old, was_old, live;
    struct hidden at;
    int slot[SLOTS]; /* node, or -1 */
    enum order order;
    int data;           /* node, or -1 */
    bool due, is_saved; /* `is_saved`: the finalizer stores it in a root */
    uint64_t seal;
};
struct known_weak {
    bool exists, held, is_old, live;
    bool is_ephemeron, is_long, cleared;
    struct hidden at;
    int target, value;
};
struct known_link {
    bool exists, is_long, cleared;
    int target;
};

/* Out of the collector's sight. */
static struct state {
    struct known node[NODES];
    struct known_weak weak[WEAKS];
    struct known_link link[LINKS];
    int root[ROOTS];
    void *link_word[LINKS];
    struct node **roots;       /* the program's: explicit blocks that are roots */
    struct geomem_weak **held; /* WEAKS */
    uint64_t random, step, seed;
    bool full;
    uint64_t finalized, died, cleared, kept_by_ephemerons;
} * s;

static const uint64_t bits = 7;
static const struct geomem_layout layout = {
    .struct_bytes = sizeof layout, .element_bytes = sizeof(struct node), .pointers = &bits};

#define CHECK(condition, ...) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "notes_model: seed %lu, step %lu, %s: ", s->seed, s->step, \
                s->full ? "full" : "young"); \
            fprintf(stderr, __VA_ARGS__); \
            fprintf(stderr, "\n"); \
            abort(); \
        } \
    } while (0)

static unsigned pick(unsigned limit)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (unsigned)((s->random >> 11) % limit);
}

/* ---- the model ---- */

static bool reach(int number)
{
    if (number < 0 || !s->node[number].exists || s->node[number].live)
        return false;
    s->node[number].live = true;
    return true;
}

static bool model_round(void)
{
    bool more = false;
    for (int i = 0; i < NODES; i++) {
        struct known *n = &s->node[i];
        if (!n->exists || !n->live)
            continue;
        for (int k = 0; k < SLOTS; k++)
            more |= reach(n->slot[k]);
        if (n->order != NONE && !n->due)
            more |= reach(n->data);
    }
    for (int i = 0; i < WEAKS; i++) {
        struct known_weak *w = &s->weak[i];
        if (w->exists && w->live && w->is_ephemeron && !w->cleared && s->node[w->target].live &&
            reach(w->value)) {
            s->kept_by_ephemerons++;
            more = true;
        }
    }
    return more;
}

static void model_close(void)
{
    while (model_round())
        ;
}

static void model_roots(bool full)
{
    for (int i = 0; i < NODES; i++)
        s->node[i].live = s->node[i].exists && s->node[i].is_old && !full;
    for (int i = 0; i < WEAKS; i++)
        s->weak[i].live = s->weak[i].exists && (s->weak[i].held || (s->weak[i].is_old && !full));
    for (int i = 0; i < ROOTS; i++)
        reach(s->root[i]);
    for (int i = 0; i < NODES; i++)
        if (s->node[i].due) {
            reach(i);
            reach(s->node[i].data);
        }
    model_close();
}

static void model_clear(bool longs)
{
    for (int i = 0; i < WEAKS; i++) {
        struct known_weak *w = &s->weak[i];
        if (w->exists && !w->cleared && !s->node[w->target].live &&
            (longs || (!w->is_long && !w->is_ephemeron))) {
            w->cleared = true;
            s->cleared++;
        }
    }
    for (int i = 0; i < LINKS; i++) {
        struct known_link *l = &s->link[i];
        if (l->exists && !l->cleared && !s->node[l->target].live && (longs || !l->is_long)) {
            l->cleared = true;
            s->cleared++;
        }
    }
}

static bool is_candidate(int i, enum order order)
{
    return s->node[i].exists && s->node[i].order == order && !s->node[i].due && !s->node[i].live;
}

static void model_finalizers(void)
{
    bool candidate[NODES];
    for (int i = 0; i < NODES; i++)
        candidate[i] = is_candidate(i, TOPOLOGICAL);
    bool unordered[NODES];
    for (int i = 0; i < NODES; i++)
        unordered[i] = is_candidate(i, UNORDERED);
    for (int i = 0; i < NODES; i++)
        if (unordered[i]) {
            s->node[i].due = true;
            reach(i);
            reach(s->node[i].data);
        }
    model_close();
    for (int i = 0; i < NODES; i++)
        candidate[i] = candidate[i] && !s->node[i].live;
    bool reached[NODES];
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < SLOTS && candidate[i]; k++)
            if (s->node[i].slot[k] != i)
                reach(s->node[i].slot[k]);
    model_close();
    for (int i = 0; i < NODES; i++)
        reached[i] = s->node[i].live;
    for (int i = 0; i < NODES; i++)
        if (candidate[i] && !reached[i]) {
            s->node[i].due = true;
            reach(i);
            reach(s->node[i].data);
        }
    model_close();
}

static void model_collect(bool full)
{
    model_roots(full);
    model_clear(false);
    model_finalizers();
    model_clear(true);
    for (int i = 0; i < NODES; i++) {
        struct known *n = &s->node[i];
        s->died += n->exists && !n->live;
        n->was_old = n->is_old;
        n->exists = n->is_old = n->exists && n->live;
    }
    for (int i = 0; i < WEAKS; i++)
        s->weak[i].exists = s->weak[i].is_old = s->weak[i].exists && s->weak[i].live;
    for (int i = 0; i < LINKS; i++)
        s->link[i].exists = s->link[i].exists && !s->link[i].cleared;
}

/* For the reader of a failure: who mentions a node. */
static void explain(int number)
{
    fprintf(stderr, "node %d: at %p%s%s%s\n", number, unhide(s->node[number].at),
        s->node[number].was_old ? ", was old" : "",
        s->node[number].order != NONE ? ", has finalizer" : "", s->node[number].due ? ", due" : "");
    for (int i = 0; i < ROOTS; i++)
        if (s->root[i] == number)
            fprintf(stderr, "  in root %d\n", i);
    for (int i = 0; i < NODES; i++) {
        const struct known *n = &s->node[i];
        for (int k = 0; k < SLOTS; k++)
            if (n->exists && n->slot[k] == number)
                fprintf(stderr, "  slot %d of node %d%s\n", k, i, n->was_old ? ", was old" : "");
        if (n->exists && n->data == number)
            fprintf(stderr, "  data of node %d%s%s\n", i, n->was_old ? ", was old" : "",
                n->due ? ", due" : "");
    }
    for (int i = 0; i < WEAKS; i++) {
        const struct known_weak *w = &s->weak[i];
        if (w->exists && (w->target == number || w->value == number))
            fprintf(stderr, "  weak %d%s%s%s%s, of node %d, value %d\n", i, w->held ? ", held" : "",
                w->is_ephemeron ? ", ephemeron" : "", w->is_long ? ", long" : "",
                w->cleared ? ", cleared" : "", w->target, w->value);
    }
}

/* ---- the program; all on threads of their own ---- */

static struct node *node_at(int number)
{
    return number < 0 ? NULL : unhide(s->node[number].at);
}

/* A node that the program can get at: through the roots. -1: there is none. */
static int node_reachable(void)
{
    int at = s->root[pick(ROOTS)];
    for (unsigned hops = pick(6); at >= 0 && hops > 0; hops--) {
        int next = s->node[at].slot[pick(SLOTS)];
        if (next >= 0)
            at = next;
    }
    return at;
}

static void root_set(int root, int number)
{
    s->root[root] = number;
    s->roots[root] = node_at(number);
}

static void slot_set(int number, int slot, int value)
{
    s->node[number].slot[slot] = value;
    struct node *node = node_at(number);
    geomem_write(node, &node->slot[slot], node_at(value));
}

static bool is_mentioned(int number)
{
    for (int i = 0; i < NODES; i++) {
        if (s->node[i].exists && (s->node[i].order != NONE || s->node[i].due) &&
            s->node[i].data == number)
            return true;
        for (int k = 0; k < SLOTS; k++)
            if (s->node[i].exists && s->node[i].slot[k] == number)
                return true;
    }
    for (int i = 0; i < WEAKS; i++)
        if (s->weak[i].exists && (s->weak[i].target == number || s->weak[i].value == number) &&
            !s->weak[i].cleared)
            return true;
    for (int i = 0; i < LINKS; i++)
        if (s->link[i].exists && s->link[i].target == number)
            return true;
    return false;
}

static void op_node(void)
{
    int number = (int)pick(NODES);
    if (s->node[number].exists || is_mentioned(number))
        return;
    unsigned way = pick(8);
    struct node *node = way == 0   ? geomem_gc_alloc_old(sizeof *node, 0)
                        : way == 1 ? geomem_gc_alloc_typed(sizeof *node, &layout)
                                   : geomem_gc_alloc(sizeof *node + pick(3) * 100);
    CHECK(node != NULL, "no memory");
    s->node[number] = (struct known){.exists = true,
        .is_old = way == 0,
        .at = hide(node),
        .slot = {-1, -1, -1},
        .data = -1,
        .seal = (s->random & 0xffff) << 16 | 1};
    node->number = (uint64_t)number;
    node->seal = s->node[number].seal;
    int parent = node_reachable();
    if (parent >= 0 && pick(3) != 0)
        slot_set(parent, (int)pick(SLOTS), number);
    else
        root_set((int)pick(ROOTS), number);
}

static void op_slot(void)
{
    int from = node_reachable(), to = pick(4) == 0 ? -1 : node_reachable();
    if (from >= 0)
        slot_set(from, (int)pick(SLOTS), to);
}

static void op_root(void)
{
    root_set((int)pick(ROOTS), pick(3) == 0 ? node_reachable() : -1);
}

static void finalize(void *block, void *data)
{
    struct node *node = block;
    int number = (int)node->number;
    CHECK(number < NODES && s->node[number].exists, "finalizer of a block that is gone");
    struct known *n = &s->node[number];
    CHECK(unhide(n->at) == block && n->due, "finalizer of node %d called, and is not due", number);
    CHECK(data == node_at(n->data), "finalizer of node %d with other data", number);
    CHECK(n->data < 0 || ((struct node *)data)->seal == s->node[n->data].seal,
        "data of node %d is gone", number);
    n->due = false;
    n->order = NONE;
    n->data = -1;
    s->finalized++;
    if (n->is_saved)
        root_set((int)pick(ROOTS), number);
}

static void op_finalizer(void)
{
    int number = node_reachable(), data = pick(2) ? node_reachable() : -1;
    if (number < 0 || s->node[number].due)
        return;
    enum order order = (enum order)pick(3);
    struct known *n = &s->node[number];
    void *old_data = NULL;
    CHECK(geomem_finalizer_set(node_at(number), order == NONE ? NULL : finalize, node_at(data),
              order == TOPOLOGICAL ? GEOMEM_FINALIZE_TOPOLOGICAL : GEOMEM_FINALIZE_UNORDERED, NULL,
              &old_data) == 0,
        "finalizer_set");
    CHECK(old_data == (n->order == NONE ? NULL : node_at(n->data)), "old data");
    n->order = order;
    n->data = order == NONE ? -1 : data;
    n->is_saved = pick(3) == 0;
}

static void op_weak(void)
{
    int number = (int)pick(WEAKS), target = node_reachable(), value = node_reachable();
    struct known_weak *w = &s->weak[number];
    if (w->exists || target < 0)
        return;
    struct geomem_weak *weak = NULL;
    bool is_ephemeron = pick(2) == 0, is_long = pick(2) == 0;
    int err = is_ephemeron ? geomem_ephemeron_create(node_at(target), node_at(value), &weak)
                           : geomem_weak_create(node_at(target), is_long, &weak);
    CHECK(err == 0, "weak: %d", err);
    *w = (struct known_weak){.exists = true,
        .held = true,
        .is_ephemeron = is_ephemeron,
        .is_long = is_long,
        .at = hide(weak),
        .target = target,
        .value = is_ephemeron ? value : -1};
    s->held[number] = weak;
}

static void weak_check(int i)
{
    struct known_weak *w = &s->weak[i];
    void *key = NULL, *target = geomem_weak_get(s->held[i]);
    if (target != (w->cleared ? NULL : node_at(w->target)))
        explain(w->target);
    CHECK(target == (w->cleared ? NULL : node_at(w->target)), "weak %d of node %d is %s", i,
        w->target, target == NULL ? "cleared, and should not be" : "not cleared");
    if (!w->is_ephemeron)
        return;
    void *value = geomem_ephemeron_value(s->held[i], &key);
    CHECK(key == target, "ephemeron %d: another key", i);
    CHECK(value == (w->cleared ? NULL : node_at(w->value)),
        "ephemeron %d of node %d: another value", i, w->target);
}

/* What is read from a weak reference may be kept: so what was unreachable is reachable again. */
static void op_weak_get(void)
{
    int i = (int)pick(WEAKS);
    struct known_weak *w = &s->weak[i];
    if (!w->exists || !w->held)
        return;
    weak_check(i);
    if (!w->cleared && pick(2))
        root_set((int)pick(ROOTS), w->is_ephemeron && pick(2) ? w->value : w->target);
}

static void op_weak_drop(void)
{
    int i = (int)pick(WEAKS);
    if (!s->weak[i].exists || !s->weak[i].held)
        return;
    s->weak[i].held = false;
    struct geomem_weak *weak = s->held[i];
    s->held[i] = NULL;
    if (pick(4) != 0)
        return;
    geomem_free(weak); /* it is a block like any other */
    s->weak[i].exists = false;
}

static void op_link(void)
{
    int i = (int)pick(LINKS), target = node_reachable();
    struct known_link *l = &s->link[i];
    if (l->exists && pick(2)) {
        CHECK(geomem_weak_unlink(&s->link_word[i]) == 0, "unlink");
        l->exists = false;
    } else if (target >= 0) {
        bool is_long = pick(2);
        s->link_word[i] = (void *)1;
        CHECK(geomem_weak_link(&s->link_word[i], node_at(target), is_long) == 0, "link");
        *l = (struct known_link){.exists = true, .is_long = is_long, .target = target};
    }
}

static void op_link_move(void)
{
    int i = (int)pick(LINKS), k = (int)pick(LINKS);
    int err = geomem_weak_move(&s->link_word[i], &s->link_word[k]);
    CHECK(err == (!s->link[i].exists     ? -ENOENT
                     : i == k            ? 0
                     : s->link[k].exists ? -EEXIST
                                         : 0),
        "move: %d", err);
    if (err < 0 || i == k)
        return;
    s->link_word[k] = (void *)1;
    s->link[k] = s->link[i];
    s->link[i].exists = false;
}

/* The program may free a block when it has dropped all pointers to it that it has; those that only dead blocks hold too, since
 * they may be saved by a finalizer. */
static void op_free(void)
{
    int number = node_reachable();
    if (number < 0)
        return;
    for (int i = 0; i < NODES; i++)
        if (s->node[i].exists && (s->node[i].order != NONE || s->node[i].due) &&
            s->node[i].data == number)
            return;
    for (int i = 0; i < WEAKS; i++)
        if (s->weak[i].exists && s->weak[i].value == number && !s->weak[i].cleared &&
            s->weak[i].target != number)
            return;
    for (int i = 0; i < ROOTS; i++)
        if (s->root[i] == number)
            root_set(i, -1);
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < SLOTS; k++)
            if (s->node[i].exists && s->node[i].slot[k] == number)
                slot_set(i, k, -1);
    for (int i = 0; i < WEAKS; i++)
        if (s->weak[i].exists && s->weak[i].target == number)
            s->weak[i].cleared = true;
    geomem_free(node_at(number));
    s->node[number] = (struct known){0};
    for (int i = 0; i < LINKS; i++)
        if (s->link[i].exists && s->link[i].target == number) {
            CHECK(s->link_word[i] == NULL, "link %d of a block that was freed", i);
            s->link[i].exists = false;
        }
}

static void program_run(void *arg)
{
    (void)arg;
    for (unsigned count = pick(60); count > 0; count--) {
        switch (pick(16)) {
        case 0:
            op_root();
            break;
        case 1:
        case 2:
            op_finalizer();
            break;
        case 3:
        case 4:
            op_weak();
            break;
        case 5:
            op_weak_get();
            break;
        case 6:
            op_weak_drop();
            break;
        case 7:
            op_link();
            break;
        case 8:
            op_link_move();
            break;
        case 9:
            if (pick(4) == 0)
                op_free();
            break;
        case 10:
        case 11:
        case 12:
            op_slot();
            break;
        default:
            op_node();
            break;
        }
    }
    if (pick(3) == 0)
        geomem_finalizers_run();
}

static void program_check(void *arg)
{
    (void)arg;
    for (int i = 0; i < NODES; i++) {
        const struct known *n = &s->node[i];
        if (!n->exists)
            continue;
        struct node *node = node_at(i);
        CHECK(node->number == (uint64_t)i && node->seal == n->seal, "node %d is gone", i);
        for (int k = 0; k < SLOTS; k++)
            CHECK(node->slot[k] == node_at(n->slot[k]), "node %d, slot %d has changed", i, k);
    }
    for (int i = 0; i < WEAKS; i++)
        if (s->weak[i].exists && s->weak[i].held)
            weak_check(i);
}

static void links_check(void)
{
    for (int i = 0; i < LINKS; i++)
        if (s->link[i].exists)
            CHECK(s->link_word[i] == (s->link[i].cleared ? NULL : (void *)1), "link %d of node %d",
                i, s->link[i].target);
}

static void step(void)
{
    in_thread(program_run, NULL);
    bool full = pick(4) == 0;
    s->full = full;
    CHECK(geomem_gc(NULL, full ? GEOMEM_OLD : GEOMEM_YOUNG) == 0, "collection");
    model_roots(full);
    /* links that this collection clears are dropped by the model: look before it does */
    struct known_link before[LINKS];
    memcpy(before, s->link, sizeof before);
    model_collect(full);
    for (int i = 0; i < LINKS; i++)
        if (before[i].exists && !s->link[i].exists)
            CHECK(
                s->link_word[i] == NULL, "link %d of node %d is not cleared", i, before[i].target);
    links_check();
    in_thread(program_check, NULL);
}

static void nobody_is_told(void) {}

static uint64_t collections(void)
{
    return gm_gc.totals.young_collections + gm_gc.totals.full_collections;
}

int main(int argc, char **argv)
{
    uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 1500;
    struct geomem_heap_options options = {
        .struct_bytes = sizeof options, .gc_mode = GEOMEM_GC_OFF};
    options.tracking = argc > 2 ? (enum geomem_write_tracking)atoi(argv[2]) : GEOMEM_TRACK_AUTO;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL);
    printf("notes_model: seed %lu\n", seed);
    fflush(stdout);
    setenv("GEOMEM_VERIFY", "1", 1);
    if (geomem_heap_configure(NULL, &options) < 0)
        return 1;
    geomem_finalizers_notify(nobody_is_told);
    s = memory_apart(sizeof *s);
    s->seed = seed;
    s->random = seed * 0x9e3779b97f4a7c15u + 1;
    s->roots = geomem_alloc_root(ROOTS * sizeof *s->roots);
    s->held = geomem_alloc_root(WEAKS * sizeof *s->held);
    for (int i = 0; i < ROOTS; i++)
        s->root[i] = -1;
    /* the first collected block makes the collector */
    if (geomem_gc_alloc(16) == NULL)
        return 1;
    for (s->step = 0; s->step < steps; s->step++)
        step();
    printf("notes_model: %lu finalized, %lu died, %lu cleared, %lu kept by ephemerons, %lu faults "
           "found by the verifier\n",
        s->finalized, s->died, s->cleared, s->kept_by_ephemerons, gm_gc.verify.faults);
    if (collections() != steps)
        printf("notes_model: %lu collections instead of %lu\n", collections(), steps);
    return gm_gc.verify.faults != 0 || s->finalized == 0 || collections() != steps;
}
