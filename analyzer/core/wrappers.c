/* wrappers.c - see wrappers.h. */
#include "analyzer/core/wrappers.h"

#include <stdlib.h>

#include "analyzer/core/query.h"
#include "analyzer/core/where.h"

/* The innermost frames of one site: a nameless leaf, its caller, and that one's. */
struct chain {
    uint32_t frame[3];
};

static int chains_load(struct gm_recording *rec, struct chain **ret_v, size_t *ret_n)
{
    struct gm_query q;
    struct chain *v = NULL;
    size_t n = 0;
    gm_query_open(rec, &q,
        "SELECT a.frame_id, b.frame_id, c.frame_id FROM site s JOIN stack a ON a.stack_id = "
        "s.stack_id"
        " JOIN stack b ON b.stack_id = a.parent_id LEFT JOIN stack c ON c.stack_id = b.parent_id"
        " WHERE NOT EXISTS (SELECT 1 FROM frame_line l"
        " WHERE l.frame_id = a.frame_id AND l.function_id IS NOT NULL)");
    while (gm_query_next(&q)) {
        if ((n & (n - 1)) == 0) {
            struct chain *grown = realloc(v, (n ? n * 2 : 1) * sizeof *grown);
            if (!grown) {
                q.error = gm_recording_fail(rec, SQLITE_NOMEM);
                break;
            }
            v = grown;
        }
        v[n++] = (struct chain){{gm_query_id(&q, 0), gm_query_id(&q, 1), gm_query_id(&q, 2)}};
    }
    int r = gm_query_close(&q);
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
