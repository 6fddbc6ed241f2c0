/* sample.c - see sample.h. */
#include "libgeomem/event/sample.h"

__thread struct gm_sample_thread gm_sample_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static _Atomic uint32_t threads_begun;

/* ---- distances -------------------------------------------------------------------------------------------- */

/* Finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* A thread's random numbers are a function of the seed, its number, and where on its bytes it stands, so that they
 * need no state of their own in thread-local storage. */
#define GOLDEN 0x9e3779b97f4a7c15ull
static uint64_t random_at(uint32_t thread, uint64_t clock)
{
    return mix(mix(gm_process.sample_seed + thread * GOLDEN) + clock * GOLDEN);
}

/* -ln(u) for u in (0, 1], without libm, which the preload library must not need. u = m * 2^e with m near 1, and
 * ln m = 2 atanh((m - 1) / (m + 1)): the odd series up to t^13 is within 2e-12 of it, relative to
 * it, for all m in [sqrt(1/2), sqrt(2)]. */
static double minus_ln(double u)
{
    union {
        double d;
        uint64_t bits;
    } m = {.d = u};
    int e = (int)(m.bits >> 52) - 1023;
    m.bits = (m.bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    if (m.d > 1.4142135623730951) {
        m.d /= 2;
        e++;
    }
    double t = (m.d - 1) / (m.d + 1), q = t * t;
    double series =
        1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * (1.0 / 11 + q / 13)))));
    return -(e * 0.69314718055994530942 + 2 * t * series);
}

/* The distance to the next point in whole bytes: an exponential one, rounded up. P(distance > s) is exp(-s / R). */
static uint64_t distance_draw(const struct gm_sample_thread *t, uint64_t clock)
{
    double u = (double)((random_at(t->number, clock) >> 11) + 1) * 0x1p-53;
    double x = minus_ln(u) * (double)(1ull << t->log2);
    uint64_t whole = (uint64_t)x;
    whole += (double)whole < x;
    return whole > 0 ? whole : 1;
}

/* ---- threads ---------------------------------------------------------------------------------------------- */

/* The recorder may change the interval at any time, and what it writes is checked here. A distance keeps the interval
 * it was drawn with: every byte of it stood under that one, so the block that ends it is weighted by it. */
static void interval_read(struct gm_sample_thread *t, const struct gm_session *session)
{
    uint32_t log2 = atomic_load_explicit(&session->sample_log2, memory_order_relaxed);
    t->log2 = log2 < GM_SAMPLE_LOG2_MIN   ? GM_SAMPLE_LOG2_MIN
              : log2 > GM_SAMPLE_LOG2_MAX ? GM_SAMPLE_LOG2_MAX
                                          : log2;
}

static void distance_begin(
    struct gm_sample_thread *t, const struct gm_session *session, uint64_t clock)
{
    interval_read(t, session);
    t->left = distance_draw(t, clock);
    t->drawn = clock + t->left;
}

static void thread_begin(struct gm_sample_thread *t, const struct gm_session *session)
{
    uint32_t n = 1 + atomic_fetch_add_explicit(&threads_begun, 1, memory_order_relaxed);
    *t = (struct gm_sample_thread){.number = n ? n : 1};
    distance_begin(t, session, 0);
}

void gm_sample_begin(void)
{
    atomic_store_explicit(&threads_begun, 0, memory_order_relaxed);
    gm_sample_thread = (struct gm_sample_thread){0};
}

bool gm_sample_take(uint64_t bytes, struct gm_sample *ret_sample)
{
    struct gm_sample_thread *t = &gm_sample_thread;
    /* NULL in a child that a signal handler forked in between */
    const struct gm_session *session = gm_process.session;
    if (!session)
        return false;
    if (t->number == 0) {
        thread_begin(t, session);
        if (gm_sample_passes(bytes))
            return false;
    }
    *ret_sample =
        (struct gm_sample){.log2 = t->log2, .clock = gm_sample_clock() + bytes + (bytes == 0)};
    distance_begin(t, session, ret_sample->clock);
    return true;
}

/* ---- the set of taken blocks ------------------------------------------------------------------------------
 *
 * Buckets of one cache line each. An address has two; it stands in one slot of one of them. Slots are taken and given
 * up by one compare-and-swap, so an address that is in the set stands still until it is removed. An address for which
 * there is no slot marks its page for good: from then on all frees there are told.
 *
 * relaxed throughout: see gm_sample_passes_free. A counter is raised before the slot is taken and lowered after
 * it was given up, so that it is never below the number of taken slots. */

#define BUCKETS 16384u /* 1 MiB; pages of it come with their first use */
#define SLOTS 8u

_Atomic uint32_t gm_sample_pages[GM_SAMPLE_PAGES] __attribute__((visibility("hidden")));
static struct {
    _Alignas(64) _Atomic uintptr_t slot[SLOTS];
} buckets[BUCKETS];

static bool bucket_swap(uint64_t bucket, uintptr_t from, uintptr_t to)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        uintptr_t expected = from;
        _Atomic uintptr_t *slot = &buckets[bucket & (BUCKETS - 1)].slot[i];
        if (atomic_load_explicit(slot, memory_order_relaxed) == from &&
            atomic_compare_exchange_strong_explicit(
                slot, &expected, to, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
    return false;
}

/* False: the address is in neither bucket, or there is no room for it. */
static bool set_swap(const void *block, bool add)
{
    uintptr_t address = (uintptr_t)block, from = add ? 0 : address, to = add ? address : 0;
    uint64_t hash = mix(address);
    return bucket_swap(hash, from, to) || bucket_swap(hash >> 32, from, to);
}

void gm_sample_set_add(const void *block)
{
    _Atomic uint32_t *page = gm_sample_page(block);
    atomic_fetch_add_explicit(page, 1, memory_order_relaxed);
    if (!set_swap(block, true)) {
        atomic_fetch_or_explicit(page, GM_SAMPLE_SPILLED, memory_order_relaxed);
        atomic_fetch_sub_explicit(page, 1, memory_order_relaxed);
    }
}

bool gm_sample_set_remove(const void *block)
{
    _Atomic uint32_t *page = gm_sample_page(block);
    if (atomic_load_explicit(page, memory_order_relaxed) == 0)
        return false;
    if (set_swap(block, false)) {
        atomic_fetch_sub_explicit(page, 1, memory_order_relaxed);
        return true;
    }
    return atomic_load_explicit(page, memory_order_relaxed) & GM_SAMPLE_SPILLED;
}
