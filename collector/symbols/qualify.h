/* qualify.h - full names of the C++ functions that have no linker symbol in DWARF.
 *
 * GCC gives none to what is local to a file: functions in unnamed namespaces, lambdas, members of local classes.
 * Their entries are called just "operator()" or "run", and what they belong to stands in the entries around them.
 * An entry knows its children but not its parent, so a unit is walked once, from the top, and the
 * names of all such functions are kept. They come without parameters: geo::(anonymous namespace)::run.
 */
#ifndef GM_COLLECTOR_SYMBOLS_QUALIFY_H
#define GM_COLLECTOR_SYMBOLS_QUALIFY_H

#include <elfutils/libdw.h>
#include <stdbool.h>

#include "collector/symbols/names.h"

struct gm_qualified { /* all zero: nothing walked yet */
    struct gm_qualified_name *v;
    size_t n, room;
    bool walked;
};

/* True for a unit in a language whose functions stand in scopes that people expect to see. */
bool gm_qualified_applies(Dwarf_Die *unit);
/* The full name of a function's first entry (the one no DW_AT_specification or DW_AT_abstract_origin leads on from)
 * in the unit, or NULL. Walks the unit at the first call. Valid until gm_qualified_done. */
const char *gm_qualified_find(struct gm_qualified *qualified, Dwarf_Die *unit,
    const Dwarf_Die *function, struct gm_names *names);
void gm_qualified_done(struct gm_qualified *qualified);

#endif
