/* The walk itself: which frames come out, in which order, what is cut. */
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "libgeomem/unwind/memo.h"
#include "libgeomem/unwind/unwind.h"
#include "schemas/wire.h"

static struct gm_unwind state;
static struct gm_capture capture;

__attribute__((noinline)) static void capture_here(void)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    gm_unwind_capture(&state, &context, &capture);
}

__attribute__((noinline)) static void recurse(int depth)
{
    if (depth > 1)
        recurse(depth - 1);
    else
        capture_here();
    __asm__ volatile(""); /* no tail call */
}

static void capture_at(int depth, uint32_t leaf, uint32_t root)
{
    memset(&state, 0, sizeof state);
    capture.leaf = leaf;
    capture.root = root;
    recurse(depth);
}

static bool frame_is_in(uint64_t word, void (*function)(int))
{
    uintptr_t pc = word & GM_PC_MASK, start = (uintptr_t)function;
    return pc > start && pc < start + 200;
}

static uint32_t frames_in_recurse(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < capture.count; i++)
        n += frame_is_in(capture.pc[i], recurse);
    return n;
}

Test(unwind, every_level_of_a_recursion_is_a_frame)
{
    for (int depth = 1; depth < 300; depth += 7) {
        capture_at(depth, 500, 100);
        cr_assert_eq(frames_in_recurse(), (uint32_t)depth);
        cr_assert_not(capture.cut);
    }
}

Test(unwind, a_deep_stack_keeps_both_ends_and_a_mark_between)
{
    capture_at(10, 500, 100);
    uint32_t above = capture.count - 10;
    uint64_t outermost = capture.pc[capture.count - 1];
    capture_at(3000, 384, 128);
    cr_assert(capture.cut);
    cr_assert_eq(capture.count, 384 + 1 + 128);
    cr_assert_eq(capture.pc[384], (uint64_t)GM_PC_CUT << 48);
    cr_assert_eq(capture.pc[capture.count - 1], outermost);
    cr_assert_eq(frames_in_recurse(), 384 + 128 - above);
    for (uint32_t i = 0; i < 384; i++)
        cr_assert(frame_is_in(capture.pc[i], recurse), "frame %u of the leaf end", i);
    for (uint32_t i = 385; i < capture.count - above; i++)
        cr_assert(frame_is_in(capture.pc[i], recurse), "frame %u of the root end", i);
}

Test(unwind, a_stack_of_just_the_limit_is_not_cut)
{
    capture_at(10, 900, 100);
    uint32_t above = capture.count - 10;
    capture_at((int)(512 - above), 384, 128);
    cr_assert_not(capture.cut);
    cr_assert_eq(capture.count, 512);
    capture_at((int)(513 - above), 384, 128);
    cr_assert(capture.cut);
    cr_assert_eq(capture.count, 513);
}

static struct gm_memo memo;

__attribute__((noinline)) static bool memo_holds_here(void)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    return gm_memo_capture(&memo, &state, &context, 512);
}

__attribute__((noinline)) static bool memo_holds_above_a_large_frame(void)
{
    volatile char buffer[20000];
    buffer[0] = buffer[19999] = 0;
    return memo_holds_here() && buffer[0] == 0;
}

Test(unwind, the_memo_passes_frames_with_large_buffers)
{
    memset(&state, 0, sizeof state);
    cr_assert(memo_holds_above_a_large_frame());
    cr_assert(memo_holds_above_a_large_frame());
}

/* Random paths through functions with and without a frame pointer of their own: whatever the memo says must be what an
 * empty memo finds by walking. */
static struct gm_memo empty;
static uint32_t found_count, path_seed;

static uint32_t path_random(uint32_t below)
{
    path_seed = path_seed * 1664525u + 1013904223u;
    return (path_seed >> 16) % below;
}

