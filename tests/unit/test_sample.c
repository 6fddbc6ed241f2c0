/* Which blocks are taken: the logarithm, the distances, the set of taken blocks. The source itself is included, for its
 * static functions and for a process page of our own. */
#include "libgeomem/event/sample.c"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

union gm_process_page gm_process_page;
static struct gm_session session;

static void begin(uint64_t seed, uint32_t log2)
{
    gm_process.session = &session;
    gm_process.sampling = 1;
    gm_process.sample_seed = seed;
    atomic_store(&session.sample_log2, log2);
    gm_sample_begin();
}

static bool taken(uint64_t bytes, struct gm_sample *sample)
{
    return !gm_sample_passes(bytes) && gm_sample_take(bytes, sample);
}

Test(sample, the_logarithm_is_good_to_eleven_digits)
{
    double worst = 0;
    for (uint64_t i = 0; i < 2000000; i++) {
        double u = (double)((mix(i) >> 11) + 1) * 0x1p-53;
        if (i < 1000)
            u = 1 - (double)i * 0x1p-53;
        else if (i < 2000)
            u = ldexp(1, -(int)(i % 54));
        double want = -log(u), error = fabs(minus_ln(u) - want);
        if (want > 0 && error / want > worst)
            worst = error / want;
    }
    cr_expect_lt(worst, 2e-12, "%g", worst);
    cr_expect_eq(minus_ln(1), 0);
}

/* The seeds are fixed: what is asserted has been seen to hold, and can only change with the code. The bounds are four
 * standard errors. */
Test(sample, blocks_of_each_size_are_taken_with_their_probability)
{
    static const uint64_t sizes[] = {0, 1, 48, 1000, 4096, 20000, 300000};
    const double interval = 4096;
    begin(7, 12);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const uint64_t n = sizes[k] < 48 ? 40000000 : 2000000;
        uint64_t hits = 0;
        struct gm_sample sample;
        for (uint64_t i = 0; i < n; i++)
            hits += taken(sizes[k], &sample);
        double p = 1 - exp(-(double)(sizes[k] ? sizes[k] : 1) / interval);
        double error = 4 * sqrt((double)n * p * (1 - p)) + 1e-9;
        cr_expect_lt(fabs((double)hits - p * (double)n), error, "%lu bytes: %lu of %lu, p %g",
            sizes[k], hits, n, p);
    }
}

Test(sample, distances_are_geometric)
{
    uint64_t count[16] = {0}, n = 2000000;
    struct gm_sample_thread t = {.number = 1, .log2 = 16};
    gm_process.sample_seed = 3;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t d = distance_draw(&t, i * 65537);
        cr_assert_geq(d, 1);
        sum += (double)d;
        double q = exp(-(double)d / 65536); /* uniform */
        count[q < 1 ? (int)(q * 16) : 15]++;
    }
    cr_expect_lt(fabs(sum / (double)n / 65536 - 1), 4 / sqrt((double)n), "%g", sum / (double)n);
    double chi2 = 0, want = (double)n / 16;
    for (int i = 0; i < 16; i++)
        chi2 += ((double)count[i] - want) * ((double)count[i] - want) / want;
    cr_expect_lt(chi2, 37.7, "chi square of 15 degrees beyond its 0.1 %% point: %g", chi2);
}

Test(sample, the_clock_counts_every_byte)
{
    struct gm_sample sample;
    uint64_t bytes = 0;
    begin(1, 9);
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t size = mix(i) % 700;
        bytes += size ? size : 1;
        if (taken(size, &sample))
            cr_assert_eq(sample.clock, bytes);
        cr_assert_eq(gm_sample_clock(), bytes);
    }
}

Test(sample, a_seed_repeats_and_seeds_and_threads_differ)
{
    struct gm_sample sample;
    uint64_t first[3] = {0};
    static const uint64_t seeds[] = {5, 5, 6};
    for (int k = 0; k < 3; k++) {
        begin(seeds[k], 20);
        for (uint64_t i = 0; i < 10000000 && !taken(16, &sample); i++)
            first[k]++;
    }
    cr_expect_eq(first[0], first[1]);
    cr_expect_neq(first[0], first[2]);
    gm_sample_thread = (struct gm_sample_thread){0}; /* as another thread would begin */
    uint64_t second = 0;
    while (!taken(16, &sample))
        second++;
    cr_expect_neq(second, first[2]);
}

Test(sample, an_interval_from_a_hostile_recorder_is_bounded)
{
    struct gm_sample sample;
    begin(1, 0);
    while (!taken(1, &sample))
        ;
    cr_expect_eq(sample.log2, GM_SAMPLE_LOG2_MIN);
    atomic_store(&session.sample_log2, UINT32_MAX);
    while (!taken(1 << 20, &sample) || sample.log2 == GM_SAMPLE_LOG2_MIN)
        ;
    cr_expect_eq(sample.log2, GM_SAMPLE_LOG2_MAX);
}

Test(sample, a_changed_interval_weighs_from_the_next_distance_on)
{
    struct gm_sample sample;
    begin(1, 10);
    cr_assert(!gm_sample_passes(1 << 30) && gm_sample_take(1 << 30, &sample));
    atomic_store(&session.sample_log2, 20);
    cr_assert(taken(1 << 30, &sample));
    cr_expect_eq(sample.log2, 10, "the distance was drawn before");
    cr_assert(taken(1 << 30, &sample));
    cr_expect_eq(sample.log2, 20);
}

static const void *address(uint64_t i)
{
    return (const void *)(uintptr_t)(0x7f0000000000ull + i * 2654435761u % (1u << 26) * 16); /* NOLINT */
}

Test(sample, the_set_answers_exactly_while_it_has_room)
{
    enum { N = 20000 };
    for (uint64_t i = 0; i < N; i++)
        gm_sample_set_add(address(i));
    uint64_t others = 0;
    for (uint64_t i = N; i < 2 * (uint64_t)N; i++)
        others += gm_sample_set_remove(address(i));
    cr_expect_eq(others, 0);
    gm_process.sampling = 1;
    for (uint64_t i = 0; i < N; i++) {
        cr_assert(!gm_sample_passes_free(address(i)));
        cr_assert(gm_sample_set_remove(address(i)), "%lu", i);
    }
    for (unsigned i = 0; i < GM_SAMPLE_PAGES; i++)
        cr_assert_eq(atomic_load(&gm_sample_pages[i]), 0);
}

Test(sample, a_full_set_forgets_nothing)
{
    enum { N = 400000 };
    for (uint64_t i = 0; i < N; i++)
        gm_sample_set_add(address(i));
    for (uint64_t i = 0; i < N; i++)
        cr_assert(gm_sample_set_remove(address(i)), "%lu", i);
}
