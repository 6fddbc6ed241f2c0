/* dirty_uffd.c - GM_DIRTY_UFFD: the kernel takes the protection of a page away at its first write, and tells on request.
 *
 * One userfaultfd for the process (a mapping can belong to one only) with asynchronous write-protection: no signal, no
 * thread, and system calls that write into protected memory work. One PAGEMAP_SCAN reads which pages are
 * not protected any more and protects them again, in one step for each page, so that no write is lost in between.
 *
 * What can go wrong, and what follows:
 *  - The program closes our descriptors, or uses their numbers for files of its own (daemons close all there are). With
 *    the userfaultfd the kernel drops all protection. PM_SCAN_CHECK_WPASYNC sees it; the files are known by device and inode,
 *    and what is not ours is never closed. New ones are opened, and all that was watched counts as written once.
 *  - A child of fork has copies that speak of its parent's memory. It opens its own, likewise.
 *  - Part of the range was mapped anew, and is not registered: arming says ENOENT, and it is registered then.
 *
 * Each opening of the descriptors has a number, the epoch: what another one protected is protected no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/dirty_internal.h"
#include "libgeomem/gc/dirty_kernel.h"

/* Out of the way of programs that count on small numbers; where the limit does not allow it, wherever. */
#define UFFD_FD_MIN 700
/* Regions read by one call: arbitrary, 12 KB. */
#define UFFD_REGIONS 512u
#define UFFD_REGIONS_BYTES ((size_t)24 << 10)
static_assert(2 * UFFD_REGIONS * sizeof(struct gm_page_region) <= UFFD_REGIONS_BYTES, "fit");
/* Parts of the range that are registered when arming finds them not to be: those of a segment of the heap. */
#define UFFD_REGISTER_BYTES ((uintptr_t)4 << 20)

/* Runs of watched pages as short as that, and so many of them within a window, are looked at together first: measured,
 * bench/dirty. A call costs as much as looking at some 300 pages. */
#define UFFD_LONG_PAGES ((size_t)128)
#define UFFD_WINDOW_PAGES ((size_t)4096)
#define UFFD_COARSE_RUNS ((size_t)4)

/* What it was when it was opened: the number may be the program's by now. */
struct uffd_file {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
};

static struct {
    struct uffd_file faults;  /* userfaultfd */
    struct uffd_file pagemap; /* /proc/self/pagemap */
    long pid;
    unsigned epoch; /* 0: never opened */
    unsigned users;
    /* Two times UFFD_REGIONS, in memory of their own: addresses of pages in a global would be roots. */
    struct gm_page_region *regions;
    struct gm_page_region *coarse;
} uffd = {.faults = {.fd = -1}, .pagemap = {.fd = -1}};

static int uffd_high(int fd)
{
    if (fd < 0)
        return fd;
    long high = gm_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, UFFD_FD_MIN);
    if (high < 0)
        return fd;
    gm_sys1(SYS_close, fd);
    return (int)high;
}

/* Programs without CAP_SYS_PTRACE get one for faults in user mode only, or through the file, if it lets them. Asynchronous
 * protection never hands a fault to user space, so that the restriction does not matter: shown by uffd_try. */
