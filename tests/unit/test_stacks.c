/* The dictionary of stacks: one node per distinct stack, whatever the targets call it. */
#include <criterion/criterion.h>
#include <errno.h>

#include "collector/stacks.h"
#include "schemas/wire.h"

static struct gm_batch batch;
static struct gm_stacks stacks;
static struct gm_stack_names names;

static void setup(void)
{
    gm_stacks_init(&stacks);
    stacks.batch = &batch;
    gm_stack_names_init(&names, 1);
}

static void teardown(void)
{
    gm_stack_names_done(&names);
    gm_stacks_done(&stacks);
    gm_batch_done(&batch);
}

TestSuite(stacks, .init = setup, .fini = teardown);

static int map(struct gm_stack_names *n, uint64_t start, uint64_t end, const char *path, int64_t ns)
{
    struct gm_event e = {.kind = GM_EV_MODULE,
        .start = start,
        .end = end,
        .bias = start,
        .build_id = (const uint8_t *)"\xab\x01",
        .build_id_bytes = 2,
        .path = path,
        .path_bytes = (uint32_t)strlen(path)};
    return gm_stacks_map(&stacks, n, &e, ns);
}

static int name_as(struct gm_stack_names *n, uint64_t hash, uint64_t parent, uint64_t pc_word)
{
    struct gm_event e = {
        .kind = GM_EV_STACK, .hash = hash, .parent_hash = parent, .pc_word = pc_word};
    return gm_stacks_name(&stacks, n, &e);
}

static uint64_t name(struct gm_stack_names *n, uint64_t parent, uint64_t pc_word)
{
    uint64_t hash = gm_stack_hash(parent, pc_word);
    cr_assert_eq(name_as(n, hash, parent, pc_word), 0);
    return hash;
}

static uint32_t node(const struct gm_stack_names *n, uint64_t hash)
{
    const struct gm_stack_name *found = gm_stack_names_find(n, hash);
    return found ? found->node : 0;
}

Test(stacks, a_stack_is_a_node_below_its_caller)
{
    map(&names, 0x1000, 0x2000, "/bin/a", 5);
    uint64_t main_hash = name(&names, GM_STACK_ROOT, 0x1100),
             leaf = name(&names, main_hash, 0x1200);
    cr_assert_eq(batch.modules.n, 1);
    cr_assert_str_eq(batch.modules.v[0].path, "/bin/a");
    cr_assert_str_eq(batch.modules.v[0].build_id, "ab01");
    cr_assert(batch.mappings.n == 1 && batch.mappings.v[0].first_ns == 5 &&
              batch.mappings.v[0].last_ns < 0);
    cr_assert_eq(batch.frames.n, 2);
    cr_assert(batch.frames.v[1].address == 0x200 && batch.frames.v[1].module_id == 1);
    cr_assert_eq(batch.stacks.n, 2);
    cr_assert_eq(batch.stacks.v[1].parent_id, node(&names, main_hash));
    cr_assert_eq(batch.stacks.v[1].stack_id, node(&names, leaf));
}

Test(stacks, records_sent_again_add_nothing)
{
    map(&names, 0x1000, 0x2000, "/bin/a", 0);
    for (int i = 0; i < 3; i++) {
        map(&names, 0x1000, 0x2000, "/bin/a", i);
        uint64_t parent = GM_STACK_ROOT;
        for (uint64_t d = 0; d < 500; d++)
            parent = name(&names, parent, 0x1001 + d);
    }
    cr_assert(batch.mappings.n == 1 && batch.stacks.n == 500 && batch.frames.n == 500);
    cr_assert_eq(stacks.hash_collisions, 0);
}

Test(stacks, processes_with_the_same_file_elsewhere_share_nodes)
{
    struct gm_stack_names other;
    gm_stack_names_init(&other, 2);
    map(&names, 0x1000, 0x2000, "/bin/a", 0);
    map(&other, 0x7000, 0x8000, "/bin/a", 0);
    uint64_t a = name(&names, GM_STACK_ROOT, 0x1100), b = name(&other, GM_STACK_ROOT, 0x7100);
    cr_assert_neq(a, b);
    cr_assert_eq(node(&names, a), node(&other, b));
    cr_assert(batch.modules.n == 1 && batch.mappings.n == 2 && batch.stacks.n == 1);
    gm_stack_names_done(&other);
}

Test(stacks, an_unknown_caller_is_an_error_and_an_unknown_hash_is_nothing)
{
    cr_assert_eq(name_as(&names, 77, 12345, 0x1100), -ENOENT);
    cr_assert_null(gm_stack_names_find(&names, 77));
    cr_assert_null(gm_stack_names_find(&names, GM_STACK_NONE));
}

Test(stacks, code_of_no_module_keeps_its_absolute_address)
{
    name(&names, GM_STACK_ROOT, 0x5555 | (uint64_t)GM_PC_GUESSED << GM_PC_BITS);
    cr_assert(batch.frames.v[0].module_id == 0 && batch.frames.v[0].address == 0x5555 &&
              batch.frames.v[0].flags == GM_PC_GUESSED);
}

Test(stacks, a_return_address_just_past_a_module_belongs_to_it)
{
    map(&names, 0x1000, 0x2000, "/bin/a", 0);
    map(&names, 0x2000, 0x3000, "/bin/b", 0);
    name(&names, GM_STACK_ROOT, 0x2000);
    name(&names, GM_STACK_ROOT, 0x2000 | (uint64_t)GM_PC_EXACT << GM_PC_BITS);
    cr_assert(batch.frames.v[0].module_id == 1 && batch.frames.v[0].address == 0x1000);
    cr_assert(batch.frames.v[1].module_id == 2 && batch.frames.v[1].address == 0);
}

