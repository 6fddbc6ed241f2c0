/* find.h - the answer to FIND. */
#ifndef FIND_H
#define FIND_H

#include "index.h"
#include "text.h"

/* Adds to the reply the documents that have all words of `query`. The caller holds the index's lock. 0, or -EINVAL for a
 * query without a word, or with too many. */
int find_documents(const struct index *index, struct text *query, struct reply *reply);

#endif
