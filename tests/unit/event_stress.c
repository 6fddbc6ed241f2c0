/* event_stress.c - the target's half and the recorder's in one process: threads record allocations, frees and
 * reallocations of their own and of each other's blocks from ever different stacks, come and go, and fork;
 * addresses are used again at once, by whichever thread comes next; the recorder must count exactly what was
 * recorded, and nothing may be live at the end. For ThreadSanitizer above all: the pool of states, the
 * claiming of rings, the naming of stacks. Arguments: threads at once (8), rounds (20). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/recorder.h"
#include "libgeomem/event/collection.h"
#include "libgeomem/event/event.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/thread.h"

#define BLOCKS 4000 /* events of one kind per thread and round */

static _Atomic uint64_t told_allocs, told_frees;
static _Atomic bool ended;

/* The made-up allocator: what was given back last is handed out first. */
static struct {
    pthread_mutex_t lock;
    uint64_t next;
    uint64_t free[65536];
    size_t count;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER, .next = 0x100000};

static uint64_t heap_take(void)
{
    pthread_mutex_lock(&heap.lock);
    uint64_t address = heap.count ? heap.free[--heap.count] : (heap.next += 64);
    pthread_mutex_unlock(&heap.lock);
    return address;
}

static void heap_give(uint64_t address)
{
    pthread_mutex_lock(&heap.lock);
    if (heap.count < sizeof heap.free / sizeof heap.free[0])
        heap.free[heap.count++] = address;
    pthread_mutex_unlock(&heap.lock);
}

/* Allocates a made-up block from a stack of the given shape: each bit chooses one of two callers. */
__attribute__((noinline)) static uint64_t allocate_leaf(uint64_t bytes)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    uint64_t address = heap_take();
    gm_event_alloc(
        &context, (const void *)address, gm_size_pack(bytes, GM_FN_geomem_gc, 0)); /* NOLINT */
    atomic_fetch_add(&told_allocs, 1);
    return address;
}

static uint64_t allocate_left(unsigned shape, unsigned depth, uint64_t bytes);

__attribute__((noinline)) static uint64_t allocate_right(
    unsigned shape, unsigned depth, uint64_t bytes)
{
    volatile uint64_t address = depth == 0  ? allocate_leaf(bytes)
                                : shape & 1 ? allocate_left(shape >> 1, depth - 1, bytes)
                                            : allocate_right(shape >> 1, depth - 1, bytes);
    return address;
}

__attribute__((noinline)) static uint64_t allocate_left(
    unsigned shape, unsigned depth, uint64_t bytes)
{
    volatile uint64_t wider[4] = {depth == 0  ? allocate_leaf(bytes)
                                  : shape & 1 ? allocate_left(shape >> 1, depth - 1, bytes)
                                              : allocate_right(shape >> 1, depth - 1, bytes)};
    return wider[0];
}

/* By the program, or by its collector, which may promote the block first. */
static void release(uint64_t address)
{
    static _Atomic unsigned turn;
    struct geomem_swept swept = {
        .heap = 1, .first = (const void *)address, .block_bytes = 64}; /* NOLINT */
    unsigned t = atomic_fetch_add(&turn, 1);
    if (t % 5 == 0) {
        swept.promoted = 1;
        gm_event_swept(&swept);
    }
    if (t % 3 == 0) {
        swept.promoted = 0;
        swept.dead = 1;
        gm_event_swept(&swept);
    } else {
        gm_event_free((const void *)address); /* NOLINT */
    }
    heap_give(address);
    atomic_fetch_add(&told_frees, 1);
}

__attribute__((noinline)) static uint64_t reallocate(uint64_t address, uint64_t bytes)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    struct gm_event_realloc event;
    gm_event_realloc_begin(&event, address);
    uint64_t moved = address & 64 ? heap_take() : address; /* or in place */
    if (moved != address)
        heap_give(address);
    gm_event_realloc_end(&event, &context, address, (const void *)moved,
        gm_size_pack(bytes, GM_FN_realloc, 0)); /* NOLINT */
    atomic_fetch_add(&told_allocs, 1);
    atomic_fetch_add(&told_frees, 1);
    return moved;
}

