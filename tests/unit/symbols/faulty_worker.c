/* faulty_worker.c - stands in for geomem-symbolize and does what a module's path says: answers, dies, lies. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/symbols/protocol.h"

static struct gm_symmsg_buffer in, out;

static void flush(void)
{
    while (out.first < out.end) {
        ssize_t sent = send(0, out.bytes + out.first, out.end - out.first, MSG_NOSIGNAL);
        if (sent <= 0)
            _exit(1);
        out.first += (size_t)sent;
    }
    gm_symmsg_buffer_clear(&out);
}

static void source(uint32_t value)
{
    gm_symmsg_begin(&out, GM_SYMMSG_SOURCE);
    gm_symmsg_put_u32(&out, value);
    gm_symmsg_end(&out);
}

static void frame(uint32_t index, uint32_t lines)
{
    gm_symmsg_begin(&out, GM_SYMMSG_FRAME);
    gm_symmsg_put_u32(&out, index);
    gm_symmsg_put_u32(&out, lines);
    for (uint32_t i = 0; i < lines; i++) {
        gm_symmsg_put_u32(&out, i);
        gm_symmsg_put_text(&out, "named");
        gm_symmsg_put_text(&out, "");
    }
    gm_symmsg_end(&out);
}

static void noise(void)
{
    uint32_t state = 12345;
    uint8_t *to = gm_symmsg_buffer_reserve(&out, 4096);
    for (size_t i = 0; i < 4096; i++) {
        state = state * 1664525 + 1013904223;
        to[i] = (uint8_t)(state >> 24);
    }
    out.end += 4096;
    flush();
}

static void lookup(struct gm_symmsg_reader *reader)
{
    const char *path = gm_symmsg_get_text(reader, 4096);
    gm_symmsg_get_text(reader, 4096);
    uint32_t count = gm_symmsg_get_u32(reader);
    gm_symmsg_begin(&out, GM_SYMMSG_BEGIN);
    gm_symmsg_end(&out);
    flush();
    if (strcmp(path, "/crash") == 0)
        raise(SIGKILL);
    source(strcmp(path, "/bad-source") == 0 ? 99 : 1);
    if (strcmp(path, "/noise") == 0)
        noise();
    uint32_t answers = strcmp(path, "/half") == 0 ? count / 2 : count;
    for (uint32_t i = answers; i-- > 0;)
        frame(strcmp(path, "/twice") == 0    ? 0
              : strcmp(path, "/beyond") == 0 ? i + 1
                                             : i,
            strcmp(path, "/deep") == 0 ? 5000 : 2);
    flush();
    if (strcmp(path, "/half") == 0)
        raise(SIGKILL);
    if (strcmp(path, "/last") == 0)
        _exit(0);
}

int main(void)
{
    struct gm_symmsg_reader reader;
    uint32_t kind;
    if (strcmp(getenv("FAULT") ? getenv("FAULT") : "", "early") == 0)
        return 3;
    gm_symmsg_begin(&out, GM_SYMMSG_HELLO);
    gm_symmsg_put_u32(&out, GM_SYMMSG_VERSION);
    gm_symmsg_end(&out);
    flush();
    for (;;) {
        uint8_t *to = gm_symmsg_buffer_reserve(&in, 4096);
        ssize_t got = recv(0, to, 4096, 0);
        if (got <= 0)
            return 0;
        in.end += (size_t)got;
        while (gm_symmsg_next(&in, &kind, &reader) > 0)
            lookup(&reader);
    }
}
