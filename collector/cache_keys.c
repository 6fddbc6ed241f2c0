/* cache_keys.c - see cache_keys.h. Open addressing with linear probing; removal moves back those that follow. */
#include "collector/cache_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/index.h"

#define KEYS_FIRST 64u /* arbitrary; a power of two */
#define OLDEST_TRIED 64u

void gm_cache_keys_done(struct gm_cache_keys *k)
{
    free(k->keys);
    free(k->slots);
    free(k->pins);
    memset(k, 0, sizeof *k);
}

/* ---- the table ---- */

static uint32_t slot_of(const struct gm_cache_keys *k, uint64_t key)
{
    return (uint32_t)(gm_index_mix(key, 0) >> 32) & (k->slot_count - 1);
}

/* Where the key is, or the free slot where it would be. */
static uint32_t slot_find(const struct gm_cache_keys *k, uint64_t key)
{
    uint32_t i = slot_of(k, key);
    while (k->slots[i] && gm_cache_key_at(k, k->slots[i])->key != key)
        i = (i + 1) & (k->slot_count - 1);
    return i;
}

static void slot_clear(struct gm_cache_keys *k, uint32_t i)
{
    uint32_t mask = k->slot_count - 1;
    k->slots[i] = 0;
    for (uint32_t j = (i + 1) & mask; k->slots[j]; j = (j + 1) & mask) {
        uint32_t home = slot_of(k, gm_cache_key_at(k, k->slots[j])->key);
        if (((j - home) & mask) < ((j - i) & mask))
            continue;
        k->slots[i] = k->slots[j];
        k->slots[j] = 0;
        i = j;
    }
}

static void slots_fill(struct gm_cache_keys *k)
{
    memset(k->slots, 0, k->slot_count * sizeof *k->slots);
    for (uint32_t id = 1; id <= k->count; id++)
        k->slots[slot_find(k, gm_cache_key_at(k, id)->key)] = id;
}

