/* proc.h - what /proc knows of a process. All of it may be gone, cut or odd at any time: callers
 * get what there is. */
#ifndef GM_COLLECTOR_PROC_H
#define GM_COLLECTOR_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Path of the program file; "" where it cannot be told. NULL without memory; free it. */
char *gm_proc_exe(pid_t pid);
/* Arguments as a JSON array of strings, at most 32 KiB of them. NULL without memory; free it. */
char *gm_proc_command(pid_t pid);
/* When it started, in clock ticks since boot, or 0: with the pid it names a process for good. */
uint64_t gm_proc_start_ticks(pid_t pid);
/* CPU time of all its threads so far, or 0. */
uint64_t gm_proc_cpu_ns(pid_t pid);
/* Parent, or 0. */
pid_t gm_proc_parent(pid_t pid);
/* Resident bytes, or 0. */
uint64_t gm_proc_rss_bytes(pid_t pid, long page_bytes);

/* The most this process had resident since its execve; 0 if it cannot be read. Not getrusage's
 * ru_maxrss, which begins with the size of whoever started us. */
uint64_t gm_proc_own_peak_rss_bytes(void);
/* How a process that is a zombie ended: a wait status as of waitpid(2). False where it cannot be
 * told. */
bool gm_proc_wait_status(pid_t pid, int *ret_status);
/* The same from the kernel's memory of a process that is gone (Linux 6.15 and later). */
bool gm_pidfd_wait_status(int pidfd, int *ret_status);

#endif
