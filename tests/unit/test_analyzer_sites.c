/* Windows of the site table, loaded and followed, against sums made by hand. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "recording_make.h"

#include "analyzer/core/site_groups.h"
#include "analyzer/core/sites.h"
#include "analyzer/core/stack_tree.h"

#define SITES 40
#define SLICES 30
#define SLICE_NS 500

TestSuite(sites, .init = made_begin, .fini = made_end);

static uint64_t random_state;
static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

static void random_begin(void)
{
    const char *typed = getenv("GM_TEST_SEED");
    random_state =
        typed ? strtoull(typed, NULL, 10) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    fprintf(stderr, "GM_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* What was written: by slice and site. */
static struct gm_site_window model[SLICES + 1][SITES + 1];
static uint64_t live_blocks[SITES + 1], live_bytes[SITES + 1], allocs[SITES + 1];

static void site_happens(int slice, int site)
{
    uint64_t born = random_below(50), died = random_below((unsigned)(live_blocks[site] + born) + 1);
    struct gm_site_window w = {born, born * 16, died, died * 16};
    live_blocks[site] += born - died;
    live_bytes[site] += (born - died) * 16;
    allocs[site] += born;
    model[slice][site].allocs += w.allocs;
    model[slice][site].alloc_bytes += w.alloc_bytes;
    model[slice][site].frees += w.frees;
    model[slice][site].free_bytes += w.free_bytes;
    made_run(
        "INSERT INTO site_row (site_id, process_id, function, allocs, live_blocks, live_bytes) VALUES"
        " (%d, 1, 'malloc', %llu, %llu, %llu) ON CONFLICT (site_id) DO UPDATE SET allocs = "
        "excluded.allocs,"
        " live_blocks = excluded.live_blocks, live_bytes = excluded.live_bytes",
        site, allocs[site], live_blocks[site], live_bytes[site]);
    made_run("INSERT OR REPLACE INTO site_interval VALUES (%d, %d, %llu, %llu, %llu, %llu)", slice,
        site, model[slice][site].allocs, model[slice][site].alloc_bytes, model[slice][site].frees,
        model[slice][site].free_bytes);
}

/* One commit: some sites do something in a slice, which may be the one of the commit before. */
static void slice_commit(int slice, int sites_so_far)
{
    made_run("BEGIN");
    made_run("INSERT OR REPLACE INTO interval VALUES (%d, %d, %d)", slice, (slice - 1) * SLICE_NS,
        slice * SLICE_NS);
    for (int n = (int)random_below(12); n > 0; n--)
        site_happens(slice, 1 + (int)random_below((unsigned)sites_so_far));
    made_run("UPDATE run SET duration_ns = %d", slice * SLICE_NS);
    made_run("COMMIT");
}

static void expect_window(const struct gm_sites *sites, int first, int last)
{
    for (size_t i = 0; i < sites->n; i++) {
        const struct gm_site *s = &sites->v[i];
        struct gm_site_window sum = {0};
        for (int k = first; k <= last; k++) {
            sum.allocs += model[k][s->site_id].allocs;
            sum.alloc_bytes += model[k][s->site_id].alloc_bytes;
            sum.frees += model[k][s->site_id].frees;
            sum.free_bytes += model[k][s->site_id].free_bytes;
        }
        cr_assert_eq(memcmp(&sum, &s->window, sizeof sum), 0,
            "site %u, slices %d to %d: %llu allocs, not %llu", s->site_id, first, last,
            (unsigned long long)s->window.allocs, (unsigned long long)sum.allocs);
    }
}

