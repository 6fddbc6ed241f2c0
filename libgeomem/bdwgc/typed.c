/* typed.c - blocks that say where their pointers are: descriptors, kinds, mark procedures.
 *
 * A descriptor of GC_make_descriptor is the address of a struct descriptor. bdwgc's map ends where its bits end, and the
 * rest of the block holds no pointers; libgeomem's repeats. So a layout is made for each size of block that a
 * descriptor is used with, and kept: layouts live as long as the process.
 */
#include <pthread.h>
#include <string.h>

#include "libgeomem/bdwgc/bdwgc.h"
#include "libgeomem/bdwgc/trace.h"

#define DESCRIPTOR_MAGIC 0x67656f6d64657363u
#define KINDS_MAX 64

struct layout_variant {
    struct layout_variant *next;
    struct geomem_layout layout;
    uint64_t pointers[];
};

struct descriptor {
    uint64_t magic;
    size_t bits;
    bool is_leaf;
    _Atomic(struct layout_variant *) variants;
    uint64_t map[];
};

struct kind {
    bool is_leaf;
    bool clear;
    const struct geomem_layout *layout; /* NULL: any word may be a pointer */
};

static pthread_mutex_t typed_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kind typed_kinds[KINDS_MAX];
static unsigned typed_kind_count = GM_BDWGC_FIRST_NEW;
static GC_mark_proc typed_procs[GC_MAX_MARK_PROCS];
static unsigned typed_proc_count = GC_RESERVED_MARK_PROCS;

GM_BDWGC_API int GC_gcj_kind = GM_BDWGC_NORMAL, GC_gcj_debug_kind = GM_BDWGC_NORMAL;

/* ---- descriptors ---- */

GC_descr GC_make_descriptor(const GC_word *map, size_t bits)
{
    size_t words = (bits + GC_WORDSZ - 1) / GC_WORDSZ;
    struct descriptor *d = geomem_calloc(1, sizeof *d + words * sizeof d->map[0]);
    if (!d)
        return 0; /* read as: any word may be a pointer */
    d->magic = DESCRIPTOR_MAGIC;
    d->bits = bits;
    d->is_leaf = true;
    for (size_t bit = 0; bit < bits; bit++)
        if (GC_get_bit(map, bit)) {
            d->map[bit / 64] |= (uint64_t)1 << bit % 64;
            d->is_leaf = false;
        }
    return (GC_descr)(uintptr_t)d;
}

static struct descriptor *descriptor_of(GC_descr descriptor)
{
    struct descriptor *d = (struct descriptor *)(uintptr_t)descriptor;
    if (descriptor % 16 || !geomem_owns(d) || geomem_usable_size(d) < sizeof *d ||
        d->magic != DESCRIPTOR_MAGIC)
        return NULL;
    return d;
}

static struct layout_variant *variant_find(struct descriptor *d, size_t element_bytes)
{
    /* acquire: pairs with the release in variant_make */
    struct layout_variant *v = atomic_load_explicit(&d->variants, memory_order_acquire);
    while (v && v->layout.element_bytes != element_bytes)
        v = v->next;
    return v;
}

static struct layout_variant *variant_make(struct descriptor *d, size_t element_bytes)
{
    size_t map_words = (element_bytes / 8 + 63) / 64, known = (d->bits + 63) / 64;
    struct layout_variant *v = geomem_calloc(1, sizeof *v + map_words * sizeof v->pointers[0]);
    if (!v)
        return NULL;
    memcpy(v->pointers, d->map, (known < map_words ? known : map_words) * sizeof v->pointers[0]);
    v->layout = (struct geomem_layout){
        .struct_bytes = sizeof v->layout, .element_bytes = element_bytes, .pointers = v->pointers};
    v->next = atomic_load(&d->variants);
    atomic_store_explicit(&d->variants, v, memory_order_release);
    return v;
}

static const struct geomem_layout *descriptor_layout(struct descriptor *d, size_t element_bytes)
{
    struct layout_variant *v = variant_find(d, element_bytes);
    if (!v) {
        pthread_mutex_lock(&typed_lock);
        v = variant_find(d, element_bytes);
        if (!v)
            v = variant_make(d, element_bytes);
        pthread_mutex_unlock(&typed_lock);
    }
    return v ? &v->layout : NULL;
}

/* ---- typed blocks ---- */

