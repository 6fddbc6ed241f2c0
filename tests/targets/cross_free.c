/* cross_free.c PAIRS BLOCKS - producers allocate, consumers free, over one-slot mailboxes, so that each
 * address wanders between threads. Every tenth block is kept: 48 bytes x PAIRS x BLOCKS / 10. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "target.h"

struct pair {
    _Atomic(void *) mailbox;
    long blocks;
    void **kept;
};

static NOINLINE void *message_new(void)
{
    return malloc(48); /* LEAK every tenth */
}

static void *producer_run(void *argument)
{
    struct pair *pair = argument;
    for (long i = 0; i < pair->blocks; i++) {
        void *block = message_new(), *empty = NULL;
        while (!atomic_compare_exchange_weak(&pair->mailbox, &empty, block)) {
            empty = NULL;
            sched_yield();
        }
    }
    return NULL;
}

static void *consumer_run(void *argument)
{
    struct pair *pair = argument;
    for (long i = 0; i < pair->blocks; i++) {
        void *block;
        while (!(block = atomic_exchange(&pair->mailbox, NULL)))
            sched_yield();
        if (i % 10 == 0)
            pair->kept[i / 10] = block;
        else
            free(block);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int pairs = argc > 1 ? atoi(argv[1]) : 2;
    long blocks = argc > 2 ? atol(argv[2]) : 100000;
    static struct pair all[16];
    pthread_t ids[32];
    static void *kept[16][100001];
    REQUIRE(pairs <= 16 && blocks <= 1000000);
    for (int i = 0; i < pairs; i++) {
        all[i].blocks = blocks;
        all[i].kept = kept[i];
        REQUIRE(!pthread_create(&ids[2 * i], NULL, producer_run, &all[i]));
        REQUIRE(!pthread_create(&ids[2 * i + 1], NULL, consumer_run, &all[i]));
    }
    for (int i = 0; i < 2 * pairs; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
