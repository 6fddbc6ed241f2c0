/* unwind.h - from a hook's caller to the whole call stack.
 *
 *   hook (malloc, ...) --[struct gm_context]--> gm_unwind_capture --[struct gm_capture]--> event
 *
 * Three ways behind one seam: our reader of .eh_frame (default), libunwind (--unwind=libunwind) and frame
 * pointers (--unwind=fp). The first and third take no lock, allocate nothing and are async-signal-safe;
 * they read stack memory of the calling thread only. libunwind takes locks when it meets new code.
 */
#ifndef GM_UNWIND_UNWIND_H
#define GM_UNWIND_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

/* Registers at a call: the return address, the stack pointer after the return, the caller's frame pointer. */
struct gm_context {
    uintptr_t pc, sp, rbp;
};

/* The context of the caller of the function in which this stands; that function must not be inlined. */
#define GM_CALLER_CONTEXT() \
    ((struct gm_context){ \
        .pc = (uintptr_t)__builtin_return_address(0), \
        .sp = (uintptr_t)__builtin_frame_address(0) + 16, \
        .rbp = *(const uintptr_t *)__builtin_frame_address(0), \
    })

#define GM_CAPTURE_MAX 1024 /* frames kept at most, leaf and root end together */
#define GM_WALK_MAX 65536   /* frames walked at most to find the root end of a deep stack */

/* One stack, innermost frame first: words as in a STACK record (pc | enum gm_pc_flag << 48). */
struct gm_capture {
    uint32_t leaf, root; /* in: how many frames to keep at each end; leaf + root < GM_CAPTURE_MAX */
    uint32_t count;      /* out: words in pc[] */
    bool cut;            /* out: frames in the middle were left out */
    uint64_t pc[GM_CAPTURE_MAX + 1];
};

/* Per-thread memory of the walk. Zeroed memory is a valid state. */
#define GM_UNWIND_RULES \
    8192 /* 64 KiB: measured for compilers, the hungriest programs, in docs/design/unwind.md */
struct gm_unwind {
    uint64_t rules[GM_UNWIND_RULES];  /* code address << 16 | compact rule */
    uint16_t caller[GM_UNWIND_RULES]; /* by place of a rule: where its caller's was found last */
    uintptr_t readable_page;          /* a stack page known to be readable */
    /* The oracle's context and cursor: 2 KB that would else lie on each thread's stack, as automatic or as
     * thread-local storage. */
    uint64_t oracle[256];
};

/* Forgets everything that depends on what is loaded where. Call when an object has been unloaded. May interrupt a
 * walk with the same `u`: entries go word by word, and the oracle's memory is left alone. */
void gm_unwind_flush(struct gm_unwind *u);

/* Chooses the way for this process (an enum gm_unwinder), and whether the oracle is wanted. libunwind is not
 * loaded yet: that waits for gm_unwind_load. Call before the first capture. */
void gm_unwind_choose(uint32_t unwinder, bool verify);

/* True when libunwind is wanted, libc is up, and nobody has tried to load it yet. */
bool gm_unwind_load_due(void);

/* True when gm_unwind_verify has something to compare with. */
bool gm_unwind_has_oracle(void);

/* Loads libunwind; where it is missing, our own walk stays in force. Allocates, takes the loader's lock: not
 * from a signal handler. Preserves errno. */
void gm_unwind_load(void);

/* True when the way in force is our reader of .eh_frame, the only one that memo.h serves. */
bool gm_unwind_is_cfi(void);

/* Fills `capture` with the stack above `context`; count is at least 1. */
void gm_unwind_capture(
    struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture);

/* Compares a finished capture with libunwind's unw_step, frame by frame. True when they agree (or when the
 * oracle is not loaded). On a difference stores the index of the first differing frame and what the oracle has
 * there (0: its stack ends). */
bool gm_unwind_verify(struct gm_unwind *u, const struct gm_context *context,
    const struct gm_capture *capture, uint32_t *ret_index, uintptr_t *ret_oracle_pc);

/* Used by the ways (cfi walk, fp walk, libunwind) and nobody else. */
struct gm_walk {
    struct gm_capture *capture;
    uint32_t total;
};
void gm_walk_begin(struct gm_walk *w, struct gm_capture *capture);
void gm_walk_end(struct gm_walk *w, bool lost_root);
static inline void gm_walk_push(struct gm_walk *w, uintptr_t pc, uint64_t flags)
{
    struct gm_capture *c = w->capture;
    uint32_t at = w->total < c->leaf ? w->total : c->leaf + (w->total - c->leaf) % c->root;
    c->pc[at] = pc | flags << 48;
    w->total++;
}
/* True when 16 bytes at `address` can be read. One system call per new page. */
bool gm_unwind_readable(struct gm_unwind *u, uintptr_t address);
void gm_walk_cfi(struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture);
void gm_walk_fp(struct gm_unwind *u, const struct gm_context *context, struct gm_capture *capture);
void gm_walk_libunwind(const struct gm_context *context, struct gm_capture *capture);
int gm_libunwind_load(void);

#endif
