/* Names for addresses, end to end: client, worker process, and programs whose names are known. */
#include "symbols_ask.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "collector/symbols/names.h"

#define KNOWN GM_TEST_KNOWN "/"
#define VARIANT KNOWN "variants/"
#define MAX_EXPECTED 4

struct expected {
    const char *function, *text; /* text: what the line in the source holds; NULL: no line known */
};

TestSuite(symbols, .init = ask_forget, .fini = ask_forget);

static unsigned source_line(const char *source, const char *text)
{
    char path[PATH_MAX], row[512];
    snprintf(path, sizeof path, "%s/%s", GM_TEST_SOURCES, source);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    unsigned line = 0, found = 0;
    while (!found && fgets(row, sizeof row, file))
        if (++line && strstr(row, text) && row[0] == ' ' && row[1] == ' ')
            found = line;
    fclose(file);
    cr_assert(found, "%s not in %s", text, source);
    return found;
}

/* The answer to frame id is what is expected, innermost first; source NULL: names only. */
static void answer_is(
    const char *what, uint32_t id, const char *source, const struct expected *expected)
{
    const struct answer *answer = &answers[id];
    cr_assert_eq(answer->times, 1, "%s: answered %u times", what, answer->times);
    size_t count = 0;
    while (count < MAX_EXPECTED && expected[count].function)
        count++;
    cr_assert_eq(answer->count, count, "%s: %zu lines, first %s", what, answer->count,
        answer->count ? answer->lines[0].function : "none");
    for (size_t i = 0; i < count; i++) {
        const struct gm_symbols_line *line = &answer->lines[i];
        cr_assert_str_eq(
            line->function ? line->function : "(null)", expected[i].function, "%s", what);
        if (!source || !expected[i].text)
            continue;
        char copy[PATH_MAX];
        cr_assert(line->file, "%s: no file", what);
        snprintf(copy, sizeof copy, "%s", line->file);
        cr_assert_str_eq(basename(copy), source, "%s", what);
        cr_assert_eq(
            line->line, source_line(source, expected[i].text), "%s: line %u", what, line->line);
    }
}

struct mark {
    const char *symbol;
    struct expected lines[MAX_EXPECTED];
};
static const struct mark c_marks[] = {
    {"mark_leaf", {{"known_leaf", "MARK(leaf)"}, {"known_middle", "CALL leaf"},
                      {"known_outer", "CALL middle"}}},
    {"mark_middle", {{"known_middle", "MARK(middle)"}, {"known_outer", "CALL middle"}}},
    {"mark_outer", {{"known_outer", "MARK(outer)"}}},
    {"mark_nested", {{"known_nested", "MARK(nested)"}}},
    {"mark_main", {{"main", "MARK(main)"}}},
    {"known_assembly", {{"known_assembly", NULL}}},
    {0},
};
static const struct mark cc_marks[] = {
    {"mark_constructor", {{"geo::Box<long>::Box(long)", "MARK(constructor)"}}},
    {"mark_method", {{"geo::Box<long>::put(long const&, int)", "MARK(method)"}}},
    {"mark_hidden", {{"geo::(anonymous namespace)::hidden", "MARK(hidden)"}}},
    {"mark_lambda", {{"geo::run(int)::{lambda}::operator()", "MARK(lambda)"}}},
    {"mark_local", {{"geo::run(int)::Local::twice", "MARK(local)"}}},
    {"mark_template", {{"geo::largest<int>(int, int)", "MARK(template)"}}},
    {"mark_c_name", {{"known_c_name", "MARK(c_name)"}}},
    {0},
};

/* Asks for all marks of program as modules of path; frame ids are 1 plus the index of the mark. */
static void marks_ask(struct gm_symbols *symbols, const struct mark *marks, const char *program,
    const char *path, const char *build_id)
{
    cr_assert_eq(gm_symbols_module(symbols, 1, path, build_id), 0);
    for (uint32_t i = 0; marks[i].symbol; i++) {
        uint64_t address = ask_address(program, marks[i].symbol);
        if (address)
            cr_assert_eq(gm_symbols_request(symbols, i + 1, 1, address, true), 0);
        else
            cr_assert_str_eq(marks[i].symbol, "mark_nested", "%s in %s", marks[i].symbol, program);
    }
    ask_wait(symbols);
}

