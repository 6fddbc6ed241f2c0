/* gc_threads.c THREADS ROUNDS - threads that allocate, and a collector that stops them by a signal wherever they are, also
 * inside the recorder's hooks, and tells what it finds while they are stopped. With more threads than the recording has
 * rings it needs a ring that they share. All blocks are dead at the end but one for each thread. */
#include <errno.h>
#include <geomem/listener.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target.h"

#define BLOCK 64
#define BLOCKS 64 /* of a thread, made anew when the collector has taken them */
#define THREADS_MAX 200

static const struct geomem_listener *listener;
static char *const heap = (char *)0x200000000; /* never touched */

static struct {
    _Atomic uint64_t made; /* a bit for each block that the program has */
    pthread_t thread;
} mutators[THREADS_MAX];
static _Atomic int stopped, ended;
static _Atomic uint32_t epoch; /* odd: the world is stopped, or is to be */
static int threads;

static char *block_at(int thread, unsigned i)
{
    return heap + ((size_t)thread * BLOCKS + i) * BLOCK;
}

/* The world's signal: waits until it goes on. */
static void stop_take(int number)
{
    int saved = errno;
    uint32_t seen = atomic_load(&epoch);
    (void)number;
    atomic_fetch_add(&stopped, 1);
    while (seen % 2 == 1 && atomic_load(&epoch) == seen)
        syscall(SYS_futex, &epoch, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    errno = saved;
}

NOINLINE static void block_new(int thread, unsigned i)
{
    listener->alloc(block_at(thread, i), 50, 1, 0);
}

static void *mutator_main(void *arg)
{
    int me = (int)(intptr_t)arg;
    while (!atomic_load(&ended)) {
        uint64_t made = atomic_load(&mutators[me].made);
        if (made == ~0ull)
            continue;
        unsigned i = (unsigned)__builtin_ctzll(~made);
        block_new(me, i);
        atomic_fetch_or(&mutators[me].made, 1ull << i);
        free(target_opaque(malloc(70)));
    }
    return NULL;
}

static void world_stop(void)
{
    atomic_store(&stopped, 0);
    atomic_fetch_add(&epoch, 1);
    for (int i = 0; i < threads; i++)
        pthread_kill(mutators[i].thread, SIGUSR2);
    while (atomic_load(&stopped) < threads)
        usleep(50);
}

static void world_start(void)
{
    atomic_fetch_add(&epoch, 1);
    syscall(SYS_futex, &epoch, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

/* Odd blocks die, even ones are promoted; those die in the next full collection. */
static void world_sweep(uint64_t number, int full)
{
    static uint64_t old[THREADS_MAX];
    listener->gc_begin(
        1, number, full ? GEOMEM_GC_FULL : GEOMEM_GC_YOUNG, GEOMEM_TRIGGER_ALLOCATION);
    for (int i = 0; i < threads; i++) {
        uint64_t made = atomic_load(&mutators[i].made), odd = 0xaaaaaaaaaaaaaaaaull;
        uint64_t dead = full ? made : made & odd, promoted = full ? 0 : made & ~odd & ~old[i];
        struct geomem_swept s = {.heap = 1,
            .first = block_at(i, 0),
            .block_bytes = BLOCK,
            .dead = dead,
            .promoted = promoted,
            .age = 1};
        if (dead | promoted)
            listener->swept(&s);
        old[i] = full ? 0 : old[i] | promoted;
        atomic_store(&mutators[i].made, made & ~dead);
    }
    struct geomem_gc_cycle c = {.heap = 1,
        .number = number,
        .kind = full ? GEOMEM_GC_FULL : GEOMEM_GC_YOUNG,
        .trigger = GEOMEM_TRIGGER_ALLOCATION,
        .stops = 1,
        .threads_stopped = (uint64_t)threads};
    listener->gc_end(&c);
}

static int rounds;
static void *collector_main(void *arg)
{
    for (int r = 1; r <= rounds; r++) {
        usleep(200);
        world_stop();
        world_sweep((uint64_t)r, r % 4 == 0);
        world_start();
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t collector;
    struct sigaction action = {.sa_handler = stop_take, .sa_flags = SA_RESTART};
    REQUIRE(argc == 3);
    threads = atoi(argv[1]);
    rounds = atoi(argv[2]);
    listener = geomem_recorder_listener ? geomem_recorder_listener() : NULL;
    REQUIRE(listener && threads <= THREADS_MAX);
    sigaction(SIGUSR2, &action, NULL);
    for (int i = 0; i < threads; i++)
        REQUIRE(pthread_create(&mutators[i].thread, NULL, mutator_main, (void *)(intptr_t)i) == 0);
    REQUIRE(pthread_create(&collector, NULL, collector_main, NULL) == 0);
    pthread_join(collector, NULL);
    atomic_store(&ended, 1);
    for (int i = 0; i < threads; i++)
        pthread_join(mutators[i].thread, NULL);
    world_sweep((uint64_t)rounds + 1, 1);
    for (int i = 0; i < threads; i++)
        block_new(i, 0);
    return 0;
}
