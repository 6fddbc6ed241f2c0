/* show_env.c - prints the environment as the program, getenv(), a changed environment and a child see it.
 * Recorded or not, the output must be the same. */
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

extern char **environ;

int main(void)
{
    const char *names[] = {"LD_PRELOAD", "GEOMEM_SESSION", "HOME", "MARKER", NULL};
    for (char **entry = environ; *entry; entry++)
        printf("environ %s\n", *entry);
    for (const char **name = names; *name; name++)
        printf("getenv %s=%s\n", *name, getenv(*name) ? getenv(*name) : "(none)");
    REQUIRE(setenv("ADDED", "1", 1) == 0);
    fflush(stdout);
    REQUIRE(system("echo child; env | grep -v '^_=' | sort") == 0);

    /* An environment made by hand, without anything of ours in it, stays as made. */
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        char *made[] = {"ONLY=this", NULL}, *arguments[] = {"env", NULL};
        execve("/usr/bin/env", arguments, made);
        _exit(98);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
    REQUIRE(clearenv() == 0);
    printf("cleared %d\n", environ == NULL || *environ == NULL);
    fflush(stdout);
    return system("/usr/bin/env | grep -v -e '^_=' -e '^PWD=' -e '^SHLVL=' -e '^OLDPWD=' | sort");
}
