/* deep_recursion.c DEPTH... - for each DEPTH, allocates 1000 + DEPTH % 1000 bytes under DEPTH calls of
 * descend(), called by main(). */
#include <sys/resource.h>
#include <unistd.h>

#include "target.h"

static NOINLINE void *descend(int depth, size_t bytes)
{
    void *block = depth > 1 ? descend(depth - 1, bytes) : malloc(bytes); /* LEAK deep */
    return target_opaque(block);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int depth = atoi(argv[i]);
        REQUIRE(descend(depth, (size_t)(1000 + depth % 1000)));
    }
    return 0;
}
