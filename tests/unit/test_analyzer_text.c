/* What the analyzer shows: figures, names, commands, and the line of interest of a stack. */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/command.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/names.h"
#include "analyzer/core/where.h"

static char figure[GM_FIGURE_BYTES];

Test(figures, bytes_change_their_unit_where_three_digits_end)
{
    cr_expect_str_eq(gm_figure_bytes(figure, 0), "0 B");
    cr_expect_str_eq(gm_figure_bytes(figure, 999), "999 B");
    cr_expect_str_eq(gm_figure_bytes(figure, 1000), "1.0 kB");
    cr_expect_str_eq(gm_figure_bytes(figure, 99949), "99.9 kB");
    cr_expect_str_eq(gm_figure_bytes(figure, 999499), "999 kB");
    cr_expect_str_eq(gm_figure_bytes(figure, 999500), "1.0 MB");
    cr_expect_str_eq(gm_figure_bytes(figure, 4044800), "4.0 MB");
    cr_expect_str_eq(gm_figure_bytes(figure, UINT64_MAX), "18.4 EB");
    cr_expect_str_eq(gm_figure_binary(figure, 65536), "64 KiB");
    cr_expect_str_eq(gm_figure_binary(figure, 1), "1 B");
    cr_expect_str_eq(gm_figure_binary(figure, 65537), "65.5 kB");
    cr_expect_str_eq(gm_figure_binary(figure, (uint64_t)1 << 63), "8 EiB");
}

Test(figures, short_ones_fit_five_columns)
{
    for (uint64_t v = 1; v < UINT64_MAX / 11; v = v * 11 + v / 7)
        cr_expect_leq(strlen(gm_figure_short(figure, v)), 5, "%s", figure);
    cr_expect_str_eq(gm_figure_short(figure, 46600000), "46.6M");
    cr_expect_str_eq(gm_figure_short(figure, 999), "999");
}

Test(figures, counts_are_parted_by_thousands)
{
    cr_expect_str_eq(gm_figure_count(figure, 0), "0");
    cr_expect_str_eq(gm_figure_count(figure, 123), "123");
    cr_expect_str_eq(gm_figure_count(figure, 1234567), "1,234,567");
    cr_expect_str_eq(gm_figure_count(figure, UINT64_MAX), "18,446,744,073,709,551,615");
}

Test(figures, changes_have_a_sign)
{
    cr_expect_str_eq(gm_figure_change(figure, 0), "0");
    cr_expect_str_eq(gm_figure_change(figure, -0.2), "0");
    cr_expect_str_eq(gm_figure_change(figure, 1.2e6), "+1.2 MB");
    cr_expect_str_eq(gm_figure_change(figure, -812), "-812 B");
    cr_expect_str_eq(gm_figure_change(figure, 1e30), "+18.4 EB");
}

Test(figures, times_read_as_people_say_them)
{
    static const struct {
        int64_t ns;
        const char *text;
    } times[] = {{-5, "0 s"}, {0, "0 s"}, {812, "812 ns"}, {1530000, "1.53 ms"},
        {999600, "1.00 ms"}, {12400000000, "12.4 s"}, {99949999999, "99.9 s"},
        {99950000000, "1m39s"}, {1062000000000, "17m42s"}, {11100000000000, "3h05m"},
        {187200000000000, "2d04h"}, {INT64_MAX, "106751d23h"}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        cr_expect_str_eq(gm_figure_time(figure, times[i].ns), times[i].text, "%s", figure);
}

Test(figures, percent_never_rounds_to_all_or_nothing)
{
    cr_expect_str_eq(gm_figure_percent(figure, 1, 0), "-");
    cr_expect_str_eq(gm_figure_percent(figure, 0, 5), "0.0%");
    cr_expect_str_eq(gm_figure_percent(figure, 1, 1e6), "<0.1%");
    cr_expect_str_eq(gm_figure_percent(figure, 999999, 1e6), ">99.9%");
    cr_expect_str_eq(gm_figure_percent(figure, 5, 5), "100%");
    cr_expect_str_eq(gm_figure_percent(figure, 31, 1000), "3.1%");
}

Test(names, widths_and_cuts_count_columns)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    cr_expect_eq(gm_name_width("abc"), 3);
    cr_expect_eq(gm_name_width("\u6f22\u5b57"), 4);
    cr_expect_eq(gm_name_width("e\u0301"), 1);
    cr_expect_eq(gm_name_prefix("\u6f22\u5b57", 3), 3);
    cr_expect_eq(gm_name_prefix("abc", 2), 2);
    cr_expect_eq(gm_name_prefix("abc", 9), 3);
}

