/* worker.c - geomem-symbolize: reads symbol files for the recorder, and may die of them.
 *
 *   standard input = socket to the client: LOOKUP in, SOURCE and FRAMEs out (protocol.h)
 *
 * It has one thread, reads one module at a time, and keeps the last few open. What protects the
 * machine from a hostile file is set before the first is opened: a bound on memory, a bound on the
 * CPU time one answer may take, no core files, first choice of the out-of-memory killer. What
 * protects the recording is that this is a process.
 */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/symbols/client.h"
#include "collector/symbols/module.h"
#include "collector/symbols/protocol.h"

#define CPU_SECONDS_PER_ANSWER 60 /* arbitrary; bench/symbols: opening python3's DWARF takes 0.1 */
#define STACK_BYTES (64ul << 20)  /* the demangler recurses: names.c */
#define MAX_OPEN 4                /* modules kept open, and ... */
#define MAX_OPEN_BYTES \
    (UINT64_C(512) << 20) /* ... the size of their files that ends it; arbitrary */
#define FLUSH_BYTES (16u << 10)

struct item { /* one address of a batch */
    uint64_t address;
    uint32_t index;
};

struct worker {
    struct gm_symplaces places;
    struct gm_symmodule *open[MAX_OPEN]; /* latest first */
    struct gm_symmsg_buffer in, out;
    long cpu_seconds; /* for one answer */
};

/* ---- limits ------------------------------------------------------------------------------------
 */

static void limit_lower(int resource, rlim_t value)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur > value) {
        limit.rlim_cur = value;
        setrlimit(resource, &limit);
    }
}

static void stack_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < STACK_BYTES) {
        limit.rlim_cur = limit.rlim_max < STACK_BYTES ? limit.rlim_max : STACK_BYTES;
        setrlimit(RLIMIT_STACK, &limit);
    }
}

static void oom_killer_invite(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "1000", 4) != 4)
        errno = 0; /* not essential */
    close(fd);
}

static void limits_set(void)
{
    unsetenv("DEBUGINFOD_URLS"); /* libdwfl would ask the network without anybody's consent */
    limit_lower(RLIMIT_CORE, 0);
    stack_raise();
    oom_killer_invite();
#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes */
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_bytes > 0)
        limit_lower(RLIMIT_DATA, (rlim_t)pages * (rlim_t)page_bytes / 4);
#endif
}

/* Ends this process by SIGPROF unless called again within the CPU time of one answer. */
static void watchdog_feed(const struct worker *w)
{
    struct itimerval timer = {.it_value.tv_sec = w->cpu_seconds};
    setitimer(ITIMER_PROF, &timer, NULL);
}

/* ---- messages ----------------------------------------------------------------------------------
 */

/* The client is gone or out of step: nobody is left to tell. */
static _Noreturn void worker_quit(void)
{
    _exit(1);
}

static void out_flush(struct worker *w)
{
    if (w->out.failed)
        worker_quit();
    while (w->out.first < w->out.end) {
        ssize_t sent = send(
            STDIN_FILENO, w->out.bytes + w->out.first, w->out.end - w->out.first, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            worker_quit();
        if (sent > 0)
            w->out.first += (size_t)sent;
    }
    gm_symmsg_buffer_clear(&w->out);
}

/* Waits for the next whole message. False: the client has closed the socket. */
static bool message_wait(struct worker *w, uint32_t *ret_kind, struct gm_symmsg_reader *ret_reader)
{
    for (;;) {
        int r = gm_symmsg_next(&w->in, ret_kind, ret_reader);
        if (r != 0)
            return r > 0;
        uint8_t *to = gm_symmsg_buffer_reserve(&w->in, FLUSH_BYTES);
        ssize_t got = to ? recv(STDIN_FILENO, to, FLUSH_BYTES, 0) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        w->in.end += (size_t)got;
    }
}

static const char *text_cut(const char *text, char room[GM_SYMBOLS_MAX_NAME + 1])
{
    if (!text || strlen(text) <= GM_SYMBOLS_MAX_NAME)
        return text;
    memcpy(room, text, GM_SYMBOLS_MAX_NAME - 3);
    memcpy(room + GM_SYMBOLS_MAX_NAME - 3, "...", 4);
    return room;
}

static void frame_put(
    struct worker *w, uint32_t index, const struct gm_symbols_line *lines, size_t count)
{
    char room[GM_SYMBOLS_MAX_NAME + 1];
    gm_symmsg_begin(&w->out, GM_SYMMSG_FRAME);
    gm_symmsg_put_u32(&w->out, index);
    gm_symmsg_put_u32(&w->out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        gm_symmsg_put_u32(&w->out, lines[i].line);
        gm_symmsg_put_text(&w->out, text_cut(lines[i].function, room));
        gm_symmsg_put_text(&w->out, text_cut(lines[i].file, room));
    }
    gm_symmsg_end(&w->out);
}

/* ---- work --------------------------------------------------------------------------------------
 */

static uint64_t open_bytes(const struct worker *w)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < MAX_OPEN && w->open[i]; i++)
        bytes += gm_symmodule_bytes(w->open[i]);
    return bytes;
}

