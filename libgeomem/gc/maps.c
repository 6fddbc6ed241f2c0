/* maps.c - see maps.h.
 *
 * PROCMAP_QUERY (Linux 6.11) answers in 0.4 us. Before it there is the text of the maps file, read from its
 * beginning for each question. */
#include "libgeomem/gc/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "libgeomem/base/sys.h"

/* As in <linux/fs.h> since 6.11; older headers lack it. */
struct procmap_query {
    uint64_t size;
    uint64_t query_flags;
    uint64_t query_addr;
    uint64_t vma_start;
    uint64_t vma_end;
    uint64_t vma_flags;
    uint64_t vma_page_size;
    uint64_t vma_offset;
    uint64_t inode;
    uint32_t dev_major;
    uint32_t dev_minor;
    uint32_t vma_name_size;
    uint32_t build_id_size;
    uint64_t vma_name_addr;
    uint64_t build_id_addr;
};
#define QUERY _IOWR('f', 17, struct procmap_query)
#define QUERY_OR_NEXT 0x10u
#define VMA_READABLE 0x01u
#define VMA_WRITABLE 0x02u
#define VMA_SHARED 0x08u

/* Where pages must be tried: so many at once, and so far. */
#define PROBE_PAGES 64u
#define PROBE_BYTES ((uintptr_t)64 << 20)
#define USER_END ((uintptr_t)1 << 47)