static void marks_check(const struct mark *marks, const char *what, const char *source)
{
    for (uint32_t i = 0; marks[i].symbol; i++)
        if (answers[i + 1].times)
            answer_is(what, i + 1, source, marks[i].lines);
}

Test(symbols, known_programs_have_their_functions_files_lines_and_inlined_calls)
{
    static const char *const programs[] = {"c_O0", "c_O2", "c_dwarf4", "c_compressed", "c_split",
        "c_types", "c_fixed", "c_mapped", "c_clang", "cc_O0", "cc_O2", "cc_lto"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        char path[PATH_MAX], build_id[129];
        bool cc = programs[i][1] == 'c';
        snprintf(path, sizeof path, KNOWN "%s", programs[i]);
        if (strcmp(programs[i], "c_clang") == 0 && access(path, F_OK) != 0)
            continue; /* no clang where this was built */
        struct gm_symbols *symbols = ask_create((struct gm_symbols_options){0});
        ask_build_id(path, build_id);
        cr_assert_eq(strlen(build_id), 40);
        marks_ask(symbols, cc ? cc_marks : c_marks, path, path, build_id);
        cr_assert_eq(sources[1], GM_SYMBOLS_DEBUG, "%s", path);
        marks_check(cc ? cc_marks : c_marks, programs[i], cc ? "known.cc" : "known.c");
        gm_symbols_free(symbols);
    }
}

Test(symbols, mapped_source_paths_are_cleaned)
{
    struct gm_symbols *symbols = ask_create((struct gm_symbols_options){0});
    marks_ask(symbols, c_marks, KNOWN "c_mapped", KNOWN "c_mapped", "");
    cr_assert_str_eq(answers[1].lines[0].file, "/mapped/source/known.c");
    gm_symbols_free(symbols);
}

/* Without names of its own the program finds them elsewhere, with lines or without. */
static void variant_check(struct gm_symbols_options options, const char *path, const char *build_id,
    enum gm_symbols_source source)
{
    struct gm_symbols *symbols = ask_create(options);
    marks_ask(symbols, c_marks, KNOWN "c_O2", path, build_id);
    cr_assert_eq(sources[1], (int)source, "%s: source %d", path, sources[1]);
    for (uint32_t i = 0; c_marks[i].symbol; i++) {
        const struct mark *mark = &c_marks[i];
        if (source == GM_SYMBOLS_DEBUG) {
            answer_is(path, i + 1, "known.c", mark->lines);
        } else if (source == GM_SYMBOLS_NONE) {
            cr_assert_eq(answers[i + 1].times, 1);
            cr_assert_eq(answers[i + 1].count, 0, "%s", path);
        } else {
            size_t last = 0;
            while (last + 1 < MAX_EXPECTED && mark->lines[last + 1].function)
                last++;
            struct expected only[MAX_EXPECTED] = {{mark->lines[last].function, NULL}};
            if (strcmp(mark->symbol, "mark_nested") != 0) /* the symbol is called known_nested.0 */
                answer_is(path, i + 1, NULL, only);
        }
    }
    gm_symbols_free(symbols);
}

static const char *const debug_dirs[] = {"/nowhere", VARIANT "debug"};
static const struct gm_symbols_options with_debug_dir = {
    .debug_dirs = debug_dirs, .debug_dir_count = 2};
static const struct gm_symbols_options plain = {0};

Test(symbols, stripped_programs_find_their_debug_files)
{
    char id[129], deleted[PATH_MAX];
    ask_build_id(KNOWN "c_O2", id);
    snprintf(deleted, sizeof deleted, "%s (deleted)", VARIANT "stripped");
    variant_check(with_debug_dir, VARIANT "stripped", id, GM_SYMBOLS_DEBUG);
    variant_check(plain, VARIANT "stripped", id, GM_SYMBOLS_NONE);
    variant_check(with_debug_dir, deleted, id, GM_SYMBOLS_DEBUG);
    variant_check(with_debug_dir, "/opt/gone", id, GM_SYMBOLS_DEBUG);
    variant_check(with_debug_dir, VARIANT "linked", "", GM_SYMBOLS_DEBUG);
    variant_check(plain, VARIANT "linked", "", GM_SYMBOLS_NONE);
    variant_check(plain, VARIANT "symtab", "", GM_SYMBOLS_SYMTAB);
    variant_check(plain, VARIANT "mini", "", GM_SYMBOLS_SYMTAB);
    variant_check(
        (struct gm_symbols_options){.sysroot = VARIANT "root"}, "/opt/known", id, GM_SYMBOLS_DEBUG);
}

