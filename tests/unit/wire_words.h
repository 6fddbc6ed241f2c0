/* wire_words.h - for tests of the recorder: records as a target would write them (schemas/wire.h), and a
 * small random number generator whose seed a failing test can print. */
#ifndef GM_TESTS_WIRE_WORDS_H
#define GM_TESTS_WIRE_WORDS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/decode.h"
#include "schemas/wire.h"

struct rng {
    uint64_t s;
};
static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return rng_next(r) % n;
}

static inline void put_words(
    struct gm_reader *reader, const uint64_t *words, size_t n, uint64_t now)
{
    uint64_t *to = gm_reader_reserve(reader, n);
    if (!to)
        abort();
    memcpy(to, words, n * 8);
    gm_reader_commit(reader, n, now);
}

static inline void put_alloc(
    struct gm_reader *reader, uint64_t stamp, uint64_t address, uint64_t size, uint64_t hash)
{
    uint64_t w[] = {gm_rec_word0(GM_EV_ALLOC, 4, stamp & GM_STAMP_MASK), address,
        gm_size_pack(size, GM_FN_malloc, 0), hash};
    put_words(reader, w, 4, stamp);
}

static inline void put_free(struct gm_reader *reader, uint64_t stamp, uint64_t address)
{
    uint64_t w[] = {gm_rec_word0(GM_EV_FREE, 2, stamp & GM_STAMP_MASK), address};
    put_words(reader, w, 2, stamp);
}

static inline void put_realloc(struct gm_reader *reader, uint64_t before, uint64_t after,
    uint64_t from, uint64_t to, uint64_t size, uint64_t hash)
{
    uint64_t w[] = {gm_rec_word0(GM_EV_FREE, 2, before & GM_STAMP_MASK), from | GM_FREE_REALLOC,
        gm_rec_word0(GM_EV_ALLOC, 4, after & GM_STAMP_MASK), to,
        gm_size_pack(size, GM_FN_realloc, 0) | GM_SIZE_REALLOC, hash};
    put_words(reader, w, 6, after);
}

/* An allocation that died in the nursery, `words` after the beginning of its record. */
static inline void put_short_lived(struct gm_reader *reader, uint64_t stamp, uint64_t size,
    uint64_t hash, uint64_t words, uint64_t ticks)
{
    uint64_t w[] = {gm_rec_word0(GM_EV_ALLOC, 4, stamp & GM_STAMP_MASK),
        gm_death_pack(words, ticks, 0), gm_size_pack(size, GM_FN_malloc, 0), hash};
    put_words(reader, w, 4, stamp);
}

/* Returns the hash. */
static inline uint64_t put_stack(struct gm_reader *reader, uint64_t parent, uint64_t pc_word)
{
    uint64_t hash = gm_stack_hash(parent, pc_word);
    uint64_t w[] = {gm_rec_word0(GM_EV_STACK, 4, 0), hash, parent, pc_word};
    put_words(reader, w, 4, reader->now);
    return hash;
}

static inline void put_module(
    struct gm_reader *reader, uint64_t start, uint64_t end, uint64_t bias, const char *path)
{
    uint64_t w[64] = {0, start, end, bias, 4 | (uint64_t)strlen(path) << 8};
    memcpy(&w[5], "\x01\x02\xab\xcd", 4);
    memcpy((char *)&w[5] + 4, path, strlen(path));
    unsigned words = 5 + (unsigned)(4 + strlen(path) + 7) / 8;
    w[0] = gm_rec_word0(GM_EV_MODULE, words, 0);
    put_words(reader, w, words, reader->now);
}

#endif
