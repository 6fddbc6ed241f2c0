/* launch.c - see launch.h. */
#include "collector/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schemas/text.h"
#include "schemas/wire.h"

#define PRELOAD_FILE "libgeomem_preload.so"

extern char **environ;

/* ---- environment ---------------------------------------------------------------------------------------- */

static bool is_variable(const char *entry, const char *name)
{
    size_t n = strlen(name);
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static void environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++)
        free(environment[i]);
    free(environment);
}

/* Ours first, what the user preloads behind it. An entry of an outer recording's would be ignored anyway. */
static char *preload_variable(const char *preload)
{
    const char *users = getenv("LD_PRELOAD");
    char *variable = NULL;
    if (asprintf(&variable, "LD_PRELOAD=%s%s%s", preload, users && *users ? ":" : "",
            users ? users : "") < 0)
        return NULL;
    return variable;
}

/* The user's variables keep their places, LD_PRELOAD too: a program sees the order of its environment. */
static char **environment_make(const struct gm_launch_options *o)
{
    size_t n = 0, count = 0;
    while (environ && environ[n])
        n++;
    char **made = calloc(n + 3, sizeof *made);
    bool whole = made != NULL, placed = false;
    for (size_t i = 0; whole && i < n; i++) {
        bool preload = is_variable(environ[i], "LD_PRELOAD");
        if (is_variable(environ[i], GM_ENV_SESSION) || (preload && placed))
            continue;
        made[count] = preload ? preload_variable(o->preload) : strdup(environ[i]);
        whole = made[count++] != NULL;
        placed |= preload;
    }
    if (whole && !placed) {
        made[count] = preload_variable(o->preload);
        whole = made[count++] != NULL;
    }
    if (whole && asprintf(&made[count], "%s=%s", GM_ENV_SESSION, o->session) < 0) {
        made[count] = NULL;
        whole = false;
    }
    if (!whole) {
        environment_free(made);
        return NULL;
    }
    return made;
}

/* ---- the child ------------------------------------------------------------------------------------------ */

__attribute__((noreturn)) static void child_run(
    const struct gm_launch_options *o, char **environment, int go_fd, int error_fd)
{
    char go;
    for (const int *s = o->ignored_by_us; s && *s; s++)
        signal(*s, SIG_DFL);
    ssize_t n;
    do
        n = read(go_fd, &go, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1) /* the recorder gave up, or is gone */
        _exit(127);
    if (o->limits)
        gm_limits_restore(o->limits);
    sigprocmask(SIG_SETMASK, o->mask, NULL);
    execve(o->path, o->argv, environment);
    int error = errno;
    n = write(error_fd, &error, sizeof error);
    _exit(n < 0 ? 126 : 127);
}

int gm_launch_fork(const struct gm_launch_options *options, struct gm_launch *ret_launch)
{
    int go[2] = {-1, -1}, error[2] = {-1, -1}, r = 0;
    pid_t pid = -1;
    char **environment = environment_make(options);
    if (!environment)
        return -ENOMEM;
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        r = -errno;
    if (pid == 0) {
        close(go[1]);
        child_run(options, environment, go[0], error[1]);
    }
    environment_free(environment);
    if (go[0] >= 0)
        close(go[0]);
    if (error[1] >= 0)
        close(error[1]);
    if (r < 0) {
        if (go[1] >= 0)
            close(go[1]);
        if (error[0] >= 0)
            close(error[0]);
        return r;
    }
    *ret_launch = (struct gm_launch){pid, go[1], error[0]};
    return 0;
}

static void launch_close(struct gm_launch *launch)
{
    if (launch->go_fd >= 0)
        close(launch->go_fd);
    if (launch->error_fd >= 0)
        close(launch->error_fd);
    launch->go_fd = launch->error_fd = -1;
}

static void launch_reap(struct gm_launch *launch)
{
    while (waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    launch->pid = -1;
}

int gm_launch_go(struct gm_launch *launch)
{
    int error = 0;
    ssize_t n = -1;
    if (write(launch->go_fd, "", 1) == 1) {
        do
            n = read(launch->error_fd, &error, sizeof error);
        while (n < 0 && errno == EINTR);
    }
    launch_close(launch);
    if (n == 0) /* closed by execve */
        return 0;
    launch_reap(launch);
    return n == (ssize_t)sizeof error && error > 0 ? -error : -EIO;
}

void gm_launch_cancel(struct gm_launch *launch)
{
    if (launch->go_fd < 0)
        return;
    launch_close(launch);
    launch_reap(launch);
}

/* ---- the preload library -------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits (Fowler, Noll, Vo): gives each installation a link of its own. */
static uint64_t text_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
    return h;
}

/* A link that outlives us: processes of this recording may execute programs after we have ended. */
static int preload_link(const char *folder, const char *library, char **ret_path)
{
    char *name = NULL, *fresh = NULL;
    if (asprintf(&name, "%s/libgeomem_preload-%016llx.so", folder,
            (unsigned long long)text_hash(library)) < 0)
        return -ENOMEM;
    int r = asprintf(&fresh, "%s.%d", name, (int)getpid()) < 0 ? -ENOMEM : 0;
    if (r == 0 && (symlink(library, fresh) < 0 || rename(fresh, name) < 0)) {
        r = -errno;
        unlink(fresh);
    }
    if (r != -ENOMEM)
        free(fresh);
    if (r < 0) {
        free(name);
        return r;
    }
    *ret_path = name;
    return 0;
}

int gm_launch_find_preload(
    const char *link_folder, char **ret_path, char *message, size_t message_bytes)
{
    static const char *const places[] = {"../lib/geomem", GM_PRELOAD_FROM_BINDIR};
    char self[PATH_MAX], joined[PATH_MAX + 128], real[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        snprintf(message, message_bytes, "/proc/self/exe cannot be read (%s); mount /proc",
            strerror(errno));
        return -ENOENT;
    }
    self[n] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(joined, sizeof joined, "%s/%s/" PRELOAD_FILE, self, places[i]);
        if (!realpath(joined, real) || access(real, R_OK) < 0)
            continue;
        if (!strpbrk(real,
                ": \t\n$")) { /* blanks and colons separate, $ starts one of the loader's tokens */
            *ret_path = strdup(real);
            return *ret_path ? 0 : -ENOMEM;
        }
        int r = preload_link(link_folder, real, ret_path);
        if (r < 0)
            snprintf(message, message_bytes,
                "the library's path holds a blank or colon and %s takes no link to it (%s);"
                " install geomem elsewhere",
                link_folder, strerror(-r));
        return r;
    }
    char shown[1024];
    snprintf(message, message_bytes,
        "%s/" GM_PRELOAD_FROM_BINDIR "/" PRELOAD_FILE " is missing; build or install geomem"
        " as a whole",
        gm_text_clean(self, shown, sizeof shown));
    return -ENOENT;
}
