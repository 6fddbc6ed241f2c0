/* leak_simple.c - three leaks of known size and place, and traffic that is freed.
 * Live at the end: 10 x 100 B, 1 x 4096 B, 3 x 1000 B = 8,096 B in 14 blocks. Not one call to stdio. */
#include "target.h"

static void *kept[32];
static int kept_count;

static NOINLINE void *session_new(void)
{
    return malloc(100); /* LEAK small */
}

static NOINLINE void table_init(void)
{
    kept[kept_count++] = calloc(64, 64); /* LEAK table */
}

static NOINLINE void list_grow(void)
{
    void *list = malloc(10);
    list = realloc(list, 1000); /* LEAK grown */
    kept[kept_count++] = list;
}

static NOINLINE void churn(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        char *block = malloc(64); /* CHURN */
        block[0] = 1;
        free(target_opaque(block));
    }
}

int main(void)
{
    for (int i = 0; i < 10; i++)
        kept[kept_count++] = session_new();
    table_init();
    for (int i = 0; i < 3; i++)
        list_grow();
    churn(1000);
    return 0;
}
