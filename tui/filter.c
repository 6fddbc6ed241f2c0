/* filter.c - see filter.h. */
#include "tui/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tui/model.h"

/* "1.5M", "10k", "200": decimal, as shown. */
static bool size_parse(const char *text, double *ret_size)
{
    static const char units[] = "kMGT";
    char *end;
    double size = strtod(text, &end);
    if (end == text)
        return false;
    for (int i = 0; *end && units[i]; i++)
        if (strncasecmp(end, &units[i], 1) == 0) {
            for (int n = 0; n <= i; n++)
                size *= 1000;
            end++;
            break;
        }
    *ret_size = size;
    return *end == 0;
}

/* The column of "live>1M"; none for other text, since '<' stands in the names of templates too. */
static enum gm_column term_column(const char *text)
{
    char name[32];
    size_t letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (text[letters] != '<' && text[letters] != '>')
        return GM_COLUMN_COUNT;
    snprintf(name, sizeof name, "%.*s", (int)letters, text);
    enum gm_column column = gm_column_by_name(name);
    return column == GM_COLUMN_where ? GM_COLUMN_COUNT : column;
}

static int term_parse_figure(
    struct gm_filter_term *term, const char *text, const char **ret_message)
{
    const char *sign = strpbrk(text, "<>");
    *term = (struct gm_filter_term){
        .kind = GM_TERM_FIGURE, .column = term_column(text), .above = *sign == '>'};
    if (!size_parse(sign + 1, &term->bound)) {
        *ret_message = "a number such as 1M or 200 must follow";
        return -EINVAL;
    }
    if (term->column == GM_COLUMN_age)
        term->bound *= 1e9; /* seconds */
    if (term->column == GM_COLUMN_promote)
        term->bound /= 100; /* per cent */
    return 0;
}

static int term_parse(struct gm_filter_term *term, const char *text, const char **ret_message)
{
    static _Thread_local char regex_message[128];
    if (term_column(text) != GM_COLUMN_COUNT)
        return term_parse_figure(term, text, ret_message);
    bool module = strncmp(text, "mod:", 4) == 0;
    bool regex = *text == '!';
    *term = (struct gm_filter_term){.kind = module  ? GM_TERM_MODULE
                                            : regex ? GM_TERM_REGEX
                                                    : GM_TERM_TEXT};
    snprintf(term->text, sizeof term->text, "%s", text + (module ? 4 : regex));
    if (!regex)
        return 0;
    int r = regcomp(&term->regex, term->text, REG_EXTENDED | REG_ICASE | REG_NOSUB);
    if (r == 0)
        return 0;
    regerror(r, &term->regex, regex_message, sizeof regex_message);
    *ret_message = regex_message;
    return -EINVAL;
}

void gm_filter_done(struct gm_filter *filter)
{
    for (size_t i = 0; i < filter->term_count; i++)
        if (filter->terms[i].kind == GM_TERM_REGEX)
            regfree(&filter->terms[i].regex);
    filter->term_count = 0;
    *filter->text = 0;
}

int gm_filter_set(struct gm_filter *filter, const char *text, const char **ret_message)
{
    struct gm_filter *fresh = calloc(1, sizeof *fresh);
    char copy[GM_FILTER_BYTES], *rest = copy;
    int r = fresh ? 0 : -ENOMEM;
    *ret_message = "not enough memory";
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; r == 0 && (word = strsep(&rest, " "));) {
        if (*word == 0 || strcmp(word, "!") == 0)
            continue;
        if (fresh->term_count == GM_FILTER_TERMS) {
            *ret_message = "too many words";
            r = -EINVAL;
        } else {
            r = term_parse(&fresh->terms[fresh->term_count], word, ret_message);
            fresh->term_count += r == 0;
        }
    }
    if (r == 0) {
        gm_filter_done(filter);
        *filter = *fresh;
        snprintf(filter->text, sizeof filter->text, "%s", text);
    } else if (fresh) {
        gm_filter_done(fresh);
    }
    free(fresh);
    return r;
}

static bool alternatives_found(const char *alternatives, const char *text)
{
    char copy[GM_FILTER_BYTES], *rest = copy;
    snprintf(copy, sizeof copy, "%s", alternatives);
    for (char *one; (one = strsep(&rest, "|"));)
        if (*one && text && strcasestr(text, one))
            return true;
    return strspn(alternatives, "|") == strlen(alternatives);
}

static bool term_holds(const struct gm_filter_term *term, const struct gm_row *row)
{
    switch (term->kind) {
    case GM_TERM_TEXT:
        return alternatives_found(term->text, row->where) ||
               alternatives_found(term->text, row->place->function);
    case GM_TERM_REGEX:
        return regexec(&term->regex, row->where, 0, NULL, 0) == 0;
    case GM_TERM_MODULE:
        return alternatives_found(term->text, row->place->module);
    case GM_TERM_FIGURE: {
        double value = gm_column_value(row, term->column);
        return term->above ? value > term->bound : value < term->bound;
    }
    }
    return true;
}

bool gm_filter_passes(const struct gm_filter *filter, const struct gm_row *row)
{
    for (size_t i = 0; i < filter->term_count; i++)
        if (!term_holds(&filter->terms[i], row))
            return false;
    return true;
}
