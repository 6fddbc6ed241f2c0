/* pressure.c - see pressure.h. */
#include "libgeomem/cache/pressure.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/pressure.h"
#include "libgeomem/heap/heap.h"

/* In hundredths of a percent: of the last ten seconds one had to wait 5 %, none at all hardly ever. Arbitrary. */
#define STALLS_MUCH 500u
/* A limit is near beyond 15/16, and what is beyond 7/8 is given. */
#define NEAR_PART 16u
#define GIVE_PART 8u
#define TEXT_BYTES 512

/* The beginning of a small file; false: it is not there. */
static bool file_read(const char *path, char text[TEXT_BYTES])
{
    long file = gm_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return false;
    long got = gm_sys3(SYS_read, file, text, TEXT_BYTES - 1);
    gm_sys1(SYS_close, file);
    text[got > 0 ? got : 0] = 0;
    return got > 0;
}

uint64_t gm_pressure_stall(const char *text)
{
    const char *at = strstr(text, "some avg10=");
    if (!at)
        return 0;
    char *end;
    uint64_t whole = strtoull(at + strlen("some avg10="), &end, 10), parts = 0;
    if (*end == '.' && end[1] >= '0' && end[1] <= '9' && end[2] >= '0' && end[2] <= '9')
        parts = (uint64_t)(end[1] - '0') * 10 + (uint64_t)(end[2] - '0');
    return whole * 100 + parts;
}

/* ---- limits ---- */

static void limit_add(struct gm_pressure *pressure, uint64_t used, uint64_t limit)
{
    uint64_t keep = limit - limit / GIVE_PART;
    if (used > limit - limit / NEAR_PART) {
        if (pressure->over_bytes < used - keep)
            pressure->over_bytes = used - keep;
        pressure->room_bytes = 0;
    } else {
        uint64_t room = used < keep ? keep - used : 0;
        if (room < pressure->room_bytes)
            pressure->room_bytes = room;
    }
}

/* "max", or bytes; UINT64_MAX: no limit. */
static uint64_t bytes_read(const char *folder, const char *name)
{
    char path[TEXT_BYTES + 32], text[TEXT_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_read(path, text) || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    return strtoull(text, NULL, 10);
}

/* The folder of the process's group, in version 2 of control groups; false: there is none. */
static bool group_folder(char folder[TEXT_BYTES])
{
    char text[TEXT_BYTES];
    if (!file_read("/proc/self/cgroup", text))
        return false;
    char *path = strstr(text, "0::/");
    if (!path)
        return false;
    path += 3;
    path[strcspn(path, "\n")] = 0;
    return snprintf(folder, TEXT_BYTES, "/sys/fs/cgroup%s", path) < TEXT_BYTES;
}

static void group_add(struct gm_pressure *pressure)
{
    char folder[TEXT_BYTES], path[TEXT_BYTES + 32], text[TEXT_BYTES];
    if (!group_folder(folder))
        return;
    uint64_t used = bytes_read(folder, "memory.current");
    uint64_t high = bytes_read(folder, "memory.high"), most = bytes_read(folder, "memory.max");
    uint64_t limit = high < most ? high : most;
    if (used != UINT64_MAX && limit != UINT64_MAX)
        limit_add(pressure, used, limit);
    snprintf(path, sizeof path, "%s/memory.pressure", folder);
    if (file_read(path, text) && gm_pressure_stall(text) >= STALLS_MUCH)
        pressure->stalls = true;
}

static void heap_add(struct gm_pressure *pressure)
{
    const struct gm_heap *heap = gm_heap_default();
    if (heap && heap->options.max_bytes != 0)
        limit_add(pressure, gm_heap_footprint(heap), heap->options.max_bytes);
}

static void machine_add(struct gm_pressure *pressure)
{
    char text[TEXT_BYTES];
    if (file_read("/proc/pressure/memory", text) && gm_pressure_stall(text) >= STALLS_MUCH)
        pressure->stalls = true;
    const char *available = file_read("/proc/meminfo", text) ? strstr(text, "MemAvailable:") : NULL;
    if (!available)
        return;
    uint64_t bytes = strtoull(available + strlen("MemAvailable:"), NULL, 10) * 1024 / 2;
    if (bytes < pressure->room_bytes)
        pressure->room_bytes = bytes;
}

/* The collector looks at the container by itself, and more often: what it has found since the last time. */
static void collector_add(struct gm_pressure *pressure)
{
    static _Atomic uint64_t seen;
    gm_pressure_poll();
    uint64_t number = gm_pressure_number();
    if (atomic_exchange_explicit(&seen, number, memory_order_relaxed) == number)
        return;
    uint64_t wanted = gm_pressure_wanted_bytes();
    if (pressure->over_bytes < wanted)
        pressure->over_bytes = wanted;
    pressure->room_bytes = 0;
    pressure->stalls = true;
}

void gm_pressure_read(struct gm_pressure *ret_pressure)
{
    *ret_pressure = (struct gm_pressure){.room_bytes = UINT64_MAX};
    collector_add(ret_pressure);
    heap_add(ret_pressure);
    group_add(ret_pressure);
    machine_add(ret_pressure);
}
