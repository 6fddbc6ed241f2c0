/* counting_loop.c TALLY ROUNDS [PAUSE_US] - keeps a block of 40 B and frees one of 80 B in each round, and
 * writes what has returned into the file TALLY, which it maps: the figures survive its own SIGKILL.
 * ROUNDS 0: until a signal. Ends with status 6. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target.h"

static volatile sig_atomic_t stop;

static void on_term(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

static NOINLINE void *row_keep(void)
{
    return malloc(40); /* LEAK row */
}

static NOINLINE void *row_scratch(void)
{
    return malloc(80);
}

int main(int argc, char **argv)
{
    REQUIRE(argc >= 3);
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd >= 0 && ftruncate(fd, sizeof(struct target_tally)) == 0);
    volatile struct target_tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(tally != MAP_FAILED);
    close(fd);
    signal(SIGTERM, on_term);
    uint64_t rounds = strtoull(argv[2], NULL, 10);
    unsigned pause_us = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    for (uint64_t i = 0; !stop && (!rounds || i < rounds); i++) {
        REQUIRE(target_opaque(row_keep()));
        tally->allocs++;
        void *scratch = target_opaque(row_scratch());
        tally->allocs++;
        free(scratch);
        tally->frees++;
        if (pause_us)
            usleep(pause_us);
    }
    tally->done = 1;
    return 6;
}
