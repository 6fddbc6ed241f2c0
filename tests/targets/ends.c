/* ends.c HOW - allocates 5,000 blocks of 24 B, frees 2,000 of them, and ends in one of all the ways. */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target.h"

static void *blocks[5000];
static const char *how;

static NOINLINE void work(void)
{
    for (int i = 0; i < 5000; i++)
        blocks[i] = malloc(24); /* LEAK work */
    for (int i = 0; i < 2000; i++)
        free(blocks[i]);
}

static void *thread_exit(void *unused)
{
    if (how[0] == 'g')
        syscall(SYS_exit_group, 14);
    exit(13);
    return unused;
}

static void *thread_last(void *unused)
{
    usleep(20000);
    return unused;
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    how = argv[1];
    work();
    if (!strcmp(how, "return"))
        return 10;
    if (!strcmp(how, "exit"))
        exit(11);
    if (!strcmp(how, "_exit"))
        _exit(12);
    if (!strcmp(how, "_Exit"))
        _Exit(12);
    if (!strcmp(how, "quick_exit"))
        quick_exit(15);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "segv"))
        *(volatile int *)target_opaque(NULL) = 1;
    if (!strcmp(how, "term"))
        kill(getpid(), SIGTERM);
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL);
    pthread_t id;
    if (!strcmp(how, "thread-exit") || !strcmp(how, "group-exit")) {
        REQUIRE(pthread_create(&id, NULL, thread_exit, NULL) == 0);
        pthread_join(id, NULL);
    }
    if (!strcmp(how, "pthread_exit")) {
        REQUIRE(pthread_create(&id, NULL, thread_last, NULL) == 0);
        pthread_exit(NULL);
    }
    for (;;)
        pause();
}
