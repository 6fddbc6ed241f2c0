/* caches.c - see caches.h. What is told of them to the store: cache_rows.c. */
#include "collector/caches.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rollup.h"
#include "collector/rollup_internal.h"
#include "collector/site.h"

#define THRESHOLD_LEAST (1ull << 24) /* a key in 2^40: below, there is no sample */

/* ---- caches come and go ---- */

static void ledger_done(struct gm_cache_ledger *ledger)
{
    for (size_t i = 0; i < ledger->uses.n; i++)
        free(ledger->uses.v[i].name);
    free(ledger->uses.v);
    gm_index_done(&ledger->index);
    memset(ledger, 0, sizeof *ledger);
}

void gm_cache_release(struct gm_rollup *rollup, struct gm_cache *cache)
{
    struct gm_caches_use *use = &rollup->caches_use;
    if (cache->released)
        return;
    use->keys -= cache->keys.count;
    use->pins -= cache->keys.pin_count;
    use->uses -= cache->sites.uses.n + cache->classes.uses.n;
    use->open--;
    gm_cache_keys_done(&cache->keys);
    ledger_done(&cache->sites);
    ledger_done(&cache->classes);
    cache->had_pins = cache->pins_changed = false; /* what was told of them stays */
    cache->released = true;
}

static void cache_free(struct gm_rollup *rollup, struct gm_cache *cache)
{
    gm_cache_curve_free(rollup->curves, cache->curve);
    gm_cache_release(rollup, cache);
    free(cache->row.name);
    free(cache);
}

void gm_process_caches_done(struct gm_process *p)
{
    for (uint32_t i = 0; i < p->caches.count; i++)
        cache_free(p->rollup, p->caches.v[i]);
    free(p->caches.v);
    memset(&p->caches, 0, sizeof p->caches);
}

static bool cache_is_open(const struct gm_cache *cache)
{
    return cache->row.closed_ns < 0 && !cache->released;
}

/* The one that is there now; numbers are given anew when a cache is closed. Most programs have few caches. */
static struct gm_cache *caches_find(struct gm_caches *caches, uint64_t number)
{
    if (caches->last && caches->last->row.number == number && cache_is_open(caches->last))
        return caches->last;
    for (uint32_t i = caches->count; i-- > 0;)
        if (caches->v[i]->row.number == number)
            return cache_is_open(caches->v[i]) ? (caches->last = caches->v[i]) : NULL;
    return NULL;
}

static bool ledger_begin(struct gm_rollup *rollup, struct gm_cache_ledger *ledger)
{
    struct gm_cache_uses *other = gm_rows_add(&ledger->uses);
    if (!other)
        return false;
    other->oldest_pin_ns = -1;
    rollup->caches_use.uses++;
    return true;
}

static struct gm_cache *cache_create(struct gm_process *p, const struct gm_event *state, int64_t ns)
{
    struct gm_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->row = (struct gm_row_cache){.cache_id = ++p->rollup->caches_seen,
        .process_id = p->row.process_id,
        .number = state->cache,
        .name = strndup(state->name_text, state->name_bytes),
        .first_ns = ns,
        .closed_ns = -1};
    cache->row.estimates.sample_rate_min = 1;
    cache->threshold_told = cache->threshold_own = UINT64_MAX;
    p->rollup->caches_use.open++;
    if (cache->row.name && ledger_begin(p->rollup, &cache->sites) &&
        ledger_begin(p->rollup, &cache->classes))
        return cache;
    cache_free(p->rollup, cache);
    return NULL;
}

static struct gm_cache *caches_add(struct gm_process *p, const struct gm_event *state, int64_t ns)
{
    struct gm_caches *caches = &p->caches;
    if (caches->count == caches->room) {
        uint32_t room = caches->room ? 2 * caches->room : 8;
        struct gm_cache **v = reallocarray(caches->v, room, sizeof(struct gm_cache *));
        if (!v)
            return NULL;
        caches->v = v;
        caches->room = room;
    }
    struct gm_cache *cache = cache_create(p, state, ns);
    if (cache)
        caches->v[caches->count++] = cache;
    return cache;
}

