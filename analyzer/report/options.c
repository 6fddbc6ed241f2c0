/* options.c - see options.h. */
#include "analyzer/report/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/core/events.h"
#include "analyzer/core/names.h"

static const struct {
    const char *name, *arguments, *text;
} commands[REPORT_COMMAND_COUNT] = {
#define GM_X(name, arguments, text) {#name, arguments, text},
    REPORT_COMMANDS(GM_X)
#undef GM_X
};

const char *const report_weight_names[WEIGHT_COUNT] = {"live", "peak", "allocated", "allocations"};

const char *report_command_name(enum report_command command)
{
    return commands[command].name;
}

/* ---- values
 * ------------------------------------------------------------------------------------------ */

/* A number with an optional unit out of `units` ("ms" 0.001, ...). */
struct unit {
    const char *name;
    double factor;
};

static bool number_parse(const char *text, const struct unit *units, size_t n, double *ret_value)
{
    char *end = NULL;
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value) || strpbrk(text, "xXpP"))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(end, units[i].name) == 0) {
            *ret_value = value * units[i].factor;
            return true;
        }
    return false;
}

static bool bytes_parse(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {{"", 1}, {"b", 1}, {"k", 1e3}, {"kb", 1e3}, {"m", 1e6},
        {"mb", 1e6}, {"g", 1e9}, {"gb", 1e9}, {"t", 1e12}, {"tb", 1e12}, {"kib", 1024},
        {"mib", 1048576}, {"gib", 1073741824.0}};
    double value;
    if (!number_parse(text, units, sizeof units / sizeof *units, &value) || value > 1e18)
        return false;
    *ret_bytes = (uint64_t)value;
    return true;
}

static bool count_parse(const char *text, uint64_t most, uint64_t *ret_count)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value > most)
        return false;
    *ret_count = value;
    return true;
}

static bool moment_parse(const char *text, struct report_moment *ret_moment)
{
    static const struct unit times[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9},
        {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}};
    static const struct unit percent[] = {{"%", 1}};
    struct report_moment moment = {.set = true};
    if (number_parse(text, percent, 1, &moment.value) && moment.value <= 100)
        moment.percent = true;
    else if (!number_parse(text, times, sizeof times / sizeof *times, &moment.value) ||
             moment.value > 1e9)
        return false;
    *ret_moment = moment;
    return true;
}

static bool name_parse(const char *text, const char *const *names, size_t n, unsigned *ret_index)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

/* ---- options
 * ------------------------------------------------------------------------------------------ */

static bool set_json(struct report_options *o, const char *v)
{
    return (void)v, o->json = true;
}
static bool set_csv(struct report_options *o, const char *v)
{
    return (void)v, o->csv = true;
}
static bool set_help(struct report_options *o, const char *v)
{
    return (void)v, o->help = true;
}
static bool set_version(struct report_options *o, const char *v)
{
    return (void)v, o->version = true;
}
static bool set_all(struct report_options *o, const char *v)
{
    return (void)v, o->all = true;
}
static bool set_bottom_up(struct report_options *o, const char *v)
{
    return (void)v, o->bottom_up = true;
}
static bool set_ascii(struct report_options *o, const char *v)
{
    return (void)v, o->ascii = true;
}
static bool set_no_pager(struct report_options *o, const char *v)
{
    return (void)v, o->no_pager = true;
}
static bool set_force(struct report_options *o, const char *v)
{
    return (void)v, o->force = true;
}
static bool set_process(struct report_options *o, const char *v)
{
    return o->process = v, *v != 0;
}
static bool set_module(struct report_options *o, const char *v)
{
    return o->module = v, *v != 0;
}
static bool set_function(struct report_options *o, const char *v)
{
    return o->function = v, *v != 0;
}
static bool set_source(struct report_options *o, const char *v)
{
    return o->source = v, *v != 0;
}
static bool set_output(struct report_options *o, const char *v)
{
    return o->output = v, *v != 0;
}
static bool set_sysroot(struct report_options *o, const char *v)
{
    return o->sysroot = v, *v != 0;
}
static bool set_debug_dir(struct report_options *o, const char *v)
{
    if (!*v || o->debug_dir_count == REPORT_DEBUG_DIRS)
        return false;
    o->debug_dirs[o->debug_dir_count++] = v;
    return true;
}
static bool set_from(struct report_options *o, const char *v)
{
    return moment_parse(v, &o->from);
}
static bool set_to(struct report_options *o, const char *v)
{
    return moment_parse(v, &o->to);
}
static bool set_site(struct report_options *o, const char *v)
{
    uint64_t id;
    return count_parse(v, UINT32_MAX, &id) && id > 0 && (o->site_id = (uint32_t)id, true);
}
static bool set_kind(struct report_options *o, const char *v)
{
    return o->kind = v, gm_event_kind_is(v);
}
static bool set_address(struct report_options *o, const char *v)
{
    char *end = NULL;
    errno = 0;
    o->address = strtoull(v, &end, 0);
    return isdigit((unsigned char)*v) && !*end && !errno && o->address > 0;
}
static bool set_min_bytes(struct report_options *o, const char *v)
{
    return bytes_parse(v, &o->min_bytes);
}

