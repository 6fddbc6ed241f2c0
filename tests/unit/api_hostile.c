/* api_hostile.c - libgeomem in the hands of somebody who has not read the manual.
 *
 * Each case runs in a child of its own: it passes when the child ends as the case says, with an orderly exit or by abort with a
 * line that names the misuse, and not by a crash or a hang.
 *
 * Usage: api_hostile [CASE]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "geomem/geomem.h"
#include "geomem/memory.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            _exit(3); \
        } \
    } while (0)

/* Out of the compiler's sight, which would warn of all this. */
static void *volatile hidden;

static void *seen(void *pointer)
{
    hidden = pointer;
    return hidden;
}

/* ---- misuse that ends the program ---- */

static void free_twice(void)
{
    void *block = seen(geomem_alloc(40));
    geomem_free(block);
    geomem_free(seen(block));
}

static void free_collected_twice(void)
{
    void *block = seen(allocate_memory(40, gc_young_generation));
    free_memory(block);
    free_memory(seen(block));
}

static void free_large_twice(void)
{
    void *block = seen(geomem_alloc(10u << 20));
    geomem_free(block);
    geomem_free(seen(block));
}

static void free_interior(void)
{
    geomem_free((char *)seen(geomem_alloc(100)) + 16);
}

static void free_odd(void)
{
    geomem_free((char *)seen(geomem_alloc(100)) + 1);
}

static void free_of_stack(void)
{
    int on_stack;
    geomem_free(seen(&on_stack));
}

static void free_of_malloc(void)
{
    geomem_free(seen(malloc(40)));
}

static void free_of_number(void)
{
    geomem_free(seen((void *)(uintptr_t)0x10));
}

static void free_beyond_the_end(void)
{
    char *block = seen(geomem_alloc(64u << 10));
    geomem_free(block + (3u << 20));
}

static void realloc_of_freed(void)
{
    void *block = seen(geomem_alloc(40));
    geomem_free(block);
    CHECK(!geomem_realloc(seen(block), 400));
}

static void report_freed_twice(void)
{
    CHECK(start_profiling() == 0);
    MemoryUsageReport *report = stop_profiling();
    CHECK(report);
    free_memory(report);
    free_memory(seen(report));
}

/* ---- misuse that is refused ---- */

static char misuse_text[256];
static void misuse_keep(const char *text, const void *address)
{
    (void)address;
    snprintf(misuse_text, sizeof misuse_text, "%s", text);
}

static void a_handler_that_returns(void)
{
    geomem_misuse_handler(misuse_keep);
    geomem_free((char *)seen(geomem_alloc(100)) + 16);
    CHECK(strlen(misuse_text) > 10 && !strchr(misuse_text, '\n'));
    int on_stack;
    geomem_free(seen(&on_stack));
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
    CHECK(geomem_alloc(100));
}

static void null_everywhere(void)
{
    struct geomem_weak *weak = NULL;
    struct geomem_block block;
    geomem_free(NULL);
    free_memory(NULL);
    CHECK(geomem_usable_size(NULL) == 0);
    CHECK(geomem_owns(NULL) == 0);
    CHECK(geomem_block_at(NULL, &block) == -ENOENT);
    CHECK(geomem_finalizer_set(NULL, NULL, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL) == -EINVAL);
    CHECK(geomem_weak_create(NULL, 0, &weak) == -EINVAL && !weak);
    CHECK(geomem_weak_link(NULL, allocate_memory(1, gc_young_generation), 0) == -EINVAL);
    void *link = NULL;
    CHECK(geomem_weak_link(&link, NULL, 0) == -EINVAL);
    CHECK(geomem_weak_unlink(&link) == -ENOENT);
    CHECK(geomem_weak_move(&link, &link) == -ENOENT);
    CHECK(geomem_add_roots(NULL, 0) < 0);
    CHECK(geomem_gc_alloc_typed(100, NULL) == NULL && errno == EINVAL);
    CHECK(geomem_heap_create(NULL, &(struct geomem_heap *){NULL}) == 0);
    geomem_heap_destroy(NULL);
    CHECK(analyze_memory_usage(NULL) == 0);
    void *fresh = geomem_realloc(NULL, 10);
    CHECK(fresh && geomem_usable_size(fresh) >= 10);
}

