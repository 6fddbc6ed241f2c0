/* chooser.c - see chooser.h. */
#include "libgeomem/policy/chooser.h"

#include <time.h>

#include "libgeomem/base/sys.h"

/* All of these: measured, bench/cache_hit_ratio; docs/design/cache-policy.md says which alternatives were. */
#define SHADOW_ENTRIES 1024.0
#define EPOCH_FULL 1.5 /* times the entries of a shadow */
#define EPOCH_FIRST 0.35
#define EPOCH_GROWTH 1.5
#define EPOCH_LEAST 700.0
/* Of a score, from epoch to epoch. The short first epochs, of a cache not yet itself, so weigh less. */
#define FADE 0.1
#define SKETCH_USES 12.0 /* times the entries, before sketches are halved */
/* What a candidate must lead by: a part of all there was to hit; a number of uses more where the shadows see a sample of the
 * keys only; and so many standard deviations of the difference. */
#define LEAD_PART 0.002
#define LEAD_USES 10.0
#define LEAD_DEVIATIONS 2.0
/* Charges or costs that differ by more make entries unlike. Arbitrary. */
#define UNLIKE 2.0F
/* The sample is drawn anew when shadows have so many times more or fewer entries than they should. Arbitrary. */
#define REFIT 1.5
/* Between two looks whether learning has ended, which takes tens of microseconds. */
#define PAUSE_NS 20000

/* The first is what a cache begins with. */
const struct gm_candidate gm_candidates[GM_CANDIDATES] = {
    {GM_RULE_S3, 20, "S3-FIFO with a window of 2 %"},
    {GM_RULE_S3, 100, "S3-FIFO with a window of 10 %"},
    {GM_RULE_S3, 600, "S3-FIFO with a window of 60 %"},
    {GM_RULE_SIEVE, 10, "sketch and SIEVE behind a window of 1 %"},
    {GM_RULE_SIEVE, 50, "sketch and SIEVE behind a window of 5 %"},
    {GM_RULE_SIEVE, 200, "sketch and SIEVE behind a window of 20 %"},
    {GM_RULE_SIEVE, 500, "sketch and SIEVE behind a window of 50 %"},
    {GM_RULE_SIEVE, 1000, "FIFO with second chances"},
    {GM_RULE_SAMPLED, 10, "least worth of 16 behind a window of 1 %"},
};
#define CANDIDATE_FOR_UNLIKE 8u

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
        shadow->queues.spills = true;
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
    chooser->candidates = CANDIDATE_FOR_UNLIKE;
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

static bool leads_clearly(const struct gm_chooser *chooser, unsigned candidate, unsigned present)
{
    double lead = chooser->scores[candidate] - chooser->scores[present];
    double least = LEAD_PART * chooser->most;
    if (atomic_load_explicit(&chooser->threshold, memory_order_relaxed) != UINT64_MAX)
        least += LEAD_USES * chooser->most / chooser->counted;
    /* Uses that one hits and the other misses are coin tosses if both are equally good. */
    double variance = chooser->disagreed[candidate];
    return lead > least && lead * lead > LEAD_DEVIATIONS * LEAD_DEVIATIONS * variance;
}

static unsigned best_candidate(const struct gm_chooser *chooser, unsigned present)
{
    unsigned best = present;
    for (unsigned i = 0; i < chooser->candidates; i++)
        if (chooser->scores[i] > chooser->scores[best] && leads_clearly(chooser, i, present))
            best = i;
    return best;
}

static void scores_fade(struct gm_chooser *chooser, double kept)
{
    for (unsigned i = 0; i < GM_CANDIDATES; i++) {
        chooser->scores[i] *= kept;
        chooser->disagreed[i] *= kept;
    }
    chooser->most *= kept;
    chooser->counted *= kept;
}

static void choice_set(struct gm_chooser *chooser, unsigned choice)
{
    atomic_store_explicit(&chooser->choice, choice, memory_order_relaxed);
    atomic_fetch_add_explicit(&chooser->switches, 1, memory_order_relaxed);
    /* From now on the others are compared with this one; at most as much as both disagreed with the former. */
    double own = chooser->disagreed[choice];
    for (unsigned i = 0; i < GM_CANDIDATES; i++)
        chooser->disagreed[i] += own;
    chooser->disagreed[choice] = 0;
}

