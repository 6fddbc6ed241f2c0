/* children.c MODE [ARG...] - every way to get another process. Each process image allocates and keeps blocks
 * of a size of its own, so that the test can tell who recorded what:
 *   parent 1111 B, a forked child 2222 B, an executed image ("image" mode) 3333 B.
 *
 *   fork           one child                      fork-threads  5 children while 3 threads allocate
 *   storm N        N children, 8 at a time        vfork         vfork + exec of `image`
 *   spawn          posix_spawn of `image`         system, popen the shell runs `image`
 *   exec-chain N   exec self N times              exec-fail     exec of nothing, then goes on
 *   image          keeps one block of 3333 B, exits 7
 *   fork-free      the child frees what it inherited
 *   double-fork    a grandchild whose parent has gone
 *   daemon         a grandchild that allocates for the first time when all others have long gone
 *   system-threads system() in threads that overlap, while another sets a variable; one is cancelled
 *   abandoned      once the recorder has gone: a child maps memory where the session was, and forks */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

extern char **environ;
static const char *self;
static void *kept[8];

static NOINLINE void keep_in_parent(void)
{
    kept[0] = malloc(1111); /* LEAK parent */
}
static NOINLINE void keep_in_child(void)
{
    kept[1] = malloc(2222); /* LEAK child */
}
static NOINLINE void keep_in_image(void)
{
    kept[2] = malloc(3333); /* LEAK image */
}

static int wait_status(pid_t pid)
{
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int mode_fork(void)
{
    keep_in_parent();
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        keep_in_child();
        free(malloc(22));
        return 3;
    }
    REQUIRE(wait_status(pid) == 3);
    return 0;
}

static int mode_fork_free(void)
{
    keep_in_parent();
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        free(kept[0]);
        keep_in_child();
        _exit(0);
    }
    REQUIRE(wait_status(pid) == 0);
    free(kept[0]);
    return 0;
}

static int mode_double_fork(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        if (fork() > 0)
            _exit(0);
        keep_in_child();
        REQUIRE(write(ends[1], "x", 1) == 1);
        _exit(0);
    }
    char byte;
    REQUIRE(wait_status(pid) == 0 && read(ends[0], &byte, 1) == 1);
    return 0;
}

/* Nothing else in here allocates: the recorder knows of nobody while the grandchild is silent. */
static int mode_daemon(void)
{
    pid_t root = getpid(), pid = fork();
    REQUIRE(pid >= 0);
    if (pid > 0)
        return 0;
    if (fork() > 0)
        _exit(0);
    while (kill(root, 0) == 0)
        usleep(1000);
    usleep(300000);
    keep_in_child();
    _exit(3);
}

static _Atomic int threads_stop;

static void *thread_churn(void *unused)
{
    while (!atomic_load(&threads_stop))
        for (int i = 0; i < 100; i++)
            free(realloc(malloc(20), 200));
    return unused;
}

