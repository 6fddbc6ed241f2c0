/* The parts of the symbol reader that need no file: demangling, paths, ranges; and the protocol. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/symbols/intervals.h"
#include "collector/symbols/names.h"
#include "collector/symbols/protocol.h"

#define ROOM 4096

static void demangles(const char *symbol, const char *expected)
{
    char name[ROOM];
    gm_name_demangle(symbol, name, sizeof name);
    cr_assert_str_eq(name, expected);
}

Test(names, cpp_symbols_are_shown_in_full_without_return_types)
{
    demangles("_ZN3geo3BoxIlE3putERKli", "geo::Box<long>::put(long const&, int)");
    demangles("_ZSt4sortIPiEvT_S1_", "std::sort<int*>(int*, int*)");
    demangles(
        "_ZZN3geo3runEiENKUliE_clEi", "geo::run(int)::{lambda(int)#1}::operator()(int) const");
    demangles("_ZNSt6vectorIiSaIiEE9push_backERKi",
        "std::vector<int, std::allocator<int> >::push_back(int const&)");
    demangles("_Z3fooi.part.0", "foo(int) [clone .part.0]");
    demangles("_Znwm", "operator new(unsigned long)");
    demangles("_GLOBAL__sub_I_main", "_GLOBAL__sub_I_main");
}

Test(names, rust_symbols_lose_their_hash)
{
    demangles(
        "_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE", "core::fmt::Formatter::write_str");
    demangles("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
              "3bar17h930b740aa94f1d3aE",
        "<Test + 'static as foo::Bar<Test>>::bar");
    demangles("_RNvCs6xxl1lAjzDf_1a3map", "a::map");
    demangles("_RNCNvCs6xxl1lAjzDf_1a3map0B3_", "a::map::{closure#0}");
    demangles("_RNvXNtCs6xxl1lAjzDf_1a5innerINtNtCslNYArtu3iFV_5alloc3vec3VechENtB2_2Tr2goB4_",
        "<alloc::vec::Vec<u8> as a::inner::Tr>::go");
}

Test(names, other_symbols_stay_as_they_are)
{
    static const char *const symbols[] = {"main", "", "_", "_Z", "_R", "_ZN", "malloc",
        "foo.constprop.0", "_Z\xff\xfe", "_RNvC", "_ZN99999999999999999999a", "?MSVC@@YAXXZ",
        "_start"};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        demangles(symbols[i], symbols[i]);
}

/* A short name whose readable form doubles with each substitution, and names that nest deeply. */
Test(names, hostile_symbols_are_cut_and_cost_little, .timeout = 20)
{
    static char symbol[200000];
    char name[ROOM];
    size_t n = (size_t)sprintf(symbol, "_Z1fI1aE");
    for (int i = 0; i < 30; i++)
        n += (size_t)sprintf(symbol + n, "%s", "St4pairIS_S_E");
    gm_name_demangle(symbol, name, sizeof name);
    n = (size_t)sprintf(symbol, "_Z1f");
    for (int i = 0; i < 25; i++) {
        static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        n += i ? (size_t)sprintf(symbol + n, "1aIS%c_S%c_E", digits[i - 1], digits[i - 1])
               : (size_t)sprintf(symbol + n, "1aIiiE");
    }
    gm_name_demangle(symbol, name, sizeof name);
    cr_assert_lt(strlen(name), ROOM);
    static const char *const repeated[] = {
        "P", "N", "I", "1aI", "F", "A_", "X", "Z", "K", "dlngng", "NvC1a", "T"};
    for (size_t k = 0; k < sizeof repeated / sizeof *repeated; k++)
        for (size_t length = 500; length < 100000; length *= 4)
            for (int rust = 0; rust < 2; rust++) {
                n = (size_t)sprintf(symbol, rust ? "_R" : "_Z1f");
                while (n < length)
                    n += (size_t)sprintf(symbol + n, "%s", repeated[k]);
                gm_name_demangle(symbol, name, sizeof name);
                cr_assert_lt(strlen(name), ROOM);
            }
    memset(symbol, 'x', 10000);
    symbol[10000] = 0;
    gm_name_demangle(symbol, name, sizeof name);
    cr_assert_eq(strlen(name), ROOM - 1);
    cr_assert_str_eq(name + ROOM - 4, "...");
}

Test(names, long_cpp_symbols_are_demangled_too)
{
    static char symbol[8192];
    char name[ROOM];
    size_t n = (size_t)sprintf(symbol, "_Z1f");
    while (n < 2000)
        n += (size_t)sprintf(symbol + n, "i");
    gm_name_demangle(symbol, name, sizeof name);
    cr_assert_eq(strncmp(name, "f(int, int, int", 15), 0, "%.40s", name);
}

Test(names, are_remembered)
{
    struct gm_names names = {0};
    static char symbols[5000][16];
    for (int i = 0; i < 5000; i++) {
        snprintf(symbols[i], sizeof symbols[i], "_Z%dx%04dv", 5, i);
        const char *name = gm_names_get(&names, symbols[i]);
        cr_assert_str_eq(name + 5, "()");
        cr_assert_eq(atoi(name + 1), i);
    }
    for (int i = 0; i < 5000; i++)
        cr_assert_eq(gm_names_get(&names, symbols[i]), gm_names_get(&names, symbols[i]));
    gm_names_done(&names);
}

static void path_is(const char *folder, const char *file, const char *expected)
{
    char path[ROOM];
    gm_name_path(folder, file, path, sizeof path);
    cr_assert_str_eq(path, expected);
}

