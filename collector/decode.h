/* decode.h - one ring's words, copied out of shared memory, read as records.
 *
 *   shared ring --[drain: copy]--> gm_reader.words[next .. n) --[decode]--> struct gm_event
 *
 * A reader owns a private copy of what was drained and not yet told on, so nothing the target does
 * can change a word between the check and the use. Words are still whatever the target wrote: every
 * record is checked, what is wrong is counted in `corrupt` and skipped; after a wrong length
 * nothing that follows can be trusted, and what is left of the copy goes.
 *
 * Stamps become 64 bits wide here, and never decrease within a reader. Records without a stamp
 * (STACK, MODULE) carry that of the next stamped record.
 *
 * An ALLOC whose block died in the nursery is told with `died` set: it has no address, and its free
 * is due once the reader has told everything up to `death_position`.
 */
#ifndef GM_COLLECTOR_DECODE_H
#define GM_COLLECTOR_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/event_kinds.h"

struct gm_event {
    enum gm_event_kind kind;
    bool realloc; /* ALLOC, FREE: of a reallocation */
    bool died;    /* ALLOC: see above; the next three say how */
    bool died_by_realloc, died_collected;
    uint64_t position, death_position; /* of the reader: of this record, and as said */
    uint64_t death_ticks;              /* lived so long, by the clock as the target knew it */
    uint8_t function;                  /* enum gm_alloc_function */
    uint64_t stamp;                    /* full width */
    uint64_t address;                  /* ALLOC, FREE; SWEEP: of the first block */
    uint64_t size_bytes;               /* ALLOC; SWEEP: distance of the blocks */
    uint64_t hash;                     /* ALLOC, STACK */
    uint64_t
        clock_bytes; /* ALLOC, FREE of a sampled recording: what the thread has allocated; else 0 */
    uint32_t sample_log2; /* ALLOC: of the interval it was sampled with; 0: not sampled */
    /* STACK: parent_hash, pc_word. MODULE: start, end, bias. Others: as the names say. */
    union {
        struct {
            uint64_t parent_hash, pc_word;
        };
        struct {
            uint64_t start, end, bias;
            const uint8_t *build_id;
            const char *path; /* not terminated */
            uint32_t build_id_bytes, path_bytes;
        };
        struct {
            int32_t tid;
            char name[17];
        };
        struct {
            uint32_t end_kind;
            int32_t end_value;
        };
        struct {
            const char *text; /* not terminated */
            uint32_t text_bytes;
        };
        struct { /* SWEEP */
            uint64_t dead, promoted;
            uint32_t age, swept_heap;
        };
        struct { /* GC_BEGIN, GC_CYCLE, GC_STOP: the number and how long */
            uint64_t heap, number;
            uint32_t gc_kind, gc_trigger;
            int64_t duration_ns;     /* GC_CYCLE, GC_STOP */
            const uint64_t *figures; /* GC_CYCLE: by enum gm_cycle_figure; bounded */
        };
        struct
        { /* CACHE, CACHE_USE, CACHE_EVICT; the latter two with size_bytes, and a use with the hash of its stack */
            uint64_t cache, key;
            const uint64_t *cache_figures; /* CACHE: by enum gm_cache_figure; bounded */
            uint64_t sample_threshold;
            const char *name_text; /* not terminated */
            uint32_t name_bytes;
            uint32_t policy, choice, switches;
            bool closed;
            uint32_t use, cause, key_class, key_hits;
            int64_t ns; /* of a load; of what left: since it was stored */
        };
    };
};

/* Whether the event takes the block at an address away. */
static inline bool gm_event_frees(const struct gm_event *event, uint64_t address)
{
    if (event->kind != GM_EV_SWEEP)
        return event->kind == GM_EV_FREE && event->address == address;
    uint64_t distance = address - event->address;
    return distance / event->size_bytes < 64 && distance % event->size_bytes == 0 &&
           (event->dead >> distance / event->size_bytes & 1);
}

struct gm_reader_group;

struct gm_reader {
    uint64_t *words;
    size_t room, n;
    uint64_t position;   /* of `next`, in words since the ring began */
    uint64_t ring_words; /* deaths lie no further ahead */
    size_t next;         /* first word not yet told on */
    size_t stamped;  /* where the first stamped record at or after `next` lies; valid if ready */
    size_t scanned;  /* unstamped records up to here have been passed over in search of it */
    size_t ahead[2]; /* gm_reader_look_ahead has been here, by enum gm_ahead */
    bool ready;      /* `stamp` is that of the next event */
    uint64_t stamp;
    uint64_t last_stamp;
    uint64_t last_word0; /* of the record that it was told for, if that was not corrected */
    uint64_t now;        /* clock at the last fill: what 48-bit stamps are near to */
    uint64_t corrupt;    /* records that were wrong */
    uint64_t backward;   /* stamps that were much smaller than the one before */
    bool held;           /* order.c: an event of it waits for another ring */
    struct gm_reader_group *group; /* the readers of one process */
    uint32_t index;                /* within the group */
};

