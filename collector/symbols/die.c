/* die.c - see die.h. */
#include "collector/symbols/die.h"

#include <dwarf.h>

bool gm_die_next(Dwarf_Die *die)
{
    Dwarf_Die next;
    if (dwarf_siblingof(die, &next) != 0 || (const char *)next.addr <= (const char *)die->addr)
        return false;
    *die = next;
    return true;
}

const char *gm_die_symbol(Dwarf_Die *function)
{
    static const unsigned attributes[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name};
    Dwarf_Attribute attribute;
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        const char *symbol =
            dwarf_formstring(dwarf_attr_integrate(function, attributes[i], &attribute));
        if (symbol && symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R'))
            return symbol;
    }
    return NULL;
}
