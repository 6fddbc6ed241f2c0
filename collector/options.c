/* options.c - see options.h. A new option is a line in the table and a handler of a few lines. */
#include "collector/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/text.h"

#define MAX_RINGS \
    1024u /* a session's headers and rings stay a fraction of the target's memory; arbitrary */
#define MIN_DEPTH 2u        /* a leaf and a root */
#define MAX_DEPTH 65536u    /* arbitrary */
#define MIN_RING (4u << 10) /* wire limits, see session.h */
#define MAX_RING (1024u << 20)
#define MIN_SAMPLE (1ull << GM_SAMPLE_LOG2_MIN)
#define MAX_SAMPLE (1ull << GM_SAMPLE_LOG2_MAX)
#define DEFAULT_SAMPLE (512u << 10) /* where --budget begins */
#define MIN_BUDGET 0.1
#define MAX_BUDGET 100.0

/* What a handler is given: the options to fill, the value, where the reason of a refusal goes. A
 * handler returns 0 or -EINVAL; the reason it writes completes "--name=value: ...". */
struct option_value {
    struct gm_record_options *o;
    const char *text;
    char *reason;
    size_t reason_bytes;
};

static int refuse(const struct option_value *v, const char *reason)
{
    snprintf(v->reason, v->reason_bytes, "%s", reason);
    return -EINVAL;
}

int gm_options_size(const char *text, uint64_t *ret_bytes)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end) {
        const char *units = "kKmMgG", *unit = strchr(units, *end);
        if (!unit)
            return -EINVAL;
        shift = 10u * (unsigned)((unit - units) / 2 + 1);
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
            end += strlen(end);
    }
    if (*end || errno == ERANGE || value > UINT64_MAX >> shift)
        return -EINVAL;
    *ret_bytes = (uint64_t)value << shift;
    return 0;
}

static int number_parse(
    const struct option_value *v, uint32_t low, uint32_t high, uint32_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(v->text, &end, 10);
    if (*v->text < '0' || *v->text > '9' || *end || errno == ERANGE || value < low ||
        value > high) {
        snprintf(v->reason, v->reason_bytes, "wants a number from %u to %u", low, high);
        return -EINVAL;
    }
    *ret_value = (uint32_t)value;
    return 0;
}

