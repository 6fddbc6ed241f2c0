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
    const char *symbol; /* NULL: free */
    char *name;
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

static size_t names_slot(const struct gm_names *names, const char *symbol)
{
    size_t at = ((uintptr_t)symbol * UINT64_C(0x9e3779b97f4a7c15)) >> 32; /* Fibonacci hashing */
    for (;; at++) {
        const char *here = names->v[at & (names->room - 1)].symbol;
        if (!here || here == symbol)
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
        if (names->v[i].symbol)
            grown.v[names_slot(&grown, names->v[i].symbol)] = names->v[i];
    grown.n = names->n;
    free(names->v);
    *names = grown;
    return true;
}

const char *gm_names_get(struct gm_names *names, const char *symbol)
{
    char name[GM_SYMBOLS_MAX_NAME + 1];
    if (!names_grow(names))
        return symbol;
    struct gm_name *slot = &names->v[names_slot(names, symbol)];
    if (slot->symbol)
        return slot->name;
    gm_name_demangle(symbol, name, sizeof name);
    slot->name = strdup(name);
    if (!slot->name)
        return symbol;
    slot->symbol = symbol;
    names->n++;
    return slot->name;
}

void gm_names_done(struct gm_names *names)
{
    for (size_t i = 0; i < names->room; i++)
        free(names->v[i].name);
    free(names->v);
    *names = (struct gm_names){0};
}
