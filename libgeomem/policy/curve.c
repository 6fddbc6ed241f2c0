/* curve.c - see curve.h. */
#include "libgeomem/policy/curve.h"

#include <errno.h>

#include "libgeomem/policy/kind.h"
#include "libgeomem/policy/simulate.h"

/* Entries a simulation is made for, at 0.5 points of error in the mean (bench/cache_hit_ratio --predict), and the most it has. */
#define ENTRIES 2048.0
#define SLOTS_MOST 4096u
#define GROUPS 16u
/* Fewer sampled uses say nothing. Arbitrary. */
#define USES_LEAST 64u

/* One capacity. */
struct point {
    struct gm_simulation *simulation; /* NULL: the capacity is less than one entry of the sample */
    uint64_t capacity;
    uint64_t threshold;    /* keys above are not for it */
    uint64_t total_before; /* uses of all keys before it began */
    uint64_t uses;
    uint64_t misses[GROUPS];
};

struct gm_curve {
    struct gm_curve_config config;
    struct point points[GM_CURVE_POINTS];
    uint64_t total;
};

static uint64_t capacity_of(const struct gm_curve *curve, unsigned number)
{
    uint64_t capacity = number < GM_CURVE_PRESENT
                            ? curve->config.capacity >> (GM_CURVE_PRESENT - number)
                            : curve->config.capacity << (number - GM_CURVE_PRESENT);
    return capacity ? capacity : 1;
}

static double rate_of(uint64_t threshold)
{
    return threshold == UINT64_MAX ? 1 : (double)threshold * 0x1p-64;
}

static void point_forget(struct gm_curve *curve, struct point *point)
{
    gm_simulation_free(point->simulation);
    *point = (struct point){
        .capacity = point->capacity, .threshold = point->threshold, .total_before = curve->total};
}

/* Begins anew at its threshold. */
static int point_begin(struct gm_curve *curve, struct point *point)
{
    point_forget(curve, point);
    double capacity = (double)point->capacity * rate_of(point->threshold) + 0.5;
    if (capacity < (double)curve->config.entry)
        return 0;
    double slots = capacity / (double)curve->config.entry * 2 + 16;
    struct gm_policy_config config = {.kind = curve->config.kind,
        .goal = curve->config.goal,
        .seed = curve->config.seed,
        .capacity = point->threshold == UINT64_MAX ? point->capacity : (uint64_t)capacity,
        .slots = slots < SLOTS_MOST ? (uint32_t)slots : SLOTS_MOST};
    /* With charges all alike, more slots than the capacity has room for would only mislead the adaptive policy. */
    if (config.slots > config.capacity)
        config.slots = (uint32_t)config.capacity;
    return gm_simulation_create(&config, &point->simulation);
}

static int points_begin(struct gm_curve *curve)
{
    for (unsigned i = 0; i < GM_CURVE_POINTS; i++) {
        struct point *point = &curve->points[i];
        point->capacity = capacity_of(curve, i);
        double entries = (double)point->capacity / (double)curve->config.entry;
        double rate = entries > ENTRIES ? ENTRIES / entries : 1;
        point->threshold = curve->config.threshold;
        if (rate < rate_of(point->threshold))
            point->threshold = (uint64_t)(rate * 0x1p64);
        int error = point_begin(curve, point);
        if (error < 0)
            return error;
    }
    return 0;
}

int gm_curve_create(const struct gm_curve_config *config, struct gm_curve **ret_curve)
{
    if (config->capacity == 0 || config->capacity > UINT64_MAX >> GM_CURVE_PRESENT)
        return -EINVAL;
    struct gm_curve *curve = gm_policy_memory(sizeof *curve);
    if (!curve)
        return -ENOMEM;
    curve->config = *config;
    int error = config->entry ? points_begin(curve) : 0;
    if (error < 0) {
        gm_curve_free(curve);
        return error;
    }
    *ret_curve = curve;
    return 0;
}

void gm_curve_free(struct gm_curve *curve)
{
    if (!curve)
        return;
    for (unsigned i = 0; i < GM_CURVE_POINTS; i++)
        gm_simulation_free(curve->points[i].simulation);
    gm_policy_memory_free(curve, sizeof *curve);
}

