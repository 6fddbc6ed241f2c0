/* arguments.h - the variable arguments of execl and its relatives. */
#ifndef GM_BASE_ARGUMENTS_H
#define GM_BASE_ARGUMENTS_H

#include <alloca.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Declares `argv` on this frame, as glibc does: these run in children of vfork, in their parent's memory. `first` and those up to
 * NULL are in it; `ap` is left behind the NULL, and the caller's to end. */
#define GM_COLLECT_ARGUMENTS(first) \
    va_list ap; \
    size_t argc = 1; \
    va_start(ap, first); \
    while (va_arg(ap, char *)) \
        argc++; \
    va_end(ap); \
    char **argv = alloca((argc + 1) * sizeof *argv); \
    va_start(ap, first); \
    argv[0] = (char *)(uintptr_t)(first); \
    for (size_t i = 1; i <= argc; i++) \
    argv[i] = va_arg(ap, char *)

#endif
