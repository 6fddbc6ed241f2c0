/* registers.h - functions that begin by putting the registers which calls keep (rbx, rbp, r12 to r15) on the stack.
 *
 * A caller may keep a pointer in one of them. A function of C could not see it: its own prologue may have put it away already,
 * into a frame that is gone, or passed over, when the stack is searched.
 */
#ifndef GM_GC_REGISTERS_H
#define GM_GC_REGISTERS_H

/* Defines the function `name`, which calls `body` with the same arguments, and with the address of the six saved registers in the
 * register `argument` (the next of rdi, rsi, rdx, rcx that is free). Above them lie the return address and the caller's frame. At
 * file scope; both are declared by the file. */
#define GM_WITH_SAVED_REGISTERS(name, body, argument) \
    __asm__(".pushsection .text\n" \
            ".globl " #name "\n" \
            ".hidden " #name "\n" \
            ".type " #name ", @function\n" #name ":\n\t" \
            ".cfi_startproc\n\t" \
            "sub $56, %rsp\n\t" \
            ".cfi_adjust_cfa_offset 56\n\t" \
            "mov %rbx, 0(%rsp)\n\t" \
            "mov %rbp, 8(%rsp)\n\t" \
            "mov %r12, 16(%rsp)\n\t" \
            "mov %r13, 24(%rsp)\n\t" \
            "mov %r14, 32(%rsp)\n\t" \
            "mov %r15, 40(%rsp)\n\t" \
            "mov %rsp, %" #argument "\n\t" \
            "call " #body "\n\t" \
            "add $56, %rsp\n\t" \
            ".cfi_adjust_cfa_offset -56\n\t" \
            "ret\n\t" \
            ".cfi_endproc\n" \
            ".size " #name ", . - " #name "\n" \
            ".popsection\n")

/* In words, from the saved registers to the caller's frame. */
#define GM_SAVED_WORDS 8

#endif
