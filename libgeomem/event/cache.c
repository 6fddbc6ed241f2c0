/* cache.c - see cache.h. */
#include "libgeomem/event/cache.h"

#include <assert.h>
#include <string.h>

#include "libgeomem/event/event.h"
#include "libgeomem/event/naming.h"
#include "libgeomem/event/process.h"
#include "libgeomem/event/thread.h"

#define STATE_WORDS (GM_CACHE_FIRST_WORD + GM_CACHE_FIGURE_COUNT)
#define NAME_WORDS (GM_CACHE_NAME_MAX / 8)
#define USE_WORDS 7u
#define EVICT_WORDS 6u
#define CLASS_WORDS 4u

static_assert(GEOMEM_CACHE_CAUSE_COUNT == (int)GM_CAUSE_COUNT, "the causes are the listener's");
static_assert(GEOMEM_CACHE_UNPIN + 1 == (int)GM_USE_COUNT, "the uses are the listener's");

static void state_figures(const struct geomem_cache_state *s, uint64_t *f)
{
#define GM_X(name, text) f[GM_CACHE_##name] = s->name;
    GM_CACHE_FIGURES(GM_X)
#undef GM_X
    for (unsigned cause = 1; cause < GM_CAUSE_COUNT; cause++) {
        f[GM_CACHE_evictions + cause - 1] = s->evictions[cause];
        f[GM_CACHE_evicted_bytes + cause - 1] = s->evicted_bytes[cause];
    }
}

/* Into words, zero-padded. Returns how many. */
static uint32_t name_words(const char *name, size_t bytes, uint64_t *words)
{
    memset(words, 0, (bytes + 7) / 8 * 8);
    if (bytes)
        memcpy(words, name, bytes);
    return (uint32_t)(bytes + 7) / 8;
}

/* Words after the first, which gets the stamp when it is written. Returns how many there are with it. */
static uint32_t state_words(
    const struct geomem_cache_state *s, uint64_t words[STATE_WORDS + NAME_WORDS])
{
    size_t bytes = s->name ? strnlen(s->name, GM_CACHE_NAME_MAX) : 0;
    words[1] = s->cache & GM_ADDRESS_MASK;
    words[2] = gm_cache_pack(s->policy, s->closed, s->choice, s->switches);
    words[3] = bytes;
    words[4] = s->sample_threshold;
    state_figures(s, words + GM_CACHE_FIRST_WORD);
    return STATE_WORDS + name_words(s->name, bytes, words + STATE_WORDS);
}

void gm_event_cache_state(const struct geomem_cache_state *state)
{
    uint64_t words[STATE_WORDS + NAME_WORDS];
    if (!gm_process_on())
        return;
    gm_event_words(GM_EV_CACHE, words, state_words(state, words));
}

void gm_event_cache_class(uint64_t cache, uint32_t key_class, const char *name)
{
    size_t bytes = strnlen(name, GM_CACHE_NAME_MAX);
    uint64_t words[CLASS_WORDS + NAME_WORDS] = {0, cache & GM_ADDRESS_MASK, key_class, bytes};
    gm_event_words(
        GM_EV_CACHE_CLASS, words, CLASS_WORDS + name_words(name, bytes, words + CLASS_WORDS));
}

/* The names of its stack go out with it. */
static void use_tell(const struct gm_context *context, uint64_t words[USE_WORDS])
{
    struct gm_scope scope;
    struct gm_naming name;
    if (!gm_scope_enter(&scope))
        return;
    if (gm_naming_capture(&scope, context, USE_WORDS, &name)) {
        gm_scope_busy(&scope);
        gm_naming_put(&scope, &name);
        words[6] = name.hash;
        gm_event_words_put(&scope, GM_EV_CACHE_USE, words, USE_WORDS);
        gm_scope_publish(&scope);
        gm_scope_idle(&scope);
    }
    gm_scope_leave(&scope);
}

void gm_event_cache_use(const struct gm_context *context, const struct geomem_cache_key_use *use)
{
    uint64_t words[USE_WORDS] = {0, gm_cache_key_pack(use->cache, use->use), use->key,
        use->bytes < GM_SIZE_MAX ? use->bytes : GM_SIZE_MAX, use->ns, use->key_class,
        GM_STACK_NONE};
    if (!gm_process_on())
        return;
    if (use->use == GEOMEM_CACHE_UNPIN) /* it is the pin's that is of interest */
        gm_event_words(GM_EV_CACHE_USE, words, USE_WORDS);
    else
        use_tell(context, words);
}

void gm_event_cache_evict(const struct geomem_cache_eviction *e)
{
    const uint64_t words[EVICT_WORDS] = {0, gm_cache_key_pack(e->cache, e->cause), e->key,
        e->bytes < GM_SIZE_MAX ? e->bytes : GM_SIZE_MAX, e->hits, e->age_ns};
    gm_event_words(GM_EV_CACHE_EVICT, words, EVICT_WORDS);
}
