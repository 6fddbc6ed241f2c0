/* The keys of a cache's sample and their pins, and Belady's hits, against models that keep everything. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "collector/cache_belady.h"
#include "collector/cache_keys.h"
#include "wire_words.h"

#define MOST 100u
#define NAMES 300u

static struct gm_cache_keys keys;

static void tear_down(void)
{
    gm_cache_keys_done(&keys);
}
TestSuite(cache_keys, .fini = tear_down);

static struct gm_cache_key *use(uint64_t key, int expected)
{
    struct gm_cache_key *found = NULL;
    cr_assert_eq(gm_cache_keys_use(&keys, key, MOST, &found), expected);
    return found;
}

static void expect_order(uint64_t seed)
{
    const char *wrong = gm_cache_keys_check(&keys);
    cr_assert_null(wrong, "seed %lu: %s", (unsigned long)seed, wrong);
}

Test(cache_keys, the_key_used_longest_ago_goes_first)
{
    for (uint64_t key = 1; key <= MOST; key++)
        use(key, 0);
    use(1, 0);
    use(MOST + 1, 0);
    cr_assert_null(gm_cache_keys_find(&keys, 2));
    cr_assert_not_null(gm_cache_keys_find(&keys, 1));
    expect_order(0);
}

Test(cache_keys, what_is_inside_or_pinned_stays)
{
    for (uint64_t key = 1; key <= MOST; key++) {
        struct gm_cache_key *k = use(key, 0);
        if (key % 2)
            gm_cache_key_inside(&keys, k, true);
        else
            gm_cache_keys_pin(&keys, k, &(struct gm_cache_pin){.key = key});
    }
    use(1000, -ENOSPC);
    struct gm_cache_pin pin;
    cr_assert(gm_cache_keys_unpin(&keys, gm_cache_keys_find(&keys, 2), 0, &pin));
    use(1000, 0);
    cr_assert_null(gm_cache_keys_find(&keys, 2));
    expect_order(0);
}

Test(cache_keys, a_thread_gives_back_the_pin_it_took_last)
{
    struct gm_cache_key *k = use(7, 0);
    for (uint32_t i = 0; i < 4; i++)
        gm_cache_keys_pin(&keys, k, &(struct gm_cache_pin){.key = 7, .ring = i % 2, .site = i});
    struct gm_cache_pin pin;
    const struct {
        uint32_t ring, site;
    } order[] = {{0, 2}, {1, 3}, {5, 1}, {1, 0}};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert(gm_cache_keys_unpin(&keys, k, order[i].ring, &pin));
        cr_expect_eq(pin.site, order[i].site, "%u: %u", i, pin.site);
    }
    cr_assert_not(gm_cache_keys_unpin(&keys, k, 0, &pin));
    expect_order(0);
}

/* Keys are spread over all 64 bits, so that half of them go each time. */
Test(cache_keys, random_use_keeps_everything_in_order)
{
    uint64_t seed = 20251;
    struct rng rng = {seed};
    uint64_t threshold = UINT64_MAX, open[NAMES] = {0};
    struct gm_cache_pin pin;
    for (int i = 0; i < 30000; i++) {
        uint64_t name = rng_below(&rng, NAMES), key = name * 0x9e3779b97f4a7c15ull;
        struct gm_cache_key *k = NULL;
        if (key > threshold)
            continue;
        int r = gm_cache_keys_use(&keys, key, MOST, &k);
        if (r == -ENOSPC && threshold > UINT64_MAX >> 3) {
            threshold /= 2;
            gm_cache_keys_halve(&keys, threshold);
            for (uint64_t n = 0; n < NAMES; n++)
                open[n] = n * 0x9e3779b97f4a7c15ull > threshold ? 0 : open[n];
            expect_order(seed);
        }
        if (r != 0)
            continue;
        switch (rng_below(&rng, 4)) {
        case 0:
            gm_cache_key_inside(&keys, k, rng_below(&rng, 3) > 0);
            break;
        case 1:
            gm_cache_keys_pin(
                &keys, k, &(struct gm_cache_pin){.key = key, .ring = (uint32_t)rng_below(&rng, 3)});
            open[name]++;
            break;
        default:
            cr_assert_eq(gm_cache_keys_unpin(&keys, k, (uint32_t)rng_below(&rng, 3), &pin),
                open[name] > 0, "seed %lu, step %d", (unsigned long)seed, i);
            open[name] -= open[name] > 0;
        }
        if (i % 1000 == 0)
            expect_order(seed);
    }
    expect_order(seed);
}

