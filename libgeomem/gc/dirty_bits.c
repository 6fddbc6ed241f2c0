/* dirty_bits.c - bit maps of pages, and runs in them. See dirty_internal.h.
 *
 * Changes are atomic, because the fault handler of dirty_mprotect.c sets bits of words that the collector changes others
 * of. They order nothing: what has to be ordered is, by that file's lock and by the kernel's.
 */
#include "libgeomem/gc/dirty_internal.h"

/* The bits of word `word` that stand for pages in [from, to). */
static uint64_t bits_mask(size_t word, size_t from, size_t to)
{
    uint64_t mask = ~(uint64_t)0;
    if (word == from / 64)
        mask &= ~(uint64_t)0 << (from % 64);
    if (word == to / 64)
        mask &= ((uint64_t)1 << (to % 64)) - 1;
    return mask;
}

void gm_dirty_bits_set(uint64_t *map, size_t from, size_t to)
{
    for (size_t word = from / 64; word * 64 < to; word++)
        __atomic_fetch_or(&map[word], bits_mask(word, from, to), __ATOMIC_RELAXED);
}

void gm_dirty_bits_clear(uint64_t *map, size_t from, size_t to)
{
    for (size_t word = from / 64; word * 64 < to; word++) {
        uint64_t mask = bits_mask(word, from, to);
        /* memory that was never written to stays so */
        if (gm_dirty_word(map, word) & mask)
            __atomic_fetch_and(&map[word], ~mask, __ATOMIC_RELAXED);
    }
}

static uint64_t bits_word(
    const uint64_t *map, const uint64_t *other, bool other_is, size_t word, bool inverted)
{
    uint64_t bits = gm_dirty_word(map, word);
    if (other != NULL && bits != 0)
        bits &= other_is ? gm_dirty_word(other, word) : ~gm_dirty_word(other, word);
    return inverted ? ~bits : bits;
}

/* The first page at or after `from` whose bits are as asked for (`inverted`: are not), or `to`. */
static size_t bits_find(const uint64_t *map, const uint64_t *other, bool other_is, size_t from,
    size_t to, bool inverted)
{
    for (size_t word = from / 64; word * 64 < to; word++) {
        uint64_t bits = bits_word(map, other, other_is, word, inverted) & bits_mask(word, from, to);
        if (bits != 0)
            return word * 64 + (size_t)__builtin_ctzll(bits);
    }
    return to;
}

bool gm_dirty_bits_run(const uint64_t *map, const uint64_t *other, bool other_is, size_t from,
    size_t to, size_t *ret_from, size_t *ret_to)
{
    if (from >= to)
        return false;
    size_t first = bits_find(map, other, other_is, from, to, false);
    if (first == to)
        return false;
    *ret_from = first;
    *ret_to = bits_find(map, other, other_is, first, to, true);
    return true;
}

void gm_dirty_runs_add(struct gm_dirty_runs *runs, uintptr_t start, uintptr_t end)
{
    if (runs->end == start && runs->end != runs->start) {
        runs->end = end;
        return;
    }
    gm_dirty_runs_end(runs);
    runs->start = start;
    runs->end = end;
}

void gm_dirty_runs_end(struct gm_dirty_runs *runs)
{
    if (runs->end != runs->start)
        runs->visit(runs->start, runs->end - runs->start, runs->arg);
    runs->start = runs->end = 0;
}
