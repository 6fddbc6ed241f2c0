/* many_sites.c LEVELS ROUNDS - allocates under every path of a binary tree of calls: 2^LEVELS distinct stacks
 * of LEVELS + 3 frames, ROUNDS times each. ROUNDS 1 keeps each block (24 B); more free all. */
#include "target.h"

static int rounds;

static NOINLINE void leaf(void)
{
    for (int i = 0; i < rounds; i++) {
        void *block = target_opaque(malloc(24));
        REQUIRE(block);
        if (rounds > 1)
            free(block);
    }
}

static NOINLINE int node(unsigned levels)
{
    if (!levels) {
        leaf();
        return 1;
    }
    int left = node(levels - 1);
    int right = node(levels - 1);
    return left + right;
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 3);
    rounds = atoi(argv[2]);
    return node((unsigned)atoi(argv[1])) > 0 ? 0 : 1;
}
