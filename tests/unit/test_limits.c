/* Limits of memory, on a made-up tree of control groups. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/limits.h"

static char root[64];

static void tree_make(void)
{
    char command[1024];
    snprintf(root, sizeof root, "/tmp/gm-test-limits-XXXXXX");
    cr_assert(mkdtemp(root));
    snprintf(command, sizeof command,
        "cd %s && mkdir -p a/b memory/c && echo max >a/b/memory.max && echo 5000000 >a/memory.max"
        " && echo 4000000 >memory/c/memory.limit_in_bytes && echo 9223372036854771712 "
        ">memory/memory.limit_in_bytes",
        root);
    cr_assert_eq(system(command), 0);
}

static void tree_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(limits, .init = tree_make, .fini = tree_remove);

Test(limits, the_smallest_on_the_way_up_counts)
{
    cr_expect_eq(gm_limit_cgroup("0::/a/b\n", root), 5000000, "the group above");
    cr_expect_eq(gm_limit_cgroup("0::/", root), 0);
    cr_expect_eq(gm_limit_cgroup("0::/not/there\n", root), 0);
    cr_expect_eq(gm_limit_cgroup("4:cpu:/a\n3:memory:/c\n0::/a\n", root), 4000000, "both versions");
    cr_expect_eq(gm_limit_cgroup("3:memory:/\n", root), 0, "version 1's number for none");
    cr_expect_eq(gm_limit_cgroup("", root), 0);
    cr_expect_eq(gm_limit_cgroup("nonsense\n::\n:", root), 0);
}

Test(limits, the_programs_own_limit_is_named)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit r = {1ull << 34, RLIM_INFINITY};
        struct gm_limit before = gm_limit_find();
        if (setrlimit(RLIMIT_DATA, &r) < 0 || (before.bytes && before.bytes < r.rlim_cur))
            _exit(2);
        struct gm_limit limit = gm_limit_find();
        _exit(limit.bytes == 1ull << 34 && limit.kind && limit.kind[7] == 'D' ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 2)
        cr_log_warn("skipped: this machine's own limit is below 16 GiB");
    else
        cr_expect_eq(status, 0);
}
