/* start.c - the preload library's constructor, and how an image ends.
 *
 * The library is linked with -z initfirst: its constructor runs before those of the program's libraries, so
 * that they already see their environment without our additions. Events before it (preinit functions) attach
 * on their own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/event/event.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/thread.h"
#include "libgeomem/preload/environment.h"
#include "libgeomem/preload/real.h"
#include "libgeomem/unwind/object.h"
#include "schemas/wire.h"

int geomem_mark(const char *text);

static void image_at_exit(int status, void *ignored)
{
    (void)ignored;
    gm_process_note_end(GM_END_EXIT, status);
}

/* glibc passes constructors the arguments of main. */
__attribute__((constructor)) static void preload_start(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    gm_real_find();
    gm_exec_find();
    gm_object_watch();
    if (getauxval(AT_SECURE)) {
        gm_image.unrecorded = true;
        return;
    }
    gm_environment_start(envp);
    gm_thread_watch_ends();
    on_exit(image_at_exit, NULL);
    gm_process_on();
}

/* ---- the ways to end that pass by exit handlers ------------------------------------------------------------ */

__attribute__((noreturn)) static void exit_group(int status)
{
    for (;;)
        gm_sys1(SYS_exit_group, status);
}

GM_EXPORT void _exit(int status)
{
    gm_process_note_end(GM_END_EXIT_NOW, status);
    exit_group(status);
}

GM_EXPORT void _Exit(int status)
{
    gm_process_note_end(GM_END_EXIT_NOW, status);
    exit_group(status);
}

GM_EXPORT __attribute__((noreturn)) void quick_exit(int status)
{
    void (*real)(int) = NULL;
    gm_process_note_end(GM_END_QUICK_EXIT, status);
    *(void **)&real = gm_real_symbol("quick_exit");
    if (real)
        real(status);
    exit_group(status);
}

GM_EXPORT int geomem_mark(const char *text)
{
    return text ? gm_event_mark(text) : -22 /* EINVAL */;
}