static int set_output(const struct option_value *v)
{
    if (!*v->text)
        return refuse(v, "wants the name of a file");
    v->o->output = v->text;
    return 0;
}
static int set_force(const struct option_value *v)
{
    v->o->force = true;
    return 0;
}
static int set_no_follow(const struct option_value *v)
{
    v->o->follow = false;
    return 0;
}
static int set_on_full(const struct option_value *v)
{
    if (strcmp(v->text, "wait") != 0 && strcmp(v->text, "drop") != 0)
        return refuse(v, "wants wait or drop");
    v->o->drop_on_full = *v->text == 'd';
    return 0;
}
static int set_events(const struct option_value *v)
{
    if (strcmp(v->text, "folded") != 0 && strcmp(v->text, "all") != 0)
        return refuse(v, "wants folded or all");
    v->o->events_all = *v->text == 'a';
    return 0;
}
static int set_unwind(const struct option_value *v)
{
    if (strcmp(v->text, "cfi") == 0)
        v->o->unwinder = GM_UNWIND_CFI;
    else if (strcmp(v->text, "libunwind") == 0)
        v->o->unwinder = GM_UNWIND_LIBUNWIND;
    else if (strcmp(v->text, "fp") == 0)
        v->o->unwinder = GM_UNWIND_FP;
    else
        return refuse(v, "wants cfi, libunwind or fp");
    return 0;
}
static int set_verify(const struct option_value *v)
{
    v->o->verify = true;
    return 0;
}
static int set_max_depth(const struct option_value *v)
{
    return number_parse(v, MIN_DEPTH, MAX_DEPTH, &v->o->max_depth);
}
static int set_ring_size(const struct option_value *v)
{
    uint64_t bytes = 0;
    if (gm_options_size(v->text, &bytes) < 0 || bytes < MIN_RING || bytes > MAX_RING)
        return refuse(v, "wants a size from 4K to 1G, e.g. 4M");
    v->o->ring_bytes = bytes;
    return 0;
}
static int set_rings(const struct option_value *v)
{
    return number_parse(v, 1, MAX_RINGS, &v->o->rings);
}
/* Powers of two only: a live block keeps the interval's logarithm. */
static int set_sample(const struct option_value *v)
{
    uint64_t bytes = 0;
    if (gm_options_size(v->text, &bytes) < 0 || bytes < MIN_SAMPLE || bytes > MAX_SAMPLE ||
        (bytes & (bytes - 1)) != 0)
        return refuse(v, "wants a power of two from 64 to 1G, e.g. 512K");
    v->o->sample_bytes = bytes;
    return 0;
}
static int set_sample_seed(const struct option_value *v)
{
    char *end;
    errno = 0;
    v->o->sample_seed = strtoull(v->text, &end, 10);
    if (*v->text < '0' || *v->text > '9' || *end || errno == ERANGE)
        return refuse(v, "wants a number");
    v->o->has_sample_seed = true;
    return 0;
}
static int set_budget(const struct option_value *v)
{
    char *end;
    double percent = strtod(v->text, &end);
    bool digits = *v->text >= '0' && *v->text <= '9';
    if (!digits || strcmp(end, "%") != 0 || !(percent >= MIN_BUDGET && percent <= MAX_BUDGET))
        return refuse(v, "wants a share of the program's CPU time from 0.1% to 100%, e.g. 2%");
    v->o->sample_budget = percent / 100;
    return 0;
}
static int set_no_symbols(const struct option_value *v)
{
    v->o->symbols = false;
    return 0;
}
static int set_quiet(const struct option_value *v)
{
    v->o->quiet = true;
    return 0;
}
static int set_verbose(const struct option_value *v)
{
    v->o->verbose = true;
    return 0;
}
static int set_subject(const struct option_value *v, enum gm_record_mode mode)
{
    if (!*v->text)
        return refuse(v, "wants the name of a recording");
    if (v->o->subject)
        return refuse(v, "can be given once, and not with another file to work on");
    v->o->mode = mode;
    v->o->subject = v->text;
    return 0;
}
static int set_symbolize(const struct option_value *v)
{
    return set_subject(v, GM_MODE_SYMBOLIZE);
}
static int set_migrate(const struct option_value *v)
{
    return set_subject(v, GM_MODE_MIGRATE);
}
static int set_sysroot(const struct option_value *v)
{
    v->o->sysroot = v->text;
    return 0;
}
static int set_debug_dir(const struct option_value *v)
{
    if (v->o->debug_dir_count == GM_MAX_DEBUG_DIRS)
        return refuse(v, "was given too often");
    v->o->debug_dirs[v->o->debug_dir_count++] = v->text;
    return 0;
}
static int set_version(const struct option_value *v)
{
    v->o->mode = GM_MODE_VERSION;
    return 0;
}
static int set_help(const struct option_value *v)
{
    v->o->mode = GM_MODE_HELP;
    return 0;
}

static const struct option {
    struct gm_option_info info;
    int (*set)(const struct option_value *v);
} table[] = {
    {{"output", "FILE", "recording to write (default: PROGRAM.PID.geomem)", 'o'}, set_output},
    {{"force", NULL, "overwrite the recording if it exists", 'f'}, set_force},
    {{"no-follow", NULL, "leave forked children and executed programs alone", 0}, set_no_follow},
    {{"on-full", "wait|drop",
         "when events come faster than they are stored\n"
         "(default: wait, up to 2 s, then drop and count)",
         0},
        set_on_full},
    {{"events", "folded|all",
         "all: keep every event by itself too, for geomem-report\n"
         "events and gm_events in SQL (default: folded)",
         0},
        set_events},
    {{"unwind", "cfi|libunwind|fp", "how stacks are captured (default: cfi)", 0}, set_unwind},
    {{"max-depth", "N", "frames kept of one stack (default: 512)", 0}, set_max_depth},
    {{"verify", NULL, "capture each stack twice and count differences (slow)", 0}, set_verify},
    {{"sample", "SIZE",
         "record one block per SIZE bytes allocated, e.g. 512K,\n"
         "and estimate the rest (default: every block)",
         0},
        set_sample},
    {{"budget", "PERCENT", "sample as often as this share of CPU allows, e.g. 2%", 0}, set_budget},
    {{"sample-seed", "N", "sample by these random numbers, to repeat a recording", 0},
        set_sample_seed},
    {{"ring-size", "SIZE", "buffer per thread, e.g. 4M", 0}, set_ring_size},
    {{"rings", "N", "threads that have a buffer of their own", 0}, set_rings},
    {{"no-symbols", NULL, "store addresses only; geomem-report symbolize names them", 0},
        set_no_symbols},
    {{"quiet", NULL, "no progress and no closing lines; what was lost is said", 'q'}, set_quiet},
    {{"verbose", NULL, "also what the recorder itself used", 'v'}, set_verbose},
    {{"symbolize", "FILE", "name the frames of a finished recording and end", 0}, set_symbolize},
    {{"sysroot", "DIR", "look for programs and libraries below DIR first", 0}, set_sysroot},
    {{"debug-dir", "DIR", "look for separate debug files in DIR too (repeatable)", 0},
        set_debug_dir},
    {{"migrate", "FILE", "write a copy of an older recording to -o NEW and end", 0}, set_migrate},
    {{"version", NULL, "versions of geomem and of the libraries it uses", 0}, set_version},
    {{"help", NULL, "this text", 'h'}, set_help},
};
#define TABLE_ROWS (sizeof table / sizeof *table)

