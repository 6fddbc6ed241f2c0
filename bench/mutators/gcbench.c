/* gcbench.c - after GCBench (J. Ellis, P. Kovac, H. Boehm): short-lived binary trees of all sizes, built from the
 * root down and from the leaves up, while one tree and an array of numbers stay. `size`: depth of the largest tree. */
#include "mutator.h"

#define DEPTH_MIN 4
#define NUMBERS 500000

struct node {
    struct node *left, *right;
    int32_t tag[2];
};

static unsigned nodes(unsigned depth)
{
    return (1u << (depth + 1)) - 1;
}

static void grow_down(struct node *node, unsigned depth)
{
    if (!depth)
        return;
    gc_set(node, left, gc_new(struct node));
    gc_set(node, right, gc_new(struct node));
    grow_down(node->left, depth - 1);
    grow_down(node->right, depth - 1);
}

static struct node *grow_up(unsigned depth)
{
    if (!depth)
        return gc_new(struct node);
    struct node *left = grow_up(depth - 1), *right = grow_up(depth - 1);
    struct node *node = gc_new(struct node);
    gc_init(node, left, left);
    gc_init(node, right, right);
    return node;
}

static uint64_t count(const struct node *node)
{
    return node ? 1 + count(node->left) + count(node->right) : 0;
}

struct round {
    unsigned depth, times, threads;
};

static uint64_t round_share(void *arg, unsigned index)
{
    const struct round *round = arg;
    uint64_t built = 0;
    for (unsigned i = index; i < round->times; i += round->threads) {
        struct node *down = gc_new(struct node);
        grow_down(down, round->depth);
        struct node *up = grow_up(round->depth);
        built += count(down->left) + count(up->right);
    }
    return built;
}

uint64_t gcbench_run(unsigned size, unsigned threads)
{
    uint64_t sum = count(grow_up(size + 2));
    struct node *lasting = gc_new(struct node);
    grow_down(lasting, size);
    double *numbers = gc_new_leaf(NUMBERS * sizeof *numbers);
    for (unsigned i = 0; i < NUMBERS; i++)
        numbers[i] = 1.0 / (i + 1);
    for (unsigned depth = DEPTH_MIN; depth <= size; depth += 2) {
        struct round round = {depth, 2 * nodes(size + 2) / nodes(depth), threads};
        sum += threads_run(threads, round_share, &round);
    }
    if (count(lasting) != nodes(size) || numbers[1000] != 1.0 / 1001)
        return 0;
    return sum;
}
