/* dirty_internal.h - what the ways of gc/dirty.h have in common.
 *
 * Two bits for each page of the range: `watched`, and `written`, which says that the page counts as written to without
 * asking. Of the kernel's protection, `written` holds what a forked child or a lost descriptor made unknown; of mprotect it is
 * what the fault handler saw; of GM_DIRTY_NONE nothing, all that is watched counts.
 *
 * The bit maps are address space for the whole range, and memory where something is watched: 2 x 32 KB for each GB.
 */
#ifndef GM_GC_DIRTY_INTERNAL_H
#define GM_GC_DIRTY_INTERNAL_H

#include <assert.h>
#include <stdatomic.h>

#include "libgeomem/base/os.h"
#include "libgeomem/gc/dirty.h"

/* How runs of written pages are reported: as few and as long as can be. */
struct gm_dirty_runs {
    gm_dirty_visit *visit;
    void *arg;
    uintptr_t start, end; /* the run not yet reported; empty: none */
};
void gm_dirty_runs_add(struct gm_dirty_runs *runs, uintptr_t start, uintptr_t end);
void gm_dirty_runs_end(struct gm_dirty_runs *runs);

struct gm_dirty_way {
    enum gm_dirty_mechanism mechanism;
    /* Is it there and does it work here: tried on pages of its own. 0 or a negative errno. */
    int (*open)(struct gm_dirty *dirty);
    void (*close)(struct gm_dirty *dirty);
    /* Writes to pages [from, to) are observed from here on. */
    int (*arm)(struct gm_dirty *dirty, size_t from, size_t to);
    void (*disarm)(struct gm_dirty *dirty, size_t from, size_t to);
    /* Reports the written ones of the watched pages in [from, to), in the order of addresses. */
    int (*take)(
        struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs);
    int (*after_fork)(struct gm_dirty *dirty);
};
extern const struct gm_dirty_way gm_dirty_way_uffd;
extern const struct gm_dirty_way gm_dirty_way_mprotect;
extern const struct gm_dirty_way gm_dirty_way_none;

struct gm_dirty {
    const struct gm_dirty_way *way;
    uintptr_t start;
    size_t pages;
    size_t low, high; /* all watched pages lie in [low, high) */
    uint64_t *watched;
    uint64_t *written;
    unsigned epoch;        /* of the descriptor that its pages are protected by: see dirty_uffd.c */
    struct gm_dirty *next; /* of all that are open, in dirty_mprotect.c */
};

static_assert(sizeof(struct gm_dirty) <= GM_PAGE_BYTES, "takes a page");

static inline uintptr_t gm_dirty_address(const struct gm_dirty *dirty, size_t page)
{
    return dirty->start + (page << GM_PAGE_LOG2);
}
/* 64 bits of a map. Relaxed: others may set and clear bits of other pages of the same word meanwhile. */
static inline uint64_t gm_dirty_word(const uint64_t *map, size_t word)
{
    return __atomic_load_n(&map[word], __ATOMIC_RELAXED);
}
static inline bool gm_dirty_bit(const uint64_t *map, size_t page)
{
    return gm_dirty_word(map, page / 64) >> (page % 64) & 1;
}
void gm_dirty_bits_set(uint64_t *map, size_t from, size_t to);
void gm_dirty_bits_clear(uint64_t *map, size_t from, size_t to);
/* The next run of pages, from `from` on, whose bit in `map` is set and whose bit in `other` (unless NULL) is
 * `other_is`; false: none before `to`. */
bool gm_dirty_bits_run(const uint64_t *map, const uint64_t *other, bool other_is, size_t from,
    size_t to, size_t *ret_from, size_t *ret_to);
/* All that is watched counts as written. */
void gm_dirty_all_written(struct gm_dirty *dirty);

#endif
