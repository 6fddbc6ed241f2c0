/* walk.c - the plain walk over .eh_frame rules.
 *
 * Rows that need other registers (the lazy binder keeps its CFA in rbx) send the walk back to the start with all
 * callee-saved registers, taken from our own frame.
 */
#include <stddef.h>
#include <ucontext.h>

#include "libgeomem/unwind/cfi.h"
#include "libgeomem/unwind/rule.h"
#include "libgeomem/unwind/unwind.h"
#include "schemas/wire.h"

#define GUESS_REACH \
    0x4000u /* how far above rsp a guessed frame pointer may lie; as libunwind does */

static bool row_is_simple(const struct gm_cfi_row *row)
{
    const struct gm_cfi_rule *rbp = &row->reg[GM_CFI_RBP], *ra = &row->reg[GM_CFI_RA];
    if (row->cfa_is_expr || (row->cfa_register != GM_CFI_RSP && row->cfa_register != GM_CFI_RBP))
        return false;
    if (row->cfa_value < 8 || row->cfa_value % 8 != 0 || row->cfa_value > GM_RULE_CFA_MAX)
        return false;
    if (ra->how != GM_CFI_OFFSET || ra->value != -8 || row->reg[GM_CFI_RSP].how != GM_CFI_SAME)
        return false;
    if (rbp->how == GM_CFI_SAME || rbp->how == GM_CFI_UNDEFINED)
        return true;
    return rbp->how == GM_CFI_OFFSET && rbp->value % 8 == 0 && rbp->value <= -16 &&
           rbp->value >= -GM_RULE_SLOT_MAX * 8;
}

static uint16_t row_code(const struct gm_cfi_row *row)
{
    if (row->signal_frame)
        return GM_RULE_SIGNAL;
    if (row->reg[GM_CFI_RA].how == GM_CFI_UNDEFINED)
        return GM_RULE_END;
    if (!row_is_simple(row))
        return GM_RULE_SLOW;
    unsigned slot =
        row->reg[GM_CFI_RBP].how == GM_CFI_OFFSET ? (unsigned)(-row->reg[GM_CFI_RBP].value) / 8 : 0;
    unsigned base = row->cfa_register == GM_CFI_RBP ? GM_RULE_RBP : 0;
    return (uint16_t)(base | (unsigned)row->cfa_value | slot);
}

/* The row at `pc`. Where only the next byte has one, `pc` + 1 is the first byte of a function, and no return address:
 * a stack that was set up by hand, as makecontext does, ends there. */
enum found { FOUND, FOUND_END, FOUND_NONE };

static enum found row_find(uintptr_t pc, struct gm_cfi_row *row)
{
    if (gm_cfi_find(pc, row) == 0)
        return FOUND;
    return gm_cfi_find(pc + 1, row) == 0 ? FOUND_END : FOUND_NONE;
}

uint16_t gm_rule_find(uint64_t *pair, uintptr_t pc)
{
    struct gm_cfi_row row;
    enum found found = row_find(pc, &row);
    if (found == FOUND_NONE)
        return GM_RULE_GUESS;
    uint16_t code = found == FOUND_END ? (uint16_t)GM_RULE_END : row_code(&row);
    *(volatile uint64_t *)&pair[1] = pair[0];
    *(volatile uint64_t *)&pair[0] = pc << 16 | code;
    return code;
}

/* ---- full-register steps -------------------------------------------------------------------------- */

struct registers {
    uint64_t r[GM_CFI_REGISTERS]; /* r[GM_CFI_RA] is the pc */
    bool exact;                   /* pc is not a return address */
    bool all_known;               /* false: only rsp, rbp and pc hold values */
    /* Right below a signal: all registers of the interrupted code, also those that calls do not preserve. A
     * function that aligns its stack has its CFA in one of them for some instructions, setcontext too. */
    const greg_t *interrupted;
};

static bool registers_read(void *context, uintptr_t address, uint64_t *ret_value)
{
    if (!gm_unwind_readable(context, address))
        return false;
    *ret_value = gm_stack_load(address);
    return true;
}

