/* sys.c - see sys.h. */
#include "libgeomem/base/sys.h"

#include <fcntl.h>
#include <sys/mman.h>

void *gm_sys_map(size_t bytes)
{
    long p = gm_sys6(
        SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0 && p > -4096)
        return NULL;
    return (void *)p; /* NOLINT: the kernel returns addresses as numbers */
}

long gm_sys_read_file(const char *path, char *buffer, size_t room)
{
    long fd = gm_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), got;
    if (fd < 0)
        return fd;
    size_t length = 0;
    while (
        length < room - 1 && (got = gm_sys3(SYS_read, fd, buffer + length, room - 1 - length)) > 0)
        length += (size_t)got;
    gm_sys1(SYS_close, fd);
    buffer[length] = 0;
    return (long)length;
}
