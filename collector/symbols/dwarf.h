/* dwarf.h - functions, inlined functions, files and lines from DWARF.
 *
 *   address --ranges of units--> unit --ranges of its functions--> function --scopes--> inlined
 * calls
 *
 * Each table is made when it is first needed and kept while the module is open: those of units
 * once, that of functions per unit, that of scopes per function. So no address walks the tree of
 * entries twice.
 */
#ifndef GM_COLLECTOR_SYMBOLS_DWARF_H
#define GM_COLLECTOR_SYMBOLS_DWARF_H

#include <elfutils/libdw.h>

#include "collector/symbols/client.h"
#include "collector/symbols/names.h"

struct gm_dwarf;

/* names stays the caller's and must outlive what is created; so must dwarf. Returns 0, -ENODATA
 * when there is no unit in it, -ENOMEM. */
int gm_dwarf_create(Dwarf *dwarf, struct gm_names *names, struct gm_dwarf **ret_table);
void gm_dwarf_free(struct gm_dwarf *table);

/* Fills lines as struct gm_symbols_handler wants them; returns how many, 0 when nothing is known of the
 * address. The last line's function may be NULL: its entry has no name, or there is only a line
 * (assembly). Texts are valid until gm_dwarf_free and gm_names_done. */
size_t gm_dwarf_find(
    struct gm_dwarf *table, Dwarf_Addr address, struct gm_symbols_line lines[GM_SYMBOLS_MAX_LINES]);

#endif
