/* tasks.c - see tasks.h. */
#include "libgeomem/gc/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "libgeomem/base/sys.h"

uint32_t gm_tasks_count(void)
{
    /* The kernel adds the number of threads to the folder's two links (proc_task_getattr). */
    struct stat st;
    if (gm_sys4(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &st, 0) < 0 || st.st_nlink < 3)
        return 0;
    return (uint32_t)st.st_nlink - 2;
}

struct linux_dirent64 {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

static int32_t number_read(const char *text)
{
    int32_t n = 0;
    while (*text >= '0' && *text <= '9')
        n = n * 10 + (*text++ - '0');
    return *text ? 0 : n;
}

int gm_tasks_each(gm_tasks_visitor *visit, void *arg)
{
    _Alignas(8) char buffer[2048];
    long fd =
        gm_sys4(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return (int)fd;
    long got;
    while ((got = gm_sys3(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const struct linux_dirent64 *entry = (const void *)(buffer + at);
            int32_t tid = number_read(entry->name);
            if (tid > 0)
                visit(tid, arg);
            at += entry->bytes;
        }
    }
    gm_sys1(SYS_close, fd);
    return (int)got;
}

/* "/proc/self/task/<tid>/<file>" read into buffer, NUL-terminated. Its length or a negative errno. */
static long task_read(int32_t tid, const char *file, char *buffer, size_t room)
{
    char path[64] = "/proc/self/task/", digits[12];
    size_t n = strlen(path), d = 0;
    do
        digits[d++] = (char)('0' + tid % 10);
    while (tid /= 10);
    while (d)
        path[n++] = digits[--d];
    path[n++] = '/';
    while ((path[n] = *file++))
        n++;
    long length = gm_sys_read_file(path, buffer, room);
    return length ? length : -ESRCH;
}

static uint64_t hex_read(const char *text)
{
    uint64_t value = 0;
    for (;; text++) {
        if (*text >= '0' && *text <= '9')
            value = value * 16 + (uint64_t)(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            value = value * 16 + (uint64_t)(*text - 'a' + 10);
        else
            return value;
    }
}

int gm_task_look(int32_t tid, struct gm_task *ret_task)
{
    char text[4096];
    long length = task_read(tid, "status", text, sizeof text);
    /* Gone, or is there no /proc? */
    if (length < 0 && gm_sys3(SYS_tgkill, gm_sys0(SYS_getpid), tid, 0) == -ESRCH) {
        *ret_task = (struct gm_task){0};
        return 0;
    }
    if (length < 0)
        return (int)length;
    const char *state = strstr(text, "\nState:\t"), *blocked = strstr(text, "\nSigBlk:\t");
    const char *pending = strstr(text, "\nSigPnd:\t");
    if (!state || !blocked || !pending)
        return -EIO;
    ret_task->pending_signals = hex_read(pending + 9);
    ret_task->state = state[8];
    ret_task->blocked_signals = hex_read(blocked + 9);
    return 0;
}

uintptr_t gm_task_stack_pointer(int32_t tid)
{
    /* "number arg0 .. arg5 sp pc" in hexadecimal, or "running", or "-1 sp pc" outside of a call */
    char text[256];
    if (task_read(tid, "syscall", text, sizeof text) < 0 || text[0] == 'r')
        return 0;
    const char *last = NULL, *last_but_one = NULL;
    for (const char *p = text; (p = strstr(p, " 0x")); p += 3) {
        last_but_one = last;
        last = p;
    }
    return last_but_one ? (uintptr_t)hex_read(last_but_one + 3) : 0;
}
