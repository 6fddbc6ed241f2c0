/* Every write to a watched page is reported, by each way of observing; and by userfaultfd no page that was not written to. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libgeomem/gc/dirty.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)4096)

static const enum gm_dirty_mechanism ways[] = {GM_DIRTY_UFFD, GM_DIRTY_MPROTECT, GM_DIRTY_NONE};
#define EACH_WAY(way) for (const enum gm_dirty_mechanism *way = ways; way < ways + 3; way++)

static unsigned char *memory_new(size_t pages)
{
    void *p = mmap(NULL, (pages + 1024) * PAGE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert_neq(p, MAP_FAILED);
    return (unsigned char *)(((uintptr_t)p + 1023 * PAGE) & ~(1023 * PAGE + PAGE - 1));
}

/* NULL if this way is not to be had here. */
static struct gm_dirty *dirty_new(void *start, size_t pages, enum gm_dirty_mechanism way)
{
    struct gm_dirty *dirty;
    cr_assert_eq(gm_dirty_open((uintptr_t)start, pages * PAGE, way, &dirty), 0);
    if (gm_dirty_mechanism(dirty) == way)
        return dirty;
    gm_dirty_close(dirty);
    fprintf(stderr, "mechanism %d is not to be had here: not tested\n", (int)way);
    return NULL;
}

struct seen {
    unsigned char *base;
    uintptr_t last_end;
    unsigned char page[PAGES];
};

static void see(uintptr_t start, size_t bytes, void *arg)
{
    struct seen *seen = arg;
    cr_assert_eq((start | bytes) % PAGE, 0);
    cr_assert_gt(bytes, 0);
    cr_assert(seen->last_end == 0 || start > seen->last_end, "runs come in order and are maximal");
    seen->last_end = start + bytes;
    for (size_t i = 0; i < bytes / PAGE; i++)
        seen->page[(start - (uintptr_t)seen->base) / PAGE + i] = 1;
}