static int mode_fork_threads(void)
{
    pthread_t ids[3];
    for (int i = 0; i < 3; i++)
        REQUIRE(!pthread_create(&ids[i], NULL, thread_churn, NULL));
    for (int child = 0; child < 5; child++) {
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (!pid) {
            keep_in_child();
            for (int i = 0; i < 1000; i++)
                free(malloc(100));
            _exit(child);
        }
        REQUIRE(wait_status(pid) == child);
    }
    atomic_store(&threads_stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(ids[i], NULL);
    return 0;
}

static int mode_storm(int children)
{
    int running = 0, status;
    for (int i = 0; i < children; i++) {
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (!pid) {
            keep_in_child();
            _exit(0);
        }
        if (++running == 8) {
            REQUIRE(wait(&status) > 0 && status == 0);
            running--;
        }
    }
    while (wait(&status) > 0)
        REQUIRE(status == 0);
    return 0;
}

static int mode_vfork(void)
{
    keep_in_parent();
    pid_t pid = vfork();
    if (!pid) {
        execl(self, self, "image", (char *)NULL);
        _exit(98);
    }
    return wait_status(pid);
}

static int mode_spawn(void)
{
    keep_in_parent();
    pid_t pid;
    char *arguments[] = {(char *)(uintptr_t)self, "image", NULL};
    REQUIRE(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
    return wait_status(pid);
}

static int mode_shell(int with_popen)
{
    char command[1000];
    snprintf(command, sizeof command, "%s image", self);
    keep_in_parent();
    int status;
    if (with_popen) {
        FILE *pipe = popen(command, "r");
        REQUIRE(pipe);
        status = pclose(pipe);
    } else {
        status = system(command);
    }
    return WEXITSTATUS(status);
}

/* system() of a shell that says when it runs, and then waits. */
struct shell {
    pthread_t thread;
    int ready[2], gate[2];
};

static void *shell_run(void *argument)
{
    struct shell *shell = argument;
    char command[100];
    snprintf(command, sizeof command, "echo >/dev/fd/%d; read line </dev/fd/%d", shell->ready[1], shell->gate[0]);
    REQUIRE(system(command) == 0);
    return NULL;
}

static void shell_start(struct shell *shell)
{
    char byte;
    REQUIRE(pipe(shell->ready) == 0 && pipe(shell->gate) == 0);
    REQUIRE(!pthread_create(&shell->thread, NULL, shell_run, shell));
    REQUIRE(read(shell->ready[0], &byte, 1) == 1);
}

static void shell_finish(struct shell *shell)
{
    REQUIRE(write(shell->gate[1], "\n", 1) == 1);
    REQUIRE(!pthread_join(shell->thread, NULL));
}

static int mode_system_threads(void)
{
    struct shell a, b;
    char **own = environ;
    REQUIRE(!getenv("GEOMEM_SESSION"));
    shell_start(&a);
    shell_start(&b);
    shell_finish(&a); /* the first to come is the first to go */
    shell_finish(&b);
    REQUIRE(environ == own && !getenv("GEOMEM_SESSION"));
    shell_start(&a);
    REQUIRE(!pthread_cancel(a.thread) && !pthread_join(a.thread, NULL));
    REQUIRE(environ == own && !getenv("GEOMEM_SESSION"));
    shell_start(&b);
    REQUIRE(!setenv("SET_MEANWHILE", "yes", 1));
    shell_finish(&b);
    REQUIRE(getenv("SET_MEANWHILE") && !getenv("GEOMEM_SESSION") && !getenv("LD_PRELOAD"));
    return 0;
}

/* Where the recorder's memory is mapped; false when it is not. */
static int session_find(uintptr_t *ret_start, size_t *ret_bytes)
{
    char line[500];
    uintptr_t end;
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    REQUIRE(maps);
    while (!found && fgets(line, sizeof line, maps))
        found = strstr(line, "geomem-session") && sscanf(line, "%lx-%lx", ret_start, &end) == 2;
    fclose(maps);
    *ret_bytes = found ? end - *ret_start : 0;
    return found;
}

static void abandoned_child(uintptr_t start, size_t bytes)
{
    keep_in_child(); /* no recorder answers: the parent's session is unmapped all the same */
    char *own = mmap((void *)start, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(own == (void *)start);
    own[0] = 'c';
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        keep_in_child();
        _exit(own[0] == 'c' ? 4 : 5);
    }
    _exit(wait_status(pid));
}

static int mode_abandoned(void)
{
    uintptr_t start;
    size_t bytes;
    pid_t recorder = getppid();
    keep_in_parent();
    REQUIRE(session_find(&start, &bytes));
    while (getppid() == recorder)
        usleep(1000);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (!pid)
        abandoned_child(start, bytes);
    return wait_status(pid);
}

static int mode_exec_chain(int left)
{
    char text[16];
    keep_in_image();
    if (left == 0)
        return 7;
    snprintf(text, sizeof text, "%d", left - 1);
    execlp(self, self, "exec-chain", text, (char *)NULL);
    return 98;
}

static int mode_exec_fail(void)
{
    keep_in_parent();
    for (int i = 0; i < 10; i++)
        execl("/nonexistent/program", "program", (char *)NULL);
    kept[3] = malloc(1112); /* LEAK after exec */
    return 5;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    self = argv[0];
    if (!strcmp(mode, "fork"))
        return mode_fork();
    if (!strcmp(mode, "fork-free"))
        return mode_fork_free();
    if (!strcmp(mode, "double-fork"))
        return mode_double_fork();
    if (!strcmp(mode, "daemon"))
        return mode_daemon();
    if (!strcmp(mode, "fork-threads"))
        return mode_fork_threads();
    if (!strcmp(mode, "storm"))
        return mode_storm(number);
    if (!strcmp(mode, "vfork"))
        return mode_vfork();
    if (!strcmp(mode, "spawn"))
        return mode_spawn();
    if (!strcmp(mode, "system") || !strcmp(mode, "popen"))
        return mode_shell(mode[0] == 'p');
    if (!strcmp(mode, "system-threads"))
        return mode_system_threads();
    if (!strcmp(mode, "abandoned"))
        return mode_abandoned();
    if (!strcmp(mode, "exec-chain"))
        return mode_exec_chain(number);
    if (!strcmp(mode, "exec-fail"))
        return mode_exec_fail();
    if (strcmp(mode, "image"))
        return 2;
    keep_in_image();
    return 7;
}