static bool set_color(struct report_options *o, const char *v)
{
    static const char *const names[] = {"auto", "always", "never"};
    unsigned i;
    return name_parse(v, names, 3, &i) && (o->color = (enum out_color)i, true);
}

static bool set_top(struct report_options *o, const char *v)
{
    uint64_t n;
    return count_parse(v, UINT32_MAX, &n) && n > 0 && (o->top = (uint32_t)n, true);
}

static bool set_min_percent(struct report_options *o, const char *v)
{
    static const struct unit units[] = {{"", 1}, {"%", 1}};
    return number_parse(v, units, 2, &o->min_percent) && o->min_percent <= 100;
}

static bool set_sort(struct report_options *o, const char *v)
{
    unsigned i;
    return name_parse(v, gm_site_order_names, GM_SITE_ORDER_COUNT, &i) &&
           (o->sort = (enum gm_site_order)i, o->sort_set = true);
}

static bool set_weight(struct report_options *o, const char *v)
{
    unsigned i;
    return name_parse(v, report_weight_names, WEIGHT_COUNT, &i) &&
           (o->weight = (enum report_weight)i, o->weight_set = true);
}

static bool set_fail_on(struct report_options *o, const char *v)
{
    if (strncmp(v, "live:", 5) == 0)
        return bytes_parse(v + 5, &o->fail_above) && (o->fail_on = FAIL_LIVE_BYTES, true);
    if (strncmp(v, "blocks:", 7) == 0)
        return count_parse(v + 7, UINT64_MAX, &o->fail_above) &&
               (o->fail_on = FAIL_LIVE_BLOCKS, true);
    return false;
}

#define C(name) (1u << REPORT_##name)
#define C_ALL ((1u << REPORT_COMMAND_COUNT) - 1)
#define C_SITES (C(leaks) | C(sites) | C(peak) | C(tree) | C(flame) | C(generations))
#define C_TIME \
    (C(summary) | C(leaks) | C(sites) | C(timeline) | C(tree) | C(flame) | C(generations) | \
        C(events) | C(gc) | C(caches))

