/* container.c - see container.h. Files: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux. */
#include "libgeomem/base/container.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/base/sys.h"

/* Version 1 says "no limit" by the largest multiple of a page. */
#define LIMIT_NONE ((uint64_t)1 << 62)

struct names {
    const char *limits[2]; /* the lesser counts; NULL: there is one */
    const char *used, *droppable;
};
static const struct names v2_names = {
    {"/memory.max", "/memory.high"}, "/memory.current", "\ninactive_file "};
static const struct names v1_names = {
    {"/memory.limit_in_bytes", NULL}, "/memory.usage_in_bytes", "\ntotal_inactive_file "};

/* ---- paths ---- */

static bool path_add(char *path, size_t room, const char *text, size_t length)
{
    size_t at = strlen(path);
    if (at + length + 1 > room)
        return false;
    memcpy(path + at, text, length);
    path[at + length] = 0;
    return true;
}

static long file_read(
    const char *folder, size_t length, const char *name, char *buffer, size_t room)
{
    char path[sizeof((struct gm_container *)0)->path + 64] = "";
    if (!path_add(path, sizeof path, folder, length) ||
        !path_add(path, sizeof path, name, strlen(name)))
        return -ENAMETOOLONG;
    return gm_sys_read_file(path, buffer, room);
}

/* ---- numbers ---- */

/* LIMIT_NONE: "max", or a number that means it. */
static uint64_t number_read(const char *text)
{
    uint64_t value = 0;
    if (*text < '0' || *text > '9')
        return LIMIT_NONE;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (value >= LIMIT_NONE / 10)
            return LIMIT_NONE;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value;
}

static uint64_t file_number(const char *folder, size_t length, const char *name)
{
    char text[64];
    return file_read(folder, length, name, text, sizeof text) < 0 ? LIMIT_NONE : number_read(text);
}

/* ---- the process's group ---- */

/* Is it the line of memory's hierarchy? "0::PATH", or "NUMBER:...,memory,...:PATH". Where the mount's own folder for it is. */
static bool line_is_memorys(const char *line, bool v1)
{
    const char *names = strchr(line, ':');
    const char *path = names ? strchr(names + 1, ':') : NULL;
    if (!path)
        return false;
    if (!v1)
        return strncmp(line, "0::", 3) == 0;
    for (const char *name = names; name < path; name = strpbrk(name + 1, ",:"))
        if (strncmp(name + 1, "memory", 6) == 0 && (name[7] == ',' || name[7] == ':'))
            return true;
    return false;
}

static bool folder_has(const struct gm_container *container, size_t length)
{
    const char *name = container->is_v1 ? v1_names.limits[0] : v2_names.used;
    char text[64];
    return file_read(container->path, length, name, text, sizeof text) > 0;
}

/* In a name space of its own a container may see its group as the root, and read another path in the file. */
static int group_find(
    const char *line, const char *mount, const char *below, struct gm_container *container)
{
    const char *group = strchr(strchr(line, ':') + 1, ':') + 1;
    container->path[0] = 0;
    if (!path_add(container->path, sizeof container->path, mount, strlen(mount)) ||
        !path_add(container->path, sizeof container->path, below, strlen(below)))
        return -ENAMETOOLONG;
    container->mount_length = strlen(container->path);
    size_t length = strcspn(group, "\n");
    if (length > 1 && !path_add(container->path, sizeof container->path, group, length))
        return -ENAMETOOLONG;
    if (folder_has(container, strlen(container->path)))
        return 0;
    container->path[container->mount_length] = 0;
    return container->is_v1 && !folder_has(container, container->mount_length) ? -ENOENT : 0;
}

int gm_container_find(const char *groups, const char *mount, struct gm_container *ret_container)
{
    /* Version 1's hierarchy of memory comes first: where there is one, version 2's does not count memory. */
    static const struct {
        bool v1;
        const char *below;
    } places[] = {{true, "/memory"}, {false, ""}};
    char text[4096];
    if (gm_sys_read_file(groups, text, sizeof text) < 0)
        return -ENOENT;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        for (const char *line = text; line && *line; line = strchr(line, '\n')) {
            line += *line == '\n';
            struct gm_container found = {.is_v1 = places[i].v1};
            if (line_is_memorys(line, places[i].v1) &&
                group_find(line, mount, places[i].below, &found) == 0) {
                *ret_container = found;
                return 0;
            }
        }
    return -ENOENT;
}

/* ---- limits and use ---- */

/* Of one folder. Dropping inactive pages of files costs the kernel little: they are not what makes memory short. */
static uint64_t used_read(const char *folder, size_t length, const struct names *names)
{
    char text[8192] = "\n";
    uint64_t used = file_number(folder, length, names->used), droppable = 0;
    if (used == LIMIT_NONE)
        return 0;
    if (file_read(folder, length, "/memory.stat", text + 1, sizeof text - 1) > 0) {
        const char *at = strstr(text, names->droppable);
        droppable = at ? number_read(at + strlen(names->droppable)) : 0;
    }
    return used > droppable ? used - droppable : 0;
}

static uint64_t limit_read(const char *folder, size_t length, const struct names *names)
{
    uint64_t limit = LIMIT_NONE;
    for (size_t i = 0; i < 2 && names->limits[i]; i++) {
        uint64_t one = file_number(folder, length, names->limits[i]);
        limit = one < limit ? one : limit;
    }
    return limit;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0": Documentation/accounting/psi.rst. */
static uint64_t stalled_read(const struct gm_container *container)
{
    char text[256];
    if (file_read(container->path, strlen(container->path), "/memory.pressure", text, sizeof text) <
        0)
        return 0;
    const char *total = strstr(text, "total=");
    return total ? number_read(total + 6) : 0;
}

int gm_container_look(const struct gm_container *container, struct gm_container_room *ret_room)
{
    const struct names *names = container->is_v1 ? &v1_names : &v2_names;
    struct gm_container_room tightest = {0};
    int64_t least = INT64_MAX;
    for (size_t length = strlen(container->path);;) {
        uint64_t limit = limit_read(container->path, length, names);
        if (limit < LIMIT_NONE) {
            uint64_t used = used_read(container->path, length, names);
            int64_t left = (int64_t)limit - (int64_t)used;
            if (left < least) {
                least = left;
                tightest = (struct gm_container_room){.limit_bytes = limit, .used_bytes = used};
            }
        }
        if (length <= container->mount_length)
            break;
        while (length > container->mount_length && container->path[--length] != '/')
            ;
    }
    if (least == INT64_MAX)
        return -ENOENT;
    tightest.stalled_us = stalled_read(container);
    *ret_room = tightest;
    return 0;
}
