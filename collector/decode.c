/* decode.c - see decode.h. */
#include "collector/decode.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/wire.h"

#define WORDS_FIRST 1024u
/* Unstamped records pile up before a stamped one only as far as one deep stack and a few modules
 * go; a target that writes nothing else is told on without waiting. */
#define UNSTAMPED_WORDS_MAX 65536u
/* Stamps may lie this far ahead of the reading taken before the drain. */
#define STAMP_AHEAD (1ull << 32)
/* The clock may be read some instructions before the lock of a shared ring is seen to be taken: threads that
 * take turns on one were seen to disagree by up to 200 ticks. So much is no disorder worth telling. */
#define STAMP_BACKWARD (1u << 15)
#define BUILD_ID_MAX 64u
#define GC_NUMBER_MAX (1ull << 48) /* of heaps and collections */
#define FIGURE_MAX (1ull << 56)    /* two years in nanoseconds; far above any size */

static const uint8_t record_least_words[256] = {
#define GM_X(code, NAME, words, text) [code] = (words),
    GM_EVENT_KINDS(GM_X)
#undef GM_X
};

static void reader_rewind(struct gm_reader *reader)
{
    reader->n = reader->next = reader->stamped = reader->scanned = 0;
    reader->ahead[GM_AHEAD_FAR] = reader->ahead[GM_AHEAD_NEAR] = 0;
}

static void position_move_back(size_t *position, size_t gone)
{
    *position -= *position < gone ? *position : gone;
}

void gm_reader_done(struct gm_reader *reader)
{
    free(reader->words);
    reader->words = NULL;
    reader->room = 0;
    reader_rewind(reader);
    reader->ready = false;
}

uint64_t *gm_reader_reserve(struct gm_reader *reader, size_t count)
{
    if (reader->next == reader->n) /* the usual case: start over, in memory that is in the cache */
        reader_rewind(reader);
    if (reader->next > 0 && reader->room - reader->n < count) {
        size_t gone = reader->next;
        memmove(reader->words, reader->words + gone, (reader->n - gone) * 8);
        reader->n -= gone;
        reader->next = 0;
        position_move_back(&reader->stamped, gone);
        position_move_back(&reader->scanned, gone);
        position_move_back(&reader->ahead[GM_AHEAD_FAR], gone);
        position_move_back(&reader->ahead[GM_AHEAD_NEAR], gone);
    }
    if (reader->room - reader->n < count) {
        size_t room = reader->room ? reader->room : WORDS_FIRST;
        while (room - reader->n < count)
            room *= 2;
        uint64_t *words = reallocarray(reader->words, room, 8);
        if (!words)
            return NULL;
        reader->words = words;
        reader->room = room;
    }
    return reader->words + reader->n;
}

void gm_reader_commit(struct gm_reader *reader, size_t count, uint64_t now)
{
    reader->n += count;
    reader->now = now;
}

static bool kind_is_unstamped(unsigned kind)
{
    return kind == GM_EV_STACK || kind == GM_EV_MODULE;
}

/* The clock value nearest below now + STAMP_AHEAD whose low bits are `stamp`; 0 where that would be before
 * the clock began: below zero it would wrap to a time that never comes, and be waited for for ever. */
static uint64_t stamp_widen(const struct gm_reader *reader, uint64_t stamp)
{
    uint64_t limit = reader->now + STAMP_AHEAD, back = (limit - stamp) & GM_STAMP_MASK;
    return back > limit ? 0 : limit - back;
}

uint64_t gm_reader_newest(const struct gm_reader *reader, size_t from)
{
    uint64_t newest = 0;
    for (size_t i = from, words; i < reader->n; i += words) {
        uint64_t word0 = reader->words[i];
        words = gm_rec_words(word0);
        if (words == 0 || words > reader->n - i)
            break;
        if (!kind_is_unstamped(gm_rec_kind(word0)))
            newest = gm_rec_stamp(word0);
    }
    return newest ? stamp_widen(reader, newest) : 0;
}

static uint64_t reader_next_stamp(struct gm_reader *reader, uint64_t stamp)
{
    uint64_t wide = stamp_widen(reader, stamp);
    if (wide < reader->last_stamp) {
        reader->backward += reader->last_stamp - wide > STAMP_BACKWARD;
        return reader->last_stamp;
    }
    return reader->last_stamp = wide;
}

