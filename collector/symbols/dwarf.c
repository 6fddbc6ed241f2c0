/* dwarf.c - see dwarf.h. */
#include "collector/symbols/dwarf.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/die.h"
#include "collector/symbols/intervals.h"
#include "collector/symbols/qualify.h"

/* Deepest nesting of entries that is followed. Compilers stay far below; a hostile file must not
 * take the stack. */
#define MAX_DEPTH 512

/* An inlined call inside a function, in the order of the tree: callers before what they inline. */
struct scope {
    uint64_t low, high;
    unsigned depth;
    Dwarf_Die die;
};
struct function {
    Dwarf_Die die;
    struct scope *scopes;
    size_t scope_count, scope_room;
    bool walked;
};
struct unit {
    Dwarf_Die skeleton; /* has ranges and the line table */
    Dwarf_Die die;      /* has the functions: the same, or in a split file */
    struct function *functions;
    size_t function_count, function_room;
    struct gm_intervals intervals; /* value: index in functions */
    bool walked, walked_deep;
    struct gm_qualified qualified;
};
struct gm_dwarf {
    struct gm_names *names;
    struct unit *units;
    size_t unit_count, unit_room;
    struct gm_intervals intervals; /* value: index in units */
};

/* Room for one more in an array of v[n]; the new item is zero. */
static bool array_grow(void **v, size_t n, size_t *room, size_t item_bytes)
{
    if (n == *room) {
        size_t wanted = *room ? *room * 2 : 16;
        void *grown = realloc(*v, wanted * item_bytes);
        if (!grown)
            return false;
        *v = grown;
        *room = wanted;
    }
    memset((char *)*v + n * item_bytes, 0, item_bytes);
    return true;
}

/* ---- units -------------------------------------------------------------------------------------
 */

static int ranges_add(struct gm_intervals *intervals, Dwarf_Die *die, size_t value)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t offset = 0;
    while ((offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0)
        if (gm_intervals_add(intervals, low, high, (uint32_t)value) < 0)
            return -ENOMEM;
    return 0;
}

static int unit_add(struct gm_dwarf *t, const Dwarf_Die *die, const Dwarf_Die *split)
{
    if (!array_grow((void **)&t->units, t->unit_count, &t->unit_room, sizeof *t->units))
        return -ENOMEM;
    struct unit *unit = &t->units[t->unit_count++];
    unit->skeleton = *die;
    unit->die = split ? *split : *die;
    return ranges_add(&t->intervals, &unit->skeleton, t->unit_count - 1);
}

static int units_read(struct gm_dwarf *t, Dwarf *dwarf)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Half version;
    uint8_t type;
    Dwarf_Die die, split;
    while (dwarf_get_units(dwarf, cu, &cu, &version, &type, &die, &split) == 0) {
        if (type == DW_UT_type || type == DW_UT_split_type || type == DW_UT_partial)
            continue;
        bool has_split = type == DW_UT_skeleton && dwarf_tag(&split) != DW_TAG_invalid;
        if (unit_add(t, &die, has_split ? &split : NULL) < 0)
            return -ENOMEM;
    }
    return t->unit_count ? 0 : -ENODATA;
}

