/* Stacks with names, filters, and the call tree against sums made by hand. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "recording_make.h"

#include "analyzer/core/call_tree.h"
#include "analyzer/core/stack_tree.h"
#include "analyzer/core/stacks.h"
#include "analyzer/core/where.h"

static void names_begin(void)
{
    made_begin();
    made_run(
        "INSERT INTO module (module_id, path, build_id) VALUES (1, '/usr/lib/libfoo.so.1', '')");
    made_run("INSERT INTO string VALUES (1, 'outer'), (2, 'inner'), (3, '/src/a.c'), (4, 'main'), "
             "(5, 'x' || char(27) || 'y')");
    made_run("INSERT INTO frame (frame_id, module_id, address, flags, symbolized) VALUES (1, 1, "
             "16, 0, 1),"
             " (2, 1, 32, 0, 1), (3, 1, 48, 0, 0), (4, NULL, 64, 0, 1), (5, NULL, 0, 2, 1), (6, 1, "
             "80, 0, 1)");
    made_run("INSERT INTO frame_line VALUES (1, 0, 4, 3, 7), (2, 0, 2, 3, 20), (2, 1, 1, 3, 10), "
             "(6, 0, 5, NULL, NULL)");
    made_run("INSERT INTO stack_run VALUES (1, NULL, char(1)), (5, 1, char(2, 3, 5, 4)), "
             "(6, 1, char(6))");
}
TestSuite(stacks, .init = names_begin, .fini = made_end);

Test(stacks, frames_come_innermost_first_with_inlined_ones)
{
    struct gm_recording *rec = made_open();
    struct gm_stack s;
    cr_assert_eq(gm_stack_load(rec, 5, &s), 0);
    cr_assert_eq(s.n, 6);
    static const char *const names[] = {
        "0x40", "[frames left out]", "libfoo.so.1+0x30", "inner", "outer", "main"};
    for (size_t i = 0; i < 6; i++)
        cr_expect_str_eq(s.v[i].function, names[i]);
    cr_expect(s.v[3].inlined && !s.v[4].inlined && s.v[3].line == 20);
    cr_expect(!s.v[2].named && s.v[3].named);
    cr_expect_str_eq(s.v[5].module, "/usr/lib/libfoo.so.1");
    cr_expect_not(s.damaged);
    gm_stack_done(&s);
    cr_assert_eq(gm_stack_load(rec, 6, &s), 0);
    cr_expect_str_eq(s.v[0].function, "x\\x1by", "names are clean");
    gm_stack_done(&s);
    cr_assert_eq(gm_stack_load(rec, 0, &s), 0);
    cr_expect_eq(s.n, 0);
    gm_stack_done(&s);
    gm_recording_close(rec);
}

Test(stacks, a_name_that_comes_later_is_seen_when_the_file_has_moved_on)
{
    struct gm_recording *rec = made_open();
    const struct gm_frame *v;
    size_t n;
    cr_assert_eq(gm_recording_begin(rec), 0);
    cr_assert_eq(gm_frame_load(rec, 3, &v, &n), 0);
    cr_expect_str_eq(v[0].function, "libfoo.so.1+0x30");
    gm_recording_end(rec);
    made_run("INSERT INTO frame_line VALUES (3, 0, 1, NULL, NULL); UPDATE frame SET symbolized = 1 "
             "WHERE frame_id = 3");
    cr_assert_eq(gm_recording_begin(rec), 0);
    cr_assert_eq(gm_frame_load(rec, 3, &v, &n), 0);
    cr_expect_str_eq(v[0].function, "outer");
    gm_recording_end(rec);
    gm_recording_close(rec);
}

Test(stacks, links_in_circles_end)
{
    made_run("UPDATE stack_run SET parent_id = last_id WHERE last_id > 1");
    struct gm_recording *rec = made_open();
    struct gm_stack s;
    struct gm_stack_tree tree;
    cr_assert_eq(gm_stack_load(rec, 5, &s), 0);
    cr_expect(s.damaged && s.n == 5, "%zu frames", s.n);
    gm_stack_done(&s);
    cr_assert_eq(gm_stack_load(rec, 6, &s), 0);
    cr_expect(s.damaged && s.n == 1);
    gm_stack_done(&s);
    cr_assert_eq(gm_stack_load(rec, 99, &s), 0);
    cr_expect(s.damaged && s.n == 0);
    gm_stack_done(&s);
    cr_assert_eq(gm_stack_tree_load(rec, &tree), 0);
    for (uint32_t i = 0; i < tree.n; i++)
        cr_expect(tree.v[i].parent == GM_NODE_NONE || tree.v[i].parent < i);
    gm_stack_tree_done(&tree);
    gm_recording_close(rec);
}

Test(stacks, a_filter_takes_any_frame_of_the_stack)
{
    struct gm_recording *rec = made_open();
    struct gm_stack_tree tree;
    bool *m;
    cr_assert_eq(gm_stack_tree_load(rec, &tree), 0);
    static const struct {
        struct gm_stack_filter filter;
        const char *want; /* one letter per node */
    } cases[] = {{{.function = "inner"}, "nyyyyn"}, {{.function = "main"}, "yyyyyy"},
        {{.file = "a.?"}, "yyyyyy"}, {{.module = "libfoo*", .function = "x"}, "nnnnny"},
        {{.file = "b.c"}, "nnnnnn"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(gm_stack_tree_match(rec, &tree, &cases[i].filter, &m), 0);
        for (uint32_t k = 0; k < tree.n; k++)
            cr_expect_eq(m[k], cases[i].want[k] == 'y', "case %zu, node %u", i, k);
        free(m);
    }
    gm_stack_tree_done(&tree);
    gm_recording_close(rec);
}

