/* process.c - see process.h. */
#include "collector/symbols/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECEIVE_BYTES (64u << 10) /* arbitrary: a socket buffer's worth */

extern char **environ;

/* What may reach into the worker through the environment and must not: the network, and our own
 * hooks. */
static bool environment_is_dropped(const char *entry)
{
    return strncmp(entry, "DEBUGINFOD_", 11) == 0 || strncmp(entry, "LD_PRELOAD=", 11) == 0 ||
           strncmp(entry, "LD_AUDIT=", 9) == 0 || strncmp(entry, "GEOMEM_", 7) == 0;
}

/* A copy of the array of pointers, not of the texts. */
static char **environment_create(void)
{
    size_t count = 0;
    while (environ && environ[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    if (!copy)
        return NULL;
    for (size_t i = 0, n = 0; i < count; i++)
        if (!environment_is_dropped(environ[i]))
            copy[n++] = environ[i];
    return copy;
}

static int attributes_init(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_init(attributes);
    if (error)
        return -error;
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return 0;
}

static int actions_init(posix_spawn_file_actions_t *actions, int fd, bool keep_stderr)
{
    int error = posix_spawn_file_actions_init(actions);
    if (error)
        return -error;
    error = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error && !keep_stderr)
        error = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (error)
        posix_spawn_file_actions_destroy(actions);
    return -error;
}

static int process_spawn(char *const *argv, int fd, bool keep_stderr, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **environment = environment_create();
    if (!environment)
        return -ENOMEM;
    int r = attributes_init(&attributes);
    if (r < 0)
        goto out_environment;
    r = actions_init(&actions, fd, keep_stderr);
    if (r < 0)
        goto out_attributes;
    r = -posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
out_attributes:
    posix_spawnattr_destroy(&attributes);
out_environment:
    free(environment);
    return r;
}

int gm_symworker_start(
    struct gm_symworker *worker, char *const *argv, bool idle_priority, bool keep_stderr)
{
    int fds[2];
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    int r = process_spawn(argv, fds[1], keep_stderr, &pid);
    close(fds[1]);
    if (r < 0) {
        close(fds[0]);
        return r;
    }
    worker->pid = pid;
    worker->pidfd =
        pidfd_open(pid, 0); /* Linux 5.3; without it stop() relies on the closed socket */
    worker->fd = fds[0];
    gm_symmsg_buffer_clear(&worker->in);
    gm_symmsg_buffer_clear(&worker->out);
    struct sched_param zero = {0};
    worker->idle_priority = idle_priority && sched_setscheduler(pid, SCHED_IDLE, &zero) == 0;
    return 0;
}

/* Wait status, or -1. As waitid, which glibc gives without the usage. */
static int pidfd_wait(int pidfd, struct rusage *ret_usage)
{
    siginfo_t info = {0};
    if (syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED, ret_usage) < 0)
        return -1;
    return info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status;
}

static uint64_t cpu_ns(const struct rusage *u)
{
    return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000u;
}

int gm_symworker_stop(struct gm_symworker *worker)
{
    struct rusage usage;
    int status = -1;
    if (!worker->pid)
        return -1;
    close(worker->fd);
    if (worker->pidfd >= 0) {
        /* Without effect on one that has ended by itself: its status stays what it was. */
        pidfd_send_signal(worker->pidfd, SIGKILL, NULL, 0);
        status = pidfd_wait(worker->pidfd, &usage);
        close(worker->pidfd);
    } else if (wait4(worker->pid, &status, 0, &usage) != worker->pid) {
        status = -1;
    }
    if (status >= 0)
        worker->cpu_ns += cpu_ns(&usage);
    worker->pid = 0;
    return status;
}

void gm_symworker_done(struct gm_symworker *worker)
{
    gm_symworker_stop(worker);
    gm_symmsg_buffer_done(&worker->in);
    gm_symmsg_buffer_done(&worker->out);
}

int gm_symworker_raise(struct gm_symworker *worker)
{
    struct sched_param zero = {0};
    if (!worker->idle_priority)
        return 0;
    if (sched_setscheduler(worker->pid, SCHED_OTHER, &zero) < 0)
        return -errno;
    worker->idle_priority = false;
    return 0;
}

int gm_symworker_send(struct gm_symworker *worker)
{
    struct gm_symmsg_buffer *out = &worker->out;
    while (out->first < out->end) {
        ssize_t sent = send(worker->fd, out->bytes + out->first, out->end - out->first,
            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : -errno;
        out->first += (size_t)sent;
    }
    return 0;
}

int gm_symworker_receive(struct gm_symworker *worker)
{
    for (;;) {
        uint8_t *to = gm_symmsg_buffer_reserve(&worker->in, RECEIVE_BYTES);
        if (!to)
            return -ENOMEM;
        ssize_t got = recv(worker->fd, to, RECEIVE_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN ? 0 : -EPIPE;
        if (got == 0)
            return -EPIPE;
        worker->in.end += (size_t)got;
        if ((size_t)got < RECEIVE_BYTES || worker->in.end - worker->in.first > GM_SYMMSG_MAX_BYTES)
            return 0;
    }
}
