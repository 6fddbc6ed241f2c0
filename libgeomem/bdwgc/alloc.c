/* alloc.c - GC_malloc and its family.
 *
 * normal         -> geomem_gc_alloc         zeroed, scanned, collected
 * atomic         -> geomem_gc_alloc_leaf
 * uncollectable  -> geomem_alloc_root       until GC_free
 *   and atomic   -> geomem_alloc
 *
 * Each allocation is also where finalizers that are due are run, as bdwgc's clients expect: on a thread of the
 * program's, at a call to the collector.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "libgeomem/bdwgc/bdwgc.h"

size_t gm_bdwgc_extra_bytes = 1;

static bool size_is_possible(size_t bytes)
{
    return bytes <= PTRDIFF_MAX - 1;
}

void *gm_bdwgc_alloc(size_t bytes, int kind)
{
    switch (kind) {
    case GM_BDWGC_ATOMIC:
        return geomem_gc_alloc_leaf(bytes);
    case GM_BDWGC_NORMAL:
        return geomem_gc_alloc(bytes);
    case GM_BDWGC_UNCOLLECTABLE:
        return geomem_alloc_root(bytes);
    case GM_BDWGC_ATOMIC_UNCOLLECTABLE:
        return geomem_alloc(bytes);
    default:
        return gm_bdwgc_alloc_new_kind(bytes, kind);
    }
}

static void *kind_alloc(size_t bytes, int kind)
{
    if (!size_is_possible(bytes))
        return gm_bdwgc_out_of_memory(bytes);
    void *block = gm_bdwgc_alloc(bytes + gm_bdwgc_extra_bytes, kind);
    gm_bdwgc_poll();
    return __builtin_expect(block != NULL, 1) ? block : gm_bdwgc_out_of_memory(bytes);
}

/* ---- blocks ---- */

void *GC_malloc(size_t bytes)
{
    if (!size_is_possible(bytes))
        return gm_bdwgc_out_of_memory(bytes);
    void *block = geomem_gc_alloc(bytes + gm_bdwgc_extra_bytes);
    gm_bdwgc_poll();
    return __builtin_expect(block != NULL, 1) ? block : gm_bdwgc_out_of_memory(bytes);
}

void *GC_malloc_atomic(size_t bytes)
{
    if (!size_is_possible(bytes))
        return gm_bdwgc_out_of_memory(bytes);
    void *block = geomem_gc_alloc_leaf(bytes + gm_bdwgc_extra_bytes);
    gm_bdwgc_poll();
    return __builtin_expect(block != NULL, 1) ? block : gm_bdwgc_out_of_memory(bytes);
}

void *GC_malloc_uncollectable(size_t bytes)
{
    return kind_alloc(bytes, GM_BDWGC_UNCOLLECTABLE);
}

void *GC_malloc_atomic_uncollectable(size_t bytes)
{
    return kind_alloc(bytes, GM_BDWGC_ATOMIC_UNCOLLECTABLE);
}

void *GC_malloc_stubborn(size_t bytes)
{
    return GC_malloc(bytes);
}

/* Pointers past the first page keep the block too: more than is promised. */
void *GC_malloc_ignore_off_page(size_t bytes)
{
    return GC_malloc(bytes);
}

void *GC_malloc_atomic_ignore_off_page(size_t bytes)
{
    return GC_malloc_atomic(bytes);
}

void *GC_generic_malloc(size_t bytes, int kind)
{
    return kind_alloc(bytes, kind);
}

void *GC_generic_malloc_ignore_off_page(size_t bytes, int kind)
{
    return kind_alloc(bytes, kind);
}

void *GC_generic_malloc_uncollectable(size_t bytes, int kind)
{
    return kind_alloc(bytes,
        gm_bdwgc_kind_is_leaf(kind) ? GM_BDWGC_ATOMIC_UNCOLLECTABLE : GM_BDWGC_UNCOLLECTABLE);
}

void *GC_generic_or_special_malloc(size_t bytes, int kind)
{
    return kind_alloc(bytes, kind);
}

void *GC_malloc_kind(size_t bytes, int kind)
{
    return kind_alloc(bytes, kind);
}

void *GC_malloc_kind_global(size_t bytes, int kind)
{
    return kind_alloc(bytes, kind);
}

/* ---- lists of blocks ---- */

#define LIST_BYTES \
    4096u /* bdwgc's: a page, less is left unused in a list that its thread forgets */

/* `bytes` is what the client allots, a byte at the end included. The list hangs by its first words, so a collection sees
 * all of it from its head; but of atomic blocks, which are not scanned, only the head: so there is only that. */
static void *list_alloc(size_t bytes, int kind)
{
    size_t count = gm_bdwgc_kind_is_leaf(kind) || bytes == 0 ? 1 : LIST_BYTES / bytes;
    void *list = NULL;
    do {
        void *block = gm_bdwgc_alloc(bytes < sizeof(void *) ? sizeof(void *) : bytes, kind);
        if (!block)
            break;
        *(void **)block = list;
        list = block;
    } while (count-- > 1);
    gm_bdwgc_poll();
    return list ? list : gm_bdwgc_out_of_memory(bytes);
}

void GC_generic_malloc_many(size_t bytes, int kind, void **ret_list)
{
    *ret_list = list_alloc(bytes, kind);
}

void *GC_malloc_many(size_t bytes)
{
    if (!size_is_possible(bytes))
        return gm_bdwgc_out_of_memory(bytes);
    return list_alloc((bytes + gm_bdwgc_extra_bytes + 15) & ~(size_t)15, GM_BDWGC_NORMAL);
}

