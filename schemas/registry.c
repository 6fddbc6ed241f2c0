/* registry.c - see registry.h.
 *
 * An entry is a file of texts, each ended by a zero byte: boot id, pid namespace, start time of the recorder
 * (with the pid these name it for ever), recording, socket. It appears and changes by rename, so a reader
 * sees a whole one.
 */
#include "schemas/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "schemas/db.h"

#define ENTRY_TEXTS 5
#define ENTRY_BYTES (2 * PATH_MAX + 256)

/* ---- the folder ----------------------------------------------------------------------------------------- */

static int folder_name(const char *base, char *out, size_t room)
{
    int n = snprintf(out, room, "%s/geomem-%u", base, (unsigned)geteuid());
    return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

static const char *runtime_base(void)
{
    const char *dir = secure_getenv("XDG_RUNTIME_DIR");
    return dir && dir[0] == '/' && access(dir, W_OK | X_OK) == 0 ? dir : "/tmp";
}

/* In /tmp anybody may have made it first: a link, another's folder, one that is open to others. */
static bool folder_is_ours(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 077) == 0;
}

int gm_registry_folder(char *ret_path, size_t room)
{
    char path[PATH_MAX];
    int r = folder_name(runtime_base(), path, sizeof path);
    if (r < 0)
        return r;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (!folder_is_ours(path))
        return -EPERM;
    if (strlen(path) >= room)
        return -ENAMETOOLONG;
    strcpy(ret_path, path);
    return 0;
}

/* ---- entries -------------------------------------------------------------------------------------------- */

static const char *pid_namespace(char *out, size_t room)
{
    ssize_t n = readlink("/proc/self/ns/pid", out, room - 1);
    out[n > 0 ? n : 0] = 0;
    return out;
}

