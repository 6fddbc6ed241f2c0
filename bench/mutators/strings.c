/* strings.c - text is put together piece by piece, looked up in a table of known lines, and mostly dropped: blocks
 * without pointers, of all lengths. `size`: thousands of lines in the table. */
#include <string.h>

#include "mutator.h"

#define ROUNDS 16 /* lines made for each that is in the table */
#define PIECES 12

struct string {
    uint32_t length;
    char text[];
};

struct line {
    struct line *next;
    struct string *string;
};

struct table {
    uint32_t slots;
    struct line *slot[];
};

static struct string *string_join(const struct string *head, const char *tail, uint32_t length)
{
    uint32_t before = head ? head->length : 0;
    struct string *joined = gc_new_leaf(sizeof *joined + before + length);
    joined->length = before + length;
    if (head)
        memcpy(joined->text, head->text, before);
    memcpy(joined->text + before, tail, length);
    return joined;
}

static struct string *string_of_number(uint32_t number)
{
    static const char *const words[] = {"allocate ", "mark ", "sweep ", "a ", "generation ",
        "of blocks ", "promoted ", "into the old space ", "young "};
    struct string *line = NULL;
    uint64_t random = number * 0x9e3779b97f4a7c15ull + 1;
    for (int i = 0; i < PIECES; i++) {
        const char *word = words[random_below(&random, sizeof words / sizeof *words)];
        line = string_join(line, word, (uint32_t)strlen(word));
    }
    return line;
}

static uint32_t string_hash(const struct string *string)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (uint32_t i = 0; i < string->length; i++)
        hash = (hash ^ (unsigned char)string->text[i]) * 16777619u;
    return hash;
}

/* Puts the line at the head of its slot, whose oldest leaves when there are more than two. Returns the length. */
static uint32_t table_put(struct table *table, struct string *string)
{
    uint32_t slot = string_hash(string) % table->slots;
    struct line *line = gc_new(struct line);
    gc_init(line, string, string);
    gc_init(line, next, table->slot[slot]);
    gc_set(table, slot[slot], line);
    if (line->next && line->next->next)
        gc_set(line->next, next, NULL);
    return string->length;
}

static uint64_t table_bytes(const struct table *table)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < table->slots; i++)
        for (struct line *line = table->slot[i]; line; line = line->next) {
            if (string_hash(line->string) % table->slots != i)
                return 0;
            bytes += line->string->length;
        }
    return bytes;
}

uint64_t strings_run(unsigned size, unsigned threads)
{
    (void)threads;
    uint32_t lines = size * 1000;
    struct table *table = gc_checked(gc_alloc(sizeof *table + lines * sizeof(struct line *)));
    table->slots = lines;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < lines * ROUNDS; i++) {
        struct string *string = string_of_number(i);
        if (i % 8 == 0)
            sum += table_put(table, string);
        else
            sum += string_hash(string) & 1;
    }
    uint64_t bytes = table_bytes(table);
    return bytes ? sum + bytes : 0;
}