Test(symbols, files_of_another_build_are_not_believed)
{
    char id[129], other[129], deleted[PATH_MAX];
    ask_build_id(KNOWN "c_O2", id);
    ask_build_id(KNOWN "c_O0", other);
    variant_check(plain, KNOWN "c_O0", id, GM_SYMBOLS_NONE);
    variant_check(plain, VARIANT "symtab", id, GM_SYMBOLS_NONE); /* it has none */
    variant_check(plain, KNOWN "c_O2", other, GM_SYMBOLS_NONE);
    /* Replaced on disk: only the build-id can tell that the old file is back. */
    snprintf(deleted, sizeof deleted, "%s (deleted)", KNOWN "c_O2");
    variant_check(plain, deleted, id, GM_SYMBOLS_DEBUG);
    variant_check(plain, deleted, other, GM_SYMBOLS_NONE);
    variant_check(plain, deleted, "", GM_SYMBOLS_NONE);
}

Test(symbols, what_is_no_program_file_has_no_names)
{
    char fifo[] = "/tmp/gm-test-symbols-XXXXXX", path[PATH_MAX];
    cr_assert(mkdtemp(fifo));
    snprintf(path, sizeof path, "%s/fifo", fifo);
    cr_assert_eq(mkfifo(path, 0600), 0);
    const char *const paths[] = {"[vdso]", "", "/", "/dev/zero", "/proc/self/mem", "/etc/passwd",
        path, "relative", "//anon", "/memfd:x (deleted)", "/dev/shm/\n\x01\xff"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        variant_check(plain, paths[i], "", GM_SYMBOLS_NONE);
        variant_check(plain, paths[i], "00112233445566778899", GM_SYMBOLS_NONE);
        variant_check(plain, paths[i], "../../../../../../etc", GM_SYMBOLS_NONE);
    }
    unlink(path);
    rmdir(fifo);
}

Test(symbols, return_addresses_name_the_call_before_them)
{
    struct gm_symbols *symbols = ask_create(plain);
    uint64_t start = ask_address(KNOWN "c_O2", "known_outer");
    cr_assert_eq(gm_symbols_module(symbols, 1, KNOWN "c_O2", ""), 0);
    gm_symbols_request(symbols, 1, 1, start, true);
    gm_symbols_request(symbols, 2, 1, start, false);
    gm_symbols_request(symbols, 3, 1, start + 1, false);
    gm_symbols_request(symbols, 4, 1, 0, false);
    gm_symbols_request(symbols, 5, 1, UINT64_MAX, true);
    ask_wait(symbols);
    cr_assert_str_eq(answers[1].lines[answers[1].count - 1].function, "known_outer");
    cr_assert_str_eq(answers[3].lines[answers[3].count - 1].function, "known_outer");
    if (answers[2].count && answers[2].lines[0].function)
        cr_assert_str_neq(answers[2].lines[0].function, "known_outer");
    cr_assert_eq(answers[4].count, 0);
    cr_assert_eq(answers[5].count, 0);
    gm_symbols_free(symbols);
}