static void oldest_close(struct worker *w, size_t keep)
{
    for (size_t i = MAX_OPEN; i-- > keep;)
        if (w->open[i]) {
            gm_symmodule_free(w->open[i]);
            w->open[i] = NULL;
            return;
        }
}

/* The module, opened if need be and first of those open. NULL without memory. */
static struct gm_symmodule *module_get(struct worker *w, const char *path, const char *build_id)
{
    struct gm_symmodule *module = NULL;
    size_t i = 0;
    while (i < MAX_OPEN && w->open[i] && !gm_symmodule_is(w->open[i], path, build_id))
        i++;
    if (i < MAX_OPEN && w->open[i]) {
        module = w->open[i];
    } else {
        if (i == MAX_OPEN)
            gm_symmodule_free(w->open[--i]);
        w->open[i] = NULL;
        if (gm_symmodule_open(&w->places, path, build_id, &module) < 0)
            return NULL;
    }
    memmove(&w->open[1], &w->open[0], i * sizeof w->open[0]);
    w->open[0] = module;
    while (w->open[1] && open_bytes(w) > MAX_OPEN_BYTES)
        oldest_close(w, 1);
    return module;
}

static int item_compare(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    return a->address == b->address ? 0 : a->address < b->address ? -1 : 1;
}

static void batch_answer(
    struct worker *w, struct gm_symmodule *module, struct item *items, uint32_t count)
{
    struct gm_symbols_line lines[GM_SYMBOLS_MAX_LINES];
    qsort(items, count, sizeof *items, item_compare); /* neighbours share tables and pages */
    for (uint32_t i = 0; i < count; i++) {
        watchdog_feed(w);
        frame_put(w, items[i].index, lines, gm_symmodule_find(module, items[i].address, lines));
        if (w->out.end - w->out.first >= FLUSH_BYTES)
            out_flush(w);
    }
    out_flush(w);
}

static void lookup_do(struct worker *w, struct gm_symmsg_reader *reader)
{
    static struct item items[GM_SYMMSG_MAX_BATCH];
    const char *path = gm_symmsg_get_text(reader, GM_SYMMSG_MAX_BYTES);
    const char *build_id = gm_symmsg_get_text(reader, GM_SYMMSG_MAX_BYTES);
    uint32_t count = gm_symmsg_get_u32(reader);
    if (count > GM_SYMMSG_MAX_BATCH)
        worker_quit();
    for (uint32_t i = 0; i < count; i++) {
        items[i].address = gm_symmsg_get_u64(reader);
        items[i].index = i;
        /* A return address may be the first byte behind the function that called. */
        if (!gm_symmsg_get_u32(reader) && items[i].address)
            items[i].address--;
    }
    if (!gm_symmsg_complete(reader))
        worker_quit();
    gm_symmsg_begin(&w->out, GM_SYMMSG_BEGIN);
    gm_symmsg_end(&w->out);
    out_flush(w);
    watchdog_feed(w);
    struct gm_symmodule *module = module_get(w, path, build_id);
    if (!module)
        worker_quit();
    gm_symmsg_begin(&w->out, GM_SYMMSG_SOURCE);
    gm_symmsg_put_u32(&w->out, gm_symmodule_source(module));
    gm_symmsg_end(&w->out);
    batch_answer(w, module, items, count);
}

static int options_read(int argc, char **argv, struct worker *w)
{
    static const struct option options[] = {{"sysroot", required_argument, NULL, 's'},
        {"debug-dir", required_argument, NULL, 'd'}, {"cpu-seconds", required_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'V'}, {0}};
    struct gm_symplaces *places = &w->places;
    int option;
    w->cpu_seconds = CPU_SECONDS_PER_ANSWER;
    places->debug_dirs = calloc((size_t)argc + 1, sizeof *places->debug_dirs);
    if (!places->debug_dirs)
        return 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's') {
            places->sysroot = optarg;
        } else if (option == 'd') {
            places->debug_dirs[places->debug_dir_count++] = optarg;
        } else if (option == 'c') {
            w->cpu_seconds = atol(optarg);
        } else if (option == 'V') {
            printf("geomem-symbolize %s (libdw %s)\n", GEOMEM_VERSION, dwfl_version(NULL));
            exit(0);
        } else {
            return 2;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct worker w = {0};
    struct gm_symmsg_reader reader;
    uint32_t kind;
    int type, r = options_read(argc, argv, &w);
    if (r)
        goto out;
    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type}) < 0) {
        fputs("geomem-symbolize: standard input is no socket: geomem-record and geomem-report run "
              "this program, it does nothing by itself\n",
            stderr);
        r = 2;
        goto out;
    }
    limits_set();
    elf_version(EV_CURRENT);
    gm_symmsg_begin(&w.out, GM_SYMMSG_HELLO);
    gm_symmsg_put_u32(&w.out, GM_SYMMSG_VERSION);
    gm_symmsg_end(&w.out);
    out_flush(&w);
    while (message_wait(&w, &kind, &reader) && kind == GM_SYMMSG_LOOKUP)
        lookup_do(&w, &reader);
    for (size_t i = 0; i < MAX_OPEN; i++)
        gm_symmodule_free(w.open[i]);
    gm_symmsg_buffer_done(&w.in);
    gm_symmsg_buffer_done(&w.out);
out:
    free(w.places.debug_dirs);
    return r;
}