/* Entries are larger or smaller than thought: another sample, and shadows that start empty. Scores stay. */
static bool sample_refit(struct gm_chooser *chooser, unsigned present)
{
    const struct gm_shadow *shadow = &chooser->shadows[present];
    if (shadow->entries == 0)
        return false;
    double mean = (double)shadow->used / shadow->entries;
    double change = mean / chooser->mean_charge;
    bool far = change > REFIT || change < 1 / REFIT;
    bool sampled = atomic_load_explicit(&chooser->threshold, memory_order_relaxed) != UINT64_MAX ||
                   (double)chooser->total / mean > SHADOW_ENTRIES * REFIT;
    if (!far || !sampled)
        return false;
    chooser->mean_charge = mean;
    for (unsigned i = 0; i < GM_CANDIDATES; i++)
        gm_shadow_clear(&chooser->shadows[i]);
    gm_sketch_clear(&chooser->sketch);
    sample_fit(chooser);
    epochs_begin(chooser);
    return true;
}

static void epoch_end(struct gm_chooser *chooser)
{
    unsigned present = atomic_load_explicit(&chooser->choice, memory_order_relaxed);
    unsigned best = best_candidate(chooser, present);
    if (best != present)
        choice_set(chooser, best);
    chooser->informed = true;
    if (sample_refit(chooser, best))
        return;
    double full = epoch_bounded(chooser->entries * EPOCH_FULL);
    double length = chooser->epoch_next < full ? chooser->epoch_next : full;
    scores_fade(chooser, 1 - FADE);
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

/* Entries whose charges or costs differ much are worth different amounts: one more candidate, which weighs them. */
static void unlike_watch(struct gm_chooser *chooser, uint32_t charge, uint16_t cost)
{
    float weight =
        chooser->goal == GM_GOAL_COST ? gm_cost_unpack(cost) / (float)charge : (float)charge;
    if (chooser->weight_least == 0 || weight < chooser->weight_least)
        chooser->weight_least = weight;
    if (weight > chooser->weight_most)
        chooser->weight_most = weight;
    if (chooser->weight_most <= UNLIKE * chooser->weight_least)
        return;
    chooser->candidates = GM_CANDIDATES;
    /* As long as nothing is known, what looks at charges is the better guess. */
    if (!chooser->informed && chooser->goal != GM_GOAL_BYTES)
        choice_set(chooser, CANDIDATE_FOR_UNLIKE);
}

static void shadows_use(
    struct gm_chooser *chooser, uint64_t hash, uint32_t charge, uint16_t cost, double worth)
{
    bool hits[GM_CANDIDATES];
    for (unsigned i = 0; i < chooser->candidates; i++) {
        hits[i] = gm_shadow_use(&chooser->shadows[i], hash, charge, cost);
        chooser->scores[i] += hits[i] ? worth : 0;
    }
    unsigned present = atomic_load_explicit(&chooser->choice, memory_order_relaxed);
    for (unsigned i = 0; i < chooser->candidates; i++)
        chooser->disagreed[i] += hits[i] != hits[present] ? worth * worth : 0;
    chooser->most += worth;
    chooser->counted++;
}

static void use_learn(void *arg, uint64_t hash, uint64_t value)
{
    struct gm_chooser *chooser = arg;
    uint32_t charge = (uint32_t)value;
    uint16_t cost = (uint16_t)(value >> 32);
    if (chooser->candidates < GM_CANDIDATES)
        unlike_watch(chooser, charge, cost);
    gm_sketch_add(&chooser->sketch, hash);
    shadows_use(chooser, hash, charge, cost, use_worth(chooser, charge, cost));
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

/* Who learns has no lock, and may be preempted: it is slept for, since the waiting thread may rank above it; not
 * by the C library's function, in which a thread can be cancelled. */
void gm_chooser_pause(struct gm_chooser *chooser)
{
    while (atomic_flag_test_and_set_explicit(&chooser->busy, memory_order_acquire))
        gm_sys2(SYS_nanosleep, &(const struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

void gm_chooser_resume(struct gm_chooser *chooser)
{
    atomic_flag_clear_explicit(&chooser->busy, memory_order_release);
}

void gm_chooser_resize(struct gm_chooser *chooser, uint64_t total)
{
    /* Written here only, and all that come here hold the locks of all shards: of several shards the first does it. */
    if (total == chooser->total)
        return;
    gm_chooser_pause(chooser);
    chooser->total = total;
    sample_fit(chooser);
    gm_chooser_resume(chooser);
}
