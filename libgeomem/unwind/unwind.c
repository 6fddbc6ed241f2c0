/* unwind.c - the seam, and what all ways of walking share. See unwind.h. */
#include "libgeomem/unwind/unwind.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/unwind/rule.h"
#include "schemas/wire.h"

static _Atomic uint32_t chosen = GM_UNWIND_CFI; /* the way in force */
static uint32_t wanted = GM_UNWIND_CFI;         /* written before the first event */
static _Atomic bool load_wanted;

void gm_unwind_choose(uint32_t unwinder, bool verify)
{
    wanted = unwinder;
    atomic_store_explicit(
        &chosen, unwinder == GM_UNWIND_FP ? GM_UNWIND_FP : GM_UNWIND_CFI, memory_order_relaxed);
    atomic_store_explicit(
        &load_wanted, verify || unwinder == GM_UNWIND_LIBUNWIND, memory_order_relaxed);
}

/* `environ` is set when libc's own constructor has run. Before that, dlopen would run it with the wrong
 * arguments, and the program would lose its environment. */
bool gm_unwind_load_due(void)
{
    return atomic_load_explicit(&load_wanted, memory_order_relaxed) && environ;
}

void gm_unwind_load(void)
{
    if (!atomic_exchange_explicit(&load_wanted, false, memory_order_relaxed))
        return;
    int saved_errno = errno;
    if (gm_libunwind_load() == 0)
        /* release: what was loaded; pairs with the acquire in gm_unwind_capture of other threads */
        atomic_store_explicit(&chosen, wanted, memory_order_release);
    errno = saved_errno;
}

bool gm_unwind_is_cfi(void)
{
    return atomic_load_explicit(&chosen, memory_order_relaxed) == GM_UNWIND_CFI;
}

void gm_unwind_flush(struct gm_unwind *u)
{
    memset(u->rules, 0, sizeof u->rules);
    u->readable_page = 0;
}

void gm_unwind_capture(
    struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture)
{
    uint32_t way = atomic_load_explicit(&chosen, memory_order_acquire);
    if (way == GM_UNWIND_LIBUNWIND)
        gm_walk_libunwind(context, capture);
    else if (way == GM_UNWIND_FP)
        gm_walk_fp(u, context, capture);
    else
        gm_walk_cfi(u, context, capture);
}

void gm_walk_begin(struct gm_walk *w, struct gm_capture *capture)
{
    w->capture = capture;
    w->total = 0;
}

static void words_reverse(uint64_t *v, uint32_t n)
{
    for (uint32_t i = 0, j = n; i + 1 < j--; i++) {
        uint64_t t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}

/* The root end was written as a circle: turns it so that its oldest frame comes first, behind a word
 * that stands for what was left out. */
void gm_walk_end(struct gm_walk *w, bool lost_root)
{
    struct gm_capture *c = w->capture;
    c->cut = w->total > c->leaf + c->root;
    c->count = w->total;
    if (c->cut) {
        uint64_t *end = c->pc + c->leaf;
        uint32_t oldest = (w->total - c->leaf) % c->root;
        words_reverse(end, oldest);
        words_reverse(end + oldest, c->root - oldest);
        words_reverse(end, c->root);
        memmove(end + 1, end, c->root * sizeof *end);
        end[0] = (uint64_t)GM_PC_CUT << 48;
        c->count = c->leaf + 1 + c->root;
    }
    if (lost_root)
        c->pc[c->count - (c->count == GM_CAPTURE_MAX + 1)] = (uint64_t)GM_PC_LOST_ROOT << 48;
    c->count += lost_root && c->count <= GM_CAPTURE_MAX;
}

/* rt_sigprocmask copies the set in before it looks at `how`: EFAULT tells unreadable memory from EINVAL. */
bool gm_unwind_readable(struct gm_unwind *u, uintptr_t address)
{
    for (uintptr_t end = address + 8; address <= end; address += 8) {
        uintptr_t page = address >> 12;
        if (page == u->readable_page)
            continue;
        if (gm_sys4(SYS_rt_sigprocmask, -1, address, 0, 8) == -14 /* EFAULT */)
            return false;
        u->readable_page = page;
    }
    return true;
}

/* Frame pointers: [rbp] is the caller's rbp, [rbp + 8] the return address. */
void gm_walk_fp(struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture)
{
    struct gm_walk w;
    uintptr_t sp = context->sp, rbp = context->rbp, pc = context->pc;
    gm_walk_begin(&w, capture);
    gm_walk_push(&w, pc, 0);
    while (w.total < GM_WALK_MAX) {
        if (rbp < sp || rbp - sp > (1u << 20) || rbp % 8 != 0 || !gm_unwind_readable(u, rbp))
            break;
        const uintptr_t *frame = (const uintptr_t *)rbp; /* NOLINT */
        pc = frame[1];
        sp = rbp + 16;
        rbp = frame[0];
        if (!gm_pc_is_code(pc))
            break;
        gm_walk_push(&w, pc, 0);
    }
    gm_walk_end(&w, false);
}
