/* timed.c FILE PROGRAM ARGS... - runs a program and appends to FILE one line with what it and its children
 * took: CPU seconds, wall seconds, largest resident set in KiB. Stands between the recorder and the program,
 * so that the program's own time can be told from the recorder's. Takes no memory from the heap. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    double start = now();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
        return 126;
    char line[128];
    int length = snprintf(line, sizeof line, "%.6f %.6f %ld\n",
        seconds(usage.ru_utime) + seconds(usage.ru_stime), now() - start, usage.ru_maxrss);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
