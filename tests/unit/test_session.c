/* The shared memory of a session: sealed, allocated, laid out as wire.h says. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/session.h"
#include "collector/timebase.h"

static struct gm_session_options small_options(void)
{
    struct gm_session_options options;
    gm_session_options_init(&options);
    options.shape[GM_SESSION_LARGE] =
        (struct gm_session_shape){.ring_count = 3, .ring_bytes = 10000};
    return options;
}

Test(session, nobody_who_has_the_memfd_can_change_its_size)
{
    struct gm_session_options options = small_options();
    struct gm_shared_session s;
    int fd = -1;
    cr_assert_eq(gm_session_make(&options, GM_SESSION_LARGE, &s, &fd), 0);
    cr_assert(ftruncate(fd, 0) < 0 && errno == EPERM);
    cr_assert(ftruncate(fd, (off_t)s.bytes + 4096) < 0 && errno == EPERM);
    cr_assert(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM);
    cr_assert_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    gm_session_done(&s);
    gm_session_done(&s);
}

Test(session, all_its_memory_is_there_from_the_start)
{
    struct gm_session_options options = small_options();
    struct gm_shared_session s;
    struct stat st;
    int fd = -1;
    cr_assert_eq(gm_session_make(&options, GM_SESSION_LARGE, &s, &fd), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq((size_t)st.st_size, s.bytes);
    cr_assert_geq((size_t)st.st_blocks * 512, s.bytes);
    close(fd);
    gm_session_done(&s);
}

Test(session, the_header_says_what_was_asked_for)
{
    struct gm_session_options options = small_options();
    options.follow = false;
    options.drop_on_full = true;
    options.verify = true;
    options.events_all = true;
    options.depth_leaf = 10;
    options.depth_root = 5;
    options.full_wait_ms = 77;
    options.unwinder = GM_UNWIND_FP;
    options.clock = GM_CLOCK_MONOTONIC;
    struct gm_shared_session s;
    int fd = -1;
    cr_assert_eq(gm_session_make(&options, GM_SESSION_LARGE, &s, &fd), 0);
    const struct gm_session *h = s.header;
    cr_assert(h->magic == GM_SESSION_MAGIC && h->version == GM_WIRE_VERSION);
    cr_assert(h->header_bytes == GM_SESSION_HEADER_BYTES && h->session_bytes == s.bytes);
    cr_assert(h->ring_count == 3 + GM_SHARED_RINGS && h->ring_words == 16384 / 8);
    cr_assert(h->session_id != 0 && h->session_id == s.session_id);
    cr_assert(
        h->ring_data_offset % 4096 == 0 &&
        h->ring_data_offset >= GM_SESSION_HEADER_BYTES + h->ring_count * sizeof(struct gm_ring));
    cr_assert_eq(h->ring_data_offset + (uint64_t)h->ring_count * h->ring_words * 8, s.bytes);
    cr_assert_eq(h->flags, GM_SESSION_DROP_ON_FULL | GM_SESSION_VERIFY | GM_SESSION_EVENTS_ALL);
    cr_assert(h->depth_leaf == 10 && h->depth_root == 5 && h->full_wait_ms == 77);
    cr_assert(h->unwinder == GM_UNWIND_FP && h->clock == GM_CLOCK_MONOTONIC);
    close(fd);
    gm_session_done(&s);
}

Test(session, without_descriptors_it_is_refused_with_the_reason)
{
    struct gm_session_options options = small_options();
    struct gm_shared_session s;
    struct rlimit before, none;
    int fd = -1;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = gm_session_make(&options, GM_SESSION_LARGE, &s, &fd);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0); /* the test framework needs some */
    cr_assert_eq(r, -EMFILE);
    cr_assert_eq(fd, -1);
}

Test(timebase, time_follows_the_clock_and_never_goes_back)
{
    static const enum gm_clock clocks[] = {GM_CLOCK_TSC, GM_CLOCK_MONOTONIC};
    for (int i = 0; i < 2; i++) {
        struct gm_timebase base;
        int64_t start = gm_mono_ns(), last = -1;
        if (clocks[i] == GM_CLOCK_TSC && gm_session_best_clock() != GM_CLOCK_TSC)
            continue;
        gm_timebase_init(&base, clocks[i], start);
        for (int k = 0; k < 300; k++) {
            int64_t before = gm_mono_ns() - start;
            int64_t ns = gm_timebase_ns(&base, gm_clock_read(clocks[i]));
            int64_t after = gm_mono_ns() - start;
            cr_assert_geq(ns, last);
            /* Half a second at the 1 % that a refinement may differ by is the most it can be off. */
            cr_assert(ns > before - 5000000 && ns < after + 5000000, "%ld not in %ld..%ld", ns,
                before, after);
            last = ns;
            usleep(1000);
            if (k % 100 == 99)
                gm_timebase_refine(&base);
        }
        cr_assert_eq(
            gm_timebase_ns(&base, 0), last, "a stamp from long ago is told at the present time");
        uint64_t ticks = gm_timebase_ticks(&base, 1000000);
        uint64_t then = gm_clock_read(clocks[i]);
        int64_t step = gm_timebase_convert(&base, then + ticks) - gm_timebase_convert(&base, then);
        cr_assert(step > 999000 && step < 1001000, "%ld", step);
    }
}