static struct seen *take(
    struct gm_dirty *dirty, unsigned char *base, size_t from, size_t pages, bool rearm)
{
    static struct seen seen;
    memset(&seen, 0, sizeof seen);
    seen.base = base;
    cr_assert_eq(
        gm_dirty_take(dirty, (uintptr_t)base + from * PAGE, pages * PAGE, rearm, see, &seen), 0);
    return &seen;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The model: watched, written since it was armed, and "may be reported or not", for each page. */
struct model {
    bool watched[PAGES], written[PAGES], vague[PAGES];
};

static void model_compare(
    struct model *model, const struct seen *seen, size_t from, size_t pages, bool exact, bool rearm)
{
    for (size_t i = 0; i < PAGES; i++) {
        bool inside = i >= from && i < from + pages;
        if (inside && model->watched[i] && model->written[i])
            cr_assert(seen->page[i], "page %zu was written to and not reported", i);
        if (!inside || !model->watched[i])
            cr_assert(!seen->page[i], "page %zu is not watched, or not asked for", i);
        else if (exact && !model->written[i] && !model->vague[i])
            cr_assert(!seen->page[i], "page %zu was not written to", i);
        if (inside && rearm)
            model->written[i] = model->vague[i] = false;
    }
}

static void random_program(enum gm_dirty_mechanism way, uint64_t seed)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    unsigned char *memory = memory_new(PAGES);
    if (seed & 1)
        madvise(memory, PAGES * PAGE, MADV_HUGEPAGE);
    struct gm_dirty *dirty = dirty_new(memory, PAGES, way);
    if (dirty == NULL)
        return;
    uint64_t random = seed * 0x9e3779b97f4a7c15u + 1;
    int zero = open("/dev/zero", O_RDONLY);
    for (int step = 0; step < 3000; step++) {
        size_t from = random_next(&random) % PAGES;
        size_t pages =
            1 + random_next(&random) % (random_next(&random) % 4 == 0 ? PAGES - from : 20);
        if (pages > PAGES - from)
            pages = PAGES - from;
        switch (random_next(&random) % 16) {
        case 0:
        case 1:
            cr_assert_eq(gm_dirty_watch(dirty, (uintptr_t)memory + from * PAGE, pages * PAGE), 0);
            for (size_t i = from; i < from + pages; i++)
                model.watched[i] = true, model.written[i] = model.vague[i] = false;
            break;
        case 2:
            cr_assert_eq(gm_dirty_unwatch(dirty, (uintptr_t)memory + from * PAGE, pages * PAGE), 0);
            for (size_t i = from; i < from + pages; i++)
                model.watched[i] = false;
            break;
        case 3:
            madvise(memory + from * PAGE, pages * PAGE, MADV_DONTNEED);
            for (size_t i = from; i < from + pages; i++)
                model.vague[i] = true;
            break;
        case 4: /* by the kernel */
            gm_dirty_open_for_kernel((uintptr_t)memory + from * PAGE + 100, pages * PAGE - 100);
            cr_assert_eq(read(zero, memory + from * PAGE + 100, pages * PAGE - 100),
                (ssize_t)(pages * PAGE - 100));
            for (size_t i = from; i < from + pages; i++)
                model.written[i] = true;
            break;
        case 5: {
            bool rearm = random_next(&random) % 4 != 0;
            model_compare(&model, take(dirty, memory, from, pages, rearm), from, pages,
                way == GM_DIRTY_UFFD, rearm);
            break;
        }
        case 6: /* reading is not writing */
            for (size_t i = from; i < from + pages; i++)
                (void)*(volatile unsigned char *)(memory + i * PAGE);
            break;
        default:
            memory[from * PAGE + random_next(&random) % PAGE] = (unsigned char)step;
            model.written[from] = true;
            break;
        }
    }
    model_compare(
        &model, take(dirty, memory, 0, PAGES, true), 0, PAGES, way == GM_DIRTY_UFFD, true);
    close(zero);
    gm_dirty_close(dirty);
    memset(memory, 1, PAGES * PAGE);
    munmap(memory, PAGES * PAGE);
}

Test(dirty, a_random_programs_writes_are_reported_and_nothing_else)
{
    const char *given = getenv("GEOMEM_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 16;
    for (int i = 0; i < 6; i++) {
        fprintf(stderr, "seed %llu\n", (unsigned long long)(seed + (unsigned)i));
        EACH_WAY(way)
        random_program(*way, seed + (unsigned)i);
    }
}

Test(dirty, without_a_mechanism_all_that_is_watched_counts_as_written)
{
    unsigned char *memory = memory_new(PAGES);
    struct gm_dirty *dirty = dirty_new(memory, PAGES, GM_DIRTY_NONE);
    gm_dirty_watch(dirty, (uintptr_t)memory + 8 * PAGE, 8 * PAGE);
    for (int round = 0; round < 2; round++) {
        struct seen *seen = take(dirty, memory, 0, PAGES, true);
        for (size_t i = 0; i < PAGES; i++)
            cr_assert_eq(seen->page[i], i >= 8 && i < 16);
    }
    gm_dirty_close(dirty);
}

static void fork_child(struct gm_dirty *first, struct gm_dirty *second, unsigned char *memory)
{
    if (gm_dirty_after_fork(first) < 0 || gm_dirty_after_fork(second) < 0)
        _exit(1);
    int zero = open("/dev/zero", O_RDONLY);
    gm_dirty_open_for_kernel((uintptr_t)memory + 3 * PAGE, PAGE);
    if (read(zero, memory + 3 * PAGE, PAGE) != (ssize_t)PAGE)
        _exit(6);
    struct seen *seen = take(first, memory, 0, 1024, true);
    for (size_t i = 0; i < 1024; i++)
        if (seen->page[i] != (i < 512))
            _exit(2);
    memory[5 * PAGE] = memory[1030 * PAGE] = 1;
    if (!take(first, memory, 0, 1024, true)->page[5])
        _exit(3);
    if (!take(second, memory, 1024, 1024, true)->page[1030])
        _exit(4);
    seen = take(first, memory, 0, 1024, true);
    for (size_t i = 0; i < 1024 && gm_dirty_mechanism(first) != GM_DIRTY_NONE; i++)
        if (seen->page[i])
            _exit(5);
    _exit(0);
}

Test(dirty, in_a_forked_child_all_counts_as_written_once_and_is_armed_again)
{
    EACH_WAY(way)
    {
        unsigned char *memory = memory_new(PAGES);
        struct gm_dirty *first = dirty_new(memory, 1024, *way);
        if (first == NULL)
            continue;
        struct gm_dirty *second = dirty_new(memory + 1024 * PAGE, 1024, *way);
        memset(memory, 1, 2048 * PAGE);
        gm_dirty_watch(first, (uintptr_t)memory, 512 * PAGE);
        gm_dirty_watch(second, (uintptr_t)memory + 1024 * PAGE, 512 * PAGE);
        pid_t pid = fork();
        if (pid == 0)
            fork_child(first, second, memory);
        int status;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0, "way %d: child ended with %#x", (int)*way, (unsigned)status);
        /* the parent's protection is as it was */
        memory[7 * PAGE] = 1;
        struct seen *seen = take(first, memory, 0, 1024, true);
        cr_assert(seen->page[7]);
        if (*way == GM_DIRTY_UFFD)
            cr_assert(!seen->page[8]);
        gm_dirty_close(first);
        gm_dirty_close(second);
        munmap(memory, PAGES * PAGE);
    }
}

