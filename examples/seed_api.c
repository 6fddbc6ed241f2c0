/* seed_api.c - generational memory in use: an index that stays, requests that do not, and a report of both.
 *
 * A store of articles is loaded once and indexed by word: that lives as long as the program, and is allocated into the old
 * generation. Then searches come: each builds a list of hits and a page of text and drops them. The caching layer keeps
 * pages while there is room. At the end the report tells what became of all of it, and whether it could be better.
 *
 * Usage: seed_api [SEARCHES]     default 200000
 *
 * C11 and C++17 alike:
 *     cc  -g -O1 -o seed_api seed_api.c -lgeomem
 *     c++ -g -O1 -x c++ -o seed_api seed_api.c -x none -lgeomem
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <geomem/memory.h>

#define ARTICLES 4000u
#define WORDS_EACH 40u
#define WORDS 2000u
#define CACHE_BYTES 262144u /* some 400 pages */

struct posting { /* one article in the list of a word */
    struct posting *next;
    unsigned article;
};

struct article {
    char title[32];
    unsigned word[WORDS_EACH];
};

struct hit {
    struct hit *next;
    const struct article *article;
};

struct page {
    unsigned word;
    unsigned hits;
    char text[480];
};

/* Globals are roots: what they point to lives. */
static struct article *articles[ARTICLES];
static struct posting *words[WORDS];

/* xorshift64* (S. Vigna, 2016): the same sequence on every machine. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static void *checked(void *block)
{
    if (!block) {
        perror("seed_api");
        exit(1);
    }
    return block;
}

/* What is known to stay goes into the old generation at once. */
static void index_add(unsigned word, unsigned article)
{
    struct posting *posting =
        (struct posting *)checked(allocate_memory(sizeof *posting, gc_old_generation));
    posting->article = article;
    posting->next = words[word];
    words[word] = posting;
}

static void store_load(uint64_t *state)
{
    for (unsigned i = 0; i < ARTICLES; i++) {
        struct article *article =
            (struct article *)checked(allocate_memory(sizeof *article, gc_old_generation));
        snprintf(article->title, sizeof article->title, "article %u", i);
        for (unsigned w = 0; w < WORDS_EACH; w++) {
            article->word[w] = (unsigned)(random_next(state) % WORDS);
            index_add(article->word[w], i);
        }
        articles[i] = article;
    }
}

/* The list of hits is dropped by the caller: nobody frees it. */
static struct hit *search_run(unsigned word)
{
    struct hit *hits = NULL;
    for (const struct posting *p = words[word]; p; p = p->next) {
        struct hit *hit = (struct hit *)checked(allocate_memory(sizeof *hit, gc_young_generation));
        hit->article = articles[p->article];
        hit->next = hits;
        hits = hit;
    }
    return hits;
}

static struct page *page_make(unsigned word, const struct hit *hits)
{
    struct page *page = (struct page *)checked(allocate_memory(sizeof *page, gc_young_generation));
    size_t used = 0;
    page->word = word;
    for (; hits; hits = hits->next) {
        page->hits++;
        if (used + sizeof hits->article->title < sizeof page->text)
            used += (size_t)snprintf(
                page->text + used, sizeof page->text - used, "%s; ", hits->article->title);
    }
    return page;
}

/* The page is copied into the cache; what the loader made is dropped. */
static int page_load(CacheKey key, CachedData *ret_data)
{
    unsigned word;
    memcpy(&word, key.bytes, sizeof word);
    ret_data->bytes = page_make(word, search_run(word));
    ret_data->size = sizeof(struct page);
    return 0;
}

static unsigned search_answer(unsigned word)
{
    CacheKey key = {&word, sizeof word};
    CachedData data = get_or_load_cached_data(key, page_load);
    const struct page *page = (const struct page *)data.bytes;
    checked(data.entry);
    unsigned hits = page->hits;
    release_cached_data(data);
    return hits;
}

/* A word that is in no article any more: its page is not to be shown again. */
static void word_forget(unsigned word)
{
    CacheKey key = {&word, sizeof word};
    words[word] = NULL;
    remove_cached_data(key);
}

static void cache_report(void)
{
    struct geomem_cache_statistics statistics;
    statistics.struct_bytes = sizeof statistics;
    if (geomem_cache_statistics(geomem_caching_layer(), &statistics) == 0)
        printf("cache: %llu hits, %llu misses, %llu of %llu bytes\n",
            (unsigned long long)statistics.hits, (unsigned long long)statistics.misses,
            (unsigned long long)statistics.used_bytes,
            (unsigned long long)statistics.capacity_bytes);
}

int main(int argc, char **argv)
{
    unsigned long searches = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    uint64_t state = 0x9e3779b97f4a7c15ull, hits = 0;
    int failed = init_gc();
    if (!failed)
        failed = init_caching_layer();
    if (!failed)
        failed = geomem_cache_resize(geomem_caching_layer(), CACHE_BYTES);
    if (!failed)
        failed = start_profiling();
    if (failed) {
        fprintf(stderr, "seed_api: %s\n", strerror(-failed));
        return 1;
    }

    store_load(&state);
    for (unsigned long i = 0; i < searches; i++)
        hits += search_answer((unsigned)(random_next(&state) % WORDS));
    word_forget(0);
    if (search_answer(0) != 0)
        return 1;
    perform_gc(gc_old_generation);

    MemoryUsageReport *report = (MemoryUsageReport *)checked(stop_profiling());
    printf("%lu searches, %llu hits\n", searches, (unsigned long long)hits);
    cache_report();
    geomem_analysis_output(stdout);
    int warnings = analyze_memory_usage(report);
    free_memory(report);
    return warnings ? 2 : 0;
}
