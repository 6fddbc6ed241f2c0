/* What a sampled block stands for, against the formulas, and the estimators against a population. */
#include <criterion/criterion.h>
#include <math.h>

#include "collector/budget.h"
#include "collector/weight.h"

static uint64_t state = 1;
static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 11) + 0.5) * 0x1p-53;
}

Test(weight, a_block_of_an_exact_recording_stands_for_itself)
{
    struct gm_weight w = gm_weight_of(123, 0, 99);
    cr_expect(w.blocks == 1 && w.bytes == 123);
    cr_expect(w.blocks_variance == 0 && w.bytes_variance == 0);
}

Test(weight, bytes_are_those_of_the_formula_and_blocks_are_so_on_average)
{
    static const uint64_t sizes[] = {1, 16, 48, 1000, 65536, 524288, 3000000, 1ull << 40};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        double s = (double)sizes[k], p = -expm1(-s / 524288), blocks = 0;
        enum { N = 100000 };
        for (uint64_t i = 0; i < N; i++) {
            struct gm_weight w = gm_weight_of(sizes[k], 19, i * 4096);
            cr_assert_lt(fabs((double)w.bytes - s / p), 0.51);
            cr_assert(w.blocks == (uint64_t)(1 / p) || w.blocks == (uint64_t)(1 / p) + 1);
            blocks += (double)w.blocks;
        }
        /* the standard deviation of one rounding is at most a half */
        cr_expect_lt(fabs(blocks / N - 1 / p), 4 * 0.5 / sqrt(N), "%lu bytes: %g, not %g", sizes[k],
            blocks / N, 1 / p);
    }
    cr_expect_eq(gm_weight_of(0, 19, 5).bytes, 0);
    cr_expect_eq(gm_weight_of(0, 19, 5).blocks_variance, gm_weight_of(1, 19, 5).blocks_variance);
}

Test(weight, the_same_block_always_weighs_the_same)
{
    for (uint64_t i = 0; i < 1000; i++) {
        struct gm_weight a = gm_weight_of(i * 777, 16, i << 20),
                         b = gm_weight_of(i * 777, 16, i << 20);
        cr_assert(a.blocks == b.blocks && a.bytes == b.bytes);
        cr_assert(a.blocks_variance == b.blocks_variance && a.bytes_variance == b.bytes_variance);
    }
}

/* A population of mixed sizes is sampled again and again. The generator is fixed, so this passes or fails for good. */
Test(weight, estimates_are_unbiased_and_so_are_their_variances)
{
    enum { SIZES = 4, EACH = 200, TRIALS = 4000 };
    static const uint64_t sizes[SIZES] = {100, 3000, 60000, 150000};
    double true_bytes = 0, true_blocks = SIZES * EACH;
    double sum[2] = {0}, squares[2] = {0}, variance[2] = {0}, within[2] = {0};
    for (int k = 0; k < SIZES; k++)
        true_bytes += EACH * (double)sizes[k];
    for (int t = 0; t < TRIALS; t++) {
        double got[2] = {0}, var[2] = {0}, want[2] = {true_blocks, true_bytes};
        for (int k = 0; k < SIZES; k++)
            for (int i = 0; i < EACH; i++) {
                if (uniform() >= -expm1(-(double)sizes[k] / 65536))
                    continue;
                struct gm_weight w = gm_weight_of(sizes[k], 16, state);
                got[0] += (double)w.blocks;
                got[1] += (double)w.bytes;
                var[0] += w.blocks_variance;
                var[1] += w.bytes_variance;
            }
        for (int m = 0; m < 2; m++) {
            sum[m] += got[m];
            squares[m] += (got[m] - want[m]) * (got[m] - want[m]);
            variance[m] += var[m];
            within[m] += fabs(got[m] - want[m]) <= 2 * sqrt(var[m]);
        }
    }
    double want[2] = {true_blocks, true_bytes};
    for (int m = 0; m < 2; m++) {
        double se_of_mean = sqrt(squares[m] / TRIALS / TRIALS);
        cr_expect_lt(fabs(sum[m] / TRIALS - want[m]), 4 * se_of_mean, "mean %d", m);
        cr_expect_lt(fabs(variance[m] / squares[m] - 1), 0.1, "variance %d: %g", m,
            variance[m] / squares[m]);
        cr_expect_gt(
            within[1] / TRIALS, 0.93, "bytes within two standard errors: %g", within[1] / TRIALS);
    }
}

Test(budget, the_interval_goes_up_at_once_and_down_by_halves)
{
    struct gm_budget_reading from = {0}, to = {.cpu_ns = 10000000, .sampled_ns = 9000000};
    cr_expect_eq(gm_budget_decide(&from, &to, 0.02, 19), 19, "10 ms are too little to go by");
    cr_expect_eq(from.cpu_ns, 0);
    to = (struct gm_budget_reading){.cpu_ns = 100000000, .sampled_ns = 10000000, .hooks = 500000};
    cr_expect_eq(gm_budget_decide(&from, &to, 0.02, 19), 22, "10 %% of samples, 0.5 %% of hooks");
    cr_expect_eq(from.cpu_ns, 100000000);
    to.cpu_ns += 100000000;
    to.sampled_ns += 500000;
    cr_expect_eq(gm_budget_decide(&from, &to, 0.02, 22), 21);
    to.cpu_ns += 100000000;
    to.sampled_ns += 1000000;
    cr_expect_eq(gm_budget_decide(&from, &to, 0.02, 21), 21, "half of the budget is near enough");
    to.cpu_ns += 100000000;
    to.hooks += 10000000;
    to.sampled_ns += 1000000;
    cr_expect_eq(
        gm_budget_decide(&from, &to, 0.02, 21), 24, "hooks alone are above it: 0.2 %% for samples");
    to.cpu_ns += 100000000;
    to.sampled_ns += 50000000;
    cr_expect_eq(gm_budget_decide(&from, &to, 0.02, 25), 26);
    to.cpu_ns += 100000000;
    cr_expect_eq(gm_budget_decide(&from, &to, 0.02, 12), 12);
}

Test(budget, the_share_is_of_what_the_kernel_counted)
{
    struct gm_budget_reading none = {0}, some = {.cpu_ns = 1000, .sampled_ns = 10, .hooks = 10};
    cr_expect_lt(gm_budget_share(&none, &none), 0);
    cr_expect_float_eq(gm_budget_share(&none, &some), (10 + 10 * GM_BUDGET_HOOK_NS) / 1000, 1e-9);
}
