/* find.h - the answer to FIND. */
#ifndef FIND_H
#define FIND_H

#include "answers.h"
#include "index.h"
#include "text.h"

/* Adds to the reply the documents that have all words of `query`: from the cache, if it has the answer, else it is put there. The
 * caller holds the index's lock. 0, or -EINVAL for a query without a word, or with too many. */
int find_documents(const struct index *index, struct geomem_cache *answers, struct text *query,
    struct reply *reply);

#endif
