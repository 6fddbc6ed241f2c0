/* pauses.c - see pauses.h. A mapping of its own: a static array would be a root, and cost its collector time. */
#include "pauses.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#define PAUSES_MAX ((size_t)1 << 20)

static uint64_t *pauses;
static size_t pauses_count;

int pauses_open(void)
{
    void *memory = mmap(NULL, PAUSES_MAX * sizeof *pauses, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    pauses = memory;
    return 0;
}

void pauses_add(uint64_t pause_ns)
{
    if (pauses && pauses_count < PAUSES_MAX)
        pauses[pauses_count++] = pause_ns;
}

size_t pauses_all(const uint64_t **ret_pauses_ns)
{
    *ret_pauses_ns = pauses;
    return pauses_count;
}

uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
