/* dirty.c - what bench/dirty runs: the costs of watching pages by one mechanism, a line for each: name, value. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "libgeomem/gc/dirty.h"

#define PAGE ((size_t)4096)
#define SPAN (16 * PAGE)

static unsigned char *memory;
static size_t pages;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void see(uintptr_t start, size_t bytes, void *arg)
{
    (void)start;
    *(size_t *)arg += bytes / PAGE;
}

static double take_ms(struct gm_dirty *dirty, size_t *ret_pages)
{
    *ret_pages = 0;
    double start = now();
    if (gm_dirty_take(dirty, (uintptr_t)memory, pages * PAGE, true, see, ret_pages) < 0)
        abort();
    return (now() - start) / 1e6;
}

/* One write to each of `count` pages, spread; ns for each. */
static double write_ns(size_t count)
{
    double start = now();
    for (size_t i = 0; i < count; i++)
        memory[i * (pages / count) * PAGE + 64 * (i % 64)]++;
    return (now() - start) / (double)count;
}

static void fractions(struct gm_dirty *dirty, const char *what)
{
    static const struct {
        const char *name;
        double share;
    } all[] = {{"0.1 %", 0.001}, {"1 %", 0.01}, {"10 %", 0.1}, {"100 %", 1}};
    size_t seen;
    take_ms(dirty, &seen);
    printf("%s, scan, nothing written: ms\t%.4f\n", what, take_ms(dirty, &seen));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t count = (size_t)((double)pages * all[i].share);
        double watched = write_ns(count);
        double plain = write_ns(count);
        double taken = take_ms(dirty, &seen);
        /* spread so that each is a fault of its own, by mprotect too */
        if (i == 1)
            printf("%s, first write: ns\t%.1f\n", what, watched - plain);
        printf("%s, scan and arm, %s written: ms\t%.4f\n", what, all[i].name, taken);
        printf("%s, pages reported, %s written\t%zu\n", what, all[i].name, seen);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    enum gm_dirty_mechanism wanted =
        strcmp(argv[1], "uffd") == 0 ? GM_DIRTY_UFFD : GM_DIRTY_MPROTECT;
    pages = strtoul(argv[2], NULL, 10) * 256;
    memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct gm_dirty *dirty;
    if (memory == MAP_FAILED || gm_dirty_open((uintptr_t)memory, pages * PAGE, wanted, &dirty) < 0)
        return 1;
    if (gm_dirty_mechanism(dirty) != wanted)
        return 77;
    memset(memory, 1, pages * PAGE);
    uintptr_t start = (uintptr_t)memory;
    double at = now();
    gm_dirty_watch(dirty, start, pages * PAGE);
    printf("arm all, one call: ms\t%.4f\n", (now() - at) / 1e6);
    fractions(dirty, "all watched");
    at = now();
    gm_dirty_unwatch(dirty, start, pages * PAGE);
    printf("disarm all, one call: ms\t%.4f\n", (now() - at) / 1e6);
    at = now();
    for (size_t i = 0; i < pages * PAGE / SPAN; i++)
        gm_dirty_watch(dirty, start + i * SPAN, SPAN);
    printf("arm all, by 64 KB: ms\t%.4f\n", (now() - at) / 1e6);
    at = now();
    for (size_t i = 0; i < pages * PAGE / SPAN; i += 2)
        gm_dirty_unwatch(dirty, start + i * SPAN, SPAN);
    printf("disarm every other 64 KB: ms\t%.4f\n", (now() - at) / 1e6);
    fractions(dirty, "every other 64 KB watched");
    for (size_t i = 0; i < pages * PAGE / SPAN; i += 2)
        gm_dirty_watch(dirty, start + i * SPAN, SPAN);
    for (size_t i = 0; i < pages * PAGE / SPAN; i += 16)
        gm_dirty_unwatch(dirty, start + i * SPAN, SPAN);
    fractions(dirty, "15 of 16 x 64 KB watched");
    gm_dirty_close(dirty);
    return 0;
}
