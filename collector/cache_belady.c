/* cache_belady.c - see cache_belady.h. Node 1 is the root, nodes 2n and 2n + 1 are below n. */
#include "collector/cache_belady.h"

#include <stdlib.h>
#include <string.h>

#define NODES (2u * GM_BELADY_WINDOW)

void gm_belady_done(struct gm_belady *b)
{
    free(b->most);
    free(b->more);
    memset(b, 0, sizeof *b);
}

void gm_belady_reset(struct gm_belady *b)
{
    b->since = b->now;
    if (!b->most)
        return;
    memset(b->most, 0, NODES * sizeof *b->most);
    memset(b->more, 0, NODES * sizeof *b->more);
}

/* The part of a range that a node covers. */
struct range {
    uint32_t from, to; /* to: excluded */
};

static int64_t tree_most(
    const struct gm_belady *b, uint32_t node, uint32_t first, uint32_t width, struct range r)
{
    if (r.from <= first && first + width <= r.to)
        return b->most[node] + b->more[node];
    int64_t most = INT64_MIN;
    uint32_t half = width / 2;
    if (r.from < first + half)
        most = tree_most(b, 2 * node, first, half, r);
    if (r.to > first + half) {
        int64_t right = tree_most(b, 2 * node + 1, first + half, half, r);
        most = right > most ? right : most;
    }
    return most + b->more[node];
}

static void tree_add(struct gm_belady *b, uint32_t node, uint32_t first, uint32_t width,
    struct range r, int64_t bytes)
{
    if (r.from <= first && first + width <= r.to) {
        b->more[node] += bytes;
        return;
    }
    uint32_t half = width / 2, left = 2 * node, right = left + 1;
    if (r.from < first + half)
        tree_add(b, left, first, half, r, bytes);
    if (r.to > first + half)
        tree_add(b, right, first + half, half, r, bytes);
    int64_t x = b->most[left] + b->more[left], y = b->most[right] + b->more[right];
    b->most[node] = x > y ? x : y;
}

/* The window is a ring: what lies between two uses is one range, or two. */
static int held_ranges(uint64_t before, uint64_t now, struct range ret_ranges[2])
{
    uint32_t from = (uint32_t)(before % GM_BELADY_WINDOW), to = (uint32_t)(now % GM_BELADY_WINDOW);
    if (from < to) {
        ret_ranges[0] = (struct range){from, to};
        return 1;
    }
    ret_ranges[0] = (struct range){from, GM_BELADY_WINDOW};
    ret_ranges[1] = (struct range){0, to};
    return to > 0 ? 2 : 1;
}

static int64_t held_most(const struct gm_belady *b, const struct range *ranges, int count)
{
    int64_t most = 0;
    for (int i = 0; i < count; i++) {
        int64_t one = tree_most(b, 1, 0, GM_BELADY_WINDOW, ranges[i]);
        most = one > most ? one : most;
    }
    return most;
}

static bool belady_begin(struct gm_belady *b)
{
    if (b->most && b->more)
        return true;
    if (!b->most)
        b->most = calloc(NODES, sizeof *b->most);
    if (!b->more)
        b->more = calloc(NODES, sizeof *b->more);
    return b->most && b->more;
}

enum gm_belady_verdict gm_belady_use(struct gm_belady *b, uint64_t before, uint64_t bytes,
    uint64_t capacity_bytes, uint64_t *ret_use)
{
    struct range ranges[2];
    *ret_use = 0;
    if (!belady_begin(b))
        return GM_BELADY_UNKNOWN;
    uint64_t now = *ret_use = ++b->now;
    /* Its place in the ring is that of a use that is forgotten now. */
    uint32_t place = (uint32_t)(now % GM_BELADY_WINDOW);
    struct range own = {place, place + 1};
    tree_add(b, 1, 0, GM_BELADY_WINDOW, own, -tree_most(b, 1, 0, GM_BELADY_WINDOW, own));
    if (before == 0)
        return GM_BELADY_MISS;
    if (before <= b->since || now - before >= GM_BELADY_WINDOW)
        return GM_BELADY_UNKNOWN;
    int count = held_ranges(before, now, ranges);
    if (bytes > capacity_bytes || held_most(b, ranges, count) > (int64_t)(capacity_bytes - bytes))
        return GM_BELADY_MISS;
    for (int i = 0; i < count; i++)
        tree_add(b, 1, 0, GM_BELADY_WINDOW, ranges[i], (int64_t)bytes);
    return GM_BELADY_HIT;
}