bool gm_reader_find(struct gm_reader *reader, bool last)
{
    size_t i = reader->scanned > reader->next ? reader->scanned : reader->next;
    while (i < reader->n) {
        uint64_t word0 = reader->words[i];
        unsigned words = gm_rec_words(word0), kind = gm_rec_kind(word0);
        if (words == 0 || words > reader->n - i) {
            reader->corrupt++;
            reader->position += reader->n - i;
            reader->n = i;
            break;
        }
        if (record_least_words[kind] && !kind_is_unstamped(kind)) {
            reader->stamped = reader->scanned = i;
            reader->stamp = reader_next_stamp(reader, gm_rec_stamp(word0));
            reader->last_word0 =
                (reader->stamp & GM_STAMP_MASK) == gm_rec_stamp(word0) ? word0 : ~word0;
            return reader->ready = true;
        }
        i += words;
    }
    reader->scanned = i;
    if (reader->next == reader->n || !(last || reader->n - reader->next > UNSTAMPED_WORDS_MAX))
        return false;
    reader->stamped = reader->n;
    reader->stamp = reader->last_stamp;
    return reader->ready = true;
}

static bool decode_size(uint64_t packed, struct gm_event *event)
{
    event->size_bytes = gm_size_bytes(packed);
    event->function = (uint8_t)gm_size_function(packed);
    return gm_size_function(packed) < GM_FN_COUNT;
}

static inline bool decode_sample(const uint64_t *w, unsigned words, struct gm_event *event)
{
    bool sampled = words >= 6;
    event->sample_log2 = sampled ? gm_sample_interval_log2(w[4]) : 0;
    event->clock_bytes = sampled ? w[5] : 0;
    event->realloc |= sampled && (gm_sample_flags(w[4]) & GM_SAMPLE_REALLOC);
    return event->sample_log2 == 0 ||
           (event->sample_log2 >= GM_SAMPLE_LOG2_MIN && event->sample_log2 <= GM_SAMPLE_LOG2_MAX);
}

static bool decode_module(const uint64_t *w, unsigned words, struct gm_event *event)
{
    event->start = w[1];
    event->end = w[2];
    event->bias = w[3];
    event->build_id_bytes = (uint32_t)(w[4] & 0xff);
    event->path_bytes = (uint32_t)(w[4] >> 8 & 0xffff);
    event->build_id = (const uint8_t *)&w[5];
    event->path = (const char *)&w[5] + event->build_id_bytes;
    return event->start < event->end && event->end <= 1ull << 63 &&
           event->build_id_bytes <= BUILD_ID_MAX &&
           event->build_id_bytes + event->path_bytes <= (words - 5) * 8;
}

static bool decode_thread(const uint64_t *w, bool start, struct gm_event *event)
{
    event->tid = (int32_t)w[1];
    event->name[0] = '\0';
    if (start) {
        memcpy(event->name, &w[2], 16);
        event->name[16] = '\0';
    }
    return w[1] > 0 && w[1] <= INT32_MAX;
}

/* A death lies after its record, and no further than the ring is long. */
static inline bool decode_alloc(
    const struct gm_reader *reader, const uint64_t *w, unsigned words, struct gm_event *event)
{
    event->hash = w[3];
    event->realloc = w[2] & GM_SIZE_REALLOC;
    event->died = w[1] & GM_DEATH;
    event->address = event->died ? 0 : w[1];
    if (!event->died && w[1] > GM_ADDRESS_MASK)
        return false;
    if (event->died) {
        event->died_by_realloc = w[1] & GM_DEATH_REALLOC;
        event->died_collected = w[1] & GM_DEATH_COLLECTED;
        event->position = reader->position;
        event->death_position = reader->position + gm_death_words(w[1]);
        event->death_ticks = gm_death_ticks(w[1]);
        if (gm_death_words(w[1]) < 4 || gm_death_words(w[1]) > reader->ring_words)
            return false;
    }
    return decode_size(w[2], event) && decode_sample(w, words, event) && w[1] != 0;
}

static inline bool decode_free(const uint64_t *w, unsigned words, struct gm_event *event)
{
    event->clock_bytes = words >= 3 ? w[2] : 0;
    event->address = w[1] & ~GM_FREE_REALLOC;
    event->realloc = w[1] & GM_FREE_REALLOC;
    event->died = false;
    return event->address != 0 && event->address <= GM_ADDRESS_MASK;
}

/* All blocks that it speaks of have addresses, and none is both dead and promoted. */
static bool decode_sweep(const uint64_t *w, struct gm_event *event)
{
    uint64_t named = w[3] | w[4];
    event->address = w[1] & GM_ADDRESS_MASK;
    event->swept_heap = (uint32_t)(w[1] >> 48);
    event->size_bytes = w[2] & GM_ADDRESS_MASK;
    event->age = (uint32_t)(w[2] >> 48);
    event->dead = w[3];
    event->promoted = w[4];
    if (named == 0 || (w[3] & w[4]) || event->address == 0 || event->size_bytes == 0)
        return false;
    uint64_t last = 63 - (uint64_t)__builtin_clzll(named);
    return last == 0 || event->size_bytes <= (GM_ADDRESS_MASK - event->address) / last;
}

