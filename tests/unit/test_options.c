/* The command line of geomem-record. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/options.h"

static struct gm_record_options o;
static char message[512];

/* Splits at blanks and parses; "_" stands for an empty word. */
static int parse(const char *line)
{
    static char words[512], *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "geomem-record %s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "_") == 0 ? word + 1 : word;
    argv[argc] = NULL;
    memset(&o, 0, sizeof o);
    message[0] = 0;
    return gm_options_parse(argc, argv, &o, message, sizeof message);
}

Test(options, defaults_and_the_program)
{
    cr_assert_eq(parse("-- prog -o x"), 0);
    cr_expect(o.follow && o.symbols && !o.force && !o.quiet && !o.drop_on_full && !o.events_all);
    cr_expect_eq(o.unwinder, GM_UNWIND_CFI);
    cr_expect_str_eq(o.program[0], "prog");
    cr_expect_str_eq(o.program[1], "-o", "what follows the program is its own");
    cr_expect_null(o.program[3]);
}

Test(options, sampling_wants_a_power_of_two_and_a_share)
{
    cr_assert_eq(parse("--sample=512k --sample-seed 7 p"), 0, "%s", message);
    cr_expect(o.sample_bytes == 512u << 10 && o.has_sample_seed && o.sample_seed == 7);
    cr_expect_eq(o.sample_budget, 0);
    cr_assert_eq(parse("--budget=2% p"), 0, "%s", message);
    cr_expect(o.sample_budget == 0.02 && o.sample_bytes == 512u << 10);
    cr_assert_eq(parse("--budget 0.5% --sample=64 p"), 0, "%s", message);
    cr_expect(o.sample_budget == 0.005 && o.sample_bytes == 64);
    static const char *const wrong[] = {"--sample=500000 p", "--sample=32 p", "--sample=2G p",
        "--sample=0 p", "--sample= p", "--budget=2 p", "--budget=0% p", "--budget=101% p",
        "--budget=nan% p", "--budget=-1% p", "--sample-seed=1 p", "--sample=1K --sample-seed=x p",
        "--sample=1K --events=all p"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(parse(wrong[i]), -EINVAL, "%s", wrong[i]);
}

Test(options, all_forms_of_a_value)
{
    const char *const forms[] = {
        "-o x prog", "-ox prog", "--output x prog", "--output=x prog", "-fo x prog"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        cr_assert_eq(parse(forms[i]), 0, "%s: %s", forms[i], message);
        cr_expect_str_eq(o.output, "x", "%s", forms[i]);
        cr_expect_str_eq(o.program[0], "prog", "%s", forms[i]);
    }
    cr_assert_eq(
        parse(
            "-fqv --no-follow --on-full=drop --unwind fp --verify --max-depth=64 --ring-size=2M "
            "--rings=7 --events=all --no-symbols --sysroot=/s --debug-dir=/a --debug-dir /b -- p"),
        0, "%s", message);
    cr_expect(o.force && o.quiet && o.verbose && !o.follow && o.drop_on_full && o.verify &&
              !o.symbols && o.events_all);
    cr_expect_eq(o.unwinder, GM_UNWIND_FP);
    cr_expect_eq(o.max_depth, 64);
    cr_expect_eq(o.ring_bytes, 2u << 20);
    cr_expect_eq(o.rings, 7);
    cr_expect_str_eq(o.sysroot, "/s");
    cr_expect_eq(o.debug_dir_count, 2);
    cr_expect_str_eq(o.debug_dirs[1], "/b");
}

Test(options, other_modes)
{
    cr_assert_eq(parse("--symbolize f.geomem"), 0);
    cr_expect(o.mode == GM_MODE_SYMBOLIZE && !strcmp(o.subject, "f.geomem"));
    cr_assert_eq(parse("--migrate=a -o b"), 0);
    cr_expect(o.mode == GM_MODE_MIGRATE && !strcmp(o.output, "b"));
    cr_assert_eq(parse("-h"), 0);
    cr_expect_eq(o.mode, GM_MODE_HELP);
    cr_assert_eq(parse("--version --nonsense"), 0, "nothing after it matters");
    cr_expect_eq(o.mode, GM_MODE_VERSION);
}

Test(options, what_is_wrong_is_named)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"", "no program"},
        {"--", "no program"},
        {"-o x", "no program"},
        {"-- _", "empty"},
        {"-o", "--output"},
        {"--output", "--output=FILE"},
        {"-Z p", "-Z"},
        {"--frob p", "--frob"},
        {"--quite p", "--quiet"},
        {"--forse=1 p", "--force"},
        {"--force=yes p", "takes no value"},
        {"--on-full=perhaps p", "perhaps"},
        {"--events=some p", "folded or all"},
        {"--unwind= p", "cfi"},
        {"--max-depth=1 p", "from 2"},
        {"--max-depth=x p", "x"},
        {"--rings=-1 p", "from 1"},
        {"--rings=99999999999999999999 p", "from 1"},
        {"--ring-size=1K p", "4K"},
        {"--ring-size=2T p", "4K"},
        {"--ring-size=-4M p", "4K"},
        {"--symbolize=a --migrate=b", "once"},
        {"--symbolize=a p", "leave out"},
        {"--migrate=a", "-o"},
        {"--output= p", "name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(parse(cases[i].line), -EINVAL, "%s", cases[i].line);
        cr_expect(strstr(message, cases[i].part), "%s: %s", cases[i].line, message);
        cr_expect(!strchr(message, '\n'), "one line: %s", message);
    }
}

Test(options, sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0}, {"512", 512}, {"4k", 4096}, {"4K", 4096}, {"4KiB", 4096},
        {"3M", 3u << 20}, {"1G", 1u << 30}, {"17179869183G", 17179869183ull << 30}};
    static const char *const bad[] = {
        "", "K", "-1", "+1", " 1", "1.5M", "1MM", "1X", "17179869184G", "99999999999999999999"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect_eq(gm_options_size(good[i].text, &bytes), 0, "%s", good[i].text);
        cr_expect_eq(bytes, good[i].bytes, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(gm_options_size(bad[i], &bytes), -EINVAL, "%s", bad[i]);
}

Test(options, help_names_every_option_within_88_columns)
{
    char text[8192];
    gm_options_help(text, sizeof text);
    const struct gm_option_info *info;
    for (size_t i = 0; (info = gm_options_info(i)); i++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", info->name);
        cr_expect(strstr(text, name), "%s", name);
    }
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        cr_expect_leq(strlen(line), 88, "%s", line);
}
