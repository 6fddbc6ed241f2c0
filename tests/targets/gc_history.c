/* gc_history.c - plays a collector: a made-up heap whose every block, death and promotion is told to the recorder's
 * listener as libgeomem does. What follows from it stands in tests/e2e/test_collector.py. */
#include <geomem/listener.h>
#include <time.h>

#include "target.h"

#define HEAP 1
#define BLOCK 64 /* bytes from one block to the next */

static const struct geomem_listener *listener;
static char *const heap = (char *)0x100000000; /* never touched */

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *block_at(unsigned i)
{
    return heap + (size_t)i * BLOCK;
}

/* Blocks of one kind stand in a row of their own. */
enum row {
    SHORT = 0,
    KEEP = 128,
    CACHE = 192,
    LATE = 256,
    TENURED = 320,
    EXPLICIT = 384,
    GROWN = 448,
    EARLY = 449
};

NOINLINE static void short_new(unsigned i)
{
    listener->alloc(block_at(SHORT + i), 48, 1, 0);
}
NOINLINE static void keep_new(unsigned i)
{
    listener->alloc(block_at(KEEP + i), 40, 1, 0);
}
NOINLINE static void cache_new(unsigned i)
{
    listener->alloc(block_at(CACHE + i), 32, 1, 0);
}
NOINLINE static void late_new(unsigned i)
{
    listener->alloc(block_at(LATE + i), 24, 1, 0);
}
NOINLINE static void tenured_new(unsigned i)
{
    listener->alloc(block_at(TENURED + i), 16, 1, 1);
}
NOINLINE static void early_new(unsigned i)
{
    listener->alloc(block_at(EARLY + i), 8, 1, 0);
}
NOINLINE static void explicit_new(unsigned i)
{
    listener->alloc(block_at(EXPLICIT + i), 60, 0, 0);
}
NOINLINE static void grow(void)
{
    listener->realloc(block_at(EXPLICIT + 4), block_at(GROWN), 600, 0, 0);
}

static void make(void (*new_block)(unsigned), unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        new_block(i);
}

/* `n` blocks from `first` on, 64 at a time. */
static void swept(unsigned first, unsigned n, int promoted, unsigned age)
{
    for (unsigned at = 0; at < n; at += 64) {
        uint64_t mask = n - at >= 64 ? ~0ull : (1ull << (n - at)) - 1;
        struct geomem_swept s = {.heap = HEAP,
            .first = block_at(first + at),
            .block_bytes = BLOCK,
            .dead = promoted ? 0 : mask,
            .promoted = promoted ? mask : 0,
            .age = age};
        listener->swept(&s);
    }
}

static struct geomem_gc_cycle cycle_begin(uint64_t number, uint32_t kind, uint32_t trigger)
{
    listener->gc_begin(HEAP, number, kind, trigger);
    return (struct geomem_gc_cycle){
        .heap = HEAP, .number = number, .kind = kind, .trigger = trigger, .start_ns = now_ns()};
}

/* Figures that tell the reports apart; that they agree with the blocks is not this program's business. */
static void cycle_end(struct geomem_gc_cycle *c, uint64_t stops, uint64_t pause_ns, uint64_t max_ns)
{
    c->end_ns = c->start_ns + 3 * pause_ns;
    c->stops = stops;
    c->pause_ns = pause_ns;
    c->max_pause_ns = max_ns;
    c->phase_ns[GEOMEM_PHASE_STOP] = 10000;
    c->phase_ns[GEOMEM_PHASE_ROOTS] = 20000;
    c->phase_ns[GEOMEM_PHASE_MARK] = pause_ns - 50000;
    c->phase_ns[GEOMEM_PHASE_NOTES] = 5000;
    c->phase_ns[GEOMEM_PHASE_SWEEP] = 15000;
    c->phase_ns[GEOMEM_PHASE_CONCURRENT_MARK] = stops > 1 ? pause_ns : 0;
    c->cpu_ns = 2 * pause_ns;
    c->threads_stopped = 3;
    c->roots_bytes = 65536;
    c->dirty_bytes = 4096 * c->number;
    c->marked_blocks = 100 * c->number;
    c->marked_bytes = 6400 * c->number;
    c->swept_blocks = 10 * c->number;
    c->swept_bytes = 640 * c->number;
    c->promoted_blocks = c->number;
    c->promoted_bytes = 64 * c->number;
    c->young_before_bytes = 1000000 * c->number;
    c->young_after_bytes = 100000 * c->number;
    c->old_before_bytes = 2000000;
    c->old_after_bytes = c->kind == GEOMEM_GC_YOUNG ? 2100000 : 1500000;
    c->footprint_bytes = 5000000;
    listener->gc_end(c);
}

int main(int argc, char **argv)
{
    struct geomem_gc_cycle c;
    (void)argv;
    listener = geomem_recorder_listener ? geomem_recorder_listener() : NULL;
    if (!listener)
        return 3;
    make(short_new, 100);
    make(keep_new, 10);
    make(explicit_new, 5);
    c = cycle_begin(1, GEOMEM_GC_YOUNG, GEOMEM_TRIGGER_ALLOCATION);
    swept(SHORT, 100, 0, 0);
    swept(KEEP, 10, 1, 1);
    cycle_end(&c, 1, 100000, 100000);

    make(cache_new, 20);
    c = cycle_begin(2, GEOMEM_GC_YOUNG, GEOMEM_TRIGGER_ALLOCATION);
    cycle_end(&c, 1, 200000, 200000);
    swept(CACHE, 20, 1, 1); /* swept after the pause */
    swept(EARLY, 1, 1, 1);  /* its thread was stopped between taking it and telling so */
    make(early_new, 1);

    make(short_new, 30);
    make(late_new, 5);
    listener->free(block_at(EXPLICIT));
    listener->free(block_at(EXPLICIT + 1));
    grow();
    c = cycle_begin(3, GEOMEM_GC_FULL, GEOMEM_TRIGGER_EXPLICIT);
    swept(SHORT, 30, 0, 0);
    swept(LATE, 5, 1, 1);
    swept(CACHE, 8, 0, 0); /* 8 of the cache, and one that is older, die at once */
    swept(KEEP, 1, 0, 0);
    cycle_end(&c, 1, 4000000, 4000000);

    make(tenured_new, 4);
    make(cache_new, 3);                 /* at addresses of dead ones */
    listener->free(block_at(KEEP + 1)); /* two old ones and a young one, by the program */
    listener->free(block_at(KEEP + 2));
    listener->free(block_at(CACHE));
    c = cycle_begin(4, GEOMEM_GC_MOSTLY_CONCURRENT, GEOMEM_TRIGGER_LIMIT);
    if (argc == 1) {
        swept(LATE, 5, 0, 0);
        swept(KEEP + 3, 3, 0, 0);
        swept(TENURED, 1, 0, 0);
    }
    cycle_end(&c, 2, 1500000, 1200000);
    return 0;
}
