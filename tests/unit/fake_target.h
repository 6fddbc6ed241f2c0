/* fake_target.h - for tests of the recorder: the target's side of the handshake and of a ring, as plainly as
 * schemas/wire.h allows. Runs in a forked child, which must use nothing of the test framework. */
#ifndef GM_TESTS_FAKE_TARGET_H
#define GM_TESTS_FAKE_TARGET_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector/session.h"
#include "schemas/wire.h"

struct fake_target {
    int memfd; /* kept, unlike a real target's, for tests that attack it */
    uint32_t status;
    struct gm_session *session;
};

static inline int fake_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        _exit(91);
    return fd;
}

static inline struct fake_target fake_hello(
    const char *path, enum gm_hello_kind kind, uint64_t parent)
{
    struct fake_target t = {.memfd = -1};
    struct gm_hello hello = {.magic = GM_SESSION_MAGIC,
        .version = GM_WIRE_VERSION,
        .kind = kind,
        .pid = getpid(),
        .parent_session_id = parent};
    struct gm_welcome welcome = {0};
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof welcome};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd = fake_connect(path);
    if (send(fd, &hello, sizeof hello, 0) != sizeof hello ||
        recvmsg(fd, &message, 0) != sizeof welcome)
        _exit(92);
    close(fd);
    t.status = welcome.status;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c)
        memcpy(&t.memfd, CMSG_DATA(c), sizeof t.memfd);
    if (t.memfd >= 0) {
        void *map =
            mmap(NULL, welcome.session_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t.memfd, 0);
        if (map == MAP_FAILED)
            _exit(93);
        t.session = map;
    }
    return t;
}

static inline struct gm_ring *fake_ring(const struct fake_target *t, uint32_t ring)
{
    return (struct gm_ring *)((char *)t->session + GM_SESSION_HEADER_BYTES) + ring;
}

/* One record, waiting for room. The stamp is put in where the record has one. */
static inline void fake_put(
    const struct fake_target *t, uint32_t ring, const uint64_t *record, unsigned words)
{
    struct gm_ring *r = fake_ring(t, ring);
    uint64_t *data = (uint64_t *)((char *)t->session + t->session->ring_data_offset) +
                     (size_t)ring * t->session->ring_words;
    uint64_t head = atomic_load(&r->head);
    while (head + words - atomic_load(&r->tail) > t->session->ring_words)
        usleep(100);
    atomic_store(&r->busy, 1);
    uint64_t stamp = gm_clock_read((enum gm_clock)t->session->clock) & GM_STAMP_MASK;
    for (unsigned i = 0; i < words; i++)
        data[(head + i) & (t->session->ring_words - 1)] = i ? record[i] : record[0] | stamp << 16;
    atomic_store(&r->head, head + words);
    atomic_store(&r->busy, 0);
}

static inline void fake_alloc(
    const struct fake_target *t, uint32_t ring, uint64_t address, uint64_t bytes)
{
    uint64_t w[] = {
        gm_rec_word0(GM_EV_ALLOC, 4, 0), address, gm_size_pack(bytes, GM_FN_malloc, 0), 0};
    fake_put(t, ring, w, 4);
}

static inline void fake_free(const struct fake_target *t, uint32_t ring, uint64_t address)
{
    uint64_t w[] = {gm_rec_word0(GM_EV_FREE, 2, 0), address};
    fake_put(t, ring, w, 2);
}

static inline void fake_end(const struct fake_target *t, enum gm_end_kind kind, int value)
{
    atomic_store(&t->session->end_value, value);
    atomic_store(&t->session->end_kind, (uint32_t)kind);
}

#endif
