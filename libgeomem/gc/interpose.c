/* interpose.c - see interpose.h. */
#include "libgeomem/gc/interpose.h"

#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/world.h"

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

uintptr_t gm_interposed_find(const char *name, const char *version)
{
    int saved = errno;
    void *found = version ? dlvsym(RTLD_NEXT, name, version) : NULL;
    if (!found)
        found = dlsym(RTLD_NEXT, name);
    errno = saved;
    return found ? (uintptr_t)found : (uintptr_t)missing;
}

struct gm_mutator *gm_region_enter_known(void)
{
    if (__builtin_expect(!gm_mutator_self, 0) && gm_world_in_use())
        gm_mutator_register();
    return gm_region_enter();
}
