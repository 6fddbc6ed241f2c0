/* view_caches.c - what the program's caches do: each in a line, then one by one what other capacities would give, its hits
 * of late, and pins that were not given back. */
#include "tui/view.h"

#include <stdio.h>
#include <string.h>

#include "tui/figures.h"
#include "tui/pager.h"

/* ---- all of them ---- */

static const char *verdict_text(const struct gm_cache_view *v, char out[static 32])
{
    char bytes[GM_SHORT_BYTES];
    switch (v->advice.verdict) {
    case GM_CACHE_UNKNOWN:
        return "-";
    case GM_CACHE_PINS:
        return "PINS not returned";
    case GM_CACHE_NO_REUSE:
        return "NO REUSE of keys";
    case GM_CACHE_GROW:
    case GM_CACHE_SHRINK:
        snprintf(out, 32, "%s to %s", v->advice.verdict == GM_CACHE_GROW ? "GROW" : "SHRINK",
            gm_short_count(bytes, (double)v->advice.then.capacity_bytes));
        return out;
    case GM_CACHE_FINE:
        return "FINE";
    }
    return "";
}

static enum gm_style verdict_style(const struct gm_cache_view *v)
{
    switch (v->advice.verdict) {
    case GM_CACHE_PINS:
        return GM_STYLE_BAD;
    case GM_CACHE_NO_REUSE:
    case GM_CACHE_GROW:
        return GM_STYLE_WARN;
    case GM_CACHE_FINE:
        return GM_STYLE_GOOD;
    case GM_CACHE_UNKNOWN:
    case GM_CACHE_SHRINK:
        break;
    }
    return GM_STYLE_NORMAL;
}

#define NAME_COLUMNS 16
#define VERDICT_COLUMNS 18

static void caches_line(struct pager *p, const struct gm_cache_view *v)
{
    char uses[GM_SHORT_BYTES], hits[GM_SHORT_BYTES], capacity[GM_SHORT_BYTES], used[GM_SHORT_BYTES],
        left[GM_SHORT_BYTES], pinned[GM_SHORT_BYTES], verdict[32], text[128];
    const struct gm_cache *c = &v->cache;
    int x = NAME_COLUMNS + 1, y;
    if (!pager_next(p, &y))
        return;
    gm_grid_text_cut(p->grid, 1, y, x, GM_STYLE_BOLD, c->name);
    snprintf(text, sizeof text, " %6s %6s  ",
        gm_short_count(uses, (double)c->hits + (double)c->misses),
        gm_short_percent(hits, gm_cache_hit_ratio(c)));
    x = gm_grid_text(p->grid, x, y, p->grid->w, GM_STYLE_NORMAL, text);
    gm_grid_text_cut(p->grid, x, y, p->grid->w, verdict_style(v), verdict_text(v, verdict));
    snprintf(text, sizeof text, "%6s %6s %6s %6s",
        gm_short_count(capacity, (double)c->capacity_bytes),
        gm_short_count(used, (double)c->used_bytes), gm_short_count(left, (double)c->evictions[0]),
        gm_short_count(pinned, (double)c->pinned_bytes));
    gm_grid_text_cut(p->grid, x + VERDICT_COLUMNS, y, p->grid->w, GM_STYLE_NORMAL, text);
}

static void caches_table(struct pager *p, const struct gm_cache_views *views)
{
    pager_text(p, 1, GM_STYLE_BOLD,
        "CACHE              USES   HITS  VERDICT              CAP   USED   LEFT PINNED");
    for (size_t i = 0; i < views->n; i++)
        caches_line(p, &views->v[i]);
}

/* ---- one of them ---- */

/* "if it had  1/4  half  now ..." over what it would give. */
static void cache_curve(struct pager *p, const struct gm_cache_view *v)
{
    static const struct {
        const char *name;
        double factor;
    } steps[] = {
        {"1/4", 0.25}, {"half", 0.5}, {"now", 1}, {"double", 2}, {"4 times", 4}, {"8 times", 8}};
    char head[128] = "if it had ", line[128] = "hits ~    ", text[32], ratio[GM_SHORT_BYTES];
    double error = 0;
    bool any = false;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct gm_cache_point at;
        double bytes = (double)v->cache.capacity_bytes * steps[i].factor;
        bool known = bytes < 9e18 && gm_cache_curve_at(&v->curve, (uint64_t)bytes, &at);
        any |= known;
        error = known && at.error > error ? at.error : error;
        snprintf(text, sizeof text, "%9s", steps[i].name);
        strcat(head, text);
        snprintf(text, sizeof text, "%9s", gm_short_percent(ratio, known ? at.hit_ratio : -1));
        strcat(line, text);
    }
    if (!any)
        return;
    snprintf(text, sizeof text, "   +-%.1f", gm_cache_points(error));
    strcat(line, text);
    pager_text(p, 3, GM_STYLE_DIM, head);
    pager_text(p, 3, GM_STYLE_NORMAL, line);
}

static void cache_advice(struct pager *p, const struct gm_cache_view *v)
{
    char text[160], bytes[GM_SHORT_BYTES], now[GM_SHORT_BYTES], then[GM_SHORT_BYTES];
    const struct gm_cache_advice *a = &v->advice;
    if (a->verdict != GM_CACHE_GROW && a->verdict != GM_CACHE_SHRINK)
        return;
    snprintf(text, sizeof text, "%s would give ~%s hits instead of %s%s",
        gm_short_count(bytes, (double)a->then.capacity_bytes),
        gm_short_percent(then, a->then.hit_ratio), gm_short_percent(now, a->now.hit_ratio),
        a->verdict == GM_CACHE_SHRINK ? ""
        : a->enough                   ? "; more would not matter"
                                      : "; even more gives more");
    pager_text(p, 3, GM_STYLE_NORMAL, text);
}

