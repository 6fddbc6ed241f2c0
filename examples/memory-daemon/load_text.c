/* load_text.c - the documents and queries of memory-daemon-load. Few words are frequent and many are rare, about as in
 * a language: the square of an even distribution. */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>

#define VOCABULARY 20000

uint64_t load_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

/* Letters that tell the number: the same number, the same word. */
static size_t word_write(uint64_t number, char *at)
{
    static const char consonants[] = "bdfgklmnprst", vowels[] = "aeiou";
    size_t length = 0;
    do {
        at[length++] = consonants[number % 12];
        number /= 12;
        at[length++] = vowels[number % 5];
        number /= 5;
    } while (number);
    return length;
}

static size_t random_word_write(uint64_t *random, char *at)
{
    double even = (double)(load_random(random) >> 11) / (double)(1ull << 53);
    return word_write((uint64_t)(even * even * VOCABULARY), at);
}

size_t load_put_line(const struct load_options *options, uint64_t id, uint64_t *random, char *line)
{
    size_t length = (size_t)sprintf(line, "PUT %" PRIu64, id);
    for (uint64_t i = 0; i < options->words && length < LOAD_LINE_MAX - 32; i++) {
        line[length++] = ' ';
        length += random_word_write(random, line + length);
    }
    line[length++] = '\n';
    return length;
}

size_t load_find_line(const struct load_options *options, uint64_t *random, char *line)
{
    (void)options;
    size_t length = (size_t)sprintf(line, "FIND ");
    length += random_word_write(random, line + length);
    if (load_random(random) & 1 << 16) { /* every second query has two words */
        line[length++] = ' ';
        length += random_word_write(random, line + length);
    }
    line[length++] = '\n';
    return length;
}