/* Its part, if those who came before have left so much. */
static uint32_t cache_keys_most(const struct gm_rollup *rollup, const struct gm_cache *cache)
{
    const struct gm_caches_use *use = &rollup->caches_use;
    uint64_t part = GM_CACHES_KEYS_MAX / (use->open ? use->open : 1);
    uint64_t left = use->keys < GM_CACHES_KEYS_MAX ? GM_CACHES_KEYS_MAX - use->keys : 0;
    uint64_t most = part < GM_CACHE_KEYS_MAX ? part : GM_CACHE_KEYS_MAX;
    most = most < cache->keys.count + left ? most : cache->keys.count + left;
    return most > GM_CACHE_KEYS_LEAST ? (uint32_t)most : GM_CACHE_KEYS_LEAST;
}

/* ---- parts of the state ---- */

static void cache_note_change(struct gm_process *p, struct gm_cache *cache, int64_t ns,
    const char *kind, uint64_t from, uint64_t to)
{
    if (cache->changes >= GM_CACHE_CHANGES_MAX)
        return;
    struct gm_row_cache_change *row = gm_rows_add(&p->rollup->batch->cache_changes);
    if (!row) {
        p->rollup->out_of_memory = true;
        return;
    }
    *row = (struct gm_row_cache_change){cache->row.cache_id, ++cache->changes, ns, kind, from, to};
}

static uint64_t cache_threshold(const struct gm_cache *cache)
{
    return cache->threshold_told < cache->threshold_own ? cache->threshold_told
                                                        : cache->threshold_own;
}

static int cache_halve(struct gm_process *p, struct gm_cache *cache, uint64_t threshold)
{
    uint32_t before = cache->keys.count;
    int r = gm_cache_keys_halve(&cache->keys, threshold);
    p->rollup->caches_use.keys -= before - cache->keys.count;
    return r;
}

/* The sample is another from now on: keys above the threshold are none of it any more. False: there is no memory to forget
 * them; the sample stays what it was until this is tried again. */
static bool cache_take_threshold(struct gm_process *p, struct gm_cache *cache)
{
    uint64_t threshold = cache_threshold(cache);
    double rate = ((double)threshold + 1) / 0x1p64, before = cache->row.estimates.sample_rate;
    if (rate == before)
        return true;
    if (before > 0 && rate < before && cache_halve(p, cache, threshold) < 0) {
        p->rollup->out_of_memory = true;
        return false;
    }
    cache->row.estimates.sample_rate = rate;
    cache->weight = 1 / rate;
    if (cache->curve)
        gm_cache_curve_lower(p->rollup->curves, cache->curve, threshold);
    cache->pins_changed = cache->changed = true;
    return true;
}

/* Counts only rise, whatever order the states of several threads come in. */
static void cache_take_figures(struct gm_cache *cache, const uint64_t *figures)
{
    for (unsigned i = 0; i < GM_CACHE_FIGURE_COUNT; i++)
        if (i < GM_CACHE_hits || figures[i] > cache->row.figures[i])
            cache->row.figures[i] = figures[i];
}

/* ---- call sites and classes ---- */

static uint64_t uses_hash(const void *uses, uint32_t at)
{
    return gm_index_mix(((const struct gm_cache_uses *)uses)[at].id, 1);
}
static bool uses_equal(const void *uses, uint32_t at, const void *id)
{
    return ((const struct gm_cache_uses *)uses)[at].id == *(const uint32_t *)id;
}

/* The index of the uses of an id. 0 where there is no room for more. */
static uint32_t ledger_index(struct gm_rollup *rollup, struct gm_cache_ledger *ledger, uint32_t id)
{
    uint64_t hash = gm_index_mix(id, 1);
    if (id == 0)
        return 0;
    uint32_t at = gm_index_find(&ledger->index, hash, ledger->uses.v, &id, uses_equal);
    if (at || ledger->uses.n > GM_CACHE_SITES_MAX ||
        rollup->caches_use.uses >= GM_CACHES_USES_MAX ||
        gm_index_reserve(&ledger->index, ledger->uses.v, uses_hash) < 0)
        return at;
    struct gm_cache_uses *uses = gm_rows_add(&ledger->uses);
    if (!uses)
        return 0;
    uses->id = id;
    uses->oldest_pin_ns = -1;
    rollup->caches_use.uses++;
    at = (uint32_t)ledger->uses.n - 1;
    gm_index_put(&ledger->index, hash, at);
    return at;
}

static uint32_t cache_site(struct gm_process *p, struct gm_cache *cache, const struct gm_event *use)
{
    const struct gm_stack_name *name =
        use->hash != GM_STACK_NONE ? gm_stack_names_find(&p->names, use->hash) : NULL;
    return ledger_index(p->rollup, &cache->sites, name ? name->node : 0);
}

