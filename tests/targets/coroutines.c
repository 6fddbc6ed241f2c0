/* coroutines.c ROUNDS - coroutines on stacks that come and go at the same addresses with other sizes.
 *
 * In each round four stacks are mapped at fixed places, four coroutines run on them in turn, and the stacks are
 * unmapped. A coroutine's depth and the sizes of its frames change from round to round, so the same stack
 * pointer belongs to other callers each time. Each makes 8 allocations: at depth d, co_step stands d times in the
 * stack, between co_leaf and co_entry, and 1,000 + d bytes are allocated. Nothing is live at the end. */
#include <sys/mman.h>
#include <ucontext.h>

#include "target.h"

enum { COROUTINES = 4, PLACE = 1 << 20, BASE_BYTES = 65536, ALLOCATIONS = 8 };

static ucontext_t scheduler, coroutine[COROUTINES];
static int depth_of[COROUTINES], running;
static char *place;

static NOINLINE void co_leaf(int depth)
{
    for (int i = 0; i < ALLOCATIONS; i++) {
        void *block = malloc(1000 + (size_t)depth);
        REQUIRE(block);
        int me = running;
        REQUIRE(swapcontext(&coroutine[me], &scheduler) == 0);
        free(block);
    }
}

static NOINLINE void co_step(int left, int depth)
{
    char *frame = __builtin_alloca((size_t)(left * 48 % 176 + 16));
    target_opaque(frame);
    if (left > 1)
        co_step(left - 1, depth);
    else
        co_leaf(depth);
    __asm__ volatile(""); /* no tail call */
}

static void co_entry(void)
{
    co_step(depth_of[running], depth_of[running]);
}

static void round_run(int round)
{
    size_t bytes[COROUTINES];
    for (int i = 0; i < COROUTINES; i++) {
        bytes[i] = BASE_BYTES + (size_t)((round + i) % 5) * 4096;
        char *at = mmap(place + i * PLACE, bytes[i], PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        REQUIRE(at == place + i * PLACE && getcontext(&coroutine[i]) == 0);
        coroutine[i].uc_stack = (stack_t){.ss_sp = at, .ss_size = bytes[i]};
        coroutine[i].uc_link = &scheduler;
        depth_of[i] = 1 + (round * 7 + i * 3) % 20;
        makecontext(&coroutine[i], co_entry, 0);
    }
    for (int turn = 0; turn <= ALLOCATIONS; turn++)
        for (running = 0; running < COROUTINES; running++)
            REQUIRE(swapcontext(&scheduler, &coroutine[running]) == 0);
    for (int i = 0; i < COROUTINES; i++)
        REQUIRE(munmap(place + i * PLACE, bytes[i]) == 0);
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    place = mmap(
        NULL, COROUTINES * PLACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(place != MAP_FAILED);
    for (int i = 0; i < COROUTINES; i++)
        REQUIRE(munmap(place + i * PLACE, PLACE) == 0);
    for (int round = 0; round < atoi(argv[1]); round++)
        round_run(round);
    return 0;
}
