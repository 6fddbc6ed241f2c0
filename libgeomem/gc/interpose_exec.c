/* interpose_exec.c - a thread executes another program only while no stop is under way.
 *
 * A stop signal sent to a thread that is about to lose its handlers would stay pending, and end the new program. With the
 * lock of the world held no stop begins, and execve ends all other threads before it gives up the old program.
 *
 * A child of vfork runs these in its parent's memory: it must not take the parent's lock, and no stop signal is sent to it.
 */
#include <unistd.h>

#include "libgeomem/base/arguments.h"
#include "libgeomem/gc/interpose.h"
#include "libgeomem/gc/mutator.h"
#include "libgeomem/gc/world.h"

#define EXECUTE(call) \
    do { \
        bool locks = gm_world_is_ours(); \
        if (locks) \
            gm_world_lock_for_program(); \
        int result = (call); \
        if (locks) \
            gm_world_unlock(); \
        return result; \
    } while (0)

GM_REAL(int, execve, (const char *, char *const[], char *const[]))
GM_REAL(int, execveat, (int, const char *, char *const[], char *const[], int))
GM_REAL(int, fexecve, (int, char *const[], char *const[]))
GM_REAL(int, execvpe, (const char *, char *const[], char *const[]))

GM_INTERPOSED int execve(const char *path, char *const argv[], char *const envp[])
{
    EXECUTE(execve_real()(path, argv, envp));
}

GM_INTERPOSED int execveat(
    int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    EXECUTE(execveat_real()(dir, path, argv, envp, flags));
}

GM_INTERPOSED int fexecve(int fd, char *const argv[], char *const envp[])
{
    EXECUTE(fexecve_real()(fd, argv, envp));
}

GM_INTERPOSED int execvpe(const char *file, char *const argv[], char *const envp[])
{
    EXECUTE(execvpe_real()(file, argv, envp));
}

GM_INTERPOSED int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

GM_INTERPOSED int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

GM_INTERPOSED int execl(const char *path, const char *first, ...)
{
    GM_COLLECT_ARGUMENTS(first);
    va_end(ap);
    return execve(path, argv, environ);
}

GM_INTERPOSED int execlp(const char *file, const char *first, ...)
{
    GM_COLLECT_ARGUMENTS(first);
    va_end(ap);
    return execvpe(file, argv, environ);
}

GM_INTERPOSED int execle(const char *path, const char *first, ...)
{
    GM_COLLECT_ARGUMENTS(first);
    char *const *envp = va_arg(ap, char *const *);
    va_end(ap);
    return execve(path, argv, envp);
}