/* ---- Belady ---- */

#define USES 4000u
#define OBJECTS 60u

/* Of those in the cache the one used again last goes, or is not let in. */
static unsigned belady_model(const uint32_t *uses, unsigned capacity)
{
    bool inside[OBJECTS] = {false};
    unsigned next[USES + 1][OBJECTS], hits = 0, held = 0;
    for (unsigned o = 0; o < OBJECTS; o++)
        next[USES][o] = USES;
    for (unsigned i = USES; i-- > 0;) {
        memcpy(next[i], next[i + 1], sizeof next[i]);
        next[i][uses[i]] = i;
    }
    for (unsigned i = 0; i < USES; i++) {
        if (inside[uses[i]]) {
            hits++;
        } else {
            inside[uses[i]] = true;
            held++;
        }
        for (unsigned last = 0; held > capacity; held--, last = 0) {
            for (unsigned o = 0; o < OBJECTS; o++)
                if (inside[o] && (!inside[last] || next[i + 1][o] > next[i + 1][last]))
                    last = o;
            inside[last] = false;
        }
    }
    return hits;
}

Test(belady, hits_are_those_of_the_cache_that_knows_the_future)
{
    static uint32_t uses[USES];
    struct rng rng = {4711};
    for (unsigned i = 0; i < USES; i++) /* few are used often */
        uses[i] = (uint32_t)(rng_below(&rng, OBJECTS) * rng_below(&rng, OBJECTS) / OBJECTS);
    for (unsigned capacity = 1; capacity <= OBJECTS; capacity += 7) {
        struct gm_belady belady = {0};
        uint64_t last[OBJECTS] = {0};
        unsigned hits = 0;
        for (unsigned i = 0; i < USES; i++) {
            hits += gm_belady_use(&belady, i + 1, last[uses[i]], 1, capacity) == GM_BELADY_HIT;
            last[uses[i]] = i + 1;
        }
        cr_expect_eq(hits, belady_model(uses, capacity), "capacity %u", capacity);
        gm_belady_done(&belady);
    }
}

Test(belady, what_is_further_back_than_the_window_is_not_compared)
{
    struct gm_belady belady = {0};
    for (unsigned round = 0; round < 3; round++) {
        uint64_t base = round * 3ull * GM_BELADY_WINDOW;
        cr_assert_eq(gm_belady_use(&belady, base + 1, 0, 1, 10), GM_BELADY_MISS);
        cr_assert_eq(gm_belady_use(&belady, base + 2, base + 1, 1, 10), GM_BELADY_HIT);
        cr_assert_eq(
            gm_belady_use(&belady, base + GM_BELADY_WINDOW, base + 2, 1, 10), GM_BELADY_HIT);
        cr_assert_eq(gm_belady_use(&belady, base + 2ull * GM_BELADY_WINDOW, base + 2, 1, 10),
            GM_BELADY_UNKNOWN);
    }
    gm_belady_reset(&belady);
    uint64_t now = belady.now;
    cr_assert_eq(gm_belady_use(&belady, now + 1, now, 1, 10), GM_BELADY_UNKNOWN);
    cr_assert_eq(gm_belady_use(&belady, now + 2, now + 1, 11, 10), GM_BELADY_MISS, "too large");
    gm_belady_done(&belady);
}