static const struct option {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* NULL: takes none */
    uint32_t commands;
    bool (*set)(struct report_options *options, const char *value);
    const char *text;
} options[] = {
    {"json", 'j', NULL, C_ALL & ~C(symbolize), set_json, "one JSON document (docs/json.md)"},
    {"csv", 0, NULL, C(sql), set_csv, "comma-separated values, with a header"},
    {"from", 0, "TIME", C_TIME, set_from, "only what happened from TIME on: 1.5, 90s, 2m, 50%"},
    {"to", 0, "TIME", C_TIME, set_to, "only up to TIME; live figures are those of that moment"},
    {"process", 'p', "PID", C_SITES | C(summary) | C(timeline) | C(events) | C(gc) | C(caches),
        set_process, "only this process (pid, #ID); all: every process by itself"},
    {"module", 0, "NAME", C_SITES, set_module,
        "only stacks with a module like NAME (substring or glob)"},
    {"function", 0, "NAME", C_SITES, set_function, "only stacks with a function like NAME"},
    {"file", 0, "NAME", C_SITES, set_source, "only stacks with a source file like NAME"},
    {"site", 0, "N", C(events), set_site, "only events of blocks from site N"},
    {"address", 0, "ADDRESS", C(events), set_address, "only events of blocks at ADDRESS: 0x55d0a8"},
    {"kind", 0, "KIND", C(events), set_kind, "alloc, free, thread_start, mark, ..."},
    {"min-bytes", 0, "SIZE", C_SITES, set_min_bytes,
        "only sites of at least SIZE: 4096, 64k, 1.5M"},
    {"top", 'n', "N", C_SITES | C(summary) | C(timeline) | C(events) | C(gc) | C(caches), set_top,
        "show N rows"},
    {"all", 'a', NULL, C_SITES | C(summary) | C(timeline) | C(gc) | C(caches), set_all,
        "show all rows"},
    {"sort", 's', "KEY", C(sites), set_sort,
        "live, blocks, growth, allocs, bytes, rate, promoted, peak, age"},
    {"weight", 'w', "WHAT", C(tree) | C(flame), set_weight, "live, peak, allocated or allocations"},
    {"bottom-up", 'b', NULL, C(tree), set_bottom_up,
        "from the allocating functions to their callers"},
    {"min-percent", 0, "P", C(tree), set_min_percent,
        "leave out branches below P percent (default 1)"},
    {"fail-on", 0, "WHAT", C(leaks), set_fail_on,
        "exit 1 if more is still live than live:SIZE or blocks:N"},
    {"output", 'o', "FILE", C(flame), set_output, "write to FILE"},
    {"force", 'f', NULL, C(flame), set_force, "overwrite FILE"},
    {"sysroot", 0, "DIR", C(symbolize), set_sysroot,
        "look for the programs and libraries below DIR"},
    {"debug-dir", 0, "DIR", C(symbolize), set_debug_dir,
        "look for separate debug files in DIR; may be repeated"},
    {"color", 0, "WHEN", C_ALL, set_color, "auto, always or never"},
    {"ascii", 0, NULL, C_ALL, set_ascii, "draw with ASCII characters"},
    {"no-pager", 0, NULL, C_ALL, set_no_pager, "never start a pager"},
    {"help", 'h', NULL, C_ALL, set_help, "this text"},
    {"version", 'V', NULL, C_ALL, set_version, "versions of geomem and of what it is built with"},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

/* Edit distance with all steps costing 1; names longer than the table are taken as far apart. */
static unsigned name_distance(const char *a, const char *b)
{
    unsigned row[32], n = (unsigned)strlen(b);
    if (n >= 32)
        return 99;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < n; j++) {
            unsigned replace = diagonal + (a[i] != b[j]), shorter = row[j + 1] + 1,
                     longer = row[j] + 1;
            diagonal = row[j + 1];
            row[j + 1] = replace < shorter ? replace : shorter;
            if (longer < row[j + 1])
                row[j + 1] = longer;
        }
    }
    return row[n];
}

static const char *name_guess(const char *typed, bool is_option)
{
    const char *best = NULL;
    size_t least = strlen(typed) / 3 + 1;
    for (size_t i = 0; i < (is_option ? OPTION_COUNT : REPORT_COMMAND_COUNT); i++) {
        const char *name = is_option ? options[i].name : commands[i].name;
        size_t distance =
            strncmp(name, typed, strlen(typed)) == 0 && *typed ? 1 : name_distance(typed, name);
        if (distance <= least && (!best || distance < least)) {
            least = distance;
            best = name;
        }
    }
    return best;
}

struct parser {
    struct report_options *options;
    char *message;
    size_t message_bytes;
    const struct option *used[64];
    size_t used_count;
};

