/* The table: grouping, order, filter; layout and drawing of whole screens from made-up figures. */
#include <criterion/criterion.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/filter.h"
#include "tui/keys.h"
#include "tui/model.h"
#include "tui/options.h"
#include "tui/view.h"

#define N 6
#define NS 1000000000ll

/* A picture of five sites at four places; sites 0 and 4 share one. */
static struct gm_site site_v[N];
static struct gm_sites sites = {.v = site_v, .n = N, .from_ns = 0, .to_ns = 60 * NS};
static uint32_t site_place[N] = {0, 1, 2, 3, 0, 4};
static uint8_t site_shown[N] = {1, 1, 1, 1, 1, 0};
static struct gm_live_place places[5] = {{"leaky", "/src/a.c", "/usr/bin/demo", 10, true},
    {"table", "/src/b.c", "/usr/bin/demo", 20, true},
    {"parse", "/src/c.c", "/usr/lib/libfoo.so.1", 30, true},
    {"libbar.so.2+0x10", NULL, "/usr/lib/libbar.so.2", 0, false}, {"gone", NULL, NULL, 0, true}};
static struct gm_slice slice_v[2];
static struct gm_slices slices = {.v = slice_v, .n = 2};
static struct gm_marks marks;
static struct gm_run run;
static struct gm_processes processes;
static struct gm_live_picture picture;
static struct gm_gc gc;
static struct gm_gc_generation gc_blocks[2];
static struct gm_live_caches caches;
static struct gm_model model;
static struct gm_filter filter;
static struct gm_ui ui;

static void site_set(int i, uint64_t live, uint64_t born, uint64_t died)
{
    site_v[i] = (struct gm_site){.site_id = (uint32_t)i + 1,
        .process_id = 1,
        .allocator = "malloc",
        .allocs = 100,
        .alloc_bytes = 6400,
        .live_blocks = live / 64,
        .live_bytes = live,
        .promoted = {50},
        .last_free_ns = -1,
        .window = {born, born * 64, died, died * 64},
        .min_bytes = 64,
        .max_bytes = 64};
}

static void setup(void)
{
    cr_assert(setlocale(LC_ALL, "C.UTF-8"));
    site_set(0, 6400, 100, 0);
    site_set(1, 64000, 0, 0);
    site_set(2, 640, 1000, 1005);
    site_set(3, 1280, 10, 0);
    site_set(4, 640, 10, 0);
    site_set(5, 999999, 9999, 0);
    slice_v[0] = (struct gm_slice){.end_ns = 30 * NS, .live_bytes = 30000, .peak_bytes = 30000};
    slice_v[1] = (struct gm_slice){
        .start_ns = 30 * NS, .end_ns = 60 * NS, .live_bytes = 70000, .peak_bytes = 80000};
    run = (struct gm_run){.program = (char[]){"demo"},
        .state = GM_RUN_RUNNING,
        .duration_ns = 60 * NS,
        .processes = 1};
    picture = (struct gm_live_picture){.run = &run,
        .gc = &gc,
        .gc_blocks = gc_blocks,
        .caches = &caches,
        .processes = &processes,
        .at_ns = 60 * NS,
        .at_end = true,
        .root_pid = 4242,
        .live_bytes = 73000,
        .running_processes = 1,
        .threads = 3,
        .window_ns = 60 * NS,
        .sites = &sites,
        .site_place = site_place,
        .site_shown = site_shown,
        .places = places,
        .place_count = 5,
        .slices = &slices,
        .marks = &marks};
    model = (struct gm_model){0};
    filter = (struct gm_filter){0};
    ui = (struct gm_ui){.delay_s = 1, .sorting = {.column = GM_COLUMN_growth, .steady = true}};
    cr_assert_eq(gm_model_update(&model, &picture, false), 0);
    cr_assert_eq(gm_model_arrange(&model, &ui.sorting, &filter), 0);
}

static void teardown(void)
{
    gm_filter_done(&filter);
    gm_model_done(&model);
}

TestSuite(model, .init = setup, .fini = teardown);

