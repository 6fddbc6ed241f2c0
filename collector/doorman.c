/* doorman.c - see doorman.h. */
#include "collector/doorman.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector/proc.h"
#include "collector/socket_folder.h"
#include "collector/timebase.h"

#define CALLERS_MAX 64u        /* connections that have not said hello yet */
#define HELLO_PATIENCE_MS 2000 /* a target says hello right after it connects */
#define CROWD_PATIENCE_MS \
    200             /* while others wait outside; arbitrary, above a busy machine's delays */
#define BACKLOG 512 /* a storm of forks must not see ECONNREFUSED */

struct doorman_caller {
    int fd;
    int64_t deadline_ns;
};

struct gm_doorman {
    struct gm_session_options options;
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int listen_fd, event_fd, stop_fd;
    int folder_fd; /* holds the lock that says that we live; -1: none */
    pthread_t thread;
    bool started;
    pid_t root_pid;
    bool first_done;
    struct doorman_caller callers[CALLERS_MAX];
    size_t caller_count;

    pthread_mutex_t lock; /* guards the queue; held for pointer swaps only */
    struct gm_newcomer *queue, **queue_end;
    _Atomic size_t session_bytes; /* mapped now; relaxed: a budget, not a lock */
    _Atomic uint32_t refused, bad_hellos;
    _Atomic bool closed, serving;
};

void gm_newcomer_free(struct gm_newcomer *newcomer)
{
    if (!newcomer)
        return;
    gm_session_done(&newcomer->session);
    if (newcomer->pidfd >= 0)
        close(newcomer->pidfd);
    free(newcomer->exe);
    free(newcomer->command);
    free(newcomer);
}

/* ---- the socket ---- */

#define SOCKET_FORMAT "/" GM_SOCKET_NAME "%016llx"
#define SOCKET_NAME_ROOM sizeof "/session-0123456789abcdef"

/* A folder of our own keeps others from the socket, also where /tmp has no sticky bit. What root records may
 * give up its privileges, and the forked children of that and the programs it executes must still find the
 * door: then the folder can be walked through, not listed, and the socket's random name, which is passed on in
 * the environment, is what opens it. */
static int doorman_make_folder(struct gm_doorman *d)
{
    const char *runtime = geteuid() == 0 ? NULL : getenv("XDG_RUNTIME_DIR");
    const char *bases[] = {runtime, "/tmp"};
    int r = -ENOENT;
    for (size_t i = 0; i < 2 && r < 0; i++) {
        if (!bases[i] || bases[i][0] != '/')
            continue;
        int n = snprintf(d->folder, sizeof d->folder, "%s/" GM_SOCKET_FOLDER, bases[i]);
        if (n < 0 || (size_t)n + SOCKET_NAME_ROOM > sizeof d->folder)
            r = -ENAMETOOLONG;
        else
            r = mkdtemp(d->folder) ? 0 : -errno;
        if (r == 0)
            gm_socket_folder_sweep(bases[i]);
    }
    if (r < 0)
        d->folder[0] = '\0';
    else
        d->folder_fd = gm_socket_folder_lock(d->folder);
    return r;
}

static int doorman_listen(struct gm_doorman *d)
{
    int r = doorman_make_folder(d);
    if (r < 0)
        return r;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(d->folder);
    memcpy(d->path, d->folder, n);
    unsigned long long name = 0;
    if (getrandom(&name, sizeof name, 0) != (ssize_t)sizeof name)
        return -EAGAIN;
    snprintf(d->path + n, sizeof d->path - n, SOCKET_FORMAT, name);
    strcpy(address.sun_path, d->path);
    bool root = geteuid() == 0;
    d->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->listen_fd < 0 || bind(d->listen_fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(d->path, root ? 0666 : 0600) < 0 || listen(d->listen_fd, BACKLOG) < 0 ||
        chmod(d->folder, root ? 0711 : 0700) < 0)
        return -errno;
    return 0;
}

int gm_doorman_create(const struct gm_session_options *options, struct gm_doorman **ret_doorman)
{
    struct gm_doorman *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->options = *options;
    d->listen_fd = d->folder_fd = -1;
    d->queue_end = &d->queue;
    pthread_mutex_init(&d->lock, NULL);
    d->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = d->event_fd < 0 || d->stop_fd < 0 ? -errno : doorman_listen(d);
    if (r < 0) {
        gm_doorman_free(d);
        return r;
    }
    *ret_doorman = d;
    return 0;
}

