/* environment.c - see environment.h. */
#include "libgeomem/preload/environment.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/event/process.h"
#include "schemas/wire.h"

#define PRELOAD "LD_PRELOAD="
#define SESSION GM_ENV_SESSION "="

/* Written by the constructor, constant afterwards. */
static char own_preload[4096]; /* "LD_PRELOAD=" and our library as the recorder named it */
static char own_session[sizeof SESSION + sizeof gm_image.socket_path];

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The recorder puts our library first. Takes it out of `variable`, keeping what the user had behind it. */
static bool preload_take(char *variable)
{
    char *value = variable + strlen(PRELOAD), *rest = strpbrk(value, ": ");
    size_t n = rest ? (size_t)(rest - variable) : strlen(variable);
    if (n >= sizeof own_preload ||
        !memmem(variable, n, "libgeomem_preload", strlen("libgeomem_preload")))
        return false;
    memcpy(own_preload, variable, n);
    own_preload[n] = 0;
    if (rest)
        memmove(value, rest + 1, strlen(rest + 1) + 1);
    return rest == NULL; /* nothing of the user's: the variable goes as a whole */
}

void gm_environment_start(char **envp)
{
    char **to = envp;
    if (!envp)
        return;
    for (char **from = envp; *from; from++) {
        bool gone = false;
        if (starts_with(*from, SESSION)) {
            gm_process_read_environment(*from, strlen(*from) + 1);
            strncpy(own_session, *from, sizeof own_session - 1);
            gone = true;
        } else if (starts_with(*from, PRELOAD)) {
            gone = preload_take(*from);
        }
        if (!gone)
            *to++ = *from;
    }
    *to = NULL;
}

#define TEXT_BYTES (2 * sizeof own_preload) /* for "LD_PRELOAD=ours:theirs" */

static size_t environment_count(char *const envp[])
{
    size_t n = 0;
    while (envp && envp[n])
        n++;
    return n;
}

size_t gm_environment_words(char *const envp[])
{
    /* our two and the end; the text stands behind them */
    return environment_count(envp) + 3 + TEXT_BYTES / sizeof(char *);
}

/* "LD_PRELOAD=ours:theirs" in `text`. A value too long for the room is passed on as it is. */
static char *preload_join(char *theirs, char *text)
{
    size_t n = strlen(own_preload), value = strlen(theirs + strlen(PRELOAD));
    if (n + value + 2 > TEXT_BYTES)
        return theirs;
    memcpy(text, own_preload, n);
    if (value)
        text[n++] = ':';
    memcpy(text + n, theirs + strlen(PRELOAD), value + 1);
    return text;
}

static bool children_are_recorded(void)
{
    if (!own_preload[0] || !own_session[0] || !gm_image.follow || gm_image.unrecorded)
        return false;
    /* relaxed: a child more or less */
    return !gm_process.session ||
           !atomic_load_explicit(&gm_process.session->stop, memory_order_relaxed);
}

static void environment_fill(char *const envp[], char **room)
{
    char *text = (char *)(room + environment_count(envp) + 3);
    bool joined = false;
    size_t n = 0;
    for (char *const *from = envp; from && *from; from++) {
        bool preload = starts_with(*from, PRELOAD);
        if (starts_with(*from, SESSION) || (preload && joined))
            continue;
        bool has_ours = preload && strstr(*from, "libgeomem_preload");
        room[n++] = preload && !has_ours ? preload_join(*from, text) : *from;
        joined |= preload;
    }
    if (!joined)
        room[n++] = own_preload;
    room[n++] = own_session;
    room[n] = NULL;
}

/* The program never sees our own entry: another one is that of a recorder which is recorded itself, and what
 * it starts belongs to its recording. */
static bool is_of_another_recorder(char *const envp[])
{
    for (; envp && *envp; envp++)
        if (starts_with(*envp, SESSION) && strcmp(*envp, own_session) != 0)
            return true;
    return false;
}

char **gm_environment_for_child(char *const envp[], char **room)
{
    if (!children_are_recorded() || is_of_another_recorder(envp))
        return (char **)(uintptr_t)envp;
    environment_fill(envp, room);
    return room;
}

/* ---- lending ------------------------------------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock;
    unsigned users;
    char **theirs, **ours; /* NULL: nothing is lent */
    char *their_preload;   /* their own entry of LD_PRELOAD, or NULL */
    size_t bytes;          /* of the memory at `ours` */
} lent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lend(void)
{
    size_t bytes = gm_environment_words(environ) * sizeof(char *);
    bool ours = children_are_recorded() && !is_of_another_recorder(environ);
    char **room = ours ? gm_sys_map(bytes) : NULL;
    if (!room)
        return;
    lent.theirs = environ;
    lent.their_preload = NULL;
    for (char **from = environ; from && *from && !lent.their_preload; from++)
        if (starts_with(*from, PRELOAD))
            lent.their_preload = *from;
    environment_fill(environ, room);
    lent.ours = room;
    lent.bytes = bytes;
    environ = room;
}

/* Writes the entries of `from` to `to`, which has room for them, without our own; the two may be one. */
static void entries_restore(char **to, char *const *from)
{
    for (; *from; from++) {
        bool inside = (uintptr_t)*from - (uintptr_t)lent.ours < lent.bytes;
        if (*from == own_session || *from == own_preload || (inside && !lent.their_preload))
            continue;
        *to++ = inside ? lent.their_preload : *from;
    }
    *to = NULL;
}

/* What the program changed meanwhile is kept, whether it stands in our array or libc has made another from it. */
static void take_back(void)
{
    if (!lent.ours)
        return;
    if (environ == lent.ours) {
        if (lent.theirs)
            entries_restore(lent.theirs, lent.ours);
        environ = lent.theirs;
    } else if (environ) {
        entries_restore(environ, environ);
    }
    gm_sys2(SYS_munmap, lent.ours, lent.bytes);
    lent.ours = NULL;
}

void gm_environment_lend(void)
{
    pthread_mutex_lock(&lent.lock);
    if (lent.users++ == 0)
        lend();
    pthread_mutex_unlock(&lent.lock);
}

void gm_environment_take_back(void *ignored)
{
    (void)ignored;
    pthread_mutex_lock(&lent.lock);
    if (--lent.users == 0)
        take_back();
    pthread_mutex_unlock(&lent.lock);
}
