/* quads.c - a large tree of four-pointer nodes stays, and ever again a part of it is built anew as garbage: much
 * that lives, nothing that changes. `size`: depth of the tree. */
#include "mutator.h"

#define ROUNDS 10

struct quad {
    struct quad *kid[4];
};

static struct quad *quad_build(unsigned depth)
{
    struct quad *kid[4] = {NULL};
    for (int i = 0; depth && i < 4; i++)
        kid[i] = quad_build(depth - 1);
    struct quad *quad = gc_new(struct quad);
    for (int i = 0; i < 4; i++)
        gc_init(quad, kid[i], kid[i]);
    return quad;
}

static uint64_t quad_count(const struct quad *quad)
{
    uint64_t sum = 1;
    for (int i = 0; quad->kid[0] && i < 4; i++)
        sum += quad_count(quad->kid[i]);
    return sum;
}

static uint64_t rounds_share(void *arg, unsigned index)
{
    (void)index;
    unsigned depth = *(unsigned *)arg;
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (unsigned small = 2; small < depth; small++)
            for (unsigned i = 0; i < 1u << 2 * (depth - small - 1); i++)
                sum += quad_count(quad_build(small));
    return sum;
}

uint64_t quads_run(unsigned size, unsigned threads)
{
    struct quad *lasting = quad_build(size);
    uint64_t expected = quad_count(lasting);
    uint64_t sum = threads_run(threads, rounds_share, &size);
    return quad_count(lasting) == expected ? sum : 0;
}