Test(stacks, after_an_unload_the_same_address_is_another_frame_and_no_collision)
{
    map(&names, 0x1000, 0x2000, "/lib/old.so", 10);
    uint64_t hash = name(&names, GM_STACK_ROOT, 0x1100), leaf = name(&names, hash, 0x1200);
    uint32_t old_node = node(&names, leaf);
    gm_stack_names_find(&names, leaf)->site = 9;
    gm_stacks_epoch(&names);
    cr_assert_eq(node(&names, leaf), old_node, "known until it is sent again");
    map(&names, 0x1800, 0x2800, "/lib/new.so", 30);
    map(&names, 0x1000, 0x1800, "/lib/new.so", 30);
    name(&names, GM_STACK_ROOT, 0x1100);
    name(&names, hash, 0x1200);
    cr_assert_neq(node(&names, leaf), old_node);
    cr_assert_eq(gm_stack_names_find(&names, leaf)->site, 0, "its site is another one");
    cr_assert_eq(stacks.hash_collisions, 0);
    cr_assert(batch.mappings.n == 4 && batch.mappings.v[1].mapping_id == 1 &&
              batch.mappings.v[1].last_ns == 30);
    cr_assert_str_eq(batch.modules.v[1].path, "/lib/new.so");
}

Test(stacks, two_stacks_of_one_hash_are_counted_and_both_kept)
{
    cr_assert_eq(name_as(&names, 42, GM_STACK_ROOT, 0x1100), 0);
    uint32_t first = node(&names, 42);
    cr_assert_eq(name_as(&names, 42, GM_STACK_ROOT, 0x1200), 0);
    cr_assert_eq(stacks.hash_collisions, 1);
    cr_assert_neq(node(&names, 42), first);
    cr_assert_eq(batch.stacks.n, 2);
}

Test(stacks, mappings_stay_sorted_whatever_order_they_come_in)
{
    static const uint64_t starts[] = {0x9000, 0x1000, 0x5000, 0x3000, 0x7000};
    for (size_t i = 0; i < 5; i++) {
        char path[16] = "/lib/x0.so";
        path[6] = (char)('0' + i);
        cr_assert_eq(map(&names, starts[i], starts[i] + 0x1000, path, 0), 0);
    }
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(gm_stack_names_mapping(&names, starts[i])->start, starts[i]);
        cr_assert_eq(gm_stack_names_mapping(&names, starts[i] + 0xfff)->start, starts[i]);
        cr_assert_null(gm_stack_names_mapping(&names, starts[i] + 0x1000));
    }
    map(&names, 0x2000, 0x8000, "/lib/big.so", 4);
    cr_assert_eq(names.mapping_count, 3);
    cr_assert_eq(gm_stack_names_mapping(&names, 0x5800)->start, 0x2000);
}

Test(stacks, a_second_process_finds_what_the_first_made_before_it_came)
{
    struct gm_stack_names other;
    uint64_t parent = GM_STACK_ROOT, again = GM_STACK_ROOT;
    gm_stack_names_init(&other, 2);
    map(&names, 0x1000, 0x9000, "/bin/a", 0);
    map(&other, 0x21000, 0x29000, "/bin/a", 0);
    for (uint64_t d = 0; d < 300; d++)
        parent = name(&names, parent, 0x1001 + d);
    for (uint64_t d = 0; d < 300; d++)
        again = name(&other, again, 0x21001 + d);
    cr_assert_eq(batch.stacks.n, 300);
    cr_assert_eq(node(&names, parent), node(&other, again));
    gm_stack_names_done(&other);
}

Test(stacks, a_file_mapped_twice_gives_one_node_by_two_names)
{
    map(&names, 0x1000, 0x2000, "/bin/a", 0);
    uint64_t a = name(&names, GM_STACK_ROOT, 0x1100);
    map(&names, 0x5000, 0x6000, "/bin/a", 1);
    uint64_t b = name(&names, GM_STACK_ROOT, 0x5100);
    cr_assert_neq(a, b);
    cr_assert_eq(node(&names, a), node(&names, b));
    cr_assert_eq(batch.stacks.n, 1);
}

Test(stacks, above_the_bound_new_stacks_are_left_out_and_counted)
{
    stacks.nodes_max = 10;
    map(&names, 0x1000, 0x2000, "/bin/a", 0);
    uint64_t parent = GM_STACK_ROOT;
    for (uint64_t d = 0; d < 15; d++)
        parent = name(&names, parent, 0x1001 + d);
    cr_assert_eq(batch.stacks.n, 10);
    cr_assert_leq(batch.frames.n, 11);
    cr_assert_eq(stacks.left_out, 5);
    cr_assert_null(gm_stack_names_find(&names, parent));
    name(&names, GM_STACK_ROOT, 0x1001); /* what is known stays known */
    cr_assert_eq(stacks.left_out, 5);
    struct gm_stack_names other;
    gm_stack_names_init(&other, 2);
    map(&other, 0x3000, 0x4000, "/bin/a", 0);
    uint64_t known = name(&other, GM_STACK_ROOT, 0x3001);
    cr_assert_neq(node(&other, known), 0, "a known stack of another process needs no room");
    gm_stack_names_done(&other);
}
