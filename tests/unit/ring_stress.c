/* ring_stress.c - one producer, one consumer, a small ring: every group arrives whole, in order, unchanged.
 * A main() program because Criterion does not run under ThreadSanitizer. Argument: groups (default 2,000,000). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "libgeomem/ring/ring.h"

#define WORDS 4096

static struct gm_session *session;
static struct gm_producer producer;
static uint64_t groups = 2000000;
static _Atomic bool failed;

/* Group n: a record of 2 + n % 5 words that all follow from n. */
static unsigned group_words(uint64_t n)
{
    return 2 + (unsigned)(n % 5);
}

static uint64_t group_word(uint64_t n, unsigned i)
{
    return i == 0 ? gm_rec_word0(GM_EV_ALLOC, group_words(n), n & GM_STAMP_MASK)
                  : gm_stack_hash(n, i);
}

static void *produce(void *ignored)
{
    for (uint64_t n = 1; n <= groups && !failed; n++) {
        unsigned words = group_words(n);
        while (!gm_producer_has_room(&producer, words))
            if (failed)
                return ignored;
        gm_producer_busy(&producer);
        for (unsigned i = 0; i < words; i++)
            gm_producer_put(&producer, group_word(n, i));
        gm_producer_publish(&producer);
        gm_producer_idle(&producer);
    }
    return ignored;
}

static void *consume(void *ignored)
{
    struct gm_ring *ring = producer.ring;
    uint64_t tail = 0;
    for (uint64_t n = 1; n <= groups;) {
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (head - tail > WORDS)
            goto wrong;
        for (; tail < head; n++)
            for (unsigned i = 0, words = group_words(n); i < words; i++)
                if (producer.data[tail++ & (WORDS - 1)] != group_word(n, i))
                    goto wrong;
        if (tail != head)
            goto wrong; /* half a group */
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    return ignored;
wrong:
    fprintf(stderr, "ring_stress: wrong word at %llu\n", (unsigned long long)tail);
    failed = true;
    return ignored;
}

int main(int argc, char **argv)
{
    pthread_t threads[2];
    size_t bytes = GM_SESSION_HEADER_BYTES + sizeof(struct gm_ring) + WORDS * 8;
    if (argc > 1)
        groups = strtoull(argv[1], NULL, 10);
    session = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
    if (!session)
        return 1;
    for (size_t i = 0; i < bytes / 8; i++)
        ((uint64_t *)(void *)session)[i] = 0;
    session->ring_data_offset = GM_SESSION_HEADER_BYTES + sizeof(struct gm_ring);
    gm_producer_init(&producer, session, 0, WORDS);
    pthread_create(&threads[0], NULL, produce, NULL);
    pthread_create(&threads[1], NULL, consume, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    free(session);
    printf("ring_stress: %llu groups\n", (unsigned long long)groups);
    return failed;
}
