/* thread.c - see thread.h. */
#include "libgeomem/cache/thread.h"

#include <pthread.h>
#include <stddef.h>

#include "libgeomem/base/os.h"

/* The counters of a cache come in pages; the first of the first page is for threads without memory. */
struct gm_cache_threads_block {
    struct gm_cache_threads_block *next;
    uint32_t used;
    struct gm_cache_thread counts[];
};
#define BLOCK_BYTES GM_PAGE_BYTES
#define BLOCK_COUNTS \
    ((BLOCK_BYTES - offsetof(struct gm_cache_threads_block, counts)) / \
        sizeof(struct gm_cache_thread))
#define THREAD_BYTES ((sizeof(struct gm_thread) + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1))

__thread struct gm_thread *gm_thread_self;

static struct gm_lock threads_lock;
static _Atomic(struct gm_thread *) threads;
static uint64_t thread_count;
static pthread_key_t ending_key;
static pthread_once_t ending_once = PTHREAD_ONCE_INIT;
static bool ending_works;

/* ---- threads ---- */

static void thread_ending(void *arg)
{
    struct gm_thread *self = arg;
    gm_thread_self = NULL;
    gm_lock_acquire(&threads_lock);
    self->is_free = true;
    gm_lock_release(&threads_lock);
}

static void ending_init(void)
{
    ending_works = pthread_key_create(&ending_key, thread_ending) == 0;
}

struct gm_thread *gm_thread_first(void)
{
    /* acquire: pairs with the release in thread_add: `next` is there */
    return atomic_load_explicit(&threads, memory_order_acquire);
}

static struct gm_thread *thread_add(void)
{
    struct gm_thread *thread = gm_os_map(THREAD_BYTES);
    if (!thread)
        return NULL;
    thread->number = ++thread_count;
    thread->next = atomic_load_explicit(&threads, memory_order_relaxed);
    atomic_store_explicit(&threads, thread, memory_order_release);
    return thread;
}

static struct gm_thread *thread_take(void)
{
    for (struct gm_thread *thread = gm_thread_first(); thread; thread = thread->next)
        if (thread->is_free) {
            thread->is_free = false;
            return thread;
        }
    return thread_add();
}

struct gm_thread *gm_thread_get(void)
{
    struct gm_thread *self = gm_thread_self;
    if (self)
        return self;
    pthread_once(&ending_once, ending_init);
    gm_lock_acquire(&threads_lock);
    self = thread_take();
    gm_lock_release(&threads_lock);
    gm_thread_self = self;
    if (self && ending_works)
        pthread_setspecific(ending_key, self);
    return self;
}

/* ---- counters ---- */

static struct gm_cache_thread *cache_threads(struct geomem_cache *cache)
{
    /* acquire: pairs with the release in counts_add */
    return atomic_load_explicit(&cache->threads, memory_order_acquire);
}

static struct gm_cache_thread *counts_find(
    struct geomem_cache *cache, const struct gm_thread *owner)
{
    for (struct gm_cache_thread *counts = cache_threads(cache); counts; counts = counts->next)
        if (counts->owner == owner)
            return counts;
    return NULL;
}

static struct gm_cache_thread *counts_take(struct geomem_cache *cache)
{
    struct gm_cache_threads_block *block = cache->thread_blocks;
    if (!block || block->used == BLOCK_COUNTS) {
        struct gm_cache_threads_block *more = gm_os_map(BLOCK_BYTES);
        if (!more)
            return NULL;
        more->next = block;
        cache->thread_blocks = block = more;
    }
    return &block->counts[block->used++];
}

static struct gm_cache_thread *counts_add(struct geomem_cache *cache, struct gm_thread *owner)
{
    gm_lock_acquire(&cache->threads_lock);
    struct gm_cache_thread *counts = counts_take(cache);
    if (counts) {
        counts->owner = owner;
        counts->next = atomic_load_explicit(&cache->threads, memory_order_relaxed);
        /* release: pairs with the acquire in cache_threads */
        atomic_store_explicit(&cache->threads, counts, memory_order_release);
    }
    gm_lock_release(&cache->threads_lock);
    return counts;
}

