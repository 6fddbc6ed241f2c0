/* record.h - one recording from the first check to the closing lines. */
#ifndef GM_COLLECTOR_RECORD_H
#define GM_COLLECTOR_RECORD_H

#include "collector/options.h"

/* Exit statuses of geomem-record's own. */
#define GM_EXIT_USAGE 2
#define GM_EXIT_FILE 3
#define GM_EXIT_START 4 /* nothing was started: the program or the recording cannot be had */

/* Records options->program. Says what is to be said; returns the exit status: the program's, 128 + n for a
 * signal, or one of the above. */
int gm_record(const struct gm_record_options *options);

#endif
