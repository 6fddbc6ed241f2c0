/* container.c CASE: memory that is limited. kept: by a control group that the test makes, where it may (exit status 77: not); pressure:
 * by files that say so; heap_max: by the environment. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"
#include "libgeomem/base/container.h"
#include "libgeomem/base/sys.h"
#include "libgeomem/gc/pressure.h"
#include "libgeomem/heap/listener.h"
#include "tests/gc/world.h"

#define MB ((size_t)1 << 20)
enum { NODE_BYTES = 256 };

struct node {
    struct node *next;
    char rest[NODE_BYTES - sizeof(struct node *)];
};

static uint64_t footprint(void)
{
    struct geomem_heap_statistics s = {.struct_bytes = sizeof s};
    CHECK(geomem_heap_statistics(NULL, &s) == 0);
    return s.footprint_bytes;
}

/* A queue of so many bytes, each of whose nodes is replaced in turn: `bytes` are allocated. Returns the largest footprint. */
static uint64_t churn(size_t live_bytes, size_t bytes)
{
    struct node *first = NULL, **last = &first;
    uint64_t most = 0;
    for (size_t i = 0; i < bytes / NODE_BYTES; i++) {
        *last = geomem_gc_alloc(NODE_BYTES);
        CHECK(*last);
        last = &(*last)->next;
        if (i > live_bytes / NODE_BYTES)
            first = first->next;
        if (i % 4096 == 0) {
            uint64_t now = footprint();
            most = now > most ? now : most;
        }
    }
    return most;
}

static bool file_write(const char *folder, const char *name, const char *text)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0600);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

/* ---- a control group -------------------------------------------------------------------------------------------- */

/* Without a limit it takes a third more than lives, and in time up to twice that. */
static void live_in_group(const char *folder)
{
    struct geomem_heap_options options = {
        .struct_bytes = sizeof options, .gc_mode = GEOMEM_GC_MARK_SWEEP};
    if (!file_write(folder, "cgroup.procs", "0"))
        _exit(77);
    CHECK(geomem_heap_configure(NULL, &options) == 0);
    uint64_t most = churn(42 * MB, 600 * MB);
    printf("at most %.1f MB of 60\n", (double)most / (double)MB);
    fflush(stdout);
    CHECK(most < 54 * MB);
    _exit(0);
}

static int case_kept(void)
{
    struct gm_container container;
    char folder[1100];
    int status;
    if (gm_container_find("/proc/self/cgroup", "/sys/fs/cgroup", &container) < 0)
        return 77;
    snprintf(folder, sizeof folder, "%s/geomem-test-%d", container.path, (int)getpid());
    if (mkdir(folder, 0700) != 0)
        return 77;
    bool limited =
        file_write(folder, container.is_v1 ? "memory.limit_in_bytes" : "memory.max", "62914560");
    pid_t child = limited ? fork() : 0;
    if (limited && child == 0)
        live_in_group(folder);
    bool ended = limited && waitpid(child, &status, 0) == child;
    while (rmdir(folder) != 0 && errno == EBUSY) /* the child is on its way out */
        gm_sys_sleep_ns(1000000);
    if (!ended || (WIFEXITED(status) && WEXITSTATUS(status) == 77))
        return 77;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* else the kernel has killed it */
    return 0;
}

/* ---- what files say --------------------------------------------------------------------------------------------- */

static _Atomic unsigned told, collections;
static _Atomic uint64_t told_bytes;

static void on_pressure(uint64_t wanted_bytes)
{
    atomic_fetch_add(&told, 1);
    atomic_store(&told_bytes, wanted_bytes);
}

static void on_gc_begin(uint64_t heap, uint64_t collection, uint32_t kind, uint32_t trigger)
{
    (void)heap, (void)collection, (void)kind;
    if (trigger == GEOMEM_TRIGGER_PRESSURE)
        atomic_fetch_add(&collections, 1);
}

static const struct geomem_listener listener = {.gc_begin = on_gc_begin};

static void used_set(const char *mount, size_t bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%zu\n", bytes);
    CHECK(file_write(mount, "memory.current", text));
}

static int case_pressure(void)
{
    char mount[] = "/tmp/geomem-group-XXXXXX", groups[64];
    CHECK(mkdtemp(mount) && file_write(mount, "groups", "0::/\n"));
    CHECK(file_write(mount, "memory.max", "1000000000\n"));
    used_set(mount, 500000000);
    snprintf(groups, sizeof groups, "%s/groups", mount);
    gm_listener_attach(&listener);
    gm_pressure_source(groups, mount);
    gm_pressure_observer(on_pressure);

    churn(5 * MB, 50 * MB);
    CHECK(gm_pressure_number() == 0 && atomic_load(&collections) == 0);

    used_set(mount, 950000000);
    uint64_t begin_ns = gm_sys_monotonic_ns(), seconds;
    while (atomic_load(&collections) < 2)
        churn(5 * MB, 20 * MB);
    seconds = (gm_sys_monotonic_ns() - begin_ns) / 1000000000u;
    CHECK(seconds >= 1); /* apart */
    CHECK(gm_pressure_number() >= 2 && atomic_load(&told) == gm_pressure_number());
    CHECK(gm_pressure_number() <= (seconds + 1) * 10 + 1);
    /* down to a twentieth below nine tenths */
    CHECK(gm_pressure_wanted_bytes() == 950000000 - (900000000 - 900000000 / 20));
    CHECK(atomic_load(&told_bytes) == gm_pressure_wanted_bytes());

    /* Explicit blocks only, and enough room; then threads that wait for memory. */
    used_set(mount, 100000000);
    gm_pressure_source(groups, mount);
    uint64_t number = gm_pressure_number();
    gm_pressure_poll();
    CHECK(gm_pressure_number() == number);
    CHECK(file_write(mount, "memory.pressure", "some avg10=0.00 total=900000000\n"));
    while (gm_pressure_number() == number)
        gm_pressure_poll();
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", mount);
    return system(command);
}

/* ---- the environment -------------------------------------------------------------------------------------------- */

static int case_heap_max(void)
{
    CHECK(setenv("GEOMEM_HEAP_MAX", "30M", 1) == 0);
    CHECK(geomem_alloc(20 * MB) != NULL && geomem_alloc(20 * MB) == NULL && errno == ENOMEM);
    CHECK(churn(4 * MB, 100 * MB) <= 30 * MB);
    struct geomem_heap_options options = {.struct_bytes = sizeof options};
    struct geomem_heap *heap;
    CHECK(geomem_heap_create(&options, &heap) == 0 && geomem_heap_alloc(heap, 50 * MB) != NULL);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {{"kept", case_kept}, {"pressure", case_pressure}, {"heap_max", case_heap_max}};
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(argv[1], cases[i].name) == 0)
            return cases[i].run();
    fprintf(stderr, "container kept|pressure|heap_max\n");
    return 2;
}
