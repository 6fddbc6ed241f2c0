/* wrappers.c - see wrappers.h. */
#include "analyzer/core/wrappers.h"

#include <stdlib.h>

#include "analyzer/core/query.h"
#include "analyzer/core/stack_runs.h"
#include "analyzer/core/where.h"

/* The innermost frames of one site: a nameless leaf, its caller, and that one's. */
struct chain {
    uint32_t frame[3];
};

/* False: the stack has but one frame. */
static bool chain_find(struct gm_stack_runs *runs, uint32_t stack_id, struct chain *chain)
{
    size_t n = 0;
    uint32_t id = stack_id, parent_id;
    *chain = (struct chain){0};
    while (n < 3 && id && gm_stack_runs_find(runs, id, &parent_id, &chain->frame[n])) {
        id = parent_id < id ? parent_id : 0;
        n++;
    }
    return n >= 2;
}

/* Whether the frame of the chain at the leaf has no name; `q` asks for it. */
static bool frame_is_nameless(struct gm_query *q, uint32_t frame_id)
{
    gm_query_bind(q, 1, frame_id);
    bool nameless = !gm_query_next(q) && !q->error;
    if (!q->error)
        gm_query_rewind(q);
    return nameless;
}

static int chain_add(
    struct gm_recording *rec, struct chain **v, size_t *n, const struct chain *chain)
{
    if ((*n & (*n - 1)) == 0) {
        struct chain *grown = realloc(*v, (*n ? *n * 2 : 1) * sizeof *grown);
        if (!grown)
            return gm_recording_fail(rec, SQLITE_NOMEM);
        *v = grown;
    }
    (*v)[(*n)++] = *chain;
    return 0;
}

static int chains_load(struct gm_recording *rec, struct chain **ret_v, size_t *ret_n)
{
    struct gm_query q, named;
    struct gm_stack_runs runs;
    struct chain *v = NULL, chain;
    size_t n = 0;
    gm_query_open(rec, &q, "SELECT stack_id FROM site_row WHERE stack_id IS NOT NULL");
    gm_query_open(
        rec, &named, "SELECT 1 FROM frame_line WHERE frame_id = ?1 AND function_id IS NOT NULL");
    gm_stack_runs_open(rec, &runs);
    while (!q.error && gm_query_next(&q))
        if (chain_find(&runs, gm_query_id(&q, 0), &chain) &&
            frame_is_nameless(&named, chain.frame[0]))
            q.error = chain_add(rec, &v, &n, &chain);
    int r = gm_query_close(&q), r_named = gm_query_close(&named),
        r_runs = gm_stack_runs_close(&runs);
    r = r < 0 ? r : r_named < 0 ? r_named : r_runs;
    if (r < 0) {
        free(v);
        return r;
    }
    *ret_v = v;
    *ret_n = n;
    return 0;
}

static int chain_compare(const void *a, const void *b, void *data)
{
    const struct chain *x = a, *y = b;
    int level = *(const int *)data;
    for (int i = level; i < level + 2; i++)
        if (x->frame[i] != y->frame[i])
            return x->frame[i] < y->frame[i] ? -1 : 1;
    return 0;
}

static int id_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

bool gm_wrappers_has(const struct gm_wrappers *wrappers, uint32_t frame_id)
{
    return wrappers->n &&
           bsearch(&frame_id, wrappers->ids, wrappers->n, sizeof frame_id, id_compare);
}

/* Whether the function at a frame is named like a wrapper; `q` asks for its name. */
static bool frame_wraps(struct gm_query *q, uint32_t frame_id)
{
    gm_query_bind(q, 1, frame_id);
    const char *name = gm_query_next(q) ? (const char *)sqlite3_column_text(q->stmt, 0) : NULL;
    bool wraps = name && gm_function_wraps(name);
    if (!q->error)
        gm_query_rewind(q);
    return wraps;
}

/* The chains from *i on that share their frame at `level`: whether that one is a wrapper. Moves *i behind. */
static bool callers_judge(struct gm_query *q, const struct chain *v, size_t n, int level, size_t *i)
{
    size_t first = *i, callers = 0;
    bool all_wrap = level == 0;
    for (; *i < n && v[*i].frame[level] == v[first].frame[level]; ++*i) {
        uint32_t caller = v[*i].frame[level + 1];
        if (*i > first && caller == v[*i - 1].frame[level + 1])
            continue;
        callers++;
        all_wrap = all_wrap && frame_wraps(q, caller);
    }
    return all_wrap || callers >= GM_WRAPPER_CALLERS;
}

/* Adds the wrappers at `level`; `v` holds only chains whose frames further inside are wrappers. */
static void wrappers_add(
    struct gm_wrappers *wrappers, struct gm_query *q, struct chain *v, size_t n, int level)
{
    if (n == 0)
        return;
    qsort_r(v, n, sizeof *v, chain_compare, &level);
    for (size_t i = 0; i < n;) {
        uint32_t id = v[i].frame[level];
        if (callers_judge(q, v, n, level, &i))
            wrappers->ids[wrappers->n++] = id;
    }
    if (wrappers->n)
        qsort(wrappers->ids, wrappers->n, sizeof *wrappers->ids, id_compare);
}

int gm_wrappers_load(struct gm_recording *recording, struct gm_wrappers *ret_wrappers)
{
    struct chain *v = NULL;
    size_t n = 0, kept = 0;
    int r = chains_load(recording, &v, &n);
    if (r < 0)
        return r;
    struct gm_wrappers found = {.ids = malloc((2 * n + 1) * sizeof *found.ids)};
    if (!found.ids) {
        free(v);
        return gm_recording_fail(recording, SQLITE_NOMEM);
    }
    struct gm_query q;
    gm_query_open(recording, &q,
        "SELECT text FROM frame_line JOIN string ON string_id = function_id"
        " WHERE frame_id = ?1 AND depth = 0");
    wrappers_add(&found, &q, v, n, 0);
    for (size_t i = 0; i < n; i++)
        if (gm_wrappers_has(&found, v[i].frame[0]))
            v[kept++] = v[i];
    wrappers_add(&found, &q, v, kept, 1);
    r = gm_query_close(&q);
    free(v);
    if (r < 0)
        gm_wrappers_done(&found);
    else
        *ret_wrappers = found;
    return r;
}

void gm_wrappers_done(struct gm_wrappers *wrappers)
{
    free(wrappers->ids);
    *wrappers = (struct gm_wrappers){0};
}
