/* client.c - see client.h: what is known of modules, what waits, and who gets it next. The other half, what
 * comes back, is in answers.c. */
#include "collector/symbols/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/symbols/queues.h"

#define MAX_MODULE_ID (1u << 24)
#define DEFAULT_WORKERS 4

const char *gm_symbols_source_name(enum gm_symbols_source source)
{
    switch (source) {
    case GM_SYMBOLS_NONE:
        return "none";
    case GM_SYMBOLS_SYMTAB:
        return "symtab";
    case GM_SYMBOLS_DEBUG:
        return "debug";
    }
    return "none";
}

/* ---- creation ----------------------------------------------------------------------------------
 */

/* Beside the program: build/X/bin and build/X/libexec/geomem, or the same below an installation's
 * prefix. */
static char *worker_path_find(void)
{
    char self[PATH_MAX], *path;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        self[length] = 0;
        for (int levels = 2; levels > 0 && strrchr(self, '/'); levels--)
            *strrchr(self, '/') = 0;
        if (asprintf(&path, "%s/libexec/geomem/geomem-symbolize", self) < 0)
            return NULL;
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return strdup(GM_LIBEXECDIR "/geomem-symbolize");
}

__attribute__((format(printf, 3, 4))) static int argument_add(
    struct gm_symbols *s, size_t *count, const char *format, ...)
{
    va_list values;
    char *text;
    va_start(values, format);
    int length = vasprintf(&text, format, values);
    va_end(values);
    if (length < 0)
        return -ENOMEM;
    s->argv[(*count)++] = text;
    return 0;
}

static int arguments_build(struct gm_symbols *s, const struct gm_symbols_options *options)
{
    size_t count = 0;
    s->argv = calloc(options->debug_dir_count + 4, sizeof *s->argv);
    if (!s->argv || !(s->argv[count++] = strdup(s->worker_path)))
        return -ENOMEM;
    int r = 0;
    if (options->sysroot)
        r = argument_add(s, &count, "--sysroot=%s", options->sysroot);
    for (size_t i = 0; i < options->debug_dir_count && r == 0; i++)
        r = argument_add(s, &count, "--debug-dir=%s", options->debug_dirs[i]);
    if (options->cpu_seconds && r == 0)
        r = argument_add(s, &count, "--cpu-seconds=%u", options->cpu_seconds);
    return r;
}

static unsigned worker_count(unsigned wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted)
        return wanted < GM_SYMBOLS_MAX_WORKERS ? wanted : GM_SYMBOLS_MAX_WORKERS;
    if (processors < 1)
        return 1;
    return processors < DEFAULT_WORKERS ? (unsigned)processors : DEFAULT_WORKERS;
}

int gm_symbols_create(const struct gm_symbols_options *options, struct gm_symbols **ret_symbols)
{
    int r = -ENOMEM;
    struct gm_symbols *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->keep_stderr = options->keep_stderr;
    s->slot_count = worker_count(options->workers);
    s->slots = calloc(s->slot_count, sizeof *s->slots);
    s->worker_path = options->worker_path ? strdup(options->worker_path) : worker_path_find();
    if (!s->slots || !s->worker_path)
        goto out;
    r = access(s->worker_path, X_OK) == 0 ? 0 : -ENOENT;
    if (r == 0)
        r = arguments_build(s, options);
    if (r < 0)
        goto out;
    *ret_symbols = s;
    return 0;
out:
    gm_symbols_free(s);
    return r;
}

static void module_free(struct module *module)
{
    if (!module)
        return;
    free(module->path);
    free(module->build_id);
    free(module->queue);
    free(module);
}

void gm_symbols_free(struct gm_symbols *s)
{
    if (!s)
        return;
    for (unsigned i = 0; s->slots && i < s->slot_count; i++)
        gm_symworker_done(&s->slots[i].process);
    for (size_t i = 0; i < s->module_room; i++)
        module_free(s->modules[i]);
    for (size_t i = 0; s->argv && s->argv[i]; i++)
        free(s->argv[i]);
    free(s->argv);
    free(s->slots);
    free(s->modules);
    free(s->ready);
    free(s->worker_path);
    free(s);
}

uint64_t gm_symbols_stop(struct gm_symbols *s)
{
    uint64_t cpu_ns = 0;
    for (unsigned i = 0; i < s->slot_count; i++) {
        if (s->slots[i].process.pid)
            gm_symbols_recall(s, &s->slots[i]);
        gm_symworker_stop(&s->slots[i].process);
        cpu_ns += s->slots[i].process.cpu_ns;
    }
    return cpu_ns;
}