const struct gm_option_info *gm_options_info(size_t i)
{
    return i < TABLE_ROWS ? &table[i].info : NULL;
}

/* ---- parsing
 * -------------------------------------------------------------------------------------------- */

static const struct option *option_by_letter(char letter)
{
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        if (table[i].info.letter == letter)
            return &table[i];
    }
    return NULL;
}

static const struct option *option_by_name(const char *name, size_t bytes)
{
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        if (strlen(table[i].info.name) == bytes && memcmp(table[i].info.name, name, bytes) == 0)
            return &table[i];
    }
    return NULL;
}

/* Edits that turn a into b (Levenshtein), for "did you mean". Names are short. */
static unsigned name_distance(const char *a, size_t a_bytes, const char *b)
{
    unsigned row[64];
    size_t n = strlen(b);
    if (n >= sizeof row / sizeof *row)
        return UINT32_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; i < a_bytes; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 1; j <= n; j++) {
            unsigned change = diagonal + (a[i] != b[j - 1]), above = row[j] + 1,
                     left = row[j - 1] + 1;
            diagonal = row[j];
            row[j] =
                change < above ? (change < left ? change : left) : (above < left ? above : left);
        }
    }
    return row[n];
}

static const char *nearest_name(const char *name, size_t bytes)
{
    const char *best = NULL;
    unsigned best_distance = 3; /* further away it is a guess; arbitrary */
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        unsigned distance = name_distance(name, bytes, table[i].info.name);
        if (distance < best_distance) {
            best_distance = distance;
            best = table[i].info.name;
        }
    }
    return best;
}

struct parser {
    int argc, next; /* next: the first word not looked at yet */
    char **argv;
    struct gm_record_options *o;
    char *message;
    size_t message_bytes;
};

static int unknown_option(struct parser *p, const char *word, size_t name_bytes)
{
    char shown[160];
    gm_text_clean(word, shown, sizeof shown);
    const char *near = word[1] == '-' ? nearest_name(word + 2, name_bytes) : NULL;
    if (near)
        snprintf(
            p->message, p->message_bytes, "unknown option %s; did you mean --%s?", shown, near);
    else
        snprintf(
            p->message, p->message_bytes, "unknown option %s; see geomem-record --help", shown);
    return -EINVAL;
}

static int option_apply(struct parser *p, const struct option *option, const char *value)
{
    char reason[200], shown[120];
    struct option_value v = {p->o, value, reason, sizeof reason};
    if (option->set(&v) == 0)
        return 0;
    snprintf(p->message, p->message_bytes, "--%s=%s: %s", option->info.name,
        gm_text_clean(value, shown, sizeof shown), reason);
    return -EINVAL;
}

static int value_missing(struct parser *p, const struct option *option)
{
    snprintf(p->message, p->message_bytes, "option --%s wants a value: --%s=%s", option->info.name,
        option->info.name, option->info.argument);
    return -EINVAL;
}

static int long_option(struct parser *p, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '='), *value = NULL;
    size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *option = option_by_name(name, bytes);
    if (!option)
        return unknown_option(p, word, bytes);
    if (!option->info.argument && equals) {
        snprintf(p->message, p->message_bytes,
            "option --%s takes no value; leave out what follows it", option->info.name);
        return -EINVAL;
    }
    if (option->info.argument) {
        value = equals ? equals + 1 : p->next < p->argc ? p->argv[p->next++] : NULL;
        if (!value)
            return value_missing(p, option);
    }
    return option_apply(p, option, value);
}

/* -q, -qf, -oFILE, -o FILE */
static int short_options(struct parser *p, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct option *option = option_by_letter(*letter);
        const char *value = NULL;
        if (!option)
            return unknown_option(p, word, 0);
        if (option->info.argument) {
            value = letter[1] ? letter + 1 : p->next < p->argc ? p->argv[p->next++] : NULL;
            if (!value)
                return value_missing(p, option);
        }
        int r = option_apply(p, option, value);
        if (r < 0 || option->info.argument)
            return r;
    }
    return 0;
}

