/* closing.h - what geomem-record says when it has finished a recording. */
#ifndef GM_COLLECTOR_CLOSING_H
#define GM_COLLECTOR_CLOSING_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/options.h"
#include "collector/recorder.h"

struct gm_closing {
    const struct gm_record_options *options;
    const char *file, *program; /* file: as shown */
    struct gm_recorder_figures figures;
    char message[2048]; /* of the store; "": nothing went wrong */
    bool failed;        /* the store stopped writing before the end */
    bool out_of_memory; /* the recorder did */
    bool names_left;    /* the user did not wait for all names */
    bool program_runs;
    uint64_t cpu_ns, rss_bytes; /* the recorder itself */
};

/* Two lines, and one for each thing the user must know of; quiet leaves the latter only. */
void gm_closing_say(const struct gm_closing *closing);

#endif
