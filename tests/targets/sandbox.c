/* sandbox.c strict|filter PAIRS - allocates in a sandbox.
 *   strict   only read, write, exit and sigreturn are left, and rdtsc is a fault
 *   filter   what an allocator may need is left; any other call kills the process (SIGSYS)
 * Keeps one block of 100 B from before and, in the filter, one of 200 B from after. Exits 4. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target.h"

static void *kept[2];

static NOINLINE void keep_before(void)
{
    kept[0] = malloc(100);
}
static NOINLINE void keep_inside(void)
{
    kept[1] = malloc(200);
}

static void filter_install(void)
{
    static const unsigned allowed[] = {SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_madvise,
        SYS_futex, SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn};
    enum { N = sizeof allowed / sizeof *allowed };
    struct sock_filter code[N + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    for (unsigned i = 0; i < N; i++)
        code[1 + i] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (unsigned char)(N - i), 0);
    code[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {N + 3, code};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 3);
    int strict = !strcmp(argv[1], "strict"), pairs = atoi(argv[2]);
    keep_before();
    if (strict)
        REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    else
        filter_install();
    keep_inside();
    for (int i = 0; i < pairs; i++)
        free(malloc((size_t)i % 1000));
    syscall(SYS_exit, 4); /* exit_group is not among what strict mode allows */
    return 0;
}