static void order_is(const char *expected)
{
    char text[256] = "";
    for (size_t i = 0; i < model.order_count; i++)
        sprintf(
            text + strlen(text), "%s%s", i ? " " : "", model.rows[model.order[i]].place->function);
    cr_assert_str_eq(text, expected);
}

Test(model, sites_of_one_place_are_one_row)
{
    const struct gm_row *row = &model.rows[0];
    cr_assert_eq(row->stacks, 2);
    cr_assert_eq(row->live_bytes, 7040);
    cr_assert_eq(row->first_site, 1, "the heaviest site leads");
    cr_assert_eq(model.next_site[0], 5);
    cr_assert_eq(model.next_site[4], 0);
    cr_assert_float_eq(row->growth_bytes_per_min, 110 * 64, 1e-6);
    cr_assert_str_eq(row->where, "leaky a.c:10");
}

Test(model, growth_leads_by_default_and_hidden_processes_are_left_out)
{
    order_is("leaky libbar.so.2+0x10 table parse");
    cr_assert_eq(model.present_count, 4);
}

Test(model, order_turns_round_and_follows_the_column)
{
    ui.sorting.invert = true;
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("parse table libbar.so.2+0x10 leaky");
    ui.sorting = (struct gm_sorting){.column = GM_COLUMN_live, .steady = true};
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("table leaky libbar.so.2+0x10 parse");
    ui.sorting.column = GM_COLUMN_where;
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("leaky libbar.so.2+0x10 parse table");
}

Test(model, a_row_moves_only_for_a_change_above_five_per_cent)
{
    ui.sorting.column = GM_COLUMN_live;
    site_set(3, 6976, 0, 0);
    site_set(4, 0, 0, 0);
    site_set(0, 7000, 0, 0);
    gm_model_update(&model, &picture, false);
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("table leaky libbar.so.2+0x10 parse");
    site_set(3, 7300, 0, 0); /* 4.6 % above 6976: overtakes, but not by enough */
    gm_model_update(&model, &picture, false);
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("table leaky libbar.so.2+0x10 parse");
    site_set(3, 7400, 0, 0);
    gm_model_update(&model, &picture, false);
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("table libbar.so.2+0x10 leaky parse");
}

Test(model, a_frozen_order_stays_whatever_happens)
{
    ui.sorting.frozen = true;
    site_set(2, 999999, 9999, 0);
    gm_model_update(&model, &picture, false);
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("leaky libbar.so.2+0x10 table parse");
}

Test(model, state_tells_live_from_exited_cut_and_past)
{
    cr_assert_eq(model.state, GM_TOP_LIVE);
    run.state = GM_RUN_COMPLETE;
    gm_model_update(&model, &picture, true);
    cr_assert_eq(model.state, GM_TOP_EXITED);
    gm_model_update(&model, &picture, false);
    cr_assert_eq(model.state, GM_TOP_REPLAY);
    run.state = GM_RUN_CUT;
    gm_model_update(&model, &picture, true);
    cr_assert_eq(model.state, GM_TOP_CUT);
    picture.at_end = false;
    picture.past = true;
    gm_model_update(&model, &picture, false);
    cr_assert_eq(model.state, GM_TOP_REPLAY);
    cr_assert_lt(model.rows[0].promotion_rate, 0, "not known for the past");
}

/* ---- filter ----------------------------------------------------------------------------------------- */

static void filtered(const char *text, const char *expected)
{
    const char *message = "";
    cr_assert_eq(gm_filter_set(&filter, text, &message), 0, "%s: %s", text, message);
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is(expected);
}

Test(model, filter_terms_all_have_to_hold)
{
    filtered("LEAK", "leaky");
    filtered("leaky|parse", "leaky parse");
    filtered("!^(table|parse) ", "table parse");
    filtered("mod:libfoo", "parse");
    filtered("live>1k", "leaky libbar.so.2+0x10 table");
    filtered("live<1k", "parse");
    filtered("growth>0 mod:demo", "leaky");
    filtered("nothing", "");
    filtered("", "leaky libbar.so.2+0x10 table parse");
    filtered("!", "leaky libbar.so.2+0x10 table parse");
    filtered("vector<int", "");
}

