/* threads.c - the public functions for threads and roots. See geomem/geomem.h. */
#include "geomem/geomem.h"
#include "libgeomem/gc/world.h"

int geomem_register_thread(void)
{
    return gm_mutator_register();
}

void geomem_unregister_thread(void)
{
    gm_mutator_unregister();
}

void geomem_region_enter(void)
{
    gm_world_region_enter();
}

void geomem_region_leave(void)
{
    gm_world_region_leave();
}

int geomem_add_roots(const void *start, size_t bytes)
{
    return gm_roots_add(start, bytes);
}

int geomem_remove_roots(const void *start, size_t bytes)
{
    return gm_roots_remove(start, bytes);
}

int geomem_exclude_roots(const void *start, size_t bytes)
{
    return gm_roots_exclude(start, bytes);
}
