/* chooser.c - see chooser.h. */
#include "libgeomem/policy/chooser.h"

/* Candidates, shadow size, epochs and fading: measured, bench/cache_hit_ratio. */
#define SHADOW_ENTRIES 1024.0
#define CHOICE_FIRST 9u
#define EPOCH_FULL 1.5 /* times the entries of a shadow */
#define EPOCH_FIRST 0.25
#define EPOCH_GROWTH 1.5
#define EPOCH_LEAST 1000.0
#define FADE 0.15        /* of a score, in an epoch of full length */
#define MARGIN 0.002     /* of all there was to hit */
#define SKETCH_USES 10.0 /* times the entries, before sketches are halved */

const struct gm_candidate gm_candidates[GM_CANDIDATES] = {
    {GM_RULE_SIEVE, 10, "sketch and SIEVE behind a window of 1 %"},
    {GM_RULE_SIEVE, 50, "sketch and SIEVE behind a window of 5 %"},
    {GM_RULE_SIEVE, 200, "sketch and SIEVE behind a window of 20 %"},
    {GM_RULE_SIEVE, 500, "sketch and SIEVE behind a window of 50 %"},
    {GM_RULE_SIEVE, 800, "sketch and SIEVE behind a window of 80 %"},
    {GM_RULE_SIEVE, 970, "sketch and SIEVE behind a window of 97 %"},
    {GM_RULE_S3, 100, "S3-FIFO with a window of 10 %"},
    {GM_RULE_S3, 300, "S3-FIFO with a window of 30 %"},
    {GM_RULE_S3, 600, "S3-FIFO with a window of 60 %"},
    {GM_RULE_SAMPLED, 10, "least of 16 behind a window of 1 %"},
    {GM_RULE_SAMPLED, 200, "least of 16 behind a window of 20 %"},
    {GM_RULE_SIEVE, 1000, "FIFO with second chances"},
    {GM_RULE_S3, 20, "S3-FIFO with a window of 2 %"},
};

/* Sets which keys are sampled, and the shadows' part of the capacity. */
static void sample_fit(struct gm_chooser *chooser)
{
    double all = (double)chooser->total / chooser->mean_charge;
    double rate = all > SHADOW_ENTRIES ? SHADOW_ENTRIES / all : 1;
    double capacity = (double)chooser->total * rate + 0.5;
    chooser->entries = all * rate < 1 ? 1 : all * rate;
    uint64_t threshold = rate < 1 ? (uint64_t)(rate * 0x1p64) : UINT64_MAX;
    atomic_store_explicit(&chooser->threshold, threshold, memory_order_relaxed);
    for (unsigned i = 0; i < GM_CANDIDATES; i++)
        gm_shadow_set_capacity(
            &chooser->shadows[i], rate < 1 ? (uint64_t)capacity : chooser->total);
}

static double epoch_bounded(double uses)
{
    return uses < EPOCH_LEAST ? EPOCH_LEAST : uses;
}

static void epochs_begin(struct gm_chooser *chooser)
{
    double first = chooser->entries * EPOCH_FIRST;
    if (first < EPOCH_LEAST / 4)
        first = EPOCH_LEAST / 4;
    chooser->seen = 0;
    chooser->epoch_next = first;
    /* The shadows fill up before. */
    chooser->epoch_uses = chooser->entries + first;
}

static int shadows_init(struct gm_chooser *chooser, uint64_t seed)
{
    int error = gm_sketch_init(&chooser->sketch, chooser->slots);
    gm_sketch_grow(&chooser->sketch, chooser->slots);
    for (unsigned i = 0; i < GM_CANDIDATES && error == 0; i++) {
        struct gm_shadow *shadow = &chooser->shadows[i];
        error = gm_shadow_init(shadow, chooser->slots, &chooser->sketch, seed + i + 1);
        shadow->queues.goal = chooser->goal;
        gm_queues_set_rule(
            &shadow->queues, gm_candidates[i].rule, gm_candidates[i].window_permille);
    }
    return error;
}

int gm_chooser_init(struct gm_chooser *chooser, const struct gm_policy_config *config)
{
    double most = 2 * SHADOW_ENTRIES;
    atomic_flag_clear(&chooser->busy);
    chooser->goal = config->goal;
    chooser->total = config->total;
    chooser->slots = config->slots < most ? config->slots : (uint32_t)most;
    /* The least it can be; what it is, the first uses show. */
    chooser->mean_charge = (double)config->capacity / (double)config->slots;
    atomic_init(&chooser->choice, CHOICE_FIRST);
    int error = shadows_init(chooser, config->seed);
    if (error == 0)
        error = gm_uses_init(&chooser->uses, config->stripes);
    if (error < 0)
        return error;
    sample_fit(chooser);
    epochs_begin(chooser);
    return 0;
}