Test(model, a_wrong_filter_leaves_the_one_before)
{
    const char *message = NULL;
    filtered("leaky", "leaky");
    cr_assert_eq(gm_filter_set(&filter, "!(", &message), -EINVAL);
    cr_assert_not_null(message);
    cr_assert_eq(gm_filter_set(&filter, "live>much", &message), -EINVAL);
    cr_assert_str_eq(filter.text, "leaky");
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("leaky");
}

/* ---- screens ---------------------------------------------------------------------------------------- */

Test(model, every_size_draws_and_small_ones_keep_the_essence)
{
    struct gm_grid grid = {.unicode = true};
    char row[2048];
    for (int w = 1; w <= 170; w += 3)
        for (int h = 1; h <= 60; h += 2) {
            cr_assert_eq(gm_grid_resize(&grid, w, h), 0);
            gm_ui_fit(&ui, &model, w, h);
            gm_view_draw(&grid, &model, &ui);
            for (int screen = GM_SCREEN_STACKS; screen <= GM_SCREEN_HELP; screen++) {
                struct gm_ui other = ui;
                other.screen = (enum gm_screen)screen;
                other.sort_menu = true;
                gm_ui_fit(&other, &model, w, h);
                gm_view_draw(&grid, &model, &other);
            }
        }
    gm_grid_resize(&grid, 39, 7);
    gm_view_draw(&grid, &model, &ui);
    cr_assert_str_eq(gm_grid_row(&grid, 0, row, sizeof row),
        "73.0k LIVE 0/m demo: +7.04k leaky a.c:\xe2\x80\xa6");
    cr_assert_str_eq(gm_grid_row(&grid, 1, row, sizeof row), "");
    gm_grid_done(&grid);
}

Test(model, the_cursor_stays_on_its_row_when_the_order_changes)
{
    ui.selected = model.order[1] + 1;
    gm_ui_fit(&ui, &model, 80, 10); /* six rows at most, none of them pushed out */
    site_set(2, 640, 100000, 0);
    gm_model_update(&model, &picture, false);
    gm_model_arrange(&model, &ui.sorting, &filter);
    order_is("parse leaky libbar.so.2+0x10 table");
    gm_ui_fit(&ui, &model, 80, 10);
    cr_assert_str_eq(model.rows[ui.selected - 1].place->function, "libbar.so.2+0x10");
}

Test(model, layout_parts_never_overlap)
{
    for (int w = 40; w < 200; w += 7)
        for (int h = 8; h < 120; h++) {
            struct gm_layout l = gm_layout_of(w, h);
            cr_assert_not(l.one_line);
            cr_assert_geq(l.rows_h, 3, "%dx%d", w, h);
            cr_assert_leq(l.rows_y + l.rows_h, l.pane_h ? l.pane_y : l.footer_y);
            cr_assert_eq(l.footer_y, h - 1);
        }
}

Test(keys, no_key_has_two_meanings)
{
    for (int i = 0; i < gm_key_line_count; i++)
        for (int k = 0; k < 4 && gm_key_lines[i].keys[k]; k++)
            cr_assert_eq(gm_key_action(gm_key_lines[i].keys[k]), gm_key_lines[i].action, "%s",
                gm_key_lines[i].label);
}

Test(options, times_are_read_in_the_usual_forms)
{
    int64_t ns;
    cr_assert(gm_time_parse("90", &ns) && ns == 90 * NS);
    cr_assert(gm_time_parse("1.5", &ns) && ns == 1500000000);
    cr_assert(gm_time_parse("5m", &ns) && ns == 300 * NS);
    cr_assert(gm_time_parse("00:12:30", &ns) && ns == 750 * NS);
    const char *wrong[] = {"", "x", "-1", "5y", "1:2:3:4", "1e99", "nan", "inf", "5mm"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not(gm_time_parse(wrong[i], &ns), "%s", wrong[i]);
}