static void uses_count(
    struct gm_cache_uses *uses, const struct gm_event *use, double weight, bool premature)
{
    double bytes = weight * (double)use->size_bytes;
    uses->samples++;
    uses->changed = true;
    switch ((enum gm_cache_use)use->use) {
    case GM_USE_hit:
        uses->hits += weight;
        uses->hit_bytes += bytes;
        break;
    case GM_USE_miss:
        uses->misses += weight;
        uses->premature_misses += premature ? weight : 0;
        if (!use->size_bytes)
            break;
        __attribute__((fallthrough)); /* a value was put in at once */
    case GM_USE_store:
        uses->stores += weight;
        uses->store_bytes += bytes;
        break;
    case GM_USE_load:
        uses->loads += weight;
        uses->load_ns += weight * (double)use->ns;
        break;
    case GM_USE_pin:
        uses->pins += weight;
        break;
    case GM_USE_unpin:
    case GM_USE_COUNT:
        break;
    }
}

static void cache_count_time(struct gm_cache *cache, enum gm_cache_time kind, int64_t ns)
{
    unsigned bucket = gm_life_bucket(ns > 0 ? (uint64_t)ns : 0);
    cache->times[kind][bucket] += cache->weight;
    cache->times_changed[kind] |= 1ull << bucket;
}

/* ---- uses ---- */

/* What was told between the first use and the curve's beginning. The counts of a forked process, which began in its parent,
 * are no part of what is simulated. */
static void cache_tell_first_state(const struct gm_cache *cache)
{
    uint64_t hits = cache->row.figures[GM_CACHE_hits];
    uint64_t misses = cache->row.figures[GM_CACHE_misses];
    if ((double)(hits + misses) <= 2 * (cache->hits + cache->misses))
        gm_cache_curve_state(cache->curve, hits, misses, cache->row.figures[GM_CACHE_entries]);
}

/* Made with the first use: most caches of most programs are idle. */
static struct gm_cache_curve *cache_curve(struct gm_process *p, struct gm_cache *cache)
{
    struct gm_rollup *rollup = p->rollup;
    uint64_t capacity = cache->row.figures[GM_CACHE_capacity_bytes];
    if (cache->curve || capacity == 0 || rollup->curve_count >= GM_CACHE_CURVES_MAX)
        return cache->curve;
    if (!rollup->curves && gm_cache_curves_create(&rollup->curves) < 0)
        return NULL;
    if (gm_cache_curve_create(rollup->curves, cache->row.policy, capacity, cache_threshold(cache),
            &cache->curve) != 0)
        return NULL;
    rollup->curve_count++;
    cache_tell_first_state(cache);
    return cache->curve;
}

static uint64_t cache_tell_curve(struct gm_process *p, struct gm_cache *cache,
    enum gm_cache_curve_use use, uint64_t key, uint64_t bytes, uint64_t before)
{
    struct gm_cache_curve *curve = cache_curve(p, cache);
    return curve ? gm_cache_curve_use(p->rollup->curves, curve, use, key, bytes, before) : 0;
}

static void cache_tell_lookup_as(struct gm_process *p, struct gm_cache *cache,
    struct gm_cache_key *key, enum gm_cache_curve_use use, uint64_t bytes)
{
    uint64_t number = cache_tell_curve(p, cache, use, key->key, bytes, key->use);
    if (number)
        key->use = number;
}

/* A miss is simulated when it is known how large the value is that it brings in: at once, or when it is stored. */
static void cache_tell_lookup(
    struct gm_process *p, struct gm_cache *cache, struct gm_cache_key *key, bool hit)
{
    if (key->waits) /* nothing was stored after the one before */
        cache_tell_lookup_as(p, cache, key, GM_CACHE_CURVE_MISS, 0);
    key->waits = !hit && key->bytes == 0;
    if (!key->waits)
        cache_tell_lookup_as(
            p, cache, key, hit ? GM_CACHE_CURVE_HIT : GM_CACHE_CURVE_MISS, key->bytes);
}

static void cache_tell_store(struct gm_process *p, struct gm_cache *cache, struct gm_cache_key *key)
{
    if (key->waits)
        cache_tell_lookup_as(p, cache, key, GM_CACHE_CURVE_MISS, key->bytes);
    else if (!key->missed)
        cache_tell_curve(p, cache, GM_CACHE_CURVE_STORE, key->key, key->bytes, 0);
    key->waits = false;
}