static bool rule_apply(struct gm_unwind *u, const struct gm_cfi_row *row,
    const struct registers *in, unsigned i, uint64_t cfa, uint64_t *ret)
{
    const struct gm_cfi_rule *rule = &row->reg[i];
    uint64_t at;
    switch ((enum gm_cfi_how)rule->how) {
    case GM_CFI_SAME:
    case GM_CFI_UNDEFINED:
        *ret = in->r[i];
        return i != GM_CFI_RA;
    case GM_CFI_OFFSET:
        return registers_read(u, cfa + (uint64_t)(int64_t)rule->value, ret);
    case GM_CFI_VAL:
        *ret = cfa + (uint64_t)(int64_t)rule->value;
        return true;
    case GM_CFI_EXPR:
        return gm_cfi_evaluate(row, rule->value, in->r, in->r[GM_CFI_RA], true, cfa, registers_read,
                   u, &at) == 0 &&
               registers_read(u, at, ret);
    case GM_CFI_VAL_EXPR:
        return gm_cfi_evaluate(row, rule->value, in->r, in->r[GM_CFI_RA], true, cfa, registers_read,
                   u, ret) == 0;
    case GM_CFI_REG:
        if (rule->value >= GM_CFI_REGISTERS)
            return false;
        *ret = in->r[rule->value];
        return true;
    }
    return false;
}

/* The CFA lies in a register that calls do not preserve. */
static bool row_cfa_interrupted(
    const struct gm_cfi_row *row, const struct registers *in, uint64_t *ret)
{
    static const int8_t number[] = {
        REG_RAX, REG_RDX, REG_RCX, -1, REG_RSI, REG_RDI, -1, -1, REG_R8, REG_R9, REG_R10, REG_R11};
    if (!in->interrupted || row->cfa_dwarf >= sizeof number || number[row->cfa_dwarf] < 0)
        return false;
    *ret = (uint64_t)in->interrupted[number[row->cfa_dwarf]] + (uint64_t)(int64_t)row->cfa_value;
    return true;
}

static bool row_cfa(
    struct gm_unwind *u, const struct gm_cfi_row *row, const struct registers *in, uint64_t *ret)
{
    if (row->cfa_is_expr)
        return gm_cfi_evaluate(row, row->cfa_value, in->r, in->r[GM_CFI_RA], false, 0,
                   registers_read, u, ret) == 0;
    if (row->cfa_register >= GM_CFI_REGISTERS)
        return row_cfa_interrupted(row, in, ret);
    *ret = in->r[row->cfa_register] + (uint64_t)(int64_t)row->cfa_value;
    return true;
}

/* True when the row can be applied with rsp, rbp and pc alone. Expressions over other registers are found
 * out by looking at the operations that name registers. */
static bool row_needs_only_rsp_rbp(const struct gm_cfi_row *row)
{
    if (!row->cfa_is_expr)
        return row->cfa_register == GM_CFI_RSP || row->cfa_register == GM_CFI_RBP;
    const uint8_t *p = row->base + row->cfa_value;
    uint8_t first = p[0] ? p[1] : 0;
    return first == 0x77 || first == 0x76 || first == 0x80; /* breg7 rsp, breg6 rbp, breg16 pc */
}

static bool registers_from_signal(struct gm_unwind *u, struct registers *regs)
{
    const ucontext_t *uc = (const ucontext_t *)regs->r[GM_CFI_RSP]; /* NOLINT */
    const greg_t *g = uc->uc_mcontext.gregs;
    if (!gm_unwind_readable(u, (uintptr_t)&g[REG_R8]) ||
        !gm_unwind_readable(u, (uintptr_t)&g[REG_RIP]))
        return false;
    regs->interrupted = g;
    regs->r[GM_CFI_RBX] = (uint64_t)g[REG_RBX];
    regs->r[GM_CFI_RBP] = (uint64_t)g[REG_RBP];
    regs->r[GM_CFI_RSP] = (uint64_t)g[REG_RSP];
    regs->r[GM_CFI_R12] = (uint64_t)g[REG_R12];
    regs->r[GM_CFI_R13] = (uint64_t)g[REG_R13];
    regs->r[GM_CFI_R14] = (uint64_t)g[REG_R14];
    regs->r[GM_CFI_R15] = (uint64_t)g[REG_R15];
    regs->r[GM_CFI_RA] = (uint64_t)g[REG_RIP];
    regs->exact = true;
    regs->all_known = true;
    return true;
}

