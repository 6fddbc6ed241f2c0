/* libunwind.c - libunwind as a second way to walk, and as the oracle of --verify.
 *
 * The library is loaded with dlopen(RTLD_LOCAL): as a dependency of the preload library it would take over
 * _Unwind_RaiseException and its kin from libgcc_s, and make every C++ throw in a C program slower.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "libgeomem/unwind/unwind.h"
#include "schemas/wire.h"

static struct {
    bool loaded;
    int (*backtrace)(void **, int);
    int (*get_context)(unw_context_t *);
    int (*init_local)(unw_cursor_t *, unw_context_t *);
    int (*step)(unw_cursor_t *);
    int (*get_reg)(unw_cursor_t *, unw_regnum_t, unw_word_t *);
} lib;

#define STRING(x) #x
#define NAME(x) STRING(x) /* the macro names of libunwind.h expand to the symbol names */

int gm_libunwind_load(void)
{
    if (lib.loaded)
        return 0;
    void *so = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return -ENOENT;
    *(void **)&lib.backtrace = dlsym(so, "unw_backtrace");
    *(void **)&lib.get_context = dlsym(so, "_Ux86_64_getcontext");
    *(void **)&lib.init_local = dlsym(so, NAME(unw_init_local));
    *(void **)&lib.step = dlsym(so, NAME(unw_step));
    *(void **)&lib.get_reg = dlsym(so, NAME(unw_get_reg));
    lib.loaded = lib.backtrace && lib.get_context && lib.init_local && lib.step && lib.get_reg;
    return lib.loaded ? 0 : -ENOENT;
}

bool gm_unwind_has_oracle(void)
{
    return lib.loaded;
}

void gm_walk_libunwind(const struct gm_context *context, struct gm_capture *capture)
{
    struct gm_walk w;
    int saved_errno = errno;
    void **pc = (void **)(void *)capture->pc;
    int n = lib.backtrace(pc, GM_CAPTURE_MAX), first = 0;
    while (first < n && (uintptr_t)pc[first] != context->pc)
        first++;
    gm_walk_begin(&w, capture);
    if (first == n)
        gm_walk_push(&w, context->pc, 0);
    /* in place: what is pushed lies below what is read */
    for (int i = first; i < n; i++)
        gm_walk_push(&w, (uintptr_t)pc[i], 0);
    gm_walk_end(&w, first == n || n == GM_CAPTURE_MAX);
    errno = saved_errno;
}

/* The oracle sees the hook's own frames first: the stack pointer tells where the caller begins. */
__attribute__((noinline)) static bool oracle_start(
    unw_cursor_t *cursor, unw_context_t *uc, uintptr_t sp)
{
    unw_word_t at = 0;
    lib.init_local(cursor, uc);
    do {
        if (lib.step(cursor) <= 0)
            return false;
        lib.get_reg(cursor, UNW_REG_SP, &at);
    } while (at < sp);
    return true;
}

static bool oracle_compare(
    unw_cursor_t *cursor, const struct gm_capture *capture, uint32_t *ret_index, uintptr_t *ret_pc)
{
    unw_word_t ip = 0;
    uint32_t i = 0;
    for (;; i++) {
        lib.get_reg(cursor, UNW_REG_IP, &ip);
        bool mine =
            i < capture->count && (capture->pc[i] >> 48 & (GM_PC_CUT | GM_PC_LOST_ROOT)) == 0;
        if (i < capture->count && (capture->pc[i] >> 48 & GM_PC_CUT))
            return true; /* beyond the cut the two count differently */
        if (ip < 4096 && !mine)
            return true;
        if (!mine || (capture->pc[i] & GM_PC_MASK) != ip)
            break;
        if (lib.step(cursor) <= 0) {
            ip = 0;
            i++;
            if (i == capture->count || (capture->pc[i] >> 48 & GM_PC_LOST_ROOT))
                return true;
            break;
        }
    }
    *ret_index = i;
    *ret_pc = ip;
    return false;
}

bool gm_unwind_verify(struct gm_unwind *u, const struct gm_context *context,
    const struct gm_capture *capture, uint32_t *ret_index, uintptr_t *ret_oracle_pc)
{
    struct oracle {
        unw_cursor_t cursor;
        unw_context_t uc;
    } *oracle = (struct oracle *)(void *)u->oracle;
    static_assert(sizeof *oracle <= sizeof u->oracle, "the oracle fits its memory");
    int saved_errno = errno;
    if (!lib.loaded)
        return true;
    lib.get_context(&oracle->uc);
    bool same = oracle_start(&oracle->cursor, &oracle->uc, context->sp) &&
                oracle_compare(&oracle->cursor, capture, ret_index, ret_oracle_pc);
    errno = saved_errno;
    return same;
}
