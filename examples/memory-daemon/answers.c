/* answers.c - see answers.h. Values are copies, so that an answer's many small texts die with the request that found them. */
#include "answers.h"

#include <string.h>

#include "geomem/cache.h"

struct answer {
    uint64_t changed;
    char text[];
};

int answers_open(size_t bytes, struct geomem_cache **ret_cache)
{
    *ret_cache = NULL;
    if (bytes == 0)
        return 0;
    /* When memory runs short it gives all but a sixteenth: answers can be found again. */
    struct geomem_cache_options options = {
        .struct_bytes = sizeof options,
        .name = "answers",
        .capacity_bytes = bytes,
        .min_bytes = bytes / 16,
        .max_bytes = bytes,
    };
    return geomem_cache_create(&options, ret_cache);
}

void answers_close(struct geomem_cache *cache)
{
    geomem_cache_destroy(cache);
}

struct text *answers_get(struct geomem_cache *cache, const struct text *query, uint64_t changed)
{
    struct geomem_cache_entry *entry =
        cache ? geomem_cache_get(cache, query->bytes, query->length) : NULL;
    if (!entry)
        return NULL;
    const struct answer *answer = geomem_cache_data(entry);
    struct text *text = NULL;
    if (answer->changed == changed)
        text = text_new(answer->text, geomem_cache_bytes(entry) - sizeof *answer);
    /* An old one is replaced by the next answers_put. */
    geomem_cache_release(entry);
    return text;
}

void answers_put(
    struct geomem_cache *cache, const struct text *query, uint64_t changed, const struct text *text)
{
    if (!cache)
        return;
    size_t bytes = sizeof(struct answer) + text->length;
    struct answer *answer = leaf_new(bytes);
    answer->changed = changed;
    memcpy(answer->text, text->bytes, text->length);
    /* In place of one that is not good any more, if there is one. It may be refused: then it is found again next time. */
    geomem_cache_store(cache, query->bytes, query->length, answer, bytes, NULL, NULL);
}

void answers_count(
    struct geomem_cache *cache, uint64_t *ret_hits, uint64_t *ret_misses, uint64_t *ret_bytes)
{
    struct geomem_cache_statistics statistics = {.struct_bytes = sizeof statistics};
    if (cache)
        geomem_cache_statistics(cache, &statistics);
    *ret_hits = statistics.hits;
    *ret_misses = statistics.misses;
    *ret_bytes = statistics.used_bytes;
}
