/* The screen's cells: what may be drawn, and where it is cut. */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tui/chart.h"
#include "tui/figures.h"
#include "tui/grid.h"

static struct gm_grid grid;
static char row[4096];

static void setup(void)
{
    cr_assert(setlocale(LC_ALL, "C.UTF-8"), "the tests need the locale C.UTF-8");
    grid = (struct gm_grid){.unicode = true};
    cr_assert_eq(gm_grid_resize(&grid, 20, 4), 0);
}

static void teardown(void)
{
    gm_grid_done(&grid);
}

static const char *drawn(const char *text)
{
    gm_grid_clear(&grid);
    gm_grid_text(&grid, 0, 0, 20, GM_STYLE_NORMAL, text);
    return gm_grid_row(&grid, 0, row, sizeof row);
}

TestSuite(grid, .init = setup, .fini = teardown);

Test(grid, plain_text_is_drawn_as_it_is)
{
    cr_assert_str_eq(drawn("main server.c:210"), "main server.c:210");
    cr_assert_str_eq(drawn(NULL), "");
}

Test(grid, control_characters_never_reach_a_cell)
{
    cr_assert_str_eq(drawn("a\033[31mb\nc\td\177e"), "a?[31mb?c?d?e");
    cr_assert_str_eq(drawn("a\xc2\x9b"
                           "1mb"),
        "a?1mb", "C1 controls work like ESC [");
}

Test(grid, text_that_changes_direction_or_hides_is_replaced)
{
    cr_assert_str_eq(drawn("a\xe2\x80\xae"
                           "b"),
        "a?b", "right-to-left override");
    cr_assert_str_eq(drawn("a\xef\xbb\xbf"
                           "b"),
        "a?b", "zero width no-break space");
}

Test(grid, invalid_utf8_becomes_one_mark_a_byte)
{
    cr_assert_str_eq(drawn("a\xff\xfe"
                           "b"),
        "a??b");
    cr_assert_str_eq(drawn("a\xc0\xaf"
                           "b"),
        "a??b", "an overlong slash is no slash");
    cr_assert_str_eq(drawn("a\xe2\x82"), "a??", "cut in the middle");
}

Test(grid, wide_characters_take_two_cells_and_are_not_cut_in_half)
{
    cr_assert_str_eq(drawn("\xe4\xb8\xad"
                           "x"),
        "\xe4\xb8\xad"
        "x");
    cr_assert_eq(grid.cells[1].ch, 0);
    cr_assert_eq(grid.cells[2].ch, 'x');
    gm_grid_clear(&grid);
    cr_assert_eq(gm_grid_text(&grid, 0, 0, 1, GM_STYLE_NORMAL, "\xe4\xb8\xad"), 0);
    cr_assert_eq(gm_grid_columns("\xe4\xb8\xad"
                                 "x"),
        3);
}

Test(grid, without_unicode_everything_beyond_ascii_is_a_question_mark)
{
    grid.unicode = false;
    cr_assert_str_eq(drawn("na\xc3\xafve"), "na?ve");
}

Test(grid, a_cut_is_marked_and_stays_inside)
{
    gm_grid_text_cut(&grid, 15, 0, 20, GM_STYLE_NORMAL, "session_new");
    cr_assert_str_eq(gm_grid_row(&grid, 0, row, sizeof row), "               sess\xe2\x80\xa6");
    gm_grid_text_cut(&grid, 19, 1, 40, GM_STYLE_NORMAL, "ab");
    cr_assert_str_eq(gm_grid_row(&grid, 1, row, sizeof row), "                   \xe2\x80\xa6");
}

Test(grid, drawing_outside_changes_nothing)
{
    gm_grid_text(&grid, -3, 0, 20, GM_STYLE_NORMAL, "abcdef");
    gm_grid_text(&grid, 0, -1, 20, GM_STYLE_NORMAL, "abc");
    gm_grid_text(&grid, 0, 4, 20, GM_STYLE_NORMAL, "abc");
    gm_grid_fill(&grid, 18, 1, 99, GM_STYLE_NORMAL, 'x');
    gm_grid_restyle(&grid, 0, 9, 20, GM_STYLE_BAD);
    cr_assert_str_eq(gm_grid_row(&grid, 0, row, sizeof row), "def");
    cr_assert_str_eq(gm_grid_row(&grid, 1, row, sizeof row), "                  xx");
}

Test(grid, random_bytes_leave_only_printable_cells)
{
    unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    for (int round = 0; round < 2000; round++) {
        char text[65] = {0};
        for (int i = 0; i < 64; i++)
            text[i] = (char)(1 + rand_r(&seed) % 255);
        gm_grid_clear(&grid);
        gm_grid_text(&grid, 0, 0, 20, GM_STYLE_NORMAL, text);
        for (int x = 0; x < 20; x++) {
            uint32_t ch = grid.cells[x].ch;
            cr_assert(ch == 0 || (ch >= 0x20 && ch < 0x7f) || ch >= 0xa0, "cell %u", ch);
        }
    }
}