enum step {
    STEP_OK,
    STEP_END,  /* outermost frame */
    STEP_LOST, /* no way to go on */
    STEP_FULL, /* needs registers this walk does not have */
};

/* One frame up by the row itself. */
static enum step registers_step(struct gm_unwind *u, struct registers *regs)
{
    struct gm_cfi_row row;
    enum found found = row_find(regs->r[GM_CFI_RA] - !regs->exact, &row);
    if (found != FOUND)
        return found == FOUND_END ? STEP_END : STEP_LOST;
    if (row.signal_frame)
        return registers_from_signal(u, regs) ? STEP_OK : STEP_LOST;
    if (row.reg[GM_CFI_RA].how == GM_CFI_UNDEFINED)
        return STEP_END;
    if (!regs->all_known && !row_needs_only_rsp_rbp(&row))
        return STEP_FULL;
    struct registers out = {.all_known = regs->all_known};
    uint64_t cfa;
    bool rsp_by_rule = row.reg[GM_CFI_RSP].how != GM_CFI_SAME;
    if (!row_cfa(u, &row, regs, &cfa) || (cfa < regs->r[GM_CFI_RSP] && !rsp_by_rule))
        return STEP_LOST;
    for (unsigned i = 0; i < GM_CFI_REGISTERS; i++)
        if ((i != GM_CFI_RSP || rsp_by_rule) && !rule_apply(u, &row, regs, i, cfa, &out.r[i]))
            return STEP_LOST;
    if (!rsp_by_rule)
        out.r[GM_CFI_RSP] = cfa;
    *regs = out;
    return STEP_OK;
}

/* The frame-pointer guess for code without tables. */
static enum step registers_guess(struct gm_unwind *u, struct registers *regs)
{
    uint64_t rbp = regs->r[GM_CFI_RBP], sp = regs->r[GM_CFI_RSP];
    if (rbp < sp || rbp - sp > GUESS_REACH || rbp % 8 != 0 || !gm_unwind_readable(u, rbp))
        return rbp == 0 ? STEP_END : STEP_LOST;
    regs->r[GM_CFI_RSP] = rbp + 16;
    regs->r[GM_CFI_RA] = gm_stack_load(rbp + 8);
    regs->r[GM_CFI_RBP] = gm_stack_load(rbp);
    regs->exact = false;
    regs->interrupted = NULL;
    return STEP_OK;
}

/* Walks with all callee-saved registers, from our own frame: the hook's frames are passed over by sp. */
__attribute__((noinline)) static void walk_full(
    struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture)
{
    struct registers regs = {.all_known = true};
    struct gm_walk w;
    __asm__ volatile("leaq 0(%%rip), %%rax\n\tmovq %%rax, %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, "
                     "%2\n\tmovq %%rbx, %3\n\t"
                     "movq %%r12, %4\n\tmovq %%r13, %5\n\tmovq %%r14, %6\n\tmovq %%r15, %7"
                     : "=m"(regs.r[GM_CFI_RA]), "=m"(regs.r[GM_CFI_RSP]), "=m"(regs.r[GM_CFI_RBP]),
                     "=m"(regs.r[GM_CFI_RBX]), "=m"(regs.r[GM_CFI_R12]), "=m"(regs.r[GM_CFI_R13]),
                     "=m"(regs.r[GM_CFI_R14]), "=m"(regs.r[GM_CFI_R15])
                     :
                     : "rax", "memory");
    regs.exact = true;
    gm_walk_begin(&w, capture);
    enum step step = STEP_OK;
    uint64_t guessed = 0;
    for (unsigned own = 0; w.total < GM_WALK_MAX && own < 64; own += w.total == 0) {
        if (regs.r[GM_CFI_RSP] >= context->sp || w.total > 0)
            gm_walk_push(&w, regs.r[GM_CFI_RA], (regs.exact ? GM_PC_EXACT : 0u) | guessed);
        guessed = 0;
        step = registers_step(u, &regs);
        if (step == STEP_LOST) {
            step = registers_guess(u, &regs);
            guessed = GM_PC_GUESSED;
        }
        if (step != STEP_OK)
            break;
        if (!gm_pc_is_code(regs.r[GM_CFI_RA])) {
            step = regs.r[GM_CFI_RA] < 4096 ? STEP_END : STEP_LOST;
            break;
        }
    }
    if (w.total == 0)
        gm_walk_push(&w, context->pc, 0);
    gm_walk_end(&w, step == STEP_LOST);
}

