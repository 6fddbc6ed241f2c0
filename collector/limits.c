/* limits.c - see limits.h. */
#include "collector/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NO_LIMIT (1ull << 60) /* version 1 says "none" with a number near 2^63 */

/* Reads a small file whole; "" where it cannot be read. */
static const char *file_read(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    return out;
}

/* "max", or a number. 0: no limit. */
static uint64_t limit_read(const char *folder, const char *file)
{
    char path[PATH_MAX], text[64], *end;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, file) >= sizeof path)
        return 0;
    file_read(path, text, sizeof text);
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return end == text || errno || value >= NO_LIMIT ? 0 : value;
}

static uint64_t limit_smaller(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

/* The group's own limit and that of each group above it. */
static uint64_t limit_upwards(
    const char *mount, const char *group, size_t group_bytes, const char *file)
{
    char folder[PATH_MAX];
    size_t mount_bytes = strlen(mount);
    uint64_t limit = 0;
    if ((size_t)snprintf(folder, sizeof folder, "%s%.*s", mount, (int)group_bytes, group) >=
        sizeof folder)
        return 0;
    for (;;) {
        limit = limit_smaller(limit, limit_read(folder, file));
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < mount_bytes)
            return limit;
        *slash = 0;
    }
}

uint64_t gm_limit_cgroup(const char *groups, const char *root)
{
    char memory[PATH_MAX], unified[PATH_MAX];
    uint64_t limit = 0;
    snprintf(memory, sizeof memory, "%s/memory", root);
    snprintf(unified, sizeof unified, "%s/unified", root);
    /* Lines "id:controllers:group"; in a container the group may not exist below the mount, then the mount
     * itself is the group. */
    while (*groups) {
        size_t line = strcspn(groups, "\n");
        const char *first = memchr(groups, ':', line);
        const char *second =
            first ? memchr(first + 1, ':', line - (size_t)(first + 1 - groups)) : NULL;
        if (second && line < PATH_MAX) {
            const char *group = second + 1;
            size_t bytes = line - (size_t)(group - groups);
            if (second == first + 1) {
                limit = limit_smaller(limit, limit_upwards(root, group, bytes, "memory.max"));
                limit = limit_smaller(limit, limit_upwards(unified, group, bytes, "memory.max"));
            } else if (memmem(first, (size_t)(second - first), "memory", 6)) {
                limit = limit_smaller(
                    limit, limit_upwards(memory, group, bytes, "memory.limit_in_bytes"));
            }
        }
        groups += line + (groups[line] == '\n');
    }
    return limit;
}

static void limit_take(struct gm_limit *limit, uint64_t bytes, const char *kind)
{
    if (bytes && (limit->bytes == 0 || bytes < limit->bytes))
        *limit = (struct gm_limit){bytes, kind};
}

struct gm_limit gm_limit_find(void)
{
    static const struct {
        int resource;
        const char *kind;
    } own[] = {{RLIMIT_AS, "RLIMIT_AS"}, {RLIMIT_DATA, "RLIMIT_DATA"}};
    struct gm_limit limit = {0, NULL};
    char groups[16384];
    limit_take(&limit,
        gm_limit_cgroup(file_read("/proc/self/cgroup", groups, sizeof groups), "/sys/fs/cgroup"),
        "cgroup");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        struct rlimit r;
        if (getrlimit((__rlimit_resource_t)own[i].resource, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
            limit_take(&limit, r.rlim_cur, own[i].kind);
    }
    return limit;
}

/* ---- our own ---- */

static const int raised[GM_LIMITS_RAISED] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_DATA};

void gm_limits_raise(struct gm_limits_saved *ret_saved)
{
    for (size_t i = 0; i < GM_LIMITS_RAISED; i++) {
        struct rlimit *saved = &ret_saved->v[i], most;
        *saved = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
        if (getrlimit((__rlimit_resource_t)raised[i], saved) < 0)
            continue;
        most = (struct rlimit){saved->rlim_max, saved->rlim_max};
        setrlimit((__rlimit_resource_t)raised[i], &most);
    }
}

void gm_limits_restore(const struct gm_limits_saved *saved)
{
    for (size_t i = 0; i < GM_LIMITS_RAISED; i++)
        setrlimit((__rlimit_resource_t)raised[i], &saved->v[i]);
}
