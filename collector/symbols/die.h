/* die.h - what the readers of DWARF entries share. */
#ifndef GM_COLLECTOR_SYMBOLS_DIE_H
#define GM_COLLECTOR_SYMBOLS_DIE_H

#include <elfutils/libdw.h>
#include <stdbool.h>

/* Goes on to the next sibling. False at the end, and where a damaged file leads backwards: such a list would
 * never end. */
bool gm_die_next(Dwarf_Die *die);

/* The linker symbol of a function if it is a mangled one, else NULL. */
const char *gm_die_symbol(Dwarf_Die *function);

#endif