/* ---- the call tree ---- */

#define NODES 300

static uint64_t random_state;
static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

static void forest_make(struct gm_call_weight *weights)
{
    const char *typed = getenv("GM_TEST_SEED");
    random_state =
        typed ? strtoull(typed, NULL, 10) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    fprintf(stderr, "GM_TEST_SEED=%llu\n", (unsigned long long)random_state);
    made_run("DELETE FROM stack_run");
    made_run("BEGIN");
    for (unsigned i = 1; i <= NODES; i++) {
        unsigned parent = i > 3 ? random_below(i) : 0, frame = 1 + random_below(6);
        made_run("INSERT INTO stack_run VALUES (%u, nullif(%u, 0), char(%u))", i, parent, frame);
        weights[i - 1] = (struct gm_call_weight){i, random_below(3) ? random_below(1000) : 0};
    }
    made_run("COMMIT");
}

/* Every row is what goes on from it and what ends in it; the roots are all. */
static void tree_expect_sums(const struct gm_call_tree *tree, bool bottom_up)
{
    uint64_t roots = tree->unstacked + tree->hidden_weight;
    for (size_t i = 0; i < tree->n; i++) {
        const struct gm_call_row *row = &tree->v[i];
        uint64_t branches = row->hidden_weight + row->self;
        for (size_t k = i + 1; k < tree->n && tree->v[k].depth > row->depth; k++)
            if (tree->v[k].depth == row->depth + 1)
                branches += tree->v[k].weight;
        if (bottom_up)
            cr_assert_leq(branches, row->weight, "row %zu: the rest has no caller", i);
        else
            cr_assert_eq(branches, row->weight, "row %zu", i);
        roots += row->depth == 0 ? row->weight : 0;
    }
    cr_assert_eq(roots, tree->total);
}

Test(stacks, a_call_tree_adds_up_whole_and_cut)
{
    struct gm_call_weight weights[NODES + 1];
    forest_make(weights);
    weights[NODES] = (struct gm_call_weight){0, 77};
    struct gm_recording *rec = made_open();
    struct gm_stack_tree stacks;
    uint64_t total = 0;
    for (int i = 0; i <= NODES; i++)
        total += weights[i].weight;
    cr_assert_eq(gm_stack_tree_load(rec, &stacks), 0);
    for (int way = 0; way < 4; way++) {
        struct gm_call_tree tree;
        uint64_t least = way & 2 ? total / 50 : 0;
        cr_assert_eq(
            gm_call_tree_build(rec, &stacks, weights, NODES + 1, way & 1, least, &tree), 0);
        cr_assert_eq(tree.total, total);
        cr_assert_eq(tree.unstacked, 77);
        tree_expect_sums(&tree, way & 1);
        for (size_t i = 0; i < tree.n; i++)
            cr_assert_geq(tree.v[i].weight, least);
        gm_call_tree_done(&tree);
    }
    gm_stack_tree_done(&stacks);
    gm_recording_close(rec);
}

/* ---- wrappers without a name ---- */

#define CALLERS 12

/* Sites 1..CALLERS: main -> a frame of their own -> frame 10 (no name) -> frame 11 (no name), the leaf. */
static void wrapped_make(int callers)
{
    made_run("DELETE FROM stack_run; DELETE FROM frame_line");
    made_run("INSERT INTO frame (frame_id, module_id, address, symbolized) VALUES (10, 1, 10, 1), "
             "(11, 1, 11, 1)");
    for (int i = 0; i < callers; i++) {
        made_run(
            "INSERT INTO frame (frame_id, module_id, address, symbolized) VALUES (%d, 1, %d, 1)",
            100 + i, 0x100 + i);
        made_run("INSERT INTO stack_run VALUES (%d, NULL, char(%d, 10, 11))", 3 * i + 3, 100 + i);
        made_run("INSERT INTO site_row (site_id, process_id, stack_id, function) VALUES (%d, 1, %d, "
                 "'malloc')",
            i + 1, 3 * i + 3);
    }
}

static size_t where_of(uint32_t stack_id)
{
    struct gm_recording *rec = made_open();
    struct gm_stack s;
    cr_assert_eq(gm_stack_load(rec, stack_id, &s), 0);
    size_t where = gm_where_index(&s);
    gm_stack_done(&s);
    gm_recording_close(rec);
    return where;
}

Test(stacks, an_address_with_a_single_caller_is_nobodys_wrapper)
{
    wrapped_make(CALLERS);
    cr_expect_eq(where_of(3), 0);
}

Test(stacks, addresses_below_a_named_wrapper_and_with_many_callers_are_wrappers)
{
    wrapped_make(CALLERS);
    made_run("INSERT INTO string VALUES (20, 'sqlite3Malloc'); INSERT INTO frame_line VALUES (10, "
             "0, 20, NULL, NULL)");
    cr_expect_eq(where_of(3), 2);
    /* a leaf of its own that all call: frame 10 is now the leaf of sites with many callers */
    made_run("DELETE FROM frame_line; UPDATE site_row SET stack_id = stack_id - 1");
    cr_expect_eq(where_of(2), 1);
}

Test(stacks, fewer_callers_make_no_wrapper)
{
    wrapped_make(CALLERS - 1);
    made_run("UPDATE site_row SET stack_id = stack_id - 1");
    cr_expect_eq(where_of(2), 0);
}