static void *zeroed_leaf(size_t bytes)
{
    void *block = geomem_gc_alloc_leaf(bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

static void *typed_alloc(size_t bytes, size_t element_bytes, GC_descr descriptor)
{
    struct descriptor *d = descriptor_of(descriptor);
    void *block = NULL;
    if (bytes > PTRDIFF_MAX - 16)
        return gm_bdwgc_out_of_memory(bytes);
    if (d && d->is_leaf) {
        block = zeroed_leaf(bytes + gm_bdwgc_extra_bytes);
    } else {
        const struct geomem_layout *layout = d && element_bytes % 8 == 0 && element_bytes
                                                 ? descriptor_layout(d, element_bytes)
                                                 : NULL;
        bytes += gm_bdwgc_extra_bytes;
        block = layout ? geomem_gc_alloc_typed(bytes, layout) : geomem_gc_alloc(bytes);
    }
    gm_bdwgc_poll();
    return block ? block : gm_bdwgc_out_of_memory(bytes);
}

void *GC_malloc_explicitly_typed(size_t bytes, GC_descr descriptor)
{
    return typed_alloc(bytes, (bytes + 1 + 15) & ~(size_t)15, descriptor);
}

void *GC_malloc_explicitly_typed_ignore_off_page(size_t bytes, GC_descr descriptor)
{
    return GC_malloc_explicitly_typed(bytes, descriptor);
}

void *GC_calloc_explicitly_typed(size_t count, size_t bytes, GC_descr descriptor)
{
    size_t all;
    if (__builtin_mul_overflow(count, bytes, &all))
        return gm_bdwgc_out_of_memory(SIZE_MAX);
    return typed_alloc(all, bytes, descriptor);
}

/* gcj's: the first word is the type, which is not the collector's to read. */
void GC_init_gcj_malloc(int proc_index, void *mark_proc)
{
    (void)proc_index;
    (void)mark_proc;
}

void *GC_gcj_malloc(size_t bytes, void *type)
{
    void **block = GC_malloc(bytes < sizeof type ? sizeof type : bytes);
    if (block)
        *block = type;
    return block;
}

void *GC_gcj_malloc_ignore_off_page(size_t bytes, void *type)
{
    return GC_gcj_malloc(bytes, type);
}

void *GC_debug_gcj_malloc(size_t bytes, void *type, const char *file, int line)
{
    (void)file;
    (void)line;
    return GC_gcj_malloc(bytes, type);
}

/* ---- kinds ---- */

void **GC_new_free_list(void)
{
    static void *list; /* is never looked at */
    return &list;
}

void **GC_new_free_list_inner(void)
{
    return GC_new_free_list();
}

unsigned GC_new_proc(GC_mark_proc proc)
{
    pthread_mutex_lock(&typed_lock);
    unsigned index = typed_proc_count < GC_MAX_MARK_PROCS ? typed_proc_count++ : 0;
    typed_procs[index] = proc;
    pthread_mutex_unlock(&typed_lock);
    return index;
}

unsigned GC_new_proc_inner(GC_mark_proc proc)
{
    return GC_new_proc(proc);
}

static struct kind kind_of(GC_word descriptor, int add_size, int clear)
{
    struct kind kind = {.clear = clear != 0};
    unsigned proc = (unsigned)(descriptor >> GC_DS_TAG_BITS) & (GC_MAX_MARK_PROCS - 1);
    switch (descriptor & GC_DS_TAGS) {
    case GC_DS_LENGTH:
        kind.is_leaf = descriptor == 0 && !add_size;
        break;
    case GC_DS_PROC:
        kind.layout = gm_bdwgc_trace_layout(
            typed_procs[proc], descriptor >> (GC_DS_TAG_BITS + GC_LOG_MAX_MARK_PROCS));
        break;
    default: /* a map, or one in each block: read as "any word may be a pointer", which is always right */
        break;
    }
    return kind;
}

unsigned GC_new_kind(void **free_list, GC_word descriptor, int add_size, int clear)
{
    (void)free_list;
    pthread_mutex_lock(&typed_lock);
    unsigned index = GM_BDWGC_NORMAL;
    if (typed_kind_count < KINDS_MAX) {
        index = typed_kind_count;
        typed_kinds[index] = kind_of(descriptor, add_size, clear);
        typed_kind_count++;
    }
    pthread_mutex_unlock(&typed_lock);
    return index;
}

unsigned GC_new_kind_inner(void **free_list, GC_word descriptor, int add_size, int clear)
{
    return GC_new_kind(free_list, descriptor, add_size, clear);
}

bool gm_bdwgc_kind_is_leaf(int kind)
{
    if (kind == GM_BDWGC_ATOMIC || kind == GM_BDWGC_ATOMIC_UNCOLLECTABLE)
        return true;
    return kind >= GM_BDWGC_FIRST_NEW && kind < KINDS_MAX && typed_kinds[kind].is_leaf;
}

void *gm_bdwgc_alloc_new_kind(size_t bytes, int kind)
{
    if (kind < GM_BDWGC_FIRST_NEW || kind >= KINDS_MAX)
        return geomem_gc_alloc(bytes);
    const struct kind *k = &typed_kinds[kind];
    if (k->is_leaf)
        return k->clear ? zeroed_leaf(bytes) : geomem_gc_alloc_leaf(bytes);
    return k->layout ? geomem_gc_alloc_typed(bytes, k->layout) : geomem_gc_alloc(bytes);
}
