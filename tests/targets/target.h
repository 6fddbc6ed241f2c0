/* target.h - what the known-answer programs share. They are built with -O1 -g -fno-builtin-malloc, so
 * that every call that stands in the source is made, and the same in every preset. */
#ifndef TARGET_H
#define TARGET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone))

/* Ends the program with status 99: the test's own failure, never an expected result. */
#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            _Exit(99); \
        } \
    } while (0)

/* Keeps the compiler from seeing through a pointer. */
static inline void *target_opaque(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

/* Bytes of a counting loop's own record, see counting_loop.c. */
struct target_tally {
    uint64_t allocs, frees, done;
};

#endif
