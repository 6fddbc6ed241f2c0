/* report.h - one run of geomem-report: what every command is given, and what it gives back. */
#ifndef GM_ANALYZER_REPORT_REPORT_H
#define GM_ANALYZER_REPORT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/core/recording.h"
#include "analyzer/core/run.h"
#include "analyzer/core/timeline.h"
#include "analyzer/report/json.h"
#include "analyzer/report/options.h"
#include "analyzer/report/output.h"

enum report_exit {
    REPORT_DONE = 0,
    REPORT_FINDINGS = 1,
    REPORT_USAGE = 2,
    REPORT_UNREADABLE = 3,
};

struct report {
    const struct report_options *options;
    struct gm_recording *recording; /* begun: all figures are of one commit */
    struct gm_run run;
    struct gm_processes processes;
    struct gm_process_set set; /* processes asked for; none: all */
    bool ranged;               /* --from or --to given */
    int64_t from_ns, to_ns;    /* 0..run.duration_ns without a range */
    struct out out;
    struct json json;
};

/* Each command: an enum report_exit, or a negative errno with the recording's message set. */
#define GM_X(name, arguments, text) int report_##name(struct report *report);
REPORT_COMMANDS(GM_X)
#undef GM_X

/* Prints one line to standard error, "geomem-report: ...", and returns `exit`. */
int report_fail(enum report_exit exit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
