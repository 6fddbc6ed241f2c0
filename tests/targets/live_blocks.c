/* live_blocks.c KEPT CHURNED - keeps KEPT blocks of 16 B and, apart from them, allocates and frees CHURNED. */
#include "target.h"

int main(int argc, char **argv)
{
    REQUIRE(argc == 3);
    for (long i = 0; i < atol(argv[1]); i++)
        REQUIRE(target_opaque(malloc(16)));
    for (long i = 0; i < atol(argv[2]); i++)
        free(target_opaque(malloc(32)));
    return 0;
}
