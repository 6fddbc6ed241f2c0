/* signal_malloc.c TALLY ROUNDS - allocates in a loop while a timer's handler allocates too, every 100 us,
 * interrupting allocations wherever they are. Goes on until both ROUNDS and 500 signals have passed. The
 * figures go into the file TALLY: what was allocated outside and inside the handler. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "target.h"

static volatile uint64_t handler_allocs;
static void *volatile sink;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    for (int i = 0; i < 4; i++) {
        sink = malloc(17); /* LEAK handler */
        handler_allocs++;
    }
    sink = malloc(18);
    handler_allocs++;
    free(sink);
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 3);
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd >= 0 && ftruncate(fd, sizeof(struct target_tally)) == 0);
    struct target_tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(tally != MAP_FAILED);
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {{0, 100}, {0, 100}};
    REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    uint64_t rounds = (uint64_t)atol(argv[2]), loop_allocs = 0;
    while (loop_allocs < rounds || handler_allocs < 2500) {
        sink = malloc(33);
        loop_allocs++;
        free(sink);
    }
    struct itimerval off = {{0, 0}, {0, 0}};
    REQUIRE(setitimer(ITIMER_REAL, &off, NULL) == 0);
    tally->allocs = loop_allocs + handler_allocs;
    tally->frees = loop_allocs + handler_allocs / 5;
    tally->done = 1;
    return 0;
}