/* ---- the plain walk --------------------------------------------------------------------------------- */

/* A step that is not a simple rule. */
static enum step walk_special(
    struct gm_unwind *u, struct registers *regs, uint16_t code, uint64_t *ret_flags)
{
    regs->all_known = false;
    *ret_flags = 0;
    if (code == GM_RULE_END)
        return STEP_END;
    enum step step = STEP_LOST;
    if (code == GM_RULE_SLOW || code == GM_RULE_SIGNAL)
        step = registers_step(u, regs);
    if (step == STEP_OK)
        *ret_flags = regs->exact ? GM_PC_EXACT : 0;
    if (step != STEP_LOST)
        return step;
    *ret_flags = GM_PC_GUESSED;
    return registers_guess(u, regs);
}

void gm_walk_cfi(struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture)
{
    struct gm_walk w;
    uintptr_t pc = context->pc, sp = context->sp, rbp = context->rbp;
    uint64_t flags = 0;
    bool checked = false; /* after a guess nothing is read unseen */
    enum step step = STEP_OK;
    gm_walk_begin(&w, capture);
    gm_walk_push(&w, pc, 0);
    while (w.total < GM_WALK_MAX) {
        uint16_t code = gm_rule_lookup(u, pc - !(flags & GM_PC_EXACT));
        if (GM_RULE_CFA(code) == 0) {
            struct registers regs = {.exact = flags & GM_PC_EXACT};
            regs.r[GM_CFI_RA] = pc, regs.r[GM_CFI_RSP] = sp, regs.r[GM_CFI_RBP] = rbp;
            step = walk_special(u, &regs, code, &flags);
            if (step == STEP_FULL) {
                walk_full(u, context, capture);
                return;
            }
            if (step != STEP_OK)
                break;
            pc = regs.r[GM_CFI_RA], sp = regs.r[GM_CFI_RSP], rbp = regs.r[GM_CFI_RBP];
            checked |= (flags & GM_PC_GUESSED) != 0;
        } else {
            uintptr_t cfa = (code & GM_RULE_RBP ? rbp : sp) + GM_RULE_CFA(code);
            step = STEP_LOST;
            if (cfa <= sp || cfa % 8 != 0)
                break;
            if ((checked || cfa - sp > GM_FRAME_TRUST) && !gm_unwind_readable(u, cfa - 16))
                break;
            if (GM_RULE_SLOT(code) && checked &&
                !gm_unwind_readable(u, cfa - 8 * GM_RULE_SLOT(code)))
                break;
            step = STEP_OK;
            if (GM_RULE_SLOT(code))
                rbp = gm_stack_load(cfa - 8 * GM_RULE_SLOT(code));
            pc = gm_stack_load(cfa - 8);
            sp = cfa;
            flags = 0;
        }
        if (!gm_pc_is_code(pc)) {
            step = pc < 4096 ? STEP_END : STEP_LOST;
            break;
        }
        gm_walk_push(&w, pc, flags);
    }
    gm_walk_end(&w, step == STEP_LOST || w.total == GM_WALK_MAX);
}
