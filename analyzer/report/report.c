/* report.c - geomem-report: the command that reports what a recording holds.
 *
 *   command line -> options -> open the recording, hold one state of it -> one command -> text or
 * JSON
 *
 * Standard output carries the report and nothing else; messages go to standard error, one line
 * each.
 */
#include "analyzer/report/report.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>
#include <zstd.h>

#include "analyzer/core/names.h"

int report_fail(enum report_exit exit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("geomem-report: ", stderr);
    vfprintf(stderr, format, args);
    putc('\n', stderr);
    va_end(args);
    return exit;
}

static int64_t moment_ns(const struct report_moment *moment, int64_t duration_ns, int64_t unset_ns)
{
    if (!moment->set)
        return unset_ns;
    double ns = moment->percent ? (double)duration_ns * moment->value / 100 : moment->value * 1e9;
    return ns < (double)duration_ns ? (int64_t)ns : duration_ns;
}

static int report_set_range(struct report *r)
{
    const struct report_options *o = r->options;
    r->ranged = o->from.set || o->to.set;
    r->from_ns = moment_ns(&o->from, r->run.duration_ns, 0);
    r->to_ns = moment_ns(&o->to, r->run.duration_ns, r->run.duration_ns);
    if (r->ranged && r->from_ns >= r->to_ns)
        return report_fail(REPORT_USAGE, "--from and --to leave nothing of the recording's %.3f s",
            (double)r->run.duration_ns / 1e9);
    return REPORT_DONE;
}

/* --process: "all", "#ID" for a process of the recording, else a pid, else an id without its "#".
 */
static int report_set_processes(struct report *r)
{
    const char *typed = r->options->process;
    char *end = NULL;
    if (!typed || strcmp(typed, "all") == 0)
        return REPORT_DONE;
    bool by_id = *typed == '#';
    long long wanted = strtoll(typed + by_id, &end, 10);
    r->set.ids = calloc(r->processes.n + 1, sizeof *r->set.ids);
    if (!r->set.ids)
        return report_fail(REPORT_UNREADABLE, "not enough memory");
    for (size_t i = 0; !by_id && i < r->processes.n; i++)
        if (r->processes.v[i].pid == wanted)
            r->set.ids[r->set.n++] = r->processes.v[i].process_id;
    if (r->set.n == 0 && wanted > 0 && wanted <= UINT32_MAX &&
        gm_process_find(&r->processes, (uint32_t)wanted))
        r->set.ids[r->set.n++] = (uint32_t)wanted;
    if (!typed[by_id] || *end || r->set.n == 0) {
        char *clean = gm_name_copy(typed, strlen(typed));
        report_fail(REPORT_USAGE,
            "--process: no process '%s' in the recording; summary --all lists them",
            clean ? clean : "");
        free(clean);
        return REPORT_USAGE;
    }
    return REPORT_DONE;
}

static int report_load(struct report *r)
{
    int e = gm_recording_begin(r->recording);
    if (e == 0)
        e = gm_run_load(r->recording, &r->run);
    if (e == 0)
        e = gm_processes_load(r->recording, &r->processes);
    if (e < 0)
        return e;
    e = report_set_range(r);
    return e == REPORT_DONE ? report_set_processes(r) : e;
}

static int report_open(struct report *r)
{
    char message[1024] = "";
    int e = gm_recording_open(r->options->file, &r->recording, message, sizeof message);
    if (e < 0)
        return report_fail(REPORT_UNREADABLE, "%s", message);
    e = report_load(r);
    return e < 0 ? report_fail(REPORT_UNREADABLE, "%s", gm_recording_message(r->recording)) : e;
}

static int (*const report_commands[REPORT_COMMAND_COUNT])(struct report *) = {
#define GM_X(name, arguments, text) report_##name,
    REPORT_COMMANDS(GM_X)
#undef GM_X
};

static void report_done(struct report *r)
{
    gm_processes_done(&r->processes);
    gm_run_done(&r->run);
    free(r->set.ids);
    if (r->recording)
        gm_recording_end(r->recording);
    gm_recording_close(r->recording);
}

static int report_run(const struct report_options *options)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return report_fail(REPORT_UNREADABLE, "not enough memory");
    r->options = options;
    int exit = report_open(r);
    if (exit == REPORT_DONE) {
        bool text = !options->json && !options->csv && options->command != REPORT_flame;
        out_open(&r->out, options->color, options->ascii, text && !options->no_pager);
        json_begin(&r->json, r->out.file);
        exit = report_commands[options->command](r);
        int e = out_close(&r->out);
        if (exit < 0)
            exit = report_fail(REPORT_UNREADABLE, "%s", gm_recording_message(r->recording));
        if (e < 0 && exit != REPORT_UNREADABLE)
            exit = report_fail(REPORT_UNREADABLE, "cannot write the report: %s", strerror(-e));
    }
    report_done(r);
    free(r);
    return exit;
}

static void report_version(void)
{
    printf("geomem-report %s (SQLite %s, zstd %s, jansson %s)\n", GEOMEM_VERSION,
        sqlite3_libversion(), ZSTD_versionString(), jansson_version_str());
}

int main(int argc, char **argv)
{
    struct report_options options;
    char message[600];
    if (report_options_parse(argc, argv, &options, message, sizeof message) < 0)
        return report_fail(REPORT_USAGE, "%s", message);
    if (options.version)
        report_version();
    else if (options.help)
        report_options_help(stdout, options.command);
    else if (options.command == REPORT_symbolize)
        return report_symbolize(&(struct report){.options = &options});
    else
        return report_run(&options);
    return fflush(stdout) == 0 ? REPORT_DONE : REPORT_UNREADABLE;
}
