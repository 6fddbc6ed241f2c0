/* jumps.c - longjmp over frames that allocated, and allocation right after. 15,000 rounds; in each, jump_from()
 * allocates and jumps out of two frames. Live at the end: none; 45,000 allocations by the program itself. */
#include <setjmp.h>

#include "target.h"

static jmp_buf back;
static void *pending;

static NOINLINE int jump_from(int depth)
{
    if (!depth) {
        pending = malloc(40);
        if (pending)
            longjmp(back, 1);
        return 0;
    }
    void *block = malloc(20);
    free(block);
    return jump_from(depth - 1) + 1;
}

int main(void)
{
    for (volatile int i = 0; i < 15000; i++) {
        if (!setjmp(back)) {
            jump_from(1);
        } else {
            free(malloc(60));
            free(pending);
        }
    }
    return 0;
}
