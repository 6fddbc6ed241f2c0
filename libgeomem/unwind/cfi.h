/* cfi.h - reads one row of .eh_frame: how to get from a code address to its caller's registers.
 *
 * Finds the table with _dl_find_object (glibc 2.35: lock-free, async-signal-safe), the row by binary search in
 * .eh_frame_hdr, and runs the row's CFA program (DWARF 5, section 6.4; LSB 5.0 core, chapter 10.6). Allocates
 * nothing, takes no lock, calls no other loader function.
 */
#ifndef GM_UNWIND_CFI_H
#define GM_UNWIND_CFI_H

#include <stdbool.h>
#include <stdint.h>

/* The registers a walk may need; in DWARF numbering rbx 3, rbp 6, rsp 7, r12..r15, return address 16. */
enum gm_cfi_register {
    GM_CFI_RBX,
    GM_CFI_RBP,
    GM_CFI_RSP,
    GM_CFI_R12,
    GM_CFI_R13,
    GM_CFI_R14,
    GM_CFI_R15,
    GM_CFI_RA,
    GM_CFI_REGISTERS,
    GM_CFI_OTHER = GM_CFI_REGISTERS, /* any register that calls do not preserve */
};

enum gm_cfi_how {
    GM_CFI_SAME,      /* unchanged in the caller */
    GM_CFI_OFFSET,    /* saved at CFA + value */
    GM_CFI_UNDEFINED, /* lost; for the return address: this is the outermost frame */
    GM_CFI_EXPR,      /* saved at the address an expression gives */
    GM_CFI_VAL,       /* CFA + value itself */
    GM_CFI_VAL_EXPR,  /* the value of an expression */
    GM_CFI_REG,       /* in another register: value is an enum gm_cfi_register */
};

struct gm_cfi_rule {
    uint8_t how; /* enum gm_cfi_how */
    int32_t
        value; /* bytes; for expressions the distance of the block from struct gm_cfi_row.base */
};

struct gm_cfi_row {
    bool signal_frame; /* the frame a signal handler returns to: its pc is not a return address */
    bool cfa_is_expr;
    uint8_t cfa_register; /* enum gm_cfi_register */
    uint8_t cfa_dwarf;    /* the same in DWARF numbering */
    int32_t cfa_value;    /* offset, or the expression's distance from base */
    struct gm_cfi_rule reg[GM_CFI_REGISTERS];
    const uint8_t *base; /* expressions: ULEB128 length, then the operations */
};

/* Finds the row for `pc` (for a return address pass address - 1). Returns 0, -ENOENT when no table covers
 * it (generated code), -EINVAL for a table that makes no sense. Thread-safe, async-signal-safe; reads only
 * the loaded object that holds pc. */
int gm_cfi_find(uintptr_t pc, struct gm_cfi_row *ret_row);

/* Reads 8 bytes of stack memory at `address` for an expression. False: not readable. */
typedef bool gm_cfi_reader(void *context, uintptr_t address, uint64_t *ret_value);

/* Evaluates the expression at row->base + value over the registers `regs` (by enum gm_cfi_register) and `pc`.
 * `push` lies on the stack at the start if has_push. Returns 0, or -EINVAL for anything unknown. */
int gm_cfi_evaluate(const struct gm_cfi_row *row, int32_t value, const uint64_t *regs, uint64_t pc,
    bool has_push, uint64_t push, gm_cfi_reader *reader, void *reader_context, uint64_t *ret_value);

#endif
