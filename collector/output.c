/* output.c - see output.h. */
#include "collector/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "schemas/db.h"
#include "schemas/text.h"

#define NAME_BYTES \
    180 /* of the program's name: a file name has at most 255, with PID and journals */

void gm_output_default(const char *program, pid_t pid, char *ret_path, size_t room)
{
    char name[NAME_BYTES];
    const char *slash = strrchr(program, '/');
    gm_text_clean(slash ? slash + 1 : program, name, sizeof name);
    snprintf(ret_path, room, "%s.%lld.geomem", name, (long long)pid);
}

static bool is_being_recorded(const char *path)
{
    char message[512];
    sqlite3 *db = NULL;
    if (gm_db_open_reader(path, &db, message, sizeof message) != GM_DB_OK)
        return false;
    bool lives = gm_db_recorder_lives(db);
    gm_db_close(db);
    return lives;
}

int gm_output_check(const char *path, bool force, char *message, size_t message_bytes)
{
    struct stat st;
    char shown[1024];
    gm_text_clean(path, shown, sizeof shown);
    if (lstat(path, &st) < 0)
        return 0; /* creating it will tell */
    if (S_ISDIR(st.st_mode)) {
        snprintf(message, message_bytes, "%s: is a folder; name a file in it with -o", shown);
        return -EISDIR;
    }
    if (!force) {
        snprintf(message, message_bytes,
            "%s: exists already; name another file with -o, or overwrite it with -f", shown);
        return -EEXIST;
    }
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
        snprintf(
            message, message_bytes, "%s: is not a regular file; name another one with -o", shown);
        return -EEXIST;
    }
    if (is_being_recorded(path)) {
        snprintf(message, message_bytes,
            "%s: is being written by another geomem-record; name another file with -o", shown);
        return -EBUSY;
    }
    return 0;
}