/* As many of the sample as the cache holds have left since then: one twice as large might have kept it. */
static bool cache_is_premature(const struct gm_cache *cache, const struct gm_cache_key *key)
{
    double holds = (double)cache->row.figures[GM_CACHE_entries] / cache->weight;
    return key->left && (double)(cache->made_room - key->left) <= fmax(holds, cache->keys.inside);
}

static void cache_looked_up(struct gm_process *p, struct gm_cache *cache, struct gm_cache_key *key,
    const struct gm_event *use, int64_t ns)
{
    bool hit = use->use == GM_USE_hit;
    cache->samples++;
    *(hit ? &cache->hits : &cache->misses) += cache->weight;
    if (cache->row.estimates.sample_rate < cache->row.estimates.sample_rate_min)
        cache->row.estimates.sample_rate_min = cache->row.estimates.sample_rate;
    if (key->used_ns >= 0)
        cache_count_time(cache, GM_CACHE_REUSE_TIME, ns - key->used_ns);
    if (use->size_bytes)
        key->bytes = use->size_bytes;
    cache_tell_lookup(p, cache, key, hit);
    key->used_ns = ns;
    key->missed = !hit;
    key->hits += hit;
    key->left = 0;
    gm_cache_key_inside(&cache->keys, key, hit);
}

/* By a store, or by the miss itself. */
static void cache_stored(struct gm_process *p, struct gm_cache *cache, struct gm_cache_key *key,
    const struct gm_event *use, int64_t ns)
{
    bool at_once = use->use == GM_USE_miss;
    key->bytes = use->size_bytes;
    if (!at_once)
        cache_tell_store(p, cache, key);
    if (key->missed && !at_once) {
        cache->refills += cache->weight;
        cache->refill_ns += cache->weight * (double)(ns - key->used_ns);
        cache_count_time(cache, GM_CACHE_REFILL_TIME, ns - key->used_ns);
    }
    key->missed = false;
    key->known = true;
    key->hits = 0;
    key->left = 0;
    key->stored_ns = ns;
    gm_cache_key_inside(&cache->keys, key, true);
}

static void cache_pinned(struct gm_process *p, struct gm_cache *cache, struct gm_cache_key *key,
    const struct gm_event *use, uint32_t site, uint32_t ring, int64_t ns)
{
    const struct gm_cache_pin pin = {
        .key = key->key, .bytes = use->size_bytes, .ns = ns, .site = site, .ring = ring};
    struct gm_caches_use *all = &p->rollup->caches_use;
    uint32_t places = cache->keys.pin_count;
    if (!cache->keys.pin_free && all->pins >= GM_CACHES_PINS_MAX && places >= GM_CACHE_PINS_LEAST)
        return;
    int r = gm_cache_keys_pin(&cache->keys, key, &pin);
    if (r == -ENOMEM)
        p->rollup->out_of_memory = true;
    all->pins += cache->keys.pin_count - places;
    cache->pins_changed = true;
}

static void cache_unpinned(
    struct gm_cache *cache, struct gm_cache_key *key, uint32_t ring, int64_t ns)
{
    struct gm_cache_pin pin;
    if (!gm_cache_keys_unpin(&cache->keys, key, ring, &pin)) {
        cache->unmatched_unpins += cache->weight;
        return;
    }
    cache_count_time(cache, GM_CACHE_PIN_TIME, ns - pin.ns);
    cache->pins_changed = true;
}

static bool cache_samples(const struct gm_cache *cache, uint64_t key)
{
    uint64_t threshold = cache_threshold(cache);
    return key <= threshold && threshold >= THRESHOLD_LEAST;
}

static int cache_keys_use(
    struct gm_process *p, struct gm_cache *cache, uint64_t hash, struct gm_cache_key **ret_key)
{
    uint32_t before = cache->keys.count;
    int r = gm_cache_keys_use(&cache->keys, hash, cache_keys_most(p->rollup, cache), ret_key);
    p->rollup->caches_use.keys += cache->keys.count - before;
    return r;
}

/* False: there is no memory for it. */
static bool cache_sample_less(struct gm_process *p, struct gm_cache *cache)
{
    uint64_t before = cache->threshold_own;
    cache->threshold_own = cache_threshold(cache) / 2;
    if (cache_take_threshold(p, cache))
        return true;
    cache->threshold_own = before;
    return false;
}

