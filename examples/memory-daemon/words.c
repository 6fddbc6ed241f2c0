/* words.c - see words.h. A word is noted by where it stands, not by a pointer: qsort moves what it sorts through memory
 * of malloc, where the collector does not look, so that pointers in there would keep nothing alive. */
#include "words.h"

#include <stdlib.h>
#include <string.h>

static int use_compare(const void *left, const void *right, void *of_text)
{
    const struct word_use *a = left, *b = right;
    const char *bytes = ((const struct text *)of_text)->bytes;
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(bytes + a->start, bytes + b->start, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static uint32_t words_split(const struct text *text, struct word_use *uses)
{
    uint32_t count = 0, at = 0;
    while (count < WORDS_MAX) {
        while (at < text->length && text->bytes[at] == ' ')
            at++;
        if (at == text->length)
            break;
        uint32_t start = at;
        while (at < text->length && text->bytes[at] != ' ')
            at++;
        uses[count++] = (struct word_use){start, at - start, 1};
    }
    return count;
}

static uint32_t words_merge(struct text *text, struct word_use *uses, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept && !use_compare(&uses[kept - 1], &uses[i], text))
            uses[kept - 1].uses++;
        else
            uses[kept++] = uses[i];
    return kept;
}

struct word_use *words_of(struct text *text, uint32_t *ret_count)
{
    struct word_use all[WORDS_MAX];
    uint32_t count = words_split(text, all);
    qsort_r(all, count, sizeof *all, use_compare, text);
    *ret_count = words_merge(text, all, count);
    struct word_use *uses = leaf_new(*ret_count * sizeof *uses);
    memcpy(uses, all, *ret_count * sizeof *uses);
    return uses;
}
