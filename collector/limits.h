/* limits.h - how much memory the program may use at most, as far as the system says. */
#ifndef GM_COLLECTOR_LIMITS_H
#define GM_COLLECTOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include <sys/resource.h>

struct gm_limit {
    uint64_t bytes;   /* 0: no limit is known */
    const char *kind; /* static: 'cgroup', 'RLIMIT_AS', 'RLIMIT_DATA'; NULL: none */
};

/* The smallest limit this process, and so what it starts, runs under: memory.max of its control group and of
 * those above it (version 2; memory.limit_in_bytes in version 1), RLIMIT_AS, RLIMIT_DATA. */
struct gm_limit gm_limit_find(void);

/* The control group's part: `groups` is the text of /proc/PID/cgroup, `root` where cgroups are mounted.
 * Returns 0 without a limit. */
uint64_t gm_limit_cgroup(const char *groups, const char *root);

/* Soft limits are set for the program; the recorder holds descriptors and memory for all its processes, and
 * takes what the hard limits give it. The program gets back what was saved. */
#define GM_LIMITS_RAISED 4
struct gm_limits_saved {
    struct rlimit v[GM_LIMITS_RAISED];
};
void gm_limits_raise(struct gm_limits_saved *ret_saved);
/* In the child, before execve. Async-signal-safe. */
void gm_limits_restore(const struct gm_limits_saved *saved);

#endif
