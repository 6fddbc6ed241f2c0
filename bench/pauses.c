/* pauses.c - a library to preload: listens to libgeomem's collections and notes each in the file that GEOMEM_BENCH_PAUSES
 * names, for bench/before_after. The program need not know, and need not end well: the file is a shared mapping.
 *
 * A record is five 64-bit words: start, end, longest stop, all stops (nanoseconds; CLOCK_MONOTONIC), kind. The first
 * record whose end is 0 is past the last one. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "geomem/listener.h"

#define RECORDS ((size_t)1 << 16)

struct record {
    uint64_t start_ns, end_ns, max_pause_ns, pause_ns, kind;
};

static struct record *records;
static atomic_size_t count;

static void cycle_ended(const struct geomem_gc_cycle *cycle)
{
    size_t at = atomic_fetch_add(&count, 1);
    if (at < RECORDS)
        records[at] = (struct record){
            cycle->start_ns, cycle->end_ns, cycle->max_pause_ns, cycle->pause_ns, cycle->kind};
}

static const struct geomem_listener listener = {
    .version = GEOMEM_LISTENER_VERSION, .gc_end = cycle_ended};

__attribute__((visibility("default"))) const struct geomem_listener *geomem_recorder_listener(void)
{
    const char *path = getenv("GEOMEM_BENCH_PAUSES");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, (off_t)(RECORDS * sizeof *records)) < 0)
        return NULL;
    void *memory = mmap(NULL, RECORDS * sizeof *records, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED)
        return NULL;
    records = memory;
    return &listener;
}
