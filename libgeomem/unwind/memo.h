/* memo.h - the memoized walk: what of the last stack is still there is proven, not walked again.
 *
 * Unwinding is a function of (pc, sp, rbp) and of the stack slots it reads. The memo keeps a thread's last
 * stack, outermost frame first, and the slots that were read for it:
 *
 *     frame    0        1        2     ...   count-1          root = 0: outermost
 *              pc sp rbp rule hash
 *     slots   [a v][a v][a v][a v]...[a v]                     in the same order, one or two per frame
 *
 * A capture walks from its context until it meets a frame of the memo with the same sp and pc (and rbp, where
 * that matters), and then only compares the slots from there to the root. If all hold their old values, the
 * rest of the stack is the old one, and so is its name. The first slot that does not tells where to walk on.
 * The comparison reads no address that walking would not have read, in the same order, so it is as safe.
 *
 * rbp matters to a frame if its rule is based on it, or if it passes it on unchanged to a caller to which it
 * matters; elsewhere it is data, and neither it nor the slot that saves it is compared. That is what makes
 * this work in programs without frame pointers.
 */
#ifndef GM_UNWIND_MEMO_H
#define GM_UNWIND_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/unwind/unwind.h"

struct gm_memo_slot {
    uintptr_t address;
    uint64_t value;
};

/* Zeroed memory is an empty memo. */
struct gm_memo {
    uint32_t count;
    uint32_t fresh_count;
    /* by frame, outermost first */
    uint64_t hash[GM_CAPTURE_MAX]; /* name of the stack that ends with this frame */
    uint64_t pc[GM_CAPTURE_MAX];
    uintptr_t sp[GM_CAPTURE_MAX];
    uintptr_t rbp[GM_CAPTURE_MAX];
    uint16_t code[GM_CAPTURE_MAX];
    bool needs_rbp[GM_CAPTURE_MAX];
    uint32_t slot_end[GM_CAPTURE_MAX]; /* slots of frames 0 to this one */
    struct gm_memo_slot slot[2 * GM_CAPTURE_MAX];
    /* frames of the capture in hand that are not in the memo, innermost first */
    struct gm_memo_frame {
        uintptr_t pc, sp, rbp, cfa;
        uint64_t caller_pc, caller_rbp;
        uint16_t code;
    } fresh[GM_CAPTURE_MAX];
};

/* Makes the memo hold the stack above `context`, at most `limit` frames. False, with the memo unchanged or
 * empty: the stack has a frame that only the plain walk can pass (a signal, generated code, a row with an
 * expression), or more than `limit` frames. Not re-entrant: not for nested hooks. Takes no lock, allocates
 * nothing. */
bool gm_memo_capture(
    struct gm_memo *memo, struct gm_unwind *u, const struct gm_context *context, uint32_t limit);

#endif
