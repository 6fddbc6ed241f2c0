/* The rows that our reader of .eh_frame finds, against libdw's, over whole libraries. */
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "libgeomem/unwind/cfi.h"

struct tally {
    unsigned long rows, simple, complex, missing_here, missing_there, different;
};

/* CFA as libdw sees it: register + offset, or false for expressions. */
static bool oracle_cfa(Dwarf_Frame *frame, unsigned *ret_register, long *ret_offset)
{
    Dwarf_Op *ops;
    size_t n;
    if (dwarf_frame_cfa(frame, &ops, &n) != 0 || n == 0)
        return false;
    if (ops[0].atom == DW_OP_bregx && n == 1) {
        *ret_register = (unsigned)ops[0].number;
        *ret_offset = (long)ops[0].number2;
        return true;
    }
    return false;
}

/* A register saved at CFA + offset. Offset 0 means unchanged. */
static bool oracle_saved(Dwarf_Frame *frame, int dwarf, long *ret_offset)
{
    Dwarf_Op memory[3], *ops;
    size_t n;
    *ret_offset = 0;
    if (dwarf_frame_register(frame, dwarf, memory, &ops, &n) != 0)
        return false;
    if (n == 0)
        return true; /* unchanged (ops NULL) or undefined: the walk treats both alike */
    if (n == 1 && ops[0].atom == DW_OP_call_frame_cfa)
        return true;
    if (n == 2 && ops[0].atom == DW_OP_call_frame_cfa && ops[1].atom == DW_OP_plus_uconst) {
        *ret_offset = (long)ops[1].number;
        return true;
    }
    return false;
}

static unsigned dwarf_number(unsigned cfi_register)
{
    static const unsigned numbers[] = {3, 6, 7, 12, 13, 14, 15, 16};
    return cfi_register < GM_CFI_REGISTERS ? numbers[cfi_register] : 999;
}

static void row_compare(
    struct tally *t, Dwarf_Frame *frame, const struct gm_cfi_row *row, unsigned long address)
{
    unsigned reg;
    long cfa, rbp;
    /* setcontext's CFA lies in a register that calls do not preserve: no malloc can have it below */
    if (!oracle_cfa(frame, &reg, &cfa) || row->cfa_is_expr || !oracle_saved(frame, 6, &rbp) ||
        (row->cfa_register == GM_CFI_OTHER && reg < 3)) {
        t->complex++;
        return;
    }
    const struct gm_cfi_rule *mine = &row->reg[GM_CFI_RBP];
    long my_rbp = mine->how == GM_CFI_OFFSET ? mine->value : 0;
    t->simple++;
    if (dwarf_number(row->cfa_register) == reg && row->cfa_value == cfa && my_rbp == rbp)
        return;
    if (t->different++ < 5)
        cr_log_warn("at 0x%lx: ours r%u%+d rbp %ld, libdw's r%u%+ld rbp %ld", address,
            dwarf_number(row->cfa_register), row->cfa_value, my_rbp, reg, cfa, rbp);
}

static void segment_compare(
    struct tally *t, Dwarf_CFI *cfi, unsigned long start, unsigned long end, unsigned long bias)
{
    unsigned long address = start;
    while (address < end) {
        Dwarf_Frame *frame = NULL;
        struct gm_cfi_row row;
        Dwarf_Addr from = 0, to = 0;
        bool signal;
        bool here = gm_cfi_find(address + bias, &row) == 0;
        if (dwarf_cfi_addrframe(cfi, address, &frame) != 0) {
            t->missing_there += here;
            address++;
            continue;
        }
        t->rows++;
        if (here)
            row_compare(t, frame, &row, address);
        else
            t->missing_here++;
        dwarf_frame_info(frame, &from, &to, &signal);
        free(frame);
        address = to > address ? to : address + 1;
    }
}

static struct tally library_compare(const char *name)
{
    struct tally t = {0};
    void *handle = dlopen(name, RTLD_NOW);
    struct link_map *map = NULL;
    if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
        return t;
    elf_version(EV_CURRENT);
    int fd = open(map->l_name, O_RDONLY);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);
    size_t n = 0;
    elf_getphdrnum(elf, &n);
    for (size_t i = 0; cfi && i < n; i++) {
        GElf_Phdr ph;
        if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_LOAD && (ph.p_flags & PF_X))
            segment_compare(&t, cfi, ph.p_vaddr, ph.p_vaddr + ph.p_memsz, map->l_addr);
    }
    dwarf_cfi_end(cfi);
    elf_end(elf);
    close(fd);
    dlclose(handle);
    cr_log_info("%s: %lu rows, %lu compared, %lu complex", name, t.rows, t.simple, t.complex);
    return t;
}

static void library_agrees(const char *name, unsigned long least_rows)
{
    struct tally t = library_compare(name);
    cr_assert_gt(t.rows, least_rows, "%s: only %lu rows were found to compare", name, t.rows);
    cr_expect_eq(t.different, 0, "%s: %lu of %lu rows differ", name, t.different, t.simple);
    cr_expect_eq(t.missing_here, 0, "%s: %lu rows not found by us", name, t.missing_here);
    cr_expect_eq(t.missing_there, 0, "%s: %lu rows not found by libdw", name, t.missing_there);
    cr_expect_gt(t.simple, t.rows * 9 / 10);
}

Test(cfi, rows_of_libc_equal_libdws)
{
    library_agrees("libc.so.6", 20000);
}

Test(cfi, rows_of_libstdcxx_equal_libdws)
{
    library_agrees("libstdc++.so.6", 20000);
}

Test(cfi, rows_of_libsqlite3_equal_libdws)
{
    library_agrees("libsqlite3.so.0", 20000);
}

Test(cfi, an_address_outside_all_objects_has_no_row)
{
    static char data[16];
    struct gm_cfi_row row;
    cr_expect_lt(gm_cfi_find(16, &row), 0);
    cr_expect_lt(gm_cfi_find((uintptr_t)data, &row), 0);
    cr_expect_lt(gm_cfi_find((uintptr_t)&row, &row), 0);
}
