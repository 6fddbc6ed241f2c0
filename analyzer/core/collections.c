/* collections.c - see collections.h. */
#include "analyzer/core/collections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

/* ---- collections ---- */

static unsigned name_code(const char *name, const char *(*name_of)(unsigned), unsigned room)
{
    for (unsigned code = 1; name && code < room; code++)
        if (name_of(code) && strcmp(name_of(code), name) == 0)
            return code;
    return 0;
}

#define FIRST_FIGURE 9
#define COLLECTIONS_MAX (1u << 30) /* more in one row are a lie */
static struct gm_gc_cycle cycle_read(struct gm_query *q)
{
    const char *kind = (const char *)sqlite3_column_text(q->stmt, 4);
    struct gm_gc_cycle c = {.process_id = gm_query_id(q, 1),
        .heap = gm_query_count(q, 2),
        .number = gm_query_count(q, 3),
        .kind = name_code(kind, gm_gc_kind_name, GM_GC_KINDS_ROOM),
        .start_ns = gm_query_time(q, 6),
        .end_ns = gm_query_time(q, 7),
        .collections = gm_query_count(q, 8)};
    c.trigger = name_code(
        (const char *)sqlite3_column_text(q->stmt, 5), gm_gc_trigger_name, GM_GC_TRIGGERS_ROOM);
    if (c.collections < 1 || c.collections > COLLECTIONS_MAX)
        c.collections = 1;
    for (int i = 0; i < GM_CYCLE_FIGURE_COUNT; i++)
        c.figures[i] = gm_query_count(q, FIRST_FIGURE + i);
    return c;
}

int gm_gc_walk(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t after_id, int64_t from_ns, int64_t to_ns,
    int (*tell)(void *arg, int64_t id, const struct gm_gc_cycle *cycle), void *arg)
{
    struct gm_query q;
    int e = 0;
#define GM_X(name, text) ", " #name
    gm_query_open(recording, &q,
        "SELECT cycle_id, process_id, heap, number, kind, cause, start_ns, end_ns, "
        "collections" GM_CYCLE_FIGURES(
            GM_X) " FROM gc_cycle WHERE cycle_id > ?1 AND end_ns BETWEEN ?2 AND ?3 ORDER BY 1");
#undef GM_X
    gm_query_bind(&q, 1, after_id);
    gm_query_bind(&q, 2, from_ns);
    gm_query_bind(&q, 3, to_ns);
    while (e >= 0 && gm_query_next(&q)) {
        struct gm_gc_cycle cycle = cycle_read(&q);
        if (gm_process_set_has(processes, cycle.process_id))
            e = tell(arg, gm_query_integer(&q, 0), &cycle);
    }
    int closed = gm_query_close(&q);
    return e < 0 ? e : closed;
}

static int pauses_add(struct gm_pauses *p, uint64_t ns, uint64_t count)
{
    if (p->n == p->room) {
        size_t room = p->room ? p->room * 2 : 64;
        struct gm_pause *v = reallocarray(p->v, room, sizeof *v);
        if (!v)
            return -ENOMEM;
        p->v = v;
        p->room = room;
    }
    p->v[p->n++] = (struct gm_pause){ns, count};
    p->count += count;
    p->sum_ns += ns * count;
    return 0;
}

