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

struct range {
    uint32_t from, to; /* to: excluded */
};

/* What a node's subtree holds at most is most[node], with all that was added to the node itself and below it; what was added to
 * the nodes above it comes on top. So both walks go up from the ends of the range, and never down. */
static int64_t tree_most(const struct gm_belady *b, struct range r)
{
    uint32_t left = r.from + GM_BELADY_WINDOW, right = r.to - 1 + GM_BELADY_WINDOW;
    int64_t most_left = b->most[left], most_right = b->most[right];
    while (left / 2 != right / 2) {
        if (left % 2 == 0 && b->most[left + 1] > most_left)
            most_left = b->most[left + 1];
        if (right % 2 == 1 && b->most[right - 1] > most_right)
            most_right = b->most[right - 1];
        left /= 2;
        right /= 2;
        most_left += b->more[left];
        most_right += b->more[right];
    }
    int64_t most = most_left > most_right ? most_left : most_right;
    for (left /= 2; left > 0; left /= 2)
        most += b->more[left];
    return most;
}

static void node_add(struct gm_belady *b, uint32_t node, int64_t bytes)
{
    b->most[node] += bytes;
    b->more[node] += bytes;
}

static void node_sum(struct gm_belady *b, uint32_t node)
{
    int64_t left = b->most[2 * node], right = b->most[2 * node + 1];
    b->most[node] = (left > right ? left : right) + b->more[node];
}

static void tree_add(struct gm_belady *b, struct range r, int64_t bytes)
{
    uint32_t left = r.from + GM_BELADY_WINDOW, right = r.to - 1 + GM_BELADY_WINDOW;
    node_add(b, left, bytes);
    if (right != left)
        node_add(b, right, bytes);
    while (left / 2 != right / 2) {
        if (left % 2 == 0)
            node_add(b, left + 1, bytes);
        if (right % 2 == 1)
            node_add(b, right - 1, bytes);
        left /= 2;
        right /= 2;
        node_sum(b, left);
        node_sum(b, right);
    }
    for (left /= 2; left > 0; left /= 2)
        node_sum(b, left);
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
        int64_t one = tree_most(b, ranges[i]);
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

/* Places in the ring of uses that are forgotten now. */
static void belady_advance(struct gm_belady *b, uint64_t now)
{
    if (now - b->now >= GM_BELADY_WINDOW)
        gm_belady_reset(b);
    else
        while (b->now < now) {
            uint32_t place = (uint32_t)(++b->now % GM_BELADY_WINDOW);
            struct range own = {place, place + 1};
            int64_t held = tree_most(b, own);
            if (held)
                tree_add(b, own, -held);
        }
    b->now = now;
}

enum gm_belady_verdict gm_belady_use(
    struct gm_belady *b, uint64_t now, uint64_t before, uint64_t bytes, uint64_t capacity_bytes)
{
    struct range ranges[2];
    if (!belady_begin(b))
        return GM_BELADY_UNKNOWN;
    belady_advance(b, now);
    if (before == 0)
        return GM_BELADY_MISS;
    if (before <= b->since || before >= now || now - before >= GM_BELADY_WINDOW)
        return GM_BELADY_UNKNOWN;
    int count = held_ranges(before, now, ranges);
    if (bytes > capacity_bytes || held_most(b, ranges, count) > (int64_t)(capacity_bytes - bytes))
        return GM_BELADY_MISS;
    for (int i = 0; i < count; i++)
        tree_add(b, ranges[i], (int64_t)bytes);
    return GM_BELADY_HIT;
}
