/* find.c - see find.h. The rarest of the words gives the candidates, newest first; those with all others become hits,
 * which are sorted and shown. In front of that stands the cache of answers. */
#include "find.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "words.h"

#define QUERY_WORDS_MAX 8
#define CANDIDATES_MAX 200
#define SHOWN_MAX 10
#define SNIPPET_BYTES 60

struct query {
    uint32_t count;
    struct word *words[QUERY_WORDS_MAX];
    struct word *rarest;
    uint64_t changed; /* the latest change of any of them */
};

struct hit {
    struct hit *next;
    const struct document *document;
    struct text *snippet;
    uint32_t score;
};

/* The number of uses, 0: not in there. */
static uint32_t document_uses(const struct document *document, const struct word *word)
{
    for (uint32_t i = 0; i < document->words; i++)
        if (document->word[i].word == word)
            return document->word[i].uses;
    return 0;
}

/* 0: one of the words is missing, or the document is. */
static uint32_t query_score(const struct query *query, const struct posting *candidate)
{
    if (candidate->document->is_dropped)
        return 0;
    uint32_t score = candidate->uses;
    for (uint32_t i = 0; i < query->count; i++) {
        if (query->words[i] == query->rarest)
            continue;
        uint32_t uses = document_uses(candidate->document, query->words[i]);
        if (!uses)
            return 0;
        score += uses;
    }
    return score;
}

static struct text *snippet_new(const struct document *document)
{
    uint32_t length = document->text->length;
    return text_new(document->text->bytes, length < SNIPPET_BYTES ? length : SNIPPET_BYTES);
}

static struct hit *hits_collect(const struct query *query)
{
    struct hit *hits = NULL;
    const struct posting *candidate = query->rarest->newest;
    for (int i = 0; candidate && i < CANDIDATES_MAX; i++, candidate = candidate->older) {
        uint32_t score = query_score(query, candidate);
        if (!score)
            continue;
        struct hit *hit = object_new(sizeof *hit);
        hit->score = score;
        hit->document = candidate->document;
        hit->snippet = snippet_new(candidate->document);
        hit->next = hits;
        hits = hit;
    }
    return hits;
}

static struct hit *hits_merge(struct hit *left, struct hit *right)
{
    struct hit *first = NULL, **end = &first;
    while (left && right) {
        struct hit **better = left->score >= right->score ? &left : &right;
        *end = *better;
        end = &(*better)->next;
        *better = *end;
    }
    *end = left ? left : right;
    return first;
}

static struct hit *hits_sort(struct hit *hits)
{
    if (!hits || !hits->next)
        return hits;
    struct hit *middle = hits, *end = hits->next;
    while (end && end->next) {
        middle = middle->next;
        end = end->next->next;
    }
    struct hit *right = middle->next;
    middle->next = NULL;
    return hits_merge(hits_sort(hits), hits_sort(right));
}

/* -ENOENT: one of them is in no document. */
static int query_read(const struct index *index, struct text *text, struct query *query)
{
    const struct word_use *uses = words_of(text, &query->count);
    if (!query->count || query->count > QUERY_WORDS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < query->count; i++) {
        struct word *word = index_word(index, text->bytes + uses[i].start, uses[i].length);
        if (!word)
            return -ENOENT;
        query->words[i] = word;
        if (word->changed > query->changed)
            query->changed = word->changed;
        if (!query->rarest || word->documents < query->rarest->documents)
            query->rarest = word;
    }
    return 0;
}

static struct text *answer_find(const struct query *query)
{
    struct reply *reply = reply_new();
    const struct hit *hit = hits_sort(hits_collect(query));
    for (int shown = 0; hit && shown < SHOWN_MAX; shown++, hit = hit->next) {
        reply_print(reply, "%" PRIu64 "(%" PRIu32 "): ", hit->document->id, hit->score);
        reply_add(reply, hit->snippet);
        reply_print(reply, "; ");
    }
    return reply_join(reply);
}

int find_documents(
    const struct index *index, struct geomem_cache *answers, struct text *text, struct reply *reply)
{
    struct query query = {0};
    int r = query_read(index, text, &query);
    if (r < 0) /* a word that is in no document: the answer is empty */
        return r == -EINVAL ? r : 0;
    struct text *answer = answers_get(answers, text, query.changed);
    if (!answer) {
        answer = answer_find(&query);
        answers_put(answers, text, query.changed, answer);
    }
    reply_add(reply, answer);
    return 0;
}
