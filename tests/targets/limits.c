/* limits.c nofile | as | sig - goes on under limits that leave no room for a recorder's own needs. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

static void limit_set(int resource, rlim_t value)
{
    struct rlimit limit = {value, value};
    REQUIRE(setrlimit(resource, &limit) == 0);
}

static void *thread_run(void *unused)
{
    free(malloc(700));
    return unused;
}

/* No descriptor to be had: threads and forks must do without. */
static int mode_nofile(void)
{
    free(malloc(1));
    limit_set(RLIMIT_NOFILE, 3);
    pthread_t id;
    for (int i = 0; i < 20; i++) {
        REQUIRE(pthread_create(&id, NULL, thread_run, NULL) == 0);
        pthread_join(id, NULL);
    }
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        free(malloc(701));
        _exit(4);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4);
    return 0;
}

/* Allocates until nothing is left, sees ENOMEM, and goes on with what it has. */
static int mode_as(void)
{
    static void *blocks[1 << 20];
    int count = 0;
    free(malloc(1));
    limit_set(RLIMIT_AS, (rlim_t)1 << 30);
    errno = 0;
    while (count < 1 << 20 && (blocks[count] = malloc(65536)))
        count++;
    REQUIRE(count > 100 && count < 1 << 14 && errno == ENOMEM);
    for (int round = 0; round < 1000; round++) {
        errno = 0;
        REQUIRE(malloc((size_t)1 << 40) == NULL && errno == ENOMEM);
    }
    while (count)
        free(blocks[--count]);
    free(malloc(65536));
    return 0;
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    return !strcmp(argv[1], "nofile") ? mode_nofile() : mode_as();
}
