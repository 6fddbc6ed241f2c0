/* show_caches.c - see show_caches.h. */
#include "analyzer/report/show_caches.h"

#include <stdio.h>

#include "analyzer/core/figures.h"
#include "analyzer/report/show.h"

char *show_ratio(char text[static 32], double ratio)
{
    if (ratio < 0)
        snprintf(text, 32, "-");
    else
        snprintf(text, 32, "%.1f%%", ratio * 100);
    return text;
}

void show_json_ratio(struct json *j, const char *key, double ratio)
{
    if (ratio < 0)
        json_put_null(j, key);
    else
        json_put_real(j, key, ratio);
}

char *show_cache_count(const struct gm_cache *cache, char text[static 32], uint64_t count)
{
    char figure[GM_FIGURE_BYTES];
    gm_figure_count(figure, count);
    snprintf(text, 32, "%s%.30s", gm_cache_is_estimated(cache) ? (const char[]){OUT_ABOUT, 0} : "",
        figure);
    return text;
}

char *show_cache_ratio(const struct gm_cache *cache, char text[static 32], double ratio)
{
    char figure[32];
    show_ratio(figure, ratio);
    snprintf(text, 32, "%s%.30s",
        ratio >= 0 && gm_cache_is_estimated(cache) ? (const char[]){OUT_ABOUT, 0} : "", figure);
    return text;
}

char *show_cache_verdict(const struct gm_cache_view *view, char text[static 48])
{
    const struct gm_cache_advice *a = &view->advice;
    char bytes[GM_FIGURE_BYTES];
    switch (a->verdict) {
    case GM_CACHE_UNKNOWN:
        snprintf(text, 48, "-");
        break;
    case GM_CACHE_PINS:
        snprintf(text, 48, "PINS not returned");
        break;
    case GM_CACHE_NO_REUSE:
        snprintf(text, 48, "NO REUSE of keys");
        break;
    case GM_CACHE_GROW:
        snprintf(text, 48, "GROW to %s", gm_figure_bytes(bytes, a->then.capacity_bytes));
        break;
    case GM_CACHE_SHRINK:
        snprintf(text, 48, "SHRINK to %s", gm_figure_bytes(bytes, a->then.capacity_bytes));
        break;
    case GM_CACHE_FINE:
        snprintf(text, 48, "FINE");
        break;
    }
    return text;
}

static void caches_row(struct report *r, const struct gm_cache_view *s, size_t i)
{
    char a[GM_FIGURE_BYTES], b[32], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES], e[GM_FIGURE_BYTES],
        verdict[48];
    const struct gm_cache *cache = &s->cache;
    out_printf(&r->out, "%4zu  ", i + 1);
    out_padded(&r->out, cache->name, 18);
    out_printf(&r->out, " %7s %7s %9s %9s %7s  ", gm_figure_short(a, cache->hits + cache->misses),
        show_ratio(b, gm_cache_hit_ratio(cache)), gm_figure_bytes(c, cache->capacity_bytes),
        gm_figure_bytes(d, cache->used_bytes), gm_figure_short(e, cache->evictions[0]));
    out_cut(&r->out, show_cache_verdict(s, verdict), OUT_COLUMNS - 70);
    out_printf(&r->out, "\n");
}

void show_caches_table(struct report *report, const struct gm_cache_views *views, size_t usual)
{
    size_t rows = show_rows(report, usual, views->n);
    out_styled(&report->out, OUT_BOLD, "\n%4s  %-18s %7s %7s %9s %9s %7s  %s\n", "", "CACHES",
        "USES", "HITS", "CAPACITY", "USED", "LEFT", "VERDICT");
    for (size_t i = 0; i < rows; i++)
        caches_row(report, &views->v[i], i);
    if (rows < views->n)
        out_printf(&report->out, "      %zu more (--all lists them)\n", views->n - rows);
}