Test(names, match_takes_parts_and_globs)
{
    cr_expect(gm_name_match("foo", "libfoo.so.1"));
    cr_expect_not(gm_name_match("foo", NULL));
    cr_expect_not(gm_name_match("fooo", "libfoo.so"));
    cr_expect(gm_name_match("lib*.so.?", "libfoo.so.1"));
    cr_expect_not(gm_name_match("foo*", "libfoo.so.1"));
    cr_expect_str_eq(gm_name_base("/usr/lib/libc.so.6"), "libc.so.6");
    cr_expect_str_eq(gm_name_base("/"), "/");
}

static void expect_command(const char *json, const char *text)
{
    char *got = gm_command_text(json);
    cr_expect_str_eq(got, text, "%s: %s", json, got);
    free(got);
}

Test(command, reads_as_typed_into_a_shell)
{
    expect_command("[\"demo\",\"--serve\",\"two words\",\"\"]", "demo --serve 'two words' ''");
    expect_command("[\"echo\",\"it's\"]", "echo 'it'\\''s'");
    expect_command("[\"a\\u001b[2J\"]", "'a\\x1b[2J'");
    expect_command("[]", "");
    expect_command("no json", "no json");
    expect_command("[1]", "[1]");
}

static const char *shorten(const char *function)
{
    static char text[256];
    return gm_function_short(function, text, sizeof text);
}

Test(where, functions_lose_parameters_and_template_arguments)
{
    cr_expect_str_eq(shorten("main"), "main");
    cr_expect_str_eq(
        shorten("std::map<int, std::less<int> >::insert(int const&)"), "std::map<>::insert");
    cr_expect_str_eq(shorten("(anonymous namespace)::run(int)"), "(anonymous namespace)::run");
    cr_expect_str_eq(shorten("operator new(unsigned long)"), "operator new");
    cr_expect_str_eq(shorten("libfoo.so.1+0x10a0"), "libfoo.so.1+0x10a0");
}

static struct gm_frame frame(const char *function, const char *module)
{
    return (struct gm_frame){.function = function, .module = module, .named = true};
}

Test(where, the_innermost_line_that_is_no_library_is_shown)
{
    struct gm_frame v[] = {frame("malloc", "/lib/libc.so.6"), frame("xmalloc", "/bin/p"),
        frame("std::vector<int>::push_back(int const&)", "/bin/p"), frame("session_new", "/bin/p"),
        frame("main", "/bin/p"), frame("__libc_start_main", "/lib/libc.so.6")};
    struct gm_stack stack = {v, 6, false};
    char text[128];
    cr_expect_eq(gm_where_index(&stack), 3);
    v[3].file = "/src/session.c";
    v[3].line = 19;
    cr_expect_str_eq(gm_where_text(&stack, text, sizeof text), "session_new session.c:19");
}

Test(where, a_runtime_is_better_than_the_allocator_and_worse_than_an_extension)
{
    struct gm_frame v[] = {frame("PyMem_Malloc", "/usr/bin/python3.11"),
        frame("PyDict_New", "/usr/bin/python3.11"), frame("load", "/usr/lib/python3/_json.so")};
    struct gm_stack stack = {v, 2, false};
    cr_expect_eq(gm_where_index(&stack), 1);
    stack.n = 3;
    cr_expect_eq(gm_where_index(&stack), 2);
}

Test(where, a_stack_without_frames_or_without_better_ones_is_shown_too)
{
    struct gm_frame v[] = {frame("malloc", "/lib/libc.so.6")};
    struct gm_stack stack = {v, 1, false}, empty = {0};
    char text[128];
    cr_expect_eq(gm_where_index(&stack), 0);
    cr_expect_str_eq(gm_where_text(&empty, text, sizeof text), "[no stack]");
}
