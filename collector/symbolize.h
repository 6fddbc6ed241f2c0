/* symbolize.h - geomem-record --symbolize: names for the frames of a finished recording. */
#ifndef GM_COLLECTOR_SYMBOLIZE_H
#define GM_COLLECTOR_SYMBOLIZE_H

#include "collector/options.h"

/* Resolves what has no name, or none from debug information, in options->subject. Prints one line on standard
 * output, or the failure with gm_say. Returns the exit status: 0, or 3 where the file cannot be worked on. */
int gm_symbolize(const struct gm_record_options *options);

#endif