/* ---- strings, alignment ---- */

char *GC_strndup(const char *string, size_t bytes)
{
    size_t length = strnlen(string, bytes);
    char *copy = GC_malloc_atomic(length + 1);
    if (!copy) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(copy, string, length);
    copy[length] = '\0';
    return copy;
}

char *GC_strdup(const char *string)
{
    return string ? GC_strndup(string, SIZE_MAX - 1) : NULL;
}

/* Blocks are aligned to 16. For more, an address inside a larger one, as bdwgc has it: it keeps the block as well. */
void *GC_memalign(size_t alignment, size_t bytes)
{
    if (alignment <= 16)
        return GC_malloc(bytes);
    if (!size_is_possible(bytes) || alignment > (1u << 30) || (alignment & (alignment - 1)) ||
        !size_is_possible(bytes + alignment))
        return gm_bdwgc_out_of_memory(bytes);
    char *block = GC_malloc(bytes + alignment);
    return block ? block + (-(uintptr_t)block & (alignment - 1)) : NULL;
}

int GC_posix_memalign(void **ret_block, size_t alignment, size_t bytes)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *block = GC_memalign(alignment, bytes);
    if (!block)
        return ENOMEM;
    *ret_block = block;
    return 0;
}

/* ---- realloc, free ---- */

static int block_kind(const struct geomem_block *block)
{
    switch (block->state) {
    case GEOMEM_BLOCK_EXPLICIT:
        return GM_BDWGC_ATOMIC_UNCOLLECTABLE;
    case GEOMEM_BLOCK_ROOT:
        return GM_BDWGC_UNCOLLECTABLE;
    case GEOMEM_BLOCK_YOUNG:
    case GEOMEM_BLOCK_OLD:
        return block->leaf ? GM_BDWGC_ATOMIC : GM_BDWGC_NORMAL;
    }
    return GM_BDWGC_NORMAL;
}

/* What the block no longer holds is cleared: no pointers stay in it, and if it grows again that is zeroed, as promised. */
static void *block_shrink(const struct geomem_block *block, size_t bytes)
{
    if (!block->leaf)
        memset((char *)block->start + bytes, 0, block->bytes - bytes);
    return block->start;
}

void *GC_realloc(void *old, size_t bytes)
{
    struct geomem_block block;
    if (!old)
        return GC_malloc(bytes);
    if (bytes == 0) {
        GC_free(old);
        return NULL;
    }
    if (!size_is_possible(bytes) || geomem_block_at(old, &block) < 0)
        return gm_bdwgc_out_of_memory(bytes);
    size_t offset = (size_t)((char *)old - (char *)block.start); /* not 0: of GC_memalign */
    if (offset == 0 && bytes + gm_bdwgc_extra_bytes <= block.bytes && bytes >= block.bytes / 2)
        return block_shrink(&block, bytes);
    void *new = kind_alloc(bytes, block_kind(&block));
    if (!new)
        return NULL;
    size_t kept = block.bytes - offset;
    memcpy(new, old, kept < bytes ? kept : bytes);
    geomem_free(block.start);
    return new;
}

void GC_free(void *block)
{
    if (!block)
        return;
    geomem_free(block);
}

/* ---- questions ---- */

void *GC_base(void *address)
{
    struct geomem_block block;
    return geomem_block_at(address, &block) < 0 ? NULL : block.start;
}

size_t GC_size(const void *block)
{
    return geomem_usable_size(block);
}

int GC_is_heap_ptr(const void *address)
{
    return geomem_owns(address) != 0;
}

int GC_get_kind_and_size(const void *address, size_t *ret_bytes)
{
    struct geomem_block block;
    if (geomem_block_at(address, &block) < 0)
        return -1;
    if (ret_bytes)
        *ret_bytes = block.bytes;
    return block_kind(&block);
}

/* ---- the debug forms: sites are for the recorder, which sees them all ---- */

#define UNUSED_SITE \
    do { \
        (void)file; \
        (void)line; \
    } while (0)

void *GC_debug_malloc(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc(bytes);
}

void *GC_debug_malloc_atomic(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc_atomic(bytes);
}

void *GC_debug_malloc_uncollectable(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc_uncollectable(bytes);
}

void *GC_debug_malloc_atomic_uncollectable(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc_atomic_uncollectable(bytes);
}

void *GC_debug_malloc_stubborn(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc(bytes);
}

void *GC_debug_malloc_ignore_off_page(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc(bytes);
}

void *GC_debug_malloc_atomic_ignore_off_page(size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_malloc_atomic(bytes);
}

char *GC_debug_strdup(const char *string, const char *file, int line)
{
    UNUSED_SITE;
    return GC_strdup(string);
}

char *GC_debug_strndup(const char *string, size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_strndup(string, bytes);
}

void *GC_debug_realloc(void *block, size_t bytes, const char *file, int line)
{
    UNUSED_SITE;
    return GC_realloc(block, bytes);
}

void *GC_debug_malloc_replacement(size_t bytes)
{
    return GC_malloc(bytes);
}

void *GC_debug_realloc_replacement(void *block, size_t bytes)
{
    return GC_realloc(block, bytes);
}

void GC_debug_free(void *block)
{
    GC_free(block);
}

void *GC_debug_generic_or_special_malloc(size_t bytes, int kind, const char *file, int line)
{
    UNUSED_SITE;
    return GC_generic_malloc(bytes, kind);
}

size_t GC_get_debug_header_size(void)
{
    return 0;
}
