/* name.c - function names for the report's stacks, inside the process that made them.
 *
 * The dynamic linker knows exported functions; for all others the module's file is asked for its symbol table.
 * Stripped modules leave "module+0x1234", which addr2line understands. A recorder names inlined functions and lines
 * too: this is the small way that needs nobody else.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libgeomem/profile/profile.h"

#define MODULES 32u

/* A module's file, mapped while a report is being made. */
struct name_module {
    const void *base; /* where it is loaded */
    uintptr_t bias;   /* address minus st_value */
    const uint8_t *file;
    size_t bytes;
    const Elf64_Sym *symbols;
    size_t symbol_count;
    const char *strings;
    size_t string_bytes;
};

static struct name_module name_modules[MODULES];
static uint32_t name_module_count;

/* Of the C++ library, where the program has one. */
extern char *__cxa_demangle(const char *name, char *buffer, size_t *bytes, int *status)
    __attribute__((weak));

static bool file_has(const struct name_module *m, uint64_t offset, uint64_t bytes)
{
    return offset <= m->bytes && bytes <= m->bytes - offset;
}

static void module_find_symbols(struct name_module *m)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)m->file;
    if (m->bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(Elf64_Shdr) ||
        header->e_shoff % 8 != 0 ||
        !file_has(m, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr)))
        return;
    const Elf64_Shdr *section = (const Elf64_Shdr *)(m->file + header->e_shoff);
    m->bias = header->e_type == ET_EXEC ? 0 : (uintptr_t)m->base;
    for (uint32_t i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *s = &section[i];
        if (s->sh_type != SHT_SYMTAB || s->sh_link >= header->e_shnum || s->sh_offset % 8 != 0 ||
            !file_has(m, s->sh_offset, s->sh_size))
            continue;
        const Elf64_Shdr *strings = &section[s->sh_link];
        if (strings->sh_size == 0 || !file_has(m, strings->sh_offset, strings->sh_size) ||
            m->file[strings->sh_offset + strings->sh_size - 1] != '\0')
            continue;
        m->symbols = (const Elf64_Sym *)(m->file + s->sh_offset);
        m->symbol_count = s->sh_size / sizeof(Elf64_Sym);
        m->strings = (const char *)(m->file + strings->sh_offset);
        m->string_bytes = strings->sh_size;
        return;
    }
}

static void module_map(struct name_module *m, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && strchr(path, '/') == NULL)
        fd = open(
            "/proc/self/exe", O_RDONLY | O_CLOEXEC); /* the program itself, as argv[0] has it */
    if (fd < 0)
        return;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
        void *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            m->file = file;
            m->bytes = (size_t)st.st_size;
        }
    }
    close(fd);
    if (m->file)
        module_find_symbols(m);
}

static struct name_module *module_at(const Dl_info *info)
{
    for (uint32_t i = 0; i < name_module_count; i++)
        if (name_modules[i].base == info->dli_fbase)
            return &name_modules[i];
    if (name_module_count == MODULES)
        return NULL;
    struct name_module *m = &name_modules[name_module_count++];
    memset(m, 0, sizeof *m);
    m->base = info->dli_fbase;
    module_map(m, info->dli_fname);
    return m;
}

void gm_profile_names_close(void)
{
    for (uint32_t i = 0; i < name_module_count; i++)
        if (name_modules[i].file)
            munmap((void *)(uintptr_t)name_modules[i].file, name_modules[i].bytes);
    name_module_count = 0;
}

static const char *module_symbol(const struct name_module *m, uintptr_t pc)
{
    uintptr_t value = pc - m->bias;
    for (size_t i = 0; i < m->symbol_count; i++) {
        const Elf64_Sym *s = &m->symbols[i];
        if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && value >= s->st_value &&
            value - s->st_value < s->st_size && s->st_name < m->string_bytes)
            return m->strings + s->st_name;
    }
    return NULL;
}

/* Plain and nested names of the Itanium C++ ABI (5.1.2), without parameters: _ZL3addii, _ZN4list6insertEv. What has templates
 * or operators in it stays as it is. For C++ programs that have come without a C++ library. */
static bool name_is_simple(const char *symbol, char *name, size_t bytes)
{
    const char *at = symbol + 2;
    bool is_nested = *at == 'N';
    size_t used = 0;
    at += strspn(at, is_nested ? "NKVL" : "L");
    do {
        char *end;
        unsigned long length = strtoul(at, &end, 10);
        if (end == at || length > strlen(end) || used + length + 3 > bytes)
            return false;
        used += (size_t)snprintf(
            name + used, bytes - used, "%s%.*s", used ? "::" : "", (int)length, end);
        at = end + length;
    } while (is_nested && *at != 'E');
    return *at != 'I' && *at != 'C' && *at != 'D'; /* template, constructor, destructor */
}

/* Without what compilers append to copies of a function: ".constprop.0", ".part.1", ".cold". */
static void name_write(const char *symbol, char *name, size_t bytes)
{
    char mangled[256];
    int status = -1;
    snprintf(name, bytes, "%.*s", (int)strcspn(symbol, "."), symbol);
    if (symbol[0] != '_' || symbol[1] != 'Z')
        return;
    snprintf(mangled, sizeof mangled, "%s", name);
    char *plain = __cxa_demangle ? __cxa_demangle(mangled, NULL, NULL, &status) : NULL;
    if (plain)
        snprintf(name, bytes, "%s", plain);
    else if (!name_is_simple(mangled, name, bytes))
        snprintf(name, bytes, "%s", mangled);
    free(plain);
}

void gm_profile_name(uintptr_t pc, char *name, size_t bytes)
{
    Dl_info info;
    /* A return address may be the first of the next function: the call is before it. */
    if (pc == 0 || !dladdr((const void *)(pc - 1), &info) || !info.dli_fname) {
        snprintf(name, bytes, "0x%lx", (unsigned long)pc);
        return;
    }
    const struct name_module *m = info.dli_sname ? NULL : module_at(&info);
    const char *symbol = info.dli_sname ? info.dli_sname : m ? module_symbol(m, pc - 1) : NULL;
    if (symbol) {
        name_write(symbol, name, bytes);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(name, bytes, "%s+0x%lx", slash ? slash + 1 : info.dli_fname,
        (unsigned long)(pc - 1 - (uintptr_t)info.dli_fbase));
}

bool gm_profile_name_is_ours(const char *name)
{
    return !strncmp(name, "geomem_", 7) || !strncmp(name, "gm_", 3) || !strncmp(name, "GC_", 3) ||
           !strcmp(name, "allocate_memory") || !strcmp(name, "store_cached_data") ||
           !strcmp(name, "get_or_load_cached_data");
}