const char *gm_doorman_path(const struct gm_doorman *d)
{
    return d->path;
}
int gm_doorman_event_fd(const struct gm_doorman *d)
{
    return d->event_fd;
}
uint32_t gm_doorman_refused(const struct gm_doorman *d)
{
    return atomic_load_explicit(&d->refused, memory_order_relaxed); /* a figure for people */
}
uint32_t gm_doorman_bad_hellos(const struct gm_doorman *d)
{
    return atomic_load_explicit(&d->bad_hellos, memory_order_relaxed); /* a figure for people */
}
bool gm_doorman_is_idle(struct gm_doorman *d)
{
    /* In this order: a caller leaves the backlog after `serving` is set, and its newcomer is queued
     * before it is taken back. */
    struct pollfd p = {.fd = d->listen_fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0 && !atomic_load(&d->serving);
}
void gm_doorman_close(struct gm_doorman *d)
{
    atomic_store_explicit(&d->closed, true, memory_order_relaxed); /* nothing else depends on it */
}
void gm_doorman_session_gone(struct gm_doorman *d, size_t bytes)
{
    atomic_fetch_sub_explicit(&d->session_bytes, bytes, memory_order_relaxed);
}

/* ---- the queue ---- */

static void doorman_queue(struct gm_doorman *d, struct gm_newcomer *newcomer)
{
    pthread_mutex_lock(&d->lock);
    *d->queue_end = newcomer;
    d->queue_end = &newcomer->next;
    pthread_mutex_unlock(&d->lock);
    uint64_t one = 1;
    ssize_t n = write(d->event_fd, &one, sizeof one);
    (void)n; /* EAGAIN: it is readable anyway */
}

struct gm_newcomer *gm_doorman_take(struct gm_doorman *d)
{
    uint64_t count = 0;
    ssize_t n = read(d->event_fd, &count, sizeof count);
    (void)n; /* EAGAIN: nobody waits, or was queued just now */
    pthread_mutex_lock(&d->lock);
    struct gm_newcomer *list = d->queue;
    d->queue = NULL;
    d->queue_end = &d->queue;
    pthread_mutex_unlock(&d->lock);
    return list;
}

/* ---- one caller ---- */

static int caller_identify(int fd, pid_t *ret_pid, int *ret_pidfd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return -errno;
    if (peer.uid != geteuid() && geteuid() != 0)
        return -EACCES;
    if (peer.pid <= 0)
        return -EREMOTE; /* outside our pid namespace */
    int pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
    if (pidfd < 0)
        return -errno;
    /* The pid was its own when it connected; it still is if it has not hung up. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 0) < 0 || p.revents & (POLLHUP | POLLERR)) {
        close(pidfd);
        return -ESRCH;
    }
    *ret_pid = peer.pid;
    *ret_pidfd = pidfd;
    return 0;
}

static int caller_answer(int fd, const struct gm_welcome *welcome, int memfd)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)welcome, .iov_len = sizeof *welcome};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (memfd >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &memfd, sizeof memfd);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void newcomer_find_ancestors(struct gm_newcomer *n)
{
    pid_t pid = gm_proc_parent(n->pid);
    while (pid > 1 && n->ancestor_count < GM_ANCESTORS_MAX) {
        n->ancestors[n->ancestor_count++] = pid;
        pid = gm_proc_parent(pid);
    }
}

static enum gm_session_size doorman_size(const struct gm_doorman *d, pid_t pid)
{
    if (!d->first_done || pid == d->root_pid)
        return GM_SESSION_LARGE;
    size_t held =
        atomic_load_explicit(&d->session_bytes, memory_order_relaxed); /* see its comment */
    return held > d->options.budget_bytes ? GM_SESSION_SMALL : GM_SESSION_MEDIUM;
}

/* Takes over the pidfd. */
static int doorman_make_newcomer(struct gm_doorman *d, const struct gm_hello *hello, pid_t pid,
    int pidfd, struct gm_newcomer **ret_newcomer, int *ret_memfd)
{
    struct gm_newcomer *n = calloc(1, sizeof *n);
    if (!n) {
        close(pidfd);
        return -ENOMEM;
    }
    n->pidfd = pidfd;
    n->pid = pid;
    n->start_ticks = gm_proc_start_ticks(pid);
    n->hello_kind = hello->kind;
    n->parent_session_id = hello->parent_session_id;
    n->stamp = gm_clock_read(d->options.clock);
    n->exe = gm_proc_exe(pid);
    n->command = gm_proc_command(pid);
    newcomer_find_ancestors(n);
    int r = n->exe && n->command
                ? gm_session_make(&d->options, doorman_size(d, pid), &n->session, ret_memfd)
                : -ENOMEM;
    d->options.sample_seed++; /* processes must not sample alike */
    if (r < 0) {
        gm_newcomer_free(n);
        return r;
    }
    *ret_newcomer = n;
    return 0;
}

/* A session and its newcomer, queued; the errno for the welcome otherwise. */
static int doorman_admit(
    struct gm_doorman *d, int fd, const struct gm_hello *hello, uint64_t *ret_bytes, int *ret_memfd)
{
    pid_t pid = 0;
    int pidfd = -1;
    struct gm_newcomer *newcomer = NULL;
    if (hello->version != GM_WIRE_VERSION)
        return -EPROTO;
    if (atomic_load_explicit(&d->closed, memory_order_relaxed)) /* see gm_doorman_close */
        return -ECANCELED;
    int r = caller_identify(fd, &pid, &pidfd);
    if (r == 0)
        r = doorman_make_newcomer(d, hello, pid, pidfd, &newcomer, ret_memfd);
    if (r < 0)
        return r;
    d->first_done = true;
    *ret_bytes = newcomer->session.bytes;
    atomic_fetch_add_explicit(&d->session_bytes, newcomer->session.bytes, memory_order_relaxed);
    doorman_queue(d, newcomer);
    return 0;
}

static void doorman_hear(struct gm_doorman *d, int fd)
{
    struct gm_hello hello;
    ssize_t n = recv(fd, &hello, sizeof hello, MSG_DONTWAIT);
    if (n != sizeof hello || hello.magic != GM_SESSION_MAGIC ||
        (hello.kind != GM_HELLO_START && hello.kind != GM_HELLO_FORK)) {
        atomic_fetch_add_explicit(&d->bad_hellos, 1, memory_order_relaxed); /* a figure */
        return;
    }
    struct gm_welcome welcome = {.magic = GM_SESSION_MAGIC, .version = GM_WIRE_VERSION};
    int memfd = -1;
    int r = doorman_admit(d, fd, &hello, &welcome.session_bytes, &memfd);
    if (r < 0) {
        welcome.status = (uint32_t)-r;
        if (r != -ESRCH) /* a process that died while it said hello misses nothing */
            atomic_fetch_add_explicit(&d->refused, 1, memory_order_relaxed); /* a figure */
    }
    /* Where this fails the target is gone, or runs on unrecorded: its empty session ends with it.
     */
    caller_answer(fd, &welcome, memfd);
    if (memfd >= 0)
        close(memfd);
}

/* ---- the thread ---- */

static void doorman_accept(struct gm_doorman *d)
{
    while (d->caller_count < CALLERS_MAX) {
        int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            /* Without descriptors the connection stays queued; it would make poll spin. */
            if (errno != EAGAIN)
                poll(NULL, 0, 20);
            return;
        }
        d->callers[d->caller_count++] = (struct doorman_caller){
            .fd = fd, .deadline_ns = gm_mono_ns() + HELLO_PATIENCE_MS * 1000000ll};
    }
}

