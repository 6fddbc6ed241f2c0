/* sys.c - see sys.h. */
#include "libgeomem/base/sys.h"

#include <sys/mman.h>

void *gm_sys_map(size_t bytes)
{
    long p = gm_sys6(
        SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0 && p > -4096)
        return NULL;
    return (void *)p; /* NOLINT: the kernel returns addresses as numbers */
}