static int whole_check(struct parser *p)
{
    const char *wrong = NULL;
    const struct gm_record_options *o = p->o;
    if (o->mode == GM_MODE_RECORD && !o->program)
        wrong = "no program to record; say geomem-record [options] -- PROGRAM ARGS";
    else if (o->mode == GM_MODE_RECORD && !*o->program[0])
        wrong = "the program's name is empty; say geomem-record [options] -- PROGRAM ARGS";
    else if ((o->mode == GM_MODE_SYMBOLIZE || o->mode == GM_MODE_MIGRATE) && o->program)
        wrong = "--symbolize and --migrate work on a file; leave out the program";
    else if (o->mode == GM_MODE_MIGRATE && !o->output)
        wrong = "--migrate wants the name of the new file: -o NEW";
    else if (o->events_all && (o->sample_bytes || o->sample_budget > 0))
        wrong = "--events=all keeps every event and --sample leaves most out; choose one of them";
    else if (o->has_sample_seed && !o->sample_bytes && !o->sample_budget)
        wrong = "--sample-seed is for sampled recordings; say --sample=512K too";
    if (!wrong)
        return 0;
    snprintf(p->message, p->message_bytes, "%s", wrong);
    return -EINVAL;
}

int gm_options_parse(int argc, char **argv, struct gm_record_options *ret_options, char *message,
    size_t message_bytes)
{
    struct gm_record_options o = {
        .mode = GM_MODE_RECORD, .follow = true, .symbols = true, .unwinder = GM_UNWIND_CFI};
    struct parser p = {argc, 1, argv, &o, message, message_bytes};
    int r = 0;
    while (r == 0 && p.next < argc && argv[p.next][0] == '-' && argv[p.next][1]) {
        const char *word = argv[p.next++];
        if (strcmp(word, "--") == 0)
            break;
        r = word[1] == '-' ? long_option(&p, word) : short_options(&p, word);
        if (o.mode == GM_MODE_HELP || o.mode == GM_MODE_VERSION)
            break;
    }
    if (p.next < argc)
        o.program = argv + p.next;
    if (r == 0)
        r = whole_check(&p);
    if (r == 0 && o.sample_budget > 0 && !o.sample_bytes)
        o.sample_bytes = DEFAULT_SAMPLE;
    if (r == 0)
        *ret_options = o;
    return r;
}

/* ---- help
 * -----------------------------------------------------------------------------------------------
 */

#define HELP_COLUMN 32

static size_t help_line(char *out, size_t room, const struct gm_option_info *info)
{
    char head[64];
    int n = info->letter ? snprintf(head, sizeof head, "  -%c, --%s", info->letter, info->name)
                         : snprintf(head, sizeof head, "      --%s", info->name);
    if (info->argument)
        snprintf(head + n, sizeof head - (size_t)n, "=%s", info->argument);
    size_t used = (size_t)snprintf(out, room, "%-*s ", HELP_COLUMN - 1, head);
    for (const char *text = info->text; *text && used + HELP_COLUMN + 2 < room; text++) {
        out[used++] = *text;
        if (*text == '\n')
            used += (size_t)snprintf(out + used, room - used, "%*s", HELP_COLUMN, "");
    }
    used += (size_t)snprintf(out + used, room - used, "\n");
    return used;
}

void gm_options_help(char *out, size_t room)
{
    size_t used = (size_t)snprintf(out, room,
        "Usage: geomem-record [options] [-o FILE] -- PROGRAM ARGS...\n"
        "Records every allocation of a program and of the processes it starts.\n\n"
        "Examples:\n"
        "  geomem-record -- ./server --port 80        writes server.PID.geomem\n"
        "  geomem-record -o run.geomem -- make -j2    all processes in one recording\n"
        "  geomem-report leaks run.geomem             what to do next\n"
        "  geomem-top run.geomem                      also while the program runs\n\n"
        "Options:\n");
    for (size_t i = 0; i < TABLE_ROWS && used + 200 < room; i++)
        used += help_line(out + used, room - used, &table[i].info);
    snprintf(out + used, room - used,
        "\nCtrl-C goes to the program; a second one within 5 s ends recording, the program runs "
        "on.\n"
        "Exit status: the program's (128+n for a signal); 2 usage; 3 the file of --symbolize or\n"
        "--migrate cannot be read; 4 nothing was started: no program, or no file to record "
        "into.\n");
}