__attribute__((format(printf, 2, 3))) static int parser_fail(
    struct parser *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *clean = gm_name_copy(text, strlen(text));
    snprintf(p->message, p->message_bytes, "%s", clean ? clean : "wrong usage");
    free(clean);
    return -EINVAL;
}

static int parser_unknown(struct parser *p, const char *dashes, const char *name)
{
    const char *guess = *dashes == '-' && dashes[1] ? name_guess(name, true) : NULL;
    if (guess)
        return parser_fail(p, "unknown option %s%s; did you mean --%s?", dashes, name, guess);
    return parser_fail(p, "unknown option %s%s; geomem-report --help lists them", dashes, name);
}

static int parser_set(struct parser *p, const struct option *o, const char *value)
{
    if (p->used_count < sizeof p->used / sizeof *p->used)
        p->used[p->used_count++] = o;
    if (!o->set(p->options, value))
        return parser_fail(
            p, "--%s: cannot use '%s'; it takes %s (%s)", o->name, value, o->value, o->text);
    return 0;
}

/* --name, --name=value, --name value. Stores how many arguments it took. */
static int parser_long(struct parser *p, char **args, int *ret_taken)
{
    const char *name = args[0] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    *ret_taken = 1;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        if (strlen(o->name) != length || strncmp(o->name, name, length) != 0)
            continue;
        if (!o->value)
            return equals ? parser_fail(p, "--%s takes no value", o->name) : parser_set(p, o, NULL);
        if (!equals && !args[1])
            return parser_fail(p, "--%s needs a value: %s (%s)", o->name, o->value, o->text);
        *ret_taken = equals ? 1 : 2;
        return parser_set(p, o, equals ? equals + 1 : args[1]);
    }
    char *typed = strndup(name, length);
    int r = parser_unknown(p, "--", typed ? typed : name);
    free(typed);
    return r;
}

