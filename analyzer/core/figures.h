/* figures.h - numbers as people read them. Thread-safe; nothing allocates. */
#ifndef GM_ANALYZER_CORE_FIGURES_H
#define GM_ANALYZER_CORE_FIGURES_H

#include <stdint.h>

#define GM_FIGURE_BYTES \
    32 /* room for any figure below; each function returns its first argument                      \
        */

/* "812 B", "4.0 kB", "1.2 GB": decimal units, so that they agree with the exact counts next to
 * them. */
char *gm_figure_bytes(char out[static GM_FIGURE_BYTES], uint64_t bytes);
/* Powers of two as such: "64 KiB", "1 MiB"; other values like gm_figure_bytes. */
char *gm_figure_binary(char out[static GM_FIGURE_BYTES], uint64_t bytes);
/* Any count in at most 5 columns for narrow tables: "812", "4.0k", "46.6M". */
char *gm_figure_short(char out[static GM_FIGURE_BYTES], uint64_t count);
/* "1,234,567" */
char *gm_figure_count(char out[static GM_FIGURE_BYTES], uint64_t count);
/* Signed change of bytes: "+1.2 MB", "-812 B", "0". */
char *gm_figure_change(char out[static GM_FIGURE_BYTES], double bytes);
/* "0 s", "812 ns", "1.53 ms", "12.4 s", "17m42s", "3h05m", "2d04h" */
char *gm_figure_time(char out[static GM_FIGURE_BYTES], int64_t time_ns);
/* "3.1%", "<0.1%", "-" when `whole` is 0 */
char *gm_figure_percent(char out[static GM_FIGURE_BYTES], double part, double whole);

/* "s", or "" for one. */
const char *gm_figure_plural(uint64_t count);

#endif
