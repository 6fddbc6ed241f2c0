/* generations.c - see generations.h. */
#include "analyzer/core/generations.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

int gm_generations_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t from_ns, int64_t to_ns, struct gm_generation ret_generations[static 4])
{
    struct gm_generation sum[4] = {0};
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT g.process_id, g.generation, i.end_ns > ?1, total(g.born), total(g.died), "
        "total(g.died_bytes),"
        " total(g.promoted) FROM interval i JOIN generation_interval g USING (interval_id)"
        " WHERE i.start_ns < ?2 GROUP BY 1, 2, 3");
    gm_query_bind(&q, 1, from_ns);
    gm_query_bind(&q, 2, to_ns);
    while (gm_query_next(&q)) {
        uint64_t generation = gm_query_count(&q, 1);
        uint64_t born = gm_query_count(&q, 3), died = gm_query_count(&q, 4),
                 promoted = gm_query_count(&q, 6);
        if (generation > 3 || !gm_process_set_has(processes, gm_query_id(&q, 0)))
            continue;
        struct gm_generation *g = &sum[generation];
        uint64_t left = died + promoted;
        g->live_blocks += born > left ? born - left : 0;
        if (!gm_query_integer(&q, 2)) { /* before the time asked for: only counts as live */
            g->live_blocks -= born > left ? 0 : left - born;
            continue;
        }
        g->live_blocks -= born > left ? 0 : left - born;
        g->born += born;
        g->died += died;
        g->died_bytes += gm_query_count(&q, 5);
        g->promoted += promoted;
    }
    int r = gm_query_close(&q);
    if (r == 0)
        memcpy(ret_generations, sum, sizeof sum);
    return r;
}

/* Adds up a histogram as the recorder writes it: [[bucket,blocks],...]. Whatever else stands there
 * is skipped. */
static void histogram_add(const char *json, uint64_t buckets[static GM_LIFETIME_BUCKETS])
{
    while (json && (json = strpbrk(json, "0123456789"))) {
        char *end = NULL;
        unsigned long bucket = strtoul(json, &end, 10);
        while (isspace((unsigned char)*end))
            end++;
        if (*end != ',')
            return;
        unsigned long long blocks = strtoull(end + 1, &end, 10);
        if (bucket < GM_LIFETIME_BUCKETS && blocks <= (unsigned long long)GM_VALUE_MAX)
            buckets[bucket] += blocks;
        json = end;
    }
}

static void lifetimes_read(struct gm_query *q, struct gm_lifetimes *sum)
{
    histogram_add((const char *)sqlite3_column_text(q->stmt, 1), sum->bytes);
    histogram_add((const char *)sqlite3_column_text(q->stmt, 2), sum->ns);
}

int gm_lifetimes_load(struct gm_recording *recording, bool (*wants)(uint32_t site_id, void *data),
    void *data, struct gm_lifetimes *ret_lifetimes)
{
    struct gm_lifetimes sum = {0};
    struct gm_query q;
    gm_query_open(recording, &q, "SELECT site_id, life_bytes, life_ns FROM site");
    while (gm_query_next(&q))
        if (!wants || wants(gm_query_id(&q, 0), data))
            lifetimes_read(&q, &sum);
    int r = gm_query_close(&q);
    if (r == 0)
        *ret_lifetimes = sum;
    return r;
}

int gm_lifetimes_of_site(
    struct gm_recording *recording, uint32_t site_id, struct gm_lifetimes *ret_lifetimes)
{
    struct gm_lifetimes sum = {0};
    struct gm_query q;
    gm_query_open(
        recording, &q, "SELECT site_id, life_bytes, life_ns FROM site WHERE site_id = ?1");
    gm_query_bind(&q, 1, site_id);
    if (gm_query_next(&q))
        lifetimes_read(&q, &sum);
    int r = gm_query_close(&q);
    if (r == 0)
        *ret_lifetimes = sum;
    return r;
}

uint64_t gm_lifetime_from(unsigned bucket)
{
    return bucket == 0 ? 0 : (uint64_t)1 << (bucket < 64 ? bucket - 1 : 63);
}
