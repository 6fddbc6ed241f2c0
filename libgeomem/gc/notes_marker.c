/* notes_marker.c - see notes_marker.h. */
#include "libgeomem/gc/notes_marker.h"

#include "geomem/geomem.h"
#include "libgeomem/gc/markers.h"
#include "libgeomem/gc/unsanitized.h"

static struct gm_marker *marker_of(struct gm_notes_tracer *tracer)
{
    return ((struct gm_notes_marker *)tracer)->marker;
}

/* The marker has something to do for a block that is subject to the collection and not marked, and for no other. */
static bool marker_is_live(struct gm_notes_tracer *tracer, uintptr_t block)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(block, false, &index);
    if (span == NULL)
        return true;
    uint8_t become = marker_of(tracer)->become[span->state[index] & GM_STATE_MASK];
    return become == GM_MARK_IGNORE || become == GM_MARK_LATER;
}

static void marker_mark(struct gm_notes_tracer *tracer, uintptr_t word)
{
    gm_mark_roots(marker_of(tracer), &word, sizeof word);
}

static bool word_is_into(uintptr_t word, uintptr_t block)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(word, true, &index);
    return span != NULL && gm_block_start(span, index) == block;
}

struct children {
    struct gm_marker *marker;
    uintptr_t block;
};

static void child_keep(void *pointer, void *arg)
{
    struct children *children = arg;
    uintptr_t word = (uintptr_t)pointer;
    if (!word_is_into(word, children->block))
        gm_mark_roots(children->marker, &word, sizeof word);
}

GM_UNSANITIZED static void words_keep(
    struct children *children, size_t words, const struct geomem_layout *layout)
{
    size_t element = layout == NULL ? 1 : layout->element_bytes / sizeof(uintptr_t);
    void *const *block = (void *const *)children->block;
    for (size_t i = 0, k = 0; i < words; i++, k = k + 1 < element ? k + 1 : 0)
        if (layout == NULL || layout->pointers[k / 64] >> (k % 64) & 1)
            child_keep(block[i], children);
}

/* As the marker scans a block, word for word: see mark.c. */
GM_UNSANITIZED static void marker_mark_children(struct gm_notes_tracer *tracer, uintptr_t block)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(block, false, &index);
    if (span == NULL || span->kind == GM_KIND_LEAF)
        return;
    struct children children = {marker_of(tracer), block};
    size_t words = gm_block_bytes(span) / sizeof(uintptr_t);
    if (span->kind == GM_KIND_SCANNED) {
        words_keep(&children, words, NULL);
        return;
    }
    const struct geomem_layout *layout = ((const struct geomem_layout *const *)block)[--words];
    if (layout == NULL)
        return;
    if (layout->trace != NULL)
        layout->trace(layout, (void *)block, words * sizeof(uintptr_t), child_keep,
            &children); /* NOLINT: a block */
    else
        words_keep(&children, words, layout);
}

static void marker_drain(struct gm_notes_tracer *tracer)
{
    gm_markers_mark(marker_of(tracer));
}

void gm_notes_marker_init(struct gm_notes_marker *notes_marker, struct gm_marker *marker, bool full)
{
    notes_marker->tracer = (struct gm_notes_tracer){
        .full = full,
        .is_live = marker_is_live,
        .mark = marker_mark,
        .mark_children = marker_mark_children,
        .drain = marker_drain,
    };
    notes_marker->marker = marker;
}
