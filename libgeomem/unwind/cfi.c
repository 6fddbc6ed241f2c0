/* cfi.c - see cfi.h. */
#include "libgeomem/unwind/cfi.h"

#include <errno.h>
#include <stddef.h>

#include "libgeomem/unwind/bytes.h"
#include "libgeomem/unwind/object.h"

/* Pointer encodings (LSB 5.0 core, 10.5). */
#define ENC_OMIT 0xff
#define ENC_FORMAT 0x0f
#define ENC_RELATION 0x70
#define ENC_PCREL 0x10
#define ENC_DATAREL 0x30
#define ENC_TABLE 0x3b /* sdata4, relative to .eh_frame_hdr: what every linker writes */

static bool pointer_format(struct gm_bytes *b, uint8_t enc, uint64_t *ret)
{
    switch (enc & ENC_FORMAT) {
    case 0x00: /* absptr, udata8, sdata8 */
    case 0x04:
    case 0x0c:
        *ret = gm_bytes_fixed(b, 8);
        return true;
    case 0x01:
        *ret = gm_bytes_uleb(b);
        return true;
    case 0x02:
        *ret = gm_bytes_fixed(b, 2);
        return true;
    case 0x03:
        *ret = gm_bytes_fixed(b, 4);
        return true;
    case 0x09:
        *ret = (uint64_t)gm_bytes_sleb(b);
        return true;
    case 0x0a:
        *ret = (uint64_t)(int16_t)gm_bytes_fixed(b, 2);
        return true;
    case 0x0b:
        *ret = (uint64_t)(int32_t)gm_bytes_fixed(b, 4);
        return true;
    default:
        return false;
    }
}

static bool pointer_read(struct gm_bytes *b, uint8_t enc, uintptr_t datarel, uint64_t *ret)
{
    uintptr_t at = (uintptr_t)b->p;
    if (!pointer_format(b, enc, ret))
        return false;
    if ((enc & ENC_RELATION) == ENC_PCREL)
        *ret += at;
    else if ((enc & ENC_RELATION) == ENC_DATAREL)
        *ret += datarel;
    else if ((enc & ENC_RELATION) != 0)
        return false;
    return true;
}

static unsigned register_index(uint64_t dwarf)
{
    switch (dwarf) {
    case 3:
        return GM_CFI_RBX;
    case 6:
        return GM_CFI_RBP;
    case 7:
        return GM_CFI_RSP;
    case 12:
    case 13:
    case 14:
    case 15:
        return GM_CFI_R12 + (unsigned)(dwarf - 12);
    case 16:
        return GM_CFI_RA;
    default:
        return GM_CFI_OTHER;
    }
}

/* ---- entries -------------------------------------------------------------------------------------- */

struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint8_t pointer_enc;
    bool has_augmentation;
    bool signal_frame;
    struct gm_bytes program;
};

/* The body of the entry at `at`. The 64-bit form does not occur in .eh_frame on this platform. */
static bool entry_read(const uint8_t *at, struct gm_bytes *ret)
{
    uint32_t length;
    memcpy(&length, at, 4);
    if (length == 0 || length >= 0xfffffff0u)
        return false;
    ret->p = at + 4;
    ret->end = at + 4 + length;
    return true;
}

static bool cie_augmentation(struct cie *cie, struct gm_bytes *b, const char *letters)
{
    struct gm_bytes a = *b;
    uint64_t length = gm_bytes_uleb(&a), ignored;
    *b = a;
    if (!gm_bytes_skip(b, length))
        return false;
    a.end = b->p;
    for (; *letters; letters++) {
        if (*letters == 'R')
            cie->pointer_enc = (uint8_t)gm_bytes_fixed(&a, 1);
        else if (*letters == 'L')
            gm_bytes_fixed(&a, 1);
        else if (*letters == 'S')
            cie->signal_frame = true;
        else if (*letters != 'P')
            break; /* unknown: the length lets us pass over the rest */
        else if (!pointer_format(&a, (uint8_t)gm_bytes_fixed(&a, 1), &ignored))
            return false;
    }
    cie->has_augmentation = true;
    return true;
}

static bool cie_read(const uint8_t *at, struct cie *cie)
{
    struct gm_bytes b;
    if (!entry_read(at, &b) || gm_bytes_fixed(&b, 4) != 0)
        return false;
    uint8_t version = (uint8_t)gm_bytes_fixed(&b, 1);
    if (version != 1 && version != 3)
        return false;
    const char *text = (const char *)b.p;
    if (!gm_bytes_skip(&b, strnlen(text, (size_t)(b.end - b.p)) + 1))
        return false;
    memset(cie, 0, sizeof *cie);
    cie->code_align = gm_bytes_uleb(&b);
    cie->data_align = gm_bytes_sleb(&b);
    if (version == 1)
        gm_bytes_fixed(&b, 1);
    else
        gm_bytes_uleb(&b);
    if (text[0] != 0 && (text[0] != 'z' || !cie_augmentation(cie, &b, text + 1)))
        return false;
    cie->program = b;
    return true;
}

