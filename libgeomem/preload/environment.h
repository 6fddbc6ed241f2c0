/* environment.h - our two variables: out of the program's sight, back for the programs it executes. */
#ifndef GM_PRELOAD_ENVIRONMENT_H
#define GM_PRELOAD_ENVIRONMENT_H

#include <stddef.h>

/* Learns the session's socket and our own entry of LD_PRELOAD from `envp` and takes both out, in place. */
void gm_environment_start(char **envp);

/* Builds the environment for a program that the target executes: `envp` (NULL: empty) with our variables.
 * `room` points to gm_environment_words(envp) pointers; the result lies there and refers to the entries of envp.
 * Returns envp itself when children are not recorded. Thread-safe, async-signal-safe, allocates nothing. */
char **gm_environment_for_child(char *const envp[], char **room);
size_t gm_environment_words(char *const envp[]);

/* Puts our variables into `environ` itself, for libc's own functions that execute programs (system, popen), until
 * as many calls have taken them back. Calls of several threads may overlap. As in any program, the
 * environment must not be written while another thread reads it; what is set between two such calls is kept.
 * Thread-safe, not async-signal-safe. Without memory nothing is lent, and the children are not recorded.
 * gm_environment_take_back has the form of a cancellation handler. */
void gm_environment_lend(void);
void gm_environment_take_back(void *ignored);

#endif
