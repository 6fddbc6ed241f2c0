/* socket_folder.c - see socket_folder.h. */
#include "collector/socket_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define AGE_MIN_S 60 /* between making a folder and locking it pass microseconds */
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int gm_socket_folder_lock(const char *folder)
{
    int fd = open(folder, FOLDER_FLAGS);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static bool name_is_ours(const char *name)
{
    return strlen(name) == sizeof GM_SOCKET_FOLDER - 1 && strncmp(name, "geomem-", 7) == 0;
}

static bool folder_is_stale(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && time(NULL) - st.st_mtime > AGE_MIN_S &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* The sockets in it; anything else keeps the folder. Takes fd. */
static void folder_empty(int fd)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (strncmp(e->d_name, GM_SOCKET_NAME, sizeof GM_SOCKET_NAME - 1) == 0 &&
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
            unlinkat(fd, e->d_name, 0);
    }
    closedir(dir);
}

static void folder_sweep(int base, const char *name)
{
    int fd = openat(base, name, FOLDER_FLAGS);
    if (fd < 0)
        return;
    if (!folder_is_stale(fd)) {
        close(fd);
        return;
    }
    folder_empty(fd);
    unlinkat(base, name, AT_REMOVEDIR);
}

void gm_socket_folder_sweep(const char *base)
{
    DIR *dir = opendir(base);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (name_is_ours(e->d_name))
            folder_sweep(dirfd(dir), e->d_name);
    closedir(dir);
}
