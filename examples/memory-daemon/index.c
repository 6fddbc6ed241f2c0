/* index.c - see index.h. */
#include "index.h"

#include <errno.h>
#include <string.h>

#include "geomem/geomem.h"

/* Of a word: a shorter list is not worth building anew. */
#define DROPPED_LEAST 16

int index_init(struct index *index, size_t slots)
{
    *index = (struct index){.slots = slots};
    index->documents = geomem_alloc_root(slots * sizeof *index->documents);
    index->words = geomem_alloc_root(slots * sizeof *index->words);
    if (!index->documents || !index->words) {
        geomem_free(index->documents);
        geomem_free(index->words);
        return -ENOMEM;
    }
    return -pthread_rwlock_init(&index->lock, NULL);
}

void index_done(struct index *index)
{
    geomem_free(index->documents);
    geomem_free(index->words);
    pthread_rwlock_destroy(&index->lock);
}

static size_t hash_letters(const char *letters, size_t length)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)letters[i]) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

static struct document **document_slot(const struct index *index, uint64_t id)
{
    struct document **slot =
        &index->documents[(id * 0x9e3779b97f4a7c15u >> 32) & (index->slots - 1)];
    while (*slot && (*slot)->id != id)
        slot = &(*slot)->next;
    return slot;
}

static struct word **word_slot(const struct index *index, const char *letters, size_t length)
{
    struct word **slot = &index->words[hash_letters(letters, length) & (index->slots - 1)];
    while (*slot &&
           ((*slot)->text->length != length || memcmp((*slot)->text->bytes, letters, length) != 0))
        slot = &(*slot)->next;
    return slot;
}

struct document *index_document(const struct index *index, uint64_t id)
{
    return *document_slot(index, id);
}

struct word *index_word(const struct index *index, const char *letters, size_t length)
{
    return *word_slot(index, letters, length);
}

static struct word *word_get(struct index *index, const char *letters, size_t length)
{
    struct word **slot = word_slot(index, letters, length);
    if (*slot)
        return *slot;
    struct word *word = object_new(sizeof *word);
    word->text = text_new(letters, length);
    *slot = word;
    index->word_count++;
    return word;
}

static void posting_add(
    const struct index *index, struct word *word, struct document *document, uint32_t uses)
{
    struct posting *posting = object_new(sizeof *posting);
    posting->document = document;
    posting->uses = uses;
    posting->older = word->newest;
    word->newest = posting;
    word->documents++;
    word->changed = index->changes;
}

/* A list of its own with the postings that count, in the same order. */
static void word_compact(struct word *word)
{
    struct posting *newest = NULL, *last = NULL;
    for (const struct posting *old = word->newest; old; old = old->older) {
        if (old->document->is_dropped)
            continue;
        struct posting *posting = object_new(sizeof *posting);
        posting->document = old->document;
        posting->uses = old->uses;
        if (last)
            last->older = posting;
        else
            newest = posting;
        last = posting;
    }
    word->newest = newest;
    word->documents -= word->dropped;
    word->dropped = 0;
}

/* A word that is in no document any more goes too. */
static void word_drop(struct index *index, struct word *word)
{
    word->dropped++;
    word->changed = index->changes;
    if (word->dropped == word->documents) {
        *word_slot(index, word->text->bytes, word->text->length) = word->next;
        index->word_count--;
    } else if (word->dropped > DROPPED_LEAST && word->dropped > word->documents / 2) {
        word_compact(word);
    }
}

int index_drop(struct index *index, uint64_t id)
{
    struct document **slot = document_slot(index, id), *document = *slot;
    if (!document)
        return -ENOENT;
    *slot = document->next;
    document->is_dropped = true;
    document->text = NULL; /* much of it, and postings may lead to the document for a while */
    index->document_count--;
    index->changes++;
    for (uint32_t i = 0; i < document->words; i++)
        word_drop(index, document->word[i].word);
    document->next = NULL;
    document->words = 0;
    return 0;
}

void index_put(struct index *index, uint64_t id, struct text *text, const struct word_use *uses,
    uint32_t count)
{
    struct document *document = object_new(sizeof *document + count * sizeof *document->word);
    index_drop(index, id);
    index->changes++;
    document->id = id;
    document->text = text;
    document->words = count;
    for (uint32_t i = 0; i < count; i++) {
        struct word *word = word_get(index, text->bytes + uses[i].start, uses[i].length);
        document->word[i] = (struct document_word){word, uses[i].uses};
        posting_add(index, word, document, uses[i].uses);
    }
    *document_slot(index, id) = document;
    index->document_count++;
}

static bool word_is_whole(const struct index *index, const struct word *word)
{
    uint32_t documents = 0, dropped = 0;
    for (const struct posting *p = word->newest; p; p = p->older, documents++)
        if (p->document->is_dropped)
            dropped++;
        else if (index_document(index, p->document->id) != p->document)
            return false;
    return documents == word->documents && dropped == word->dropped;
}

static bool document_is_whole(const struct index *index, const struct document *document)
{
    for (uint32_t i = 0; i < document->words; i++) {
        const struct text *text = document->word[i].word->text;
        if (index_word(index, text->bytes, text->length) != document->word[i].word)
            return false;
    }
    return !document->is_dropped;
}

int index_check(const struct index *index)
{
    uint64_t documents = 0, words = 0;
    for (size_t i = 0; i < index->slots; i++) {
        for (const struct word *word = index->words[i]; word; word = word->next, words++)
            if (!word_is_whole(index, word))
                return -EUCLEAN;
        for (const struct document *d = index->documents[i]; d; d = d->next, documents++)
            if (!document_is_whole(index, d))
                return -EUCLEAN;
    }
    return documents == index->document_count && words == index->word_count ? 0 : -EUCLEAN;
}