static int keys_grow(struct gm_cache_keys *k)
{
    uint32_t room = k->room ? 2 * k->room : KEYS_FIRST;
    struct gm_cache_key *keys = reallocarray(k->keys, room, sizeof *keys);
    if (!keys)
        return -ENOMEM;
    k->keys = keys;
    uint32_t *slots = reallocarray(k->slots, 2 * (size_t)room, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    k->slots = slots;
    k->room = room;
    k->slot_count = 2 * room;
    slots_fill(k);
    return 0;
}

struct gm_cache_key *gm_cache_keys_find(const struct gm_cache_keys *k, uint64_t key)
{
    if (!k->slot_count)
        return NULL;
    uint32_t id = k->slots[slot_find(k, key)];
    return id ? gm_cache_key_at(k, id) : NULL;
}

/* ---- by last use ---- */

static void list_remove(struct gm_cache_keys *k, const struct gm_cache_key *key)
{
    *(key->older ? &gm_cache_key_at(k, key->older)->newer : &k->oldest) = key->newer;
    *(key->newer ? &gm_cache_key_at(k, key->newer)->older : &k->newest) = key->older;
}

static void list_append(struct gm_cache_keys *k, uint32_t id)
{
    struct gm_cache_key *key = gm_cache_key_at(k, id);
    key->older = k->newest;
    key->newer = 0;
    *(k->newest ? &gm_cache_key_at(k, k->newest)->newer : &k->oldest) = id;
    k->newest = id;
}

static void key_init(struct gm_cache_key *key, uint64_t hash)
{
    *key = (struct gm_cache_key){.key = hash, .used_ns = -1, .stored_ns = -1};
}

/* Those that stay go to the end of the list. 0: none of the oldest may go. */
static uint32_t keys_recycle(struct gm_cache_keys *k)
{
    for (uint32_t i = 0; i < OLDEST_TRIED && k->oldest; i++) {
        uint32_t id = k->oldest;
        struct gm_cache_key *key = gm_cache_key_at(k, id);
        list_remove(k, key);
        if (!key->inside && !key->newest_pin) {
            slot_clear(k, slot_find(k, key->key));
            return id;
        }
        list_append(k, id);
    }
    return 0;
}

int gm_cache_keys_use(
    struct gm_cache_keys *k, uint64_t hash, uint32_t most, struct gm_cache_key **ret_key)
{
    struct gm_cache_key *key = gm_cache_keys_find(k, hash);
    uint32_t id = key ? (uint32_t)(key - k->keys) + 1 : 0;
    if (key) {
        list_remove(k, key);
    } else if (k->count < most) {
        if (k->count == k->room && keys_grow(k) < 0)
            return -ENOMEM;
        id = ++k->count;
    } else if (!(id = keys_recycle(k))) {
        return -ENOSPC;
    }
    if (!key) {
        key_init(gm_cache_key_at(k, id), hash);
        k->slots[slot_find(k, hash)] = id;
    }
    list_append(k, id);
    *ret_key = gm_cache_key_at(k, id);
    return 0;
}

void gm_cache_key_inside(struct gm_cache_keys *k, struct gm_cache_key *key, bool inside)
{
    k->inside += (uint32_t)inside - (uint32_t)key->inside;
    key->inside = inside;
}

/* ---- pins ---- */

static void pin_unlink(struct gm_cache_keys *k, uint32_t id)
{
    struct gm_cache_pin *pin = gm_cache_pin_at(k, id);
    *(pin->older ? &gm_cache_pin_at(k, pin->older)->newer : &k->oldest_pin) = pin->newer;
    *(pin->newer ? &gm_cache_pin_at(k, pin->newer)->older : &k->newest_pin) = pin->older;
    pin->older = k->pin_free;
    k->pin_free = id;
    k->open_pins--;
}

static int pins_reserve(struct gm_cache_keys *k)
{
    if (k->pin_free || k->pin_count < k->pin_room)
        return 0;
    if (k->pin_count >= GM_CACHE_PINS_MAX)
        return -ENOSPC;
    uint32_t room = k->pin_room ? 2 * k->pin_room : KEYS_FIRST;
    struct gm_cache_pin *pins = reallocarray(k->pins, room, sizeof *pins);
    if (!pins)
        return -ENOMEM;
    k->pins = pins;
    k->pin_room = room;
    return 0;
}

int gm_cache_keys_pin(
    struct gm_cache_keys *k, struct gm_cache_key *key, const struct gm_cache_pin *pin)
{
    int r = pins_reserve(k);
    if (r < 0)
        return r;
    uint32_t id = k->pin_free ? k->pin_free : ++k->pin_count;
    struct gm_cache_pin *place = gm_cache_pin_at(k, id);
    if (k->pin_free)
        k->pin_free = place->older;
    *place = *pin;
    place->before = key->newest_pin;
    place->older = k->newest_pin;
    place->newer = 0;
    *(k->newest_pin ? &gm_cache_pin_at(k, k->newest_pin)->newer : &k->oldest_pin) = id;
    k->newest_pin = key->newest_pin = id;
    k->open_pins++;
    return 0;
}

/* A key that many threads have pinned has a chain of pins: no more of it is searched than this. */
#define CHAIN_SEARCHED 64u

bool gm_cache_keys_unpin(
    struct gm_cache_keys *k, struct gm_cache_key *key, uint32_t ring, struct gm_cache_pin *ret_pin)
{
    uint32_t *at = &key->newest_pin, searched = 0;
    while (*at && gm_cache_pin_at(k, *at)->ring != ring && searched++ < CHAIN_SEARCHED)
        at = &gm_cache_pin_at(k, *at)->before;
    if (!*at || gm_cache_pin_at(k, *at)->ring != ring)
        at = &key->newest_pin;
    uint32_t id = *at;
    if (!id)
        return false;
    *ret_pin = *gm_cache_pin_at(k, id);
    *at = ret_pin->before;
    pin_unlink(k, id);
    return true;
}

/* ---- halving ---- */

static void key_drop_pins(struct gm_cache_keys *k, const struct gm_cache_key *key)
{
    for (uint32_t id = key->newest_pin, before; id; id = before) {
        before = gm_cache_pin_at(k, id)->before;
        pin_unlink(k, id);
    }
}

/* Those that stay move up in the array, and keep the order of their last use. */
int gm_cache_keys_halve(struct gm_cache_keys *k, uint64_t threshold)
{
    if (k->count == 0)
        return 0;
    uint32_t kept = 0, *moved = calloc((size_t)k->count + 1, sizeof *moved);
    uint32_t oldest = k->oldest;
    if (!moved)
        return -ENOMEM;
    for (uint32_t id = 1; id <= k->count; id++) {
        struct gm_cache_key *key = gm_cache_key_at(k, id);
        if (key->key <= threshold)
            moved[id] = ++kept;
        else
            key_drop_pins(k, key);
    }
    k->oldest = k->newest = k->inside = 0;
    /* The list first, while ids are the old ones: newer of each that stays is the next that stays. */
    uint32_t last = 0;
    for (uint32_t id = oldest; id; id = gm_cache_key_at(k, id)->newer) {
        if (!moved[id])
            continue;
        gm_cache_key_at(k, id)->older = last ? moved[last] : 0;
        last = id;
    }
    k->newest = last ? moved[last] : 0;
    for (uint32_t id = 1; id <= k->count; id++)
        if (moved[id]) {
            k->keys[moved[id] - 1] = k->keys[id - 1];
            k->inside += k->keys[moved[id] - 1].inside;
        }
    k->count = kept;
    free(moved);
    /* From the newest back, what is newer. */
    uint32_t newer = 0;
    for (uint32_t id = k->newest; id; id = gm_cache_key_at(k, id)->older) {
        gm_cache_key_at(k, id)->newer = newer;
        newer = id;
    }
    k->oldest = newer;
    slots_fill(k);
    return 0;
}

/* ---- checking ---- */

static const char *list_check(const struct gm_cache_keys *k)
{
    uint32_t n = 0, inside = 0, before = 0;
    for (uint32_t id = k->oldest; id; id = gm_cache_key_at(k, id)->newer) {
        const struct gm_cache_key *key = gm_cache_key_at(k, id);
        if (id > k->count || ++n > k->count)
            return "the list of keys has no end";
        if (key->older != before)
            return "a key's older neighbour is another";
        if (!k->slots[slot_find(k, key->key)])
            return "a key is not found";
        inside += key->inside;
        before = id;
    }
    if (before != k->newest || n != k->count)
        return "the list does not have all keys";
    return inside == k->inside ? NULL : "the keys that are inside are miscounted";
}

static const char *pins_check(const struct gm_cache_keys *k)
{
    uint32_t open = 0, chained = 0;
    for (uint32_t id = k->oldest_pin; id; id = gm_cache_pin_at(k, id)->newer)
        if (id > k->pin_count || ++open > k->pin_count)
            return "the list of pins has no end";
    for (uint32_t i = 1; i <= k->count; i++)
        for (uint32_t id = gm_cache_key_at(k, i)->newest_pin; id;
             id = gm_cache_pin_at(k, id)->before) {
            if (id > k->pin_count || ++chained > k->pin_count)
                return "the pins of a key have no end";
            if (gm_cache_pin_at(k, id)->key != gm_cache_key_at(k, i)->key)
                return "a pin is another key's";
        }
    return open == k->open_pins && chained == open ? NULL : "the open pins are miscounted";
}

const char *gm_cache_keys_check(const struct gm_cache_keys *k)
{
    const char *wrong = list_check(k);
    return wrong ? wrong : pins_check(k);
}
