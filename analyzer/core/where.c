/* where.c - see where.h. The rules are lists of name patterns: a list can be read and added to. */
#include "analyzer/core/where.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/core/names.h"

/* File names of modules. Patterns without * must match the whole name. */
static const char *const allocator_modules[] = {"libc.so.*", "libc-2.*.so", "libm.so.*",
    "libdl.so.*", "librt.so.*", "libpthread.so.*", "libpthread-2.*.so", "ld-linux*.so.*",
    "ld-2.*.so", "libstdc++.so.*", "libc++.so.*", "libc++abi.so.*", "libgcc_s.so.*",
    "libgeomem*.so*", "geomem_sqlite_pages.so", "libjemalloc.so.*", "libtcmalloc*.so.*", "libmimalloc*.so*", "linux-vdso*",
    "*vdso*"};

static const char *const runtime_modules[] = {"python2*", "python3*", "libpython*", "perl",
    "perl5*", "libperl.so*", "ruby*", "libruby*", "node", "libnode.so*", "lua*", "liblua*", "php*",
    "libjvm.so", "libsqlite3.so*", "mawk", "gawk", "libguile*", "libtcl*", "libmono*"};

/* Function names, without parameters. Whole-name patterns.
 * The malloc family and its wrappers: those named after what they wrap, then the best known. */
static const char *const wrapper_functions[] = {"*malloc", "*calloc", "*realloc", "*strdup",
    "*strndup", "*memdup", "agalloc", "gv_alloc", "gv_recalloc", "malloc", "calloc", "realloc",
    "reallocarray", "free", "memalign", "aligned_alloc", "posix_memalign", "valloc", "pvalloc",
    "strdup", "strndup", "asprintf", "vasprintf", "operator new*", "operator delete*", "xmalloc*",
    "xcalloc*", "xrealloc*", "xstrdup*", "xstrndup*", "xmemdup*", "xzalloc*", "xreallocarray",
    "do_xmalloc", "do_xmallocz", "zmalloc*", "zcalloc*", "zrealloc*", "ztrymalloc*", "ztrycalloc*",
    "ztryrealloc*", "safe_malloc", "safe_calloc", "safe_realloc", "Perl_safesys*", "Perl_sv_grow",
    "sqlite3Malloc*", "sqlite3MemMalloc", "sqlite3MemRealloc", "sqlite3Realloc*",
    "sqlite3DbMalloc*", "sqlite3DbRealloc*", "sqlite3DbStr*Dup", "sqlite3_malloc*",
    "sqlite3_realloc*", "mallocWithAlarm", "dbMallocRawFinish", "dbReallocFinish", "pcache1Alloc",
    "g_malloc*", "g_realloc*", "g_try_malloc*", "g_slice_alloc*", "g_strdup*", "g_memdup*",
    "PyMem_*", "_PyMem_*", "PyObject_Malloc", "PyObject_Calloc", "PyObject_Realloc",
    "_PyObject_Malloc", "_PyObject_Realloc", "je_*", "mi_*", "tc_malloc*", "geomem_*",
    "allocate_memory"};

static const char *const library_functions[] = {
    /* the C++ library, Rust's allocator and containers */
    "std::*", "__gnu_cxx::*", "__cxxabiv1::*", "__cxa_*", "__rust_*", "__rdl_*", "__rg_*",
    "alloc::*", "core::*", "<alloc::*", "<core::*", "hashbrown::*", "<hashbrown::*", "<std::*",
    /* how a program starts */
    "_start", "__libc_start_*", "start_thread", "clone", "clone3", "__clone*", "call_init*",
    "_dl_*", "dl_open_worker*", "_init", "__libc_*",
    /* stand-ins, see schema.sql, frame.flags */
    "[frames left out]", "[root not reached]"};

/* A pattern in which '*' stands for any text. fnmatch turns both sides into wide characters first where the
 * locale is UTF-8: that alone was a third of what geomem-top did before its first picture. */
static bool pattern_fits(const char *pattern, const char *name)
{
    for (; *pattern != '*'; pattern++, name++) {
        if (*pattern != *name)
            return false;
        if (!*pattern)
            return true;
    }
    while (*pattern == '*')
        pattern++;
    for (;; name++) {
        if (!*pattern || pattern_fits(pattern, name))
            return true;
        if (!*name)
            return false;
    }
}

