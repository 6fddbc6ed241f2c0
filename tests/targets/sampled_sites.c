/* sampled_sites [ROUNDS] - allocates some 250 MB at nine sites of known sizes, in one thread, the same in each run, and keeps a
 * part of each to the end. For sampled recordings, whose estimates are compared with an exact one. */
#include <stdint.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline, noclone))
#define SLOTS 512u

static uint64_t state = 42;
static uint32_t random_below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

/* A slot's old block is freed when a new one comes; what is in the slots at the end stays. */
static void *volatile slots[9][SLOTS];
static void slot_put(unsigned site, void *block)
{
    unsigned i = random_below(SLOTS);
    free(slots[site][i]);
    slots[site][i] = block;
}

static NOINLINE void tiny(void)
{
    slot_put(0, malloc(24));
}
static NOINLINE void small(void)
{
    slot_put(1, malloc(100));
}
static NOINLINE void mixed(void)
{
    slot_put(2, malloc(16 + random_below(2000)));
}
static NOINLINE void page(void)
{
    slot_put(3, calloc(1, 4096));
}
static NOINLINE void large(void)
{
    slot_put(4, malloc(20000));
}
static NOINLINE void interval(void)
{
    slot_put(5, malloc(70000));
}
static NOINLINE void huge(void)
{
    slot_put(6, malloc(300000));
}
static NOINLINE void grown(void)
{
    char *block = NULL;
    for (size_t bytes = 1000; bytes <= 16000; bytes *= 2)
        block = realloc(block, bytes);
    slot_put(7, block);
}
static NOINLINE void kept(void)
{
    static void *volatile list;
    void **block = malloc(200);
    block[0] = list;
    list = block;
}

static void round_run(void)
{
    for (unsigned i = 0; i < 200000; i++) {
        tiny();
        if (i % 2 == 0)
            small();
        if (i % 8 == 0)
            mixed();
        if (i % 25 == 0)
            page();
        if (i % 200 == 0)
            large();
        if (i % 500 == 0)
            interval();
        if (i % 2000 == 0)
            huge();
        if (i % 100 == 0)
            grown();
        if (i % 4 == 0)
            kept();
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    while (rounds-- > 0)
        round_run();
    return 0;
}