Test(sites, a_window_holds_the_slices_it_touches_and_live_can_be_taken_back)
{
    random_begin();
    for (int i = 1; i <= SLICES; i++)
        slice_commit(i, SITES);
    struct gm_recording *rec = made_open();
    for (int round = 0; round < 50; round++) {
        struct gm_sites sites;
        int first = 1 + (int)random_below(SLICES),
            last = first + (int)random_below((unsigned)(SLICES - first) + 1);
        cr_assert_eq(gm_recording_begin(rec), 0);
        cr_assert_eq(gm_sites_load(rec, &sites), 0);
        cr_assert_eq(
            gm_sites_window(rec, &sites, (first - 1) * SLICE_NS + 1, last * SLICE_NS - 1, true), 0);
        cr_assert_eq(sites.from_ns, (first - 1) * SLICE_NS);
        cr_assert_eq(sites.to_ns, last * SLICE_NS);
        expect_window(&sites, first, last);
        for (size_t i = 0; i < sites.n; i++) {
            uint64_t live = 0;
            for (int k = 1; k <= last; k++)
                live += model[k][sites.v[i].site_id].allocs - model[k][sites.v[i].site_id].frees;
            cr_assert_eq(sites.v[i].live_blocks, live);
            cr_assert_eq(sites.v[i].live_bytes, live * 16);
        }
        gm_sites_done(&sites);
        gm_recording_end(rec);
    }
    gm_recording_close(rec);
}

/* Follows a recording that grows, with a window that is read at once or in pieces, and that changes. */
static void follow_and_compare(size_t most_rows, bool window_changes)
{
    random_begin();
    struct gm_recording *rec = made_open();
    struct gm_sites sites = {0};
    bool loaded = false, changed = false;
    int window_slices = 7;
    for (int slice = 1; slice <= SLICES;) {
        slice_commit(slice, 1 + slice * (SITES - 1) / SLICES);
        cr_assert_eq(gm_recording_changed(rec, &changed), 0);
        cr_assert(changed);
        if (random_below(3)) { /* sometimes a commit is missed */
            window_slices = window_changes ? 1 + (int)random_below(20) : 7;
            cr_assert_eq(gm_recording_begin(rec), 0);
            if (!loaded)
                cr_assert_eq(gm_sites_load(rec, &sites), 0);
            loaded = true;
            do
                cr_assert_eq(gm_sites_follow(rec, &sites, window_slices * SLICE_NS, most_rows), 0,
                    "%s", gm_recording_message(rec));
            while (sites.short_of_window && random_below(4)); /* sometimes left unfinished */
            gm_recording_end(rec);
            cr_assert_eq(gm_recording_changed(rec, &changed), 0);
            cr_assert_not(changed);
            int first = slice > window_slices ? slice - window_slices + 1 : 1;
            cr_assert_eq(sites.short_of_window, sites.from_ns > (first - 1) * SLICE_NS);
            expect_window(&sites, (int)(sites.from_ns / SLICE_NS) + 1, slice);
            for (size_t i = 0; i < sites.n; i++)
                cr_assert_eq(sites.v[i].live_bytes, live_bytes[sites.v[i].site_id]);
        }
        slice += random_below(2) ? 1 : 0; /* the last slice grows on */
    }
    gm_sites_done(&sites);
    gm_recording_close(rec);
}

Test(sites, a_follower_sees_what_a_fresh_reader_sees)
{
    follow_and_compare(SIZE_MAX, false);
}

Test(sites, a_window_may_be_read_in_pieces)
{
    follow_and_compare(5, false);
}

Test(sites, a_window_may_change_its_length)
{
    follow_and_compare(SIZE_MAX, true);
}

Test(sites, a_window_may_change_its_length_while_it_is_read_in_pieces)
{
    follow_and_compare(20, true);
}

Test(sites, orders_are_total_and_largest_first)
{
    struct gm_site a = {.site_id = 1, .live_bytes = 5}, b = {.site_id = 2, .live_bytes = 5},
                   c = {.site_id = 3, .live_bytes = 9};
    const struct gm_site *list[] = {&b, &a, &c};
    gm_sites_sort(list, 3, GM_SITE_BY_live, 0);
    cr_expect(list[0] == &c && list[1] == &a && list[2] == &b);
    a.window = (struct gm_site_window){.free_bytes = 10};
    cr_expect_eq(gm_site_growth_bytes(&a), -10);
    cr_expect_eq(gm_site_mean_age_ns(&a, 100), -1);
    a.live_blocks = 2;
    a.birth_sum_us = 10;
    cr_expect_eq(gm_site_mean_age_ns(&a, 8000), 3000);
    cr_expect_eq(gm_site_mean_age_ns(&a, 10), 0);
}