/* The FDE of the last entry of the sorted table whose start is <= pc. */
static const uint8_t *table_search(const uint8_t *hdr, uintptr_t pc)
{
    struct gm_bytes b = {hdr + 4, hdr + 4 + 32};
    uint64_t ignored, count;
    if (hdr[0] != 1 || hdr[1] == ENC_OMIT || hdr[2] == ENC_OMIT || hdr[3] != ENC_TABLE)
        return NULL;
    if (!pointer_read(&b, hdr[1], (uintptr_t)hdr, &ignored) ||
        !pointer_read(&b, hdr[2], (uintptr_t)hdr, &count))
        return NULL;
    const struct {
        int32_t start, fde;
    } *table = (const void *)b.p;
    int64_t want = (int64_t)(pc - (uintptr_t)hdr);
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (table[mid].start <= want)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == 0 ? NULL : hdr + table[lo - 1].fde;
}

/* ---- the CFA program ------------------------------------------------------------------------------ */

#define REMEMBER_DEPTH 3 /* deepest nesting of remember_state; compilers use 1 */

struct machine {
    const struct cie *cie;
    struct gm_cfi_row *row;
    struct gm_cfi_row initial;
    struct gm_cfi_row saved[REMEMBER_DEPTH];
    unsigned saved_count;
    uint64_t loc, pc;
};

static void machine_set(struct machine *m, uint64_t dwarf, enum gm_cfi_how how, int64_t value)
{
    unsigned r = register_index(dwarf);
    if (r < GM_CFI_REGISTERS)
        m->row->reg[r] = (struct gm_cfi_rule){.how = (uint8_t)how, .value = (int32_t)value};
}

static void machine_restore(struct machine *m, uint64_t dwarf)
{
    unsigned r = register_index(dwarf);
    if (r < GM_CFI_REGISTERS)
        m->row->reg[r] = m->initial.reg[r];
}

static void machine_set_cfa(struct machine *m, uint64_t dwarf, int64_t offset)
{
    m->row->cfa_is_expr = false;
    m->row->cfa_register = (uint8_t)register_index(dwarf);
    m->row->cfa_dwarf = (uint8_t)(dwarf < 255 ? dwarf : 255);
    m->row->cfa_value = (int32_t)offset;
}

static int32_t machine_block(struct machine *m, struct gm_bytes *b)
{
    int32_t at = (int32_t)(b->p - m->row->base);
    if (!gm_bytes_skip(b, gm_bytes_uleb(b)))
        b->p = b->end;
    return at;
}

/* Operations on registers other than the three short forms (DWARF 5, table 7.29). */
static bool machine_register(struct machine *m, uint8_t op, struct gm_bytes *b)
{
    int64_t align = m->cie->data_align;
    uint64_t r = gm_bytes_uleb(b);
    switch (op) {
    case 0x05: /* offset_extended */
        return machine_set(m, r, GM_CFI_OFFSET, (int64_t)gm_bytes_uleb(b) * align), true;
    case 0x06: /* restore_extended */
        return machine_restore(m, r), true;
    case 0x07: /* undefined */
        return machine_set(m, r, GM_CFI_UNDEFINED, 0), true;
    case 0x08: /* same_value */
        return machine_set(m, r, GM_CFI_SAME, 0), true;
    case 0x09: /* register */
        return machine_set(m, r, GM_CFI_REG, register_index(gm_bytes_uleb(b))), true;
    case 0x10: /* expression */
        return machine_set(m, r, GM_CFI_EXPR, machine_block(m, b)), true;
    case 0x11: /* offset_extended_sf */
        return machine_set(m, r, GM_CFI_OFFSET, gm_bytes_sleb(b) * align), true;
    case 0x14: /* val_offset */
        return machine_set(m, r, GM_CFI_VAL, (int64_t)gm_bytes_uleb(b) * align), true;
    case 0x15: /* val_offset_sf */
        return machine_set(m, r, GM_CFI_VAL, gm_bytes_sleb(b) * align), true;
    case 0x16: /* val_expression */
        return machine_set(m, r, GM_CFI_VAL_EXPR, machine_block(m, b)), true;
    case 0x2f: /* GNU_negative_offset_extended */
        return machine_set(m, r, GM_CFI_OFFSET, -(int64_t)gm_bytes_uleb(b) * align), true;
    default:
        return false;
    }
}