/* ---- modules and requests ----------------------------------------------------------------------
 */

static struct module *module_of(const struct gm_symbols *s, uint32_t module_id)
{
    return module_id < s->module_room ? s->modules[module_id] : NULL;
}

static int modules_grow(struct gm_symbols *s, uint32_t module_id)
{
    if (module_id < s->module_room)
        return 0;
    size_t room = (size_t)module_id + 64 + module_id / 2;
    struct module **grown = realloc(s->modules, room * sizeof(struct module *));
    if (!grown)
        return -ENOMEM;
    memset(grown + s->module_room, 0, (room - s->module_room) * sizeof(struct module *));
    s->modules = grown;
    s->module_room = room;
    return 0;
}

int gm_symbols_module(
    struct gm_symbols *s, uint32_t module_id, const char *path, const char *build_id)
{
    if (module_id == 0 || module_id > MAX_MODULE_ID || module_of(s, module_id) ||
        strlen(path) >= PATH_MAX + sizeof " (deleted)" || strlen(build_id) > 128)
        return -EINVAL;
    struct module *module = calloc(1, sizeof *module);
    if (!module)
        return -ENOMEM;
    module->path = strdup(path);
    module->build_id = strdup(build_id);
    module->source = GM_SYMBOLS_SOURCE_UNKNOWN;
    module->last_worker = -1;
    if (!module->path || !module->build_id || modules_grow(s, module_id) < 0) {
        module_free(module);
        return -ENOMEM;
    }
    s->modules[module_id] = module;
    return 0;
}

/* Room for one more in an array of v[n]. */
static int array_grow(void **v, size_t n, size_t *room, size_t item_bytes)
{
    if (n < *room)
        return 0;
    size_t wanted = *room ? *room * 2 : 64;
    void *grown = realloc(*v, wanted * item_bytes);
    if (!grown)
        return -ENOMEM;
    *v = grown;
    *room = wanted;
    return 0;
}

static void queue_compact(struct module *module)
{
    module->end -= module->first;
    memmove(module->queue, module->queue + module->first, module->end * sizeof *module->queue);
    module->first = 0;
}

int gm_symbols_request(
    struct gm_symbols *s, uint32_t frame_id, uint32_t module_id, uint64_t address, bool exact_pc)
{
    struct module *module = module_of(s, module_id);
    if (!module)
        return -EINVAL;
    if (module->first == module->end)
        module->first = module->end = 0;
    if (module->end == module->room && module->first > module->room / 2)
        queue_compact(module);
    if (array_grow((void **)&module->queue, module->end, &module->room, sizeof *module->queue) <
            0 ||
        array_grow((void **)&s->ready, s->ready_count, &s->ready_room, sizeof *s->ready) < 0)
        return -ENOMEM;
    module->queue[module->end++] = (struct request){address, frame_id, exact_pc};
    if (!module->listed)
        s->ready[s->ready_count++] = module_id;
    module->listed = true;
    s->pending++;
    return 0;
}

size_t gm_symbols_pending(const struct gm_symbols *s)
{
    return s->pending;
}

const char *gm_symbols_message(const struct gm_symbols *s)
{
    return s->message;
}

/* ---- handing out work --------------------------------------------------------------------------
 */

void gm_symbols_hurry(struct gm_symbols *s)
{
    s->hurried = true;
    for (unsigned i = 0; i < s->slot_count; i++)
        if (s->slots[i].process.pid && gm_symworker_raise(&s->slots[i].process) < 0) {
            gm_symbols_recall(s, &s->slots[i]);
            gm_symworker_stop(&s->slots[i].process);
        }
}

/* The module a worker should take next: one whose file it has open, else one no other has, else
 * any; among these the one with most to do. 0: none. */
static uint32_t module_choose(const struct gm_symbols *s, int worker)
{
    uint32_t best = 0;
    int best_rank = -1;
    size_t best_waiting = 0;
    for (size_t i = 0; i < s->ready_count; i++) {
        const struct module *module = s->modules[s->ready[i]];
        size_t waiting = module->end - module->first;
        int rank = module->last_worker == worker ? 2 : module->last_worker < 0 ? 1 : 0;
        if (module->busy || rank < best_rank || (rank == best_rank && waiting <= best_waiting))
            continue;
        best = s->ready[i];
        best_rank = rank;
        best_waiting = waiting;
    }
    return best;
}

