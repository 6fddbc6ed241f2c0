/* gc_markers.c - marking with helpers finds what marking without them finds: each block once, in full, young and stepwise
 * collections; in a forked child too; and what they leave of threads. One thread of the program, so that ThreadSanitizer can
 * look at the markers.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"
#include "libgeomem/gc/cycle.h"
#include "libgeomem/gc/markers.h"
#include "libgeomem/heap/listener.h"

enum { HELPERS = 3, TREES = 64, DEPTH = 10, ARRAY = 200000, ROUNDS = 20, CHILDREN = 5 };
#define TREE_BLOCKS ((1u << (DEPTH + 1)) - 1)
/* What words on the stack, or in registers, may keep beyond what the program means to. */
#define BLOCKS_ASTRAY ((uint64_t)2 * TREE_BLOCKS)

struct tree {
    struct tree *left, *right;
    uint64_t depth, weight;
};

/* A root block: trees, and an array of which each element is a block. */
struct root {
    struct tree *tree[TREES];
    struct tree **array;
};
static struct root *root;
static uint64_t full_blocks, most_threads;
static int failures;

static void check(bool holds, const char *what, uint64_t got, uint64_t wanted)
{
    if (holds)
        return;
    printf("%s: %" PRIu64 ", not %" PRIu64 "\n", what, got, wanted);
    failures++;
}

static struct tree *tree_make(unsigned depth)
{
    struct tree *tree = geomem_gc_alloc(sizeof *tree);
    tree->depth = depth;
    tree->weight = (uintptr_t)tree ^ depth;
    if (depth > 0) {
        tree->left = tree_make(depth - 1);
        tree->right = tree_make(depth - 1);
    }
    return tree;
}

/* Each block is what it was: none has been given to somebody else. */
static uint64_t tree_count(const struct tree *tree)
{
    if (tree->weight != ((uintptr_t)tree ^ tree->depth))
        abort();
    return tree->depth ? 1 + tree_count(tree->left) + tree_count(tree->right) : 1;
}

static uint64_t all_count(void)
{
    uint64_t blocks = 1 + ARRAY;
    for (int i = 0; i < TREES; i++)
        blocks += tree_count(root->tree[i]);
    for (int i = 0; i < ARRAY; i++)
        tree_count(root->array[i]);
    return blocks;
}

static uint64_t threads_count(void)
{
    uint64_t threads = 0;
    DIR *folder = opendir("/proc/self/task");
    if (!folder)
        return 0;
    while (readdir(folder))
        threads++;
    closedir(folder);
    return threads - 2;
}

static void on_end(const struct geomem_gc_cycle *cycle)
{
    if (cycle->kind == GEOMEM_GC_FULL)
        full_blocks = cycle->marked_blocks;
}
static const struct geomem_listener listener = {
    .version = GEOMEM_LISTENER_VERSION, .gc_end = on_end};

static void everything_make(void)
{
    for (int i = 0; i < TREES; i++)
        root->tree[i] = tree_make(DEPTH);
    root->array = geomem_gc_alloc(ARRAY * sizeof *root->array);
    for (int i = 0; i < ARRAY; i++)
        root->array[i] = tree_make(0);
}

/* Some die, some are born, the old generation is marked meanwhile. */
static void round_run(uint64_t wanted)
{
    for (int i = 0; i < TREES; i++) {
        root->tree[i] = tree_make(DEPTH);
        root->array[i * 7] = tree_make(0);
    }
    geomem_gc(NULL, GEOMEM_YOUNG);
    geomem_gc(NULL, GEOMEM_OLD);
    uint64_t blocks = full_blocks;
    check(blocks >= wanted && blocks < wanted + BLOCKS_ASTRAY, "marked blocks", blocks, wanted);
    check(all_count() == wanted, "blocks", all_count(), wanted);
    uint64_t threads = threads_count();
    if (threads > most_threads)
        most_threads = threads;
}

static void child_run(uint64_t wanted)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++)
            round_run(wanted);
        fflush(stdout);
        _exit(failures || gm_gc.verify.faults);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(status == 0, "status of a child", (uint64_t)status, 0);
}

int main(void)
{
    uint64_t wanted = 1 + ARRAY + (uint64_t)TREES * TREE_BLOCKS;
    setenv("GEOMEM_VERIFY", "1", 1);
    gm_markers_always(HELPERS);
    root = geomem_alloc_root(sizeof *root);
    if (!root)
        abort();
    gm_listener_attach(&listener);
    everything_make();
    for (int i = 0; i < ROUNDS; i++)
        round_run(wanted);
#if !defined( \
    __SANITIZE_THREAD__) /* which does not start threads in a child of a process that had some */
    for (int i = 0; i < CHILDREN; i++)
        child_run(wanted);
#else
    (void)child_run;
#endif
    check(most_threads > 1, "threads", most_threads, 1 + HELPERS);
    check(gm_markers_cpu_ns() > 0, "processor time of helpers", 0, 1);
    check(gm_gc.verify.faults == 0, "faults found by the verifier", gm_gc.verify.faults, 0);
    printf("%" PRIu64 " young and %" PRIu64 " full collections, %" PRIu64 " threads\n%s\n",
        gm_gc.totals.young_collections, gm_gc.totals.full_collections, most_threads,
        failures ? "failed" : "ok");
    return failures != 0;
}
