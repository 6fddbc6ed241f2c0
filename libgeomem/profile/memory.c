/* memory.c - the allocation half of geomem/memory.h: names and checks on top of geomem/geomem.h. */
#include "geomem/memory.h"

#include <errno.h>
#include <stdint.h>

#include "geomem/geomem.h"

int init_gc(void)
{
    if (!geomem_heap_default())
        return -ENOMEM;
    return geomem_register_thread();
}

void *allocate_memory(size_t size, Generation generation)
{
    switch (generation) {
    case gc_young_generation:
        return geomem_gc_alloc(size);
    case gc_old_generation:
        return geomem_gc_alloc_old(size, 0);
    }
    errno = EINVAL;
    return NULL;
}

void free_memory(void *block)
{
    geomem_free(block);
}

int perform_gc(Generation generation)
{
    switch (generation) {
    case gc_young_generation:
        return geomem_gc(NULL, GEOMEM_YOUNG);
    case gc_old_generation:
        return geomem_gc(NULL, GEOMEM_OLD);
    }
    return -EINVAL;
}

int geomem_collect_young(void)
{
    return perform_gc(gc_young_generation);
}

int geomem_collect_old(void)
{
    return perform_gc(gc_old_generation);
}
