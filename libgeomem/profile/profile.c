/* profile.c - the listener of start_profiling, and what it keeps for each thread.
 *
 * A thread that allocates is given a slot: memory for walking its stack, and counters that it alone writes and
 * the report sums up. Slots are mapped when first needed, found again through one thread-local pointer, and taken
 * over from threads that are no more when all are given away.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "geomem/geomem.h"
#include "libgeomem/base/sys.h"
#include "libgeomem/heap/listener.h"
#include "libgeomem/profile/profile.h"
#include "libgeomem/unwind/memo.h"

#define SLOTS 256u
#define LEAF_FRAMES \
    (GEOMEM_SITE_FRAMES - 5) /* with the mark of a cut: one less than the room there is */
#define ROOT_FRAMES 4u

struct profile_slot {
    _Atomic int32_t tid; /* of its owner; 0: none yet */
    bool is_busy;        /* a handler of this thread is at work: it was interrupted by a signal's */
    uint64_t random;
    struct gm_profile_flows flows;
    struct gm_capture capture;
    struct gm_unwind unwind;
    struct gm_memo memo;
};

static struct {
    _Atomic(struct profile_slot *) slot[SLOTS];
    const struct geomem_listener *_Atomic next; /* who listened before; NULL: nobody */
    _Atomic uint64_t unattributed_blocks;
    /* start and stop */
    pthread_mutex_t lock;
    bool is_running;
    struct gm_profile_start start;
} profile = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local struct profile_slot *profile_own_slot
    __attribute__((tls_model("initial-exec")));

/* ---- slots ---- */

static bool thread_is_gone(int32_t tid)
{
    return gm_sys3(SYS_tgkill, getpid(), tid, 0) == -ESRCH;
}

static struct profile_slot *slot_make(_Atomic(struct profile_slot *) *place, int32_t tid)
{
    struct profile_slot *slot = gm_sys_map(sizeof *slot), *none = NULL;
    if (!slot)
        return NULL;
    slot->random = 0x9e3779b97f4a7c15u * (uint64_t)(uint32_t)tid;
    atomic_store(&slot->tid, tid);
    if (atomic_compare_exchange_strong(place, &none, slot))
        return slot;
    gm_sys2(SYS_munmap, slot, sizeof *slot);
    return NULL;
}

static struct profile_slot *slot_take(void)
{
    int32_t tid = (int32_t)gm_sys0(SYS_gettid);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct profile_slot *slot = atomic_load(&profile.slot[i]);
        if (!slot && (slot = slot_make(&profile.slot[i], tid)))
            return slot;
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct profile_slot *slot = atomic_load(&profile.slot[i]);
        int32_t owner = slot ? atomic_load(&slot->tid) : 0;
        if (owner && thread_is_gone(owner) &&
            atomic_compare_exchange_strong(&slot->tid, &owner, tid)) {
            slot->is_busy = false;
            return slot;
        }
    }
    return NULL;
}

static struct profile_slot *slot_enter(void)
{
    struct profile_slot *slot = profile_own_slot;
    if (!slot && !(slot = profile_own_slot = slot_take()))
        return NULL;
    if (slot->is_busy)
        return NULL;
    slot->is_busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    return slot;
}

static void slot_leave(struct profile_slot *slot)
{
    atomic_signal_fence(memory_order_seq_cst);
    slot->is_busy = false;
}

static uint32_t slot_random(struct profile_slot *slot)
{
    /* xorshift64* (S. Vigna, 2016) */
    slot->random ^= slot->random >> 12;
    slot->random ^= slot->random << 25;
    slot->random ^= slot->random >> 27;
    return (uint32_t)(slot->random * 0x2545f4914f6cdd1du >> 32);
}

static uint32_t slot_site(struct profile_slot *slot, const struct gm_context *context)
{
    struct gm_capture *capture = &slot->capture;
    const struct gm_memo *memo = &slot->memo;
    if (gm_unwind_is_cfi() &&
        gm_memo_capture(&slot->memo, &slot->unwind, context, GM_CAPTURE_MAX - 1)) {
        capture->count = memo->count < GEOMEM_SITE_FRAMES ? memo->count : GEOMEM_SITE_FRAMES;
        for (uint32_t i = 0; i < capture->count; i++)
            capture->pc[i] = memo->frame[memo->count - i].pc;
    } else {
        capture->leaf = LEAF_FRAMES;
        capture->root = ROOT_FRAMES;
        gm_unwind_capture(&slot->unwind, context, capture);
    }
    return gm_profile_site_of(capture);
}