static int uffd_open_fd(void)
{
    long fd = gm_sys1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd == -EPERM)
        fd = gm_sys1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | GM_UFFD_USER_MODE_ONLY);
    if (fd == -EPERM) {
        long file = gm_sys4(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
        if (file < 0)
            return (int)file;
        fd = gm_sys3(SYS_ioctl, file, GM_USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        gm_sys1(SYS_close, file);
    }
    if (fd < 0)
        return (int)fd;
    struct uffdio_api api = {
        .api = UFFD_API, .features = GM_UFFD_FEATURE_WP_UNPOPULATED | GM_UFFD_FEATURE_WP_ASYNC};
    long err = gm_sys3(SYS_ioctl, fd, UFFDIO_API, &api);
    if (err < 0) {
        gm_sys1(SYS_close, fd);
        return (int)err;
    }
    return uffd_high((int)fd);
}

static bool file_is_ours(const struct uffd_file *file)
{
    struct stat status;
    return gm_sys2(SYS_fstat, file->fd, &status) == 0 && status.st_dev == file->dev &&
           status.st_ino == file->ino;
}

static void file_close(struct uffd_file *file)
{
    if (file->fd >= 0 && file_is_ours(file))
        gm_sys1(SYS_close, file->fd);
    file->fd = -1;
}

/* `fd`: just opened, or a negative errno. */
static int file_open(struct uffd_file *file, int fd)
{
    struct stat status;
    int err = fd < 0 ? fd : (int)gm_sys2(SYS_fstat, fd, &status);
    if (err < 0) {
        if (fd >= 0)
            gm_sys1(SYS_close, fd);
        return err;
    }
    *file = (struct uffd_file){fd, status.st_dev, status.st_ino};
    return 0;
}

static void uffd_close_both(void)
{
    file_close(&uffd.faults);
    file_close(&uffd.pagemap);
}

static int uffd_open_both(void)
{
    int err = file_open(&uffd.faults, uffd_open_fd());
    if (err < 0)
        return err;
    err = file_open(&uffd.pagemap, uffd_high((int)gm_sys4(SYS_openat, AT_FDCWD,
                                       "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0)));
    if (err < 0) {
        uffd_close_both();
        return err;
    }
    uffd.pid = gm_sys0(SYS_getpid);
    uffd.epoch++;
    return 0;
}

static int uffd_register(uintptr_t start, uintptr_t end)
{
    struct uffdio_register r = {
        .range = {.start = start, .len = end - start}, .mode = UFFDIO_REGISTER_MODE_WP};
    return (int)gm_sys3(SYS_ioctl, uffd.faults.fd, UFFDIO_REGISTER, &r);
}

static int uffd_protect(uintptr_t start, uintptr_t end, bool on)
{
    struct uffdio_writeprotect w = {.range = {.start = start, .len = end - start},
        .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
    long err;
    do
        err = gm_sys3(SYS_ioctl, uffd.faults.fd, UFFDIO_WRITEPROTECT, &w);
    while (err == -EAGAIN || err == -EINTR);
    return (int)err;
}

/* Reads the written pages of [start, end) into `regions`; up to where, through ret_end. The number or a negative errno. */
static long uffd_scan(
    struct gm_page_region *regions, uintptr_t start, uintptr_t end, bool rearm, uintptr_t *ret_end)
{
    struct gm_pagemap_scan scan = {.size = sizeof scan,
        .flags = GM_PAGEMAP_SCAN_CHECK | (rearm ? GM_PAGEMAP_SCAN_PROTECT : 0),
        .start = start,
        .end = end,
        .regions = (uintptr_t)regions,
        .region_count = UFFD_REGIONS,
        .category_mask = GM_PAGE_IS_WRITTEN,
        .return_mask = GM_PAGE_IS_WRITTEN};
    long count = gm_sys3(SYS_ioctl, uffd.pagemap.fd, GM_PAGEMAP_SCAN, &scan);
    if (count >= 0)
        *ret_end = scan.walk_end;
    return count;
}

/* Are exactly the pages of `expected` (a bit each) of the four at `start` written, and protected again? */
static bool uffd_try_expect(uintptr_t start, unsigned expected)
{
    unsigned seen = 0;
    uintptr_t end;
    long count = uffd_scan(uffd.regions, start, start + 4 * GM_PAGE_BYTES, true, &end);
    if (count < 0 || end != start + 4 * GM_PAGE_BYTES)
        return false;
    for (long i = 0; i < count; i++)
        for (uintptr_t p = uffd.regions[i].start; p < uffd.regions[i].end; p += GM_PAGE_BYTES)
            seen |= 1u << ((p - start) >> GM_PAGE_LOG2);
    return seen == expected;
}

/* The whole of what is relied on, on four pages: one that exists, one that does not, one that the kernel writes to. */
static bool uffd_try(volatile unsigned char *pages)
{
    uintptr_t start = (uintptr_t)pages;
    pages[0] = pages[GM_PAGE_BYTES] = 1;
    if (uffd_register(start, start + 4 * GM_PAGE_BYTES) < 0 ||
        uffd_protect(start, start + 4 * GM_PAGE_BYTES, true) < 0 || !uffd_try_expect(start, 0))
        return false;
    pages[0] = 2;
    pages[3 * GM_PAGE_BYTES] = 2;
    if (!uffd_try_expect(start, 1u | 8u) || !uffd_try_expect(start, 0))
        return false;
    pages[0] = 3;
    if (gm_sys2(SYS_clock_gettime, CLOCK_MONOTONIC, start + GM_PAGE_BYTES) < 0)
        return false;
    return uffd_try_expect(start, 1u | 2u) && uffd_try_expect(start, 0);
}

static int uffd_try_out(void)
{
    void *pages = gm_sys_map(4 * GM_PAGE_BYTES);
    if (pages == NULL)
        return -ENOMEM;
    bool works = uffd_try(pages);
    gm_sys2(SYS_munmap, pages, 4 * GM_PAGE_BYTES);
    return works ? 0 : -ENOSYS;
}

static int uffd_map_regions(void)
{
    if (uffd.regions == NULL)
        uffd.regions = gm_os_map(UFFD_REGIONS_BYTES);
    if (uffd.regions == NULL)
        return -ENOMEM;
    uffd.coarse = uffd.regions + UFFD_REGIONS;
    return 0;
}

static int way_open(struct gm_dirty *dirty)
{
    int err;
    if (uffd.users == 0) {
        if ((err = uffd_map_regions()) < 0 || (err = uffd_open_both()) < 0)
            return err;
        if ((err = uffd_try_out()) < 0) {
            uffd_close_both();
            return err;
        }
    }
    uffd.users++;
    dirty->epoch = uffd.epoch;
    /* Registered as a whole, so that mappings of the heap are split no further. Not to be had if the range is not
     * wholly mapped; then it happens part by part. */
    uffd_register(dirty->start, gm_dirty_address(dirty, dirty->pages));
    return 0;
}

static void way_close(struct gm_dirty *dirty)
{
    struct uffdio_range range = {.start = dirty->start, .len = dirty->pages << GM_PAGE_LOG2};
    gm_sys3(SYS_ioctl, uffd.faults.fd, UFFDIO_UNREGISTER, &range);
    if (--uffd.users == 0)
        uffd_close_both();
}

/* The descriptors are not ours any more, or not of this process: new ones. */
static int uffd_renew(void)
{
    uffd_close_both();
    return uffd_open_both();
}

static bool uffd_is_ours(void)
{
    return uffd.pid == gm_sys0(SYS_getpid) && file_is_ours(&uffd.pagemap);
}

/* What another opening of the descriptors protected counts as written. */
static void way_adopt(struct gm_dirty *dirty)
{
    if (dirty->epoch == uffd.epoch)
        return;
    gm_dirty_all_written(dirty);
    dirty->epoch = uffd.epoch;
    uffd_register(dirty->start, gm_dirty_address(dirty, dirty->pages));
}

/* Nothing more can be known: everything counts as written from now on. */
static void way_give_up(struct gm_dirty *dirty)
{
    dirty->way = &gm_dirty_way_none;
    if (--uffd.users == 0)
        uffd_close_both();
}

static int way_register_part(struct gm_dirty *dirty, uintptr_t start, uintptr_t end)
{
    uintptr_t last = gm_dirty_address(dirty, dirty->pages);
    start &= ~(UFFD_REGISTER_BYTES - 1);
    end = (end + UFFD_REGISTER_BYTES - 1) & ~(UFFD_REGISTER_BYTES - 1);
    return uffd_register(start < dirty->start ? dirty->start : start, end > last ? last : end);
}

static int way_protect(struct gm_dirty *dirty, uintptr_t start, uintptr_t end)
{
    int err = uffd_protect(start, end, true);
    if (err != -ENOENT)
        return err;
    if (way_register_part(dirty, start, end) < 0 && (err = uffd_register(start, end)) < 0)
        return err;
    return uffd_protect(start, end, true);
}

static int way_arm(struct gm_dirty *dirty, size_t from, size_t to)
{
    uintptr_t start = gm_dirty_address(dirty, from), end = gm_dirty_address(dirty, to);
    way_adopt(dirty);
    int err = way_protect(dirty, start, end);
    if (err != -EBADF && err != -ENOTTY && err != -EINVAL)
        return err;
    if (uffd_renew() < 0)
        return -EIO;
    way_adopt(dirty);
    gm_dirty_bits_clear(dirty->written, from, to);
    return way_protect(dirty, start, end);
}

static void way_disarm(struct gm_dirty *dirty, size_t from, size_t to)
{
    /* what fails is not protected */
    uffd_protect(gm_dirty_address(dirty, from), gm_dirty_address(dirty, to), false);
}

static int way_take_scan(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    uintptr_t at = gm_dirty_address(dirty, from), end = gm_dirty_address(dirty, to);
    while (at < end) {
        long count = uffd_scan(uffd.regions, at, end, rearm, &at);
        if (count < 0)
            return (int)count;
        for (long i = 0; i < count; i++)
            gm_dirty_runs_add(runs, uffd.regions[i].start, uffd.regions[i].end);
    }
    return 0;
}

static void way_take_written(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    uintptr_t start = gm_dirty_address(dirty, from), end = gm_dirty_address(dirty, to);
    if (rearm && way_protect(dirty, start, end) == 0)
        gm_dirty_bits_clear(dirty->written, from, to);
    gm_dirty_runs_add(runs, start, end);
}

/* The protection is lost, or cannot be read: all that is watched counts as written. */
static void way_lost(struct gm_dirty *dirty)
{
    if (uffd_renew() < 0)
        way_give_up(dirty);
    else
        way_adopt(dirty);
}

/* [from, to) is watched, and all of it has the same bit `written`. */
static void way_take_run(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    if (dirty->way == &gm_dirty_way_uffd && !gm_dirty_bit(dirty->written, from)) {
        if (way_take_scan(dirty, from, to, rearm, runs) == 0)
            return;
        way_lost(dirty);
    }
    if (dirty->way == &gm_dirty_way_uffd)
        way_take_written(dirty, from, to, rearm, runs);
    else
        gm_dirty_way_none.take(dirty, from, to, rearm, runs);
}

/* A run of watched pages, part by part as the bit `written` changes. */
static void way_take_watched(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    for (size_t a = from, b, next; a < to; a = b) {
        bool written = gm_dirty_bit(dirty->written, a);
        if (!gm_dirty_bits_run(dirty->watched, dirty->written, !written, a, to, &b, &next))
            b = to;
        way_take_run(dirty, a, b, rearm, runs);
    }
}

/* The watched runs in [from, to), each by itself. */
static void way_take_each(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    for (size_t a, b = from; gm_dirty_bits_run(dirty->watched, NULL, false, b, to, &a, &b);)
        way_take_watched(dirty, a, b, rearm, runs);
}

/* Many short runs: one look at all of it, and then at those runs again in which there is something. What is written between the
 * two looks is found by the second, or next time. */
static void way_take_coarse(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    uintptr_t at = gm_dirty_address(dirty, from), end = gm_dirty_address(dirty, to);
    size_t a, b = from;
    while (at < end) {
        long count = uffd_scan(uffd.coarse, at, end, false, &at);
        if (count < 0) { /* something between the runs is not registered */
            way_take_each(dirty, b, to, rearm, runs);
            return;
        }
        for (long i = 0; i < count; i++) {
            size_t first = (uffd.coarse[i].start - dirty->start) >> GM_PAGE_LOG2;
            size_t last = (uffd.coarse[i].end - dirty->start) >> GM_PAGE_LOG2;
            /* runs that begin in the region, or reach into it, and have not been looked at */
            if (first < b)
                first = b;
            while (gm_dirty_bits_run(dirty->watched, NULL, false, first, last, &a, &b)) {
                while (a > from && gm_dirty_bit(dirty->watched, a - 1))
                    a--;
                while (b < to && gm_dirty_bit(dirty->watched, b))
                    b++;
                way_take_watched(dirty, a, b, rearm, runs);
                first = b;
            }
        }
    }
}

/* How far the short runs from `from` on reach; `ret_runs`: how many they are. */
static size_t way_window(const struct gm_dirty *dirty, size_t from, size_t to, size_t *ret_runs)
{
    size_t a, b = from, end = from;
    if (to - from > UFFD_WINDOW_PAGES)
        to = from + UFFD_WINDOW_PAGES;
    *ret_runs = 0;
    while (gm_dirty_bits_run(dirty->watched, dirty->written, false, b, to, &a, &b)) {
        if (b - a >= UFFD_LONG_PAGES || (*ret_runs > 0 && a - end >= UFFD_LONG_PAGES))
            break;
        end = b;
        ++*ret_runs;
    }
    return end;
}

static int way_take(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    if (!uffd_is_ours())
        way_lost(dirty);
    if (dirty->way != &gm_dirty_way_uffd)
        return dirty->way->take(dirty, from, to, rearm, runs);
    way_adopt(dirty);
    for (size_t a, b = from; gm_dirty_bits_run(dirty->watched, NULL, false, b, to, &a, &b);) {
        size_t count = 0, end = b - a < UFFD_LONG_PAGES ? way_window(dirty, a, to, &count) : 0;
        size_t x, y;
        if (count < UFFD_COARSE_RUNS ||
            gm_dirty_bits_run(dirty->watched, dirty->written, true, a, end, &x, &y)) {
            way_take_watched(dirty, a, b, rearm, runs);
            continue;
        }
        way_take_coarse(dirty, a, end, rearm, runs);
        b = end;
    }
    return 0;
}

static int way_after_fork(struct gm_dirty *dirty)
{
    /* the first of several heaps renews, the others adopt */
    if (uffd.pid != gm_sys0(SYS_getpid))
        way_lost(dirty);
    if (dirty->way == &gm_dirty_way_uffd)
        way_adopt(dirty);
    return 0;
}

const struct gm_dirty_way gm_dirty_way_uffd = {
    GM_DIRTY_UFFD, way_open, way_close, way_arm, way_disarm, way_take, way_after_fork};
