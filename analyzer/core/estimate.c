/* estimate.c - see estimate.h. */
#include "analyzer/core/estimate.h"

#include <math.h>

double gm_estimate_error(double variance)
{
    return variance > 0 ? sqrt(variance) : 0;
}

double gm_estimate_bytes_variance_bound(const struct gm_run *run, uint64_t bytes)
{
    return (double)run->sample_max_bytes * (double)bytes;
}

enum gm_estimate_side gm_estimate_compare(uint64_t estimate, double variance, uint64_t limit)
{
    double margin = 2 * gm_estimate_error(variance);
    if ((double)estimate - margin > (double)limit)
        return GM_ESTIMATE_ABOVE;
    if (variance <= 0 ? estimate <= limit : (double)estimate + margin <= (double)limit)
        return GM_ESTIMATE_BELOW;
    return GM_ESTIMATE_UNDECIDED;
}

double gm_site_order_variance(
    const struct gm_run *run, const struct gm_site *site, enum gm_site_order order)
{
    switch (order) {
    case GM_SITE_BY_live:
    case GM_SITE_BY_growth:
    case GM_SITE_BY_age:
    case GM_SITE_BY_id:
        return site->live_bytes_var;
    case GM_SITE_BY_blocks:
        return site->live_blocks_var;
    case GM_SITE_BY_allocs:
    case GM_SITE_BY_rate:
    case GM_SITE_BY_promoted:
        return site->allocs_var;
    case GM_SITE_BY_bytes:
        return site->alloc_bytes_var;
    case GM_SITE_BY_peak:
        return gm_estimate_bytes_variance_bound(run, site->run_peak_bytes);
    case GM_SITE_ORDER_COUNT:
        break;
    }
    return -1;
}