static bool decode_gc(const uint64_t *w, struct gm_event *event)
{
    event->heap = w[1];
    event->number = w[2];
    event->gc_kind = gm_gc_kind(w[3]);
    event->gc_trigger = gm_gc_trigger(w[3]);
    return w[1] <= GC_NUMBER_MAX && w[2] <= GC_NUMBER_MAX && gm_gc_kind_name(event->gc_kind) &&
           gm_gc_trigger_name(event->gc_trigger);
}

/* Parts are no more than their whole, and nothing is so large that sums of it could overflow. */
static bool decode_cycle(const uint64_t *w, struct gm_event *event)
{
    const uint64_t *f = event->figures = w + GM_CYCLE_FIRST_WORD;
    for (unsigned i = 0; i < GM_CYCLE_FIGURE_COUNT; i++)
        if (f[i] > FIGURE_MAX)
            return false;
    event->duration_ns = (int64_t)w[4];
    return decode_gc(w, event) && w[4] <= FIGURE_MAX &&
           f[GM_CYCLE_max_pause_ns] <= f[GM_CYCLE_pause_ns];
}

static bool decode_gc_stop(const uint64_t *w, struct gm_event *event)
{
    event->number = w[1];
    event->duration_ns = (int64_t)w[2];
    return w[1] <= GC_NUMBER_MAX && w[2] <= FIGURE_MAX;
}

static bool decode_cache(const uint64_t *w, unsigned words, struct gm_event *event)
{
    const uint64_t *f = event->cache_figures = w + GM_CACHE_FIRST_WORD;
    unsigned fixed = GM_CACHE_FIRST_WORD + GM_CACHE_FIGURE_COUNT;
    for (unsigned i = 0; i < GM_CACHE_FIGURE_COUNT; i++)
        if (f[i] > FIGURE_MAX)
            return false;
    event->cache = w[1];
    event->policy = gm_cache_policy(w[2]);
    event->closed = gm_cache_closed(w[2]);
    event->choice = gm_cache_choice(w[2]);
    event->switches = gm_cache_switches(w[2]);
    event->sample_threshold = w[4];
    event->name_text = (const char *)(w + fixed);
    event->name_bytes = (uint32_t)w[3];
    return w[1] <= GM_ADDRESS_MASK && gm_cache_policy_name(event->policy) &&
           w[3] <= GM_CACHE_NAME_MAX && w[3] <= (words - fixed) * 8;
}

static bool decode_cache_use(const uint64_t *w, struct gm_event *event)
{
    event->cache = gm_cache_key_cache(w[1]);
    event->use = gm_cache_key_what(w[1]);
    event->key = w[2];
    event->size_bytes = w[3];
    event->ns = (int64_t)w[4];
    event->key_class = (uint32_t)w[5];
    event->hash = w[6];
    return event->use >= 1 && event->use < GM_USE_COUNT && w[3] <= GM_SIZE_MAX &&
           w[4] <= FIGURE_MAX && w[5] <= UINT32_MAX;
}

static bool decode_cache_evict(const uint64_t *w, struct gm_event *event)
{
    event->cache = gm_cache_key_cache(w[1]);
    event->cause = gm_cache_key_what(w[1]);
    event->key = w[2];
    event->size_bytes = w[3];
    event->key_hits = (uint32_t)w[4];
    event->ns = (int64_t)w[5];
    return gm_cache_cause_name(event->cause) && w[3] <= GM_SIZE_MAX && w[4] <= UINT32_MAX &&
           w[5] <= FIGURE_MAX;
}

static bool decode_cache_class(const uint64_t *w, unsigned words, struct gm_event *event)
{
    event->cache = w[1];
    event->key_class = (uint32_t)w[2];
    event->name_text = (const char *)(w + 4);
    event->name_bytes = (uint32_t)w[3];
    return w[1] <= GM_ADDRESS_MASK && w[2] <= UINT32_MAX && w[3] <= GM_CACHE_NAME_MAX &&
           w[3] <= (words - 4) * 8;
}

