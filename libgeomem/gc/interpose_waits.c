/* interpose_waits.c - functions that may wait are safe regions: a stop neither disturbs nor awaits them.
 *
 * What fails with EINTR after any handler, SA_RESTART or not, stands in the first list (signal(7)); what may only transfer
 * less in the second; what merely would be woken for nothing in the third. Calls that the C library makes itself do not come
 * here; there the stop is a signal with SA_RESTART.
 *
 * Left alone: what allocates (getaddrinfo, popen, pthread_join), since malloc may be this heap's and a region may not touch
 * it; and pthread_mutex_lock, which seldom waits.
 */
#include <aio.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libgeomem/gc/interpose.h"

/* One that may fail with EINTR: made again if that came of a stop. */
#define CALL(type, name, parameters, arguments) \
    GM_REAL(type, name, parameters) \
    GM_INTERPOSED type name parameters \
    { \
        GM_REGION; \
        type result; \
        do \
            result = name##_real() arguments; \
        while (GM_INTERRUPTED(result)); \
        return result; \
    }
/* One that fills a buffer as well: `fill`, of gm_fill_again, tells which. */
#define FILL(type, name, parameters, arguments, fill) \
    GM_REAL(type, name, parameters) \
    GM_INTERPOSED type name parameters \
    { \
        GM_REGION; \
        type result = 0; \
        (void)(fill); \
        do \
            result = name##_real() arguments; \
        while (GM_INTERRUPTED(result) || (result == -1 && (fill))); \
        return result; \
    }
/* One that returns its error, or knows none. */
#define WAIT_VERSION(type, name, parameters, arguments, version) \
    GM_REAL_VERSION(type, name, parameters, version) \
    GM_INTERPOSED type name parameters \
    { \
        GM_REGION; \
        return name##_real() arguments; \
    }
#define WAIT(type, name, parameters, arguments) \
    WAIT_VERSION(type, name, parameters, arguments, NULL)

/* ---- never restarted by the kernel ---------------------------------------------------------------------- */

