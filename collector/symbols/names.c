/* names.c - see names.h. */
#include "collector/symbols/names.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/client.h"

/* libiberty refuses symbols of more than 1,024 bytes, which template-heavy C++ does have, unless
 * its check of the stack is off. Each level of its recursion takes a byte of the symbol and well
 * below 1 KiB of stack: the worker has room for symbols of this length (see worker.c). Longer ones
 * are shown mangled. */
#define MAX_CHECKED_BYTES 1024
#define MAX_SYMBOL_BYTES (16u << 10)

struct gm_name {
    const char *key; /* NULL: free */
    char *text;
};

/* Where the demangler prints to. A short mangled name can stand for gigabytes of output (each
 * substitution may double it), so printing is left by longjmp as soon as the room is full. */
struct sink {
    char *name;
    size_t used, room;
    jmp_buf full;
};

static void sink_print(const char *text, size_t length, void *opaque)
{
    struct sink *sink = opaque;
    size_t left = sink->room - 1 - sink->used;
    size_t taken = length < left ? length : left;
    memcpy(sink->name + sink->used, text, taken);
    sink->used += taken;
    if (taken < length)
        longjmp(sink->full, 1);
}

static void name_copy(const char *symbol, struct sink *sink)
{
    sink->used = 0;
    if (setjmp(sink->full) == 0)
        sink_print(symbol, strlen(symbol), sink);
}

/* True when the sink holds a name, whole or cut. */
static bool symbol_demangle(const char *symbol, struct sink *sink)
{
    if (setjmp(sink->full) != 0)
        return true;
    if (rust_demangle_callback(symbol, DMGL_RUST, sink_print, sink))
        return true;
    sink->used = 0;
    int options = DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP;
    if (strlen(symbol) > MAX_CHECKED_BYTES)
        options |= DMGL_NO_RECURSE_LIMIT;
    return cplus_demangle_v3_callback(symbol, options, sink_print, sink);
}

void gm_name_demangle(const char *symbol, char *ret_name, size_t room)
{
    struct sink sink = {.name = ret_name, .room = room};
    bool mangled = (symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R')) ||
                   strncmp(symbol, "_GLOBAL_", 8) == 0;
    bool too_long = strlen(symbol) > MAX_SYMBOL_BYTES;
    if (!mangled || too_long || !symbol_demangle(symbol, &sink) || sink.used == 0)
        name_copy(symbol, &sink);
    ret_name[sink.used] = 0;
    if (sink.used == room - 1 && room > 3)
        memcpy(ret_name + room - 4, "...", 4);
}

/* Adds one part of a path behind path[0 .. used), or takes one away for "..". Returns the new length. */
static size_t path_step(char *path, size_t used, const char *part, size_t length, size_t room)
{
    if (length == 0 || (length == 1 && part[0] == '.'))
        return used;
    const char *slash = memrchr(path, '/', used);
    const char *last = slash ? slash + 1 : path;
    size_t last_length = (size_t)(path + used - last);
    if (length == 2 && memcmp(part, "..", 2) == 0) {
        if (path[0] == '/' && last_length == 0)
            return used; /* above the root is the root */
        if (last_length && !(last_length == 2 && memcmp(last, "..", 2) == 0))
            return last == path                         ? 0
                   : last == path + 1 && path[0] == '/' ? 1
                                                        : (size_t)(last - 1 - path);
    }
    if (last_length && used < room - 1)
        path[used++] = '/';
    size_t left = room - 1 - used, taken = length < left ? length : left;
    memcpy(path + used, part, taken);
    return used + taken;
}

static size_t path_walk(char *path, size_t used, const char *text, size_t room)
{
    while (*text) {
        size_t length = strcspn(text, "/");
        used = path_step(path, used, text, length, room);
        text += length + (text[length] == '/');
    }
    return used;
}

void gm_name_path(const char *folder, const char *file, char *ret_path, size_t room)
{
    bool joined = file[0] != '/' && folder && (folder[0] == '/' || strncmp(file, "../", 3) == 0);
    size_t used = 0;
    ret_path[0] = 0;
    if (file[0] == '/' || (joined && folder[0] == '/'))
        ret_path[used++] = '/';
    if (joined)
        used = path_walk(ret_path, used, folder, room);
    used = path_walk(ret_path, used, file, room);
    ret_path[used] = 0;
    if (used == room - 1)
        memcpy(ret_path + room - 4, "...", 4);
}

static size_t names_slot(const struct gm_names *names, const char *key)
{
    size_t at = ((uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 32; /* Fibonacci hashing */
    for (;; at++) {
        const char *here = names->v[at & (names->room - 1)].key;
        if (!here || here == key)
            return at & (names->room - 1);
    }
}

static bool names_grow(struct gm_names *names)
{
    struct gm_names grown = {.room = names->room ? names->room * 2 : 256};
    if (names->n * 2 < names->room)
        return true;
    grown.v = calloc(grown.room, sizeof *grown.v);
    if (!grown.v)
        return false;
    for (size_t i = 0; i < names->room; i++)
        if (names->v[i].key)
            grown.v[names_slot(&grown, names->v[i].key)] = names->v[i];
    grown.n = names->n;
    free(names->v);
    *names = grown;
    return true;
}

/* Where key's text is or, with slot->key NULL, belongs. NULL without memory. */
static struct gm_name *names_find(struct gm_names *names, const char *key)
{
    return names_grow(names) ? &names->v[names_slot(names, key)] : NULL;
}

static const char *names_keep(
    struct gm_names *names, struct gm_name *slot, const char *key, const char *text)
{
    slot->text = strdup(text);
    if (!slot->text)
        return key;
    slot->key = key;
    names->n++;
    return slot->text;
}

const char *gm_names_get(struct gm_names *names, const char *symbol)
{
    char name[GM_SYMBOLS_MAX_NAME + 1];
    struct gm_name *slot = names_find(names, symbol);
    if (!slot || slot->key)
        return slot ? slot->text : symbol;
    gm_name_demangle(symbol, name, sizeof name);
    return names_keep(names, slot, symbol, name);
}

const char *gm_names_path(struct gm_names *names, const char *folder, const char *file)
{
    char path[GM_SYMBOLS_MAX_NAME + 1];
    struct gm_name *slot = names_find(names, file);
    if (!slot || slot->key)
        return slot ? slot->text : file;
    gm_name_path(folder, file, path, sizeof path);
    return names_keep(names, slot, file, path);
}

void gm_names_done(struct gm_names *names)
{
    for (size_t i = 0; i < names->room; i++)
        free(names->v[i].text);
    free(names->v);
    *names = (struct gm_names){0};
}
