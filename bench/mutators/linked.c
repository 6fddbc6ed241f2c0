/* linked.c - an index that fills most of memory and changes slowly, and requests that build lists and drop them.
 *
 * The index is a hash table: buckets in pages of pointers, chains of records, each with a reference to some other.
 * A step replaces one record of the index and builds a list of TEMPORARY records that refer to any. What changes is
 * mostly near what changed before, as in a table of recent things: all but one of COLD steps work in a part of the index
 * (one of HOT) that moves on. With `scattered` there is no such part: old memory is written to all over, as hardly a
 * program does that keeps so much. `size`: MB of records.
 */
#include "mutator.h"

#define CHAIN 3       /* records in a bucket */
#define PAGE 1024     /* buckets in a page */
#define TEMPORARY 48  /* records a step drops: two of a hundred stay */
#define STEPS_PART 25 /* steps: this part of the number of records */
#define HOT 32
#define COLD 10

struct record {
    struct record *next, *other;
    uint64_t key, value[2];
};

struct page {
    struct record *bucket[PAGE];
};

struct index {
    uint32_t pages, steps, threads;
    uint32_t hot; /* pages in the part that changes most */
    struct page **page;
};

/* What the new record refers to is read before it is allocated: other threads work here too, and what they put in
 * later may be younger than the record. */
static void bucket_push(struct index *index, uint32_t number, uint64_t key)
{
    struct page *page = index->page[number / PAGE];
    uint32_t elsewhere = (uint32_t)(key * 2654435761u) % (index->pages * PAGE);
    struct record *other = index->page[elsewhere / PAGE]->bucket[elsewhere % PAGE];
    struct record *next = page->bucket[number % PAGE];
    struct record *record = gc_new(struct record);
    record->key = key;
    gc_init(record, next, next);
    gc_init(record, other, other);
    gc_set(page, bucket[number % PAGE], record);
}

/* Drops the last of a chain, so that what is replaced is what was there longest. */
static void bucket_drop(struct page *page, uint32_t number)
{
    struct record *before = page->bucket[number];
    while (before->next->next)
        before = before->next;
    /* Some other may still refer to it, but then not, through it, to all that ever was. */
    gc_set(before->next, other, NULL);
    gc_set(before, next, NULL);
}

static struct record *temporary_build(const struct index *index, uint64_t *random)
{
    struct record *list = NULL;
    for (int i = 0; i < TEMPORARY; i++) {
        uint32_t number = random_below(random, index->pages * PAGE);
        struct record *other = index->page[number / PAGE]->bucket[number % PAGE];
        struct record *record = gc_new(struct record);
        record->key = number;
        gc_init(record, next, list);
        gc_init(record, other, other);
        list = record;
    }
    return list;
}

static uint64_t temporary_sum(const struct record *list)
{
    uint64_t sum = 0;
    for (; list; list = list->next)
        sum += list->key + (list->other != NULL);
    return sum;
}

/* The page that a step works in, of `pages`. */
static uint32_t step_page(
    const struct index *index, uint32_t pages, uint32_t step, uint64_t *random)
{
    if (!index->hot || step % COLD == 0)
        return random_below(random, pages);
    uint32_t moved = (uint32_t)((uint64_t)pages * step / index->steps);
    return (moved + random_below(random, index->hot)) % pages;
}

/* Each thread has pages of its own to change. */
static uint64_t steps_share(void *arg, unsigned thread)
{
    struct index *index = arg;
    uint64_t random = 0x9e3779b97f4a7c15ull + thread, sum = 0;
    uint32_t pages = index->pages / index->threads;
    for (uint32_t step = 0; step < index->steps / index->threads; step++) {
        uint32_t page = pages * thread + step_page(index, pages, step, &random);
        uint32_t bucket = random_below(&random, PAGE);
        bucket_push(index, page * PAGE + bucket, random);
        bucket_drop(index->page[page], bucket);
        sum += temporary_sum(temporary_build(index, &random));
    }
    return sum;
}

static void index_fill(struct index *index)
{
    uint64_t random = 0x853c49e6748fea9bull;
    for (uint32_t i = 0; i < index->pages; i++)
        gc_set_at(index->page, i, gc_new(struct page));
    for (uint32_t i = 0; i < index->pages * PAGE * CHAIN; i++)
        bucket_push(index, i % (index->pages * PAGE), random_next(&random));
}

static uint64_t index_count(const struct index *index)
{
    uint64_t records = 0;
    for (uint32_t i = 0; i < index->pages * PAGE; i++)
        for (struct record *r = index->page[i / PAGE]->bucket[i % PAGE]; r; r = r->next)
            records++;
    return records;
}

static uint64_t index_run(unsigned size, unsigned threads, uint32_t hot)
{
    uint32_t records = (uint32_t)(size * 1000000ull / sizeof(struct record));
    struct index index = {.pages = records / (CHAIN * PAGE), .threads = threads};
    index.steps = records / STEPS_PART;
    index.hot = hot ? index.pages / threads / hot + 1 : 0;
    index.page = gc_new_array(struct page *, index.pages);
    index_fill(&index);
    uint64_t sum = threads_run(threads, steps_share, &index);
    return index_count(&index) == (uint64_t)index.pages * PAGE * CHAIN ? sum : 0;
}

uint64_t linked_run(unsigned size, unsigned threads)
{
    return index_run(size, threads, HOT);
}

uint64_t scattered_run(unsigned size, unsigned threads)
{
    return index_run(size, threads, 0);
}