CALL(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
CALL(int, ppoll,
    (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
    (fds, count, timeout, mask))
CALL(int, select,
    (int count, fd_set *reads, fd_set *writes, fd_set *errors, struct timeval *timeout),
    (count, reads, writes, errors, timeout))
CALL(int, pselect,
    (int count, fd_set *reads, fd_set *writes, fd_set *errors, const struct timespec *timeout,
        const sigset_t *mask),
    (count, reads, writes, errors, timeout, mask))
CALL(int, epoll_wait, (int fd, struct epoll_event *events, int count, int timeout),
    (fd, events, count, timeout))
CALL(int, epoll_pwait,
    (int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask),
    (fd, events, count, timeout, mask))
CALL(int, epoll_pwait2,
    (int fd, struct epoll_event *events, int count, const struct timespec *timeout,
        const sigset_t *mask),
    (fd, events, count, timeout, mask))
CALL(int, nanosleep, (const struct timespec *time, struct timespec *ret_rest), (time, ret_rest))
CALL(int, usleep, (useconds_t microseconds), (microseconds))
CALL(int, pause, (void), ())
CALL(int, sigsuspend, (const sigset_t *mask), (mask))
CALL(int, msgsnd, (int queue, const void *message, size_t bytes, int flags),
    (queue, message, bytes, flags))
CALL(ssize_t, msgrcv, (int queue, void *message, size_t bytes, long type, int flags),
    (queue, message, bytes, type, flags))
CALL(int, semop, (int set, struct sembuf *operations, size_t count), (set, operations, count))
CALL(int, semtimedop,
    (int set, struct sembuf *operations, size_t count, const struct timespec *timeout),
    (set, operations, count, timeout))
CALL(int, sem_timedwait, (sem_t *restrict sem, const struct timespec *restrict deadline),
    (sem, deadline))
CALL(int, sem_clockwait,
    (sem_t *restrict sem, clockid_t clock, const struct timespec *restrict deadline),
    (sem, clock, deadline))
CALL(ssize_t, mq_timedreceive,
    (mqd_t queue, char *restrict message, size_t bytes, unsigned *restrict ret_priority,
        const struct timespec *restrict deadline),
    (queue, message, bytes, ret_priority, deadline))
CALL(int, mq_timedsend,
    (mqd_t queue, const char *message, size_t bytes, unsigned priority,
        const struct timespec *deadline),
    (queue, message, bytes, priority, deadline))
CALL(int, aio_suspend,
    (const struct aiocb *const list[], int count, const struct timespec *restrict timeout),
    (list, count, timeout))

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
    const sigset_t *mask, size_t room);
CALL(int, __poll_chk, (struct pollfd * fds, nfds_t count, int timeout, size_t room),
    (fds, count, timeout, room))
CALL(int, __ppoll_chk,
    (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
        size_t room),
    (fds, count, timeout, mask, room))

GM_REAL(int, clock_nanosleep, (clockid_t, int, const struct timespec *, struct timespec *))
GM_INTERPOSED int clock_nanosleep(
    clockid_t clock, int flags, const struct timespec *time, struct timespec *ret_rest)
{
    GM_REGION;
    int err;
    do
        err = clock_nanosleep_real()(clock, flags, time, ret_rest);
    while (err == EINTR && gm_region_interrupted_by_us(region));
    return err;
}

GM_REAL(unsigned, sleep, (unsigned))
GM_INTERPOSED unsigned sleep(unsigned seconds)
{
    GM_REGION;
    unsigned rest;
    do
        rest = sleep_real()(seconds);
    while (rest == seconds && seconds && gm_region_interrupted_by_us(region));
    return rest;
}

/* ---- restarted, but not if something has been transferred, or if the socket has a timeout ------------------ */

static bool parts_fill_again(bool has_failed, const struct iovec *parts, size_t count)
{
    bool again = false;
    for (size_t i = 0; i < count; i++)
        again |= gm_fill_again(has_failed, parts[i].iov_base, parts[i].iov_len);
    return again;
}

FILL(ssize_t, read, (int fd, void *buffer, size_t bytes), (fd, buffer, bytes),
    gm_fill_again(result == -1, buffer, bytes))
FILL(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count),
    gm_dirty_opens_for_kernel() && parts_fill_again(result == -1, parts, (size_t)count))
CALL(ssize_t, write, (int fd, const void *buffer, size_t bytes), (fd, buffer, bytes))
CALL(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
FILL(ssize_t, recv, (int fd, void *buffer, size_t bytes, int flags), (fd, buffer, bytes, flags),
    gm_fill_again(result == -1, buffer, bytes))
FILL(ssize_t, recvfrom,
    (int fd, void *restrict buffer, size_t bytes, int flags, __SOCKADDR_ARG from,
        socklen_t *restrict from_bytes),
    (fd, buffer, bytes, flags, from, from_bytes), gm_fill_again(result == -1, buffer, bytes))
FILL(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags),
    gm_dirty_opens_for_kernel() &&
        parts_fill_again(result == -1, message->msg_iov, message->msg_iovlen))
CALL(int, recvmmsg,
    (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
    (fd, messages, count, flags, timeout))
CALL(ssize_t, send, (int fd, const void *buffer, size_t bytes, int flags),
    (fd, buffer, bytes, flags))
CALL(ssize_t, sendto,
    (int fd, const void *buffer, size_t bytes, int flags, __CONST_SOCKADDR_ARG to,
        socklen_t to_bytes),
    (fd, buffer, bytes, flags, to, to_bytes))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
CALL(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),
    (fd, messages, count, flags))
CALL(ssize_t, sendfile, (int to, int from, off_t *offset, size_t bytes), (to, from, offset, bytes))
CALL(int, accept, (int fd, __SOCKADDR_ARG from, socklen_t *restrict from_bytes),
    (fd, from, from_bytes))
