/* queue.c - a queue in which every entry waits until `size` thousand others have come: the young live, the old die,
 * the worst case for generations. */
#include "mutator.h"

#define ROUNDS 12 /* times the queue passes through */

struct entry {
    struct entry *next;
    uint64_t number, load[4];
};

struct queue {
    struct entry *first, *last;
};

static void queue_push(struct queue *queue, uint64_t number)
{
    struct entry *entry = gc_new(struct entry);
    entry->number = number;
    if (queue->last)
        gc_set(queue->last, next, entry);
    else
        gc_set(queue, first, entry);
    gc_set(queue, last, entry);
}

/* The entry that leaves forgets its successor: on a conservative collector a stale pointer to it, somewhere on the
 * stack, would keep the whole queue from there on. */
static uint64_t queue_pop(struct queue *queue)
{
    struct entry *entry = queue->first;
    gc_set(queue, first, entry->next);
    gc_set(entry, next, NULL);
    return entry->number;
}

uint64_t queue_run(unsigned size, unsigned threads)
{
    (void)threads;
    struct queue *queue = gc_new(struct queue);
    uint64_t length = size * 1000ull, sum = 0;
    for (uint64_t i = 0; i < length; i++)
        queue_push(queue, i);
    for (uint64_t i = length; i < length * ROUNDS; i++) {
        queue_push(queue, i);
        uint64_t number = queue_pop(queue);
        if (number != i - length)
            return 0;
        sum += number;
    }
    return sum;
}
