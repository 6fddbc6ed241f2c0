/* environment.c - see environment.h. */
#include "libgeomem/preload/environment.h"

#include <stdbool.h>
#include <string.h>

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

size_t gm_environment_words(char *const envp[])
{
    size_t n = 0;
    while (envp && envp[n])
        n++;
    return n + 3 +
           sizeof own_preload / sizeof(char *) *
               2; /* our two, the end, and the text of LD_PRELOAD */
}

/* "LD_PRELOAD=ours:theirs" behind the pointers. A value too long for the room is passed on as it is. */
static char *preload_join(const char *theirs, char *text, size_t room)
{
    size_t n = strlen(own_preload), value = theirs ? strlen(theirs + strlen(PRELOAD)) : 0;
    if (n + value + 2 > room)
        return NULL;
    memcpy(text, own_preload, n);
    if (value)
        text[n++] = ':';
    memcpy(text + n, theirs ? theirs + strlen(PRELOAD) : "", value + 1);
    return text;
}

char **gm_environment_for_child(char *const envp[], char **room)
{
    static char *none[] = {NULL};
    char *const *from = envp ? envp : none;
    const char *theirs = NULL;
    size_t n = 0;
    if (!own_preload[0] || !own_session[0] || !gm_image.follow || gm_image.unrecorded)
        return (char **)(uintptr_t)envp;
    if (gm_process.session && atomic_load_explicit(&gm_process.session->stop, memory_order_relaxed))
        return (char **)(uintptr_t)envp;
    for (; *from; from++) {
        if (starts_with(*from, SESSION))
            continue;
        if (starts_with(*from, PRELOAD) && !theirs && !strstr(*from, "libgeomem_preload"))
            theirs = *from;
        else if (!starts_with(*from, PRELOAD))
            room[n++] = *from;
    }
    char *text = (char *)(room + n + 3);
    char *preload = preload_join(theirs, text, sizeof own_preload * 2);
    room[n++] = preload ? preload : (char *)(uintptr_t)theirs;
    room[n++] = own_session;
    room[n] = NULL;
    return room;
}
