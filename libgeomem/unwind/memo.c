/* memo.c - see memo.h. */
#include "libgeomem/unwind/memo.h"

#include <stddef.h>

#include "libgeomem/unwind/rule.h"
#include "schemas/wire.h"

#define NONE UINT32_MAX

/* Where frame i saves its caller's rbp. */
static inline uint64_t frame_saved_rbp(const struct gm_memo_frame *f)
{
    return gm_stack_load(f[-1].sp - 8 * GM_RULE_SLOT(f->code));
}

static inline bool frame_returns(const struct gm_memo_frame *f)
{
    return __builtin_expect(gm_stack_load(f[-1].sp - 8) == f[-1].pc, 1);
}

/* Compares what was read from frame `top` to the root. Returns the first frame whose caller has changed, or 0. */
static inline uint32_t memo_first_change(const struct gm_memo *m, uint32_t top)
{
    const struct gm_memo_frame *f = &m->frame[top], *outermost = &m->frame[1];
    for (; f->saved_above && f > outermost; f--)
        if (!frame_returns(f) || (f->saves_rbp && frame_saved_rbp(f) != f[-1].rbp))
            return (uint32_t)(f - m->frame);
    for (; f > outermost; f--)
        if (!frame_returns(f))
            return (uint32_t)(f - m->frame);
    return f->code != GM_RULE_END && gm_stack_load(m->root_cfa - 8) != m->root_pc;
}

/* Frames `top` down to `last` + 1 are unchanged, though their callers are not: takes them over as fresh, with the rbp
 * that now holds (where it did not matter, the memo has an old one). Returns the rbp of frame `last`. */
__attribute__((noinline)) static uintptr_t memo_take_over(const struct gm_memo *m, uint32_t top,
    uint32_t last, struct gm_memo_frame *fresh, uintptr_t rbp)
{
    for (const struct gm_memo_frame *f = &m->frame[top]; f > &m->frame[last]; f--, fresh++) {
        fresh->pc = f->pc;
        fresh->sp = f->sp;
        fresh->rbp = rbp;
        fresh->code = f->code;
        if (GM_RULE_SLOT(f->code))
            rbp = frame_saved_rbp(f);
    }
    return rbp;
}

/* A frame that is larger than what is trusted, or empty, or not a number of words. */
static bool frame_is_odd(struct gm_unwind *u, uintptr_t sp, uintptr_t cfa)
{
    return cfa <= sp || cfa % 8 != 0 ||
           (cfa - sp > GM_FRAME_TRUST && !gm_unwind_readable(u, cfa - 16));
}

/* Walks until the memo or the root is met. Returns how many of the memo's frames stay, or NONE. */
static inline uint32_t memo_walk(
    struct gm_memo *m, struct gm_unwind *u, const struct gm_context *context, uint32_t limit)
{
    uintptr_t pc = context->pc, sp = context->sp, rbp = context->rbp;
    struct gm_memo_frame *top = &m->frame[m->count], *fresh = m->fresh;
    struct gm_memo_frame *fresh_end = &m->fresh[limit];
    uint32_t at = gm_rule_pair(pc - 1);
    m->frame[0].sp = UINTPTR_MAX;
    for (;; fresh++) {
        uint16_t code;
        while (top->sp < sp)
            top--;
        if (top->sp == sp && top->pc == pc && (!top->needs_rbp || top->rbp == rbp)) {
            uint32_t kept = (uint32_t)(top - m->frame), changed = memo_first_change(m, kept);
            if (changed == 0) {
                m->fresh_count = (uint32_t)(fresh - m->fresh);
                return kept;
            }
            if (fresh + (kept - changed) >= fresh_end)
                return NONE;
            rbp = memo_take_over(m, kept, changed, fresh, rbp);
            fresh += kept - changed;
            top = &m->frame[changed - 1];
            pc = top[1].pc;
            sp = top[1].sp;
            code = top[1].code;
            at = gm_rule_pair(pc - 1);
        } else {
            code = gm_rule_lookup_caller(u, pc - 1, &at);
        }
        if (__builtin_expect(fresh == fresh_end, 0))
            return NONE;
        fresh->pc = pc;
        fresh->sp = sp;
        fresh->rbp = rbp;
        fresh->code = code;
        uintptr_t cfa = (code & GM_RULE_RBP ? rbp : sp) + GM_RULE_CFA(code);
        if (__builtin_expect(cfa - sp - 1 >= GM_FRAME_TRUST || cfa % 8 != 0, 0)) {
            if (code == GM_RULE_END) {
                m->fresh_count = (uint32_t)(fresh - m->fresh) + 1;
                return 0;
            }
            if (GM_RULE_CFA(code) == 0 || frame_is_odd(u, sp, cfa))
                return NONE;
        }
        pc = gm_stack_load(cfa - 8);
        if (GM_RULE_SLOT(code))
            rbp = gm_stack_load(cfa - 8 * GM_RULE_SLOT(code));
        sp = cfa;
        if (__builtin_expect(!gm_pc_is_code(pc), 0)) {
            if (pc >= 4096)
                return NONE;
            m->root_cfa = cfa;
            m->root_pc = pc;
            m->fresh_count = (uint32_t)(fresh - m->fresh) + 1;
            return 0;
        }
    }
}

