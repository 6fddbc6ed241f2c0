/* container.h - how much memory the process's control group may use, and how much is in use.
 *
 *   /proc/self/cgroup ─► the group's folder ─► its limit and use
 *                          '─► its parent's, up to the mount: what binds them binds the group
 *
 * Version 2 of control groups (memory.max, memory.high, memory.current), and version 1 (memory.limit_in_bytes,
 * memory.usage_in_bytes). Page cache that the kernel would drop first (inactive_file) does not count as used.
 *
 * Everything here is async-signal-safe, takes no lock, needs a free descriptor, and leaves errno alone.
 *
 * Stands below libgeomem/gc.
 */
#ifndef GM_BASE_CONTAINER_H
#define GM_BASE_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gm_container {
    char path[1024];     /* the group's folder */
    size_t mount_length; /* of the path: where the hierarchy begins */
    bool is_v1;
};

/* The folder that binds most: where the least is left. */
struct gm_container_room {
    uint64_t
        limit_bytes; /* from where on the kernel takes memory back, slows the group down, or kills */
    uint64_t used_bytes;
    uint64_t
        stalled_us; /* that some thread of the group has waited for memory, since the group began; 0: not told */
};

/* `groups`: "/proc/self/cgroup"; `mount`: "/sys/fs/cgroup"; or what a test puts in their place. -ENOENT: the process is in no
 * group whose memory is counted, or its folder is not to be seen. */
int gm_container_find(const char *groups, const char *mount, struct gm_container *ret_container);

/* -ENOENT: no limit, as of now. */
int gm_container_look(const struct gm_container *container, struct gm_container_room *ret_room);

#endif