static void doorman_drop(struct gm_doorman *d, size_t i)
{
    close(d->callers[i].fd);
    d->callers[i] = d->callers[--d->caller_count];
}

/* Hears callers that speak, drops those that do not. From the end, as dropping moves the last one.
 */
static void doorman_serve(struct gm_doorman *d, const struct pollfd *polled)
{
    bool crowded = d->caller_count == CALLERS_MAX;
    int64_t now = gm_mono_ns();
    if (crowded)
        now += (HELLO_PATIENCE_MS - CROWD_PATIENCE_MS) * 1000000ll;
    for (size_t i = d->caller_count; i-- > 0;) {
        bool speaks = polled[i].revents != 0;
        if (!speaks && now < d->callers[i].deadline_ns)
            continue;
        if (speaks)
            doorman_hear(d, d->callers[i].fd);
        else
            atomic_fetch_add_explicit(&d->bad_hellos, 1, memory_order_relaxed); /* a figure */
        doorman_drop(d, i);
    }
}

static void *doorman_main(void *arg)
{
    struct gm_doorman *d = arg;
    for (;;) {
        struct pollfd polled[CALLERS_MAX + 2];
        size_t n = d->caller_count;
        for (size_t i = 0; i < n; i++)
            polled[i] = (struct pollfd){.fd = d->callers[i].fd, .events = POLLIN};
        polled[n] = (struct pollfd){.fd = d->stop_fd, .events = POLLIN};
        polled[n + 1] =
            (struct pollfd){.fd = n < CALLERS_MAX ? d->listen_fd : -1, .events = POLLIN};
        if (poll(polled, n + 2, n ? CROWD_PATIENCE_MS / 4 : -1) < 0 && errno != EINTR)
            return NULL;
        if (polled[n].revents)
            return NULL;
        atomic_store(&d->serving, true); /* partner: gm_doorman_is_idle */
        doorman_serve(d, polled);
        if (polled[n + 1].revents)
            doorman_accept(d);
        atomic_store(&d->serving, d->caller_count > 0);
    }
}

int gm_doorman_start(struct gm_doorman *d, pid_t root_pid)
{
    sigset_t all, before;
    d->root_pid = root_pid;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    int r = -pthread_create(&d->thread, NULL, doorman_main, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    d->started = r == 0;
    return r;
}

static void doorman_stop(struct gm_doorman *d)
{
    uint64_t one = 1;
    if (!d->started)
        return;
    ssize_t n = write(d->stop_fd, &one, sizeof one);
    (void)n; /* cannot be full */
    pthread_join(d->thread, NULL);
    d->started = false;
}

void gm_doorman_free(struct gm_doorman *d)
{
    if (!d)
        return;
    doorman_stop(d);
    while (d->caller_count > 0)
        doorman_drop(d, 0);
    for (struct gm_newcomer *n = d->queue, *next; n; n = next) {
        next = n->next;
        gm_newcomer_free(n);
    }
    const int fds[] = {d->listen_fd, d->event_fd, d->stop_fd, d->folder_fd};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (d->path[0])
        unlink(d->path);
    if (d->folder[0])
        rmdir(d->folder);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
