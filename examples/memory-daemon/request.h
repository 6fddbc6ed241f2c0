/* request.h - what a client may ask, one line each, and the reply, one line too.
 *
 *   PUT id text...    stores a document, in place of the one with that id
 *   GET id            its text
 *   DROP id
 *   FIND word...      the documents with all of these words, the best first, with a piece of their text
 *   STATS             what the heap and the index hold: names and numbers
 *   CHECK             looks at the whole heap and the whole index; takes long
 *
 * A reply begins with OK, or with ERR and why.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

#include "index.h"
#include "text.h"

/* `line` without its end. */
struct reply *request_answer(struct index *index, const char *line, size_t length);

#endif