/* ---- handlers ---- */

static const struct geomem_listener *listener_next(void)
{
    /* acquire: pairs with the store of start_profiling */
    return atomic_load_explicit(&profile.next, memory_order_acquire);
}

static void flows_add(struct gm_profile_flows *f, size_t size, int collected, int generation)
{
    uint64_t *figure = !collected   ? &f->explicit_blocks
                       : generation ? &f->old_blocks
                                    : &f->young_blocks;
    figure[0]++;
    figure[1] += size;
}
static_assert(offsetof(struct gm_profile_flows, old_bytes) ==
                      offsetof(struct gm_profile_flows, old_blocks) + sizeof(uint64_t) &&
                  offsetof(struct gm_profile_flows, young_bytes) ==
                      offsetof(struct gm_profile_flows, young_blocks) + sizeof(uint64_t) &&
                  offsetof(struct gm_profile_flows, explicit_bytes) ==
                      offsetof(struct gm_profile_flows, explicit_blocks) + sizeof(uint64_t),
    "flows_add: blocks, then bytes");

static void block_born(
    const struct gm_context *context, const void *block, size_t size, int collected, int generation)
{
    struct profile_slot *slot = slot_enter();
    if (!slot) {
        atomic_fetch_add_explicit(&profile.unattributed_blocks, 1, memory_order_relaxed);
        return;
    }
    uint32_t index = slot_site(slot, context);
    flows_add(&slot->flows, geomem_usable_size(block), collected, generation);
    slot->flows.unattributed_blocks += index == GM_PROFILE_NO_SITE;
    struct gm_profile_site *site = gm_profile_site(index);
    atomic_fetch_add_explicit(&site->allocated_blocks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&site->allocated_bytes, size, memory_order_relaxed);
    if (!collected)
        atomic_fetch_add_explicit(&site->explicit_blocks, 1, memory_order_relaxed);
    else if (generation)
        atomic_fetch_add_explicit(&site->pretenured_blocks, 1, memory_order_relaxed);
    gm_profile_block_add(block, size, index, generation != 0 || !collected, slot_random(slot));
    slot_leave(slot);
}

__attribute__((noinline)) static void on_alloc(
    const void *block, size_t size, int collected, int generation)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    const struct geomem_listener *next = listener_next();
    if (next && next->alloc)
        next->alloc(block, size, collected, generation);
    block_born(&context, block, size, collected, generation);
}

static void on_free(const void *block)
{
    gm_profile_block_remove(block);
    const struct geomem_listener *next = listener_next();
    if (next && next->free)
        next->free(block);
}

__attribute__((noinline)) static void on_realloc(
    const void *old, const void *block, size_t size, int collected, int generation)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    const struct geomem_listener *next = listener_next();
    if (next && next->realloc)
        next->realloc(old, block, size, collected, generation);
    if (old)
        gm_profile_block_remove(old);
    block_born(&context, block, size, collected, generation);
}

static const void *swept_block(const struct geomem_swept *swept, uint64_t *mask)
{
    unsigned index = (unsigned)__builtin_ctzll(*mask);
    *mask &= *mask - 1;
    return (const char *)swept->first + index * swept->block_bytes;
}

static void on_swept(const struct geomem_swept *swept)
{
    for (uint64_t mask = swept->promoted; mask;)
        gm_profile_block_promoted(swept_block(swept, &mask), swept->block_bytes);
    for (uint64_t mask = swept->dead; mask;)
        gm_profile_block_remove(swept_block(swept, &mask));
    const struct geomem_listener *next = listener_next();
    if (next && next->swept)
        next->swept(swept);
}

static void on_gc_begin(uint64_t heap, uint64_t number, uint32_t kind, uint32_t trigger)
{
    const struct geomem_listener *next = listener_next();
    if (next && next->gc_begin)
        next->gc_begin(heap, number, kind, trigger);
}

static void on_gc_end(const struct geomem_gc_cycle *cycle)
{
    gm_profile_pauses_add(cycle);
    const struct geomem_listener *next = listener_next();
    if (next && next->gc_end)
        next->gc_end(cycle);
}

