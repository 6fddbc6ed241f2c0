/* forks.c N - N children of fork and N of vfork, started at changing depths.
 *
 * A forked child allocates 500 + d bytes at depth d below child_work, returns from all the frames it inherited
 * from fork_at, and allocates 600 bytes in main's own frame: the memo it inherited holds its parent's stacks. A
 * child of vfork runs in its parent's memory: it allocates 700 + d bytes and ends. After each, the parent
 * allocates 800 + d bytes. Each prints nothing; blocks are freed. */
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

static int is_child;

static NOINLINE void allocate(size_t bytes)
{
    void *block = malloc(bytes);
    REQUIRE(block);
    free(block);
}

static NOINLINE void child_work(int left, int depth)
{
    if (left > 0)
        child_work(left - 1, depth);
    else
        allocate(500 + (size_t)depth);
    __asm__ volatile("");
}

static NOINLINE void fork_at(int left, int depth)
{
    if (left > 0) {
        fork_at(left - 1, depth);
        __asm__ volatile("");
        return;
    }
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        is_child = 1;
        child_work(depth, depth);
        return;
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    allocate(800 + (size_t)depth);
}

static NOINLINE void vfork_child(int left, int depth)
{
    if (left > 0)
        vfork_child(left - 1, depth);
    else
        allocate(700 + (size_t)depth);
    __asm__ volatile("");
}

static NOINLINE void vfork_at(int left, int depth)
{
    if (left > 0) {
        vfork_at(left - 1, depth);
        __asm__ volatile("");
        return;
    }
    pid_t child = vfork(); /* NOLINT: what is under test */
    REQUIRE(child >= 0);
    if (child == 0) {
        vfork_child(depth, depth);
        _exit(0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    allocate(800 + (size_t)depth);
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    for (int i = 0; i < atoi(argv[1]); i++) {
        fork_at(i % 10, i % 10);
        if (is_child) {
            allocate(600);
            return 0;
        }
        vfork_at(i % 10, i % 10);
    }
    return 0;
}