Test(names, source_paths_are_joined_and_cleaned)
{
    path_is("/build", "a.c", "/build/a.c");
    path_is("/build", "/src/a.c", "/src/a.c");
    path_is("/build/x", "../a.c", "/build/a.c");
    path_is("/build/x/", ".././../b//./a.c", "/b/a.c");
    path_is("/", "../../a.c", "/a.c");
    path_is(NULL, "./a.c", "a.c");
    path_is(NULL, "../a.c", "../a.c");
    path_is(NULL, "../../x/../a.c", "../../a.c");
    path_is("./libio", "./libio/f.c", "libio/f.c");
    path_is("./libio", "../sysdeps/f.c", "sysdeps/f.c");
    path_is("./a", "../../b/f.c", "../b/f.c");
    path_is("/a", "", "/a");
    path_is(NULL, "x/..", "");
    path_is("/very/long/", "<artificial>", "/very/long/<artificial>");
}

Test(names, paths_that_do_not_fit_are_cut)
{
    static char file[3 * ROOM];
    char path[64];
    for (size_t i = 0; i < sizeof file - 1; i++)
        file[i] = "abcdefghi/"[i % 10];
    gm_name_path("/x", file, path, sizeof path);
    cr_assert_eq(strlen(path), sizeof path - 1);
    cr_assert_str_eq(path + sizeof path - 4, "...");
}

/* The rule of intervals.h, by looking at all of them. */
static const struct gm_interval *interval_naive(const struct gm_intervals *t, uint64_t address)
{
    const struct gm_interval *best = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct gm_interval *v = &t->v[i];
        if (address < v->low || address >= v->high)
            continue;
        if (!best || v->low > best->low || (v->low == best->low && v->high < best->high) ||
            (v->low == best->low && v->high == best->high && v->value < best->value))
            best = v;
    }
    return best;
}

Test(intervals, find_what_a_search_of_all_finds)
{
    unsigned seed = (unsigned)time(NULL);
    srand(seed);
    for (int round = 0; round < 200; round++) {
        struct gm_intervals t = {0};
        int count = rand() % 60;
        for (int i = 0; i < count; i++) {
            uint64_t low = (uint64_t)rand() % 200;
            cr_assert_eq(gm_intervals_add(&t, low, low + (uint64_t)rand() % 60, (uint32_t)i), 0);
        }
        gm_intervals_sort(&t);
        for (uint64_t address = 0; address < 300; address++)
            cr_assert_eq(gm_intervals_find(&t, address), interval_naive(&t, address),
                "seed %u round %d address %lu", seed, round, address);
        gm_intervals_done(&t);
    }
}

static void message_write(struct gm_symmsg_buffer *buffer)
{
    gm_symmsg_begin(buffer, GM_SYMMSG_FRAME);
    gm_symmsg_put_u32(buffer, 7);
    gm_symmsg_put_u64(buffer, UINT64_MAX - 1);
    gm_symmsg_put_text(buffer, "text");
    gm_symmsg_put_text(buffer, NULL);
    gm_symmsg_end(buffer);
}

Test(protocol, messages_arrive_whole_however_they_are_cut)
{
    struct gm_symmsg_buffer out = {0}, in = {0};
    struct gm_symmsg_reader reader;
    uint32_t kind;
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++)
        message_write(&out);
    cr_assert_not(out.failed);
    for (size_t step = 1; out.first < out.end; step = step % 97 + 1) {
        size_t count = step < out.end - out.first ? step : out.end - out.first;
        memcpy(gm_symmsg_buffer_reserve(&in, count), out.bytes + out.first, count);
        in.end += count;
        out.first += count;
        while (gm_symmsg_next(&in, &kind, &reader) > 0) {
            cr_assert_eq(kind, GM_SYMMSG_FRAME);
            cr_assert_eq(gm_symmsg_get_u32(&reader), 7);
            cr_assert_eq(gm_symmsg_get_u64(&reader), UINT64_MAX - 1);
            cr_assert_str_eq(gm_symmsg_get_text(&reader, 4), "text");
            cr_assert_not(gm_symmsg_complete(&reader));
            cr_assert_str_eq(gm_symmsg_get_text(&reader, 0), "");
            cr_assert(gm_symmsg_complete(&reader));
            seen++;
        }
    }
    cr_assert_eq(seen, 1000);
    cr_assert_lt(in.room, 20000, "the buffer does not grow with the number of messages");
    gm_symmsg_buffer_done(&in);
    gm_symmsg_buffer_done(&out);
}

Test(protocol, damaged_messages_are_refused_and_never_read_beyond)
{
    unsigned seed = (unsigned)time(NULL);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        struct gm_symmsg_buffer in = {0};
        struct gm_symmsg_reader reader;
        uint32_t kind;
        message_write(&in);
        message_write(&in);
        for (int n = rand() % 4; n >= 0; n--)
            in.bytes[(size_t)rand() % in.end] = (uint8_t)rand();
        in.bytes = realloc(in.bytes, in.end); /* so that a sanitizer sees a read beyond */
        in.room = in.end;
        while (gm_symmsg_next(&in, &kind, &reader) > 0) {
            gm_symmsg_get_u32(&reader);
            gm_symmsg_get_u64(&reader);
            cr_assert_leq(strlen(gm_symmsg_get_text(&reader, 10)), 10);
            gm_symmsg_get_text(&reader, 10);
            cr_assert(reader.at <= reader.end, "seed %u", seed);
        }
        gm_symmsg_buffer_done(&in);
    }
    struct gm_symmsg_buffer in = {0};
    struct gm_symmsg_reader reader;
    uint32_t kind, header[2] = {GM_SYMMSG_MAX_BYTES + 1, 1};
    memcpy(gm_symmsg_buffer_reserve(&in, sizeof header), header, sizeof header);
    in.end = sizeof header;
    cr_assert_eq(gm_symmsg_next(&in, &kind, &reader), -EBADMSG);
    gm_symmsg_buffer_done(&in);
}
