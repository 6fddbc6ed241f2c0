/* symbols.c - names of frames, read on demand and kept (symbols.h, gm_frame_load of stacks.h).
 *
 *   frame_id -> names of one address (innermost first) -> function and file: string_id -> text
 *                                                      -> module_id -> path
 *
 * Texts are immutable in the file and kept until the recording is closed, so a struct gm_frame may
 * be copied freely. A frame that had no names yet is looked up again when the recording has moved
 * on.
 */
#include "analyzer/core/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "analyzer/core/stacks.h"
#include "analyzer/core/wrappers.h"
#include "analyzer/core/names.h"

#define FRAME_MAX_INLINES 256 /* arbitrary; a compiler's limit is far below */

/* Hash map from id to pointer, open addressing, grown at 3/4. Id 0 marks a free slot. */
struct symbol_map {
    struct symbol_slot {
        uint32_t id;
        void *value;
    } * slots;
    size_t used, room; /* room: 0 or a power of two */
};

struct frame_names {
    struct gm_frame *v;
    size_t n;
    char *stand_in; /* what it is called without a name */
    uint64_t generation;
    bool final;
};

struct gm_symbols {
    struct symbol_map strings, modules, frames;
    struct gm_query by_string, by_module, by_frame, by_line;
    struct gm_wrappers wrappers;
    bool wrappers_loaded;
};

static struct symbol_slot *map_slot(const struct symbol_map *map, uint32_t id)
{
    size_t mask = map->room - 1;
    for (size_t i = (id * 0x9e3779b1u) & mask;; i = (i + 1) & mask)
        if (map->slots[i].id == id || map->slots[i].id == 0)
            return &map->slots[i];
}

static void *map_get(const struct symbol_map *map, uint32_t id)
{
    return map->room ? map_slot(map, id)->value : NULL;
}

static int map_put(struct symbol_map *map, uint32_t id, void *value)
{
    if ((map->used + 1) * 4 > map->room * 3) {
        struct symbol_map grown = {.room = map->room ? map->room * 2 : 256, .used = map->used};
        grown.slots = calloc(grown.room, sizeof *grown.slots);
        if (!grown.slots)
            return -ENOMEM;
        for (size_t i = 0; i < map->room; i++)
            if (map->slots[i].id)
                *map_slot(&grown, map->slots[i].id) = map->slots[i];
        free(map->slots);
        *map = grown;
    }
    *map_slot(map, id) = (struct symbol_slot){id, value};
    map->used++;
    return 0;
}

static void map_done(struct symbol_map *map, void (*release)(void *value))
{
    for (size_t i = 0; i < map->room; i++)
        if (map->slots[i].id)
            release(map->slots[i].value);
    free(map->slots);
}

static void frame_names_free(void *value)
{
    struct frame_names *names = value;
    free(names->v);
    free(names->stand_in);
    free(names);
}

struct gm_symbols *gm_symbols_create(void)
{
    return calloc(1, sizeof(struct gm_symbols));
}

void gm_symbols_release(struct gm_symbols *symbols)
{
    gm_query_close(&symbols->by_string);
    gm_query_close(&symbols->by_module);
    gm_query_close(&symbols->by_frame);
    gm_query_close(&symbols->by_line);
}

void gm_symbols_free(struct gm_symbols *symbols)
{
    if (!symbols)
        return;
    gm_symbols_release(symbols);
    gm_wrappers_done(&symbols->wrappers);
    map_done(&symbols->strings, free);
    map_done(&symbols->modules, free);
    map_done(&symbols->frames, frame_names_free);
    free(symbols);
}

/* Prepares a kept statement at its first use and binds the id. */
static int query_ask(struct gm_recording *rec, struct gm_query *q, const char *sql, uint32_t id)
{
    if (!q->stmt && gm_query_open(rec, q, sql) < 0)
        return q->error;
    gm_query_bind(q, 1, id);
    return q->error;
}

/* Reads one text by id into *map and *ret_text: NULL if the row is missing, which a damaged file
 * may do. */
static int text_load(struct gm_recording *rec, struct symbol_map *map, struct gm_query *q,
    const char *sql, uint32_t id, const char **ret_text)
{
    char *text = id ? map_get(map, id) : NULL;
    if (id == 0 || text) {
        *ret_text = text;
        return 0;
    }
    int r = query_ask(rec, q, sql, id);
    if (gm_query_next(q))
        text = gm_query_text(q, 0);
    r = r < 0 ? r : q->error;
    gm_query_rewind(q);
    if (r == 0 && text)
        r = map_put(map, id, text);
    if (r < 0)
        free(text);
    else
        *ret_text = text;
    return r;
}

static int string_load(struct gm_recording *rec, uint32_t id, const char **ret_text)
{
    return text_load(rec, &rec->symbols->strings, &rec->symbols->by_string,
        "SELECT text FROM string WHERE string_id = ?", id, ret_text);
}

static int module_load(struct gm_recording *rec, uint32_t id, const char **ret_path)
{
    return text_load(rec, &rec->symbols->modules, &rec->symbols->by_module,
        "SELECT path FROM module WHERE module_id = ?", id, ret_path);
}

