/* many_sites.c LEVELS ROUNDS [PAUSE_US] - allocates under every path of a binary tree of calls: 2^LEVELS distinct stacks
 * of LEVELS + 3 frames, ROUNDS times each. ROUNDS 1 keeps each block (24 B); more free all.
 * PAUSE_US: how long each path rests. */
#include <unistd.h>

#include "target.h"

static int rounds;
static unsigned pause_us;

static NOINLINE void leaf(void)
{
    for (int i = 0; i < rounds; i++) {
        void *block = target_opaque(malloc(24));
        REQUIRE(block);
        if (rounds > 1)
            free(block);
    }
    if (pause_us)
        usleep(pause_us);
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
    REQUIRE(argc >= 3);
    rounds = atoi(argv[2]);
    pause_us = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    return node((unsigned)atoi(argv[1])) > 0 ? 0 : 1;
}
