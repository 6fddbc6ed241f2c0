/* words.h - takes a text apart into its words. */
#ifndef WORDS_H
#define WORDS_H

#include <stdint.h>

#include "index.h"
#include "text.h"

#define WORDS_MAX 1024 /* of a text; what follows is not looked at */

/* Every different word once, in the order of their letters. */
struct word_use *words_of(struct text *text, uint32_t *ret_count);

#endif
