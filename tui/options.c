/* options.c - see options.h. One table is the command line and the help. */
#include "tui/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "analyzer/core/live.h"
#include "schemas/db.h"

struct option_line {
    char letter;                 /* 0: none */
    const char *name, *argument; /* argument NULL: a switch */
    /* Returns NULL, or what is wrong with the argument. */
    const char *(*set)(struct gm_options *options, const char *argument);
    const char *text;
};

bool gm_time_parse(const char *text, int64_t *ret_ns)
{
    static const char units[] = "smhd";
    static const double seconds[] = {1, 60, 3600, 86400};
    double total = 0;
    char *end;
    for (int parts = 0;; parts++) {
        double part = strtod(text, &end);
        if (end == text || !(part >= 0) || part > 1e9)
            return false;
        total = total * 60 + part;
        if (*end != ':' || parts == 2)
            break;
        text = end + 1;
    }
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        total *= seconds[unit - units];
        end++;
    }
    if (*end || total > 9e9)
        return false;
    *ret_ns = (int64_t)(total * 1e9);
    return true;
}

static const char *set_delay(struct gm_options *o, const char *a)
{
    char *end;
    o->delay_s = strtod(a, &end);
    return end == a || *end || !(o->delay_s >= 0.1 && o->delay_s <= 3600) ? "0.1 to 3600 seconds"
                                                                          : NULL;
}

static const char *set_sort(struct gm_options *o, const char *a)
{
    static char names[256];
    o->sort = gm_column_by_name(a);
    if (o->sort != GM_COLUMN_COUNT)
        return NULL;
    snprintf(names, sizeof names, "one of");
    for (int i = 0; i < GM_COLUMN_COUNT; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", gm_columns[i].name);
    return names;
}

static const char *set_invert(struct gm_options *o, const char *a)
{
    (void)a;
    o->invert = true;
    return NULL;
}

static const char *set_filter(struct gm_options *o, const char *a)
{
    o->filter = a;
    return NULL;
}

static const char *set_window(struct gm_options *o, const char *a)
{
    if (strcmp(a, "all") == 0)
        o->window_ns = GM_LIVE_WINDOW_ALL;
    else if (strcmp(a, "auto") == 0)
        o->window_ns = GM_LIVE_WINDOW_AUTO;
    else if (!gm_time_parse(a, &o->window_ns) || o->window_ns == 0)
        return "auto, all, or a time such as 30s or 10m";
    return NULL;
}

static const char *set_batch(struct gm_options *o, const char *a)
{
    (void)a;
    o->batch = true;
    return NULL;
}

static const char *set_json(struct gm_options *o, const char *a)
{
    (void)a;
    o->batch = o->json = true;
    return NULL;
}

static const char *set_count(struct gm_options *o, const char *a)
{
    char *end;
    errno = 0;
    o->count = strtoull(a, &end, 10);
    return errno || end == a || *end || *a == '-' || o->count == 0 ? "a number of refreshes" : NULL;
}

static const char *set_rows(struct gm_options *o, const char *a)
{
    char *end;
    errno = 0;
    if (strcmp(a, "all") == 0) {
        o->rows = SIZE_MAX;
        return NULL;
    }
    o->rows = strtoull(a, &end, 10);
    return errno || end == a || *end || *a == '-' ? "a number, or all" : NULL;
}

static const char *set_at(struct gm_options *o, const char *a)
{
    return gm_time_parse(a, &o->at_ns) ? NULL
                                       : "a time since the start, such as 90, 5m or 00:12:30";
}

static const char *set_replay(struct gm_options *o, const char *a)
{
    (void)a;
    o->replay = true;
    return NULL;
}

static const char *set_clock(struct gm_options *o, const char *a)
{
    o->fixed_clock = strcmp(a, "fixed") == 0;
    return o->fixed_clock || strcmp(a, "real") == 0 ? NULL : "real or fixed";
}

static const char *set_ascii(struct gm_options *o, const char *a)
{
    (void)a;
    o->ascii = true;
    return NULL;
}

static const char *set_chart(struct gm_options *o, const char *a)
{
    static const char *const names[] = {"ascii", "block", "braille"};
    for (int i = 0; i < 3; i++)
        if (strcmp(a, names[i]) == 0) {
            o->chart = (enum gm_chart_symbols)i;
            o->chart_given = true;
            return NULL;
        }
    return "braille, block or ascii";
}

static const char *set_colour(struct gm_options *o, const char *a)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (int i = 0; i < 3; i++)
        if (strcmp(a, names[i]) == 0) {
            o->colour = (enum gm_when)i;
            return NULL;
        }
    return "auto, always or never";
}

static const struct option_line option_lines[] = {
    {'d', "delay", "SECONDS", set_delay, "time between refreshes, 0.1 to 3600 (1)"},
    {'s', "sort", "COLUMN", set_sort,
        "live, growth (default), blocks, allocs, frees, promote, age,\n"
        "average, total, stacks or where"},
    {'I', "invert", NULL, set_invert, "smallest first"},
    {'f', "filter", "TERMS", set_filter,
        "show matching sites: text, a|b, !regex, mod:libfoo, live>1M"},
    {'w', "window", "TIME", set_window,
        "growth over this time: auto (default), all, 30s, 10m, ..."},
    {'b', "batch", NULL, set_batch, "print to standard output instead of showing a screen"},
    {0, "json", NULL, set_json, "with -b: one JSON document a line for each refresh"},
    {'n', "count", "N", set_count, "end after N refreshes"},
    {0, "rows", "N", set_rows, "with -b: at most N sites (50), or all"},
    {0, "at", "TIME", set_at, "show this moment since the start: 90, 5m, 00:12:30"},
    {0, "replay", NULL, set_replay, "play the recording from the start, or from --at"},
    {0, "chart", "KIND", set_chart, "draw the chart in braille, block or ascii"},
    {0, "ascii", NULL, set_ascii, "use no character beyond ASCII"},
    {0, "color", "WHEN", set_colour, "auto (default; obeys NO_COLOR), always or never"},
    {0, "clock", "KIND", set_clock, "fixed: nothing shown depends on the time of day (for tests)"},
};
#define OPTION_LINES (sizeof option_lines / sizeof *option_lines)

