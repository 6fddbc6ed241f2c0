/* load_run.c - one thread that sends what is due, and takes what has come. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "load.h"

#define IN_FLIGHT 8    /* for each connection, where there is no rate */
#define FILL_FLIGHT 64 /* while documents are put */
#define NEVER UINT64_MAX

struct run {
    const struct load_options *options;
    struct load_pipe *pipe;
    size_t pipes;
    uint64_t random;
    uint64_t in_flight, sent;
    struct load_result *result;
    size_t latency_room;
    int error; /* -ENOMEM while replies were counted */
};

static void reply_count(void *arg, uint64_t due_ns, int is_refusal)
{
    struct run *run = arg;
    struct load_result *result = run->result;
    run->in_flight--;
    result->refused += is_refusal != 0;
    if (result->answered == run->latency_room) {
        size_t room = run->latency_room ? 2 * run->latency_room : 4096;
        uint64_t *larger = realloc(result->latency_ns, room * sizeof *larger);
        if (!larger) {
            run->error = -ENOMEM;
            return;
        }
        result->latency_ns = larger;
        run->latency_room = room;
    }
    result->latency_ns[result->answered++] = load_now_ns() - due_ns;
}

static int run_open(
    struct run *run, const struct load_options *options, size_t pipes, struct load_result *result)
{
    *run = (struct run){.options = options, .random = options->seed, .result = result};
    run->pipe = calloc(pipes, sizeof *run->pipe);
    if (!run->pipe)
        return -ENOMEM;
    for (; run->pipes < pipes; run->pipes++) {
        int r = load_pipe_open(options->socket, &run->pipe[run->pipes]);
        if (r < 0)
            return r;
    }
    return 0;
}

static void run_close(struct run *run)
{
    for (size_t i = 0; i < run->pipes; i++)
        load_pipe_close(&run->pipe[i]);
    free(run->pipe);
}

/* Waits until a reply or room for a request is there, or `until_ns`; then takes and sends what can be. */
static int run_turn(struct run *run, uint64_t until_ns)
{
    struct pollfd ready[LOAD_CONNECTIONS_MAX];
    uint64_t now = load_now_ns(), wait = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
    for (size_t i = 0; i < run->pipes; i++)
        ready[i] = (struct pollfd){.fd = run->pipe[i].fd,
            .events = (short)(POLLIN | (run->pipe[i].out_length ? POLLOUT : 0))};
    if (ppoll(ready, run->pipes, until_ns == NEVER ? NULL : &timeout, NULL) < 0)
        return errno == EINTR ? 0 : -errno;
    for (size_t i = 0; i < run->pipes; i++) {
        int r = load_pipe_receive(&run->pipe[i], reply_count, run);
        if (r < 0 || (r = load_pipe_send(&run->pipe[i])) < 0)
            return r;
    }
    return run->error;
}

static int run_add(struct run *run, struct load_pipe *pipe, uint64_t due_ns)
{
    char line[LOAD_LINE_MAX];
    int is_put = load_random(&run->random) % 100 < run->options->puts;
    size_t length =
        is_put ? load_put_line(run->options, load_random(&run->random) % run->options->documents,
                     &run->random, line)
               : load_find_line(run->options, &run->random, line);
    run->in_flight++;
    run->sent++;
    return load_pipe_add(pipe, line, length, due_ns);
}

static int run_drain(struct run *run)
{
    int r = 0;
    while (r == 0 && run->in_flight)
        r = run_turn(run, NEVER);
    return r;
}

/* Time to the next of requests that come independently of each other: exponentially distributed. */
static uint64_t pause_ns(struct run *run)
{
    double even = ((double)(load_random(&run->random) >> 11) + 1) / (double)(1ull << 53);
    return (uint64_t)(-log(even) * 1e9 / (double)run->options->rate);
}

static int run_open_loop(struct run *run, uint64_t end_ns)
{
    uint64_t due_ns = run->result->start_ns + pause_ns(run);
    int r = 0;
    while (r == 0 && due_ns < end_ns) {
        for (uint64_t now = load_now_ns(); r == 0 && due_ns <= now && due_ns < end_ns;
             due_ns += pause_ns(run)) {
            struct load_pipe *pipe = &run->pipe[run->sent % run->pipes];
            r = run_add(run, pipe, due_ns);
            if (r == 0)
                r = load_pipe_send(pipe);
        }
        if (r == 0)
            r = run_turn(run, due_ns);
    }
    return r;
}

static int run_closed_loop(struct run *run, uint64_t end_ns)
{
    int r = 0;
    while (r == 0 && load_now_ns() < end_ns) {
        for (size_t i = 0; r == 0 && i < run->pipes; i++)
            while (r == 0 && run->pipe[i].due_count < IN_FLIGHT)
                r = run_add(run, &run->pipe[i], load_now_ns());
        if (r == 0)
            r = run_turn(run, NEVER);
    }
    return r;
}

int load_run(const struct load_options *options, struct load_result *ret_result)
{
    struct run run;
    struct load_result result = {0};
    int r = run_open(&run, options, options->connections, &result);
    result.start_ns = load_now_ns();
    uint64_t end_ns = result.start_ns + options->seconds * 1000000000u;
    if (r == 0)
        r = options->rate ? run_open_loop(&run, end_ns) : run_closed_loop(&run, end_ns);
    if (r == 0)
        r = run_drain(&run);
    result.end_ns = load_now_ns();
    run_close(&run);
    if (r < 0)
        free(result.latency_ns);
    else
        *ret_result = result;
    return r;
}

int load_fill(const struct load_options *options)
{
    struct run run;
    struct load_result result = {0};
    char line[LOAD_LINE_MAX];
    int r = run_open(&run, options, 1, &result);
    for (uint64_t id = 0; r == 0 && id < options->documents; id++) {
        size_t length = load_put_line(options, id, &run.random, line);
        run.in_flight++;
        r = load_pipe_add(&run.pipe[0], line, length, 0);
        while (r == 0 && run.in_flight >= FILL_FLIGHT)
            r = run_turn(&run, NEVER);
    }
    if (r == 0)
        r = run_drain(&run);
    run_close(&run);
    free(result.latency_ns);
    return r < 0 || !result.refused ? r : -EPROTO;
}

static int line_receive(int fd, char *reply)
{
    size_t filled = 0;
    while (!filled || reply[filled - 1] != '\n') {
        ssize_t got = recv(fd, reply + filled, LOAD_LINE_MAX - 1 - filled, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EPROTO;
        filled += (size_t)got;
    }
    reply[filled] = 0;
    return strncmp(reply, "OK", 2) != 0 ? -EPROTO : 0;
}

int load_ask(const struct load_options *options, const char *line, char ret_reply[LOAD_LINE_MAX])
{
    struct load_pipe pipe;
    int r = load_pipe_open(options->socket, &pipe);
    if (r < 0)
        return r;
    r = load_pipe_add(&pipe, line, strlen(line), 0);
    if (r == 0)
        r = load_pipe_send(&pipe);
    if (r == 0)
        r = line_receive(pipe.fd, ret_reply);
    load_pipe_close(&pipe);
    return r;
}