static struct unit *unit_of_offset(struct gm_dwarf *t, Dwarf_Off offset)
{
    size_t low = 0, high = t->unit_count; /* units are in the order of their offsets */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        Dwarf_Off here = dwarf_dieoffset(&t->units[middle].skeleton);
        if (here == offset)
            return &t->units[middle];
        if (here < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* For units that do not tell their own ranges, .debug_aranges may. */
static int aranges_read(struct gm_dwarf *t, Dwarf *dwarf)
{
    Dwarf_Aranges *ranges;
    size_t count;
    if (dwarf_getaranges(dwarf, &ranges, &count) != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        Dwarf_Addr low;
        Dwarf_Word length;
        Dwarf_Off offset;
        if (dwarf_getarangeinfo(dwarf_onearange(ranges, i), &low, &length, &offset) != 0)
            continue;
        struct unit *unit = unit_of_offset(t, offset);
        if (!unit || dwarf_hasattr(&unit->skeleton, DW_AT_ranges) ||
            dwarf_hasattr(&unit->skeleton, DW_AT_high_pc))
            continue;
        if (gm_intervals_add(&t->intervals, low, low + length, (uint32_t)(unit - t->units)) < 0)
            return -ENOMEM;
    }
    return 0;
}

int gm_dwarf_create(Dwarf *dwarf, struct gm_names *names, struct gm_dwarf **ret_table)
{
    struct gm_dwarf *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->names = names;
    int r = units_read(t, dwarf);
    if (r == 0)
        r = aranges_read(t, dwarf);
    if (r < 0) {
        gm_dwarf_free(t);
        return r;
    }
    gm_intervals_sort(&t->intervals);
    *ret_table = t;
    return 0;
}

static void unit_done(struct unit *unit)
{
    for (size_t i = 0; i < unit->function_count; i++)
        free(unit->functions[i].scopes);
    free(unit->functions);
    gm_intervals_done(&unit->intervals);
    gm_qualified_done(&unit->qualified);
}

void gm_dwarf_free(struct gm_dwarf *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->unit_count; i++)
        unit_done(&t->units[i]);
    free(t->units);
    gm_intervals_done(&t->intervals);
    free(t);
}

/* ---- functions of a unit -----------------------------------------------------------------------
 */

static int function_add(struct unit *unit, Dwarf_Die *die)
{
    if (!array_grow((void **)&unit->functions, unit->function_count, &unit->function_room,
            sizeof *unit->functions))
        return -ENOMEM;
    unit->functions[unit->function_count].die = *die;
    return ranges_add(&unit->intervals, die, unit->function_count++);
}

/* Entries that can hold functions: outside of functions, and with deep inside them as well (local
 * classes, nested functions), which few units have and which costs a walk over everything. */
static bool tag_holds_functions(int tag, bool deep)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_interface_type:
    case DW_TAG_enumeration_type: /* Rust: methods of an enum */
    case DW_TAG_variant_part:
    case DW_TAG_variant:
        return true;
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
    case DW_TAG_inlined_subroutine:
        return deep;
    default:
        return false;
    }
}

static int functions_walk(struct unit *unit, Dwarf_Die *parent, bool deep, unsigned depth)
{
    Dwarf_Die die;
    if (depth > MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return 0;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram &&
            (dwarf_hasattr(&die, DW_AT_low_pc) || dwarf_hasattr(&die, DW_AT_ranges)) &&
            function_add(unit, &die) < 0)
            return -ENOMEM;
        if (tag_holds_functions(tag, deep) && functions_walk(unit, &die, deep, depth + 1) < 0)
            return -ENOMEM;
    } while (gm_die_next(&die));
    return 0;
}

/* Without memory the table stays smaller, and names stay unknown. */
static void unit_walk(struct unit *unit, bool deep)
{
    for (size_t i = 0; i < unit->function_count; i++)
        free(unit->functions[i].scopes);
    unit->function_count = 0;
    unit->intervals.n = 0;
    unit->walked = true;
    unit->walked_deep = deep;
    functions_walk(unit, &unit->die, deep, 0);
    gm_intervals_sort(&unit->intervals);
}

static struct function *function_find(struct unit *unit, Dwarf_Addr address)
{
    const struct gm_interval *found;
    if (!unit->walked)
        unit_walk(unit, false);
    found = gm_intervals_find(&unit->intervals, address);
    if (!found && !unit->walked_deep) {
        unit_walk(unit, true);
        found = gm_intervals_find(&unit->intervals, address);
    }
    return found ? &unit->functions[found->value] : NULL;
}

/* ---- inlined calls of a function ---------------------------------------------------------------
 */

static int scope_add(struct function *function, Dwarf_Die *die, unsigned depth)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t offset = 0;
    while ((offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0) {
        if (!array_grow((void **)&function->scopes, function->scope_count, &function->scope_room,
                sizeof *function->scopes))
            return -ENOMEM;
        function->scopes[function->scope_count++] =
            (struct scope){.low = low, .high = high, .depth = depth, .die = *die};
    }
    return 0;
}

