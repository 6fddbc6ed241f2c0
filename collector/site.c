/* site.c - see site.h. */
#include "collector/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(GM_LIFE_BUCKETS < UINT8_MAX, "a bucket fits in a key");

void gm_sites_init(struct gm_sites *sites)
{
    memset(sites, 0, sizeof *sites);
}

static size_t sites_chunk_count(const struct gm_sites *sites)
{
    return (sites->count + GM_SITE_CHUNK - 1) / GM_SITE_CHUNK;
}

void gm_sites_done(struct gm_sites *sites)
{
    for (size_t i = 0; i < sites_chunk_count(sites); i++) {
        free(sites->chunks[i]);
        if (sites->run_chunks)
            free(sites->run_chunks[i]);
    }
    free(sites->chunks);
    free(sites->run_chunks);
    free(sites->life.v);
    memset(sites, 0, sizeof *sites);
}

static int sites_reserve_chunk_slot(struct gm_sites *sites, size_t i)
{
    if (i < sites->chunk_room)
        return 0;
    size_t room = sites->chunk_room ? sites->chunk_room * 2 : 16;
    struct gm_site **chunks = reallocarray(sites->chunks, room, sizeof *chunks);
    if (!chunks)
        return -ENOMEM;
    sites->chunks = chunks;
    if (sites->run_chunks) {
        struct gm_site_run_peak **runs = reallocarray(sites->run_chunks, room, sizeof *runs);
        if (!runs)
            return -ENOMEM;
        sites->run_chunks = runs;
    }
    sites->chunk_room = room;
    return 0;
}

static int sites_add_chunk(struct gm_sites *sites)
{
    size_t i = sites_chunk_count(sites);
    if (sites_reserve_chunk_slot(sites, i) < 0)
        return -ENOMEM;
    struct gm_site *chunk = calloc(GM_SITE_CHUNK, sizeof *chunk);
    struct gm_site_run_peak *run = NULL;
    if (chunk && sites->run_chunks && !(run = calloc(GM_SITE_CHUNK, sizeof *run))) {
        free(chunk);
        chunk = NULL;
    }
    if (!chunk)
        return -ENOMEM;
    sites->chunks[i] = chunk;
    if (sites->run_chunks)
        sites->run_chunks[i] = run;
    return 0;
}

uint32_t gm_sites_add(
    struct gm_sites *sites, uint32_t process_id, uint32_t stack_id, uint8_t function)
{
    struct gm_row_site *row = gm_rows_add(&sites->batch->sites);
    if (!row)
        return 0;
    if (sites->count == UINT32_MAX ||
        (sites->count % GM_SITE_CHUNK == 0 && sites_add_chunk(sites) < 0)) {
        sites->batch->sites.n--;
        return 0;
    }
    uint32_t site_id = ++sites->count;
    *gm_site(sites, site_id) =
        (struct gm_site){.process_id = process_id, .stack_id = stack_id, .function = function};
    *row = (struct gm_row_site){
        .site_id = site_id, .process_id = process_id, .stack_id = stack_id, .function = function};
    return site_id;
}

int gm_sites_split_peaks(struct gm_sites *sites)
{
    if (sites->run_chunks)
        return 0;
    size_t n = sites_chunk_count(sites);
    struct gm_site_run_peak **runs =
        calloc(sites->chunk_room ? sites->chunk_room : 1, sizeof *runs);
    bool good = runs != NULL;
    for (size_t i = 0; i < n && good; i++)
        good = (runs[i] = calloc(GM_SITE_CHUNK, sizeof **runs)) != NULL;
    if (!good) {
        for (size_t i = 0; runs && i < n; i++)
            free(runs[i]);
        free(runs);
        return -ENOMEM;
    }
    sites->run_chunks = runs;
    for (uint32_t id = 1; id <= sites->count; id++) {
        const struct gm_site *site = gm_site(sites, id);
        *gm_site_run_peak(sites, id) = (struct gm_site_run_peak){
            .seen = site->peak_seen, .bytes = site->peak_bytes, .blocks = site->peak_blocks};
    }
    return 0;
}

