/* program.h - finding the program to record and saying beforehand why it cannot be recorded.
 *
 * A preloaded library is silently ignored by static programs, by other C libraries' loaders and in secure
 * mode; a user who waits for an empty recording has learnt nothing. So the file is looked at first.
 */
#ifndef GM_COLLECTOR_PROGRAM_H
#define GM_COLLECTOR_PROGRAM_H

#include <stddef.h>

/* Finds `name` as execvp would: in PATH unless it holds a slash. On success *ret_path is allocated. Returns
 * -ENOENT, -EACCES or -ENOMEM with one line in message. */
int gm_program_find(const char *name, char **ret_path, char *message, size_t message_bytes);

/* Follows #! lines to the file that is loaded and checks that our library will be: a dynamic x86-64 program
 * of glibc that the kernel does not run in secure mode. Returns 0, or a negative errno (-ENOEXEC, -EACCES,
 * -EPERM, -ELOOP, ...) with one line in message: what, and what to do. */
int gm_program_check(const char *path, char *message, size_t message_bytes);

#endif
