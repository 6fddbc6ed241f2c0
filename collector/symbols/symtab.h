/* symtab.h - function names from ELF symbol tables, for files without DWARF.
 *
 * Whatever tables the file, its debug file and its .gnu_debugdata have, merged by libdwfl. A symbol
 * with a size holds exactly its bytes; one without (hand-written assembly) reaches to the next
 * symbol or the end of its section, and only counts where no sized one does.
 */
#ifndef GM_COLLECTOR_SYMBOLS_SYMTAB_H
#define GM_COLLECTOR_SYMBOLS_SYMTAB_H

#include <elfutils/libdwfl.h>

#include "collector/symbols/intervals.h"

struct gm_symtab {                       /* all zero: empty */
    struct gm_intervals sized, sizeless; /* value: index in names */
    const char **names;                  /* mangled, without version; owned */
    size_t count, room;
    char **copies; /* of names that had a version to cut off */
    size_t copy_count, copy_room;
};

/* Reads the module's tables. Addresses below are those of libdwfl minus bias. Returns 0, also when
 * there is none, or -ENOMEM. */
int gm_symtab_read(struct gm_symtab *symtab, Dwfl_Module *module, GElf_Addr bias);
/* The mangled name of the function at an address, or NULL. Valid until gm_symtab_done. */
const char *gm_symtab_find(const struct gm_symtab *symtab, uint64_t address);
void gm_symtab_done(struct gm_symtab *symtab);

#endif