/* -a, -abc, -nVALUE, -n VALUE */
static int parser_short(struct parser *p, char **args, int *ret_taken)
{
    *ret_taken = 1;
    for (const char *c = args[0] + 1; *c; c++) {
        const struct option *o = NULL;
        for (size_t i = 0; i < OPTION_COUNT && !o; i++)
            if (options[i].letter == *c)
                o = &options[i];
        char letter[2] = {*c, 0};
        if (!o)
            return parser_unknown(p, "-", letter);
        if (o->value) {
            if (!c[1] && !args[1])
                return parser_fail(p, "-%c needs a value: %s (%s)", *c, o->value, o->text);
            *ret_taken = c[1] ? 1 : 2;
            return parser_set(p, o, c[1] ? c + 1 : args[1]);
        }
        int r = parser_set(p, o, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sorts the words that are no options: command, file, and what the command wants. */
static int parser_words(struct parser *p, char **words, size_t n)
{
    struct report_options *o = p->options;
    size_t next = 1;
    if (n == 0)
        return parser_fail(p, "no command given; try: geomem-report summary FILE, or --help");
    for (o->command = 0; o->command < REPORT_COMMAND_COUNT; o->command++)
        if (strcmp(words[0], commands[o->command].name) == 0)
            break;
    if (o->command == REPORT_COMMAND_COUNT) {
        const char *guess = name_guess(words[0], false);
        if (access(words[0], F_OK) == 0) { /* geomem-report FILE */
            o->command = REPORT_summary;
            next = 0;
        } else if (guess) {
            return parser_fail(p, "unknown command '%s'; did you mean %s?", words[0], guess);
        } else {
            return parser_fail(
                p, "unknown command '%s'; geomem-report --help lists them", words[0]);
        }
    }
    if (o->help)
        return 0;
    size_t wanted = next + (o->command == REPORT_site || o->command == REPORT_sql ? 2 : 1);
    if (n != wanted)
        return parser_fail(p, "%s: usage: geomem-report %s %s",
            n < wanted ? "argument missing" : "too many arguments", commands[o->command].name,
            commands[o->command].arguments);
    o->file = words[next];
    if (o->command == REPORT_sql)
        o->query = words[next + 1];
    uint64_t id = 0;
    if (o->command == REPORT_site) {
        bool first = count_parse(words[next], UINT32_MAX, &id);
        if (!first && !count_parse(words[next + 1], UINT32_MAX, &id))
            return parser_fail(
                p, "'%s' is no site number; geomem-report sites FILE lists them", words[next]);
        o->file = words[first ? next + 1 : next];
        o->site_id = (uint32_t)id;
    }
    return 0;
}

static int parser_check(struct parser *p)
{
    const struct report_options *o = p->options;
    for (size_t i = 0; i < p->used_count; i++)
        if (!(p->used[i]->commands & 1u << o->command))
            return parser_fail(p,
                "--%s does not apply to %s; geomem-report %s --help lists what does",
                p->used[i]->name, commands[o->command].name, commands[o->command].name);
    if (o->json && o->csv)
        return parser_fail(p, "--json and --csv exclude each other");
    if (o->top && o->all)
        return parser_fail(p, "--top and --all exclude each other");
    if ((o->from.set || o->to.set) && o->weight_set && o->weight == WEIGHT_PEAK)
        return parser_fail(p, "--weight=peak is one moment by itself; leave out --from and --to");
    return 0;
}

int report_options_parse(
    int argc, char **argv, struct report_options *ret_options, char *message, size_t message_bytes)
{
    struct report_options o = {.min_percent = -1};
    struct parser p = {.options = &o, .message = message, .message_bytes = message_bytes};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    size_t n = 0;
    bool literal = false;
    int r = words ? 0 : -ENOMEM;
    for (int i = 1, taken = 1; r == 0 && i < argc; i += taken) {
        taken = 1;
        if (literal || argv[i][0] != '-' || !argv[i][1])
            words[n++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            literal = true;
        else if (argv[i][1] == '-')
            r = parser_long(&p, argv + i, &taken);
        else
            r = parser_short(&p, argv + i, &taken);
    }
    if (r == 0 && n == 0 && (o.help || o.version))
        o.command = REPORT_COMMAND_COUNT;
    else if (r == 0)
        r = parser_words(&p, words, n);
    if (r == 0 && o.command != REPORT_COMMAND_COUNT && !o.help)
        r = parser_check(&p);
    free(words);
    if (r == 0)
        *ret_options = o;
    return r;
}

static void help_option(FILE *file, const struct option *o)
{
    char left[64];
    if (o->letter)
        snprintf(left, sizeof left, "-%c, --%s%s%s", o->letter, o->name, o->value ? "=" : "",
            o->value ? o->value : "");
    else
        snprintf(left, sizeof left, "    --%s%s%s", o->name, o->value ? "=" : "",
            o->value ? o->value : "");
    fprintf(file, "  %-23s %s\n", left, o->text);
}

void report_options_help(FILE *file, enum report_command command)
{
    bool one = command != REPORT_COMMAND_COUNT;
    if (one) {
        fprintf(file, "usage: geomem-report %s [OPTION...] %s\n%s.\n", commands[command].name,
            commands[command].arguments, commands[command].text);
    } else {
        fputs("usage: geomem-report COMMAND [OPTION...] FILE\nReports what a recording of "
              "geomem-record holds.\n\n"
              "  geomem-report summary demo.geomem           one page\n"
              "  geomem-report leaks demo.geomem             what is still live, and from where\n"
              "  geomem-report flame demo.geomem | flamegraph.pl > demo.svg\n\ncommands:\n",
            file);
        for (size_t i = 0; i < REPORT_COMMAND_COUNT; i++)
            fprintf(file, "  %-11s %-11s %s\n", commands[i].name, commands[i].arguments,
                commands[i].text);
    }
    fputs("\noptions:\n", file);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (!one || options[i].commands & 1u << command)
            help_option(file, &options[i]);
    fputs("\nexit status: 0 done; 1 findings (--fail-on), or check found something missing;\n"
          "2 wrong usage; 3 the recording cannot be read\n",
        file);
}
