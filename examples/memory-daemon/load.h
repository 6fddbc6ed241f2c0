/* load.h - what the parts of memory-daemon-load share: what is to be done, and what came of it. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

#define LOAD_LINE_MAX ((size_t)1 << 16)
#define LOAD_CONNECTIONS_MAX 64

struct load_options {
    uint64_t documents, words, rate, seconds, connections, puts, fill, seed;
    const char *socket;
};

struct load_result {
    uint64_t answered, refused;
    uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
    uint64_t *latency_ns;      /* as many as were answered; the caller frees it */
};

/* All return 0 or a negative errno; -EPROTO: the daemon answered what it should not. */

/* Puts all documents, as fast as they are taken. */
int load_fill(const struct load_options *options);

int load_run(const struct load_options *options, struct load_result *ret_result);

/* Asks one thing and waits for the reply. */
int load_ask(const struct load_options *options, const char *line, char ret_reply[LOAD_LINE_MAX]);

/* ---- what is asked (load_text.c) ---- */
/* xorshift64* (S. Vigna, 2016) */
uint64_t load_random(uint64_t *state);
/* Writes a line of at most LOAD_LINE_MAX bytes; returns its length. */
size_t load_put_line(const struct load_options *options, uint64_t id, uint64_t *random, char *line);
size_t load_find_line(const struct load_options *options, uint64_t *random, char *line);

/* ---- a connection that never waits (load_pipe.c) ---- */
struct load_pipe {
    int fd;
    char *out; /* what could not be sent yet */
    size_t out_length, out_room;
    char last; /* byte that was received; a line begins after '\n' */
    int is_refusal;
    uint64_t *due_ns; /* of requests that are on their way, in order */
    size_t due_first, due_count, due_room;
};
int load_pipe_open(const char *socket, struct load_pipe *ret_pipe);
void load_pipe_close(struct load_pipe *pipe);
/* Queues a line, to be sent by load_pipe_send. */
int load_pipe_add(struct load_pipe *pipe, const char *line, size_t length, uint64_t due_ns);
int load_pipe_send(struct load_pipe *pipe);
/* Takes what has come: calls answered for each whole reply. */
typedef void load_answered(void *arg, uint64_t due_ns, int is_refusal);
int load_pipe_receive(struct load_pipe *pipe, load_answered *answered, void *arg);

uint64_t load_now_ns(void);

#endif
