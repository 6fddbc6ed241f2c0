/* watch.c - see watch.h. */
#include "libgeomem/adapters/sqlite/watch.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>
#include <time.h>

_Thread_local struct gm_watched gm_watched;
static const struct gm_watcher *watch_told;

/* ---- allocations ---- */

static void allocation_begin(void)
{
    if (gm_watched.buffer)
        watch_told->unwanted(gm_watched.cache, gm_watched.buffer);
}

static void allocation_end(void) {}

void gm_watch_allocations(const struct gm_watcher *watcher)
{
    watch_told = watcher;
    /* Fails where SQLite was built without it; then a page whose content was not wanted counts as a hit. */
    sqlite3_test_control(SQLITE_TESTCTRL_BENIGN_MALLOC_HOOKS, allocation_begin, allocation_end);
}

/* ---- reads ---- */

/* SQLite calls one of these three, depending on how it was built. */
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pread64)(int, void *, size_t, off64_t);
static ssize_t (*real_read)(int, void *, size_t);

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A call that reads into `buffer`, which is told of if that is the page's. */
#define READ(call) \
    do { \
        if (buffer != gm_watched.buffer) \
            return call; \
        uint64_t began = now_ns(); \
        ssize_t got = call; \
        if (got >= 0) \
            watch_told->read(gm_watched.cache, buffer, fd, now_ns() - began); \
        return got; \
    } while (0)

static ssize_t watch_pread(int fd, void *buffer, size_t bytes, off_t offset)
{
    READ(real_pread(fd, buffer, bytes, offset));
}

static ssize_t watch_pread64(int fd, void *buffer, size_t bytes, off64_t offset)
{
    READ(real_pread64(fd, buffer, bytes, offset));
}

static ssize_t watch_read(int fd, void *buffer, size_t bytes)
{
    READ(real_read(fd, buffer, bytes));
}

static bool call_replace(
    sqlite3_vfs *vfs, const char *name, sqlite3_syscall_ptr *real, sqlite3_syscall_ptr watching)
{
    sqlite3_syscall_ptr now = vfs->xGetSystemCall(vfs, name);
    if (!now)
        return false;
    *real = now;
    return vfs->xSetSystemCall(vfs, name, watching) == SQLITE_OK;
}

static bool watch_works;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void watch_begin(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (!vfs || vfs->iVersion < 3 || !vfs->xSetSystemCall || !vfs->xGetSystemCall)
        return;
#define CALL(name) \
    call_replace(vfs, #name, (sqlite3_syscall_ptr *)&real_##name, (sqlite3_syscall_ptr)watch_##name)
    watch_works = CALL(read);
    watch_works |= CALL(pread);
    watch_works |= CALL(pread64);
#undef CALL
}

bool gm_watch_reads(void)
{
    pthread_once(&watch_once, watch_begin);
    return watch_works;
}
