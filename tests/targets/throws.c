/* throws.c N - a C program that reaches libgcc_s through a C++ library only. Has it throw and catch N exceptions
 * through 10 frames and prints how many nanoseconds of CPU one took. */
#include <time.h>

#include "target.h"

int throw_and_catch(int depth); /* throws_library.cpp */

static double cpu_ns(void)
{
    struct timespec t;
    REQUIRE(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    int n = atoi(argv[1]), caught = 0;
    caught += throw_and_catch(10); /* binds what is bound at the first throw */
    double start = cpu_ns();
    for (int i = 0; i < n; i++)
        caught += throw_and_catch(10);
    double end = cpu_ns();
    REQUIRE(caught == n + 1);
    printf("%.1f\n", n ? (end - start) / n : 0);
    return 0;
}