CALL(int, accept4, (int fd, __SOCKADDR_ARG from, socklen_t *restrict from_bytes, int flags),
    (fd, from, from_bytes, flags))
CALL(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t to_bytes), (fd, to, to_bytes))

ssize_t __read_chk(int fd, void *buffer, size_t bytes, size_t room);
ssize_t __recv_chk(int fd, void *buffer, size_t bytes, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t bytes, size_t room, int flags,
    __SOCKADDR_ARG from, socklen_t *from_bytes);
FILL(ssize_t, __read_chk, (int fd, void *buffer, size_t bytes, size_t room),
    (fd, buffer, bytes, room), gm_fill_again(result == -1, buffer, bytes))
FILL(ssize_t, __recv_chk, (int fd, void *buffer, size_t bytes, size_t room, int flags),
    (fd, buffer, bytes, room, flags), gm_fill_again(result == -1, buffer, bytes))
FILL(ssize_t, __recvfrom_chk,
    (int fd, void *buffer, size_t bytes, size_t room, int flags, __SOCKADDR_ARG from,
        socklen_t *from_bytes),
    (fd, buffer, bytes, room, flags, from, from_bytes), gm_fill_again(result == -1, buffer, bytes))

/* ---- would only be woken ------------------------------------------------------------------------------------ */

CALL(pid_t, wait, (int *ret_status), (ret_status))
CALL(pid_t, waitpid, (pid_t pid, int *ret_status, int flags), (pid, ret_status, flags))
CALL(pid_t, wait3, (int *ret_status, int flags, struct rusage *ret_usage),
    (ret_status, flags, ret_usage))
CALL(pid_t, wait4, (pid_t pid, int *ret_status, int flags, struct rusage *ret_usage),
    (pid, ret_status, flags, ret_usage))
CALL(int, waitid, (idtype_t type, id_t id, siginfo_t *ret_info, int flags),
    (type, id, ret_info, flags))
CALL(int, flock, (int fd, int operation), (fd, operation))
CALL(int, lockf, (int fd, int command, off_t bytes), (fd, command, bytes))
CALL(int, sem_wait, (sem_t * sem), (sem))
CALL(ssize_t, mq_receive, (mqd_t queue, char *message, size_t bytes, unsigned *ret_priority),
    (queue, message, bytes, ret_priority))
CALL(int, mq_send, (mqd_t queue, const char *message, size_t bytes, unsigned priority),
    (queue, message, bytes, priority))
CALL(int, fsync, (int fd), (fd))
CALL(int, fdatasync, (int fd), (fd))
/* The version is the first with the condition variables of today. */
WAIT_VERSION(int, pthread_cond_wait,
    (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex), (condition, mutex),
    "GLIBC_2.3.2")
WAIT_VERSION(int, pthread_cond_timedwait,
    (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
        const struct timespec *restrict deadline),
    (condition, mutex, deadline), "GLIBC_2.3.2")
WAIT(int, pthread_cond_clockwait,
    (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
        const struct timespec *restrict deadline),
    (condition, mutex, clock, deadline))
WAIT(int, pthread_barrier_wait, (pthread_barrier_t * barrier), (barrier))
/* In these the thread waits with all signals blocked, or for a child that shares its memory. */
WAIT_VERSION(int, posix_spawn,
    (pid_t *restrict ret_pid, const char *restrict path,
        const posix_spawn_file_actions_t *restrict actions, const posix_spawnattr_t *restrict attr,
        char *const argv[restrict], char *const envp[restrict]),
    (ret_pid, path, actions, attr, argv, envp), "GLIBC_2.15")
WAIT_VERSION(int, posix_spawnp,
    (pid_t *restrict ret_pid, const char *restrict file,
        const posix_spawn_file_actions_t *restrict actions, const posix_spawnattr_t *restrict attr,
        char *const argv[restrict], char *const envp[restrict]),
    (ret_pid, file, actions, attr, argv, envp), "GLIBC_2.15")
WAIT(int, system, (const char *command), (command))
