/* options.h - the command line of geomem-record: one table from which parsing, --help and the
 * completions come.
 */
#ifndef GM_COLLECTOR_OPTIONS_H
#define GM_COLLECTOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/wire.h"

enum gm_record_mode {
    GM_MODE_RECORD,
    GM_MODE_SYMBOLIZE, /* resolve names in a finished recording */
    GM_MODE_MIGRATE,   /* write a copy with the current schema */
    GM_MODE_HELP,
    GM_MODE_VERSION,
};

#define GM_MAX_DEBUG_DIRS 32

struct gm_record_options {
    enum gm_record_mode mode;
    const char *output; /* NULL: PROGRAM.PID.geomem */
    bool force, follow, verify, quiet, verbose, drop_on_full, symbols;
    bool events_all; /* keep every event by itself */
    enum gm_unwinder unwinder;
    uint32_t max_depth;    /* 0: the recorder's default */
    uint64_t ring_bytes;   /* 0: the recorder's default */
    uint32_t rings;        /* 0: the recorder's default */
    uint64_t sample_bytes; /* 0: every event */
    double sample_budget;  /* share of the program's CPU time; 0: none */
    bool has_sample_seed;
    uint64_t sample_seed;
    const char *subject; /* file of --symbolize and --migrate */
    const char *sysroot;
    const char *debug_dirs[GM_MAX_DEBUG_DIRS];
    size_t debug_dir_count;
    char **program; /* NULL-terminated, points into argv */
};

/* Parses argv. Returns 0, or -EINVAL with one line in message: what is wrong and what to do.
 * Options end at the first word that is none, or at "--". Strings point into argv. */
int gm_options_parse(int argc, char **argv, struct gm_record_options *ret_options, char *message,
    size_t message_bytes);

/* A number with an optional K, M or G (powers of 1024), in bytes. Returns 0 or -EINVAL. */
int gm_options_size(const char *text, uint64_t *ret_bytes);

/* The text of --help, ready to print. */
void gm_options_help(char *out, size_t room);

/* The table, for completions and the manual page: walk i from 0 until NULL. */
struct gm_option_info {
    const char *name, *argument, *text; /* argument NULL: takes none */
    char letter;                        /* 0: none */
};
const struct gm_option_info *gm_options_info(size_t i);

#endif
