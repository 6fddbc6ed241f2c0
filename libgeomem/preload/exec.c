/* exec.c - the ways to execute a program: all of them pass our variables on to what is executed.
 *
 * These run in children of vfork too, in their parent's memory: they keep everything on the stack. The
 * variadic forms collect their arguments there as well, as glibc does.
 */
#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libgeomem/base/arguments.h"
#include "libgeomem/event/process.h"
#include "libgeomem/preload/environment.h"
#include "libgeomem/preload/real.h"

#define REAL_FUNCTIONS(X) \
    X(execve) \
    X(execveat) \
    X(fexecve) \
    X(execvpe) \
    X(posix_spawn) \
    X(posix_spawnp) \
    X(system) \
    X(popen)

/* Written by the constructor, constant afterwards. */
static struct {
#define GM_X(name) __typeof__(name) *name;
    REAL_FUNCTIONS(GM_X)
#undef GM_X
} real;

void gm_exec_find(void)
{
#define GM_X(name) *(void **)&real.name = gm_real_symbol(#name);
    REAL_FUNCTIONS(GM_X)
#undef GM_X
}

/* A function of the program's that runs before our constructor may execute something, too. */
#define FIND_REAL(name) \
    do { \
        if (!real.name) \
            gm_exec_find(); \
    } while (0)

/* On the caller's stack: it must live until the program is executed. */
#define CHILD_ENVIRONMENT(envp) \
    gm_environment_for_child((envp), alloca(gm_environment_words(envp) * sizeof(char *)))

/* Records that this image ends here, calls, and takes it back when the call returns. */
#define EXECUTE(call) \
    do { \
        bool noted = gm_process_note_end(GM_END_EXEC, 0); \
        int result = (call); \
        int saved_errno = errno; \
        if (noted) \
            gm_process_note_end(GM_END_NONE, 0); \
        errno = saved_errno; \
        return result; \
    } while (0)

GM_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    FIND_REAL(execve);
    EXECUTE(real.execve(path, argv, CHILD_ENVIRONMENT(envp)));
}

GM_EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    FIND_REAL(execveat);
    EXECUTE(real.execveat(dir, path, argv, CHILD_ENVIRONMENT(envp), flags));
}

GM_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    FIND_REAL(fexecve);
    EXECUTE(real.fexecve(fd, argv, CHILD_ENVIRONMENT(envp)));
}

GM_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    FIND_REAL(execvpe);
    EXECUTE(real.execvpe(file, argv, CHILD_ENVIRONMENT(envp)));
}

GM_EXPORT int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

GM_EXPORT int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

GM_EXPORT int execl(const char *path, const char *arg, ...)
{
    GM_COLLECT_ARGUMENTS(arg);
    va_end(ap);
    return execve(path, argv, environ);
}

GM_EXPORT int execlp(const char *file, const char *arg, ...)
{
    GM_COLLECT_ARGUMENTS(arg);
    va_end(ap);
    return execvpe(file, argv, environ);
}

GM_EXPORT int execle(const char *path, const char *arg, ...)
{
    GM_COLLECT_ARGUMENTS(arg);
    char *const *envp = va_arg(ap, char *const *);
    va_end(ap);
    return execve(path, argv, envp);
}

GM_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    FIND_REAL(posix_spawn);
    return real.posix_spawn(pid, path, actions, attributes, argv, CHILD_ENVIRONMENT(envp));
}

GM_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    FIND_REAL(posix_spawnp);
    return real.posix_spawnp(pid, file, actions, attributes, argv, CHILD_ENVIRONMENT(envp));
}

/* system and popen take the environment from `environ`, and call posix_spawn inside libc where we do not see it.
 * Both may be cancelled. */
GM_EXPORT int system(const char *command)
{
    int r, saved_errno;
    FIND_REAL(system);
    gm_environment_lend();
    pthread_cleanup_push(gm_environment_take_back, NULL);
    r = real.system(command);
    saved_errno = errno;
    pthread_cleanup_pop(1);
    errno = saved_errno;
    return r;
}

GM_EXPORT FILE *popen(const char *command, const char *type)
{
    FILE *f;
    int saved_errno;
    FIND_REAL(popen);
    gm_environment_lend();
    pthread_cleanup_push(gm_environment_take_back, NULL);
    f = real.popen(command, type);
    saved_errno = errno;
    pthread_cleanup_pop(1);
    errno = saved_errno;
    return f;
}