Test(sites, what_was_live_at_a_peak_follows_the_epochs)
{
    made_run("UPDATE run SET peak_epoch = 5");
    made_run("UPDATE process SET peak_epoch = 3, end_ns = 10, end_kind = 'exit', end_peak_epoch = "
             "4 WHERE process_id = 2");
    made_run("UPDATE process SET peak_epoch = 8 WHERE process_id = 1");
    made_run("INSERT INTO site_row (site_id, process_id, function, live_bytes, peak_seen, peak_bytes, "
             "run_peak_seen,"
             " run_peak_bytes) VALUES (1, 1, 'malloc', 70, 8, 60, 5, 50), (2, 1, 'calloc', 70, 7, "
             "60, 4, 50),"
             " (3, 2, 'free', 70, 3, 60, 4, 50)");
    struct gm_recording *rec = made_open();
    struct gm_sites sites;
    cr_assert_eq(gm_sites_load(rec, &sites), 0);
    cr_assert_eq(sites.n, 3);
    cr_expect(sites.v[0].peak_bytes == 60 && sites.v[0].run_peak_bytes == 50, "saved at the peak");
    cr_expect(sites.v[1].peak_bytes == 70 && sites.v[1].run_peak_bytes == 70, "unchanged since");
    cr_expect(
        sites.v[2].peak_bytes == 60 && sites.v[2].run_peak_bytes == 0, "its process had ended");
    cr_expect_str_eq(sites.v[1].allocator, "calloc");
    gm_sites_done(&sites);
    gm_recording_close(rec);
}

Test(sites, the_same_stack_of_two_processes_is_one_group)
{
    made_run("INSERT INTO frame (frame_id, address) VALUES (1, 16), (2, 32)");
    made_run("INSERT INTO stack_run VALUES (2, NULL, char(1, 2)), (4, NULL, char(1, 2)), "
             "(5, 3, char(1))");
    made_run("INSERT INTO site_row (site_id, process_id, stack_id, function, allocs, live_bytes, "
             "min_bytes, max_bytes)"
             " VALUES (1, 1, 2, 'malloc', 2, 100, 50, 50), (2, 2, 4, 'malloc', 3, 7, 1, 9), (3, 2, "
             "5, 'malloc', 1, 1, 1, 1),"
             " (4, 1, NULL, 'malloc', 1, 2, 2, 2), (5, 2, NULL, 'malloc', 1, 2, 2, 2)");
    struct gm_recording *rec = made_open();
    struct gm_sites sites;
    struct gm_stack_tree tree;
    struct gm_site_groups groups;
    const struct gm_site *list[5];
    cr_assert_eq(gm_sites_load(rec, &sites), 0);
    cr_assert_eq(gm_stack_tree_load(rec, &tree), 0);
    for (int i = 0; i < 5; i++)
        list[i] = &sites.v[i];
    cr_assert_eq(gm_site_groups_build(rec, list, 5, &tree, &groups), 0);
    cr_assert_eq(groups.n, 3);
    size_t pairs = 0;
    for (size_t i = 0; i < groups.n; i++) {
        const struct gm_site_group *g = &groups.v[i];
        if (g->sum.site_id == 1) {
            cr_expect(g->n == 2 && g->sum.live_bytes == 107 && g->sum.allocs == 5);
            cr_expect(g->sum.min_bytes == 1 && g->sum.max_bytes == 50);
            cr_expect_eq(groups.members[g->first + 1]->site_id, 2);
        }
        pairs += g->n == 2;
    }
    cr_expect_eq(pairs, 2, "and so are the allocations without a stack");
    gm_site_groups_done(&groups);
    cr_assert_eq(gm_site_groups_build(rec, list, 5, NULL, &groups), 0);
    cr_expect_eq(groups.n, 5, "unless they are asked for one by one");
    gm_site_groups_done(&groups);
    gm_stack_tree_done(&tree);
    gm_sites_done(&sites);
    gm_recording_close(rec);
}
