/* show_cache_parts.c - the uses of a cache by class and by call site, and pins that were not given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/figures.h"
#include "analyzer/report/show.h"
#include "analyzer/report/show_caches.h"

size_t show_cache_rows(const struct report *r, size_t usual, size_t n)
{
    return r->options->all || n < usual ? n : usual;
}

static void text_classes(
    struct report *r, const struct gm_cache *c, const struct gm_cache_parts *parts)
{
    size_t rows = show_cache_rows(r, 8, parts->n);
    if (!parts->n || (parts->n == 1 && parts->v[0].id == 0))
        return;
    out_styled(&r->out, OUT_BOLD, "\n  %-16s %13s %8s %13s %13s\n", "CLASS", "USES", "HITS",
        "MISSES", "PREMATURE");
    for (size_t i = 0; i < rows; i++) {
        const struct gm_cache_part *p = &parts->v[i];
        char a[32], b[32], d[32], f[32], name[16];
        double uses = (double)p->hits + (double)p->misses;
        out_printf(&r->out, "  ");
        out_padded(&r->out, gm_cache_class_text(p, name), 16);
        out_printf(&r->out, " %13s %8s %13s %13s\n", show_cache_count(c, a, p->hits + p->misses),
            show_cache_ratio(c, b, uses > 0 ? (double)p->hits / uses : -1),
            show_cache_count(c, d, p->misses), show_cache_count(c, f, p->premature_misses));
    }
    if (rows < parts->n)
        out_printf(&r->out, "  %zu more (--all lists them)\n", parts->n - rows);
}

/* Stacks that meet the cache at the same place of the program are one line. */
struct site_line {
    char where[256];
    uint64_t hits, misses;
};
#define SITES_MERGED \
    64u /* stacks that are looked at, most used first; the others are only counted */

static int site_line_compare(const void *a, const void *b)
{
    const struct site_line *x = a, *y = b;
    uint64_t uses[] = {x->hits + x->misses, y->hits + y->misses};
    return uses[0] != uses[1] ? (uses[0] < uses[1] ? 1 : -1) : strcmp(x->where, y->where);
}

/* At most SITES_MERGED lines. Returns how many, or a negative errno. */
static int site_lines_load(
    struct report *r, const struct gm_cache_parts *parts, struct site_line *lines)
{
    int n = 0;
    for (size_t i = 0; i < parts->n && i < SITES_MERGED; i++) {
        struct site_line *line = &lines[n];
        int e = show_where(r, parts->v[i].id, line->where, sizeof line->where), k = 0;
        if (e < 0)
            return e;
        while (strcmp(lines[k].where, line->where) != 0)
            k++;
        if (k == n)
            line->hits = line->misses = 0;
        n += k == n;
        lines[k].hits += parts->v[i].hits;
        lines[k].misses += parts->v[i].misses;
    }
    qsort(lines, (size_t)n, sizeof *lines, site_line_compare);
    return n;
}

static int text_sites(
    struct report *r, const struct gm_cache *c, const struct gm_cache_parts *parts)
{
    struct site_line lines[SITES_MERGED];
    if (!parts->n || (parts->n == 1 && parts->v[0].id == 0))
        return 0;
    int n = site_lines_load(r, parts, lines);
    if (n < 0)
        return n;
    size_t rows = show_cache_rows(r, 5, (size_t)n);
    out_styled(&r->out, OUT_BOLD, "\n  %13s %8s %13s  %s\n", "USES", "HITS", "MISSES", "CALLED BY");
    for (size_t i = 0; i < rows; i++) {
        const struct site_line *line = &lines[i];
        char a[32], b[32], d[32];
        double uses = (double)line->hits + (double)line->misses;
        out_printf(&r->out, "  %13s %8s %13s  ", show_cache_count(c, a, line->hits + line->misses),
            show_cache_ratio(c, b, uses > 0 ? (double)line->hits / uses : -1),
            show_cache_count(c, d, line->misses));
        out_cut(&r->out, line->where, OUT_COLUMNS - 40);
        out_printf(&r->out, "\n");
    }
    if (rows < (size_t)n)
        out_printf(&r->out, "  %13zu more (--all lists them)\n", (size_t)n - rows);
    else if (parts->n > SITES_MERGED)
        out_printf(
            &r->out, "  and %zu more stacks, which the JSON lists\n", parts->n - SITES_MERGED);
    return 0;
}

/* Leaked pins by the place that took them, with the first of its stacks. */
struct pin_line {
    char where[256];
    uint32_t stack_id;
    uint64_t pins, bytes;
    int64_t oldest_ns;
};

static void pin_line_add(struct pin_line *line, const struct gm_cache_part *p)
{
    if (!line->pins)
        line->stack_id = p->id;
    line->oldest_ns =
        line->pins && line->oldest_ns < p->oldest_pin_ns ? line->oldest_ns : p->oldest_pin_ns;
    line->pins += p->open_pins;
    line->bytes += p->open_pin_bytes;
}

static int pin_lines_load(
    struct report *r, const struct gm_cache_parts *sites, struct pin_line *lines, int most)
{
    int n = 0;
    for (size_t i = 0; i < sites->n; i++) {
        char where[256];
        int e, k = 0;
        if (!sites->v[i].open_pins)
            continue;
        e = show_where(r, sites->v[i].id, where, sizeof where);
        if (e < 0)
            return e;
        while (k < n && strcmp(lines[k].where, where) != 0)
            k++;
        if (k == most)
            continue;
        if (k == n) {
            lines[n] = (struct pin_line){0};
            memcpy(lines[n++].where, where, sizeof where);
        }
        pin_line_add(&lines[k], &sites->v[i]);
    }
    return n;
}

#define PINS_SHOWN 3

static int text_pins(
    struct report *r, const struct gm_cache_view *s, const struct gm_cache_parts *sites)
{
    struct pin_line lines[PINS_SHOWN];
    int n = s->leaked ? pin_lines_load(r, sites, lines, PINS_SHOWN) : 0, e = 0;
    if (n > 0)
        out_styled(&r->out, OUT_BOLD, "\n  PINS NOT GIVEN BACK\n");
    for (int i = 0; e == 0 && i < n; i++) {
        const struct pin_line *line = &lines[i];
        struct gm_stack stack;
        char count[32], bytes[GM_FIGURE_BYTES], moment[32];
        e = gm_stack_load(r->recording, line->stack_id, &stack);
        if (e < 0)
            break;
        out_printf(&r->out, "  %s pin%s of %s together, the oldest taken at %s\n",
            show_cache_count(&s->cache, count, line->pins), gm_figure_plural(line->pins),
            gm_figure_bytes(bytes, line->bytes), show_moment(line->oldest_ns, moment));
        show_stack(r, &stack, 12);
        gm_stack_done(&stack);
    }
    return n < 0 ? n : e;
}

int show_cache_parts(struct report *r, const struct gm_cache_view *s)
{
    struct gm_cache_parts classes = {0}, sites = {0};
    int e = gm_cache_classes_load(r->recording, s->cache.cache_id, &classes);
    if (e == 0)
        e = gm_cache_sites_load(r->recording, s->cache.cache_id, &sites);
    if (e == 0) {
        text_classes(r, &s->cache, &classes);
        e = text_sites(r, &s->cache, &sites);
    }
    if (e == 0)
        e = text_pins(r, s, &sites);
    gm_cache_parts_done(&classes);
    gm_cache_parts_done(&sites);
    return e;
}
