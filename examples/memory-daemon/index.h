/* index.h - the documents, and which words are in them.
 *
 *   documents by id              words by their letters
 *   [ ]─▸ document ─▸ document   [ ]─▸ word ─▸ word
 *            │   ▲                       │ newest
 *            │   └─────── posting ◂──────┘
 *            │               │ older: the same word in another document
 *            └▸ words        ▾
 *
 * All of it is collected memory. A document that is replaced is marked as dropped; its postings stay in their lists until
 * half of a list is of such: then the list is built anew. So changes are made in few old places, however large the index is,
 * which is good for processor caches and for any collector. The two tables of heads are explicit memory that the
 * collector reads (geomem_alloc_root), since they live as long as the index.
 *
 * Any number of threads may read at once, or one may write; callers take the lock.
 */
#ifndef INDEX_H
#define INDEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct geomem_cache;

struct word {
    struct word *next; /* in its slot */
    struct text *text;
    struct posting *newest;
    uint32_t documents, dropped; /* in its list, and of them such as were dropped */
    uint64_t changed;            /* number of the change that a document with it came or went by */
};

struct posting {
    struct posting *older;
    struct document *document;
    uint32_t uses; /* of the word in the document */
};

struct document_word {
    struct word *word;
    uint32_t uses;
};

struct document {
    struct document *next; /* in its slot */
    struct text *text;
    uint64_t id;
    bool is_dropped;
    uint32_t words;
    struct document_word word[];
};

struct index {
    pthread_rwlock_t lock;
    size_t slots; /* of both tables; a power of two */
    struct document **documents;
    struct word **words;
    uint64_t document_count, word_count;
    struct geomem_cache *answers; /* of find.h; NULL: none */
    uint64_t changes;             /* documents that came or went, since the beginning */
};

int index_init(struct index *index, size_t slots); /* 0 or a negative errno */
void index_done(struct index *index);

/* A word of a document that is to be put: where it stands in the document's text, and how often. */
struct word_use {
    uint32_t start, length, uses;
};

/* Replaces the document with this id, if there is one. */
void index_put(struct index *index, uint64_t id, struct text *text, const struct word_use *uses,
    uint32_t count);
int index_drop(struct index *index, uint64_t id);                        /* 0, or -ENOENT */
struct document *index_document(const struct index *index, uint64_t id); /* NULL: there is none */
struct word *index_word(const struct index *index, const char *letters, size_t length);

/* Are all links there, and the counts right? 0 or -EUCLEAN. */
int index_check(const struct index *index);

#endif