__attribute__((noinline)) static void path_end(void)
{
    struct gm_context context = GM_CALLER_CONTEXT();
    empty.count = 0;
    cr_assert(gm_memo_capture(&empty, &state, &context, 512));
    uint64_t hash = empty.frame[empty.count].hash, found = gm_memo_find(&memo, &context);
    cr_assert(found == 0 || found == hash, "seed %u", path_seed);
    found_count += found != 0;
    if (path_random(4) == 0)
        return; /* as where the name is known to be sent */
    cr_assert(gm_memo_capture(&memo, &state, &context, 512));
    cr_assert_eq(memo.frame[memo.count].hash, hash);
}

__attribute__((noinline)) static void path(uint32_t length);

__attribute__((noinline)) static void path_variable(uint32_t length)
{
    char *buffer = __builtin_alloca(16 + path_random(3) * 16);
    __asm__ volatile("" : : "r"(buffer) : "memory");
    path(length);
    __asm__ volatile(""); /* no tail call */
}

__attribute__((noinline)) static void path_fixed(uint32_t length)
{
    char buffer[32];
    __asm__ volatile("" : : "r"(buffer) : "memory");
    path(length);
    __asm__ volatile(""); /* no tail call */
}

__attribute__((noinline)) static void path(uint32_t length)
{
    for (uint32_t i = 1 + path_random(3); i > 0; i--)
        if (length == 0 || path_random(4) == 0)
            path_end();
        else if (path_random(2))
            path_variable(length - 1);
        else
            path_fixed(length - 1);
}

Test(unwind, the_memo_says_what_a_walk_finds)
{
    memset(&state, 0, sizeof state);
    memset(&memo, 0, sizeof memo);
    for (path_seed = 1; found_count < 100000; path_seed++)
        path(12);
}

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    capture_here();
    handled = 1;
}

static void signal_captures(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    handled = 0;
    capture.leaf = 384;
    capture.root = 128;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    cr_assert(handled);
    uint32_t exact = 0;
    for (uint32_t i = 0; i < capture.count; i++)
        exact += capture.pc[i] >> 48 == GM_PC_EXACT;
    cr_expect_geq(exact, 1, "the interrupted frame is marked");
    cr_expect_eq(capture.pc[capture.count - 1] >> 48 & GM_PC_LOST_ROOT, 0);
}

Test(unwind, a_signal_handler_has_the_interrupted_code_below_it)
{
    capture_at(1, 384, 128);
    uint64_t outermost = capture.pc[capture.count - 1];
    signal_captures(0);
    cr_expect_eq(capture.pc[capture.count - 1], outermost);
}

Test(unwind, a_handler_on_an_alternate_stack_reaches_the_root)
{
    static char alternate[65536];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    capture_at(1, 384, 128);
    uint64_t outermost = capture.pc[capture.count - 1];
    sigaltstack(&stack, NULL);
    signal_captures(SA_ONSTACK);
    cr_expect_eq(capture.pc[capture.count - 1], outermost);
}

static void *thread_main(void *ignored)
{
    capture_at(5, 384, 128);
    return ignored;
}

Test(unwind, a_thread_ends_where_it_was_started)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_main, NULL);
    pthread_join(thread, NULL);
    Dl_info info;
    cr_assert(dladdr((void *)(capture.pc[capture.count - 1] & GM_PC_MASK), &info));
    cr_expect(strstr(info.dli_fname, "libc.so.6"), "outermost frame in %s", info.dli_fname);
    cr_expect_eq(capture.pc[capture.count - 1] >> 48, 0);
}

Test(unwind, libunwind_agrees)
{
    gm_unwind_choose(GM_UNWIND_CFI, true);
    cr_assert(gm_unwind_load_due());
    gm_unwind_load();
    struct gm_context context = GM_CALLER_CONTEXT();
    capture.leaf = 384;
    capture.root = 128;
    gm_unwind_capture(&state, &context, &capture);
    uint32_t index = 0;
    uintptr_t pc = 0;
    cr_assert(gm_unwind_verify(&state, &context, &capture, &index, &pc),
        "frame %u: libunwind has 0x%lx", index, pc);
    capture.pc[1] ^= 4;
    cr_assert_not(
        gm_unwind_verify(&state, &context, &capture, &index, &pc), "the comparison can fail");
    cr_assert_eq(index, 1);
}