static char *stand_in_format(const char *module, uint64_t address, uint32_t flags)
{
    char *text = NULL;
    int n = flags & 2   ? asprintf(&text, "[frames left out]")
            : flags & 8 ? asprintf(&text, "[root not reached]")
            : module
                ? asprintf(&text, "%s+0x%llx", gm_name_base(module), (unsigned long long)address)
                : asprintf(&text, "0x%llx", (unsigned long long)address);
    return n < 0 ? NULL : text;
}

/* What is the same for all functions of one address; also fills in the stand-in once. */
static int frame_load_base(struct gm_recording *rec, uint32_t frame_id, struct frame_names *names,
    struct gm_frame *ret_base)
{
    struct gm_query *q = &rec->symbols->by_frame;
    int r = query_ask(rec, q,
        "SELECT module_id, address, flags, symbolized FROM frame WHERE frame_id = ?", frame_id);
    uint32_t module_id = 0, flags = 0;
    struct gm_frame base = {.frame_id = frame_id};
    if (gm_query_next(q)) {
        module_id = gm_query_id(q, 0);
        base.address = (uint64_t)sqlite3_column_int64(q->stmt, 1);
        flags = (uint32_t)sqlite3_column_int(q->stmt, 2);
        names->final = gm_query_integer(q, 3) != 0;
    }
    r = r < 0 ? r : q->error;
    gm_query_rewind(q);
    if (r == 0)
        r = module_load(rec, module_id, &base.module);
    if (r < 0)
        return r;
    if (!names->stand_in)
        names->stand_in = stand_in_format(base.module, base.address, flags);
    if (!names->stand_in)
        return gm_recording_fail(rec, SQLITE_NOMEM);
    base.function = names->stand_in;
    *ret_base = base;
    return 0;
}

/* Reads the functions of one address; `lines` has room for FRAME_MAX_INLINES. */
static int frame_load_lines(
    struct gm_recording *rec, const struct gm_frame *base, struct gm_frame *lines, size_t *ret_n)
{
    struct gm_query *q = &rec->symbols->by_line;
    size_t n = 0;
    int r = query_ask(rec, q,
        "SELECT function_id, file_id, line FROM frame_line WHERE frame_id = ? ORDER BY depth",
        base->frame_id);
    while (r == 0 && n < FRAME_MAX_INLINES && gm_query_next(q)) {
        struct gm_frame *f = &lines[n++];
        const char *function = NULL;
        *f = *base;
        f->line = gm_query_id(q, 2);
        r = string_load(rec, gm_query_id(q, 0), &function);
        if (r == 0)
            r = string_load(rec, gm_query_id(q, 1), &f->file);
        f->named = function != NULL;
        if (function)
            f->function = function;
    }
    r = r < 0 ? r : q->error;
    gm_query_rewind(q);
    *ret_n = n;
    return r;
}

/* Once per recording: who wraps does not change much, and it takes a look at every site. */
static int wrappers_load(struct gm_recording *rec)
{
    if (rec->symbols->wrappers_loaded)
        return 0;
    rec->symbols->wrappers_loaded = true;
    return gm_wrappers_load(rec, &rec->symbols->wrappers);
}

static int frame_read(struct gm_recording *rec, uint32_t frame_id, struct frame_names *names)
{
    struct gm_frame base, lines[FRAME_MAX_INLINES];
    size_t n = 0;
    int r = wrappers_load(rec);
    if (r < 0)
        return r;
    r = frame_load_base(rec, frame_id, names, &base);
    if (r == 0)
        r = frame_load_lines(rec, &base, lines, &n);
    if (r < 0)
        return r;
    if (n == 0)
        lines[n++] = base;
    for (size_t i = 0; i + 1 < n; i++)
        lines[i].inlined = true;
    lines[n - 1].wrapper =
        n == 1 && !lines[0].named && gm_wrappers_has(&rec->symbols->wrappers, frame_id);
    struct gm_frame *v = malloc(n * sizeof *v);
    if (!v)
        return gm_recording_fail(rec, SQLITE_NOMEM);
    memcpy(v, lines, n * sizeof *v);
    free(names->v);
    names->v = v;
    names->n = n;
    names->generation = rec->generation;
    return 0;
}

int gm_frame_load(
    struct gm_recording *recording, uint32_t frame_id, const struct gm_frame **ret_v, size_t *ret_n)
{
    struct symbol_map *map = &recording->symbols->frames;
    uint32_t key =
        frame_id ? frame_id : UINT32_MAX; /* 0: a damaged file; one unnamed frame for all */
    struct frame_names *names = map_get(map, key);
    bool fresh = !names;
    if (fresh && !(names = calloc(1, sizeof *names)))
        return gm_recording_fail(recording, SQLITE_NOMEM);
    if (fresh || (!names->final && names->generation != recording->generation)) {
        int r = frame_read(recording, frame_id, names);
        if (r == 0 && fresh)
            r = map_put(map, key, names);
        if (r < 0) {
            if (fresh)
                frame_names_free(names);
            return r;
        }
    }
    *ret_v = names->v;
    *ret_n = names->n;
    return 0;
}
