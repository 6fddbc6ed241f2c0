/* memory-daemon - keeps documents and finds them by their words, for clients on a Unix socket.
 *
 *   memory-daemon [--mode=generational|mark-sweep] [--slots=N] [--cache=BYTES] SOCKET
 *
 * It shows how a server uses libgeomem, and is what bench/before_after measures. Which memory is used for what:
 *
 *   geomem_gc_alloc       documents, words and the links between them; and all that a request builds and drops
 *   geomem_gc_alloc_leaf  texts: there are no pointers in them
 *   geomem_alloc_root     the tables of the index: as old as the daemon, and full of pointers to collected memory
 *   geomem_cache          answers, as long as there is room for them (--cache=0: none)
 *   geomem_alloc, _free   what belongs to a connection and ends with it
 *
 * There are no registrations of threads and no write barriers: libgeomem needs none. The requests are in request.h;
 * try them with `nc -U SOCKET`. SIGTERM or SIGINT end it. memory-daemon-load puts it under load.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answers.h"
#include "connection.h"
#include "geomem/geomem.h"

#define SLOTS_DEFAULT ((size_t)1 << 16)
#define CACHE_DEFAULT ((size_t)4 << 20)

struct options {
    enum geomem_gc_mode mode;
    size_t slots; /* of the index's tables: a power of two */
    size_t cache_bytes;
    const char *socket;
};

static int usage(void)
{
    fputs("usage: memory-daemon [--mode=generational|mark-sweep] [--slots=N] [--cache=BYTES] "
          "SOCKET\n",
        stderr);
    return 2;
}

static int mode_read(const char *name, enum geomem_gc_mode *ret_mode)
{
    if (!strcmp(name, "generational"))
        *ret_mode = GEOMEM_GC_GENERATIONAL;
    else if (!strcmp(name, "mark-sweep"))
        *ret_mode = GEOMEM_GC_MARK_SWEEP;
    else
        return -EINVAL;
    return 0;
}

static int slots_read(const char *text, size_t *ret_slots)
{
    char *end;
    unsigned long wanted = strtoul(text, &end, 10);
    size_t slots = 1;
    if (!*text || *end || wanted > (size_t)1 << 30)
        return -EINVAL;
    while (slots < wanted)
        slots *= 2;
    *ret_slots = slots;
    return 0;
}

static int bytes_read(const char *text, size_t *ret_bytes)
{
    char *end;
    unsigned long bytes = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || bytes > (size_t)1 << 40)
        return -EINVAL;
    *ret_bytes = bytes;
    return 0;
}

static int options_read(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"mode", required_argument, NULL, 'm'},
        {"slots", required_argument, NULL, 's'}, {"cache", required_argument, NULL, 'c'}, {0}};
    int option, r = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1 && r == 0)
        r = option == 'm'   ? mode_read(optarg, &options->mode)
            : option == 's' ? slots_read(optarg, &options->slots)
            : option == 'c' ? bytes_read(optarg, &options->cache_bytes)
                            : -EINVAL;
    if (r < 0 || optind + 1 != argc)
        return -EINVAL;
    options->socket = argv[optind];
    return 0;
}

static int listener_open(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, SOMAXCONN) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* Blocked before any thread begins, so that it is this thread's poll that sees them. */
static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void clients_accept(struct connections *connections, int listener, int signals)
{
    struct pollfd ready[] = {{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (!ready[1].revents) {
        if (poll(ready, 2, -1) < 0 || !ready[0].revents)
            continue;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        int r = fd < 0 ? -errno : connection_start(connections, fd);
        if (r < 0)
            fprintf(stderr, "memory-daemon: a client could not be served: %s\n", strerror(-r));
    }
}

static int fail(const char *what, const char *on, int error)
{
    fprintf(stderr, "memory-daemon: %s %s: %s\n", what, on, strerror(-error));
    return 1;
}

int main(int argc, char **argv)
{
    struct options options = {
        .mode = GEOMEM_GC_GENERATIONAL, .slots = SLOTS_DEFAULT, .cache_bytes = CACHE_DEFAULT};
    struct index index;
    struct connections connections;
    int listener = -1;
    if (options_read(argc, argv, &options) < 0)
        return usage();
    struct geomem_heap_options heap = {.struct_bytes = sizeof heap, .gc_mode = options.mode};
    int r = geomem_heap_configure(NULL, &heap);
    if (r < 0)
        return fail("configuring", "the heap", r);
    if ((r = index_init(&index, options.slots)) < 0)
        return fail("no memory for", "the index", r);
    if ((r = answers_open(options.cache_bytes, &index.answers)) < 0)
        return fail("no memory for", "the cache of answers", r);
    if ((r = listener_open(options.socket, &listener)) < 0)
        return fail("listening on", options.socket, r);
    int signals = signals_open();
    if (signals < 0)
        return fail("waiting for", "signals", signals);
    connections_init(&connections, &index);
    clients_accept(&connections, listener, signals);
    close(listener);
    unlink(options.socket);
    connections_end(&connections);
    answers_close(index.answers);
    index_done(&index);
    return 0;
}
