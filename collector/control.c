/* control.c - see control.h. */
#include "collector/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
    int fd;         /* -1: free */
    uint64_t heard; /* when it was last heard of, in turns of gm_control.turn */
    size_t n;
    char line[GM_CONTROL_LINE];
};

struct gm_control {
    int listen_fd;
    uint64_t turn;
    gm_control_handler *handler;
    void *context;
    struct client clients[GM_CONTROL_CLIENTS];
    struct sockaddr_un address;
};

static int listen_make(struct gm_control *c, const char *path)
{
    c->address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof c->address.sun_path)
        return -ENAMETOOLONG;
    strcpy(c->address.sun_path, path);
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->listen_fd < 0)
        return -errno;
    unlink(path);
    int r = bind(c->listen_fd, (struct sockaddr *)&c->address, sizeof c->address) < 0 ? -errno : 0;
    if (r < 0) {
        c->address.sun_path[0] = 0; /* not ours to remove */
        return r;
    }
    /* The folder is 0700 already; the mode guards against one that is not. (Not umask: that is the whole
     * process's, and the store's thread makes files.) */
    if (chmod(path, 0600) < 0 || listen(c->listen_fd, GM_CONTROL_CLIENTS) < 0)
        return -errno;
    return 0;
}

int gm_control_create(
    const char *path, gm_control_handler *handler, void *context, struct gm_control **ret_control)
{
    struct gm_control *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->listen_fd = -1;
    c->handler = handler;
    c->context = context;
    for (int i = 0; i < GM_CONTROL_CLIENTS; i++)
        c->clients[i].fd = -1;
    int r = listen_make(c, path);
    if (r < 0) {
        gm_control_free(c);
        return r;
    }
    *ret_control = c;
    return 0;
}

static void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->n = 0;
}

void gm_control_free(struct gm_control *control)
{
    if (!control)
        return;
    for (int i = 0; i < GM_CONTROL_CLIENTS; i++)
        client_close(&control->clients[i]);
    if (control->listen_fd >= 0)
        close(control->listen_fd);
    if (control->address.sun_path[0])
        unlink(control->address.sun_path);
    free(control);
}

void gm_control_poll_for(const struct gm_control *control, struct pollfd fds[GM_CONTROL_FDS])
{
    fds[0] = (struct pollfd){.fd = control ? control->listen_fd : -1, .events = POLLIN};
    for (int i = 0; i < GM_CONTROL_CLIENTS; i++)
        fds[i + 1] = (struct pollfd){.fd = control ? control->clients[i].fd : -1, .events = POLLIN};
}

/* ---- clients -------------------------------------------------------------------------------------------- */

/* Root may look after anybody's recording; everybody else after their own. */
static bool peer_is_allowed(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* Takes the place of who has been silent longest: clients that say nothing lock nobody out. */
static void client_accept(struct gm_control *c)
{
    struct client *place = &c->clients[0];
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (!peer_is_allowed(fd)) {
        close(fd);
        return;
    }
    for (int i = 1; i < GM_CONTROL_CLIENTS && place->fd >= 0; i++) {
        if (c->clients[i].fd < 0 || c->clients[i].heard < place->heard)
            place = &c->clients[i];
    }
    client_close(place);
    place->fd = fd;
    place->heard = ++c->turn;
}

/* An answer fits the socket's buffer; a client that lets answers pile up is closed. */
static bool client_send(struct client *client, const char *answer)
{
    char line[GM_CONTROL_ANSWER + 1];
    int n = snprintf(line, sizeof line, "%s\n", answer);
    return send(client->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

static void client_line(struct gm_control *c, struct client *client, char *line)
{
    char answer[GM_CONTROL_ANSWER] = "";
    size_t n = strlen(line);
    if (n > 0 && line[n - 1] == '\r')
        line[n - 1] = 0;
    c->handler(c->context, line, answer);
    if (!client_send(client, answer))
        client_close(client);
}

static void client_serve(struct gm_control *c, struct client *client)
{
    ssize_t got =
        recv(client->fd, client->line + client->n, sizeof client->line - client->n, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_close(client);
        return;
    }
    client->heard = ++c->turn;
    client->n += (size_t)got;
    char *newline;
    while (client->fd >= 0 && (newline = memchr(client->line, '\n', client->n))) {
        size_t used = (size_t)(newline - client->line) + 1;
        *newline = 0;
        client_line(c, client, client->line);
        client->n = client->fd >= 0 ? client->n - used : 0;
        memmove(client->line, client->line + used, client->n);
    }
    if (client->n == sizeof client->line) {
        client_send(client, "{\"ok\":false,\"error\":\"the line is too long\"}");
        client_close(client);
    }
}

void gm_control_serve(struct gm_control *control, const struct pollfd fds[GM_CONTROL_FDS])
{
    if (!control)
        return;
    for (int i = 0; i < GM_CONTROL_CLIENTS; i++) {
        if (fds[i + 1].revents && control->clients[i].fd == fds[i + 1].fd && fds[i + 1].fd >= 0)
            client_serve(control, &control->clients[i]);
    }
    if (fds[0].revents && fds[0].fd >= 0)
        client_accept(control);
}