Test(symbols, arguments_out_of_range_are_refused)
{
    struct gm_symbols *symbols = ask_create(plain);
    char long_id[200], *long_path = calloc(1, 10000);
    memset(long_id, 'a', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = 0;
    memset(long_path, '/', 9999);
    cr_assert_eq(gm_symbols_module(symbols, 0, "/a", ""), -EINVAL);
    cr_assert_eq(gm_symbols_module(symbols, UINT32_MAX, "/a", ""), -EINVAL);
    cr_assert_eq(gm_symbols_module(symbols, 1, long_path, ""), -EINVAL);
    cr_assert_eq(gm_symbols_module(symbols, 1, "/a", long_id), -EINVAL);
    cr_assert_eq(gm_symbols_module(symbols, 70000, "/a", ""), 0);
    cr_assert_eq(gm_symbols_module(symbols, 70000, "/a", ""), -EINVAL);
    cr_assert_eq(gm_symbols_request(symbols, 1, 1, 0, true), -EINVAL);
    cr_assert_eq(gm_symbols_request(symbols, 1, UINT32_MAX, 0, true), -EINVAL);
    cr_assert_eq(gm_symbols_poll(symbols, 0, &ask_handler), 0);
    gm_symbols_free(symbols);
    gm_symbols_free(NULL);
    free(long_path);
    cr_assert_eq(
        gm_symbols_create(&(struct gm_symbols_options){.worker_path = "/nowhere/worker"}, &symbols),
        -ENOENT);
}

/* ---- workers that die or lie ------------------------------------------------------------------- */

/* One module per path, some frames each, asked for in turns; returns the client for more. */
static struct gm_symbols *faults_ask(
    const char *const *paths, unsigned modules, unsigned frames, unsigned workers)
{
    struct gm_symbols *symbols =
        ask_create((struct gm_symbols_options){.worker_path = GM_TEST_FAULTY, .workers = workers});
    for (unsigned m = 1; m <= modules; m++)
        cr_assert_eq(gm_symbols_module(symbols, m, paths[m - 1], ""), 0);
    for (unsigned f = 0; f < frames; f++)
        for (unsigned m = 1; m <= modules; m++)
            cr_assert_eq(gm_symbols_request(symbols, f * modules + m, m, f, true), 0);
    return symbols;
}

Test(symbols, a_worker_that_dies_or_lies_costs_only_the_module_it_was_reading)
{
    static const char *const paths[] = {"/fine", "/crash", "/ok", "/half", "/noise", "/twice",
        "/beyond", "/deep", "/bad-source", "/last", "/also"};
    enum { MODULES = sizeof paths / sizeof *paths, FRAMES = 1000 };
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct gm_symbols *symbols = faults_ask(paths, MODULES, FRAMES, workers);
        gm_symbols_hurry(symbols);
        ask_wait(symbols);
        for (unsigned m = 1; m <= MODULES; m++) {
            const char *path = paths[m - 1];
            bool good = strcmp(path, "/fine") == 0 || strcmp(path, "/ok") == 0 ||
                        strcmp(path, "/also") == 0 || strcmp(path, "/last") == 0;
            unsigned named = 0;
            for (unsigned f = 0; f < FRAMES; f++) {
                cr_assert_eq(answers[f * MODULES + m].times, 1, "%s frame %u: %u", path, f,
                    answers[f * MODULES + m].times);
                named += answers[f * MODULES + m].count > 0;
            }
            cr_assert_eq(sources[m], good ? GM_SYMBOLS_SYMTAB : GM_SYMBOLS_NONE, "%s", path);
            if (good)
                cr_assert_eq(named, FRAMES, "%s: %u", path, named);
            else
                cr_assert_lt(named, FRAMES, "%s: %u", path, named);
        }
        cr_assert(strstr(gm_symbols_message(symbols), "no symbols for /"));
        /* What killed a worker is not tried again. */
        cr_assert_eq(gm_symbols_request(symbols, ASK_MAX, 2, 1, true), 0);
        ask_wait(symbols);
        cr_assert_eq(answers[ASK_MAX].count, 0);
        gm_symbols_free(symbols);
        ask_forget();
    }
}

Test(symbols, a_worker_that_cannot_start_leaves_the_requests_pending)
{
    static const char *const paths[] = {"/fine"};
    setenv("FAULT", "early", 1);
    struct gm_symbols *symbols = faults_ask(paths, 1, 5, 1);
    int r;
    while ((r = gm_symbols_poll(symbols, 10000, &ask_handler)) == 0)
        continue;
    cr_assert_eq(r, -EIO);
    cr_assert_eq(gm_symbols_pending(symbols), 5);
    cr_assert(strstr(gm_symbols_message(symbols), "ended at its start"), "%s",
        gm_symbols_message(symbols));
    cr_assert_eq(gm_symbols_poll(symbols, -1, &ask_handler), -EIO);
    gm_symbols_free(symbols);
    unsetenv("FAULT");
}