/* Drops modules with nothing waiting from the list, and answers for those that are given up. */
static void ready_clean(struct gm_symbols *s, const struct gm_symbols_handler *handler)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->ready_count; i++) {
        struct module *module = s->modules[s->ready[i]];
        if (module->dead)
            gm_symbols_give_up(s, handler, s->ready[i]);
        module->listed = module->first < module->end;
        if (module->listed)
            s->ready[kept++] = s->ready[i];
    }
    s->ready_count = kept;
}

static int slot_give(struct gm_symbols *s, unsigned index, uint32_t module_id)
{
    struct slot *slot = &s->slots[index];
    struct module *module = s->modules[module_id];
    struct gm_symmsg_buffer *out = &slot->process.out;
    size_t waiting = module->end - module->first;
    slot->batch_count = waiting < GM_SYMMSG_MAX_BATCH ? waiting : GM_SYMMSG_MAX_BATCH;
    slot->batch_left = slot->batch_count;
    slot->module_id = module_id;
    memcpy(slot->batch, module->queue + module->first, slot->batch_count * sizeof *slot->batch);
    memset(slot->answered, 0, sizeof slot->answered);
    module->first += slot->batch_count;
    module->busy = true;
    module->last_worker = (int)index;

    gm_symmsg_begin(out, GM_SYMMSG_LOOKUP);
    gm_symmsg_put_text(out, module->path);
    gm_symmsg_put_text(out, module->build_id);
    gm_symmsg_put_u32(out, (uint32_t)slot->batch_count);
    for (size_t i = 0; i < slot->batch_count; i++) {
        gm_symmsg_put_u64(out, slot->batch[i].address);
        gm_symmsg_put_u32(out, slot->batch[i].exact_pc);
    }
    gm_symmsg_end(out);
    return out->failed ? -ENOMEM : 0;
}

/* Gives work to whoever has none; starts workers as far as there is work for them. */
static int work_dispatch(struct gm_symbols *s, const struct gm_symbols_handler *handler)
{
    ready_clean(s, handler);
    for (unsigned i = 0; i < (s->hurried ? s->slot_count : 1); i++) {
        struct slot *slot = &s->slots[i];
        uint32_t module_id = slot->module_id ? 0 : module_choose(s, (int)i);
        if (!module_id)
            continue;
        if (!slot->process.pid) {
            slot->greeted = false;
            int r = gm_symworker_start(&slot->process, s->argv, !s->hurried, s->keep_stderr);
            if (r < 0) {
                gm_symbols_fail(s, r, strerror(-r));
                return r;
            }
        }
        if (slot_give(s, i, module_id) < 0) {
            gm_symbols_fail(s, -ENOMEM, "cannot be asked: out of memory");
            return -ENOMEM;
        }
    }
    return 0;
}

static void workers_wait(struct gm_symbols *s, int timeout_ms)
{
    struct pollfd fds[GM_SYMBOLS_MAX_WORKERS];
    nfds_t count = 0;
    for (unsigned i = 0; i < s->slot_count; i++) {
        const struct gm_symworker *process = &s->slots[i].process;
        if (!process->pid)
            continue;
        fds[count].fd = process->fd;
        fds[count++].events =
            (short)(process->out.first < process->out.end ? POLLIN | POLLOUT : POLLIN);
    }
    poll(fds, count, timeout_ms);
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int gm_symbols_poll(struct gm_symbols *s, int timeout_ms, const struct gm_symbols_handler *handler)
{
    int64_t deadline = clock_ms() + timeout_ms;
    s->answered = 0;
    for (;;) {
        if (s->failed || work_dispatch(s, handler) < 0)
            return s->failed;
        s->buried = false;
        gm_symbols_serve(s, handler);
        int64_t left = deadline - clock_ms();
        if (s->answered || !s->pending || timeout_ms == 0 || (timeout_ms > 0 && left <= 0))
            break;
        if (!s->failed && !s->buried)
            workers_wait(s, timeout_ms < 0 ? -1 : (int)left);
    }
    /* Work for the time until the next call. */
    if (!s->failed && work_dispatch(s, handler) == 0)
        gm_symbols_serve(s, handler);
    return s->answered > INT_MAX ? INT_MAX : (int)s->answered;
}
