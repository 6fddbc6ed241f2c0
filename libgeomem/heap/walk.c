/* walk.c - see walk.h; and what the program may ask of one address. */
#include "libgeomem/heap/walk.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/heap/block.h"
#include "libgeomem/heap/span.h"

void gm_span_count_states(const struct gm_span *span, uint32_t *ret_blocks)
{
    memset(ret_blocks, 0, 16 * sizeof *ret_blocks);
    for (uint32_t i = 0; i < span->capacity; i++)
        ret_blocks[__atomic_load_n(&span->state[i], __ATOMIC_RELAXED) & GM_STATE_MASK]++;
}

int gm_heap_quiesce(struct gm_heap *heap)
{
    if (heap->collector.stop != NULL)
        return heap->collector.stop(heap);
    gm_heap_lock(heap);
    return 0;
}

void gm_heap_resume(struct gm_heap *heap)
{
    if (heap->collector.start != NULL)
        heap->collector.start(heap);
    else
        gm_heap_unlock(heap);
}

/* ---- walking ---- */

static enum geomem_block_state state_public(uint8_t state)
{
    if (gm_state_is_old(state))
        return GEOMEM_BLOCK_OLD;
    if (gm_state_is_young(state))
        return GEOMEM_BLOCK_YOUNG;
    return (state & GM_STATE_MASK) == GM_STATE_ROOT ? GEOMEM_BLOCK_ROOT : GEOMEM_BLOCK_EXPLICIT;
}

static struct geomem_block block_public(const struct gm_span *span, uint32_t index, uint8_t state)
{
    size_t bytes = gm_span_block_bytes(span), usable = bytes;
    if (span->kind == GM_KIND_TYPED)
        usable -= sizeof(void *);
    return (struct geomem_block){
        .start = (void *)(span->start + index * bytes), /* NOLINT */
        .bytes = usable,
        .state = state_public(state),
        .leaf = span->kind == GM_KIND_LEAF,
        .age = gm_state_is_young(state) ? (state & GM_STATE_MASK) % GM_YOUNG_AGES : 0,
    };
}

struct walk {
    int (*visit)(const struct geomem_block *block, void *arg);
    void *arg;
    int result;
};

static void span_walk(struct gm_span *span, void *arg)
{
    struct walk *walk = arg;
    for (uint32_t i = 0; i < span->capacity && walk->result == 0; i++) {
        uint8_t state = __atomic_load_n(&span->state[i], __ATOMIC_ACQUIRE);
        if (!gm_state_is_block(state))
            continue;
        struct geomem_block block = block_public(span, i, state);
        walk->result = walk->visit(&block, walk->arg);
    }
}

int geomem_heap_walk(struct geomem_heap *public,
    int (*visit)(const struct geomem_block *block, void *arg), void *arg)
{
    struct gm_heap *heap = gm_heap_of(public);
    if (heap == NULL)
        return -ENOMEM;
    struct walk walk = {.visit = visit, .arg = arg};
    int error = gm_heap_quiesce(heap);
    if (error != 0)
        return error;
    gm_heap_each_span(heap, span_walk, &walk);
    gm_heap_resume(heap);
    return walk.result;
}

/* ---- one address ---- */

int geomem_block_at(const void *address, struct geomem_block *ret_block)
{
    struct gm_place place;
    enum gm_found found = gm_block_find((uintptr_t)address, &place);
    if (found != GM_FOUND_BLOCK && found != GM_FOUND_INSIDE)
        return -ENOENT;
    *ret_block = block_public(
        place.span, (uint32_t)(place.state - place.span->state), gm_place_state(&place));
    return 0;
}

int geomem_owns(const void *address)
{
    struct gm_place place;
    enum gm_found found = gm_block_find((uintptr_t)address, &place);
    return found == GM_FOUND_BLOCK || found == GM_FOUND_INSIDE;
}
