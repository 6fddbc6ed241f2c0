/* module.c - see module.h. */
#include "libgeomem/event/module.h"

#include <assert.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/event/process.h"
#include "libgeomem/unwind/object.h"

#define BUILD_ID_MAX 64
#define PATH_MAX_SENT 1800 /* bytes of path that fit a record beside the rest */

struct module {
    struct dl_find_object object;
    uint64_t bias;
    const uint8_t *build_id;
    unsigned build_id_bytes;
    char path[PATH_MAX_SENT + 1];
};

static unsigned note_round(unsigned n)
{
    return (n + 3) & ~3u;
}

static void notes_search(struct module *m, const uint8_t *p, uint64_t bytes)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, p, sizeof note);
        uint64_t length =
            sizeof note + (uint64_t)note_round(note.n_namesz) + note_round(note.n_descsz);
        if (note.n_namesz > bytes || note.n_descsz > bytes || length > bytes)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(p + sizeof note, "GNU", 4) == 0 && note.n_descsz <= BUILD_ID_MAX) {
            m->build_id = p + sizeof note + 4;
            m->build_id_bytes = note.n_descsz;
            return;
        }
        p += length;
        bytes -= length;
    }
}

/* The object is loaded, and code of it is on our stack: its headers can be read. */
static void module_find_build_id(struct module *m)
{
    const uint8_t *base = m->object.dlfo_map_start;
    ElfW(Ehdr) header;
    memcpy(&header, base, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr)) ||
        header.e_phoff + (uint64_t)header.e_phnum * sizeof(ElfW(Phdr)) > 4096)
        return;
    const ElfW(Phdr) *ph = (const ElfW(Phdr) *)(const void *)(base + header.e_phoff);
    uint64_t size = (uint64_t)((const uint8_t *)m->object.dlfo_map_end - base);
    for (unsigned i = 0; i < header.e_phnum && !m->build_id; i++) {
        uint64_t at = m->bias + ph[i].p_vaddr - (uint64_t)base;
        if (ph[i].p_type == PT_NOTE && at < size && ph[i].p_memsz <= size - at)
            notes_search(m, base + at, ph[i].p_memsz);
    }
}

/* The program itself has no name in the link map; a relative name is relative to the current folder. */
static void module_find_path(struct module *m)
{
    const char *name = m->object.dlfo_link_map->l_name;
    size_t used = 0;
    if (!name || !name[0])
        name = gm_image.exe;
    else if (name[0] != '/' && strchr(name, '/')) {
        long n = gm_sys2(SYS_getcwd, m->path, PATH_MAX_SENT - 1);
        if (n > 1) {
            used = (size_t)n - 1;
            m->path[used++] = '/';
        }
    }
    size_t n = strnlen(name, PATH_MAX_SENT - used);
    memcpy(m->path + used, name, n);
    m->path[used + n] = 0;
}

static void bytes_put(
    struct gm_producer *p, const void *bytes, size_t a_bytes, const void *more, size_t b_bytes)
{
    uint8_t word[8] = {0};
    size_t total = a_bytes + b_bytes;
    for (size_t i = 0; i < total; i++) {
        word[i % 8] =
            i < a_bytes ? ((const uint8_t *)bytes)[i] : ((const uint8_t *)more)[i - a_bytes];
        if (i % 8 == 7 || i + 1 == total) {
            uint64_t v;
            memcpy(&v, word, 8);
            gm_producer_put(p, v);
            memset(word, 0, sizeof word);
        }
    }
}

__attribute__((noinline)) static bool module_send(struct gm_scope *scope, struct module *m)
{
    m->bias = m->object.dlfo_link_map->l_addr;
    module_find_build_id(m);
    module_find_path(m);
    size_t path_bytes = strlen(m->path);
    uint32_t words = 5 + (uint32_t)(m->build_id_bytes + path_bytes + 7) / 8;
    if (words < 6)
        words = 6;
    if (!gm_scope_reserve(scope, words))
        return false;
    struct gm_producer *p = scope->producer;
    gm_producer_put(p, gm_rec_word0(GM_EV_MODULE, words, 0));
    gm_producer_put(p, (uint64_t)m->object.dlfo_map_start);
    gm_producer_put(p, (uint64_t)m->object.dlfo_map_end);
    gm_producer_put(p, m->bias);
    gm_producer_put(p, m->build_id_bytes | (uint64_t)path_bytes << 8);
    bytes_put(p, m->build_id, m->build_id_bytes, m->path, path_bytes);
    if (m->build_id_bytes + path_bytes == 0)
        gm_producer_put(p, 0);
    gm_scope_publish(scope);
    return true;
}

bool gm_module_announce(struct gm_scope *scope, uintptr_t pc)
{
    struct dl_find_object object;
    if (!gm_object_find(pc, &object))
        return true;
    uint64_t start = (uint64_t)object.dlfo_map_start;
    uint64_t *known =
        &scope->thread->announced[scope->level][(start * 0x9e3779b97f4a7c15ull) >> 56];
    if (*known == start)
        return true;
    struct module *m = (struct module *)(void *)scope->thread->scratch[scope->level];
    static_assert(
        sizeof *m <= sizeof scope->thread->scratch[0], "the scratch memory holds a module");
    memset(m, 0, offsetof(struct module, path));
    m->object = object;
    if (!module_send(scope, m))
        return false;
    *known = start;
    return true;
}