static void huge_sizes(void)
{
    static const size_t sizes[] = {
        SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, (size_t)1 << 47};
    static const uint64_t map[] = {1};
    static const struct geomem_layout layout = {
        .struct_bytes = sizeof layout, .element_bytes = 8, .pointers = map};
    void *block = geomem_alloc(100);
    memset(block, 0x5a, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = *(volatile const size_t *)&sizes[i];
        errno = 0;
        CHECK(!geomem_alloc(size) && errno == ENOMEM);
        CHECK(!geomem_alloc_root(size));
        CHECK(!geomem_gc_alloc(size));
        CHECK(!geomem_gc_alloc_leaf(size));
        CHECK(!geomem_gc_alloc_old(size, 0));
        CHECK(!geomem_gc_alloc_typed(size, &layout));
        CHECK(!geomem_aligned(64, size));
        CHECK(!geomem_calloc(size, 1) && !geomem_calloc(1, size) && !geomem_calloc(size, size));
        errno = 0;
        CHECK(!geomem_realloc(block, size) && errno == ENOMEM);
        CHECK(((char *)block)[99] == 0x5a);
    }
    CHECK(!geomem_calloc((size_t)1 << 33, (size_t)1 << 33));
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
}

static void odd_alignments(void)
{
    static const size_t wrong[] = {0, 3, 24, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        CHECK(!geomem_aligned(*(volatile const size_t *)&wrong[i], 100) && errno == EINVAL);
    }
    for (size_t alignment = 1; alignment <= (1u << 22); alignment *= 2)
        for (size_t size = 0; size < 200000; size = size * 5 + 1) {
            char *block = geomem_aligned(alignment, size);
            CHECK(block && (uintptr_t)block % alignment == 0);
            memset(block, 1, size);
            geomem_free(block);
        }
    CHECK(!geomem_aligned((size_t)1 << 62, 16));
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
}

static int visit_stops(const struct geomem_block *block, void *arg)
{
    (void)block;
    return ++*(int *)arg == 3 ? 77 : 0;
}

static void odd_arguments(void)
{
    struct geomem_heap_options options = {.struct_bytes = 3};
    struct geomem_heap *heap = NULL;
    CHECK(geomem_heap_create(&options, &heap) == -EINVAL && !heap);
    CHECK(geomem_heap_configure(NULL, &options) == -EINVAL);
    CHECK(geomem_heap_configure(NULL, NULL) == -EINVAL);
    options = (struct geomem_heap_options){
        .struct_bytes = sizeof options, .tracking = (enum geomem_write_tracking)99};
    CHECK(geomem_heap_create(&options, &heap) == -EINVAL);
    CHECK(perform_gc((Generation)5) == -EINVAL);
    CHECK(geomem_gc(NULL, (enum geomem_generation)9) == -EINVAL);
    for (int i = 0; i < 5; i++)
        CHECK(allocate_memory(32, gc_young_generation));
    int visited = 0;
    CHECK(geomem_heap_walk(NULL, visit_stops, &visited) == 77 && visited == 3);
    geomem_heap_destroy(geomem_heap_default());
    CHECK(geomem_alloc(10));
    struct geomem_layout layout = {.struct_bytes = sizeof layout, .element_bytes = 7};
    CHECK(!geomem_gc_alloc_typed(10, &layout) && errno == EINVAL);
    CHECK(geomem_remove_roots(&layout, sizeof layout) <= 0);
}

static void calls_that_do_not_pair(void)
{
    geomem_region_leave();
    geomem_region_enter();
    geomem_region_enter();
    geomem_region_leave();
    geomem_region_leave();
    geomem_unregister_thread();
    geomem_unregister_thread();
    CHECK(allocate_memory(16, gc_young_generation));
    CHECK(perform_gc(gc_old_generation) == 0);
    CHECK(geomem_gc_enable(NULL) <= 0);
    CHECK(geomem_gc_disable(NULL) == 0);
    CHECK(perform_gc(gc_old_generation) == -EBUSY);
    CHECK(geomem_gc_enable(NULL) == 0);
    CHECK(perform_gc(gc_old_generation) == 0);
    CHECK(stop_profiling() == NULL);
}

/* ---- at the wrong time ---- */

static void *root_of_early; /* a global */
__attribute__((constructor(101))) static void very_early(void)
{
    root_of_early = allocate_memory(100, gc_young_generation);
    if (root_of_early)
        memset(root_of_early, 0x77, 100);
}