static int proc_open(const char *path)
{
    return (int)gm_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static int maps_query(int fd, uintptr_t address, struct gm_mapping *ret_mapping)
{
    struct procmap_query q = {
        .size = sizeof q, .query_flags = QUERY_OR_NEXT, .query_addr = address};
    long err = gm_sys3(SYS_ioctl, fd, QUERY, &q);
    if (err < 0)
        return (int)err;
    *ret_mapping = (struct gm_mapping){
        .start = q.vma_start,
        .end = q.vma_end,
        .readable = q.vma_flags & VMA_READABLE,
        .writable = q.vma_flags & VMA_WRITABLE,
        .shared = q.vma_flags & VMA_SHARED,
    };
    return 0;
}

/* Reader of "start-end rwxp ...\n" lines, a buffer at a time. */
struct text {
    int fd;
    long length;
    long at;
    char buffer[2048];
};

static int text_next(struct text *t)
{
    if (t->at == t->length) {
        t->length = gm_sys3(SYS_read, t->fd, t->buffer, sizeof t->buffer);
        t->at = 0;
        if (t->length <= 0) {
            t->length = 0;
            return -1;
        }
    }
    return (unsigned char)t->buffer[t->at++];
}

static uintptr_t text_hex(struct text *t, int *ret_end)
{
    uintptr_t value = 0;
    int c = text_next(t);
    for (;; c = text_next(t)) {
        if (c >= '0' && c <= '9')
            value = value * 16 + (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uintptr_t)(c - 'a' + 10);
        else
            break;
    }
    *ret_end = c;
    return value;
}

static int maps_read(int fd, uintptr_t address, struct gm_mapping *ret_mapping)
{
    struct text t = {.fd = fd};
    int c;
    gm_sys3(SYS_lseek, fd, 0, 0);
    for (;;) {
        struct gm_mapping m = {.start = text_hex(&t, &c)};
        if (c < 0)
            return -ENOENT;
        m.end = text_hex(&t, &c);
        m.readable = text_next(&t) == 'r';
        m.writable = text_next(&t) == 'w';
        text_next(&t);
        m.shared = text_next(&t) == 's';
        while (c >= 0 && c != '\n')
            c = text_next(&t);
        if (m.end > address) {
            *ret_mapping = m;
            return 0;
        }
    }
}

/* How many of the pages from `page` on can be read; one byte of each is copied by the kernel. */
static size_t pages_readable(uintptr_t page)
{
    char bytes[PROBE_PAGES];
    struct iovec to = {bytes, sizeof bytes}, from[PROBE_PAGES];
    for (size_t i = 0; i < PROBE_PAGES; i++)
        from[i] = (struct iovec){(void *)(page + i * GM_PAGE_BYTES), 1}; /* NOLINT */
    long got = gm_sys6(
        SYS_process_vm_readv, gm_sys0(SYS_getpid), (long)&to, 1, (long)from, PROBE_PAGES, 0);
    return got > 0 ? (size_t)got : 0;
}

/* Without /proc, or without a free descriptor. */
static int maps_probe(uintptr_t address, struct gm_mapping *ret_mapping)
{
    uintptr_t page = address & ~(uintptr_t)(GM_PAGE_BYTES - 1), end = page;
    size_t readable;
    if (page >= USER_END)
        return -ENOENT;
    do {
        readable = pages_readable(end);
        end += readable * GM_PAGE_BYTES;
    } while (readable == PROBE_PAGES && end - page < PROBE_BYTES);
    *ret_mapping = (struct gm_mapping){
        .start = page,
        .end = end > page ? end : page + GM_PAGE_BYTES,
        .readable = end > page,
        .writable = end > page,
        .guessed = true,
    };
    return 0;
}

int gm_maps_next(struct gm_maps *maps, uintptr_t address, struct gm_mapping *ret_mapping)
{
    if (maps->maps_fd < 0)
        maps->maps_fd = proc_open("/proc/thread-self/maps");
    if (maps->maps_fd < 0)
        return maps_probe(address, ret_mapping);
    if (!maps->no_query) {
        int err = maps_query(maps->maps_fd, address, ret_mapping);
        if (err == 0 || err == -ENOENT)
            return err;
        maps->no_query = true;
    }
    return maps_read(maps->maps_fd, address, ret_mapping);
}

int gm_maps_at(struct gm_maps *maps, uintptr_t address, struct gm_mapping *ret_mapping)
{
    struct gm_mapping m;
    int err = gm_maps_next(maps, address, &m);
    if (err == 0 && m.start > address)
        err = -ENOENT;
    if (err == 0)
        *ret_mapping = m;
    return err;
}

void gm_maps_close(struct gm_maps *maps)
{
    if (maps->maps_fd >= 0)
        gm_sys1(SYS_close, maps->maps_fd);
    if (maps->pagemap_fd >= 0)
        gm_sys1(SYS_close, maps->pagemap_fd);
    maps->maps_fd = maps->pagemap_fd = -1;
}

int gm_maps_find(uintptr_t address, struct gm_mapping *ret_mapping)
{
    struct gm_maps maps = GM_MAPS_INIT;
    int err = gm_maps_at(&maps, address, ret_mapping);
    gm_maps_close(&maps);
    return err;
}

/* Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bit 62 swapped. */
#define PAGE_HAS_DATA (3ull << 62)

void gm_maps_resident(
    struct gm_maps *maps, uintptr_t start, uintptr_t end, gm_maps_visitor *visit, void *arg)
{
    uint64_t entries[256];
    uintptr_t run = 0; /* where the run under way began; 0: none */
    uintptr_t page = start & ~(uintptr_t)(GM_PAGE_BYTES - 1);
    if (maps->pagemap_fd < 0)
        maps->pagemap_fd = proc_open("/proc/thread-self/pagemap");
    while (page < end) {
        size_t wanted = (end - page + GM_PAGE_BYTES - 1) / GM_PAGE_BYTES;
        size_t count = wanted < 256 ? wanted : 256;
        long got =
            gm_sys4(SYS_pread64, maps->pagemap_fd, entries, count * 8, page / GM_PAGE_BYTES * 8);
        if (got < 8) { /* not told: the rest is taken as it is */
            visit(run ? run : page < start ? start : page, end, arg);
            return;
        }
        for (size_t i = 0; i < (size_t)got / 8; i++, page += GM_PAGE_BYTES) {
            if (entries[i] & PAGE_HAS_DATA) {
                if (!run)
                    run = page < start ? start : page;
            } else if (run) {
                visit(run, page, arg);
                run = 0;
            }
        }
    }
    if (run)
        visit(run, end, arg);
}