static void help_print(void)
{
    puts("usage: geomem-top [options] FILE | PID | -- PROGRAM [ARGUMENTS]\n\n"
         "Shows where a program's memory goes: a recording, finished or still being written, by "
         "its file; a\n"
         "recorded process by its number; or a program to be started and recorded now.\n");
    for (size_t i = 0; i < OPTION_LINES; i++) {
        char left[64];
        const struct option_line *o = &option_lines[i];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->letter ? '-' : ' ',
            o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->argument ? "=" : "",
            o->argument ? o->argument : "");
        for (const char *text = o->text; text;) {
            const char *end = strchr(text, '\n');
            printf("  %-22s %.*s\n", left, (int)(end ? end - text : (long)strlen(text)), text);
            *left = 0;
            text = end ? end + 1 : NULL;
        }
    }
    puts("  -h, --help             this text\n"
         "  -V, --version          the versions in use\n\n"
         "Keys: ? shows them. Exit status: 0 done, 2 wrong use or no terminal, 3 the recording "
         "cannot be\n"
         "read, 4 the program could not be started. More in geomem-top(1).");
}

static const struct option_line *option_find(const char *word, size_t n, char letter)
{
    for (size_t i = 0; i < OPTION_LINES; i++)
        if (word ? strlen(option_lines[i].name) == n && memcmp(option_lines[i].name, word, n) == 0
                 : option_lines[i].letter == letter)
            return &option_lines[i];
    return NULL;
}

static int option_complain(const char *what, const char *word, const char *why)
{
    fprintf(stderr, "geomem-top: %s '%s'%s%s; try geomem-top --help\n", what, word, why ? ": " : "",
        why ? why : "");
    return GM_EXIT_USAGE;
}

static int option_apply(struct gm_options *options, const struct option_line *line,
    const char *word, const char *argument)
{
    if (line->argument && !argument)
        return option_complain("an argument must follow", word, line->argument);
    if (!line->argument && argument)
        return option_complain("no argument belongs to", word, NULL);
    const char *wrong = line->set(options, argument);
    return wrong ? option_complain("wrong argument of", word, wrong) : -1;
}

/* "--name", "--name=x", "--name x" */
static int option_long(struct gm_options *options, char **argv, int *i)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    const struct option_line *line = option_find(word, n, 0);
    if (!line)
        return option_complain("unknown option", argv[*i], NULL);
    const char *shown = argv[*i];
    const char *argument = equals ? equals + 1 : NULL;
    if (line->argument && !argument && argv[*i + 1])
        argument = argv[++*i];
    return option_apply(options, line, shown, argument);
}

/* "-b", "-n5", "-n 5", "-bn5" */
static int option_short(struct gm_options *options, char **argv, int *i)
{
    const char *shown = argv[*i];
    for (const char *p = shown + 1; *p; p++) {
        const struct option_line *line = option_find(NULL, 0, *p);
        if (!line)
            return option_complain("unknown option", shown, NULL);
        const char *argument = NULL;
        if (line->argument)
            argument = p[1] ? p + 1 : argv[*i + 1] ? argv[++*i] : NULL;
        int r = option_apply(options, line, shown, argument);
        if (r >= 0 || line->argument)
            return r;
    }
    return -1;
}

static int options_word(struct gm_options *options, char **argv, int *i)
{
    const char *word = argv[*i];
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        help_print();
        return 0;
    }
    if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
        printf("geomem-top %s (recordings of schema %d, SQLite %s)\n", GEOMEM_VERSION,
            GM_DB_VERSION, sqlite3_libversion());
        return 0;
    }
    if (strncmp(word, "--", 2) == 0)
        return option_long(options, argv, i);
    if (word[0] == '-' && word[1])
        return option_short(options, argv, i);
    if (options->target)
        return option_complain(
            "one recording at a time, not also", word, "a program to start comes after --");
    options->target = word;
    return -1;
}

int gm_options_parse(struct gm_options *options, int argc, char **argv)
{
    *options = (struct gm_options){.delay_s = 1,
        .sort = GM_COLUMN_growth,
        .rows = 50,
        .at_ns = GM_LIVE_END,
        .window_ns = GM_LIVE_WINDOW_AUTO,
        .filter = ""};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            options->program = argv[i + 1] ? argv + i + 1 : NULL;
            break;
        }
        int r = options_word(options, argv, &i);
        if (r >= 0)
            return r;
    }
    if (!options->target == !options->program) {
        fprintf(stderr,
            options->target
                ? "geomem-top: a recording or a program after --, not both; try geomem-top --help\n"
                : "geomem-top: name a recording, a process, or a program after --; try "
                  "geomem-top --help\n");
        return GM_EXIT_USAGE;
    }
    return -1;
}
