/* budget.c - see budget.h. */
#include "collector/budget.h"

/* Where calls alone cost more than the budget, next to no samples would save next to nothing. */
#define ROOM_MIN 0.1
#define LOG2_STEP_MAX 4u /* a burst of new stacks must not blind the recording; arbitrary */

double gm_budget_share(const struct gm_budget_reading *from, const struct gm_budget_reading *to)
{
    double cpu = (double)(to->cpu_ns - from->cpu_ns);
    double own = (double)(to->sampled_ns - from->sampled_ns) +
                 (double)(to->hooks - from->hooks) * GM_BUDGET_HOOK_NS;
    if (to->cpu_ns <= from->cpu_ns)
        return -1;
    return own < cpu ? own / cpu : 1;
}

uint32_t gm_budget_decide(struct gm_budget_reading *from, const struct gm_budget_reading *to,
    double budget, uint32_t log2)
{
    double cpu = (double)(to->cpu_ns - from->cpu_ns);
    if (to->cpu_ns < from->cpu_ns + GM_BUDGET_WINDOW_NS)
        return log2;
    double samples = (double)(to->sampled_ns - from->sampled_ns) / cpu;
    double hooks = (double)(to->hooks - from->hooks) * GM_BUDGET_HOOK_NS / cpu;
    double room = budget - hooks > budget * ROOM_MIN ? budget - hooks : budget * ROOM_MIN;
    uint32_t up = 0;
    *from = *to;
    for (double share = samples; share > room && up < LOG2_STEP_MAX; share /= 2)
        up++;
    if (log2 + up > GM_BUDGET_LOG2_MAX)
        return GM_BUDGET_LOG2_MAX;
    if (up == 0 && samples < 0.4 * room && log2 > GM_BUDGET_LOG2_MIN)
        return log2 - 1;
    return log2 + up;
}
