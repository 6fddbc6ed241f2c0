/* report_symbolize.c - looks up names that are missing, by running geomem-record --symbolize.
 *
 * The recorder owns all writing and the reading of debug information; this command only finds it:
 * beside itself, or in PATH.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/report/report.h"

#define RECORDER "geomem-record"

/* Path of the recorder: in the folder of this program if it is there, else its bare name. */
static void recorder_find(char path[static PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof RECORDER - 1);
    char *slash = NULL;
    if (n > 0) {
        path[n] = 0;
        slash = strrchr(path, '/');
    }
    if (slash)
        strcpy(slash + 1, RECORDER);
    if (!slash || access(path, X_OK) != 0)
        strcpy(path, RECORDER);
}

int report_symbolize(struct report *report)
{
    const struct report_options *o = report->options;
    char recorder[PATH_MAX], symbolize[] = "--symbolize", sysroot[] = "--sysroot",
                             debug_dir[] = "--debug-dir";
    char *args[6 + 2 * REPORT_DEBUG_DIRS];
    size_t n = 0;
    recorder_find(recorder);
    args[n++] = recorder;
    args[n++] = symbolize;
    args[n++] = strdup(o->file);
    if (o->sysroot) {
        args[n++] = sysroot;
        args[n++] = strdup(o->sysroot);
    }
    for (size_t i = 0; i < o->debug_dir_count; i++) {
        args[n++] = debug_dir;
        args[n++] = strdup(o->debug_dirs[i]);
    }
    args[n] = NULL;
    execvp(recorder, args);
    return report_fail(REPORT_UNREADABLE,
        "%s: %s; it looks up the names and belongs beside geomem-report", recorder,
        strerror(errno));
}
