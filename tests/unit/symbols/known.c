/* known.c - a program whose names the symbol tests know.
 *
 * MARK(x) puts the linker symbol mark_x at the instruction of its line; the tests find the line by looking
 * for "MARK(x)" in this file, and the lines of calls by "CALL x".
 */
#define MARK(name) __asm__ volatile(".globl mark_" #name "\nmark_" #name ":\n\tnop" ::: "memory")

volatile int known_sink;
int known_outer(int n);
int known_with_nested(int n);
void known_assembly(void);

static inline __attribute__((always_inline)) void known_leaf(int n)
{
    known_sink += n;
    MARK(leaf);
}

static inline __attribute__((always_inline)) void known_middle(int n)
{
    known_sink ^= n;
    known_leaf(n + 1); /* CALL leaf */
    MARK(middle);
}

__attribute__((noinline)) int known_outer(int n)
{
    if (n > 3) {
        int twice = n * 2;
        known_middle(twice); /* CALL middle */
    }
    MARK(outer);
    return known_sink;
}

#ifndef __clang__ /* which has no functions in functions */
__attribute__((noinline)) int known_with_nested(int n)
{
    __attribute__((noinline)) int known_nested(int k)
    {
        MARK(nested);
        return k + n;
    }
    return known_nested(n) + 1;
}
#else
int known_with_nested(int n)
{
    return n;
}
#endif

/* Assembly as people write it by hand: no type, no size. */
__asm__(".text\n"
        ".globl known_assembly\n"
        "known_assembly:\n"
        "\tnop\n"
        ".globl mark_assembly\n"
        "mark_assembly:\n"
        "\tnop\n"
        "\tret\n");

int main(int argc, char **argv)
{
    (void)argv;
    known_assembly();
    MARK(main);
    return known_outer(argc) + known_with_nested(argc) == 12345;
}
