/* memo.h - the memoized walk: what of the last stack is still there is proven, not walked again.
 *
 * Unwinding is a function of (pc, sp, rbp) and of the stack slots it reads. The memo keeps a thread's last
 * stack, outermost frame first, and the slots that were read for it:
 *
 *     frame    0         1           2     ...   count        1: outermost, count: innermost
 *            sentinel   pc sp rbp ...
 *
 * What is read to get from a frame to the next is known from the two: the return address, right below the next one's
 * sp, is its pc; and its rbp, where it was saved, lies where the frame's rule says.
 *
 * A capture walks from its context until it meets a frame of the memo with the same sp and pc (and rbp, where
 * that matters), and then only compares the slots from there to the root. If all hold their old values, the
 * rest of the stack is the old one, and so is its name. The first slot that does not tells where to walk on.
 * The comparison reads no address that walking would not have read, in the same order, so it is as safe.
 *
 * Programs go to and fro between a few paths above a common stack. So the memo also keeps "tips": for a context, what was
 * read from there up to the frame where the memo was met, the joint, and the whole stack's name. Where all that still
 * holds its old values, the joint is still in the memo, and the memo holds from there on, the name is known without
 * walking, and the memo stays as it is. For the same pc and sp there may be tips with several callers.
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

struct gm_memo_frame {
    uint64_t hash; /* name of the stack that ends with this frame */
    uintptr_t pc, sp, rbp;
    uint16_t code;
    bool needs_rbp;   /* rbp matters to it */
    bool saves_rbp;   /* it saves an rbp that matters to its caller */
    bool saved_above; /* so does this frame, or one further out */
};

#define GM_MEMO_TIP_SLOTS 12u /* more are needed by 3 % of cc1plus's captures; 256 bytes a tip */
struct gm_memo_tip {
    uintptr_t pc, sp, rbp; /* of the context; pc 0: empty */
    uint64_t hash;         /* name of the whole stack */
    uint64_t joint_hash;
    uintptr_t joint_sp, joint_rbp;
    uint16_t joint; /* frame of the memo */
    uint16_t slots;
    bool needs_rbp; /* rbp matters to the innermost frame */
    struct gm_memo_slot {
        uintptr_t address;
        uint64_t value;
    } slot[GM_MEMO_TIP_SLOTS];
};
#define GM_MEMO_TIP_SETS 64u
#define GM_MEMO_TIP_WAYS 4u /* callers; measured: one gives python3 78 % hits, four 99.7 % */

/* Zeroed memory is an empty memo. */
struct gm_memo {
    uint32_t count;
    uint32_t fresh_count;
    uintptr_t root_cfa; /* above the outermost frame, */
    uint64_t root_pc;   /* and what stood there for a return address */
    struct gm_memo_frame frame[1 + GM_CAPTURE_MAX];
    /* frames of the capture in hand that are not in the memo, innermost first */
    struct gm_memo_frame fresh[GM_CAPTURE_MAX];
    uint32_t tip_turn;
    uint32_t tip_debt;            /* misses less what hits have saved: see memo.c */
    struct gm_memo_tip *tip_next; /* where the capture in hand is kept, or NULL */
    _Alignas(64) struct gm_memo_tip tip[GM_MEMO_TIP_SETS][GM_MEMO_TIP_WAYS];
};

/* Makes the memo hold the stack above `context`, at most `limit` frames. False, with the memo unchanged or
 * empty: the stack has a frame that only the plain walk can pass (a signal, generated code, a row with an
 * expression), or more than `limit` frames. Not re-entrant: not for nested hooks. Takes no lock, allocates
 * nothing. */
bool gm_memo_capture(
    struct gm_memo *memo, struct gm_unwind *u, const struct gm_context *context, uint32_t limit);

/* The name of the stack above `context`, where it was captured before and both what it was then and the memo's part of
 * it still stand; else 0. The memo's stack stays as it is. */
uint64_t gm_memo_find(struct gm_memo *memo, const struct gm_context *context);

/* Forgets everything: rules may have changed. */
void gm_memo_flush(struct gm_memo *memo);

#endif