static int entry_path(const char *folder, pid_t pid, const char *tail, char *out, size_t room)
{
    int n = snprintf(out, room, "%s/%lld%s", folder, (long long)pid, tail);
    return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

int gm_registry_socket_path(const char *folder, char *ret_path, size_t room)
{
    return entry_path(folder, getpid(), ".sock", ret_path, room);
}

static int file_write(const char *path, const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, bytes, n);
    int r = written < 0 ? -errno : (size_t)written < n ? -ENOSPC : 0;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

int gm_registry_add(const char *folder, const char *file)
{
    char boot[64], namespace[64], real[PATH_MAX], path[PATH_MAX], fresh[PATH_MAX],
        socket_path[PATH_MAX];
    char bytes[ENTRY_BYTES];
    int r = gm_registry_socket_path(folder, socket_path, sizeof socket_path);
    if (r == 0)
        r = entry_path(folder, getpid(), "", path, sizeof path);
    if (r == 0)
        r = entry_path(folder, getpid(), ".new", fresh, sizeof fresh);
    if (r < 0)
        return r;
    if (!realpath(file, real))
        return -errno;
    int n = snprintf(bytes, sizeof bytes, "%s%c%s%c%lld%c%s%c%s%c",
        gm_db_boot_id(boot, sizeof boot), 0, pid_namespace(namespace, sizeof namespace), 0,
        (long long)gm_db_start_ticks(getpid()), 0, real, 0, socket_path, 0);
    if (n < 0 || (size_t)n >= sizeof bytes)
        return -ENAMETOOLONG;
    r = file_write(fresh, bytes, (size_t)n);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(fresh);
    return r;
}

void gm_registry_remove(const char *folder)
{
    char path[PATH_MAX];
    if (entry_path(folder, getpid(), "", path, sizeof path) == 0)
        unlink(path);
    if (gm_registry_socket_path(folder, path, sizeof path) == 0)
        unlink(path);
}

enum entry_state {
    ENTRY_LIVES,
    ENTRY_STALE,
    ENTRY_UNKNOWN, /* of another pid namespace, or not to be read: not ours to judge */
};

static enum entry_state entry_read(
    const char *folder, pid_t pid, struct gm_registry_entry *ret_entry)
{
    char path[PATH_MAX], bytes[ENTRY_BYTES], boot[64], namespace[64];
    const char *text[ENTRY_TEXTS];
    if (entry_path(folder, pid, "", path, sizeof path) < 0)
        return ENTRY_UNKNOWN;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return ENTRY_UNKNOWN;
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    const char *p = bytes, *end = bytes + (n > 0 ? n : 0);
    for (int i = 0; i < ENTRY_TEXTS; i++) {
        size_t length = strnlen(p, (size_t)(end - p));
        if (p + length >= end)
            return ENTRY_STALE;
        text[i] = p;
        p += length + 1;
    }
    if (strcmp(text[0], gm_db_boot_id(boot, sizeof boot)) != 0)
        return ENTRY_STALE;
    if (strcmp(text[1], pid_namespace(namespace, sizeof namespace)) != 0)
        return ENTRY_UNKNOWN;
    if (gm_db_start_ticks(pid) != strtoll(text[2], NULL, 10))
        return ENTRY_STALE;
    if (strlen(text[3]) >= sizeof ret_entry->file || strlen(text[4]) >= sizeof ret_entry->socket)
        return ENTRY_STALE;
    ret_entry->recorder_pid = pid;
    strcpy(ret_entry->file, text[3]);
    strcpy(ret_entry->socket, text[4]);
    return ENTRY_LIVES;
}

static void entry_forget(const char *folder, pid_t pid)
{
    static const char *const tails[] = {"", ".sock", ".new"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        if (entry_path(folder, pid, tails[i], path, sizeof path) == 0)
            unlink(path);
    }
}

/* Returns false once the callback has seen enough. */
static bool folder_list(const char *base, bool (*show)(void *, const struct gm_registry_entry *),
    void *context, int *shown)
{
    char folder[PATH_MAX];
    bool more = true;
    if (folder_name(base, folder, sizeof folder) < 0 || !folder_is_ours(folder))
        return true;
    DIR *dir = opendir(folder);
    for (struct dirent *d; more && dir && (d = readdir(dir));) {
        struct gm_registry_entry entry;
        char *end;
        long long pid = strtoll(d->d_name, &end, 10);
        if (*end || end == d->d_name || pid <= 0 || pid > INT32_MAX)
            continue;
        enum entry_state state = entry_read(folder, (pid_t)pid, &entry);
        if (state == ENTRY_STALE)
            entry_forget(folder, (pid_t)pid);
        if (state != ENTRY_LIVES)
            continue;
        ++*shown;
        more = show(context, &entry);
    }
    if (dir)
        closedir(dir);
    return more;
}

int gm_registry_list(
    bool (*show)(void *context, const struct gm_registry_entry *entry), void *context)
{
    const char *base = runtime_base();
    int shown = 0;
    if (folder_list(base, show, context, &shown) && strcmp(base, "/tmp") != 0)
        folder_list("/tmp", show, context, &shown);
    return shown;
}

/* ---- the control socket's other end --------------------------------------------------------------------- */

static int control_read(int fd, int timeout_ms, char *out, size_t room)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, timeout_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? -errno : -ETIMEDOUT;
        if (n + 1 >= room)
            return -EPROTO;
        ssize_t got = read(fd, out + n, room - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EPROTO;
        char *newline = memchr(out + n, '\n', (size_t)got);
        n += (size_t)got;
        if (newline) {
            *newline = 0;
            return (int)(newline - out);
        }
    }
}

int gm_control_ask(
    const char *socket_path, const char *line, int timeout_ms, char *ret_answer, size_t room)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = strlen(line);
    int r = 0;
    if (strlen(socket_path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, socket_path);
    char *message = malloc(bytes + 1);
    int fd = message ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) {
        r = message ? -errno : -ENOMEM;
        free(message);
        return r;
    }
    memcpy(message, line, bytes);
    message[bytes] = '\n';
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        r = -errno;
    else if (send(fd, message, bytes + 1, MSG_NOSIGNAL) != (ssize_t)(bytes + 1))
        r = -EPIPE;
    else
        r = control_read(fd, timeout_ms, ret_answer, room);
    close(fd);
    free(message);
    return r;
}