/* The key of a use, if it belongs to the sample. Where the recorder cannot hold so many, the sample becomes smaller. */
static struct gm_cache_key *cache_key(struct gm_process *p, struct gm_cache *cache, uint64_t hash)
{
    struct gm_cache_key *key = NULL;
    int r = cache_samples(cache, hash) ? cache_keys_use(p, cache, hash, &key) : 0;
    if (r == -ENOSPC && cache_sample_less(p, cache) && cache_samples(cache, hash))
        r = cache_keys_use(p, cache, hash, &key);
    if (r == -ENOMEM)
        p->rollup->out_of_memory = true;
    return key;
}

static void cache_use(struct gm_process *p, struct gm_cache *cache, const struct gm_event *use,
    uint32_t ring, int64_t ns)
{
    struct gm_cache_key *key = cache_key(p, cache, use->key);
    if (!key)
        return;
    bool premature = use->use == GM_USE_miss && cache_is_premature(cache, key);
    uint32_t site = use->use == GM_USE_unpin ? 0 : cache_site(p, cache, use);
    cache->premature_misses += premature ? cache->weight : 0;
    cache->changed = true;
    switch ((enum gm_cache_use)use->use) {
    case GM_USE_hit:
    case GM_USE_miss:
        cache_looked_up(p, cache, key, use, ns);
        if (use->use == GM_USE_miss && use->size_bytes)
            cache_stored(p, cache, key, use, ns);
        break;
    case GM_USE_store:
        cache_stored(p, cache, key, use, ns);
        break;
    case GM_USE_load:
        cache_count_time(cache, GM_CACHE_LOAD_TIME, use->ns);
        break;
    case GM_USE_pin:
        cache_pinned(p, cache, key, use, site, ring, ns);
        break;
    case GM_USE_unpin:
        cache_unpinned(cache, key, ring, ns);
        return;
    case GM_USE_COUNT:
        return;
    }
    uses_count(&cache->sites.uses.v[site], use, cache->weight, premature);
    if (use->use != GM_USE_pin)
        uses_count(&cache->classes.uses.v[ledger_index(p->rollup, &cache->classes, use->key_class)],
            use, cache->weight, premature);
}

/* ---- what leaves ---- */

static bool cause_makes_room(unsigned cause)
{
    return cause == GM_CAUSE_size || cause == GM_CAUSE_pressure;
}

static void cache_count_left(
    struct gm_cache *cache, const struct gm_cache_key *key, const struct gm_event *left, int64_t ns)
{
    bool known = left->key_hits != GM_CACHE_HITS_UNKNOWN || (key && key->known);
    uint32_t hits = left->key_hits != GM_CACHE_HITS_UNKNOWN ? left->key_hits
                    : known                                 ? key->hits
                                                            : 0;
    if (known) {
        cache->left += cache->weight;
        cache->one_hit_wonders += hits == 0 ? cache->weight : 0;
    }
    if (!cause_makes_room(left->cause))
        return;
    if (left->ns > 0)
        cache_count_time(cache, GM_CACHE_EVICTION_AGE, left->ns);
    else if (key && key->stored_ns >= 0)
        cache_count_time(cache, GM_CACHE_EVICTION_AGE, ns - key->stored_ns);
}

static void cache_left(
    struct gm_process *p, struct gm_cache *cache, const struct gm_event *left, int64_t ns)
{
    if (!cache_samples(cache, left->key))
        return;
    struct gm_cache_key *key = gm_cache_keys_find(&cache->keys, left->key);
    cache->changed = true;
    /* Another value takes its place, or there never was one: that is told by a store, or its absence. */
    if (left->cause == GM_CAUSE_replaced || left->cause == GM_CAUSE_rejected)
        return;
    if (left->cause != GM_CAUSE_removed && left->cause != GM_CAUSE_closed)
        cache_count_left(cache, key, left, ns);
    if (left->cause == GM_CAUSE_removed || left->cause == GM_CAUSE_expired)
        cache_tell_curve(p, cache, GM_CACHE_CURVE_GONE, left->key, 0, 0);
    cache->made_room += cause_makes_room(left->cause);
    if (!key)
        return;
    key->left = cause_makes_room(left->cause) ? cache->made_room : 0;
    key->known = false;
    key->stored_ns = -1;
    gm_cache_key_inside(&cache->keys, key, false);
}

