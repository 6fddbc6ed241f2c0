/* memo.c - see memo.h. */
#include "libgeomem/unwind/memo.h"

#include "libgeomem/unwind/rule.h"
#include "schemas/wire.h"

#define NONE UINT32_MAX

/* Compares the slots of frames `top` - 1 down to the outermost. Returns the frame that owns the first slot
 * that changed, or NONE. */
static inline uint32_t memo_first_change(const struct gm_memo *m, uint32_t top)
{
    const struct gm_memo_slot *s = m->slot + m->slot_end[top - 1];
    while (s-- > m->slot)
        if (__builtin_expect(gm_stack_load(s->address) != s->value, 0)) {
            uint32_t index = (uint32_t)(s - m->slot);
            while (top > 1 && m->slot_end[top - 2] > index)
                top--;
            return top - 1;
        }
    return NONE;
}

enum advance { ADVANCE_OK, ADVANCE_ROOT, ADVANCE_GIVE_UP };

/* Enters the frame (pc, sp, rbp) with its rule into the fresh ones and steps to its caller. */
static inline enum advance memo_advance(struct gm_memo *m, struct gm_unwind *u, uintptr_t *pc,
    uintptr_t *sp, uintptr_t *rbp, uint16_t code)
{
    if (m->fresh_count == GM_CAPTURE_MAX)
        return ADVANCE_GIVE_UP;
    struct gm_memo_frame *f = &m->fresh[m->fresh_count];
    *f = (struct gm_memo_frame){.pc = *pc, .sp = *sp, .rbp = *rbp, .code = code};
    if (GM_RULE_CFA(code) == 0) {
        m->fresh_count += code == GM_RULE_END;
        return code == GM_RULE_END ? ADVANCE_ROOT : ADVANCE_GIVE_UP;
    }
    uintptr_t cfa = (code & GM_RULE_RBP ? *rbp : *sp) + GM_RULE_CFA(code);
    if (cfa <= *sp || cfa % 8 != 0 ||
        (cfa - *sp > GM_FRAME_TRUST && !gm_unwind_readable(u, cfa - 16)))
        return ADVANCE_GIVE_UP;
    f->cfa = cfa;
    f->caller_pc = gm_stack_load(cfa - 8);
    f->caller_rbp = GM_RULE_SLOT(code) ? gm_stack_load(cfa - 8 * GM_RULE_SLOT(code)) : *rbp;
    m->fresh_count++;
    *pc = f->caller_pc;
    *sp = cfa;
    *rbp = f->caller_rbp;
    if (__builtin_expect(gm_pc_is_code(f->caller_pc), 1))
        return ADVANCE_OK;
    return f->caller_pc < 4096 ? ADVANCE_ROOT : ADVANCE_GIVE_UP;
}

/* Frames top - 1 down to `last` + 1 are unchanged, though their callers are not: takes them over as fresh,
 * with the rbp that now holds (where it did not matter, the memo has an old one). */
static bool memo_take_over(struct gm_memo *m, uint32_t top, uint32_t last, uintptr_t *rbp)
{
    for (uint32_t i = top; i-- > last + 1;) {
        if (m->fresh_count == GM_CAPTURE_MAX)
            return false;
        struct gm_memo_frame *f = &m->fresh[m->fresh_count++];
        uintptr_t cfa = m->sp[i - 1];
        uint16_t code = m->code[i];
        *f = (struct gm_memo_frame){
            .pc = m->pc[i], .sp = m->sp[i], .rbp = *rbp, .code = code, .cfa = cfa};
        if (GM_RULE_SLOT(code))
            *rbp = gm_stack_load(cfa - 8 * GM_RULE_SLOT(code));
        f->caller_pc = m->pc[i - 1];
        f->caller_rbp = *rbp;
    }
    return true;
}

/* Walks until the memo or the root is met. Returns how many of the memo's frames stay, or NONE. */
static uint32_t memo_walk(struct gm_memo *m, struct gm_unwind *u, const struct gm_context *context)
{
    uintptr_t pc = context->pc, sp = context->sp, rbp = context->rbp;
    uint32_t top = m->count;
    m->fresh_count = 0;
    for (;;) {
        uint16_t code = GM_RULE_NONE;
        while (top > 0 && m->sp[top - 1] < sp)
            top--;
        if (top > 0 && m->sp[top - 1] == sp && m->pc[top - 1] == pc &&
            (!m->needs_rbp[top - 1] || m->rbp[top - 1] == rbp)) {
            uint32_t changed = memo_first_change(m, top);
            if (changed == NONE)
                return top;
            if (!memo_take_over(m, top, changed, &rbp))
                return NONE;
            pc = m->pc[changed];
            sp = m->sp[changed];
            code = m->code[changed];
            top = changed;
        }
        if (code == GM_RULE_NONE)
            code = gm_rule_lookup(u, pc - 1);
        enum advance a = memo_advance(m, u, &pc, &sp, &rbp, code);
        if (a == ADVANCE_ROOT)
            return 0;
        if (a == ADVANCE_GIVE_UP)
            return NONE;
    }
}

/* Puts one fresh frame behind frame n - 1: its name, whether rbp matters to it, and the slots that prove it. */
static inline void memo_push(struct gm_memo *m, uint32_t n, const struct gm_memo_frame *f)
{
    uint32_t slots = n ? m->slot_end[n - 1] : 0;
    bool caller_needs = n && m->needs_rbp[n - 1];
    bool ends = f->code == GM_RULE_END;
    m->hash[n] = gm_stack_hash(n ? m->hash[n - 1] : GM_STACK_ROOT, f->pc);
    m->pc[n] = f->pc;
    m->sp[n] = f->sp;
    m->rbp[n] = f->rbp;
    m->code[n] = f->code;
    m->needs_rbp[n] =
        !ends && ((f->code & GM_RULE_RBP) || (!GM_RULE_SLOT(f->code) && caller_needs));
    if (!ends)
        m->slot[slots++] = (struct gm_memo_slot){f->cfa - 8, f->caller_pc};
    if (!ends && GM_RULE_SLOT(f->code) && caller_needs)
        m->slot[slots++] = (struct gm_memo_slot){f->cfa - 8 * GM_RULE_SLOT(f->code), f->caller_rbp};
    m->slot_end[n] = slots;
}

bool gm_memo_capture(
    struct gm_memo *m, struct gm_unwind *u, const struct gm_context *context, uint32_t limit)
{
    uint32_t kept = memo_walk(m, u, context);
    if (kept == NONE || kept + m->fresh_count > limit) {
        m->count = kept == NONE ? m->count : kept;
        return false;
    }
    /* Until the last frame stands, the memo is what it shares with the old one: a handler may leave this
     * function by longjmp. */
    m->count = kept;
    for (uint32_t i = m->fresh_count, n = kept; i-- > 0; n++)
        memo_push(m, n, &m->fresh[i]);
    *(volatile uint32_t *)&m->count = kept + m->fresh_count;
    return m->count > 0;
}