/* Operations on the CFA, the location and the state. */
static bool machine_control(struct machine *m, uint8_t op, struct gm_bytes *b)
{
    uint64_t r;
    switch (op) {
    case 0x00: /* nop */
        return true;
    case 0x01: /* set_loc */
        return pointer_read(b, m->cie->pointer_enc, 0, &m->loc);
    case 0x02: /* advance_loc1, 2, 4 */
    case 0x03:
    case 0x04:
        m->loc += gm_bytes_fixed(b, 1u << (op - 2)) * m->cie->code_align;
        return true;
    case 0x0a: /* remember_state */
        if (m->saved_count == REMEMBER_DEPTH)
            return false;
        m->saved[m->saved_count++] = *m->row;
        return true;
    case 0x0b: /* restore_state */
        if (m->saved_count == 0)
            return false;
        *m->row = m->saved[--m->saved_count];
        return true;
    case 0x0c: /* def_cfa */
        r = gm_bytes_uleb(b);
        return machine_set_cfa(m, r, (int64_t)gm_bytes_uleb(b)), true;
    case 0x0d: /* def_cfa_register */
        return machine_set_cfa(m, gm_bytes_uleb(b), m->row->cfa_value), true;
    case 0x0e: /* def_cfa_offset */
        m->row->cfa_value = (int32_t)gm_bytes_uleb(b);
        return true;
    case 0x0f: /* def_cfa_expression */
        m->row->cfa_is_expr = true;
        m->row->cfa_value = machine_block(m, b);
        return true;
    case 0x12: /* def_cfa_sf */
        r = gm_bytes_uleb(b);
        return machine_set_cfa(m, r, gm_bytes_sleb(b) * m->cie->data_align), true;
    case 0x13: /* def_cfa_offset_sf */
        m->row->cfa_value = (int32_t)(gm_bytes_sleb(b) * m->cie->data_align);
        return true;
    case 0x2e: /* GNU_args_size */
        gm_bytes_uleb(b);
        return true;
    default:
        return machine_register(m, op, b);
    }
}

/* Runs until the row that holds for m->pc is complete. */
static bool machine_run(struct machine *m, struct gm_bytes b)
{
    while (b.p < b.end) {
        uint8_t op = *b.p++;
        uint64_t before = m->loc;
        switch (op & 0xc0) {
        case 0x40: /* advance_loc */
            m->loc += (uint64_t)(op & 0x3f) * m->cie->code_align;
            break;
        case 0x80: /* offset */
            machine_set(
                m, op & 0x3f, GM_CFI_OFFSET, (int64_t)gm_bytes_uleb(&b) * m->cie->data_align);
            break;
        case 0xc0: /* restore */
            machine_restore(m, op & 0x3f);
            break;
        default:
            if (!machine_control(m, op, &b))
                return false;
        }
        if (m->loc != before && m->loc > m->pc)
            return true;
    }
    return true;
}

int gm_cfi_find(uintptr_t pc, struct gm_cfi_row *ret_row)
{
    struct dl_find_object object;
    if (!gm_object_find(pc, &object) || !object.dlfo_eh_frame)
        return -ENOENT;
    const uint8_t *fde = table_search(object.dlfo_eh_frame, pc);
    struct gm_bytes b;
    if (!fde || !entry_read(fde, &b))
        return -ENOENT;
    const uint8_t *cie_at = b.p;
    uint32_t cie_distance = (uint32_t)gm_bytes_fixed(&b, 4);
    struct cie cie;
    uint64_t begin, range;
    if (cie_distance == 0 || !cie_read(cie_at - cie_distance, &cie) ||
        !pointer_read(&b, cie.pointer_enc, 0, &begin) ||
        !pointer_format(&b, cie.pointer_enc, &range))
        return -EINVAL;
    if (pc < begin || pc - begin >= range)
        return -ENOENT;
    if (cie.has_augmentation && !gm_bytes_skip(&b, gm_bytes_uleb(&b)))
        return -EINVAL;
    struct machine m = {.cie = &cie, .row = ret_row, .pc = pc, .loc = begin};
    memset(ret_row, 0, sizeof *ret_row);
    ret_row->cfa_register = GM_CFI_OTHER;
    ret_row->signal_frame = cie.signal_frame;
    ret_row->base = cie_at - cie_distance;
    if (!machine_run(&m, cie.program))
        return -EINVAL;
    m.initial = *ret_row;
    m.loc = begin;
    return machine_run(&m, b) ? 0 : -EINVAL;
}

/* ---- expressions ---------------------------------------------------------------------------------- */

#define EVAL_DEPTH 16