static bool name_in(const char *name, const char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((*patterns[i] == *name || *patterns[i] == '*') && pattern_fits(patterns[i], name))
            return true;
    return false;
}
#define NAME_IN(name, patterns) name_in(name, patterns, sizeof(patterns) / sizeof *(patterns))

/* A template function's demangled name begins with its return type: "void std::foo<int>(int)".
 * Copies from where the function's own name begins. */
static const char *name_without_type(const char *function)
{
    if (strncmp(function, "operator ", 9) == 0)
        return function;
    int depth = 0;
    const char *start = function;
    for (const char *p = function; *p && !(*p == '(' && depth == 0); p++) {
        if (*p == '<')
            depth++;
        else if (*p == '>' && depth > 0)
            depth--;
        else if (*p == ' ' && depth == 0) {
            if (strncmp(p + 1, "operator", 8) == 0)
                return p + 1 > start && p[1] ? (start == function ? p + 1 : start) : start;
            start = p + 1;
        }
    }
    return *start ? start : function;
}

bool gm_function_wraps(const char *function)
{
    return NAME_IN(function, wrapper_functions) ||
           NAME_IN(name_without_type(function), wrapper_functions);
}

enum gm_frame_class gm_frame_classify(const struct gm_frame *frame)
{
    const char *module = frame->module ? gm_name_base(frame->module) : NULL;
    if (frame->wrapper)
        return GM_FRAME_ALLOCATOR;
    if (module && NAME_IN(module, allocator_modules))
        return GM_FRAME_ALLOCATOR;
    if (gm_function_wraps(frame->function) || NAME_IN(frame->function, library_functions) ||
        NAME_IN(name_without_type(frame->function), library_functions))
        return GM_FRAME_ALLOCATOR;
    if (module && NAME_IN(module, runtime_modules))
        return GM_FRAME_RUNTIME;
    return GM_FRAME_MINE;
}

size_t gm_where_index(const struct gm_stack *stack)
{
    size_t best = 0;
    enum gm_frame_class best_class = GM_FRAME_ALLOCATOR + 1;
    for (size_t i = 0; i < stack->n && best_class != GM_FRAME_MINE; i++) {
        enum gm_frame_class c = gm_frame_classify(&stack->v[i]);
        if (c < best_class) {
            best_class = c;
            best = i;
        }
    }
    return best;
}

char *gm_function_short(const char *function, char *text, size_t text_bytes)
{
    size_t o = 0;
    int depth = 0;
    for (const char *p = function; *p && o + 1 < text_bytes; p++) {
        bool is_operator = p - function >= 8 && strncmp(p - 8, "operator", 8) == 0;
        if (*p == '(' && depth == 0 && p > function && !is_operator &&
            strncmp(p, "(anonymous", 10) != 0)
            break;
        if (*p == '<' && !is_operator && p > function) {
            if (depth++ == 0)
                text[o++] = '<';
        } else if (*p == '>' && depth > 0) {
            if (--depth == 0)
                text[o++] = '>';
        } else if (depth == 0) {
            text[o++] = *p;
        }
    }
    text[o] = 0;
    return text;
}

char *gm_frame_place(const struct gm_frame *frame, char *text, size_t text_bytes)
{
    if (frame->file && frame->line)
        snprintf(text, text_bytes, "%s:%u", gm_name_base(frame->file), frame->line);
    else if (frame->file)
        snprintf(text, text_bytes, "%s", gm_name_base(frame->file));
    else if (frame->module && frame->named)
        snprintf(text, text_bytes, "[%s]", gm_name_base(frame->module));
    else
        snprintf(text, text_bytes, "%s", "");
    return text;
}

char *gm_frame_text(const struct gm_frame *frame, char *text, size_t text_bytes)
{
    char name[256], place[256];
    gm_function_short(frame->function, name, sizeof name);
    gm_frame_place(frame, place, sizeof place);
    snprintf(text, text_bytes, "%s%s%s", name, *place ? " " : "", place);
    return text;
}

char *gm_where_text(const struct gm_stack *stack, char *text, size_t text_bytes)
{
    if (stack->n == 0)
        snprintf(text, text_bytes, "[no stack]");
    else
        gm_frame_text(&stack->v[gm_where_index(stack)], text, text_bytes);
    return text;
}