static void on_gc_stop(uint64_t number, uint64_t start_ns, uint64_t pause_ns)
{
    gm_profile_pauses_add_stop(pause_ns);
    const struct geomem_listener *next = listener_next();
    if (next && next->version >= 2 && next->gc_stop)
        next->gc_stop(number, start_ns, pause_ns);
}

static void on_cache_state(const struct geomem_cache_state *state)
{
    const struct geomem_listener *next = listener_next();
    if (next && next->version >= 2 && next->cache_state)
        next->cache_state(state);
}

static void on_cache_use(const struct geomem_cache_key_use *use)
{
    const struct geomem_listener *next = listener_next();
    if (next && next->version >= 2 && next->cache_use)
        next->cache_use(use);
}

static void on_cache_evict(const struct geomem_cache_eviction *eviction)
{
    const struct geomem_listener *next = listener_next();
    if (next && next->version >= 2 && next->cache_evict)
        next->cache_evict(eviction);
}

static void on_cache_class(uint64_t cache, uint32_t key_class, const char *name)
{
    const struct geomem_listener *next = listener_next();
    if (next && next->version >= 3 && next->cache_class)
        next->cache_class(cache, key_class, name);
}

static const struct geomem_listener profile_listener = {
    .version = GEOMEM_LISTENER_VERSION,
    .alloc = on_alloc,
    .free = on_free,
    .realloc = on_realloc,
    .swept = on_swept,
    .gc_begin = on_gc_begin,
    .gc_end = on_gc_end,
    .gc_stop = on_gc_stop,
    .cache_state = on_cache_state,
    .cache_use = on_cache_use,
    .cache_evict = on_cache_evict,
    .cache_class = on_cache_class,
};

/* ---- start, stop ---- */

static uint64_t process_cpu_ns(void)
{
    struct timespec ts;
    gm_sys2(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int tables_open(void)
{
    int failed = gm_profile_sites_open();
    if (!failed)
        failed = gm_profile_blocks_open();
    if (failed)
        return failed;
    gm_profile_pauses_reset();
    atomic_store(&profile.unattributed_blocks, 0);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct profile_slot *slot = atomic_load(&profile.slot[i]);
        if (slot)
            memset(&slot->flows, 0, sizeof slot->flows);
    }
    return 0;
}

void gm_profile_flows_read(struct gm_profile_flows *ret_flows)
{
    memset(ret_flows, 0, sizeof *ret_flows);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct profile_slot *slot = atomic_load(&profile.slot[i]);
        if (!slot)
            continue;
        const uint64_t *from = (const uint64_t *)&slot->flows;
        uint64_t *to = (uint64_t *)ret_flows;
        for (size_t figure = 0; figure < sizeof slot->flows / sizeof *from; figure++)
            to[figure] += from[figure];
    }
    ret_flows->unattributed_blocks += atomic_load(&profile.unattributed_blocks);
}

/* Lock held. */
static int profile_begin(struct gm_profile_start *start)
{
    memset(start, 0, sizeof *start);
    start->heap.struct_bytes = sizeof start->heap;
    int failed = tables_open();
    if (!failed)
        failed = geomem_heap_statistics(NULL, &start->heap);
    if (failed)
        return failed;
    start->time_ns = gm_sys_monotonic_ns();
    start->cpu_ns = process_cpu_ns();
    const struct geomem_listener *before = atomic_load(&gm_listener);
    start->recorded = before != NULL;
    /* release: pairs with the acquire of listener_next */
    atomic_store_explicit(&profile.next, before, memory_order_release);
    gm_listener_attach(&profile_listener);
    profile.is_running = true;
    return 0;
}

int start_profiling(void)
{
    int failed = init_gc();
    if (failed)
        return failed;
    pthread_mutex_lock(&profile.lock);
    failed = profile.is_running ? -EALREADY : profile_begin(&profile.start);
    pthread_mutex_unlock(&profile.lock);
    return failed;
}

MemoryUsageReport *stop_profiling(void)
{
    MemoryUsageReport *report = NULL;
    int failed = -EINVAL;
    pthread_mutex_lock(&profile.lock);
    if (profile.is_running) {
        profile.is_running = false;
        if (atomic_load(&gm_listener) == &profile_listener)
            gm_listener_attach(atomic_load(&profile.next));
        failed = gm_profile_report_create(&profile.start, &report);
    }
    pthread_mutex_unlock(&profile.lock);
    if (failed)
        errno = -failed;
    return report;
}