struct gm_row_site_delta *gm_sites_delta_new(struct gm_sites *sites, uint32_t site_id)
{
    size_t index = sites->batch->site_deltas.n;
    struct gm_row_site_delta *delta = gm_rows_add(&sites->batch->site_deltas);
    if (!delta)
        return NULL;
    delta->site_id = site_id;
    delta->first_ns = delta->last_ns = delta->last_free_ns = -1;
    /* Until the delta is completed, as they were before it: what was freed is the difference. */
    delta->live_blocks = gm_site(sites, site_id)->live_blocks;
    delta->live_bytes = gm_site(sites, site_id)->live_bytes;
    gm_site(sites, site_id)->delta = (uint32_t)index + 1;
    return delta;
}

int gm_sites_count_life_first(
    struct gm_sites *sites, uint32_t *head, unsigned unit, unsigned bucket, uint64_t blocks)
{
    unsigned place = bucket % GM_LIFE_NODE_KEYS;
    uint8_t key = (uint8_t)(bucket + 1);
    uint32_t last = 0;
    for (uint32_t i = *head; i; i = sites->life.v[i - 1].next) {
        struct gm_life_node *node = &sites->life.v[i - 1];
        if (!node->keys[unit][place])
            node->keys[unit][place] = key;
        if (node->keys[unit][place] == key && node->blocks[unit][place] + blocks <= UINT32_MAX) {
            node->blocks[unit][place] += (uint32_t)blocks;
            return 0;
        }
        last = i;
    }
    struct gm_life_node *node = gm_rows_add(&sites->life);
    if (!node)
        return -ENOMEM;
    *(last ? &sites->life.v[last - 1].next : head) = (uint32_t)sites->life.n;
    node->keys[unit][place] = key;
    node->blocks[unit][place] = blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX;
    return 0;
}

/* delta->life_first becomes what it is to the store. */
static int sites_fill_life(struct gm_sites *sites, struct gm_row_site_delta *delta)
{
    uint32_t head = delta->life_first;
    delta->life_first = (uint32_t)sites->batch->life.n;
    for (uint32_t i = head; i; i = sites->life.v[i - 1].next) {
        const struct gm_life_node *node = &sites->life.v[i - 1];
        for (unsigned k = 0; k < 2 * GM_LIFE_NODE_KEYS; k++) {
            unsigned unit = k / GM_LIFE_NODE_KEYS, place = k % GM_LIFE_NODE_KEYS;
            if (!node->keys[unit][place])
                continue;
            struct gm_life *life = gm_rows_add(&sites->batch->life);
            if (!life)
                return -ENOMEM;
            *life = (struct gm_life){.unit = (uint8_t)unit,
                .bucket = (uint8_t)(node->keys[unit][place] - 1),
                .blocks = node->blocks[unit][place]};
            delta->life_count++;
        }
    }
    return 0;
}

static void sites_fill_delta(
    const struct gm_sites *sites, const struct gm_site *site, struct gm_row_site_delta *delta)
{
    delta->function = site->function;
    delta->d_frees = delta->d_allocs + delta->live_blocks - site->live_blocks;
    delta->d_free_bytes = delta->d_alloc_bytes + delta->live_bytes - site->live_bytes;
    delta->live_blocks = site->live_blocks;
    delta->live_bytes = site->live_bytes;
    delta->birth_sum_us = site->birth_sum_us;
    delta->peak_seen = delta->run_peak_seen = site->peak_seen;
    delta->peak_bytes = delta->run_peak_bytes = site->peak_bytes;
    delta->peak_blocks = delta->run_peak_blocks = site->peak_blocks;
    if (!sites->run_chunks)
        return;
    const struct gm_site_run_peak *run = gm_site_run_peak(sites, delta->site_id);
    delta->run_peak_seen = run->seen;
    delta->run_peak_bytes = run->bytes;
    delta->run_peak_blocks = run->blocks;
}

int gm_sites_fill(struct gm_sites *sites)
{
    int r = 0;
    for (size_t i = 0; i < sites->batch->site_deltas.n; i++) {
        struct gm_row_site_delta *delta = &sites->batch->site_deltas.v[i];
        struct gm_site *site = gm_site(sites, delta->site_id);
        sites_fill_delta(sites, site, delta);
        if (r == 0)
            r = sites_fill_life(sites, delta);
        site->delta = 0;
    }
    sites->life.n = 0;
    return r;
}