/* ---- chart ------------------------------------------------------------------------------------------ */

static const char *chart_row(int y)
{
    return gm_grid_row(&grid, y, row, sizeof row);
}

Test(grid, chart_fills_from_the_ground_in_each_kind_of_symbol)
{
    const uint64_t columns[] = {0, 1, 2, 3, 4, 5, 6, 8};
    gm_chart_draw(&grid, 0, 0, 4, 1, GM_CHART_BRAILLE, columns, 8);
    cr_assert_str_eq(chart_row(0), "\xe2\xa2\x80\xe2\xa3\xa0\xe2\xa3\xb4\xe2\xa3\xbe");
    gm_chart_draw(&grid, 0, 1, 8, 1, GM_CHART_BLOCK, columns, 8);
    cr_assert_str_eq(chart_row(1),
        " \xe2\x96\x81\xe2\x96\x82\xe2\x96\x83\xe2\x96\x84\xe2\x96\x85\xe2\x96\x86\xe2\x96\x88");
    gm_chart_draw(&grid, 0, 2, 8, 2, GM_CHART_ASCII, columns, 8);
    cr_assert_str_eq(chart_row(2), "     .:#");
    cr_assert_str_eq(chart_row(3), " .::####");
}

Test(grid, chart_columns_keep_the_peaks_and_carry_values_on)
{
    const struct gm_chart_point points[] = {{10, 100, 100}, {20, 50, 400}, {80, 70, 70}};
    uint64_t columns[10];
    cr_assert_eq(gm_chart_resample(points, 3, 0, 100, columns, 10), 400);
    const uint64_t expected[] = {100, 400, 50, 50, 50, 50, 50, 70, 70, 70};
    for (int i = 0; i < 10; i++)
        cr_assert_eq(columns[i], expected[i], "column %d is %lu", i, columns[i]);
}

Test(grid, chart_of_nothing_is_empty)
{
    uint64_t columns[4];
    cr_assert_eq(gm_chart_resample(NULL, 0, 0, 0, columns, 4), 0);
    gm_chart_draw(&grid, 0, 0, 4, 2, GM_CHART_BLOCK, columns, 0);
    cr_assert_str_eq(chart_row(0), "");
}

/* ---- figures ---------------------------------------------------------------------------------------- */

Test(figures, counts_take_at_most_five_columns)
{
    char out[GM_SHORT_BYTES];
    cr_assert_str_eq(gm_short_count(out, 0), "0");
    cr_assert_str_eq(gm_short_count(out, 999), "999");
    cr_assert_str_eq(gm_short_count(out, 1000), "1.0k");
    cr_assert_str_eq(gm_short_count(out, 99949), "99.9k");
    cr_assert_str_eq(gm_short_count(out, 99950), "100k");
    cr_assert_str_eq(gm_short_count(out, 999949), "1.0M");
    cr_assert_str_eq(gm_short_count(out, 46.6e6), "46.6M");
    for (double v = 1; v < 1e18; v *= 1.07)
        cr_assert_leq(strlen(gm_short_count(out, v)), 5, "%s", out);
}

Test(figures, changes_have_a_sign)
{
    char out[GM_SHORT_BYTES];
    cr_assert_str_eq(gm_short_change(out, 0), "0");
    cr_assert_str_eq(gm_short_change(out, 1.2e6), "+1.20M");
    cr_assert_str_eq(gm_short_change(out, -812), "-812");
    for (double v = 1; v < 1e15; v *= 1.07)
        cr_assert_leq(strlen(gm_short_change(out, -v)), 7, "%s", out);
}

Test(figures, ages_and_rates)
{
    char out[GM_SHORT_BYTES];
    cr_assert_str_eq(gm_short_age(out, -1), "-");
    cr_assert_str_eq(gm_short_age(out, 999999), "<1ms");
    cr_assert_str_eq(gm_short_age(out, 12000000), "12ms");
    cr_assert_str_eq(gm_short_age(out, 4250000000), "4.2s");
    cr_assert_str_eq(gm_short_age(out, 432000000000), "7m12s");
    cr_assert_str_eq(gm_short_age(out, 11100000000000), "3h05m");
    cr_assert_str_eq(gm_short_age(out, 187200000000000), "2d04h");
    cr_assert_str_eq(gm_short_rate(out, 0), "0");
    cr_assert_str_eq(gm_short_rate(out, 0.01), "<0.1");
    cr_assert_str_eq(gm_short_rate(out, 9.94), "9.9");
    cr_assert_str_eq(gm_short_rate(out, 41200), "41.2k");
    cr_assert_str_eq(gm_short_percent(out, -1), "-");
    cr_assert_str_eq(gm_short_percent(out, 0.988), "98.8%");
    cr_assert_str_eq(gm_short_percent(out, 1), "100%");
    cr_assert_str_eq(gm_short_clock(out, 1062000000000), "00:17:42");
}
