/* tasks.h - the process's threads as the kernel lists them. No libc: usable while threads are stopped. */
#ifndef GM_GC_TASKS_H
#define GM_GC_TASKS_H

#include <stdbool.h>
#include <stdint.h>

/* How many there are, the caller included; 0: the kernel does not tell. */
uint32_t gm_tasks_count(void);

/* Calls visit for each. 0 or a negative errno. */
typedef void gm_tasks_visitor(int32_t tid, void *arg);
int gm_tasks_each(gm_tasks_visitor *visit, void *arg);

struct gm_task {
    char state; /* as in /proc: R, S, D, Z, X, ...; 0: gone */
    uint64_t blocked_signals;
    uint64_t pending_signals; /* sent to it and not to the process */
};
/* 0, or a negative errno: the kernel does not tell. */
int gm_task_look(int32_t tid, struct gm_task *ret_task);

/* The stack pointer of a task that waits in a system call; 0: it does not, or the kernel does not tell. */
uintptr_t gm_task_stack_pointer(int32_t tid);

#endif