Test(symbols, requests_come_and_go_in_any_rhythm)
{
    unsigned seed = (unsigned)time(NULL), asked = 0;
    cr_log_info("seed %u\n", seed);
    srand(seed);
    struct gm_symbols *symbols = ask_create((struct gm_symbols_options){.workers = 3});
    uint64_t outer = ask_address(KNOWN "c_O2", "mark_outer");
    for (uint32_t m = 1; m <= 20; m++)
        cr_assert_eq(gm_symbols_module(symbols, m, m % 2 ? KNOWN "c_O2" : KNOWN "c_O0", ""), 0);
    while (asked < 10000) {
        for (int n = rand() % 600; n > 0 && asked < 10000; n--)
            gm_symbols_request(symbols, ++asked, 1 + (uint32_t)rand() % 20, outer, true);
        cr_assert_geq(gm_symbols_poll(symbols, rand() % 3, &ask_handler), 0);
        if (asked > 5000)
            gm_symbols_hurry(symbols);
    }
    ask_wait(symbols);
    for (unsigned i = 1; i <= asked; i++)
        cr_assert_eq(answers[i].times, 1, "seed %u: frame %u", seed, i);
    gm_symbols_free(symbols);
}

/* An ordinary user may not take a process out of the idle class: workers are replaced instead. */
Test(symbols, a_hurry_without_the_right_to_raise_priorities_loses_nothing)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    struct rlimit none = {0, 0};
    uint64_t outer = ask_address(KNOWN "c_O2", "mark_outer");
    cr_assert_eq(setrlimit(RLIMIT_NICE, &none), 0);
    cr_assert_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_SYS_NICE);
    cr_assert_eq(syscall(SYS_capset, &header, data), 0);
    for (int wait_first = 0; wait_first < 2; wait_first++) {
        struct gm_symbols *symbols = ask_create(plain);
        cr_assert_eq(gm_symbols_module(symbols, 1, KNOWN "c_O2", ""), 0);
        for (uint32_t i = 1; i <= 5000; i++)
            gm_symbols_request(symbols, i, 1, outer, true);
        cr_assert_geq(gm_symbols_poll(symbols, wait_first ? 10000 : 0, &ask_handler), 0);
        size_t before = gm_symbols_pending(symbols);
        gm_symbols_hurry(symbols);
        cr_assert_eq(gm_symbols_pending(symbols), before);
        ask_wait(symbols);
        for (uint32_t i = 1; i <= 5000; i++) {
            cr_assert_eq(answers[i].times, 1);
            cr_assert_str_eq(answers[i].lines[0].function, "known_outer");
        }
        gm_symbols_free(symbols);
    }
}

/* ---- damaged files ----------------------------------------------------------------------------- */

static char *file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    cr_assert(file && fstat(fileno(file), &status) == 0);
    char *bytes = malloc((size_t)status.st_size);
    cr_assert_eq(fread(bytes, 1, (size_t)status.st_size, file), (size_t)status.st_size);
    fclose(file);
    *ret_size = (size_t)status.st_size;
    return bytes;
}