/* ---- the state, all of it ---- */

/* No use of its keys will come any more. */
static void cache_tell_waiting(struct gm_process *p, struct gm_cache *cache)
{
    for (uint32_t id = 1; id <= cache->keys.count; id++) {
        struct gm_cache_key *key = gm_cache_key_at(&cache->keys, id);
        if (key->waits)
            cache_tell_curve(p, cache, GM_CACHE_CURVE_MISS, key->key, 0, key->use);
        key->waits = false;
    }
}

static void cache_take_state(
    struct gm_process *p, struct gm_cache *cache, const struct gm_event *state, int64_t ns)
{
    struct gm_row_cache *row = &cache->row;
    bool is_new = row->last_ns == 0 && cache->changes == 0;
    uint64_t capacity = state->cache_figures[GM_CACHE_capacity_bytes];
    uint64_t before = row->figures[GM_CACHE_capacity_bytes];
    if (is_new)
        cache_note_change(p, cache, ns, "made", 0, capacity);
    else if (capacity != before)
        cache_note_change(p, cache, ns, "resized", before, capacity);
    if (!is_new && state->choice != row->choice)
        cache_note_change(p, cache, ns, "switched", row->choice, state->choice);
    uint64_t hits = row->figures[GM_CACHE_hits], misses = row->figures[GM_CACHE_misses];
    cache_take_figures(cache, state->cache_figures);
    if (cache->curve)
        gm_cache_curve_state(cache->curve, row->figures[GM_CACHE_hits] - hits,
            row->figures[GM_CACHE_misses] - misses, row->figures[GM_CACHE_entries]);
    if (cache->curve)
        gm_cache_curve_resize(p->rollup->curves, cache->curve, capacity);
    row->policy = state->policy;
    row->choice = state->choice;
    row->switches = state->switches > row->switches ? state->switches : row->switches;
    row->last_ns = ns;
    cache->threshold_told = state->sample_threshold;
    cache_take_threshold(p, cache);
    if (state->closed) {
        cache_tell_waiting(p, cache);
        row->closed_ns = ns;
        cache_note_change(p, cache, ns, "closed", capacity, 0);
    }
    cache->changed = true;
}

static void process_cache_state(struct gm_process *p, const struct gm_event *state, int64_t ns)
{
    struct gm_cache *cache = caches_find(&p->caches, state->cache);
    if (!cache && p->rollup->caches_seen >= GM_CACHES_MAX) {
        p->caches.left_out++;
        return;
    }
    if (!cache)
        cache = caches_add(p, state, ns);
    if (cache)
        cache_take_state(p, cache, state, ns);
    else
        p->rollup->out_of_memory = true;
}

/* A name that is told again is the same, or a lie. */
static void cache_name_class(
    struct gm_process *p, struct gm_cache *cache, const struct gm_event *event)
{
    struct gm_cache_uses *uses =
        &cache->classes.uses.v[ledger_index(p->rollup, &cache->classes, event->key_class)];
    if (uses->name || uses->id != event->key_class)
        return;
    uses->name = strndup(event->name_text, event->name_bytes);
    if (!uses->name)
        p->rollup->out_of_memory = true;
    uses->changed = cache->changed = true;
}

void gm_process_cache_event(struct gm_process *p, const struct gm_event *event, uint32_t ring)
{
    int64_t ns = gm_timebase_ns(p->rollup->timebase, event->stamp);
    p->changed = true;
    if (event->kind == GM_EV_CACHE) {
        process_cache_state(p, event, ns);
        return;
    }
    struct gm_cache *cache = caches_find(&p->caches, event->cache);
    if (!cache)
        p->caches.left_out++;
    else if (event->kind == GM_EV_CACHE_CLASS)
        cache_name_class(p, cache, event);
    else if (event->kind == GM_EV_CACHE_USE)
        cache_use(p, cache, event, ring, ns);
    else
        cache_left(p, cache, event, ns);
}

void gm_process_caches_ended(struct gm_process *p)
{
    for (uint32_t i = 0; i < p->caches.count; i++)
        cache_tell_waiting(p, p->caches.v[i]);
}

bool gm_process_caches_are_behind(const struct gm_process *p)
{
    for (uint32_t i = 0; i < p->caches.count; i++)
        if (p->caches.v[i]->curve &&
            gm_cache_curve_is_behind(p->rollup->curves, p->caches.v[i]->curve))
            return true;
    return false;
}
