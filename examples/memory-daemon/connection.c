/* connection.c - see connection.h. What lives as long as the connection is explicit memory, freed when it ends: the
 * connection itself, and the buffer for what was read. Neither points to collected memory, so that the collector need
 * not read them. */
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "geomem/geomem.h"
#include "request.h"

#define LINE_MAX_BYTES ((size_t)1 << 16)

struct connection {
    struct connections *all;
    struct connection *next, *before;
    int fd;
    size_t filled; /* of the buffer */
    char *buffer;
};

void connections_init(struct connections *connections, struct index *index)
{
    *connections = (struct connections){.index = index};
    pthread_mutex_init(&connections->lock, NULL);
    pthread_cond_init(&connections->ended, NULL);
}

static int bytes_send(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* Answers all whole lines in the buffer, and keeps the rest at its beginning. */
static int lines_answer(struct connection *connection)
{
    char *line = connection->buffer, *end;
    size_t left = connection->filled;
    while ((end = memchr(line, '\n', left))) {
        const struct reply *reply =
            request_answer(connection->all->index, line, (size_t)(end - line));
        const struct text *joined = reply_join(reply);
        int r = bytes_send(connection->fd, joined->bytes, joined->length);
        if (r < 0)
            return r;
        left -= (size_t)(end + 1 - line);
        line = end + 1;
    }
    memmove(connection->buffer, line, left);
    connection->filled = left;
    return left < LINE_MAX_BYTES ? 0 : -EMSGSIZE;
}

static void connection_serve(struct connection *connection)
{
    for (;;) {
        ssize_t got = recv(connection->fd, connection->buffer + connection->filled,
            LINE_MAX_BYTES - connection->filled, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return; /* the client is gone, or the daemon ends */
        connection->filled += (size_t)got;
        if (lines_answer(connection) < 0)
            return;
    }
}

static void connection_free(struct connection *connection)
{
    close(connection->fd);
    geomem_free(connection->buffer);
    geomem_free(connection);
}

static void *connection_run(void *arg)
{
    struct connection *connection = arg;
    struct connections *all = connection->all;
    connection_serve(connection);
    pthread_mutex_lock(&all->lock);
    if (connection->before)
        connection->before->next = connection->next;
    else
        all->first = connection->next;
    if (connection->next)
        connection->next->before = connection->before;
    connection_free(connection);
    pthread_cond_signal(&all->ended);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static struct connection *connection_new(struct connections *all, int fd)
{
    struct connection *connection = geomem_calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->all = all;
    connection->fd = fd;
    connection->buffer = geomem_alloc(LINE_MAX_BYTES);
    if (connection->buffer)
        return connection;
    geomem_free(connection);
    return NULL;
}

int connection_start(struct connections *all, int fd)
{
    struct connection *connection = connection_new(all, fd);
    if (!connection) {
        close(fd);
        return -ENOMEM;
    }
    pthread_t thread;
    pthread_mutex_lock(&all->lock); /* the thread can end only after it stands in the list */
    int r = -pthread_create(&thread, NULL, connection_run, connection);
    if (r < 0) {
        connection_free(connection);
    } else {
        pthread_detach(thread);
        connection->next = all->first;
        if (all->first)
            all->first->before = connection;
        all->first = connection;
    }
    pthread_mutex_unlock(&all->lock);
    return r;
}

void connections_end(struct connections *all)
{
    pthread_mutex_lock(&all->lock);
    for (struct connection *connection = all->first; connection; connection = connection->next)
        shutdown(connection->fd, SHUT_RDWR);
    while (all->first)
        pthread_cond_wait(&all->ended, &all->lock);
    pthread_mutex_unlock(&all->lock);
}