/* Those of nobody are made with the cache: owner NULL. */
struct gm_cache_thread *gm_cache_thread_slow(struct geomem_cache *cache)
{
    struct gm_thread *self = gm_thread_get();
    struct gm_cache_thread *counts = counts_find(cache, self);
    if (!counts)
        counts = counts_add(cache, self);
    if (!counts || !self)
        return counts ? counts : counts_find(cache, NULL);
    uint32_t at = (uint32_t)cache->number % GM_THREAD_CACHES;
    self->cache[at].number = cache->number;
    self->cache[at].counts = counts;
    return counts;
}

int gm_cache_threads_init(struct geomem_cache *cache)
{
    return counts_add(cache, NULL) ? 0 : -1;
}

void gm_cache_threads_free(struct geomem_cache *cache)
{
    while (cache->thread_blocks) {
        struct gm_cache_threads_block *next = cache->thread_blocks->next;
        gm_os_unmap(cache->thread_blocks, BLOCK_BYTES);
        cache->thread_blocks = next;
    }
}

/* ---- the ledger ---- */

void gm_pin_record_elsewhere(struct gm_thread *self, struct gm_cache_slot *slot, uint64_t taken)
{
    for (uint32_t line = 0; line < GM_PIN_LINES; line++)
        if (gm_pin_line_change(self->pin[line], NULL, slot, taken))
            return;
}

void gm_pins_stamp(struct gm_thread *thread, uint64_t now_s)
{
    struct gm_pin_row *row = &thread->pin[0][0];
    for (uint32_t i = 0; i < GM_PIN_LINES * GM_PIN_LINE; i++, row++) {
        uint64_t taken = atomic_load_explicit(&row->taken, memory_order_relaxed);
        if (!atomic_load_explicit(&row->slot, memory_order_relaxed) || taken > GM_PIN_SITE)
            continue;
        atomic_store_explicit(&thread->second[i], (uint32_t)now_s, memory_order_relaxed);
        /* Its thread may fill it in for another pin at this moment: that one has time yet. release: `second` comes before */
        atomic_compare_exchange_strong_explicit(&row->taken, &taken, taken | gm_pin_stamp(now_s),
            memory_order_release, memory_order_relaxed);
    }
}

/* Two may have looked at once: the row has its 16 bits of one, and `second` is the other's, which is near. */
uint64_t gm_pin_second(const struct gm_thread *thread, uint32_t row, uint64_t taken)
{
    uint64_t near = atomic_load_explicit(&thread->second[row], memory_order_relaxed);
    uint64_t more = ((taken >> 48) + 0xffffu - (gm_pin_stamp(near) >> 48)) % 0xffffu;
    return more <= 0x7fffu ? near + more : near + more - 0xffffu;
}

/* One row of another thread, which may empty it at the same time. */
static bool pin_forget_of(struct gm_thread *thread, struct gm_cache_slot *slot)
{
    struct gm_pin_row *row = &thread->pin[0][0];
    for (uint32_t i = 0; i < GM_PIN_LINES * GM_PIN_LINE; i++, row++) {
        struct gm_cache_slot *expected = slot;
        if (atomic_load_explicit(&row->slot, memory_order_relaxed) == slot &&
            atomic_compare_exchange_strong_explicit(
                &row->slot, &expected, NULL, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
    return false;
}

void gm_pin_forget_elsewhere(struct gm_thread *self, struct gm_cache_slot *slot)
{
    if (pin_forget_of(self, slot))
        return;
    for (struct gm_thread *thread = gm_thread_first(); thread; thread = thread->next)
        if (pin_forget_of(thread, slot))
            return;
}

/* ---- fork ---- */

void gm_threads_fork_prepare(void)
{
    gm_lock_acquire(&threads_lock);
}

void gm_threads_fork_parent(void)
{
    gm_lock_release(&threads_lock);
}

/* Others are no more: what they counted and pinned stays. */
void gm_threads_fork_child(void)
{
    for (struct gm_thread *thread = gm_thread_first(); thread; thread = thread->next)
        thread->is_free = thread != gm_thread_self;
    gm_lock_release(&threads_lock);
}
