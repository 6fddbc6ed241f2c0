/* dirty.c - chooses the way in which writes are observed, and keeps which pages are watched. See dirty.h. */
#include "libgeomem/gc/dirty.h"

#include <errno.h>

#include "libgeomem/gc/dirty_internal.h"

static size_t dirty_map_bytes(const struct gm_dirty *dirty)
{
    /* one word more, so that a loop may look at the word of the page behind the last */
    size_t bytes = (dirty->pages / 64 + 2) * sizeof(uint64_t);
    return (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
}

static void dirty_free(struct gm_dirty *dirty)
{
    if (dirty->watched != NULL)
        gm_os_unmap(dirty->watched, dirty_map_bytes(dirty));
    if (dirty->written != NULL)
        gm_os_unmap(dirty->written, dirty_map_bytes(dirty));
    gm_os_unmap(dirty, GM_PAGE_BYTES);
}

static int none_open(struct gm_dirty *dirty)
{
    (void)dirty;
    return 0;
}
static void none_close(struct gm_dirty *dirty)
{
    (void)dirty;
}
static int none_arm(struct gm_dirty *dirty, size_t from, size_t to)
{
    (void)dirty, (void)from, (void)to;
    return 0;
}
static void none_disarm(struct gm_dirty *dirty, size_t from, size_t to)
{
    (void)dirty, (void)from, (void)to;
}
static int none_take(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    (void)rearm;
    for (size_t a, b = from; gm_dirty_bits_run(dirty->watched, NULL, false, b, to, &a, &b);)
        gm_dirty_runs_add(runs, gm_dirty_address(dirty, a), gm_dirty_address(dirty, b));
    return 0;
}
const struct gm_dirty_way gm_dirty_way_none = {
    GM_DIRTY_NONE, none_open, none_close, none_arm, none_disarm, none_take, none_open};

static int dirty_choose(struct gm_dirty *dirty, enum gm_dirty_mechanism wanted)
{
    static const struct gm_dirty_way *const ways[] = {
        &gm_dirty_way_uffd, &gm_dirty_way_mprotect, &gm_dirty_way_none};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i]->mechanism > wanted || ways[i]->open(dirty) < 0)
            continue;
        dirty->way = ways[i];
        return 0;
    }
    return -ENOSYS;
}

int gm_dirty_open(
    uintptr_t start, size_t bytes, enum gm_dirty_mechanism wanted, struct gm_dirty **ret_dirty)
{
    if ((start | bytes) & (GM_PAGE_BYTES - 1) || bytes == 0)
        return -EINVAL;
    struct gm_dirty *dirty = gm_os_map(GM_PAGE_BYTES);
    if (dirty == NULL)
        return -ENOMEM;
    dirty->start = start;
    dirty->pages = bytes >> GM_PAGE_LOG2;
    dirty->low = dirty->pages;
    dirty->watched = gm_os_map(dirty_map_bytes(dirty));
    dirty->written = gm_os_map(dirty_map_bytes(dirty));
    int err = -ENOMEM;
    if (dirty->watched == NULL || dirty->written == NULL ||
        (err = dirty_choose(dirty, wanted)) < 0) {
        dirty_free(dirty);
        return err;
    }
    *ret_dirty = dirty;
    return 0;
}

void gm_dirty_close(struct gm_dirty *dirty)
{
    if (dirty == NULL)
        return;
    size_t from = 0, to = dirty->low;
    while (gm_dirty_bits_run(dirty->watched, NULL, false, to, dirty->high, &from, &to))
        dirty->way->disarm(dirty, from, to);
    dirty->way->close(dirty);
    dirty_free(dirty);
}

enum gm_dirty_mechanism gm_dirty_mechanism(const struct gm_dirty *dirty)
{
    return dirty->way->mechanism;
}

/* [start, start + bytes) as pages of the range; false if it is not within it. */
static bool dirty_pages(
    const struct gm_dirty *dirty, uintptr_t start, size_t bytes, size_t *ret_from, size_t *ret_to)
{
    uintptr_t offset = start - dirty->start;
    size_t all = dirty->pages << GM_PAGE_LOG2;
    if ((offset | bytes) & (GM_PAGE_BYTES - 1) || offset > all || bytes > all - offset)
        return false;
    *ret_from = offset >> GM_PAGE_LOG2;
    *ret_to = *ret_from + (bytes >> GM_PAGE_LOG2);
    return true;
}

int gm_dirty_watch(struct gm_dirty *dirty, uintptr_t start, size_t bytes)
{
    size_t from, to;
    if (!dirty_pages(dirty, start, bytes, &from, &to))
        return -EINVAL;
    if (from == to)
        return 0;
    /* before they are armed: a write may come at once */
    gm_dirty_bits_clear(dirty->written, from, to);
    gm_dirty_bits_set(dirty->watched, from, to);
    if (from < dirty->low)
        dirty->low = from;
    if (to > dirty->high)
        dirty->high = to;
    int err = dirty->way->arm(dirty, from, to);
    if (err < 0)
        gm_dirty_unwatch(dirty, start, bytes);
    return err;
}

int gm_dirty_unwatch(struct gm_dirty *dirty, uintptr_t start, size_t bytes)
{
    size_t from, to, end;
    if (!dirty_pages(dirty, start, bytes, &to, &end))
        return -EINVAL;
    while (gm_dirty_bits_run(dirty->watched, NULL, false, to, end, &from, &to)) {
        dirty->way->disarm(dirty, from, to);
        gm_dirty_bits_clear(dirty->watched, from, to);
        gm_dirty_bits_clear(dirty->written, from, to);
    }
    return 0;
}

int gm_dirty_take(struct gm_dirty *dirty, uintptr_t start, size_t bytes, bool rearm,
    gm_dirty_visit *visit, void *arg)
{
    size_t from, to;
    if (!dirty_pages(dirty, start, bytes, &from, &to))
        return -EINVAL;
    struct gm_dirty_runs runs = {.visit = visit, .arg = arg};
    if (from < dirty->low)
        from = dirty->low;
    if (to > dirty->high)
        to = dirty->high;
    int err = from < to ? dirty->way->take(dirty, from, to, rearm, &runs) : 0;
    gm_dirty_runs_end(&runs);
    return err;
}

void gm_dirty_all_written(struct gm_dirty *dirty)
{
    if (dirty->low >= dirty->high)
        return;
    for (size_t word = dirty->low / 64; word <= (dirty->high - 1) / 64; word++)
        if (dirty->watched[word] != 0)
            __atomic_fetch_or(&dirty->written[word], dirty->watched[word], __ATOMIC_RELAXED);
}

int gm_dirty_after_fork(struct gm_dirty *dirty)
{
    gm_dirty_all_written(dirty);
    return dirty->way->after_fork(dirty);
}