static int scopes_walk(
    struct function *function, Dwarf_Die *parent, unsigned inlined, unsigned depth)
{
    Dwarf_Die die;
    if (depth > MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return 0;
    do {
        int tag = dwarf_tag(&die);
        bool call = tag == DW_TAG_inlined_subroutine;
        if (call && scope_add(function, &die, inlined + 1) < 0)
            return -ENOMEM;
        if ((call || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
                tag == DW_TAG_catch_block) &&
            scopes_walk(function, &die, inlined + call, depth + 1) < 0)
            return -ENOMEM;
    } while (gm_die_next(&die));
    return 0;
}

/* The inlined calls that hold the address, outermost first. With more than room the first and the
 * last ones. */
static size_t function_chain(
    struct function *function, Dwarf_Addr address, struct scope **ret_chain, size_t room)
{
    size_t count = 0;
    if (!function->walked)
        scopes_walk(function, &function->die, 0, 0);
    function->walked = true;
    for (size_t i = 0; i < function->scope_count; i++) {
        struct scope *scope = &function->scopes[i];
        if (address < scope->low || address >= scope->high ||
            (count && scope->depth <= ret_chain[count - 1]->depth))
            continue;
        if (count == room)
            ret_chain[count - 1] = scope;
        else
            ret_chain[count++] = scope;
    }
    return count;
}

/* ---- names and lines ---------------------------------------------------------------------------
 */

/* Follows a function to its first entry: the abstract one, then the declaration in its class. */
static Dwarf_Die die_first(const Dwarf_Die *function)
{
    static const unsigned links[] = {DW_AT_abstract_origin, DW_AT_specification};
    Dwarf_Die die = *function, next;
    Dwarf_Attribute attribute;
    for (unsigned hops = 0, i = 0; i < 2 && hops < 16; i++)
        while (hops++ < 16 && dwarf_formref_die(dwarf_attr(&die, links[i], &attribute), &next))
            die = next;
    return die;
}

static const char *die_qualified(struct gm_dwarf *t, struct unit *unit, const Dwarf_Die *function)
{
    Dwarf_Die first = die_first(function), top;
    if (!dwarf_diecu(&first, &top, NULL, NULL) || !gm_qualified_applies(&top))
        return NULL;
    if (top.addr != unit->die.addr)
        unit =
            unit_of_offset(t, dwarf_dieoffset(&top)); /* of another unit: link-time optimisation */
    if (!unit || top.addr != unit->die.addr)
        return NULL;
    return gm_qualified_find(&unit->qualified, &unit->die, &first, t->names);
}

static const char *die_function(struct gm_dwarf *t, struct unit *unit, Dwarf_Die *die)
{
    const char *symbol = gm_die_symbol(die);
    if (symbol)
        return gm_names_get(t->names, symbol);
    const char *name = die_qualified(t, unit, die);
    return name ? name : dwarf_diename(die);
}

static const char *unit_path(struct gm_dwarf *t, struct unit *unit, const char *file)
{
    Dwarf_Attribute attribute;
    if (!file || !*file)
        return NULL;
    return gm_names_path(
        t->names, dwarf_formstring(dwarf_attr(&unit->skeleton, DW_AT_comp_dir, &attribute)), file);
}

static const char *unit_file(struct gm_dwarf *t, struct unit *unit, Dwarf_Word index)
{
    Dwarf_Files *files;
    size_t count;
    if (dwarf_getsrcfiles(&unit->skeleton, &files, &count) != 0 || index >= count)
        return NULL;
    return unit_path(t, unit, dwarf_filesrc(files, index, NULL, NULL));
}

static Dwarf_Word die_number(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    return dwarf_formudata(dwarf_attr(die, name, &attribute), &value) == 0 ? value : 0;
}

/* Where the address itself stands. */
static void line_locate(
    struct gm_dwarf *t, struct unit *unit, Dwarf_Addr address, struct gm_symbols_line *line)
{
    int number;
    Dwarf_Line *found = dwarf_getsrc_die(&unit->skeleton, address);
    if (!found)
        return;
    line->file = unit_path(t, unit, dwarf_linesrc(found, NULL, NULL));
    if (dwarf_lineno(found, &number) == 0 && number > 0)
        line->line = (uint32_t)number;
}

/* Where an inlined call stands in its caller. */
static void line_of_call(
    struct gm_dwarf *t, struct unit *unit, Dwarf_Die *call, struct gm_symbols_line *line)
{
    Dwarf_Word number = die_number(call, DW_AT_call_line);
    if (dwarf_hasattr(call, DW_AT_call_file))
        line->file = unit_file(t, unit, die_number(call, DW_AT_call_file));
    line->line = number <= INT32_MAX ? (uint32_t)number : 0;
}

size_t gm_dwarf_find(
    struct gm_dwarf *t, Dwarf_Addr address, struct gm_symbols_line lines[GM_SYMBOLS_MAX_LINES])
{
    struct scope *chain[GM_SYMBOLS_MAX_LINES - 1];
    const struct gm_interval *found = gm_intervals_find(&t->intervals, address);
    struct unit *unit = found ? &t->units[found->value] : NULL;
    if (!unit)
        return 0;
    lines[0] = (struct gm_symbols_line){0};
    line_locate(t, unit, address, &lines[0]);
    struct function *function = function_find(unit, address);
    if (!function)
        return lines[0].file ? 1 : 0;
    size_t inlined = function_chain(function, address, chain, GM_SYMBOLS_MAX_LINES - 1), n = 0;
    while (inlined-- > 0) {
        lines[n++].function = die_function(t, unit, &chain[inlined]->die);
        lines[n] = (struct gm_symbols_line){0};
        line_of_call(t, unit, &chain[inlined]->die, &lines[n]);
    }
    lines[n++].function = die_function(t, unit, &function->die);
    return n;
}
