/* session.c - see session.h. */
#include "collector/session.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define RING_BYTES_MIN 4096u
#define RING_BYTES_MAX (1u << 30)
#define RINGS_MAX 4096u /* arbitrary; keeps sizes far from overflow */

void gm_session_options_init(struct gm_session_options *options)
{
    *options = (struct gm_session_options){
        .shape =
            {
                [GM_SESSION_LARGE] = {.ring_count = 32, .ring_bytes = 1u << 20},
                [GM_SESSION_MEDIUM] = {.ring_count = 16, .ring_bytes = 512u << 10},
                [GM_SESSION_SMALL] = {.ring_count = 4, .ring_bytes = 128u << 10},
            },
        .budget_bytes = 512ull << 20,
        .full_wait_ms = 2000,
        .follow = true,
        .unwinder = GM_UNWIND_CFI,
        .depth_leaf = 384,
        .depth_root = 128,
        .clock = gm_session_best_clock(),
    };
}

/* What the kernel thinks of the counter: it leaves it off the list once it has caught it drifting.
 */
static bool clock_kernel_trusts_tsc(void)
{
    char list[256] = "";
    int fd = open(
        "/sys/devices/system/clocksource/clocksource0/available_clocksource", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* no /sys: the processor's word must do */
    ssize_t n = read(fd, list, sizeof list - 1);
    close(fd);
    if (n <= 0)
        return true;
    list[n] = '\0';
    /* Guests often have a clock of their host's and no "tsc" in the list though the counter is
     * sound; then the paravirtual clock itself stands on the counter. */
    return strstr(list, "tsc") || strstr(list, "kvm-clock");
}

enum gm_clock gm_session_best_clock(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    bool invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
    return invariant && clock_kernel_trusts_tsc() ? GM_CLOCK_TSC : GM_CLOCK_MONOTONIC;
}

const char *gm_clock_name(enum gm_clock clock)
{
    switch (clock) {
    case GM_CLOCK_TSC:
        return "tsc";
    case GM_CLOCK_MONOTONIC:
        return "monotonic";
    }
    return "unknown";
}

const char *gm_unwinder_name(enum gm_unwinder unwinder)
{
    switch (unwinder) {
    case GM_UNWIND_CFI:
        return "cfi";
    case GM_UNWIND_LIBUNWIND:
        return "libunwind";
    case GM_UNWIND_FP:
        return "fp";
    }
    return "unknown";
}

uint64_t gm_clock_read(enum gm_clock clock)
{
    if (clock == GM_CLOCK_TSC)
        return __rdtsc();
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t shape_ring_words(const struct gm_session_shape *shape)
{
    uint32_t bytes = RING_BYTES_MIN;
    while (bytes < shape->ring_bytes && bytes < RING_BYTES_MAX)
        bytes *= 2;
    return bytes / 8;
}

static uint32_t shape_ring_count(const struct gm_session_shape *shape)
{
    uint32_t own = shape->ring_count < 1 ? 1 : shape->ring_count;
    return (own > RINGS_MAX ? RINGS_MAX : own) + GM_SHARED_RINGS;
}

static size_t page_round(size_t bytes)
{
    return (bytes + 4095) & ~(size_t)4095;
}

void gm_session_memfd_name(pid_t recorder_pid, char ret_name[GM_SESSION_NAME_ROOM])
{
    snprintf(ret_name, GM_SESSION_NAME_ROOM, "geomem-session-%d", (int)recorder_pid);
}

/* A memfd of this many bytes that can neither run out of memory nor change its size. */
static int memfd_sealed(size_t bytes, int *ret_fd)
{
    int r = 0;
    char name[GM_SESSION_NAME_ROOM];
    gm_session_memfd_name(getpid(), name);
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) < 0 || fallocate(fd, 0, 0, (off_t)bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static uint64_t session_random_id(void)
{
    uint64_t id = 0;
    if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
        id = gm_clock_read(GM_CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
    return id ? id : 1;
}

static void session_fill_header(
    const struct gm_shared_session *session, const struct gm_session_options *options)
{
    struct gm_session *h = session->header;
    h->version = GM_WIRE_VERSION;
    h->header_bytes = GM_SESSION_HEADER_BYTES;
    h->session_bytes = session->bytes;
    h->session_id = session->session_id;
    h->ring_count = session->ring_count;
    h->ring_words = session->ring_words;
    h->ring_data_offset = session->ring_data_offset;
    h->clock = (uint32_t)options->clock;
    h->unwinder = (uint32_t)options->unwinder;
    h->flags = (options->follow ? (uint32_t)GM_SESSION_FOLLOW : 0u) |
               (options->drop_on_full ? (uint32_t)GM_SESSION_DROP_ON_FULL : 0u) |
               (options->verify ? (uint32_t)GM_SESSION_VERIFY : 0u) |
               (options->events_all ? (uint32_t)GM_SESSION_EVENTS_ALL : 0u);
    h->depth_leaf = options->depth_leaf;
    h->depth_root = options->depth_root;
    h->full_wait_ms = options->full_wait_ms;
    h->ticks_per_ms = options->ticks_per_ms;
    h->sample_bytes = options->sample_bytes;
    h->sample_seed = options->sample_seed;
    if (options->sample_bytes)
        atomic_init(&h->sample_log2, (uint32_t)__builtin_ctzll(options->sample_bytes));
    h->magic = GM_SESSION_MAGIC;
}

static int session_make_shape(const struct gm_session_options *options, enum gm_session_size size,
    struct gm_shared_session *ret, int *ret_fd)
{
    const struct gm_session_shape *shape = &options->shape[size];
    struct gm_shared_session s = {
        .ring_count = shape_ring_count(shape),
        .ring_words = shape_ring_words(shape),
        .clock = options->clock,
        .size = size,
        .sample_bytes = options->sample_bytes,
        .sample_seed = options->sample_seed,
        .session_id = session_random_id(),
    };
    s.ring_data_offset =
        page_round(GM_SESSION_HEADER_BYTES + s.ring_count * sizeof(struct gm_ring));
    s.bytes = s.ring_data_offset + (size_t)s.ring_count * s.ring_words * 8;

    int fd = -1;
    int r = memfd_sealed(s.bytes, &fd);
    if (r < 0)
        return r;
    void *map = mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        r = -errno;
        close(fd);
        return r;
    }
    s.header = map;
    session_fill_header(&s, options);
    *ret = s;
    *ret_fd = fd;
    return 0;
}

int gm_session_make(const struct gm_session_options *options, enum gm_session_size size,
    struct gm_shared_session *ret, int *ret_fd)
{
    int r = -EINVAL;
    for (int s = (int)size; s < GM_SESSION_SIZES; s++) {
        r = session_make_shape(options, (enum gm_session_size)s, ret, ret_fd);
        if (r != -ENOSPC && r != -ENOMEM)
            break; /* done, or a smaller one would fail alike */
    }
    return r;
}

void gm_session_done(struct gm_shared_session *session)
{
    if (session->header)
        munmap(session->header, session->bytes);
    session->header = NULL;
}