/* Fills what one record says; false where it cannot be true. */
static bool decode_record(const uint64_t *w, unsigned words, struct gm_event *event)
{
    event->realloc = event->died = false;
    switch (event->kind) {
    case GM_EV_STACK:
        event->hash = w[1];
        event->parent_hash = w[2];
        event->pc_word = w[3];
        return gm_stack_hash(w[2], w[3]) == w[1];
    case GM_EV_MODULE:
        return decode_module(w, words, event);
    case GM_EV_THREAD_START:
        return decode_thread(w, true, event);
    case GM_EV_THREAD_END:
        return decode_thread(w, false, event);
    case GM_EV_PROCESS_END:
        event->end_kind = (uint32_t)w[1];
        event->end_value = (int32_t)w[2];
        return w[1] <= GM_END_ABORT;
    case GM_EV_MARK:
        event->text = (const char *)&w[2];
        event->text_bytes = (uint32_t)w[1];
        return w[1] <= (words - 2) * 8;
    case GM_EV_SWEEP:
        return decode_sweep(w, event);
    case GM_EV_GC_BEGIN:
        return decode_gc(w, event);
    case GM_EV_GC_CYCLE:
        return decode_cycle(w, event);
    case GM_EV_ALLOC:
    case GM_EV_FREE:
    case GM_EV_REALLOC: /* of an older target */
    case GM_EV_PROMOTION:
        return false;
    case GM_EV_GC_STOP:
        return decode_gc_stop(w, event);
    case GM_EV_CACHE:
        return decode_cache(w, words, event);
    case GM_EV_CACHE_USE:
        return decode_cache_use(w, event);
    case GM_EV_CACHE_EVICT:
        return decode_cache_evict(w, event);
    case GM_EV_CACHE_CLASS:
        return decode_cache_class(w, words, event);
    case GM_EV_MODULE_EPOCH:
        return true;
    }
    return false;
}

static void reader_pass(struct gm_reader *reader, unsigned words)
{
    reader->next += words;
    reader->position += words;
    if (reader->next > reader->stamped || reader->next == reader->n)
        reader->ready = false;
}

bool gm_reader_take(struct gm_reader *reader, struct gm_event *ret_event)
{
    const uint64_t *w = reader->words + reader->next;
    unsigned words = gm_rec_words(w[0]), kind = gm_rec_kind(w[0]);
    bool known = record_least_words[kind] != 0, good = known && words >= record_least_words[kind];
    ret_event->kind = (enum gm_event_kind)kind;
    ret_event->stamp = reader->stamp;
    if (good && kind == GM_EV_ALLOC)
        good = decode_alloc(reader, w, words, ret_event);
    else if (good && kind == GM_EV_FREE)
        good = decode_free(w, words, ret_event);
    else if (good)
        good = decode_record(w, words, ret_event);
    reader->corrupt += known && !good;
    reader_pass(reader, words);
    return good;
}

/* What the record at w does with the address: 'a' allocates it, 'f' frees it, 0 neither. */
static char record_touches(const uint64_t *w, unsigned words, uint64_t address)
{
    unsigned kind = gm_rec_kind(w[0]);
    if (words < record_least_words[kind])
        return 0;
    if (kind == GM_EV_ALLOC && w[1] == address)
        return 'a';
    if (kind == GM_EV_SWEEP) {
        struct gm_event sweep = {.kind = GM_EV_SWEEP};
        return decode_sweep(w, &sweep) && gm_event_frees(&sweep, address) ? 'f' : 0;
    }
    return kind == GM_EV_FREE && (w[1] & ~GM_FREE_REALLOC) == address ? 'f' : 0;
}

uint64_t gm_reader_expects(const struct gm_reader *reader, uint64_t address, bool want_alloc,
    uint64_t until, size_t records)
{
    for (size_t i = reader->next; i < reader->n && records > 0; records--) {
        const uint64_t *w = reader->words + i;
        unsigned words = gm_rec_words(w[0]), kind = gm_rec_kind(w[0]);
        if (words == 0 || words > reader->n - i)
            return UINT64_MAX;
        uint64_t stamp = kind_is_unstamped(kind) ? 0 : stamp_widen(reader, gm_rec_stamp(w[0]));
        if (stamp > until)
            return UINT64_MAX;
        char touch = record_touches(w, words, address);
        if (touch)
            return touch == (want_alloc ? 'a' : 'f') ? stamp : UINT64_MAX;
        i += words;
    }
    return UINT64_MAX;
}

bool gm_reader_next_module(const struct gm_reader *reader, size_t *at, struct gm_event *ret_module)
{
    while (*at < reader->n) {
        const uint64_t *w = reader->words + *at;
        unsigned words = gm_rec_words(w[0]);
        if (words == 0 || words > reader->n - *at)
            return false;
        *at += words;
        if (gm_rec_kind(w[0]) != GM_EV_MODULE || words < record_least_words[GM_EV_MODULE])
            continue;
        ret_module->kind = GM_EV_MODULE;
        if (decode_module(w, words, ret_module))
            return true;
    }
    return false;
}
