/* trees.c - after the binary trees of the Computer Language Benchmarks Game: trees are built, counted and dropped,
 * ever larger and fewer, beside one that stays. `size`: depth of that one. */
#include "mutator.h"

#define DEPTH_MIN 4

struct node {
    struct node *left, *right;
};

static struct node *tree_build(unsigned depth)
{
    struct node *node = gc_new(struct node);
    if (depth) {
        gc_set(node, left, tree_build(depth - 1));
        gc_set(node, right, tree_build(depth - 1));
    }
    return node;
}

static uint64_t tree_count(const struct node *node)
{
    return node->left ? 1 + tree_count(node->left) + tree_count(node->right) : 1;
}

struct round {
    unsigned depth, times, threads;
};

static uint64_t round_share(void *arg, unsigned index)
{
    const struct round *round = arg;
    uint64_t sum = 0;
    for (unsigned i = index; i < round->times; i += round->threads)
        sum += tree_count(tree_build(round->depth));
    return sum;
}

uint64_t trees_run(unsigned size, unsigned threads)
{
    uint64_t sum = tree_count(tree_build(size + 1));
    struct node *lasting = tree_build(size);
    for (unsigned depth = DEPTH_MIN; depth <= size; depth += 4) {
        struct round round = {depth, 1u << (size - depth + DEPTH_MIN), threads};
        sum += threads_run(threads, round_share, &round);
    }
    return tree_count(lasting) == (1u << (size + 1)) - 1 ? sum : 0;
}
