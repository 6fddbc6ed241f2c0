/* verify.c - see verify.h. */
#include "libgeomem/gc/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/cycle_internal.h"
#include "libgeomem/gc/unsanitized.h"

#define SEEN_BYTES (gm_range.bytes / GM_GRANULE_BYTES / 8)

int gm_verify_init(struct gm_verify *verify)
{
    void *seen = mmap(NULL, SEEN_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (seen == MAP_FAILED)
        return -ENOMEM;
    verify->seen = seen;
    int err = gm_mark_stack_init(&verify->roots);
    return err < 0 ? err : gm_mark_stack_init(&verify->stack);
}

/* No FILE here and below: a stopped thread may hold its lock. snprintf takes none.
 * "block 0x... of 48 bytes, state 0x4, flags 0x1d" */
static int block_tell(char *text, size_t bytes, uintptr_t block)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(block, true, &index);
    if (!span)
        return 0;
    return snprintf(text, bytes, "block %#lx of %zu bytes, sort %u, state %#x, flags %#x%s", block,
        gm_block_bytes(span), span->sort, span->state[index], gm_span_flags(span),
        gm_gc_span_is_young(span) ? ", listed" : "");
}

/* `from`: the block that points to it; 0: none. */
static void fault(struct gm_verify *verify, uintptr_t block, const char *text, uintptr_t from)
{
    char line[512];
    size_t bytes = (size_t)snprintf(line, sizeof line, "libgeomem: verifier: ");
    verify->faults++;
    bytes += (size_t)block_tell(line + bytes, sizeof line - bytes, block);
    bytes += (size_t)snprintf(line + bytes, sizeof line - bytes, ": %s ", text);
    if (from)
        bytes += (size_t)block_tell(line + bytes, sizeof line - bytes, from);
    line[bytes++] = '\n';
    gm_sys3(SYS_write, 2, line, bytes);
}

/* ---- reaching ---- */

static bool seen_set(struct gm_verify *verify, uintptr_t block)
{
    uintptr_t granule = (block - gm_range.start) / GM_GRANULE_BYTES;
    uint8_t bit = (uint8_t)(1u << granule % 8);
    bool before = verify->seen[granule / 8] & bit;
    verify->seen[granule / 8] |= bit;
    return before;
}

/* A block that marking has not marked, and sweeping will take for dead. */
static bool state_is_doomed(const struct gm_verify *verify, uint8_t state)
{
    uint8_t low = state & GM_STATE_MASK;
    return (verify->young && low >= GM_STATE_YOUNG && low < GM_STATE_YOUNG_MARKED) ||
           (verify->dead_old && low == verify->dead_old);
}

/* `from`: the block that the word stands in; 0: a root. */
static void word_reach(struct gm_verify *verify, uintptr_t word, uintptr_t from)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(word, true, &index);
    if (!span)
        return;
    uint8_t state = span->state[index];
    uintptr_t block = gm_block_start(span, index);
    if ((from && block != word && gm_span_is_exact(span)) || !gm_state_is_collected(state) ||
        seen_set(verify, block))
        return;
    verify->blocks++;
    if (state_is_doomed(verify, state))
        fault(verify, block, "is not marked, but pointed to by", from);
    *verify->stack.top++ = block;
}

struct reach {
    struct gm_verify *verify;
    uintptr_t from;
};

static void traced_reach(void *pointer, void *arg)
{
    const struct reach *reach = arg;
    word_reach(reach->verify, (uintptr_t)pointer, reach->from);
}

GM_UNSANITIZED static void words_reach(const struct reach *reach, const uintptr_t *block,
    size_t words, const uint64_t *map, size_t repeat)
{
    for (size_t i = 0; i < words; i++)
        if (!map || map[i % repeat / 64] >> (i % repeat % 64) & 1)
            word_reach(reach->verify, block[i], reach->from);
}

GM_UNSANITIZED static void block_reach_words(struct gm_verify *verify, uintptr_t block)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(block, false, &index);
    const uintptr_t *first = (const uintptr_t *)block;
    size_t words = gm_block_bytes(span) / sizeof(uintptr_t);
    struct reach reach = {verify, block};
    if (span->kind == GM_KIND_SCANNED)
        words_reach(&reach, first, words, NULL, 1);
    if (span->kind != GM_KIND_TYPED || first[words - 1] == 0)
        return;
    const struct geomem_layout *layout = (const struct geomem_layout *)first[words - 1];
    if (layout->trace)
        layout->trace(layout, (void *)block, (words - 1) * sizeof(uintptr_t), traced_reach, &reach);
    else
        words_reach(
            &reach, first, words - 1, layout->pointers, layout->element_bytes / sizeof(uintptr_t));
}

static void reach_all(struct gm_verify *verify)
{
    while (verify->stack.top > verify->stack.bottom)
        block_reach_words(verify, *--verify->stack.top);
}

/* ---- where it begins ---- */

struct visit {
    struct gm_verify *verify;
    struct gm_gc *gc;
};

static void span_reach_root_blocks(struct gm_span *span, void *arg)
{
    struct visit *visit = arg;
    if (!(gm_span_flags(span) & GM_SPAN_EXPLICIT) || span->kind == GM_KIND_LEAF)
        return;
    for (uint32_t i = 0; i < span->capacity; i++)
        if ((span->state[i] & GM_STATE_MASK) == GM_STATE_ROOT)
            block_reach_words(visit->verify, gm_block_start(span, i));
}

static void each_span(gm_span_visitor *visit, void *arg)
{
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_heap_each_span(heap, visit, arg);
}

void gm_verify_marked(struct gm_verify *verify, struct gm_gc *gc, bool young, bool old)
{
    struct visit visit = {verify, gc};
    verify->young = young;
    verify->dead_old = old ? gc->live ^ GM_STATE_OLD_A ^ GM_STATE_OLD_B : 0;
    verify->blocks = 0;
    madvise(verify->seen, SEEN_BYTES, MADV_DONTNEED);
    for (const uintptr_t *root = verify->roots.bottom; root < verify->roots.top; root++)
        word_reach(verify, *root, 0);
    each_span(span_reach_root_blocks, &visit);
    reach_all(verify);
}

/* ---- spans ---- */

static void span_check(struct gm_span *span, void *arg)
{
    struct visit *visit = arg;
    unsigned flags = gm_span_flags(span);
    bool listed = gm_gc_span_is_young(span);
    for (uint32_t i = 0; i < span->capacity; i++) {
        uint8_t state = span->state[i];
        uint8_t low = state & GM_STATE_MASK;
        const char *text = NULL;
        if (low >= GM_STATE_YOUNG_MARKED && low < GM_STATE_OLD_A)
            text = "is marked after sweeping";
        else if (gm_state_is_young(state) && !(flags & GM_SPAN_HAS_YOUNG && listed))
            text = "is young, and its span is not known to have such";
        else if (gm_state_is_old(state) && !(flags & GM_SPAN_HAS_OLD))
            text = "is old, and its span is not known to have such";
        else if (gm_state_is_old(state) && span->kind != GM_KIND_LEAF && !listed &&
                 !(flags & (GM_SPAN_WATCHED | GM_SPAN_BARRIERED)) && !visit->gc->forgets_writes)
            text = "is old, and nobody would know if it were written to";
        if (text)
            fault(visit->verify, gm_block_start(span, i), text, 0);
    }
}

void gm_verify_swept(struct gm_verify *verify, struct gm_gc *gc)
{
    struct visit visit = {verify, gc};
    each_span(span_check, &visit);
}
