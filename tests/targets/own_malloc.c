/* own_malloc.c - a program with a malloc of its own linked into it: no library comes before the program, so nobody
 * from outside sees its calls. */
#include "target.h"

static _Alignas(16) char arena[1 << 20];
static size_t used;

void *malloc(size_t bytes)
{
    void *block = arena + used;
    used += (bytes + 15) & ~(size_t)15;
    return used <= sizeof arena ? block : NULL;
}

void free(void *block)
{
    (void)block;
}

int main(void)
{
    for (int i = 0; i < 100; i++)
        free(target_opaque(malloc(10)));
    return 0;
}
