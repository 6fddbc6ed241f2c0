/* symtab.c - see symtab.h. */
#include "collector/symbols/symtab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One symbol as long as the table is being read. */
struct symbol {
    uint64_t start, end; /* end: of its section, where it has no size */
    const char *name;
    unsigned rank; /* of several names for the same bytes the highest is shown */
    bool sized;
};
struct symbols {
    struct symbol *v;
    size_t n, room;
};

/* Public names before private ones, and among those the ones users write: malloc, not
 * __libc_malloc. */
static unsigned symbol_rank(const GElf_Sym *sym, const char *name)
{
    unsigned binding = GELF_ST_BIND(sym->st_info);
    unsigned plain = name[0] != '_' ? 2 : name[1] != '_' ? 1 : 0;
    return (binding == STB_GLOBAL || binding == STB_WEAK ? 8 : 0) + plain * 2 +
           (binding == STB_GLOBAL);
}

static bool section_is_code(Elf *elf, GElf_Word index, uint64_t *ret_end)
{
    GElf_Shdr storage, *header = gelf_getshdr(elf_getscn(elf, index), &storage);
    if (!header || !(header->sh_flags & SHF_EXECINSTR))
        return false;
    *ret_end = header->sh_addr + header->sh_size;
    return true;
}

static bool symbol_is_code(const GElf_Sym *sym, GElf_Word section, Elf *elf, uint64_t *ret_end)
{
    unsigned type = GELF_ST_TYPE(sym->st_info);
    if (section == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
        return false;
    *ret_end = 0;
    if (type != STT_NOTYPE && sym->st_size)
        return true;
    return section < SHN_LORESERVE && section_is_code(elf, section, ret_end);
}

static int symbols_add(struct symbols *symbols, struct symbol symbol)
{
    if (symbols->n == symbols->room) {
        size_t room = symbols->room ? symbols->room * 2 : 1024;
        struct symbol *grown = realloc(symbols->v, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        symbols->v = grown;
        symbols->room = room;
    }
    symbols->v[symbols->n++] = symbol;
    return 0;
}

static int symbols_read(struct symbols *symbols, Dwfl_Module *module, GElf_Addr bias)
{
    int count = dwfl_module_getsymtab(module);
    for (int i = 1; i < count; i++) {
        GElf_Sym sym;
        GElf_Addr address, elf_bias;
        GElf_Word section;
        Elf *elf;
        uint64_t end;
        const char *name =
            dwfl_module_getsym_info(module, i, &sym, &address, &section, &elf, &elf_bias);
        if (!name || !*name || name[0] == '$' || !symbol_is_code(&sym, section, elf, &end))
            continue;
        struct symbol symbol = {.start = address - bias,
            .name = name,
            .rank = symbol_rank(&sym, name),
            .sized = sym.st_size > 0};
        symbol.end = symbol.sized ? symbol.start + sym.st_size : end + elf_bias - bias;
        if (symbols_add(symbols, symbol) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int symbol_compare(const void *left, const void *right)
{
    const struct symbol *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The name without "@VERSION" or "@@VERSION". */
static const char *name_unversioned(struct gm_symtab *t, const char *name)
{
    const char *version = strchr(name + 1, '@');
    if (!version)
        return name;
    if (t->copy_count == t->copy_room) {
        size_t room = t->copy_room ? t->copy_room * 2 : 64;
        char **grown = realloc(t->copies, room * sizeof *grown);
        if (!grown)
            return NULL;
        t->copies = grown;
        t->copy_room = room;
    }
    char *copy = strndup(name, (size_t)(version - name));
    if (copy)
        t->copies[t->copy_count++] = copy;
    return copy;
}

/* Symbols are sorted by start; next: the start of the first one behind this. */
static int symtab_add(struct gm_symtab *t, const struct symbol *symbol, uint64_t next)
{
    uint32_t index = (uint32_t)t->count;
    if ((t->names[index] = name_unversioned(t, symbol->name)) == NULL)
        return -ENOMEM;
    t->count++;
    if (symbol->sized)
        return gm_intervals_add(&t->sized, symbol->start, symbol->end, index);
    return gm_intervals_add(
        &t->sizeless, symbol->start, next < symbol->end ? next : symbol->end, index);
}

int gm_symtab_read(struct gm_symtab *t, Dwfl_Module *module, GElf_Addr bias)
{
    struct symbols symbols = {0};
    int r = symbols_read(&symbols, module, bias);
    if (r < 0)
        goto out;
    r = -ENOMEM;
    t->names = calloc(symbols.n + 1, sizeof *t->names);
    if (!t->names)
        goto out;
    if (symbols.n)
        qsort(symbols.v, symbols.n, sizeof *symbols.v, symbol_compare);
    for (size_t i = 0, j = 0; i < symbols.n; i++) {
        while (j < symbols.n && symbols.v[j].start <= symbols.v[i].start)
            j++;
        if (symtab_add(t, &symbols.v[i], j < symbols.n ? symbols.v[j].start : UINT64_MAX) < 0)
            goto out;
    }
    gm_intervals_sort(&t->sized);
    gm_intervals_sort(&t->sizeless);
    r = 0;
out:
    free(symbols.v);
    return r;
}

const char *gm_symtab_find(const struct gm_symtab *t, uint64_t address)
{
    const struct gm_interval *found = gm_intervals_find(&t->sized, address);
    if (!found)
        found = gm_intervals_find(&t->sizeless, address);
    return found ? t->names[found->value] : NULL;
}

void gm_symtab_done(struct gm_symtab *t)
{
    for (size_t i = 0; i < t->copy_count; i++)
        free(t->copies[i]);
    free(t->copies);
    free(t->names);
    gm_intervals_done(&t->sized);
    gm_intervals_done(&t->sizeless);
    *t = (struct gm_symtab){0};
}
