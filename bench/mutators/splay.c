/* splay.c - a splay tree (D. Sleator, R. Tarjan, 1985) in which one entry after the other is replaced: every access
 * rotates old nodes, so that old memory is written to all the time. Each entry carries a small tree of arrays.
 * `size`: thousands of entries. */
#include "mutator.h"

#define STEPS 40 /* replacements for each entry */
#define LOAD_DEPTH 3
#define LOAD_WORDS 10

struct load {
    struct load *left, *right;
    uint64_t *words;
};

struct node {
    struct node *left, *right;
    uint64_t key;
    struct load *load;
};

static struct load *load_build(unsigned depth, uint64_t tag)
{
    struct load *left = NULL, *right = NULL;
    uint64_t *words = NULL;
    if (depth) {
        left = load_build(depth - 1, tag);
        right = load_build(depth - 1, tag);
    } else {
        words = gc_new_leaf(LOAD_WORDS * sizeof *words);
        for (int i = 0; i < LOAD_WORDS; i++)
            words[i] = tag + (uint64_t)i;
    }
    struct load *load = gc_new(struct load);
    gc_init(load, left, left);
    gc_init(load, right, right);
    gc_init(load, words, words);
    return load;
}

/* Top-down: what is less hangs together at `less`'s right, what is greater at `greater`'s left. Returns the new root:
 * the node with this key, or one beside where it would be. */
static struct node *splay(struct node *root, uint64_t key)
{
    struct node *halves = gc_new(struct node), *less = halves, *greater = halves;
    for (;;) {
        if (key < root->key) {
            struct node *left = root->left;
            if (left && key < left->key) {
                gc_set(root, left, left->right);
                gc_set(left, right, root);
                root = left;
                left = root->left;
            }
            if (!left)
                break;
            gc_set(greater, left, root);
            greater = root;
            root = left;
        } else if (key > root->key) {
            struct node *right = root->right;
            if (right && key > right->key) {
                gc_set(root, right, right->left);
                gc_set(right, left, root);
                root = right;
                right = root->right;
            }
            if (!right)
                break;
            gc_set(less, right, root);
            less = root;
            root = right;
        } else {
            break;
        }
    }
    gc_set(less, right, root->left);
    gc_set(greater, left, root->right);
    gc_set(root, left, halves->right);
    gc_set(root, right, halves->left);
    return root;
}

static struct node *insert(struct node *root, uint64_t key)
{
    struct load *load = load_build(LOAD_DEPTH, key);
    if (root)
        root = splay(root, key);
    struct node *node = gc_new(struct node);
    node->key = key;
    gc_init(node, load, load);
    if (!root)
        return node;
    if (key < root->key) {
        gc_init(node, left, root->left);
        gc_init(node, right, root);
        gc_set(root, left, NULL);
    } else {
        gc_init(node, right, root->right);
        gc_init(node, left, root);
        gc_set(root, right, NULL);
    }
    return node;
}

/* Removes the entry beside `key` that splaying finds; there are others. */
static struct node *remove_near(struct node *root, uint64_t key)
{
    root = splay(root, key);
    if (!root->left)
        return root->right;
    struct node *left = splay(root->left, root->key);
    gc_set(left, right, root->right);
    return left;
}

static const struct load *load_first(const struct load *load)
{
    while (load->left)
        load = load->left;
    return load;
}

/* Turns left children up into a list, so that a tree that has become one long branch needs no deep stack. */
static uint64_t tree_drain(struct node *root)
{
    uint64_t count = 0;
    while (root) {
        struct node *left = root->left;
        if (left) {
            gc_set(root, left, left->right);
            gc_set(left, right, root);
            root = left;
            continue;
        }
        if (load_first(root->load)->words[1] != root->key + 1)
            return 0;
        count++;
        root = root->right;
    }
    return count;
}

uint64_t splay_run(unsigned size, unsigned threads)
{
    (void)threads;
    uint64_t random = 0x9e3779b97f4a7c15ull, sum = 0;
    uint32_t entries = size * 1000;
    struct node *root = NULL;
    for (uint32_t i = 0; i < entries; i++)
        root = insert(root, random_next(&random));
    for (uint32_t i = 0; i < entries * STEPS; i++) {
        root = insert(root, random_next(&random));
        root = remove_near(root, random_next(&random));
        sum += root->key >> 32;
    }
    return tree_drain(root) == entries ? sum : 0;
}