__attribute__((destructor(101))) static void very_late(void)
{
    if (!allocate_memory(100, gc_young_generation) || perform_gc(gc_old_generation) != 0)
        _exit(4);
}

static void before_main(void)
{
    CHECK(root_of_early);
    for (int i = 0; i < 100000; i++)
        seen(allocate_memory(100, gc_young_generation));
    perform_gc(gc_old_generation);
    for (int i = 0; i < 100; i++)
        CHECK(((char *)root_of_early)[i] == 0x77);
}

static void in_atexit(void)
{
    CHECK(allocate_memory(100000, gc_old_generation));
    CHECK(perform_gc(gc_young_generation) == 0);
}

static void after_main(void)
{
    CHECK(atexit(in_atexit) == 0);
    exit(0); /* very_late comes after */
}

static void destructor_allocates(void *value)
{
    void *block = allocate_memory(50, gc_young_generation);
    CHECK(block && value);
    geomem_free(geomem_alloc(20));
}

static pthread_key_t key;
static void *thread_with_destructor(void *arg)
{
    void *block = allocate_memory(64, gc_young_generation);
    CHECK(pthread_setspecific(key, block) == 0);
    return arg;
}

static void in_destructors_of_threads(void)
{
    CHECK(pthread_key_create(&key, destructor_allocates) == 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, thread_with_destructor, NULL) == 0);
        if (i % 5 == 0)
            perform_gc(gc_young_generation);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
}

static _Atomic unsigned long alarms;
static void on_alarm(int number)
{
    (void)number;
    int saved = errno;
    alarms++;
    void *block = hidden;
    if (geomem_owns(block) && geomem_usable_size(block) > 4096)
        _exit(5);
    errno = saved;
}

static void in_a_signal_handler(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {.it_interval = {.tv_usec = 200}, .it_value = {.tv_usec = 200}};
    CHECK(init_gc() == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; i < 500000 || alarms < 20; i++)
        seen(allocate_memory((size_t)i % 500, gc_young_generation));
}

static void *allocate_for_ever(void *arg)
{
    void **list = NULL;
    for (unsigned long i = 0;; i++) {
        void **cell = allocate_memory(16 + i % 300, gc_young_generation);
        *cell = list;
        list = i % 500 ? cell : NULL;
        geomem_free(geomem_alloc(i % 1000));
    }
    return arg;
}

static void child_of_fork(void)
{
    for (int i = 0; i < 20000; i++)
        seen(allocate_memory(100, gc_young_generation));
    CHECK(perform_gc(gc_old_generation) == 0);
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, thread_with_destructor, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(start_profiling() == 0);
    MemoryUsageReport *report = stop_profiling();
    CHECK(report);
    free_memory(report);
    _exit(0);
}

