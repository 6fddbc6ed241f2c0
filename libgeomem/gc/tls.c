/* tls.c - see tls.h. */
#include "libgeomem/gc/tls.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "libgeomem/gc/modules.h"
#include "libgeomem/gc/unsanitized.h"

/* Of glibc's debugger interface: a field is {bits, count, offset}. */
struct db_field {
    uint32_t bits;
    uint32_t count;
    uint32_t offset;
};

static struct {
    size_t descriptor_bytes;
    size_t static_bytes;
    size_t keys_offset; /* pointers to the second level of keys; 0: not known */
    size_t keys_count;
    size_t keys_block_bytes;
} tls = {.descriptor_bytes = 2304, .static_bytes = 0}; /* of glibc 2.31 to 2.36: at least 2304 */

/* tcbhead_t of the x86-64 ABI: a pointer to itself, the dtv, again itself. */
enum { TCB_SELF = 0, TCB_DTV = 1, TCB_SELF_TOO = 2 };

void gm_tls_init(void)
{
    const uint32_t *descriptor = dlsym(RTLD_DEFAULT, "_thread_db_sizeof_pthread");
    if (descriptor)
        tls.descriptor_bytes = *descriptor;
    void *info = dlsym(RTLD_DEFAULT, "_dl_get_tls_static_info");
    if (info) {
        size_t align;
        void (*get)(size_t *, size_t *) = (void (*)(size_t *, size_t *))(uintptr_t)info;
        get(&tls.static_bytes, &align);
    }
    const struct db_field *keys = dlsym(RTLD_DEFAULT, "_thread_db_pthread_specific");
    const uint32_t *block = dlsym(RTLD_DEFAULT, "_thread_db_sizeof_pthread_key_data_level2");
    if (keys && block) {
        tls.keys_offset = keys->offset;
        tls.keys_count = keys->bits / 64;
        tls.keys_block_bytes = *block;
    }
}

size_t gm_tls_descriptor_bytes(void)
{
    return tls.descriptor_bytes;
}

static bool readable(struct gm_maps *maps, uintptr_t start, uintptr_t end)
{
    struct gm_mapping m;
    while (start < end) {
        if (gm_maps_at(maps, start, &m) < 0 || !m.readable)
            return false;
        start = m.end;
    }
    return true;
}

struct tls_walk {
    uintptr_t tp;
    struct gm_maps *maps;
    gm_tls_visitor *visit;
    void *arg;
};

/* dtv[0] is the generation, dtv[-1] the length, dtv[i] the block of module i: {address or -1, what to free}. */
static GM_UNSANITIZED void tls_visit_modules(struct tls_walk *walk, const uintptr_t *dtv)
{
    const struct gm_module_tls *modules;
    size_t count = gm_modules_tls(&modules);
    if (!count || !readable(walk->maps, (uintptr_t)(dtv - 2), (uintptr_t)(dtv + 2)))
        return;
    uintptr_t length = *(dtv - 2);
    for (size_t i = 0; i < count; i++) {
        const uintptr_t *entry = dtv + 2 * modules[i].id;
        if (modules[i].excluded || modules[i].id > length ||
            !readable(walk->maps, (uintptr_t)entry, (uintptr_t)(entry + 1)))
            continue;
        uintptr_t start = *entry, end = start + modules[i].bytes;
        bool is_static = start < walk->tp && start >= walk->tp - tls.static_bytes;
        if (start && start != (uintptr_t)-1 && !is_static && readable(walk->maps, start, end))
            walk->visit(start, end, walk->arg);
    }
}

static GM_UNSANITIZED void tls_visit_keys(struct tls_walk *walk)
{
    const uintptr_t *blocks =
        (const uintptr_t *)(walk->tp + tls.keys_offset); /* NOLINT: from a register */
    for (size_t i = 1; tls.keys_offset && i < tls.keys_count;
         i++) /* the first is in the descriptor */
        if (blocks[i] && readable(walk->maps, blocks[i], blocks[i] + tls.keys_block_bytes))
            walk->visit(blocks[i], blocks[i] + tls.keys_block_bytes, walk->arg);
}

/* Less what is libgeomem's own. */
static void tls_visit_static(struct tls_walk *walk)
{
    const struct gm_module_tls *modules;
    size_t count = gm_modules_tls(&modules);
    uintptr_t at = walk->tp - tls.static_bytes, end = walk->tp + tls.descriptor_bytes;
    while (at < end) {
        uintptr_t hole = end, after = end;
        for (size_t i = 0; i < count; i++) {
            uintptr_t own = walk->tp - modules[i].offset;
            if (!modules[i].excluded || own < at || own >= hole || !modules[i].offset)
                continue;
            hole = own;
            after = own + modules[i].bytes;
        }
        if (hole > at)
            walk->visit(at, hole, walk->arg);
        at = after;
    }
}

GM_UNSANITIZED void gm_tls_visit(
    uintptr_t tp, struct gm_maps *maps, gm_tls_visitor *visit, void *arg)
{
    struct tls_walk walk = {tp, maps, visit, arg};
    const uintptr_t *tcb = (const uintptr_t *)tp; /* NOLINT: from a register */
    if (!tp || tp % 8 || !readable(maps, tp - tls.static_bytes, tp + tls.descriptor_bytes))
        return;
    if (tcb[TCB_SELF] != tp || tcb[TCB_SELF_TOO] != tp)
        return;
    tls_visit_static(&walk);
    tls_visit_modules(&walk, (const uintptr_t *)tcb[TCB_DTV]); /* NOLINT */
    tls_visit_keys(&walk);
}
