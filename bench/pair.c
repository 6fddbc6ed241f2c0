/* pair.c SHAPE ROUNDS - prints the nanoseconds of CPU time that one malloc+free pair takes, 20 frames deep.
 *
 *   same     always from the same call site
 *   varying  through five different ways of two or three frames above the same 17
 *   tree     in every node of a binary recursion that begins at 12 frames
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

static long rounds, pairs;
static volatile int sink;

static NOINLINE void pair(void)
{
    void *block = malloc(48);
    __asm__ volatile("" : "+r"(block));
    free(block);
    pairs++;
}

static NOINLINE void way_a(void)
{
    pair();
    sink++;
}
static NOINLINE void way_b(void)
{
    pair();
    sink += 2;
}
static NOINLINE void way_c(void)
{
    way_a();
    sink += 3;
}
static NOINLINE void way_d(void)
{
    way_b();
    sink += 4;
}
static NOINLINE void way_e(void)
{
    way_c();
    sink += 5;
}

static NOINLINE void shape_same(void)
{
    for (long i = 0; i < rounds; i++)
        pair();
}

static NOINLINE void shape_varying(void)
{
    static void (*const ways[])(void) = {way_a, way_b, way_c, way_d, way_e};
    unsigned seed = 1;
    for (long i = 0; i < rounds; i++) {
        seed = seed * 1664525u + 1013904223u;
        ways[(seed >> 16) % 5]();
    }
}

static NOINLINE void tree_node(int levels)
{
    pair();
    if (levels) {
        tree_node(levels - 1);
        tree_node(levels - 1);
    }
    sink++;
}

static NOINLINE void shape_tree(void)
{
    while (pairs < rounds)
        tree_node(12);
}

static NOINLINE void descend(int depth, void (*shape)(void))
{
    if (depth)
        descend(depth - 1, shape);
    else
        shape();
    sink++;
}

static double cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    rounds = atol(argv[2]);
    int is_tree = !strcmp(argv[1], "tree");
    void (*shape)(void) = is_tree                    ? shape_tree
                          : !strcmp(argv[1], "same") ? shape_same
                                                     : shape_varying;
    double start = cpu_ns();
    descend(is_tree ? 5 : 14, shape);
    printf("%.3f\n", (cpu_ns() - start) / (double)pairs);
    return 0;
}