static int pause_compare(const void *a, const void *b)
{
    const struct gm_pause *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

void gm_pauses_sort(struct gm_pauses *pauses)
{
    if (pauses->n)
        qsort(pauses->v, pauses->n, sizeof *pauses->v, pause_compare);
}

uint64_t gm_pauses_percentile(const struct gm_pauses *pauses, double percent)
{
    if (pauses->n == 0)
        return 0;
    double rank = percent / 100 * (double)pauses->count, below = 0;
    for (size_t i = 0; i < pauses->n; i++) {
        below += (double)pauses->v[i].count;
        if (below >= rank)
            return pauses->v[i].ns;
    }
    return pauses->v[pauses->n - 1].ns;
}

#define STOPS_MAX 1024u /* more in one collection are a lie */

static int kind_add_pauses(struct gm_gc_of_kind *k, const struct gm_gc_cycle *c)
{
    uint64_t stops = c->figures[GM_CYCLE_stops], longest = c->figures[GM_CYCLE_max_pause_ns];
    uint64_t rest =
        c->figures[GM_CYCLE_pause_ns] > longest ? c->figures[GM_CYCLE_pause_ns] - longest : 0;
    int e = pauses_add(&k->pauses, longest, 1);
    if (stops > STOPS_MAX * c->collections)
        stops = STOPS_MAX * c->collections;
    if (e == 0 && stops > 1) {
        e = pauses_add(&k->pauses, rest / (stops - 1), stops - 1);
        k->pauses.sum_ns += rest % (stops - 1);
    }
    return e;
}

static int kind_add(struct gm_gc_of_kind *k, const struct gm_gc_cycle *c)
{
    uint64_t footprint = k->figures[GM_CYCLE_footprint_bytes];
    k->collections += c->collections;
    k->triggers[c->trigger] += c->collections;
    for (int i = 0; i < GM_CYCLE_FIGURE_COUNT; i++)
        k->figures[i] += c->figures[i];
    k->figures[GM_CYCLE_footprint_bytes] = c->figures[GM_CYCLE_footprint_bytes] > footprint
                                               ? c->figures[GM_CYCLE_footprint_bytes]
                                               : footprint;
    return kind_add_pauses(k, c);
}

static uint64_t cycle_pause(const struct gm_gc_cycle *c)
{
    return c->figures[GM_CYCLE_max_pause_ns];
}

/* Inserts where it belongs. */
static void longest_add(struct gm_gc *gc, const struct gm_gc_cycle *c)
{
    size_t i = gc->longest_count;
    if (i == GM_GC_LONGEST && cycle_pause(c) <= cycle_pause(&gc->longest[i - 1]))
        return;
    if (i < GM_GC_LONGEST)
        gc->longest_count++;
    else
        i--;
    for (; i > 0 && cycle_pause(c) > cycle_pause(&gc->longest[i - 1]); i--)
        gc->longest[i] = gc->longest[i - 1];
    gc->longest[i] = *c;
}

static int gc_add(void *arg, int64_t id, const struct gm_gc_cycle *c)
{
    struct gm_gc *gc = arg;
    gc->last_id = id;
    gc->recent[gc->rows++ % GM_GC_RECENT] = *c;
    longest_add(gc, c);
    int e = kind_add(&gc->kinds[0], c);
    return e == 0 && c->kind ? kind_add(&gc->kinds[c->kind], c) : e;
}

int gm_gc_read(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t from_ns, int64_t to_ns, struct gm_gc *gc)
{
    int e = gm_gc_walk(recording, processes, gc->last_id, from_ns, to_ns, gc_add, gc);
    for (unsigned i = 0; i < GM_GC_KINDS_ROOM; i++)
        gm_pauses_sort(&gc->kinds[i].pauses);
    return e == -ENOMEM ? gm_recording_fail_text(recording, e, "not enough memory") : e;
}

void gm_gc_done(struct gm_gc *gc)
{
    for (unsigned i = 0; i < GM_GC_KINDS_ROOM; i++)
        free(gc->kinds[i].pauses.v);
    memset(gc, 0, sizeof *gc);
}

const struct gm_gc_cycle *gm_gc_recent(const struct gm_gc *gc, size_t i)
{
    uint64_t n = gc->rows;
    return i < n && i < GM_GC_RECENT ? &gc->recent[(n - 1 - i) % GM_GC_RECENT] : NULL;
}

/* ---- collected blocks ---- */

/* `columns` of pairs: blocks, bytes. */
static void sums_add(struct gm_query *q, int column, struct gm_gc_sum *const *sums, int n)
{
    for (int i = 0; i < n; i++) {
        sums[i]->blocks += gm_query_count(q, column + 2 * i);
        sums[i]->bytes += gm_query_count(q, column + 2 * i + 1);
    }
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static struct gm_gc_sum generation_live(
    const struct gm_gc_generation *g, const struct gm_gc_sum *promoted_in)
{
    return (struct gm_gc_sum){
        .blocks = less(g->born.blocks + promoted_in->blocks,
            g->died.blocks + g->freed.blocks + g->promoted.blocks),
        .bytes = less(
            g->born.bytes + promoted_in->bytes, g->died.bytes + g->freed.bytes + g->promoted.bytes),
    };
}

int gm_gc_generations_load(struct gm_recording *recording, const struct gm_process_set *processes,
    int64_t from_ns, int64_t to_ns, struct gm_gc_generation ret_generations[static 2])
{
    struct gm_gc_generation within[2] = {0}, ever[2] = {0};
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT g.process_id, g.generation, i.end_ns > ?1, total(born), total(born_bytes),"
        " total(died), total(died_bytes), total(freed), total(freed_bytes), total(promoted),"
        " total(promoted_bytes), total(premature), total(premature_bytes), total(nepotism),"
        " total(nepotism_bytes) FROM interval i JOIN gc_interval g USING (interval_id)"
        " WHERE i.start_ns < ?2 GROUP BY 1, 2, 3");
    gm_query_bind(&q, 1, from_ns);
    gm_query_bind(&q, 2, to_ns);
    while (gm_query_next(&q)) {
        uint64_t number = gm_query_count(&q, 1);
        if (number > 1 || !gm_process_set_has(processes, gm_query_id(&q, 0)))
            continue;
        struct gm_gc_generation *both[2] = {&ever[number], &within[number]};
        for (int i = 0; i < 1 + (gm_query_integer(&q, 2) != 0); i++) {
            struct gm_gc_generation *g = both[i];
            sums_add(&q, 3,
                (struct gm_gc_sum *const[]){
                    &g->born, &g->died, &g->freed, &g->promoted, &g->premature, &g->nepotism},
                6);
        }
    }
    int e = gm_query_close(&q);
    if (e < 0)
        return e;
    within[0].live = generation_live(&ever[0], &(struct gm_gc_sum){0});
    within[1].live = generation_live(&ever[1], &ever[0].promoted);
    memcpy(ret_generations, within, sizeof within);
    return 0;
}

int gm_gc_sites_load(struct gm_recording *recording, const struct gm_process_set *processes,
    struct gm_gc_sites *ret_sites)
{
    struct gm_gc_sites sites = {0};
    size_t room = 0;
    struct gm_query q;
    int e = 0;
    gm_query_open(recording, &q,
        "SELECT s.process_id, s.site_id, s.stack_id, g.born, g.born_bytes, g.died_young,"
        " g.died_young_bytes, g.died_old, g.died_old_bytes, g.freed, g.freed_bytes, g.promoted,"
        " g.promoted_bytes, g.premature, g.premature_bytes, g.nepotism, g.nepotism_bytes"
        " FROM site_gc g JOIN site s USING (site_id) ORDER BY g.promoted_bytes DESC, 2");
    while (e == 0 && gm_query_next(&q)) {
        if (!gm_process_set_has(processes, gm_query_id(&q, 0)))
            continue;
        if (sites.n == room) {
            room = room ? room * 2 : 64;
            struct gm_gc_site *v = reallocarray(sites.v, room, sizeof *v);
            if (!v) {
                e = gm_recording_fail_text(recording, -ENOMEM, "not enough memory");
                break;
            }
            sites.v = v;
        }
        struct gm_gc_site *s = &sites.v[sites.n++];
        *s = (struct gm_gc_site){.site_id = gm_query_id(&q, 1), .stack_id = gm_query_id(&q, 2)};
        sums_add(&q, 3,
            (struct gm_gc_sum *const[]){&s->born, &s->died_young, &s->died_old, &s->freed,
                &s->promoted, &s->premature, &s->nepotism},
            7);
    }
    int closed = gm_query_close(&q);
    e = e < 0 ? e : closed;
    if (e < 0)
        gm_gc_sites_done(&sites);
    else
        *ret_sites = sites;
    return e;
}

void gm_gc_sites_done(struct gm_gc_sites *sites)
{
    free(sites->v);
    *sites = (struct gm_gc_sites){0};
}

int gm_gc_exists(struct gm_recording *recording, bool *ret_exists)
{
    struct gm_query q;
    *ret_exists = false;
    gm_query_open(recording, &q,
        "SELECT EXISTS (SELECT 1 FROM gc_cycle) OR EXISTS (SELECT 1 FROM gc_interval)");
    if (gm_query_next(&q))
        *ret_exists = gm_query_integer(&q, 0) != 0;
    return gm_query_close(&q);
}