/* Entries are smaller than thought: half of the keys, half of the capacity. Without memory the point has nothing to say. */
static void point_thin(struct gm_curve *curve, struct point *point)
{
    point->threshold /= 2;
    (void)point_begin(curve, point);
}

/* All slots are in use, and capacity is left. */
static bool point_is_crowded(const struct point *point)
{
    const struct gm_policy *policy = gm_simulation_policy(point->simulation);
    return policy->entries == policy->slots && policy->slots == SLOTS_MOST &&
           policy->used < policy->capacity / 2;
}

static void point_use(
    struct gm_curve *curve, struct point *point, uint64_t hash, uint64_t charge, uint64_t cost)
{
    if (hash > point->threshold || !point->simulation)
        return;
    point->uses++;
    if (!gm_simulate_use(point->simulation, hash, charge, cost))
        point->misses[gm_policy_mix(hash) % GROUPS]++;
    if (point_is_crowded(point))
        point_thin(curve, point);
}

void gm_curve_use(struct gm_curve *curve, uint64_t hash, uint64_t charge, uint64_t cost)
{
    if (curve->config.entry == 0) {
        curve->config.entry = charge ? charge : 1;
        (void)points_begin(curve);
    }
    for (unsigned i = 0; i < GM_CURVE_POINTS; i++)
        point_use(curve, &curve->points[i], hash, charge, cost);
}

void gm_curve_remove(struct gm_curve *curve, uint64_t hash)
{
    for (unsigned i = 0; i < GM_CURVE_POINTS; i++)
        if (curve->points[i].simulation && hash <= curve->points[i].threshold)
            gm_simulate_remove(curve->points[i].simulation, hash);
}

void gm_curve_total(struct gm_curve *curve, uint64_t uses)
{
    curve->total = uses;
}

void gm_curve_thin(struct gm_curve *curve)
{
    curve->config.threshold /= 2;
    for (unsigned i = 0; i < GM_CURVE_POINTS; i++)
        point_thin(curve, &curve->points[i]);
}

int gm_curve_resize(struct gm_curve *curve, uint64_t capacity)
{
    if (capacity == 0 || capacity > UINT64_MAX >> GM_CURVE_PRESENT)
        return -EINVAL;
    curve->config.capacity = capacity;
    return curve->config.entry ? points_begin(curve) : 0;
}

/* Of a number whose square it is, to a part in a million; libm is for those who need it. */
static double square_root(double square)
{
    double root = square > 1 ? square : 1;
    for (int i = 0; i < 64; i++)
        root = (root + square / root) / 2;
    return root;
}

static uint64_t misses_sum(const struct point *point)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < GROUPS; i++)
        sum += point->misses[i];
    return sum;
}

/* Of the sum of all groups' misses, which are independent of each other. */
static double misses_error(const struct point *point, double sum)
{
    double mean = sum / GROUPS;
    double squares = 0;
    for (unsigned i = 0; i < GROUPS; i++) {
        double off = (double)point->misses[i] - mean;
        squares += off * off;
    }
    return square_root(squares * GROUPS / (GROUPS - 1));
}

/* Uses of all keys that the sampled ones stand for, times the rate of the sample. */
static double uses_expected(const struct gm_curve *curve, const struct point *point)
{
    double rate = rate_of(point->threshold);
    double uses = rate * (double)(curve->total - point->total_before);
    /* Nobody counted, or every key is in the sample. */
    return curve->total <= point->total_before || rate >= 1 ? (double)point->uses : uses;
}

static struct gm_curve_point point_read(const struct gm_curve *curve, const struct point *point)
{
    struct gm_curve_point read = {.capacity = point->capacity, .error = 1, .uses = point->uses};
    double expected = uses_expected(curve, point);
    if (point->uses < USES_LEAST || expected < 1)
        return read;
    double misses = (double)misses_sum(point);
    read.hit_ratio = misses < expected ? 1 - misses / expected : 0;
    bool all = rate_of(point->threshold) >= 1;
    double error = all ? 0 : 2 * misses_error(point, misses) / expected;
    read.error = error < 1 ? error : 1;
    return read;
}

void gm_curve_read(const struct gm_curve *curve, struct gm_curve_point ret_points[GM_CURVE_POINTS])
{
    for (unsigned i = 0; i < GM_CURVE_POINTS; i++)
        ret_points[i] = point_read(curve, &curve->points[i]);
}
