/* load_pipe.c - a connection on which requests are sent without waiting for the replies of those before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

uint64_t load_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int load_pipe_open(const char *path, struct load_pipe *ret_pipe)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    *ret_pipe = (struct load_pipe){.fd = fd, .last = '\n'};
    return 0;
}

void load_pipe_close(struct load_pipe *pipe)
{
    if (pipe->fd >= 0)
        close(pipe->fd);
    free(pipe->out);
    free(pipe->due_ns);
    *pipe = (struct load_pipe){.fd = -1};
}

static int out_grow(struct load_pipe *pipe, size_t wanted)
{
    if (wanted <= pipe->out_room)
        return 0;
    char *larger = realloc(pipe->out, 2 * wanted);
    if (!larger)
        return -ENOMEM;
    pipe->out = larger;
    pipe->out_room = 2 * wanted;
    return 0;
}

/* What has been answered leaves at the front; room is taken anew only when most of it is in use. */
static int due_grow(struct load_pipe *pipe)
{
    if (pipe->due_first + pipe->due_count < pipe->due_room)
        return 0;
    if (pipe->due_first < pipe->due_room / 2 || !pipe->due_room) {
        size_t room = pipe->due_room ? 2 * pipe->due_room : 256;
        uint64_t *larger = realloc(pipe->due_ns, room * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        pipe->due_ns = larger;
        pipe->due_room = room;
    }
    memmove(pipe->due_ns, pipe->due_ns + pipe->due_first, pipe->due_count * sizeof *pipe->due_ns);
    pipe->due_first = 0;
    return 0;
}

int load_pipe_add(struct load_pipe *pipe, const char *line, size_t length, uint64_t due_ns)
{
    int r = out_grow(pipe, pipe->out_length + length);
    if (r < 0 || (r = due_grow(pipe)) < 0)
        return r;
    memcpy(pipe->out + pipe->out_length, line, length);
    pipe->out_length += length;
    pipe->due_ns[pipe->due_first + pipe->due_count++] = due_ns;
    return 0;
}

int load_pipe_send(struct load_pipe *pipe)
{
    size_t at = 0;
    while (at < pipe->out_length) {
        ssize_t sent =
            send(pipe->fd, pipe->out + at, pipe->out_length - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            return -errno;
        at += (size_t)sent;
    }
    if (at) /* else there may not even be a buffer */
        memmove(pipe->out, pipe->out + at, pipe->out_length - at);
    pipe->out_length -= at;
    return 0;
}

static int bytes_take(
    struct load_pipe *pipe, const char *bytes, size_t count, load_answered *answered, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        if (pipe->last == '\n')
            pipe->is_refusal = bytes[i] != 'O';
        pipe->last = bytes[i];
        if (bytes[i] != '\n')
            continue;
        if (!pipe->due_count)
            return -EPROTO;
        pipe->due_count--;
        answered(arg, pipe->due_ns[pipe->due_first++], pipe->is_refusal);
    }
    return 0;
}

int load_pipe_receive(struct load_pipe *pipe, load_answered *answered, void *arg)
{
    char bytes[16384];
    for (;;) {
        ssize_t got = recv(pipe->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got <= 0)
            return got < 0 ? -errno : -ECONNRESET;
        int r = bytes_take(pipe, bytes, (size_t)got, answered, arg);
        if (r < 0 || (size_t)got < sizeof bytes)
            return r;
    }
}
