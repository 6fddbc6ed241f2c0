/* module.c - see module.h. */
#include "collector/symbols/module.h"

#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/symbols/dwarf.h"
#include "collector/symbols/names.h"
#include "collector/symbols/symtab.h"

#define SYSTEM_DEBUG_DIR "/usr/lib/debug"
#define DELETED " (deleted)"
#define MAX_BUILD_ID_BYTES 64

struct gm_symmodule {
    char *path, *build_id;
    char *debug_path; /* as libdwfl wants it; it keeps a pointer to the variable */
    Dwfl_Callbacks callbacks;
    Dwfl *dwfl;
    Dwfl_Module *dwfl_module;
    GElf_Addr bias, dwarf_bias; /* address in libdwfl - bias = address in the file */
    uint64_t bytes;
    struct gm_names names;
    struct gm_symtab symtab;
    struct gm_dwarf *dwarf;
};

/* ---- finding the file --------------------------------------------------------------------------
 */

static bool elf_has_build_id(Elf *elf, const char *build_id)
{
    const void *bytes;
    char hex[2 * MAX_BUILD_ID_BYTES + 1];
    ssize_t count = dwelf_elf_gnu_build_id(elf, &bytes);
    if (count <= 0 || count > MAX_BUILD_ID_BYTES)
        return false;
    for (ssize_t i = 0; i < count; i++)
        snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
    return strcmp(hex, build_id) == 0;
}

static bool fd_is_module(int fd, const char *build_id)
{
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    bool is = elf && elf_kind(elf) == ELF_K_ELF && (!*build_id || elf_has_build_id(elf, build_id));
    elf_end(elf);
    return is;
}

/* Opens the file if it is the module's. O_NONBLOCK: the name may belong to a pipe by now. */
static int path_open(const char *path, const char *build_id)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && fd_is_module(fd, build_id))
        return fd;
    close(fd);
    return -1;
}

static int below_open(
    const char *folder, const char *name, const char *build_id, char ret_path[PATH_MAX])
{
    int length = snprintf(ret_path, PATH_MAX, "%s%s", folder, name);
    return length < PATH_MAX ? path_open(ret_path, build_id) : -1;
}

/* folder/.build-id/xx/yyyy holds the program, with .debug at its end the debug file: good enough,
 * it has all the names. */
static int build_id_open(
    const char *root, const char *folder, const char *build_id, char ret_path[PATH_MAX])
{
    static const char *const endings[] = {"", ".debug"};
    if (strlen(build_id) < 3)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        int length = snprintf(ret_path, PATH_MAX, "%s%s/.build-id/%.2s/%s%s", root, folder,
            build_id, build_id + 2, endings[i]);
        int fd = length < PATH_MAX ? path_open(ret_path, build_id) : -1;
        if (fd >= 0)
            return fd;
    }
    return -1;
}

static int mapped_open(const struct gm_symplaces *places, const char *path, const char *build_id,
    char ret_path[PATH_MAX])
{
    int fd = -1;
    if (path[0] != '/')
        return -1;
    if (places->sysroot)
        fd = below_open(places->sysroot, path, build_id, ret_path);
    return fd >= 0 ? fd : below_open("", path, build_id, ret_path);
}

/* A file that was deleted or replaced while mapped: its old name may have a copy of it, which only
 * the build-id can tell. */
static int deleted_open(const struct gm_symplaces *places, const char *path, const char *build_id,
    char ret_path[PATH_MAX])
{
    char old[PATH_MAX];
    size_t length = strlen(path), ending = strlen(DELETED);
    if (!*build_id || length < ending || strcmp(path + length - ending, DELETED) != 0 ||
        length - ending >= sizeof old)
        return -1;
    memcpy(old, path, length - ending);
    old[length - ending] = 0;
    return mapped_open(places, old, build_id, ret_path);
}

static int module_find(const struct gm_symplaces *places, const char *path, const char *build_id,
    char ret_path[PATH_MAX])
{
    int fd = mapped_open(places, path, build_id, ret_path);
    if (fd < 0)
        fd = deleted_open(places, path, build_id, ret_path);
    for (size_t i = 0; fd < 0 && i < places->debug_dir_count; i++)
        fd = build_id_open("", places->debug_dirs[i], build_id, ret_path);
    if (fd < 0 && places->sysroot)
        fd = build_id_open(places->sysroot, SYSTEM_DEBUG_DIR, build_id, ret_path);
    if (fd < 0)
        fd = build_id_open("", SYSTEM_DEBUG_DIR, build_id, ret_path);
    return fd;
}

/* ---- opening it --------------------------------------------------------------------------------
 */