/* A basket that threads put blocks into for others to free. */
static _Atomic uint64_t basket[256];

static void *mutator(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < BLOCKS && gm_process_on(); i++) {
        unsigned r = (unsigned)rand_r(&seed);
        uint64_t address = allocate_left(r, r % 12, r % 1000);
        if (r & 0x100)
            address = reallocate(address, r % 3000);
        if (r & 0x200)
            address = atomic_exchange(&basket[r >> 10 & 255], address);
        if (address)
            release(address);
        if (i == BLOCKS / 2 && (r & 0x1c00) == 0)
            gm_event_unload();
    }
    return NULL;
}

/* What a handler does that leaves by longjmp: the hook it interrupted is entered and never left. */
__attribute__((noinline)) static bool abandon(unsigned hooks)
{
    struct gm_scope scope;
    volatile char below[256];
    below[0] = 0;
    if (!gm_scope_enter(&scope))
        return false;
    gm_scope_busy(&scope);
    return hooks > 1 ? abandon(hooks - 1) && below[0] == 0 : true;
}

static bool hooks_are_forgotten(void)
{
    struct gm_scope scope;
    for (unsigned hooks = 1; hooks <= 2; hooks++) {
        if (!abandon(hooks) || !gm_scope_enter(&scope))
            return false;
        gm_scope_leave(&scope);
        if (scope.level != 0 || !gm_thread_outside_hooks())
            return false;
        release(allocate_leaf(hooks));
    }
    return true;
}

static void *recorder_main(void *arg)
{
    while (!atomic_load(&ended))
        if (gm_recorder_step(arg, NULL, 0) < 0)
            return arg;
    return NULL;
}

static int run(struct gm_recorder *recorder, unsigned threads, unsigned rounds)
{
    pthread_t ids[64], recording;
    snprintf(gm_image.socket_path, sizeof gm_image.socket_path, "%s", gm_recorder_socket(recorder));
    gm_thread_watch_ends();
    pthread_create(&recording, NULL, recorder_main, recorder);
    if (!gm_process_on())
        return fprintf(stderr, "event_stress: no session\n"), 1;
    if (!hooks_are_forgotten())
        return fprintf(stderr, "event_stress: an abandoned hook still counts\n"), 1;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < threads; i++)
            pthread_create(
                &ids[i], NULL, mutator, (void *)(uintptr_t)(round * 1000 + i + 1)); /* NOLINT */
        for (unsigned i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
    }
    for (unsigned i = 0; i < 256; i++)
        if (basket[i])
            release(basket[i]);
    atomic_store(&ended, true);
    void *failed = NULL;
    pthread_join(recording, &failed);
    return failed || gm_recorder_finish(recorder) < 0;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 8,
             rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 20;
    struct gm_recorder_options options;
    struct gm_recorder *recorder = NULL;
    struct gm_recorder_figures f;
    gm_recorder_options_init(&options);
    options.session.full_wait_ms =
        60000; /* this test is about what is counted, not about slow machines */
    if (threads > 64 || gm_recorder_create(&options, &recorder) < 0 ||
        gm_recorder_start(recorder, NULL, getpid()) < 0)
        return 1;
    int failed = run(recorder, threads, rounds);
    gm_recorder_figures(recorder, &f);
    printf("event_stress: %llu allocations, %llu frees recorded of %llu, %llu; lost %llu, corrupt "
           "%llu, late %llu\n",
        (unsigned long long)f.allocs, (unsigned long long)f.frees, (unsigned long long)told_allocs,
        (unsigned long long)told_frees, (unsigned long long)f.lost_events,
        (unsigned long long)f.corrupt_records, (unsigned long long)f.late_events);
    failed |= f.allocs != told_allocs || f.frees != told_frees || told_allocs != told_frees ||
              f.lost_events || f.corrupt_records || f.live_bytes;
    gm_recorder_free(recorder);
    return failed;
}
