/* command.c - see command.h. */
#include "analyzer/core/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "analyzer/core/names.h"

static void word_write(FILE *out, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_~";
    if (*word && strspn(word, plain) == strlen(word)) {
        fputs(word, out);
        return;
    }
    putc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            putc(*word, out);
    }
    putc('\'', out);
}

static int command_write(FILE *out, const json_t *words)
{
    size_t i;
    json_t *word;
    json_array_foreach(words, i, word)
    {
        const char *text = json_string_value(word);
        char *clean = text ? gm_name_copy(text, strlen(text)) : NULL;
        if (!clean)
            return -1;
        if (i > 0)
            putc(' ', out);
        word_write(out, clean);
        free(clean);
    }
    return 0;
}

char *gm_command_text(const char *json)
{
    json_t *words = json_loads(json, 0, NULL);
    char *text = NULL;
    size_t bytes = 0;
    int r = -1;
    if (json_is_array(words)) {
        FILE *out = open_memstream(&text, &bytes);
        if (out) {
            r = command_write(out, words);
            if (fclose(out) != 0)
                r = -1;
        }
    }
    json_decref(words);
    if (r == 0)
        return text;
    free(text);
    return strdup(json);
}
