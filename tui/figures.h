/* figures.h - numbers in as few columns as a table has. Decimal units (k = 1000), as everywhere in geomem.
 *
 * Each function writes into `out` and returns it. Thread-safe, no allocation.
 */
#ifndef GM_TUI_FIGURES_H
#define GM_TUI_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#define GM_SHORT_BYTES 24

/* "0", "812", "4.0k", "46.6M": at most 5 columns up to 999 T. */
char *gm_short_count(char out[static GM_SHORT_BYTES], double count);
/* "+1.20M", "-812", "0": with a sign and one more digit. */
char *gm_short_change(char out[static GM_SHORT_BYTES], double change);
/* Events per second: "0", "0.2", "38", "41.2k". */
char *gm_short_rate(char out[static GM_SHORT_BYTES], double per_second);
/* "<1ms", "12ms", "4.2s", "7m12s", "3h05m", "2d04h"; "-" below 0. */
char *gm_short_age(char out[static GM_SHORT_BYTES], int64_t time_ns);
/* "812ns", "9.5us", "1.20ms", "4.2s": for what is mostly shorter than that. */
char *gm_short_time(char out[static GM_SHORT_BYTES], uint64_t time_ns);
/* "98.8%", "100%"; "-" below 0. `share` is 0..1. */
char *gm_short_percent(char out[static GM_SHORT_BYTES], double share);
/* "~", or "" where every event was recorded. */
const char *gm_short_about(bool estimated);
/* " +-12%": two standard errors of an estimate; "" where every event was recorded, " n=3" where there are too few
 * samples to say. */
char *gm_short_margin(char out[static GM_SHORT_BYTES], bool estimated, double estimate,
    double variance, uint64_t samples);
/* "00:17:42", hours may have more digits. */
char *gm_short_clock(char out[static GM_SHORT_BYTES], int64_t time_ns);

#endif