/* All rings of one process image. */
struct gm_reader_group {
    struct gm_reader *readers;
    uint32_t count;
    void *owner;
};

void gm_reader_done(struct gm_reader *reader);

/* Makes room for `count` more words and returns where to write them, or NULL without memory. */
uint64_t *gm_reader_reserve(struct gm_reader *reader, size_t count);
/* The words reserved are there; `now` is a reading of the clock taken before they were. */
void gm_reader_commit(struct gm_reader *reader, size_t count, uint64_t now);

/* The latest stamp among the words from index `from`, where a record begins, or 0: nothing that follows in this ring
 * is older. */
uint64_t gm_reader_newest(const struct gm_reader *reader, size_t from);

/* An ALLOC or FREE record of its usual length. */
static inline bool gm_reader_is_usual(uint64_t word0)
{
    return (word0 & 0xffff) == (4u << 8 | GM_EV_ALLOC) ||
           (word0 & 0xffff) == (2u << 8 | GM_EV_FREE);
}

/* Words not yet told on. */
static inline size_t gm_reader_left(const struct gm_reader *reader)
{
    return reader->n - reader->next;
}

bool gm_reader_find(struct gm_reader *reader, bool last);
/* Whether there is an event; its stamp is then in reader->stamp. `last`: nothing will follow, so
 * records that wait for a stamped one are told with the last stamp. */
static inline bool gm_reader_ready(struct gm_reader *reader, bool last)
{
    if (reader->ready)
        return true;
    /* Most have the stamp of the one before. */
    size_t next = reader->next;
    if (next + 4 <= reader->n && reader->scanned <= next) {
        uint64_t word0 = reader->words[next];
        if ((word0 ^ reader->last_word0) >> 16 == 0 && gm_reader_is_usual(word0)) {
            reader->stamped = reader->scanned = next;
            reader->stamp = reader->last_stamp;
            return reader->ready = true;
        }
    }
    return gm_reader_find(reader, last);
}

/* Tells the next event and moves past it. False where a record was skipped instead: ask ready
 * again. Pointers in the event are valid until the next reserve. Only after gm_reader_ready. */
bool gm_reader_take(struct gm_reader *reader, struct gm_event *ret_event);

/* The stamp of the next event of `address` in what is left, if that is an ALLOC (want_alloc) or a FREE, as
 * asked for, no later than `until` and within `records` records; else UINT64_MAX. Changes nothing. */
uint64_t gm_reader_expects(const struct gm_reader *reader, uint64_t address, bool want_alloc,
    uint64_t until, size_t records);

/* What records some way ahead of `next` speak of, so that it can be fetched into the cache before their turn. Each call
 * looks at one more record, first from far, a second time when it is near. Nothing is checked; what is not true does
 * no harm. False: nothing to look at. */
enum gm_ahead { GM_AHEAD_FAR, GM_AHEAD_NEAR, GM_AHEADS };
#define GM_AHEAD_FAR_WORDS 64u /* some 20 records */
#define GM_AHEAD_NEAR_WORDS 32u
struct gm_ahead_record {
    unsigned kind;
    uint64_t address; /* ALLOC, FREE; 0: died in the nursery */
    uint64_t hash;    /* ALLOC, STACK */
};
static inline bool gm_reader_look_ahead(
    struct gm_reader *reader, enum gm_ahead ahead, struct gm_ahead_record *ret_record)
{
    size_t *at = &reader->ahead[ahead];
    if (*at < reader->next)
        *at = reader->next;
    if (*at + 4 > reader->n ||
        *at - reader->next > (ahead == GM_AHEAD_FAR ? GM_AHEAD_FAR_WORDS : GM_AHEAD_NEAR_WORDS))
        return false;
    const uint64_t *w = reader->words + *at;
    unsigned kind = w[0] & 0xff;
    *at += w[0] >> 8 & 0xff; /* its length; where that is a lie, this stops ahead of n */
    *ret_record = (struct gm_ahead_record){
        .kind = kind, .address = w[1] >> 48 ? 0 : w[1], .hash = kind == GM_EV_ALLOC ? w[3] : w[1]};
    return true;
}

/* The next MODULE record at or after *at among what is left; moves *at past it. False: no more. */
bool gm_reader_next_module(const struct gm_reader *reader, size_t *at, struct gm_event *ret_module);

#endif