static void file_write(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

Test(symbols, damaged_files_end_no_client_and_every_frame_is_answered, .timeout = 110)
{
    enum { FILES = 60, FRAMES = 100 };
    unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u\n", seed);
    srand(seed);
    char folder[] = "/tmp/gm-test-symbols-XXXXXX", path[PATH_MAX];
    size_t size;
    cr_assert(mkdtemp(folder));
    char *good = file_read(KNOWN "cc_O2", &size), *bad = malloc(size);
    struct gm_symbols *symbols = NULL;
    /* Workers may die here, and need not say so on our standard error. */
    const struct gm_symbols_options options = {.worker_path = GM_TEST_WORKER, .workers = 2};
    cr_assert_eq(gm_symbols_create(&options, &symbols), 0);
    uint64_t start = ask_address(KNOWN "cc_O2", "main"),
             method = ask_address(KNOWN "cc_O2", "mark_method");
    for (uint32_t m = 1; m <= FILES; m++) {
        size_t length = m % 3 == 0 ? (size_t)rand() % size : size;
        memcpy(bad, good, size);
        for (int n = m % 3 == 0 ? 0 : 1 << (rand() % 12); n > 0; n--)
            bad[(size_t)rand() % (m % 3 == 1 ? 4096 : size)] = (char)rand();
        snprintf(path, sizeof path, "%s/%u", folder, m);
        file_write(path, bad, length);
        cr_assert_eq(gm_symbols_module(symbols, m, path, ""), 0);
        for (uint32_t f = 0; f < FRAMES; f++)
            gm_symbols_request(
                symbols, m * FRAMES + f, m, f % 2 ? method + f / 2 : start + f, true);
    }
    gm_symbols_hurry(symbols);
    ask_wait(symbols);
    for (uint32_t i = FRAMES; i < (FILES + 1) * FRAMES; i++)
        cr_assert_eq(answers[i].times, 1, "seed %u: frame %u", seed, i);
    for (uint32_t m = 1; m <= FILES; m++) {
        snprintf(path, sizeof path, "%s/%u", folder, m);
        unlink(path);
    }
    rmdir(folder);
    gm_symbols_free(symbols);
    free(good);
    free(bad);
}

Test(symbols, a_file_that_would_be_read_for_ever_is_given_up)
{
    struct gm_symbols *symbols = ask_create((struct gm_symbols_options){.cpu_seconds = 1});
    uint64_t hostile = ask_address(KNOWN "hostile", "mark_hostile");
    cr_assert_eq(gm_symbols_module(symbols, 1, KNOWN "hostile", ""), 0);
    cr_assert_eq(gm_symbols_module(symbols, 2, KNOWN "c_O2", ""), 0);
    gm_symbols_request(symbols, 1, 1, hostile, true);
    gm_symbols_request(symbols, 2, 2, ask_address(KNOWN "c_O2", "mark_outer"), true);
    ask_wait(symbols);
    cr_assert_eq(answers[1].count, 0);
    cr_assert_eq(sources[1], GM_SYMBOLS_NONE);
    cr_assert(strstr(gm_symbols_message(symbols), "signal 27"), "%s", gm_symbols_message(symbols));
    cr_assert_str_eq(answers[2].lines[0].function, "known_outer");
    gm_symbols_free(symbols);
}

/* ---- agreement --------------------------------------------------------------------------------- */

/* Reads addr2line's lines for one address: pairs of function and file:line, up to the next "0x". */
static size_t others_read(
    FILE *from, char (*functions)[512], char (*files)[512], unsigned *lines, size_t room)
{
    size_t count = 0;
    int c;
    while ((c = fgetc(from)) != EOF) {
        char row[512], place[512], *end;
        ungetc(c, from);
        if (!fgets(row, sizeof row, from) || strncmp(row, "0x", 2) == 0)
            break;
        cr_assert(fgets(place, sizeof place, from));
        row[strcspn(row, "\n")] = 0;
        end = strrchr(place, ':');
        cr_assert(end && count < room);
        *end = 0;
        strcpy(functions[count], row);
        gm_name_path(NULL, place, files[count], sizeof files[count]);
        lines[count++] = (unsigned)strtoul(end + 1, NULL, 10);
    }
    return count;
}

/* Binutils reads the same DWARF with code of its own. */
Test(symbols, agrees_with_addr2line_on_every_part_of_a_real_program)
{
    enum { ASKED = 400, ROOM = 32 };
    struct gm_symbols *symbols = ask_create((struct gm_symbols_options){0});
    char command[PATH_MAX + 64], functions[ROOM][512], files[ROOM][512];
    unsigned lines[ROOM], compared = 0, inlined = 0;
    uint64_t low = ask_address(GM_TEST_WORKER, "main"), addresses[ASKED];
    char list[] = "/tmp/gm-test-symbols-XXXXXX";
    int fd = mkstemp(list);
    FILE *file = fdopen(fd, "w");
    cr_assert(file && low);
    uint64_t from = ask_address(GM_TEST_WORKER, "gm_dwarf_find");
    cr_assert_eq(gm_symbols_module(symbols, 1, GM_TEST_WORKER, ""), 0);
    for (uint32_t i = 0; i < ASKED; i++) {
        addresses[i] = (i % 2 ? low : from) + i * 7;
        fprintf(file, "0x%lx\n", addresses[i]);
        gm_symbols_request(symbols, i + 1, 1, addresses[i], true);
    }
    fclose(file);
    ask_wait(symbols);
    snprintf(command, sizeof command, "addr2line -afi -e %s <%s", GM_TEST_WORKER, list);
    FILE *from_tool = popen(command, "r");
    cr_assert(from_tool);
    others_read(from_tool, functions, files, lines, ROOM); /* up to the first address */
    for (uint32_t i = 0; i < ASKED; i++) {
        size_t count = others_read(from_tool, functions, files, lines, ROOM);
        const struct answer *ours = &answers[i + 1];
        if (!ours->count || !ours->lines[0].file || !ours->lines[ours->count - 1].function)
            continue;
        cr_assert_eq(
            ours->count, count, "0x%lx: %zu and %zu lines", addresses[i], ours->count, count);
        for (size_t k = 0; k < count; k++) {
            cr_assert_str_eq(ours->lines[k].function, functions[k], "0x%lx", addresses[i]);
            cr_assert_str_eq(ours->lines[k].file, files[k], "0x%lx", addresses[i]);
            cr_assert_eq(ours->lines[k].line, lines[k], "0x%lx: %u", addresses[i], lines[k]);
        }
        compared++;
        inlined += count > 1;
    }
    cr_assert_eq(pclose(from_tool), 0);
    unlink(list);
    cr_assert_gt(compared, ASKED / 2, "only %u compared", compared);
    cr_log_info("%u compared, %u of them inlined\n", compared, inlined);
    gm_symbols_free(symbols);
}

/* A real library's dynamic symbols, against a search that looks at every symbol for every address. */
Test(symbols, agrees_with_a_naive_search_of_the_c_library)
{
    enum { ASKED = 3000 };
    static uint64_t addresses[ASKED];
    char copy[] = "/tmp/gm-test-symbols-XXXXXX", command[PATH_MAX];
    int fd = mkstemp(copy);
    close(fd);
    snprintf(command, sizeof command,
        "objcopy -R .note.gnu.build-id -R .gnu_debuglink -R .gnu_debugdata --strip-all "
        "\"$(realpath \"$(gcc -print-file-name=libc.so.6)\")\" %s",
        copy);
    cr_assert_eq(system(command), 0);
    struct gm_symbols *symbols = ask_create((struct gm_symbols_options){0});
    cr_assert_eq(gm_symbols_module(symbols, 1, copy, ""), 0);
    Elf *elf = ask_elf_open(copy, &fd);
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    Elf_Data *data;
    GElf_Sym sym;
    cr_assert(ask_section_next(elf, &section, SHT_DYNSYM, &header, &data));
    int symbol_count = (int)(header.sh_size / header.sh_entsize);
    srand(1);
    for (uint32_t i = 0; i < ASKED; i++) {
        do
            gelf_getsym(data, rand() % symbol_count, &sym);
        while (GELF_ST_TYPE(sym.st_info) != STT_FUNC || !sym.st_value);
        addresses[i] = sym.st_value + (uint64_t)rand() % (sym.st_size + 64);
        gm_symbols_request(symbols, i + 1, 1, addresses[i], true);
    }
    ask_wait(symbols);
    cr_assert_eq(sources[1], GM_SYMBOLS_SYMTAB);
    for (uint32_t i = 0; i < ASKED; i++) {
        uint64_t best = 0;
        bool named = false;
        for (int pass = 0; pass < 2; pass++)
            for (int k = 1; gelf_getsym(data, k, &sym); k++) {
                unsigned type = GELF_ST_TYPE(sym.st_info);
                if ((type != STT_FUNC && type != STT_GNU_IFUNC) || sym.st_shndx == SHN_UNDEF ||
                    addresses[i] < sym.st_value || addresses[i] - sym.st_value >= sym.st_size)
                    continue;
                if (pass == 0 && sym.st_value > best)
                    best = sym.st_value;
                if (pass == 1 && sym.st_value == best && answers[i + 1].count)
                    named |= strcmp(elf_strptr(elf, header.sh_link, sym.st_name),
                                 answers[i + 1].lines[0].function) == 0;
            }
        if (best)
            cr_assert(named, "0x%lx: %s", addresses[i],
                answers[i + 1].count ? answers[i + 1].lines[0].function : "no name");
        else
            cr_assert_eq(answers[i + 1].count, 0, "0x%lx: %s", addresses[i],
                answers[i + 1].lines[0].function);
    }
    elf_end(elf);
    close(fd);
    unlink(copy);
    gm_symbols_free(symbols);
}
