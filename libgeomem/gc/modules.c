/* modules.c - see modules.h. */
#include "libgeomem/gc/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/unsanitized.h"

/* Address space set aside at the beginning: a collection that could not say where the roots are would have to be given up, and
 * malloc may be locked by a stopped thread. */
struct table {
    void *rows;
    size_t count;
};
/* Arbitrary; memory comes as it is used. */
#define TABLE_ROOM ((size_t)1 << 17)

static struct {
    const struct r_debug *debug;     /* NULL: a static program */
    size_t tls_id_at, tls_offset_at; /* in struct link_map; 0: not known */
    uint64_t fingerprint;            /* of the list as read; 0: never read */
    bool sure;
    struct table globals; /* struct gm_module_range */
    struct table tls;     /* struct gm_module_tls */
} modules;

static int table_init(struct table *t, size_t row_bytes)
{
    if (t->rows == NULL)
        t->rows = gm_sys_map(TABLE_ROOM * row_bytes);
    return t->rows ? 0 : -ENOMEM;
}

static void *table_add(struct table *t, size_t row_bytes)
{
    return t->count == TABLE_ROOM ? NULL : (char *)t->rows + t->count++ * row_bytes;
}

int gm_modules_init(void)
{
    int err = table_init(&modules.globals, sizeof(struct gm_module_range));
    if (err < 0 || (err = table_init(&modules.tls, sizeof(struct gm_module_tls))) < 0)
        return err;
    /* {bits, count, offset}: of glibc's debugger interface */
    const uint32_t *id = dlsym(RTLD_DEFAULT, "_thread_db_link_map_l_tls_modid");
    const uint32_t *offset = dlsym(RTLD_DEFAULT, "_thread_db_link_map_l_tls_offset");
    modules.debug = dlsym(RTLD_DEFAULT, "_r_debug");
    if (id && offset) {
        modules.tls_id_at = id[2];
        modules.tls_offset_at = offset[2];
    }
    return 0;
}

static void globals_add(uintptr_t start, uintptr_t end)
{
    start = (start + 7) & ~(uintptr_t)7;
    end &= ~(uintptr_t)7;
    if (start >= end)
        return;
    struct gm_module_range *range = table_add(&modules.globals, sizeof *range);
    if (range)
        *range = (struct gm_module_range){start, end};
}

/* A writable segment less what the loader has made read-only since. */
static void segment_add(uintptr_t start, uintptr_t end, uintptr_t relro_start, uintptr_t relro_end)
{
    if (relro_start < relro_end && relro_start < end && relro_end > start) {
        if (relro_start > start)
            globals_add(start, relro_start);
        start = relro_end;
    }
    globals_add(start, end);
}

static void tls_add(const struct link_map *map, const Elf64_Phdr *ph, bool excluded)
{
    size_t id = 0, offset = 0;
    if (!map || !modules.tls_id_at || !ph->p_memsz)
        return;
    memcpy(&id, (const char *)map + modules.tls_id_at, sizeof id);
    memcpy(&offset, (const char *)map + modules.tls_offset_at, sizeof offset);
    struct gm_module_tls *tls = table_add(&modules.tls, sizeof *tls);
    if (!tls)
        return;
    if ((ptrdiff_t)offset <= 0) /* 0 or one of glibc's marks: not in the static block */
        offset = 0;
    *tls = (struct gm_module_tls){
        .offset = offset, .bytes = ph->p_memsz, .id = id, .excluded = excluded};
}

static GM_UNSANITIZED void module_add(
    const struct link_map *map, uintptr_t bias, const Elf64_Phdr *ph, size_t count, bool excluded)
{
    uintptr_t relro_start = 0, relro_end = 0;
    for (size_t i = 0; i < count; i++) {
        if (ph[i].p_type != PT_GNU_RELRO)
            continue;
        /* as the loader does: whole pages */
        relro_start = (bias + ph[i].p_vaddr) & ~(uintptr_t)(GM_PAGE_BYTES - 1);
        relro_end = (bias + ph[i].p_vaddr + ph[i].p_memsz) & ~(uintptr_t)(GM_PAGE_BYTES - 1);
    }
    for (size_t i = 0; i < count; i++) {
        uintptr_t start = bias + ph[i].p_vaddr;
        if (ph[i].p_type == PT_TLS)
            tls_add(map, &ph[i], excluded);
        if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_W) && !excluded)
            segment_add(start, start + ph[i].p_memsz, relro_start, relro_end);
    }
}

/* Of a module without its headers where they are looked for: what follows the dynamic section without a gap. */
static void module_add_by_mappings(uintptr_t dynamic, struct gm_maps *maps)
{
    struct gm_mapping m;
    for (uintptr_t at = dynamic; gm_maps_at(maps, at, &m) == 0 && m.readable; at = m.end)
        if (m.writable)
            globals_add(m.start, m.end);
        else if (at != dynamic)
            break;
}