/* 0, or the number of what went wrong. */
static int descriptors_round(
    struct gm_dirty *dirty, unsigned char *memory, bool reuse, bool watch_more)
{
    gm_dirty_watch(dirty, (uintptr_t)memory, 100 * PAGE);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    for (int fd = 3; fd < 1024 && reuse; fd++)
        dup2(1, fd);
    memory[3 * PAGE] = 1;
    if (watch_more && gm_dirty_watch(dirty, (uintptr_t)memory + 200 * PAGE, 100 * PAGE) != 0)
        return 1;
    memory[4 * PAGE] = memory[203 * PAGE] = 1;
    struct seen *seen = take(dirty, memory, 0, PAGES, true);
    if (!seen->page[3] || !seen->page[4] || (watch_more && !seen->page[203]))
        return 2;
    for (int fd = 3; fd < 1024 && reuse; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            return 3; /* a file of the program's was closed */
    memory[5 * PAGE] = 1;
    seen = take(dirty, memory, 0, PAGES, true);
    return seen->page[5] && !seen->page[6] ? 0 : 4;
}

Test(dirty, a_program_that_closes_all_descriptors_loses_no_write)
{
    unsigned char *memory = memory_new(PAGES);
    for (int round = 0; round < 4; round++) {
        /* Criterion wants its descriptors back */
        pid_t pid = fork();
        if (pid == 0) {
            struct gm_dirty *dirty = dirty_new(memory, PAGES, GM_DIRTY_UFFD);
            int wrong = dirty == NULL ? 0 : descriptors_round(dirty, memory, round & 1, round & 2);
            if (dirty != NULL && wrong == 0)
                wrong = descriptors_round(dirty, memory, round & 1, round & 2);
            _exit(wrong);
        }
        int status;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0, "round %d ended with %#x", round, (unsigned)status);
    }
}

/* Not all of a kind: a userfaultfd is an anonymous inode too. */
static void descriptors_fill(void)
{
    int poll = epoll_create1(0);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != poll)
            dup2(fd & 1 ? poll : 1, fd);
}

static bool descriptors_are_open(void)
{
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            return false;
    return true;
}

