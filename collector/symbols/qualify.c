/* qualify.c - see qualify.h. */
#include "collector/symbols/qualify.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/client.h"
#include "collector/symbols/die.h"

#define MAX_DEPTH 512 /* of entries, against hostile nesting */

struct gm_qualified_name {
    const void *entry; /* Dwarf_Die.addr */
    char *name;
};

/* The scope the walk is in, as text; cut when too long. */
struct prefix {
    char text[GM_SYMBOLS_MAX_NAME + 1];
    size_t used;
};

bool gm_qualified_applies(Dwarf_Die *unit)
{
    switch (dwarf_srclang(unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case DW_LANG_ObjC_plus_plus:
    case DW_LANG_D:
    case DW_LANG_Rust:
        return true;
    default:
        return false;
    }
}

static void prefix_set(struct prefix *prefix, size_t at, const char *text)
{
    size_t length = strlen(text), left = sizeof prefix->text - 1 - at;
    prefix->used = at + (length < left ? length : left);
    memcpy(prefix->text + at, text, prefix->used - at);
    prefix->text[prefix->used] = 0;
}

static void prefix_add(struct prefix *prefix, const char *text)
{
    if (prefix->used)
        prefix_set(prefix, prefix->used, "::");
    prefix_set(prefix, prefix->used, text);
}

/* Without memory the name stays unknown, and the function is shown by its short one. */
static void qualified_add(struct gm_qualified *q, const void *entry, const char *name)
{
    if (q->n == q->room) {
        size_t room = q->room ? q->room * 2 : 32;
        struct gm_qualified_name *grown = realloc(q->v, room * sizeof *grown);
        if (!grown)
            return;
        q->v = grown;
        q->room = room;
    }
    char *copy = strdup(name);
    if (copy)
        q->v[q->n++] = (struct gm_qualified_name){entry, copy};
}

/* The class of a lambda has no name, and a call operator. */
static bool class_is_closure(Dwarf_Die *die)
{
    Dwarf_Die member;
    if (dwarf_child(die, &member) != 0)
        return false;
    do {
        const char *name = dwarf_tag(&member) == DW_TAG_subprogram ? dwarf_diename(&member) : NULL;
        if (name && strcmp(name, "operator()") == 0)
            return true;
    } while (gm_die_next(&member));
    return false;
}

/* Adds what a child stands for to the prefix. False: nothing of interest is in it. */
static bool prefix_enter(
    struct prefix *prefix, struct gm_qualified *q, Dwarf_Die *die, struct gm_names *names)
{
    const char *name = dwarf_diename(die), *symbol;
    switch (dwarf_tag(die)) {
    case DW_TAG_lexical_block:
        return true;
    case DW_TAG_namespace:
        prefix_add(prefix, name ? name : "(anonymous namespace)");
        return true;
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_interface_type:
    case DW_TAG_enumeration_type:
        prefix_add(prefix, name ? name : class_is_closure(die) ? "{lambda}" : "(anonymous)");
        return true;
    case DW_TAG_subprogram:
        symbol = gm_die_symbol(die);
        if (symbol) {
            prefix_set(prefix, 0, gm_names_get(names, symbol));
            return true;
        }
        if (!name || dwarf_hasattr(die, DW_AT_abstract_origin) ||
            dwarf_hasattr(die, DW_AT_specification))
            return false;
        prefix_add(prefix, name);
        qualified_add(q, die->addr, prefix->text);
        return true;
    default:
        return false;
    }
}

static void unit_walk(struct gm_qualified *q, Dwarf_Die *parent, struct prefix *prefix,
    struct gm_names *names, unsigned depth)
{
    Dwarf_Die die;
    size_t used = prefix->used;
    char *saved = NULL;
    if (depth > MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return;
    do {
        /* A function with a symbol replaces the prefix; else it only grows behind `used`. */
        if (dwarf_tag(&die) == DW_TAG_subprogram && used && !saved)
            saved = strdup(prefix->text);
        if (prefix_enter(prefix, q, &die, names))
            unit_walk(q, &die, prefix, names, depth + 1);
        if (saved)
            prefix_set(prefix, 0, saved);
        prefix->used = used;
        prefix->text[used] = 0;
    } while (gm_die_next(&die));
    free(saved);
}

static int name_compare(const void *left, const void *right)
{
    const struct gm_qualified_name *a = left, *b = right;
    return a->entry == b->entry ? 0 : (const char *)a->entry < (const char *)b->entry ? -1 : 1;
}

const char *gm_qualified_find(
    struct gm_qualified *q, Dwarf_Die *unit, const Dwarf_Die *function, struct gm_names *names)
{
    if (!q->walked) {
        struct prefix prefix = {.used = 0};
        q->walked = true;
        unit_walk(q, unit, &prefix, names, 0);
        if (q->n)
            qsort(q->v, q->n, sizeof *q->v, name_compare);
    }
    struct gm_qualified_name key = {function->addr, NULL};
    struct gm_qualified_name *found =
        q->n ? bsearch(&key, q->v, q->n, sizeof *q->v, name_compare) : NULL;
    return found ? found->name : NULL;
}

void gm_qualified_done(struct gm_qualified *q)
{
    for (size_t i = 0; i < q->n; i++)
        free(q->v[i].name);
    free(q->v);
    *q = (struct gm_qualified){0};
}