/* "+" has libdwfl check CRCs; "" and ".debug" stand for the module's own folder. */
static char *debug_path_create(const struct gm_symplaces *places)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    fputs("+:.debug", out);
    for (size_t i = 0; i < places->debug_dir_count; i++)
        fprintf(out, ":%s", places->debug_dirs[i]);
    if (places->sysroot)
        fprintf(out, ":%s" SYSTEM_DEBUG_DIR, places->sysroot);
    fputs(":" SYSTEM_DEBUG_DIR, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int module_begin(struct gm_symmodule *m, const char *path, int fd)
{
    m->callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
    m->callbacks.section_address = dwfl_offline_section_address;
    m->callbacks.debuginfo_path = &m->debug_path;
    m->dwfl = dwfl_begin(&m->callbacks);
    if (!m->dwfl) {
        close(fd);
        return -ENOMEM;
    }
    struct stat status;
    if (fstat(fd, &status) == 0)
        m->bytes = (uint64_t)status.st_size;
    dwfl_report_begin(m->dwfl);
    m->dwfl_module =
        dwfl_report_elf(m->dwfl, path, path, fd, 0, false); /* takes fd when it succeeds */
    if (!m->dwfl_module)
        close(fd);
    dwfl_report_end(m->dwfl, NULL, NULL);
    return 0;
}

/* A unit shared by several debug files (dwz): libdw looks for it only in the system's folder. */
static void alternate_find(const struct gm_symplaces *places, Dwarf *dwarf)
{
    const char *name;
    const void *id;
    char hex[2 * MAX_BUILD_ID_BYTES + 1], path[PATH_MAX];
    ssize_t count = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id);
    if (count <= 0 || count > MAX_BUILD_ID_BYTES || dwarf_getalt(dwarf))
        return;
    for (ssize_t i = 0; i < count; i++)
        snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
    int fd = -1;
    for (size_t i = 0; fd < 0 && i < places->debug_dir_count; i++)
        fd = build_id_open("", places->debug_dirs[i], hex, path);
    if (fd < 0 && places->sysroot)
        fd = build_id_open(places->sysroot, SYSTEM_DEBUG_DIR, hex, path);
    Dwarf *alternate = fd >= 0 ? dwarf_begin(fd, DWARF_C_READ) : NULL;
    if (alternate)
        dwarf_setalt(dwarf, alternate);
}

static int module_read(const struct gm_symplaces *places, struct gm_symmodule *m)
{
    if (!dwfl_module_getelf(m->dwfl_module, &m->bias))
        return 0;
    Dwarf *dwarf = dwfl_module_getdwarf(m->dwfl_module, &m->dwarf_bias);
    if (dwarf) {
        alternate_find(places, dwarf);
        if (gm_dwarf_create(dwarf, &m->names, &m->dwarf) == -ENOMEM)
            return -ENOMEM;
    }
    return gm_symtab_read(&m->symtab, m->dwfl_module, m->bias);
}

int gm_symmodule_open(const struct gm_symplaces *places, const char *path, const char *build_id,
    struct gm_symmodule **ret_module)
{
    char found[PATH_MAX];
    struct gm_symmodule *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->path = strdup(path);
    m->build_id = strdup(build_id);
    m->debug_path = debug_path_create(places);
    int r = m->path && m->build_id && m->debug_path ? 0 : -ENOMEM;
    int fd = r == 0 ? module_find(places, path, build_id, found) : -1;
    if (fd >= 0)
        r = module_begin(m, found, fd);
    if (r == 0 && m->dwfl_module)
        r = module_read(places, m);
    if (r < 0) {
        gm_symmodule_free(m);
        return r;
    }
    *ret_module = m;
    return 0;
}

void gm_symmodule_free(struct gm_symmodule *m)
{
    if (!m)
        return;
    gm_dwarf_free(m->dwarf);
    gm_symtab_done(&m->symtab);
    gm_names_done(&m->names);
    if (m->dwfl)
        dwfl_end(m->dwfl);
    free(m->debug_path);
    free(m->path);
    free(m->build_id);
    free(m);
}

/* ---- asking it ---------------------------------------------------------------------------------
 */

enum gm_symbols_source gm_symmodule_source(const struct gm_symmodule *m)
{
    if (m->dwarf)
        return GM_SYMBOLS_DEBUG;
    return m->symtab.count ? GM_SYMBOLS_SYMTAB : GM_SYMBOLS_NONE;
}

uint64_t gm_symmodule_bytes(const struct gm_symmodule *m)
{
    return m->bytes;
}

bool gm_symmodule_is(const struct gm_symmodule *m, const char *path, const char *build_id)
{
    return strcmp(m->path, path) == 0 && strcmp(m->build_id, build_id) == 0;
}

size_t gm_symmodule_find(
    struct gm_symmodule *m, uint64_t address, struct gm_symbols_line lines[GM_SYMBOLS_MAX_LINES])
{
    size_t count = 0;
    if (m->dwarf)
        count = gm_dwarf_find(m->dwarf, address + m->bias - m->dwarf_bias, lines);
    if (count && lines[count - 1].function)
        return count;
    const char *symbol = gm_symtab_find(&m->symtab, address);
    if (!symbol)
        return count;
    if (!count)
        lines[count++] = (struct gm_symbols_line){0};
    lines[count - 1].function = gm_names_get(&m->names, symbol);
    return count;
}
