/* estimate.h - how good the figures of a sampled recording are (docs/design/sampling.md). */
#ifndef GM_ANALYZER_CORE_ESTIMATE_H
#define GM_ANALYZER_CORE_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/core/run.h"
#include "analyzer/core/sites.h"

#define GM_ESTIMATE_FEW 10 /* fewer samples are too few for an interval; a rule of thumb */

/* Blocks and bytes are estimates. */
static inline bool gm_run_is_estimated(const struct gm_run *run)
{
    return run->sample_bytes != 0;
}

/* Square root of a variance; 0 where a damaged file has a negative one. */
double gm_estimate_error(double variance);

/* The variance of estimated bytes is at most this, where the file has none: the interval times the bytes. */
double gm_estimate_bytes_variance_bound(const struct gm_run *run, uint64_t bytes);

/* An estimate against a limit, within two standard errors. */
enum gm_estimate_side { GM_ESTIMATE_BELOW, GM_ESTIMATE_UNDECIDED, GM_ESTIMATE_ABOVE };
enum gm_estimate_side gm_estimate_compare(uint64_t estimate, double variance, uint64_t limit);

/* Variance of the figure that sites are ordered by; < 0 where it is not one of a site's estimates. */
double gm_site_order_variance(
    const struct gm_run *run, const struct gm_site *site, enum gm_site_order order);

#endif
