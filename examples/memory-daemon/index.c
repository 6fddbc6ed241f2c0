/* index.c - see index.h. */
#include "index.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "geomem/geomem.h"

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

static struct posting *posting_new(
    struct word *word, struct document *document, const struct word_use *use)
{
    struct posting *posting = object_new(sizeof *posting);
    posting->word = word;
    posting->document = document;
    posting->uses = use->uses;
    posting->older = word->newest;
    if (word->newest)
        word->newest->newer = posting;
    word->newest = posting;
    word->documents++;
    return posting;
}

/* A word that is in no document any more goes too. */
static void posting_unlink(struct index *index, struct posting *posting)
{
    struct word *word = posting->word;
    if (posting->newer)
        posting->newer->older = posting->older;
    else
        word->newest = posting->older;
    if (posting->older)
        posting->older->newer = posting->newer;
    /* Should something still hold this one, it does not hold all others by it. */
    posting->older = posting->newer = NULL;
    if (--word->documents)
        return;
    *word_slot(index, word->text->bytes, word->text->length) = word->next;
    index->word_count--;
}

int index_drop(struct index *index, uint64_t id)
{
    struct document **slot = document_slot(index, id), *document = *slot;
    if (!document)
        return -ENOENT;
    *slot = document->next;
    index->document_count--;
    for (uint32_t i = 0; i < document->words; i++)
        posting_unlink(index, document->posting[i]);
    return 0; /* nothing refers to the document now: the collector will find out */
}

void index_put(struct index *index, uint64_t id, struct text *text, const struct word_use *uses,
    uint32_t count)
{
    struct document *document = object_new(sizeof *document + count * sizeof(struct posting *));
    index_drop(index, id);
    document->id = id;
    document->text = text;
    document->words = count;
    for (uint32_t i = 0; i < count; i++) {
        struct word *word = word_get(index, text->bytes + uses[i].start, uses[i].length);
        document->posting[i] = posting_new(word, document, &uses[i]);
    }
    struct document **slot = document_slot(index, id);
    *slot = document;
    index->document_count++;
}

static bool word_is_whole(const struct word *word)
{
    uint32_t documents = 0;
    const struct posting *newer = NULL;
    for (const struct posting *p = word->newest; p; newer = p, p = p->older, documents++)
        if (p->newer != newer || p->word != word)
            return false;
    return documents == word->documents;
}

static bool document_is_whole(const struct index *index, const struct document *document)
{
    for (uint32_t i = 0; i < document->words; i++) {
        const struct text *text = document->posting[i]->word->text;
        if (document->posting[i]->document != document ||
            index_word(index, text->bytes, text->length) != document->posting[i]->word)
            return false;
    }
    return true;
}

int index_check(const struct index *index)
{
    uint64_t documents = 0, words = 0;
    for (size_t i = 0; i < index->slots; i++) {
        for (const struct word *word = index->words[i]; word; word = word->next, words++)
            if (!word_is_whole(word))
                return -EUCLEAN;
        for (const struct document *d = index->documents[i]; d; d = d->next, documents++)
            if (!document_is_whole(index, d))
                return -EUCLEAN;
    }
    return documents == index->document_count && words == index->word_count ? 0 : -EUCLEAN;
}