struct evaluator {
    uint64_t stack[EVAL_DEPTH];
    unsigned n;
    const uint64_t *regs;
    uint64_t pc;
    gm_cfi_reader *reader;
    void *reader_context;
};

static bool evaluator_push(struct evaluator *e, uint64_t v)
{
    if (e->n == EVAL_DEPTH)
        return false;
    e->stack[e->n++] = v;
    return true;
}

static bool evaluator_register(struct evaluator *e, unsigned dwarf, int64_t offset)
{
    unsigned r = register_index(dwarf);
    if (r == GM_CFI_RA)
        return evaluator_push(e, e->pc + (uint64_t)offset);
    return r < GM_CFI_REGISTERS && evaluator_push(e, e->regs[r] + (uint64_t)offset);
}

static bool evaluator_binary(struct evaluator *e, uint8_t op)
{
    if (e->n < 2)
        return false;
    uint64_t b = e->stack[--e->n], *top = &e->stack[e->n - 1], a = *top;
    switch (op) {
    case 0x1a:
        return *top = a & b, true;
    case 0x1c:
        return *top = a - b, true;
    case 0x1e:
        return *top = a * b, true;
    case 0x21:
        return *top = a | b, true;
    case 0x22:
        return *top = a + b, true;
    case 0x24:
        return *top = b < 64 ? a << b : 0, true;
    case 0x25:
        return *top = b < 64 ? a >> b : 0, true;
    case 0x27:
        return *top = a ^ b, true;
    case 0x29:
        return *top = a == b, true;
    case 0x2a:
        return *top = (int64_t)a >= (int64_t)b, true;
    case 0x2b:
        return *top = (int64_t)a > (int64_t)b, true;
    case 0x2c:
        return *top = (int64_t)a <= (int64_t)b, true;
    case 0x2d:
        return *top = (int64_t)a < (int64_t)b, true;
    case 0x2e:
        return *top = a != b, true;
    default:
        return false;
    }
}

/* const1u (0x08) .. consts (0x11). */
static bool evaluator_constant(struct evaluator *e, uint8_t op, struct gm_bytes *b)
{
    if (op >= 0x10)
        return evaluator_push(e, gm_bytes_leb(b, op == 0x11));
    unsigned n = 1u << ((op - 0x08) / 2), shift = 64 - 8 * n;
    uint64_t v = gm_bytes_fixed(b, n);
    if (op & 1)
        v = (uint64_t)((int64_t)(v << shift) >> shift);
    return evaluator_push(e, v);
}

static bool evaluator_step(struct evaluator *e, struct gm_bytes *b)
{
    uint8_t op = *b->p++;
    uint64_t *top = &e->stack[e->n ? e->n - 1 : 0], v;
    if (op >= 0x30 && op <= 0x4f) /* lit0..31 */
        return evaluator_push(e, op - 0x30u);
    if (op >= 0x70 && op <= 0x8f) /* breg0..31 */
        return evaluator_register(e, op - 0x70u, gm_bytes_sleb(b));
    if (op >= 0x08 && op <= 0x11)
        return evaluator_constant(e, op, b);
    if (op == 0x96) /* nop */
        return true;
    if (op == 0x03) /* addr */
        return evaluator_push(e, gm_bytes_fixed(b, 8));
    if (e->n == 0)
        return false;
    switch (op) {
    case 0x06: /* deref */
        return e->reader(e->reader_context, *top, top);
    case 0x12: /* dup */
        return evaluator_push(e, *top);
    case 0x13: /* drop */
        return e->n--, true;
    case 0x16: /* swap */
        if (e->n < 2)
            return false;
        v = top[0], top[0] = top[-1], top[-1] = v;
        return true;
    case 0x23: /* plus_uconst */
        return *top += gm_bytes_uleb(b), true;
    default:
        return evaluator_binary(e, op);
    }
}

int gm_cfi_evaluate(const struct gm_cfi_row *row, int32_t value, const uint64_t *regs, uint64_t pc,
    bool has_push, uint64_t push, gm_cfi_reader *reader, void *reader_context, uint64_t *ret_value)
{
    struct gm_bytes b = {row->base + value, row->base + value + 10};
    uint64_t length = gm_bytes_uleb(&b);
    if (length > 256)
        return -EINVAL;
    b.end = b.p + length;
    struct evaluator e = {
        .regs = regs, .pc = pc, .reader = reader, .reader_context = reader_context};
    if (has_push)
        evaluator_push(&e, push);
    while (b.p < b.end)
        if (!evaluator_step(&e, &b))
            return -EINVAL;
    if (e.n == 0)
        return -EINVAL;
    *ret_value = e.stack[e.n - 1];
    return 0;
}