static GM_UNSANITIZED bool module_is_recorders(const char *name)
{
    const char *base = name;
    for (const char *p = name; *p; p++)
        if (*p == '/')
            base = p + 1;
    static const char recorders[] = "libgeomem_preload.so";
    for (size_t i = 0; i < sizeof recorders - 1; i++)
        if (base[i] != recorders[i])
            return false;
    return true;
}

/* True if the address is within a loaded segment. */
static GM_UNSANITIZED bool module_holds(
    uintptr_t bias, const Elf64_Phdr *ph, size_t count, uintptr_t address)
{
    for (size_t i = 0; i < count; i++)
        if (ph[i].p_type == PT_LOAD && address - (bias + ph[i].p_vaddr) < ph[i].p_memsz)
            return true;
    return false;
}

static void program_add(const struct link_map *map)
{
    const Elf64_Phdr *ph = (const Elf64_Phdr *)getauxval(AT_PHDR); /* NOLINT: the kernel's number */
    size_t count = getauxval(AT_PHNUM);
    uintptr_t bias = map ? map->l_addr : 0;
    if (!ph)
        return;
    for (size_t i = 0; !map && i < count; i++)
        if (ph[i].p_type == PT_PHDR)
            bias = (uintptr_t)ph - ph[i].p_vaddr;
    module_add(map, bias, ph, count, false);
}

static GM_UNSANITIZED void library_add(const struct link_map *map, struct gm_maps *maps)
{
    const Elf64_Ehdr *eh = (const Elf64_Ehdr *)map->l_addr; /* NOLINT: the loader's number */
    struct gm_mapping m;
    if (!map->l_addr || gm_maps_at(maps, map->l_addr, &m) < 0 || !m.readable ||
        eh->e_ident[0] != ELFMAG0 || eh->e_ident[1] != ELFMAG1 || eh->e_ident[2] != ELFMAG2 ||
        eh->e_phoff + (size_t)eh->e_phnum * sizeof(Elf64_Phdr) > m.end - m.start) {
        module_add_by_mappings((uintptr_t)map->l_ld, maps);
        return;
    }
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(const void *)((const char *)eh + eh->e_phoff);
    bool own = module_holds(map->l_addr, ph, eh->e_phnum, (uintptr_t)&modules);
    module_add(map, map->l_addr, ph, eh->e_phnum, own || module_is_recorders(map->l_name));
}

/* Lists of other name spaces (dlmopen) follow the first since version 2, glibc 2.35. */
struct debug_extended {
    struct r_debug base;
    struct debug_extended *next;
};

static GM_UNSANITIZED const struct r_debug *debug_next(const struct r_debug *debug)
{
    if (modules.debug->r_version < 2)
        return NULL;
    return (const struct r_debug *)((const struct debug_extended *)debug)->next;
}

/* Multiplications by FNV's prime; a list that differs anywhere differs in its value but by accident. */
static GM_UNSANITIZED uint64_t list_fingerprint(bool *ret_sure)
{
    uint64_t h = 0xcbf29ce484222325u;
    *ret_sure = true;
    for (const struct r_debug *d = modules.debug; d; d = debug_next(d)) {
        *ret_sure &= d->r_state == RT_CONSISTENT;
        for (const struct link_map *map = d->r_map; map; map = map->l_next) {
            h = (h ^ (uintptr_t)map) * 0x100000001b3u;
            h = (h ^ map->l_addr) * 0x100000001b3u;
            h = (h ^ (uintptr_t)map->l_ld) * 0x100000001b3u;
        }
        h = (h ^ 1) * 0x100000001b3u;
    }
    return h ? h : 1;
}

void gm_modules_refresh(struct gm_maps *maps)
{
    uint64_t fingerprint = list_fingerprint(&modules.sure);
    if (fingerprint == modules.fingerprint)
        return;
    modules.globals.count = modules.tls.count = 0;
    const struct link_map *program = modules.debug ? modules.debug->r_map : NULL;
    program_add(program);
    for (const struct r_debug *d = modules.debug; d; d = debug_next(d))
        for (const struct link_map *map = d->r_map; map; map = map->l_next)
            if (map != program)
                library_add(map, maps);
    modules.fingerprint = modules.sure ? fingerprint : 0;
}

size_t gm_modules_globals(const struct gm_module_range **ret_ranges, bool *ret_sure)
{
    *ret_ranges = modules.globals.rows;
    *ret_sure = modules.sure;
    return modules.globals.count;
}

size_t gm_modules_tls(const struct gm_module_tls **ret_tls)
{
    *ret_tls = modules.tls.rows;
    return modules.tls.count;
}
