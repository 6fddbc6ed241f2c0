/* rule.h - the 16-bit form of a row of .eh_frame, and the cache from code address to rule.
 *
 * More than 99 % of all rows say: the caller's stack pointer is rsp or rbp plus a constant, the return
 * address lies below it, rbp is unchanged or saved at a small constant. Such a row fits 16 bits:
 *
 *      15    14 ........ 3   2 ...... 0
 *     base | CFA offset / 8 | rbp slot     base 0: rsp, 1: rbp; slot k: rbp at CFA - 8k, 0: unchanged
 *
 * rbp is among the six registers that calls preserve, and is saved with them: of 1.1 million rows that save it, in the
 * compiler's code of 80 programs and libraries, none has it beyond CFA - 48. Of all 1.6 million rows there one in 570 lies in a
 * function with more than 8 KiB on the stack (a buffer of BUFSIZ is enough), one in 1,500 with more than 32 KiB.
 *
 * An offset of 0 cannot occur in a frame and marks the special codes. The cache is per thread; each address has a pair
 * of places, and a new rule moves the first of them to the second. An entry is one 8-byte word, so a signal handler that
 * interrupts an update sees the old entry or the new one, or one twice.
 */
#ifndef GM_UNWIND_RULE_H
#define GM_UNWIND_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/unwind/unwind.h"

#define GM_RULE_RBP 0x8000u
#define GM_RULE_CFA(code) ((code)&0x7ff8u)
#define GM_RULE_SLOT(code) ((code)&7u)
#define GM_RULE_CFA_MAX 0x7ff8
#define GM_RULE_SLOT_MAX 7

enum gm_rule_special {
    GM_RULE_NONE = 0, /* not in the cache */
    GM_RULE_END = 1,  /* outermost frame */
    GM_RULE_SIGNAL = 2,
    GM_RULE_SLOW = 3,  /* look at the row itself */
    GM_RULE_GUESS = 4, /* no table: never cached, code may be mapped there any time */
};

#define GM_FRAME_TRUST \
    (1u << 20) /* a frame larger than this is checked before it is read; arbitrary */

/* Finds the rule by the table and enters it as the pair's first, which becomes the second. */
uint16_t gm_rule_find(uint64_t *pair, uintptr_t pc);

static inline uint32_t gm_rule_pair(uintptr_t pc)
{
    return (uint32_t)((pc * 0x9e3779b97f4a7c15ull) >> 51) & (GM_UNWIND_RULES - 2);
}

/* The rule that holds at `pc` (for a return address pass address - 1). */
static inline uint16_t gm_rule_lookup(struct gm_unwind *u, uintptr_t pc)
{
    uint64_t *pair = &u->rules[gm_rule_pair(pc)];
    uint64_t v = *(volatile uint64_t *)&pair[0];
    if (__builtin_expect(v >> 16 == pc, 1))
        return (uint16_t)v;
    v = *(volatile uint64_t *)&pair[1];
    return v >> 16 == pc ? (uint16_t)v : gm_rule_find(pair, pc);
}

/* The same for the caller of the frame whose rule was found at `*at`, which becomes the place of the caller's. A frame has
 * mostly the caller that it had last: looked up there first, the caller's rule need not wait for its address to be
 * read. */
static inline uint16_t gm_rule_lookup_caller(struct gm_unwind *u, uintptr_t pc, uint32_t *at)
{
    uint16_t *guess = &u->caller[*at];
    uint64_t v = *(volatile uint64_t *)&u->rules[*guess];
    if (__builtin_expect(v >> 16 == pc, 1)) {
        *at = *guess;
        return (uint16_t)v;
    }
    uint32_t place = gm_rule_pair(pc);
    uint16_t code = gm_rule_lookup(u, pc);
    place += u->rules[place] >> 16 != pc;
    *guess = (uint16_t)place;
    *at = place;
    return code;
}

/* False for what ends a walk: the zero page where a stack was set up to end there, or no address of a program. */
static inline bool gm_pc_is_code(uintptr_t pc)
{
    return pc - 4096 < (1ull << 47) - 4096;
}

static inline uint64_t gm_stack_load(uintptr_t address)
{
    return *(const uint64_t *)address; /* NOLINT */
}

#endif
