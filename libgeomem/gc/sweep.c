/* sweep.c - see sweep.h. */
#include "libgeomem/gc/sweep.h"

#include <emmintrin.h>
#include <string.h>

#include "libgeomem/gc/cards.h"
#include "libgeomem/gc/mark.h"
#include "libgeomem/gc/unsanitized.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/listener.h"

enum { GROUP = 64 }; /* states swept at a time: one bit each in a word */

/* What a group of states holds, a bit for each. */
struct group {
    uint64_t dead;
    uint64_t promoted;
    uint64_t young; /* still */
    uint64_t young_dead;
    uint64_t old;    /* with the promoted */
    uint64_t cached; /* may become young at any moment */
};

/* The constants of one sweep, spread over a vector. */
struct rule {
    __m128i other; /* the state of old blocks that are dead; one that no state is, if none are */
    __m128i live;  /* the live colour */
    __m128i promote_from; /* marked young states above this become old */
    __m128i young;        /* all ones: young blocks are swept */
};

static struct rule rule_make(const struct gm_sweep *sweep)
{
    int other = sweep->live ^ GM_STATE_OLD_A ^ GM_STATE_OLD_B;
    return (struct rule){
        .other = _mm_set1_epi8((char)(sweep->old ? other : 0x7f)),
        .live = _mm_set1_epi8((char)sweep->live),
        .promote_from = _mm_set1_epi8((char)(GM_STATE_YOUNG_MARKED + sweep->promote_age - 2)),
        .young = _mm_set1_epi8(sweep->young ? -1 : 0),
    };
}

static inline uint64_t bits(__m128i bytes, unsigned shift)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(bytes) << shift;
}

/* Sixteen states: what becomes of them; what they are is or-ed into `group`. */
static inline __m128i vector_sweep(
    const struct rule *rule, __m128i states, struct group *group, unsigned shift)
{
    __m128i low = _mm_and_si128(states, _mm_set1_epi8(GM_STATE_MASK));
    __m128i quarter = _mm_and_si128(low, _mm_set1_epi8(0x0c));
    __m128i unmarked = _mm_cmpeq_epi8(quarter, _mm_set1_epi8(GM_STATE_YOUNG));
    __m128i marked = _mm_cmpeq_epi8(quarter, _mm_set1_epi8(GM_STATE_YOUNG_MARKED));
    __m128i swept = _mm_and_si128(marked, rule->young);
    __m128i promoted = _mm_and_si128(swept, _mm_cmpgt_epi8(low, rule->promote_from));
    __m128i aged = _mm_andnot_si128(promoted, swept);
    __m128i dead =
        _mm_or_si128(_mm_and_si128(unmarked, rule->young), _mm_cmpeq_epi8(low, rule->other));
    __m128i old =
        _mm_cmpeq_epi8(_mm_and_si128(states, _mm_set1_epi8(0x0e)), _mm_set1_epi8(GM_STATE_OLD_A));
    __m128i young =
        _mm_andnot_si128(dead, _mm_andnot_si128(promoted, _mm_or_si128(unmarked, marked)));
    /* flags | live, for the promoted; 8 + age → 4 + age + 1, for those that stay young */
    __m128i flags = _mm_andnot_si128(_mm_set1_epi8(GM_STATE_MASK), states);
    __m128i result = _mm_andnot_si128(_mm_or_si128(dead, promoted), states);
    result = _mm_or_si128(result, _mm_and_si128(promoted, _mm_or_si128(flags, rule->live)));
    result = _mm_sub_epi8(
        result, _mm_and_si128(aged, _mm_set1_epi8(GM_STATE_YOUNG_MARKED - GM_STATE_YOUNG - 1)));
    group->dead |= bits(dead, shift);
    group->promoted |= bits(promoted, shift);
    group->young |= bits(young, shift);
    group->old |= bits(_mm_or_si128(_mm_andnot_si128(dead, old), promoted), shift);
    group->young_dead |= bits(_mm_and_si128(unmarked, rule->young), shift);
    group->cached |= bits(_mm_cmpeq_epi8(low, _mm_set1_epi8(GM_STATE_CACHED)), shift);
    return result;
}

/* Sweeps `count` states, at most 64. */
GM_UNSANITIZED static struct group group_sweep(
    const struct rule *rule, uint8_t *state, uint32_t count, bool stopped)
{
    struct group group = {0};
    _Alignas(16) uint8_t bytes[GROUP];
    uint8_t *from = state;
    if (count < GROUP) {
        memset(bytes, GM_STATE_EXPLICIT, sizeof bytes);
        memcpy(bytes, state, count);
        from = bytes;
    }
    for (unsigned i = 0; i < GROUP; i += 16) {
        __m128i states = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        __m128i result = vector_sweep(rule, states, &group, i);
        if (stopped)
            _mm_storeu_si128((__m128i *)(void *)(from + i), result);
    }
    if (stopped && count < GROUP)
        memcpy(state, bytes, count);
    return group;
}