void gm_chooser_done(struct gm_chooser *chooser)
{
    gm_uses_done(&chooser->uses);
    gm_sketch_done(&chooser->sketch);
    for (unsigned i = 0; i < GM_CANDIDATES; i++)
        gm_shadow_done(&chooser->shadows[i]);
}

bool gm_chooser_note(
    struct gm_chooser *chooser, uint64_t hash, uint32_t charge, uint16_t cost, uint32_t stripe)
{
    /* Other bits decide than those that choose a shard. */
    if (gm_policy_mix(hash ^ 0xabcdef) >
        atomic_load_explicit(&chooser->threshold, memory_order_relaxed))
        return false;
    return gm_uses_put(&chooser->uses, stripe, hash, (uint64_t)cost << 32 | charge);
}

static double use_worth(const struct gm_chooser *chooser, uint32_t charge, uint16_t cost)
{
    switch (chooser->goal) {
    case GM_GOAL_HITS:
        return 1;
    case GM_GOAL_COST:
        return (double)gm_cost_unpack(cost);
    case GM_GOAL_BYTES:
        break;
    }
    return charge;
}

static unsigned best_candidate(const struct gm_chooser *chooser, unsigned present)
{
    unsigned best = present;
    for (unsigned i = 0; i < GM_CANDIDATES; i++)
        if (chooser->scores[i] > chooser->scores[best])
            best = i;
    double lead = chooser->scores[best] - chooser->scores[present];
    return lead > MARGIN * chooser->most ? best : present;
}

static void scores_add(struct gm_chooser *chooser, double kept)
{
    for (unsigned i = 0; i < GM_CANDIDATES; i++) {
        chooser->scores[i] = chooser->scores[i] * kept + chooser->epoch_scores[i];
        chooser->epoch_scores[i] = 0;
    }
    chooser->most = chooser->most * kept + chooser->epoch_most;
    chooser->epoch_most = 0;
}

static void choice_make(struct gm_chooser *chooser)
{
    unsigned present = atomic_load_explicit(&chooser->choice, memory_order_relaxed);
    unsigned best = best_candidate(chooser, present);
    if (best == present)
        return;
    atomic_store_explicit(&chooser->choice, best, memory_order_relaxed);
    atomic_fetch_add_explicit(&chooser->switches, 1, memory_order_relaxed);
}

static void epoch_end(struct gm_chooser *chooser)
{
    double full = epoch_bounded(chooser->entries * EPOCH_FULL);
    double length = chooser->epoch_next < full ? chooser->epoch_next : full;
    scores_add(chooser, 1 - FADE * length / full);
    choice_make(chooser);
    chooser->seen = 0;
    chooser->epoch_uses = length;
    chooser->epoch_next = length * EPOCH_GROWTH;
}

static void sketches_age(struct gm_chooser *chooser)
{
    chooser->sketch_uses++;
    if (chooser->sketch_uses < SKETCH_USES * chooser->entries)
        return;
    gm_sketch_halve(&chooser->sketch);
    atomic_fetch_add_explicit(&chooser->age, 1, memory_order_relaxed);
    chooser->sketch_uses /= 2;
}

static void use_learn(void *arg, uint64_t hash, uint64_t value)
{
    struct gm_chooser *chooser = arg;
    uint32_t charge = (uint32_t)value;
    uint16_t cost = (uint16_t)(value >> 32);
    double worth = use_worth(chooser, charge, cost);
    gm_sketch_add(&chooser->sketch, hash);
    for (unsigned i = 0; i < GM_CANDIDATES; i++)
        if (gm_shadow_use(&chooser->shadows[i], hash, charge, cost))
            chooser->epoch_scores[i] += worth;
    chooser->epoch_most += worth;
    sketches_age(chooser);
    if (++chooser->seen >= chooser->epoch_uses)
        epoch_end(chooser);
}

void gm_chooser_learn(struct gm_chooser *chooser)
{
    if (atomic_flag_test_and_set_explicit(&chooser->busy, memory_order_acquire))
        return;
    gm_uses_drain(&chooser->uses, use_learn, chooser);
    atomic_flag_clear_explicit(&chooser->busy, memory_order_release);
}

void gm_chooser_resize(struct gm_chooser *chooser, uint64_t total)
{
    while (atomic_flag_test_and_set_explicit(&chooser->busy, memory_order_acquire))
        ;
    chooser->total = total;
    sample_fit(chooser);
    atomic_flag_clear_explicit(&chooser->busy, memory_order_release);
}