static void cache_figures(struct pager *p, const struct gm_cache *c)
{
    char text[200], a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], d[GM_SHORT_BYTES];
    const char *about = gm_short_about(gm_cache_is_estimated(c));
    if (c->sample_misses || c->sample_left) {
        snprintf(text, sizeof text,
            "premature %s%s of the misses, one-hit wonders %s%s, best +%s%s", about,
            gm_short_percent(a, gm_cache_premature_ratio(c)), about,
            gm_short_percent(b, gm_cache_one_hit_ratio(c)), about,
            gm_short_percent(d, gm_cache_belady_distance(c)));
        pager_text(p, 3, GM_STYLE_NORMAL, text);
    }
    if (gm_cache_miss_cost_ns(c) >= 0) {
        snprintf(text, sizeof text, "a miss takes %s (%s)",
            gm_short_time(a, (uint64_t)gm_cache_miss_cost_ns(c)), gm_cache_miss_cost_source(c));
        pager_text(p, 3, GM_STYLE_NORMAL, text);
    }
}

/* Hits of the last intervals, a column each, the newest at the right. */
static void cache_recent(
    struct pager *p, const struct gm_cache_slices *recent, enum gm_chart_symbols symbols)
{
    uint64_t columns[GM_LIVE_CACHE_RECENT] = {0};
    char text[64], a[GM_SHORT_BYTES];
    double last = -1;
    size_t n = 0;
    int y;
    for (size_t i = 0; i < recent->n && n < sizeof columns / sizeof *columns; i++) {
        const struct gm_cache_slice *s = &recent->v[i];
        if (!(s->hits + s->misses))
            continue;
        last = (double)s->hits / ((double)s->hits + (double)s->misses);
        columns[n++] = (uint64_t)(last * 1000) + 1;
    }
    if (!n || !pager_next(p, &y))
        return;
    int per_cell = gm_chart_columns(symbols), cells = ((int)n + per_cell - 1) / per_cell;
    snprintf(text, sizeof text, "hits of late %6s  ", gm_short_percent(a, last));
    int x = gm_grid_text(p->grid, 3, y, p->grid->w, GM_STYLE_NORMAL, text);
    int room = p->grid->w - x - 1;
    size_t skip = cells > room ? (size_t)((cells - room) * per_cell) : 0;
    if (room > 0)
        gm_chart_draw(p->grid, x, y, cells > room ? room : cells, 1, symbols, columns + skip, 1001);
}

static void cache_pins(struct pager *p, const struct gm_cache_view *v, const char *where)
{
    char text[200], n[GM_SHORT_BYTES], age[GM_SHORT_BYTES];
    if (!v->leaked)
        return;
    snprintf(text, sizeof text, "%s value%s handed out and not given back, the oldest for %s",
        gm_short_count(n, (double)v->leaked), v->leaked == 1 ? "" : "s",
        gm_short_age(age, v->pins.v[0].age_ns));
    pager_text(p, 3, GM_STYLE_BAD, text);
    snprintf(text, sizeof text, "by %.190s", where);
    pager_text(p, 5, GM_STYLE_NORMAL, text);
}

static void cache_one(struct pager *p, const struct gm_cache_view *v,
    const struct gm_live_cache *more, enum gm_chart_symbols symbols)
{
    char text[200], a[GM_SHORT_BYTES], b[GM_SHORT_BYTES];
    const struct gm_cache *c = &v->cache;
    pager_text(p, 1, GM_STYLE_NORMAL, "");
    snprintf(text, sizeof text, "%.100s  %s, %s in %s entr%s%s", c->name, c->policy,
        gm_short_count(a, (double)c->used_bytes), gm_short_count(b, (double)c->entries),
        c->entries == 1 ? "y" : "ies", c->closed_ns >= 0 ? ", closed" : "");
    pager_text(p, 1, GM_STYLE_BOLD, text);
    cache_recent(p, &more->recent, symbols);
    cache_advice(p, v);
    cache_curve(p, v);
    cache_figures(p, c);
    cache_pins(p, v, more->pin_where);
}

static void caches_all(struct pager *p, const struct gm_model *model, enum gm_chart_symbols symbols)
{
    const struct gm_live_caches *caches = model->picture->caches;
    if (!caches->views.n) {
        pager_text(p, 1, GM_STYLE_DIM,
            "no cache yet: a program has caches where it uses libgeomem's, or tells of its own");
        return;
    }
    caches_table(p, &caches->views);
    for (size_t i = 0; i < caches->views.n && i < GM_LIVE_CACHES_MOST; i++)
        cache_one(p, &caches->views.v[i], &caches->v[i], symbols);
}

int gm_view_caches_lines(const struct gm_model *model)
{
    struct pager p = {0};
    caches_all(&p, model, GM_CHART_ASCII);
    return p.line;
}

void gm_view_caches(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y, int h)
{
    char text[64], a[GM_SHORT_BYTES];
    const struct gm_cache_views *views = &model->picture->caches->views;
    struct pager p = {.grid = grid, .first = ui->scroll, .y = y + 1, .h = h - 1};
    double used = 0;
    for (size_t i = 0; i < views->n; i++)
        used += (double)views->v[i].cache.used_bytes;
    *text = 0;
    if (views->n)
        snprintf(text, sizeof text, "hold %s", gm_short_count(a, used));
    gm_view_bar(grid, y, "caches", text);
    caches_all(&p, model, ui->symbols);
}
