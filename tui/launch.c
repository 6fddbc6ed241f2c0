/* launch.c - see launch.h. */
#include "tui/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/core/names.h"
#include "analyzer/core/run.h"

#define OPEN_WAIT_MS 20
#define FINISH_TRIES 250 /* 5 s: longer than the recorder tries; arbitrary */
#define OPEN_TRIES 1500  /* 30 s: a loaded machine may be slow to start a program; arbitrary */

/* geomem-record stands beside this program; only where it does not is PATH searched. */
static void recorder_path(char *path, size_t bytes)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = NULL;
    if (n > 0) {
        self[n] = 0;
        slash = strrchr(self, '/');
    }
    if (slash &&
        (size_t)snprintf(path, bytes, "%.*s/geomem-record", (int)(slash - self), self) < bytes &&
        access(path, X_OK) == 0)
        return;
    snprintf(path, bytes, "geomem-record");
}

/* In the child; does not return. What goes wrong before execvp ends up in the output file as well. */
static void child_run(struct gm_launch *launch, char **program)
{
    char path[PATH_MAX];
    size_t n = 0;
    while (program[n])
        n++;
    char **argv = calloc(n + 5, sizeof *argv);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = open(launch->output, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (!argv || null < 0 || output < 0)
        _exit(126);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    setsid();
    recorder_path(path, sizeof path);
    argv[0] = path;
    argv[1] = (char[]){"-o"};
    argv[2] = launch->file;
    argv[3] = (char[]){"--"};
    memcpy(argv + 4, program, n * sizeof *argv);
    execvp(path, argv);
    dprintf(STDERR_FILENO, "geomem-top: cannot start %s: %s; install it beside geomem-top\n", path,
        strerror(errno));
    _exit(127);
}

static void launch_name(struct gm_launch *launch, const char *program, pid_t pid)
{
    const char *base = gm_name_base(program);
    snprintf(launch->file, sizeof launch->file, "%.200s.%d.geomem", base, (int)pid);
    snprintf(launch->output, sizeof launch->output, "%.200s.%d.out", base, (int)pid);
}

int gm_launch_start(struct gm_launch *launch, char **program, char *message, size_t message_bytes)
{
    *launch = (struct gm_launch){0};
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        snprintf(message, message_bytes, "cannot start a process: %s", strerror(error));
        return -error;
    }
    if (pid == 0) {
        launch_name(launch, program[0], getpid());
        child_run(launch, program);
    }
    launch->pid = pid;
    launch_name(launch, program[0], pid);
    return 0;
}

void gm_launch_poll(struct gm_launch *launch)
{
    if (launch->pid > 0 && !launch->ended &&
        waitpid(launch->pid, &launch->status, WNOHANG) == launch->pid)
        launch->ended = true;
}

void gm_launch_finish(struct gm_launch *launch)
{
    const struct timespec pause = {.tv_nsec = OPEN_WAIT_MS * 1000000};
    for (int i = 0; i < FINISH_TRIES && launch->pid > 0 && !launch->ended; i++) {
        gm_launch_poll(launch);
        if (!launch->ended)
            nanosleep(&pause, NULL);
    }
}

/* The last line of what the recorder wrote. */
static void output_tail(const char *path, char *line, size_t bytes)
{
    char text[2048];
    *line = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fseek(f, -(long)(sizeof text - 1), SEEK_END) < 0)
        rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    text[n] = 0;
    char *start = strrchr(text, '\n');
    snprintf(line, bytes, "%.400s", start ? start + 1 : text);
}

static int launch_failed(
    struct gm_launch *launch, const char *why, char *message, size_t message_bytes)
{
    char line[512];
    output_tail(launch->output, line, sizeof line);
    if (*line)
        snprintf(message, message_bytes, "%s", line);
    else
        snprintf(message, message_bytes, "the recorder ended without a recording (%s); see %s", why,
            launch->output);
    return -ECHILD;
}

/* The file is there before the first commit; only with that there is something to show. */
static bool recording_begun(struct gm_recording *recording, char *why, size_t why_bytes)
{
    struct gm_run run;
    int r = gm_recording_begin(recording);
    if (r == 0)
        r = gm_run_load(recording, &run);
    if (r == 0)
        gm_run_done(&run);
    gm_recording_end(recording);
    if (r < 0)
        snprintf(why, why_bytes, "%s", gm_recording_message(recording));
    return r == 0;
}

static bool launch_try(const struct gm_launch *launch, struct gm_recording **ret_recording,
    char *why, size_t why_bytes)
{
    struct gm_recording *recording;
    if (access(launch->file, F_OK) < 0 ||
        gm_recording_open(launch->file, &recording, why, why_bytes) < 0)
        return false;
    if (recording_begun(recording, why, why_bytes)) {
        *ret_recording = recording;
        return true;
    }
    gm_recording_close(recording);
    return false;
}

int gm_launch_open(struct gm_launch *launch, struct gm_recording **ret_recording, char *message,
    size_t message_bytes)
{
    const struct timespec pause = {.tv_nsec = OPEN_WAIT_MS * 1000000};
    char why[512] = "no file yet";
    for (int i = 0; i < OPEN_TRIES; i++) {
        gm_launch_poll(launch);
        bool ended = launch->ended; /* looked at first: a file may have come just before the end */
        if (launch_try(launch, ret_recording, why, sizeof why))
            return 0;
        if (ended)
            return launch_failed(launch, why, message, message_bytes);
        nanosleep(&pause, NULL);
    }
    snprintf(message, message_bytes,
        "the recorder did not begin to record within 30 s (%s); see %s", why, launch->output);
    return -ETIMEDOUT;
}
