/* interpose.c - see interpose.h. */
#include "libgeomem/gc/interpose.h"

#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/world.h"

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

static void *find_in(void *scope, const char *name, const char *version)
{
    void *found = version ? dlvsym(scope, name, version) : NULL;
    return found ? found : dlsym(scope, name);
}

static bool is_ours(const void *function)
{
    Dl_info theirs, ours;
    return dladdr(function, &theirs) && dladdr((const void *)(uintptr_t)missing, &ours) &&
           theirs.dli_fbase == ours.dli_fbase;
}

/* Where the program comes to libgeomem by way of another library, the C library stands before it: then it is the first. */
uintptr_t gm_interposed_find(const char *name, const char *version)
{
    int saved = errno;
    void *found = find_in(RTLD_NEXT, name, version);
    if (!found && (found = find_in(RTLD_DEFAULT, name, version)) && is_ours(found))
        found = NULL;
    errno = saved;
    return found ? (uintptr_t)found : (uintptr_t)missing;
}

struct gm_mutator *gm_region_enter_known(void)
{
    if (__builtin_expect(!gm_mutator_self, 0) && gm_world_in_use())
        gm_mutator_register();
    return gm_region_enter();
}