/* The same, with the program's files at the numbers, in a child of a fork, and at the end. 0, or what went wrong. */
static int descriptors_over_fork(struct gm_dirty *dirty, unsigned char *memory)
{
    gm_dirty_watch(dirty, (uintptr_t)memory, 100 * PAGE);
    descriptors_fill();
    pid_t pid = fork();
    if (pid == 0) {
        if (gm_dirty_after_fork(dirty) < 0)
            _exit(1);
        _exit(descriptors_are_open() ? 0 : 2);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 10 + WEXITSTATUS(status);
    gm_dirty_close(dirty);
    return descriptors_are_open() ? 0 : 3;
}

Test(dirty, descriptors_of_the_program_are_not_closed)
{
    unsigned char *memory = memory_new(PAGES);
    pid_t pid = fork();
    if (pid == 0) {
        struct gm_dirty *dirty = dirty_new(memory, PAGES, GM_DIRTY_UFFD);
        _exit(dirty == NULL ? 0 : descriptors_over_fork(dirty, memory));
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "ended with %#x", (unsigned)status);
}

static unsigned char *volatile alarmed_page;
static volatile sig_atomic_t alarms;
static void on_alarm(int number)
{
    (void)number;
    *alarmed_page = (unsigned char)++alarms;
}

Test(dirty, a_signal_handler_may_write_to_a_watched_page_at_any_time, .timeout = 60)
{
    unsigned char *memory = memory_new(PAGES);
    struct gm_dirty *dirty = dirty_new(memory, PAGES, GM_DIRTY_MPROTECT);
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    alarmed_page = memory + 5 * PAGE;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (alarms < 5000) {
        cr_assert_eq(gm_dirty_watch(dirty, (uintptr_t)memory, 64 * PAGE), 0);
        take(dirty, memory, 0, 64, true);
        gm_dirty_unwatch(dirty, (uintptr_t)memory, 64 * PAGE);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    gm_dirty_close(dirty);
}

Test(dirty, memory_that_was_mapped_anew_is_watched_again)
{
    EACH_WAY(way)
    {
        unsigned char *memory = memory_new(PAGES);
        struct gm_dirty *dirty = dirty_new(memory, PAGES, *way);
        if (dirty == NULL || *way == GM_DIRTY_NONE)
            continue;
        gm_dirty_watch(dirty, (uintptr_t)memory, 2048 * PAGE);
        gm_dirty_unwatch(dirty, (uintptr_t)memory, 2048 * PAGE);
        cr_assert_neq(
            mmap(memory, 2048 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            MAP_FAILED);
        cr_assert_neq(mmap(memory, 1024 * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            MAP_FAILED);
        cr_assert_eq(gm_dirty_watch(dirty, (uintptr_t)memory + 10 * PAGE, 100 * PAGE), 0);
        memory[50 * PAGE] = 1;
        struct seen *seen = take(dirty, memory, 0, PAGES, true);
        cr_assert(seen->page[50]);
        if (*way == GM_DIRTY_UFFD)
            cr_assert(!seen->page[51]);
        gm_dirty_close(dirty);
    }
}

static int unprivileged(unsigned char *memory)
{
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return 0; /* is so already */
    prctl(PR_SET_DUMPABLE, 1);
    struct gm_dirty *dirty = dirty_new(memory, PAGES, GM_DIRTY_UFFD);
    if (dirty == NULL)
        return 77;
    gm_dirty_watch(dirty, (uintptr_t)memory, PAGES * PAGE);
    int zero = open("/dev/zero", O_RDONLY);
    if (read(zero, memory + 9 * PAGE, PAGE) != (ssize_t)PAGE)
        return 1;
    struct seen *seen = take(dirty, memory, 0, PAGES, true);
    return seen->page[9] && !seen->page[8] && !seen->page[10] ? 0 : 2;
}

Test(dirty, system_calls_write_into_watched_memory_without_privileges_too)
{
    unsigned char *memory = memory_new(PAGES);
    pid_t pid = fork();
    if (pid == 0)
        _exit(unprivileged(memory));
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77), "%#x",
        (unsigned)status);
}

static sigjmp_buf jump;
static volatile sig_atomic_t segv_seen;
static void *volatile segv_address;
static void on_segv(int number, siginfo_t *info, void *context)
{
    (void)context;
    segv_seen = number;
    segv_address = info->si_addr;
    siglongjmp(jump, 1);
}

static void expect_own_handler(char *forbidden)
{
    segv_seen = 0;
    if (sigsetjmp(jump, 1) == 0)
        *(volatile char *)forbidden = 1;
    cr_assert_eq(segv_seen, SIGSEGV);
    cr_assert_eq(segv_address, forbidden);
}

Test(dirty, the_programs_own_segv_handler_is_called_for_its_own_faults)
{
    char *forbidden = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *memory = memory_new(PAGES);
    struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO}, old;
    /* before ours */
    sigaction(SIGSEGV, &action, NULL);
    struct gm_dirty *dirty = dirty_new(memory, PAGES, GM_DIRTY_MPROTECT);
    gm_dirty_watch(dirty, (uintptr_t)memory, PAGES * PAGE);
    memory[0] = 1;
    expect_own_handler(forbidden);
    /* and after */
    signal(SIGSEGV, SIG_DFL);
    cr_assert_eq(sigaction(SIGSEGV, &action, &old), 0);
    cr_assert_eq(old.sa_handler, SIG_DFL);
    memory[500 * PAGE] = 1;
    expect_own_handler(forbidden);
    sigaction(SIGSEGV, NULL, &old);
    cr_assert_eq(old.sa_sigaction, on_segv, "the program sees its own handler");
    cr_assert(take(dirty, memory, 0, PAGES, true)->page[500]);
    /* a bare system call replaces ours; the next collection takes it in */
    struct {
        void (*handler)(int, siginfo_t *, void *);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } bare;
    cr_assert_eq(syscall(SYS_rt_sigaction, SIGSEGV, NULL, &bare, 8), 0);
    bare.handler = on_segv;
    cr_assert_eq(syscall(SYS_rt_sigaction, SIGSEGV, &bare, NULL, 8), 0);
    take(dirty, memory, 0, PAGES, true);
    memory[700 * PAGE] = 1;
    cr_assert(take(dirty, memory, 0, PAGES, true)->page[700]);
    expect_own_handler(forbidden);
    gm_dirty_close(dirty);
}

static int wait_of(void (*child)(char *, struct gm_dirty *))
{
    char *forbidden = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        child(forbidden, dirty_new(memory_new(PAGES), PAGES, GM_DIRTY_MPROTECT));
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}
static void child_faults(char *forbidden, struct gm_dirty *dirty)
{
    (void)dirty;
    *(volatile char *)forbidden = 1;
}
static void child_raises(char *forbidden, struct gm_dirty *dirty)
{
    (void)forbidden, (void)dirty;
    raise(SIGSEGV);
}
static void child_ignores(char *forbidden, struct gm_dirty *dirty)
{
    (void)forbidden, (void)dirty;
    signal(SIGSEGV, SIG_IGN);
    raise(SIGSEGV);
    _exit(7);
}

Test(dirty, a_program_without_a_handler_dies_of_its_faults_as_before)
{
    int status = wait_of(child_faults);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = wait_of(child_raises);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = wait_of(child_ignores);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

Test(dirty, mprotect_goes_on_when_the_kernel_has_no_more_mappings)
{
    size_t pages =
        (size_t)1 << 21; /* 8 GB of address space: a window in two opened makes 65,536 mappings */
    unsigned char *memory = memory_new(pages);
    struct gm_dirty *dirty = dirty_new(memory, pages, GM_DIRTY_MPROTECT);
    cr_assert_eq(gm_dirty_watch(dirty, (uintptr_t)memory, pages * PAGE), 0);
    for (size_t i = 0; i < pages; i += 32)
        memory[i * PAGE] = 1;
    gm_dirty_close(dirty);
    for (size_t i = 0; i < pages; i += 32)
        memory[i * PAGE] = 2;
}
