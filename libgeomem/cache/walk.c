/* walk.c - every entry, and every pin. */
#include "libgeomem/cache/capacity.h"
#include "libgeomem/cache/thread.h"

/* ---- entries ---- */

/* A pin that is not one of the program's, unless the visitor keeps it by geomem_cache_retain. */
int geomem_cache_each(struct geomem_cache *cache,
    int (*visit)(struct geomem_cache_entry *entry, void *arg), void *arg)
{
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct gm_shard *shard = &cache->shards[i];
        gm_lock_take(&shard->lock);
        uint32_t end = shard->slots.fresh;
        gm_lock_give(&shard->lock);
        for (uint32_t number = 1; number < end; number++) {
            struct gm_cache_slot *slot = gm_slot_at(shard->chunks, number);
            if (number % GM_CHUNK_SLOTS == 0 || !gm_slot_pin(slot))
                continue;
            int ended = gm_entry_is_over(cache, slot) ? 0 : visit(gm_cache_entry_of(slot), arg);
            gm_slot_release(slot);
            if (ended != 0)
                return ended;
        }
    }
    return 0;
}

/* ---- pins ---- */

struct pins {
    struct geomem_cache *cache;
    uint64_t now_s;
    uint64_t least_age_s;
    int (*visit)(const struct geomem_cache_pin *pin, void *arg);
    void *arg;
};

static int pin_visit(const struct pins *pins, struct gm_cache_slot *slot, const void *site,
    uint64_t age_s, uint64_t thread)
{
    struct geomem_cache_pin pin = {
        .entry = gm_cache_entry_of(slot),
        .site = site,
        .age_ns = age_s * 1000000000u,
        .thread = thread,
        .in_cache = gm_word_is_live(atomic_load_explicit(&slot->word, memory_order_relaxed)),
    };
    return pins->visit(&pin, pins->arg);
}

/* One of those that the ledgers know of. */
static int row_visit(const struct pins *pins, struct gm_cache_slot *slot,
    const struct gm_thread *thread, uint32_t row)
{
    /* acquire: pairs with the release in gm_pins_stamp */
    uint64_t taken = atomic_load_explicit(&(&thread->pin[0][0] + row)->taken, memory_order_acquire);
    uint64_t then_s = taken > GM_PIN_SITE ? gm_pin_second(thread, row, taken) : pins->now_s;
    uint64_t age_s = pins->now_s > then_s ? pins->now_s - then_s : 0;
    if (age_s < pins->least_age_s)
        return 0;
    const void *site = (const void *)(uintptr_t)(taken & GM_PIN_SITE); /* NOLINT */
    return pin_visit(pins, slot, site, age_s, thread->number);
}

/* The caller has one pin of `held` that is not the program's. */
static int slot_visit(const struct pins *pins, struct gm_cache_slot *slot, uint32_t held)
{
    uint32_t seen = 0;
    for (const struct gm_thread *thread = gm_thread_first(); thread; thread = thread->next)
        for (uint32_t i = 0; i < GM_PIN_LINES * GM_PIN_LINE && seen < held - 1; i++) {
            if (atomic_load_explicit(&(&thread->pin[0][0] + i)->slot, memory_order_relaxed) != slot)
                continue;
            seen++;
            int ended = row_visit(pins, slot, thread, i);
            if (ended != 0)
                return ended;
        }
    /* No room was in the ledger: how old they are nobody knows. */
    for (; seen < held - 1 && pins->least_age_s == 0; seen++) {
        int ended = pin_visit(pins, slot, NULL, 0, 0);
        if (ended != 0)
            return ended;
    }
    return 0;
}

/* Pinned by somebody: then one more is added, which keeps the slot as it is, dead or live. The shard's lock keeps it from
 * being given back between the look and the pin. */
static bool slot_hold(struct gm_shard *shard, struct gm_cache_slot *slot, uint32_t *ret_held)
{
    bool holds = false;
    gm_lock_take(&shard->lock);
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    while (!holds && (word & GM_SLOT_STATE) != 0 && (word & GM_SLOT_PINS) != 0 &&
           (word & GM_SLOT_PINS) != GM_SLOT_PINS)
        holds = atomic_compare_exchange_weak_explicit(
            &slot->word, &word, word + 1, memory_order_acquire, memory_order_relaxed);
    gm_lock_give(&shard->lock);
    *ret_held = (word & GM_SLOT_PINS) + 1;
    return holds;
}

int geomem_cache_pins(struct geomem_cache *cache, uint64_t age_ns,
    int (*visit)(const struct geomem_cache_pin *pin, void *arg), void *arg)
{
    struct pins pins = {
        .cache = cache,
        .now_s = gm_cache_coarse_ns(cache) / 1000000000u,
        .least_age_s = age_ns / 1000000000u,
        .visit = visit,
        .arg = arg,
    };
    for (struct gm_thread *thread = gm_thread_first(); thread; thread = thread->next)
        gm_pins_stamp(thread, pins.now_s);
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct gm_shard *shard = &cache->shards[i];
        gm_lock_take(&shard->lock);
        uint32_t end = shard->slots.fresh, held;
        gm_lock_give(&shard->lock);
        for (uint32_t number = 1; number < end; number++) {
            struct gm_cache_slot *slot = gm_slot_at(shard->chunks, number);
            if (number % GM_CHUNK_SLOTS == 0 ||
                (atomic_load_explicit(&slot->word, memory_order_relaxed) & GM_SLOT_PINS) == 0 ||
                !slot_hold(shard, slot, &held))
                continue;
            int ended = slot_visit(&pins, slot, held);
            gm_slot_release(slot);
            if (ended != 0)
                return ended;
        }
    }
    return 0;
}
