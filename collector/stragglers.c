/* stragglers.c - see stragglers.h. */
#include "collector/stragglers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/proc.h"
#include "collector/session.h"
#include "collector/timebase.h"
#include "schemas/wire.h"

#define LOOK_NS 50000000ll
#define START_PATIENCE_NS 1000000000ll /* a loader's work for a large program; arbitrary */
#define CHUNK 16384u

void gm_stragglers_init(struct gm_stragglers *s, pid_t recorder_pid, const char *socket_path)
{
    char name[GM_SESSION_NAME_ROOM];
    *s = (struct gm_stragglers){.socket_path = socket_path};
    gm_session_memfd_name(recorder_pid, name);
    snprintf(s->memfd_name, sizeof s->memfd_name, "/memfd:%s ", name);
}

/* True when a file of /proc/PID holds the text. Files may be long: they are read in pieces that overlap. */
static bool proc_file_holds(pid_t pid, const char *file, const char *text, size_t length)
{
    char path[64], buffer[CHUNK];
    size_t kept = 0;
    ssize_t n;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !found && (n = read(fd, buffer + kept, sizeof buffer - kept)) > 0) {
        size_t filled = kept + (size_t)n;
        found = memmem(buffer, filled, text, length) != NULL;
        kept = filled < length ? filled : length - 1;
        memmove(buffer, buffer + filled - kept, kept);
    }
    if (fd >= 0)
        close(fd);
    return found;
}

static bool is_forked(const struct gm_stragglers *s, pid_t pid)
{
    return proc_file_holds(pid, "maps", s->memfd_name, strlen(s->memfd_name));
}

static bool is_started(const struct gm_stragglers *s, pid_t pid)
{
    char entry[sizeof GM_ENV_SESSION + 128];
    int n = snprintf(entry, sizeof entry, "%s=%s", GM_ENV_SESSION, s->socket_path);
    return n > 0 && (size_t)n < sizeof entry &&
           proc_file_holds(pid, "environ", entry, (size_t)n + 1 /* its NUL, too */);
}

static bool is_straggler(struct gm_stragglers *s, pid_t pid, int64_t now)
{
    if (is_forked(s, pid))
        return true;
    if ((s->started_ns && now - s->started_ns > START_PATIENCE_NS) || !is_started(s, pid))
        return false;
    if (!s->started_ns)
        s->started_ns = now;
    return true;
}

/* The recorder's own children are its helpers, forked from it with all its mappings. */
static bool is_ours(pid_t pid)
{
    return pid == getpid() || gm_proc_parent(pid) == getpid();
}

static pid_t stragglers_find(struct gm_stragglers *s, int64_t now)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;
    while (proc && !found && (entry = readdir(proc))) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0 && is_straggler(s, (pid_t)pid, now) && !is_ours((pid_t)pid))
            found = (pid_t)pid;
    }
    if (proc)
        closedir(proc);
    return found;
}

bool gm_stragglers_any(struct gm_stragglers *s)
{
    int64_t now = gm_mono_ns();
    if (s->looked_ns && now - s->looked_ns < LOOK_NS)
        return s->found != 0;
    s->looked_ns = now;
    if (!s->found || !is_straggler(s, s->found, now))
        s->found = stragglers_find(s, now);
    return s->found != 0;
}
