/* options.h - the command line of geomem-report: one table of commands, one of options.
 *
 * The tables are all there is to know about them: parsing, --help, and the test that compares the
 * man page read them.
 */
#ifndef GM_ANALYZER_REPORT_OPTIONS_H
#define GM_ANALYZER_REPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/core/sites.h"
#include "analyzer/report/output.h"

#define REPORT_COMMANDS(X) \
    X(summary, "FILE", "what the program did with memory, in one page") \
    X(leaks, "FILE", "what is still live at the end, by site, with stacks") \
    X(sites, "FILE", "table of call sites (--sort)") \
    X(site, "N FILE", "everything about one site") \
    X(peak, "FILE", "what was live when most was live, exactly") \
    X(generations, "FILE", "how old blocks get: born, died, promoted, lifetimes") \
    X(gc, "FILE", "what a collector did: pauses, promotion, and what was in vain") \
    X(caches, "FILE", "what caches did: hits, misses, and what other sizes would do") \
    X(timeline, "FILE", "live memory over time") \
    X(tree, "FILE", "call tree by weight (--bottom-up, --weight)") \
    X(flame, "FILE", "folded stacks for flame graphs (--weight)") \
    X(events, "FILE", "every event, where the recording holds them (--events=all)") \
    X(sql, "FILE QUERY", "rows of a read-only SQL query") \
    X(check, "FILE", "whether the recording is whole, and what was lost") \
    X(symbolize, "FILE", "look up the names that are still missing")

enum report_command {
#define GM_X(name, args, text) REPORT_##name,
    REPORT_COMMANDS(GM_X)
#undef GM_X
        REPORT_COMMAND_COUNT
};

enum report_weight { WEIGHT_LIVE, WEIGHT_PEAK, WEIGHT_ALLOCATED, WEIGHT_ALLOCATIONS, WEIGHT_COUNT };
extern const char *const report_weight_names[WEIGHT_COUNT];

/* A moment of the recording as it was typed: a time from its start, or a share of its duration. */
struct report_moment {
    bool set, percent;
    double value; /* seconds, or 0..100 */
};

#define REPORT_DEBUG_DIRS 8 /* arbitrary */

struct report_options {
    enum report_command command;
    const char *file, *query;
    uint32_t site_id;
    bool json, csv, help, version, all, bottom_up, ascii, no_pager, force;
    enum out_color color;
    struct report_moment from, to;
    const char *process;                    /* as typed; NULL: all, merged */
    const char *module, *function, *source; /* filters */
    uint64_t address;                       /* 0: any */
    const char *kind;                       /* of events; NULL: all */
    uint64_t min_bytes;
    uint32_t top;       /* 0: the command's own default */
    double min_percent; /* < 0: the command's own default */
    enum gm_site_order sort;
    bool sort_set;
    enum report_weight weight;
    bool weight_set;
    const char *output; /* NULL: standard output */
    enum { FAIL_NEVER, FAIL_LIVE_BYTES, FAIL_LIVE_BLOCKS } fail_on;
    uint64_t fail_above;
    const char *sysroot, *debug_dirs[REPORT_DEBUG_DIRS];
    size_t debug_dir_count;
};

/* Reads the command line. Returns 0, or -EINVAL with one line in message that says what to do. */
int report_options_parse(
    int argc, char **argv, struct report_options *ret_options, char *message, size_t message_bytes);

const char *report_command_name(enum report_command command);
/* Help for one command, or for all with REPORT_COMMAND_COUNT. */
void report_options_help(FILE *file, enum report_command command);

#endif