/* Puts the fresh frames behind frame `kept`: their names, and to which rbp matters. */
static inline void memo_push(struct gm_memo *m, uint32_t kept)
{
    struct gm_memo_frame *to = &m->frame[kept + 1];
    uint64_t hash = kept ? to[-1].hash : GM_STACK_ROOT;
    bool needs_rbp = kept && to[-1].needs_rbp, saved_above = kept && to[-1].saved_above;
    for (const struct gm_memo_frame *f = &m->fresh[m->fresh_count]; f-- > m->fresh; to++) {
        bool saves = GM_RULE_SLOT(f->code) != 0;
        to->hash = hash = gm_stack_hash(hash, f->pc);
        to->pc = f->pc;
        to->sp = f->sp;
        to->rbp = f->rbp;
        to->code = f->code;
        to->saves_rbp = saves & needs_rbp;
        to->saved_above = saved_above |= saves & needs_rbp;
        to->needs_rbp = needs_rbp = f->code >> 15 | (!saves & needs_rbp);
    }
}

/* ---- tips --------------------------------------------------------------------------------------------- */

static inline struct gm_memo_tip *tip_set(struct gm_memo *m, const struct gm_context *context)
{
    return m->tip[(context->pc ^ context->sp << 20) * 0x9e3779b97f4a7c15ull >> 58 &
                  (GM_MEMO_TIP_SETS - 1)];
}

/* Keeps the stack just captured as a tip on frame `kept`. A handler may leave this function by longjmp. */
static inline void memo_keep_tip(struct gm_memo *m, const struct gm_context *context, uint32_t kept)
{
    struct gm_memo_tip *tip = m->tip_next;
    const struct gm_memo_frame *joint = &m->frame[kept], *leaf = &m->frame[m->count];
    struct gm_memo_slot *s = tip->slot, *end = s + GM_MEMO_TIP_SLOTS;
    m->tip_next = NULL;
    *(volatile uintptr_t *)&tip->pc = 0;
    for (const struct gm_memo_frame *f = leaf; f > joint; f--) {
        if (s >= end - 1)
            return;
        *s++ = (struct gm_memo_slot){f[-1].sp - 8, f[-1].pc};
        if (f->saves_rbp)
            *s++ = (struct gm_memo_slot){f[-1].sp - 8 * GM_RULE_SLOT(f->code), f[-1].rbp};
    }
    tip->sp = context->sp;
    tip->rbp = context->rbp;
    tip->hash = leaf->hash;
    tip->joint_hash = joint->hash;
    tip->joint_sp = joint->sp;
    tip->joint_rbp = joint->rbp;
    tip->joint = (uint16_t)kept;
    tip->slots = (uint16_t)(s - tip->slot);
    tip->needs_rbp = leaf->needs_rbp;
    *(volatile uintptr_t *)&tip->pc = context->pc;
}

static inline bool tip_joins(const struct gm_memo *m, const struct gm_memo_tip *tip)
{
    const struct gm_memo_frame *joint = &m->frame[tip->joint];
    return tip->joint <= m->count && joint->hash == tip->joint_hash && joint->sp == tip->joint_sp &&
           (!joint->needs_rbp || joint->rbp == tip->joint_rbp);
}

static inline bool tip_stands(const struct gm_memo_tip *tip)
{
    for (const struct gm_memo_slot *s = tip->slot; s < tip->slot + tip->slots; s++)
        if (gm_stack_load(s->address) != s->value)
            return false;
    return true;
}

/* A hit saves three times what a miss costs. Where hits have been too few for long, one capture in 16 tries. */
#define TIP_GAIN 3u
#define TIP_DEBT_MAX 256u
#define TIP_TRIES 16u

uint64_t gm_memo_find(struct gm_memo *m, const struct gm_context *context)
{
    struct gm_memo_tip *tip = tip_set(m, context), *end = tip + GM_MEMO_TIP_WAYS;
    const struct gm_memo_frame *leaf = &m->frame[m->count];
    m->tip_next = NULL;
    if (m->count > 0 && leaf->sp == context->sp && leaf->pc == context->pc &&
        (!leaf->needs_rbp || leaf->rbp == context->rbp) && memo_first_change(m, m->count) == 0)
        return leaf->hash;
    uint32_t turn = ++m->tip_turn;
    if (m->tip_debt >= TIP_DEBT_MAX && turn % TIP_TRIES != 0)
        return 0;
    m->tip_next = &tip[(turn + turn / TIP_TRIES) % GM_MEMO_TIP_WAYS];
    for (; tip < end; tip++) {
        if (tip->pc != context->pc || tip->sp != context->sp ||
            (tip->needs_rbp && tip->rbp != context->rbp))
            continue;
        if (!tip_joins(m, tip)) {
            m->tip_next = tip;
        } else if (tip_stands(tip) && memo_first_change(m, tip->joint) == 0) {
            m->tip_debt -= m->tip_debt < TIP_GAIN ? m->tip_debt : TIP_GAIN;
            return tip->hash;
        }
    }
    m->tip_debt += m->tip_debt < TIP_DEBT_MAX;
    return 0;
}

void gm_memo_flush(struct gm_memo *m)
{
    m->count = 0;
    for (uint32_t i = 0; i < GM_MEMO_TIP_SETS * GM_MEMO_TIP_WAYS; i++)
        m->tip[i / GM_MEMO_TIP_WAYS][i % GM_MEMO_TIP_WAYS].pc = 0;
}

bool gm_memo_capture(
    struct gm_memo *m, struct gm_unwind *u, const struct gm_context *context, uint32_t limit)
{
    uint32_t kept = memo_walk(m, u, context, limit);
    if (kept == NONE || kept + m->fresh_count > limit) {
        m->count = kept == NONE ? m->count : kept;
        return false;
    }
    /* Until the last frame stands, the memo is what it shares with the old one: a handler may leave this
     * function by longjmp. */
    *(volatile uint32_t *)&m->count = kept;
    memo_push(m, kept);
    *(volatile uint32_t *)&m->count = kept + m->fresh_count;
    if (m->tip_next && kept > 0 && m->fresh_count > 0)
        memo_keep_tip(m, context, kept);
    return m->count > 0;
}