/* With the program running: only what is dead is stored to. */
static void group_free_dead(uint8_t *state, uint64_t dead)
{
    for (; dead;
         dead &= dead - 1) /* relaxed: whoever allocates the block takes the span over by a lock */
        __atomic_store_n(&state[__builtin_ctzll(dead)], GM_STATE_FREE, __ATOMIC_RELAXED);
}

static void group_tell(const struct geomem_listener *listener, const struct gm_sweep *sweep,
    const struct gm_span *span, uint32_t index, const struct group *group)
{
    struct geomem_swept swept = {
        .heap = sweep->heap,
        .first = (const void *)gm_block_start(span, index),
        .block_bytes = gm_block_bytes(span),
        .dead = group->dead,
        .promoted = group->promoted,
        .age = sweep->promote_age,
    };
    listener->swept(&swept);
}

static unsigned count(uint64_t mask)
{
    return mask ? (unsigned)__builtin_popcountll(mask) : 0;
}

static void group_add_up(
    struct gm_sweep *sweep, const struct gm_span *span, const struct group *group)
{
    size_t bytes = gm_block_bytes(span);
    unsigned dead = count(group->dead), promoted = count(group->promoted);
    sweep->dead_blocks += dead;
    sweep->dead_bytes += dead * bytes;
    sweep->young_dead_bytes += count(group->young_dead) * bytes;
    sweep->promoted_blocks += promoted;
    sweep->promoted_bytes += promoted * bytes;
    sweep->young_bytes += count(group->young) * bytes;
}

/* They are of the live colour without having been looked at for pointers to old blocks. */
static void promoted_note(const struct gm_span *span, uint32_t index, uint64_t promoted)
{
    uint32_t first = index + (uint32_t)__builtin_ctzll(promoted);
    uint32_t last = index + 63 - (uint32_t)__builtin_clzll(promoted);
    gm_cards_note(
        span, gm_block_start(span, first), gm_block_start(span, last) + gm_block_bytes(span));
}

/* Blocks that may have been handed out. What an owner has carved since it last stored `fresh` is found all the same. */
static uint32_t span_reach(const struct gm_span *span, bool owned)
{
    return owned || span->fresh > span->capacity ? span->capacity : span->fresh;
}

static void span_set_flags(struct gm_span *span, bool young_swept, bool young, bool old)
{
    uint16_t clear = GM_SPAN_NEEDS_SWEEP;
    /* Watched: the heap asks for an end of that, of spans with old blocks, when it takes the span back. */
    if (!old && span->sort < GM_SORT_OLD_SCANNED && !(gm_span_flags(span) & GM_SPAN_WATCHED))
        clear |= GM_SPAN_HAS_OLD;
    if (!young && young_swept)
        clear |= GM_SPAN_HAS_YOUNG;
    gm_span_flags_clear(span, clear);
    gm_span_flags_set(span, (uint16_t)(old ? GM_SPAN_HAS_OLD : 0));
}

uint32_t gm_sweep_span(struct gm_sweep *sweep, struct gm_span *span)
{
    const struct geomem_listener *listener = gm_listener_get();
    struct rule rule = rule_make(sweep);
    bool tell = listener && listener->swept;
    /* relaxed: changes under the heap's lock, which is held */
    bool owned = atomic_load_explicit(&span->owner, memory_order_relaxed) != NULL;
    uint32_t reach = span_reach(span, owned);
    uint64_t young = 0, old = 0;
    uint32_t freed = 0;
    for (uint32_t i = 0; i < reach; i += GROUP) {
        uint32_t blocks = reach - i < GROUP ? reach - i : GROUP;
        struct group group = group_sweep(&rule, span->state + i, blocks, sweep->young);
        gm_checker_swept((const void *)gm_block_start(span, i), gm_block_bytes(span), group.dead);
        if (tell && (group.dead | group.promoted))
            group_tell(listener, sweep, span, i, &group);
        if (!sweep->young)
            group_free_dead(span->state + i, group.dead);
        group_add_up(sweep, span, &group);
        if (sweep->notes && group.promoted && span->kind != GM_KIND_LEAF)
            promoted_note(span, i, group.promoted);
        young |= group.young | group.cached;
        old |= group.old;
        freed += count(group.dead);
    }
    span_set_flags(span, sweep->young, young || owned, old);
    return freed;
}
