/* proc.c - see proc.h. */
#include "collector/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_BYTES_MAX 32768u

/* Reads up to room - 1 bytes and ends them with a NUL; 0 bytes where nothing could be read. */
static size_t proc_read(pid_t pid, const char *name, char *buffer, size_t room)
{
    char path[64];
    size_t n = 0;
    ssize_t got = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        while (n < room - 1 && (got = read(fd, buffer + n, room - 1 - n)) > 0)
            n += (size_t)got;
        close(fd);
    }
    buffer[n] = '\0';
    return n;
}

char *gm_proc_exe(pid_t pid)
{
    char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return strdup(target);
}

/* Appends one byte of a JSON string. At most 6 bytes. */
static size_t json_put(char *out, unsigned char c)
{
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c < 0x20 || c == 0x7f)
        return (size_t)snprintf(out, 7, "\\u%04x", c);
    out[0] = (char)c;
    return 1;
}

char *gm_proc_command(pid_t pid)
{
    char *raw = malloc(COMMAND_BYTES_MAX);
    char *json = malloc(COMMAND_BYTES_MAX * 6 + 8);
    char *fitting = NULL;
    if (raw && json) {
        size_t n = proc_read(pid, "cmdline", raw, COMMAND_BYTES_MAX), at = 0;
        json[at++] = '[';
        for (size_t i = 0; i < n; i++) {
            if (i == 0 || raw[i - 1] == '\0') {
                if (i > 0)
                    json[at++] = ',';
                json[at++] = '"';
            }
            if (raw[i])
                at += json_put(json + at, (unsigned char)raw[i]);
            if (!raw[i] || i + 1 == n)
                json[at++] = '"';
        }
        json[at++] = ']';
        json[at] = '\0';
        fitting = strdup(json);
    }
    free(raw);
    free(json);
    return fitting;
}

/* Fields of /proc/PID/stat from the third on: the second, the name, may hold anything but ends with
 * the last ')'. */
static const char *proc_stat_fields(pid_t pid, char *buffer, size_t room)
{
    proc_read(pid, "stat", buffer, room);
    const char *end = strrchr(buffer, ')');
    return end && end[1] == ' ' ? end + 2 : NULL;
}

/* /proc/PID/stat counts in hundredths of a second; the clock behind it in nanoseconds. */
uint64_t gm_proc_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

pid_t gm_proc_parent(pid_t pid)
{
    char buffer[1024];
    const char *fields = proc_stat_fields(pid, buffer, sizeof buffer);
    int parent = 0;
    if (!fields || sscanf(fields, "%*c %d", &parent) != 1 || parent < 0)
        return 0;
    return parent;
}

uint64_t gm_proc_start_ticks(pid_t pid)
{
    char buffer[1024];
    const char *fields = proc_stat_fields(pid, buffer, sizeof buffer);
    for (int i = 3; fields && i < 22; i++) { /* field 22 */
        fields = strchr(fields, ' ');
        fields = fields ? fields + 1 : NULL;
    }
    return fields ? strtoull(fields, NULL, 10) : 0;
}

uint64_t gm_proc_rss_bytes(pid_t pid, long page_bytes)
{
    char buffer[128];
    unsigned long long resident = 0;
    if (!proc_read(pid, "statm", buffer, sizeof buffer) ||
        sscanf(buffer, "%*u %llu", &resident) != 1)
        return 0;
    return resident * (uint64_t)page_bytes;
}

uint64_t gm_proc_own_peak_rss_bytes(void)
{
    char buffer[4096];
    const char *line =
        proc_read(getpid(), "status", buffer, sizeof buffer) ? strstr(buffer, "VmHWM:") : NULL;
    unsigned long long kib = 0;
    return line && sscanf(line, "VmHWM: %llu", &kib) == 1 ? kib * 1024u : 0;
}

bool gm_proc_wait_status(pid_t pid, int *ret_status)
{
    char buffer[2048];
    const char *fields = proc_stat_fields(pid, buffer, sizeof buffer);
    if (!fields || fields[0] != 'Z')
        return false;
    const char *last = strrchr(fields, ' '); /* field 52, exit_code, is the last there is */
    char *end = NULL;
    errno = 0;
    long status = last ? strtol(last + 1, &end, 10) : 0;
    if (!last || end == last + 1 || errno || status < 0 || status > 0xffff)
        return false;
    *ret_status = (int)status;
    return true;
}

/* Kernel interface, as in linux/pidfd.h of Linux 6.15; Debian 12's headers are older. */
struct pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_INFO_WANT_EXIT (1ull << 3)
#define PIDFD_IOCTL_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)

bool gm_pidfd_wait_status(int pidfd, int *ret_status)
{
    struct pidfd_info info = {.mask = PIDFD_INFO_WANT_EXIT};
    if (ioctl(pidfd, PIDFD_IOCTL_GET_INFO, &info) < 0 || !(info.mask & PIDFD_INFO_WANT_EXIT))
        return false;
    *ret_status = info.exit_code;
    return true;
}
