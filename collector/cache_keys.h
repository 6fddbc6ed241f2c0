/* cache_keys.h - the keys of a cache's sample that the recorder remembers, and the pins of their values that are open.
 *
 *   key --[hash table]--> struct gm_cache_key --[newest]--> struct gm_cache_pin --[before]--> ...
 *
 * Bounded. When all places are taken the key used longest ago goes that is neither in the cache nor pinned; where there is
 * none, half of the keys go by their hash (gm_cache_keys_halve), and with them half of the sample.
 *
 * Stands within the roll-up, below caches.h.
 */
#ifndef GM_COLLECTOR_CACHE_KEYS_H
#define GM_COLLECTOR_CACHE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_CACHE_KEYS_MAX 32768u /* of a cache; some 3 MB. 16 times as many as a cache samples */
#define GM_CACHE_PINS_MAX 65536u /* open, of a cache */

struct gm_cache_key {
    uint64_t key;
    int64_t used_ns;   /* hit or missed last; < 0: not yet */
    int64_t stored_ns; /* < 0: not known */
    uint64_t bytes;    /* charged last; 0: not known */
    uint64_t left;     /* how many had left to make room when it did; 0: it did not, or came back */
    uint64_t use;      /* number of the lookup that was last; 0: none. See gm_cache_curve_use */
    uint32_t hits;     /* since it was stored */
    uint32_t newest_pin;        /* id; 0: none */
    uint32_t older, newer;      /* by last use; ids */
    bool inside, missed, known; /* in the cache; the last lookup missed; hits are known */
    bool
        waits; /* the curve has not been told of that miss, as it is not known how large the value is */
};

struct gm_cache_pin {
    uint64_t key, bytes;
    int64_t ns;
    uint32_t site;         /* index of the cache's sites */
    uint32_t ring;         /* of the thread that took it */
    uint32_t before;       /* of the same key; id */
    uint32_t older, newer; /* of all; ids. Of one that is free: older is the next free one */
};

struct gm_cache_keys {
    struct gm_cache_key *keys; /* keys[id - 1] */
    uint32_t *slots;           /* ids; 0: free. A power of two of them */
    uint32_t count, room, slot_count;
    uint32_t oldest, newest; /* by last use */
    uint32_t inside;         /* in the cache, as far as is known */
    struct gm_cache_pin *pins;
    uint32_t pin_count, pin_room, pin_free; /* pin_free: first of those given back; id */
    uint32_t oldest_pin, newest_pin;
    uint32_t open_pins;
};

void gm_cache_keys_done(struct gm_cache_keys *keys);

static inline struct gm_cache_key *gm_cache_key_at(const struct gm_cache_keys *keys, uint32_t id)
{
    return &keys->keys[id - 1];
}
static inline struct gm_cache_pin *gm_cache_pin_at(const struct gm_cache_keys *keys, uint32_t id)
{
    return &keys->pins[id - 1];
}

/* NULL: it is not remembered. */
struct gm_cache_key *gm_cache_keys_find(const struct gm_cache_keys *keys, uint64_t key);

/* The key, remembered now at the latest and as the one used last; `most` keys at the same time. Pointers from before are void.
 * 0; -ENOSPC: all are in the cache or pinned, halve; -ENOMEM. */
int gm_cache_keys_use(
    struct gm_cache_keys *keys, uint64_t key, uint32_t most, struct gm_cache_key **ret_key);

/* In the cache from now on, or no longer. */
void gm_cache_key_inside(struct gm_cache_keys *keys, struct gm_cache_key *key, bool inside);

/* Forgets all above the threshold, with their pins. Pointers from before are void. -ENOMEM: nothing has changed. */
int gm_cache_keys_halve(struct gm_cache_keys *keys, uint64_t threshold);

/* `pin` has key, bytes, ns, site and ring. -ENOSPC: as many are open as may be. -ENOMEM. */
int gm_cache_keys_pin(
    struct gm_cache_keys *keys, struct gm_cache_key *key, const struct gm_cache_pin *pin);
/* The pin that ends: the last one that the same thread took, or else the last one. False: none is open. */
bool gm_cache_keys_unpin(struct gm_cache_keys *keys, struct gm_cache_key *key, uint32_t ring,
    struct gm_cache_pin *ret_pin);

/* Walks all of it: NULL if it is in order, else what is not. */
const char *gm_cache_keys_check(const struct gm_cache_keys *keys);

#endif
