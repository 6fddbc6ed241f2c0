/* options.h - the command line of geomem-top. */
#ifndef GM_TUI_OPTIONS_H
#define GM_TUI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/chart.h"
#include "tui/columns.h"

#define GM_EXIT_USAGE 2      /* a wrong command line, or no terminal */
#define GM_EXIT_UNREADABLE 3 /* no recording, or a damaged, foreign or newer one */
#define GM_EXIT_NO_START 4   /* the program could not be started */

enum gm_when {
    GM_WHEN_AUTO,
    GM_WHEN_ALWAYS,
    GM_WHEN_NEVER,
};

struct gm_options {
    const char *target; /* FILE or PID; NULL with a program */
    char **program;     /* after "--"; NULL without */
    double delay_s;
    enum gm_column sort;
    bool invert, batch, json, ascii, replay, fixed_clock;
    enum gm_when colour;
    bool chart_given;
    enum gm_chart_symbols chart;
    uint64_t count; /* refreshes; 0: no end */
    size_t rows;    /* of a batch; SIZE_MAX: all */
    int64_t at_ns;  /* GM_LIVE_END, or a moment */
    int64_t window_ns;
    const char *filter; /* "" for none */
};

/* Reads the command line. Returns -1 to go on, or the status to exit with after --help, --version (0) or a
 * wrong option, about which it has printed one line (2). */
int gm_options_parse(struct gm_options *options, int argc, char **argv);

/* "90", "1.5", "5m", "1h", "00:12:30" in nanoseconds; false for anything else. */
bool gm_time_parse(const char *text, int64_t *ret_ns);

#endif