static void after_fork(void)
{
    pthread_t thread;
    CHECK(pthread_key_create(&key, destructor_allocates) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);
    for (int i = 0; i < 15; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            child_of_fork();
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    _exit(0); /* the threads are at work still */
}

/* The limit stands before the first allocation: the program begins anew under it. */
static void in_a_small_address_space(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    if (limit.rlim_cur == RLIM_INFINITY) {
        limit.rlim_cur = limit.rlim_max = 256u << 20;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        execl("/proc/self/exe", "api_hostile", "--run", "in_a_small_address_space", (char *)NULL);
        _exit(9);
    }
    size_t got = 0;
    void **list = NULL;
    for (void **cell; got < 4096 && (cell = allocate_memory(1u << 20, gc_young_generation));
         got++) {
        *cell = list;
        list = cell;
    }
    CHECK(got < 256 && errno == ENOMEM); /* and perhaps none at all */
    hidden = list;
    CHECK(start_profiling() <= 0);
    _exit(0);
}

static void *report_taker(void *arg)
{
    (void)arg;
    MemoryUsageReport *report = stop_profiling();
    free_memory(report);
    return report;
}

static void profiling_from_many_threads(void)
{
    pthread_t worker, takers[4];
    CHECK(pthread_create(&worker, NULL, allocate_for_ever, NULL) == 0);
    for (int round = 0; round < 10; round++) {
        int got = 0;
        CHECK(start_profiling() == 0);
        for (int i = 0; i < 4; i++)
            CHECK(pthread_create(&takers[i], NULL, report_taker, NULL) == 0);
        for (int i = 0; i < 4; i++) {
            void *report;
            CHECK(pthread_join(takers[i], &report) == 0);
            got += report != NULL;
        }
        CHECK(got == 1);
    }
    _exit(0);
}

static void finalizer_that_does_everything(void *block, void *data)
{
    hidden = block; /* brought back to life */
    ++*(int *)data;
    for (int i = 0; i < 1000; i++)
        seen(allocate_memory(64, gc_young_generation));
    perform_gc(gc_young_generation);
    geomem_finalizers_run();
    geomem_finalizer_set(block, NULL, NULL, GEOMEM_FINALIZE_UNORDERED, NULL, NULL);
}

static void nothing(void) {}

__attribute__((noinline)) static void make_finalizable(int *count)
{
    for (int i = 0; i < 100; i++)
        CHECK(
            geomem_finalizer_set(allocate_memory(48, gc_young_generation),
                finalizer_that_does_everything, count, GEOMEM_FINALIZE_UNORDERED, NULL, NULL) == 0);
}

static void in_a_finalizer(void)
{
    static int count;
    CHECK(geomem_finalizers_notify(nothing) == 0);
    make_finalizable(&count);
    for (int i = 0; i < 3; i++) {
        seen(NULL);
        perform_gc(gc_old_generation);
        geomem_finalizers_run();
    }
    CHECK(count >= 90 && count <= 100);
    CHECK(geomem_heap_check(NULL, 3, stderr) == 0);
}

/* ---- the cases ---- */

static const struct {
    const char *name;
    void (*run)(void);
    const char *says; /* ends by abort, with this on stderr; NULL: ends with exit status 0 */
} cases[] = {
    {"free_twice", free_twice, "is free already"},
    {"free_collected_twice", free_collected_twice, "is free already"},
    {"free_large_twice", free_large_twice, "geomem"},
    {"free_interior", free_interior, " bytes into a block of "},
    {"free_odd", free_odd, " bytes into a block of "},
    {"free_of_stack", free_of_stack, "geomem"},
    {"free_of_malloc", free_of_malloc, "geomem"},
    {"free_of_number", free_of_number, "geomem"},
    {"free_beyond_the_end", free_beyond_the_end, "geomem"},
    {"realloc_of_freed", realloc_of_freed, "geomem"},
    {"report_freed_twice", report_freed_twice, "is free already"},
    {"a_handler_that_returns", a_handler_that_returns, NULL},
    {"null_everywhere", null_everywhere, NULL},
    {"huge_sizes", huge_sizes, NULL},
    {"odd_alignments", odd_alignments, NULL},
    {"odd_arguments", odd_arguments, NULL},
    {"calls_that_do_not_pair", calls_that_do_not_pair, NULL},
    {"before_main", before_main, NULL},
    {"after_main", after_main, NULL},
    {"in_destructors_of_threads", in_destructors_of_threads, NULL},
    {"in_a_signal_handler", in_a_signal_handler, NULL},
    {"after_fork", after_fork, NULL},
    {"in_a_small_address_space", in_a_small_address_space, NULL},
    {"profiling_from_many_threads", profiling_from_many_threads, NULL},
    {"in_a_finalizer", in_a_finalizer, NULL},
};

static size_t read_all(int fd, char *text, size_t room)
{
    size_t used = 0;
    for (ssize_t got; used + 1 < room && (got = read(fd, text + used, room - 1 - used)) > 0;)
        used += (size_t)got;
    text[used] = '\0';
    return used;
}

static int case_run(unsigned index, const char *program)
{
    int ends[2], status;
    char text[8192];
    if (pipe(ends))
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        alarm(20);
        /* A process image of its own: its constructors run. */
        execl(program, program, "--run", cases[index].name, (char *)NULL);
        _exit(9);
    }
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    close(ends[0]);
    waitpid(pid, &status, 0);
    const char *says = cases[index].says;
    int passed = says ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, says)
                      : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    printf("%-30s %s\n", cases[index].name, passed ? "ok" : "FAILED");
    if (!passed)
        printf("  wait status 0x%x, stderr: %s\n", (unsigned)status, text);
    fflush(stdout);
    return !passed;
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[argc - 1] : NULL;
    int failures = 0;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (wanted && strcmp(cases[i].name, wanted) != 0)
            continue;
        if (argc == 3) {
            cases[i].run();
            return 0;
        }
        failures += case_run(i, "/proc/self/exe");
    }
    return failures != 0;
}
