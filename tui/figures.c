/* figures.c - see figures.h. */
#include "tui/figures.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000

static const char units[] = "kMGTPE";

/* Picks the unit so that the rounded figure stays below 1000. */
static double count_scale(double count, int *ret_unit)
{
    int unit = -1;
    while (count >= 999.5 && unit < (int)sizeof units - 2) {
        count /= 1000;
        unit++;
    }
    *ret_unit = unit;
    return count;
}

char *gm_short_count(char out[static GM_SHORT_BYTES], double count)
{
    int unit;
    count = count_scale(count > 0 ? count : 0, &unit);
    if (unit < 0)
        snprintf(out, GM_SHORT_BYTES, "%.0f", count);
    else
        snprintf(out, GM_SHORT_BYTES, count < 99.95 ? "%.1f%c" : "%.0f%c", count, units[unit]);
    return out;
}

char *gm_short_change(char out[static GM_SHORT_BYTES], double change)
{
    int unit;
    double size = count_scale(fabs(change), &unit);
    char sign = change < 0 ? '-' : '+';
    if (unit < 0)
        snprintf(out, GM_SHORT_BYTES, size < 0.5 ? "0" : "%c%.0f", sign, size);
    else
        snprintf(
            out, GM_SHORT_BYTES, size < 9.995 ? "%c%.2f%c" : "%c%.1f%c", sign, size, units[unit]);
    return out;
}

char *gm_short_rate(char out[static GM_SHORT_BYTES], double per_second)
{
    if (per_second <= 0)
        return gm_short_count(out, 0);
    if (per_second >= 9.95)
        return gm_short_count(out, per_second);
    snprintf(out, GM_SHORT_BYTES, per_second < 0.05 ? "<0.1" : "%.1f", per_second);
    return out;
}

char *gm_short_age(char out[static GM_SHORT_BYTES], int64_t time_ns)
{
    int64_t s = time_ns / NS_PER_S;
    if (time_ns < 0)
        snprintf(out, GM_SHORT_BYTES, "-");
    else if (time_ns < NS_PER_MS)
        snprintf(out, GM_SHORT_BYTES, "<1ms");
    else if (s < 1)
        snprintf(out, GM_SHORT_BYTES, "%" PRId64 "ms", time_ns / NS_PER_MS);
    else if (s < 60)
        snprintf(out, GM_SHORT_BYTES, "%" PRId64 ".%" PRId64 "s", s,
            time_ns % NS_PER_S / (100 * NS_PER_MS));
    else if (s < 3600)
        snprintf(out, GM_SHORT_BYTES, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, GM_SHORT_BYTES, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, GM_SHORT_BYTES, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return out;
}

char *gm_short_percent(char out[static GM_SHORT_BYTES], double share)
{
    if (!(share >= 0))
        snprintf(out, GM_SHORT_BYTES, "-");
    else
        snprintf(out, GM_SHORT_BYTES, share >= 0.9995 ? "%.0f%%" : "%.1f%%", share * 100);
    return out;
}

char *gm_short_clock(char out[static GM_SHORT_BYTES], int64_t time_ns)
{
    int64_t s = time_ns > 0 ? time_ns / NS_PER_S : 0;
    snprintf(out, GM_SHORT_BYTES, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60,
        s % 60);
    return out;
}

const char *gm_short_about(bool estimated)
{
    return estimated ? "~" : "";
}

#define MARGIN_FEW 10 /* as GM_ESTIMATE_FEW in analyzer/core/estimate.h */

char *gm_short_margin(char out[static GM_SHORT_BYTES], bool estimated, double estimate,
    double variance, uint64_t samples)
{
    out[0] = 0;
    if (!estimated || estimate <= 0)
        return out;
    if (samples < MARGIN_FEW)
        snprintf(out, GM_SHORT_BYTES, " n=%u", (unsigned)samples);
    else
        snprintf(
            out, GM_SHORT_BYTES, " +-%.0f%%", variance > 0 ? 200 * sqrt(variance) / estimate : 0);
    return out;
}

char *gm_short_time(char out[static GM_SHORT_BYTES], uint64_t time_ns)
{
    double ns = (double)time_ns;
    if (time_ns < 1000)
        snprintf(out, GM_SHORT_BYTES, "%.0fns", ns);
    else if (time_ns < 1000000)
        snprintf(out, GM_SHORT_BYTES, ns < 99950 ? "%.1fus" : "%.0fus", ns / 1e3);
    else if (time_ns < 1000000000)
        snprintf(out, GM_SHORT_BYTES, ns < 9995000 ? "%.2fms" : "%.0fms", ns / 1e6);
    else
        gm_short_age(out, time_ns > INT64_MAX ? INT64_MAX : (int64_t)time_ns);
    return out;
}
