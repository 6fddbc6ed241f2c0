/* budget.h - what recording costs a sampled program, and which interval keeps it within a share of its CPU time.
 *
 * What is known of a process image: its CPU time (the kernel's), the time its hooks spent on sampled blocks and their
 * frees (each is timed in the target), and, estimated, how often a hook was entered at all. An entry that ends at the
 * first question costs GM_BUDGET_HOOK_NS. The first part of the cost goes down as the interval goes up, the second
 * stays: a budget below it cannot be kept, and samples then get a tenth of it.
 *
 * Stands beside drain and roll-up; the recorder writes the decision into the session.
 */
#ifndef GM_COLLECTOR_BUDGET_H
#define GM_COLLECTOR_BUDGET_H

#include <stdint.h>

#define GM_BUDGET_HOOK_NS 0.7  /* measured, bench/sampling --hook */
#define GM_BUDGET_LOG2_MIN 12u /* intervals that --budget chooses from: 4 KiB .. 64 MiB */
#define GM_BUDGET_LOG2_MAX 26u
#define GM_BUDGET_WINDOW_NS 50000000u /* of CPU time between two decisions; arbitrary */

/* Sums since the image began. */
struct gm_budget_reading {
    uint64_t cpu_ns, sampled_ns, hooks;
};

/* Share of the CPU time between two readings that recording took; < 0: no CPU time passed. */
double gm_budget_share(const struct gm_budget_reading *from, const struct gm_budget_reading *to);

/* The interval from now on, as log2: up at once, as far as the share asks for; down by half where twice the cost
 * of samples would still leave a fifth of the budget. `log2` where too little has happened since *from; else *from
 * becomes *to. */
uint32_t gm_budget_decide(struct gm_budget_reading *from, const struct gm_budget_reading *to,
    double budget, uint32_t log2);

#endif
