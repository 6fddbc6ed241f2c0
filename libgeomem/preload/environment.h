/* environment.h - our two variables: out of the program's sight, back for the programs it executes. */
#ifndef GM_PRELOAD_ENVIRONMENT_H
#define GM_PRELOAD_ENVIRONMENT_H

#include <stddef.h>

/* Learns the session's socket and our own entry of LD_PRELOAD from `envp` and takes both out, in place. */
void gm_environment_start(char **envp);

/* Builds the environment for a program that the target executes: `envp` with our variables. `room` points
 * to gm_environment_words(envp) pointers. Returns envp itself when children are not recorded.
 * Async-signal-safe. */
char **gm_environment_for_child(char *const envp[], char **room);
size_t gm_environment_words(char *const envp[]);

#endif
