/* view_gc.c - what the program's collector does: collections and their pauses, generations, the last collections one by
 * one. */
#include "tui/view.h"

#include <stdio.h>

#include "tui/figures.h"
#include "tui/pager.h"

static const char *kind_name(unsigned kind)
{
    return kind == GM_GC_mostly_concurrent ? "concurrent"
           : gm_gc_kind_name(kind)         ? gm_gc_kind_name(kind)
                                           : "unknown";
}

static void gc_kind(struct pager *p, const struct gm_gc_of_kind *k, const char *name)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], c[GM_SHORT_BYTES], d[GM_SHORT_BYTES],
        e[GM_SHORT_BYTES], f[GM_SHORT_BYTES], text[128];
    snprintf(text, sizeof text, "%-12s %7s %8s %8s %8s %8s %8s", name,
        gm_short_count(a, (double)k->collections),
        gm_short_time(b, gm_pauses_percentile(&k->pauses, 50)),
        gm_short_time(c, gm_pauses_percentile(&k->pauses, 99)),
        gm_short_time(d, gm_pauses_percentile(&k->pauses, 100)), gm_short_time(e, k->pauses.sum_ns),
        gm_short_time(f, k->figures[GM_CYCLE_cpu_ns]));
    pager_text(p, 1, GM_STYLE_NORMAL, text);
}

static void gc_kinds(struct pager *p, const struct gm_gc *gc)
{
    unsigned kinds = 0;
    pager_text(
        p, 1, GM_STYLE_BOLD, "COLLECTIONS    COUNT  HALF <=   99% <=  LONGEST   PAUSED      CPU");
    for (unsigned kind = 1; kind < GM_GC_KINDS_ROOM; kind++) {
        if (!gc->kinds[kind].collections)
            continue;
        gc_kind(p, &gc->kinds[kind], kind_name(kind));
        kinds++;
    }
    if (kinds != 1)
        gc_kind(p, &gc->kinds[0], "all");
}

static void gc_generation(struct pager *p, const struct gm_gc_generation *g, bool old)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], c[GM_SHORT_BYTES], d[GM_SHORT_BYTES],
        e[GM_SHORT_BYTES], f[GM_SHORT_BYTES], text[128];
    double rate = g->born.blocks ? (double)g->promoted.blocks / (double)g->born.blocks : -1;
    snprintf(text, sizeof text, "%-12s %7s %8s %8s %8s %8s %8s", old ? "old" : "young",
        gm_short_count(a, (double)g->live.bytes), gm_short_count(b, (double)g->born.blocks),
        gm_short_count(c, (double)g->died.blocks), gm_short_count(d, (double)g->freed.blocks),
        old ? "" : gm_short_count(e, (double)g->promoted.blocks),
        old ? "" : gm_short_percent(f, rate));
    pager_text(p, 1, GM_STYLE_NORMAL, text);
}

static void gc_generations(struct pager *p, const struct gm_gc_generation *g)
{
    char a[GM_SHORT_BYTES], b[GM_SHORT_BYTES], c[GM_SHORT_BYTES], text[160];
    pager_text(p, 1, GM_STYLE_NORMAL, "");
    pager_text(
        p, 1, GM_STYLE_BOLD, "GENERATIONS     LIVE     BORN     DEAD    FREED PROMOTED     RATE");
    gc_generation(p, &g[0], false);
    gc_generation(p, &g[1], true);
    if (!g[0].promoted.blocks)
        return;
    snprintf(text, sizeof text, "promoted in vain %s (%s), of these by nepotism at most %s",
        gm_short_count(a, (double)g[1].premature.blocks),
        gm_short_percent(b, (double)g[1].premature.blocks / (double)g[0].promoted.blocks),
        gm_short_count(c, (double)g[1].nepotism.blocks));
    pager_text(p, 1, GM_STYLE_NORMAL, text);
}

/* A bar of the pause beside the longest of those listed. */
static void gc_bar(struct pager *p, int x, int y, uint64_t pause, uint64_t most)
{
    int w = p->grid->w - x - 1 < 30 ? p->grid->w - x - 1 : 30;
    int filled = most && w > 0 ? (int)((double)w * (double)pause / (double)most + 0.5) : 0;
    if (filled > 0)
        gm_grid_fill(p->grid, x, y, x + filled, GM_STYLE_GOOD, p->grid->unicode ? 0x2588 : '#');
}

static uint64_t cycle_pause(const struct gm_gc_cycle *c)
{
    return c->figures[GM_CYCLE_max_pause_ns];
}

static void gc_cycle(struct pager *p, const struct gm_gc_cycle *c, uint64_t most)
{
    char at[GM_SHORT_BYTES], pause[GM_SHORT_BYTES], before[GM_SHORT_BYTES], after[GM_SHORT_BYTES],
        promoted[GM_SHORT_BYTES], text[128];
    const uint64_t *f = c->figures;
    int y;
    snprintf(text, sizeof text, "%s %-10s %-10s %7s %6s %6s %8s ", gm_short_clock(at, c->end_ns),
        kind_name(c->kind), gm_gc_trigger_name(c->trigger) ? gm_gc_trigger_name(c->trigger) : "",
        gm_short_time(pause, cycle_pause(c)),
        gm_short_count(
            before, (double)f[GM_CYCLE_young_before_bytes] + (double)f[GM_CYCLE_old_before_bytes]),
        gm_short_count(
            after, (double)f[GM_CYCLE_young_after_bytes] + (double)f[GM_CYCLE_old_after_bytes]),
        gm_short_count(promoted, (double)f[GM_CYCLE_promoted_bytes]));
    if (!pager_next(p, &y))
        return;
    int x = gm_grid_text(p->grid, 1, y, p->grid->w, GM_STYLE_NORMAL, text);
    gc_bar(p, x, y, cycle_pause(c), most);
}

static void gc_recent(struct pager *p, const struct gm_gc *gc)
{
    const struct gm_gc_cycle *c;
    uint64_t most = 0;
    for (size_t i = 0; (c = gm_gc_recent(gc, i)); i++)
        most = cycle_pause(c) > most ? cycle_pause(c) : most;
    pager_text(p, 1, GM_STYLE_NORMAL, "");
    pager_text(
        p, 1, GM_STYLE_BOLD, "LAST     KIND       CAUSE        PAUSE BEFORE  AFTER PROMOTED");
    for (size_t i = 0; (c = gm_gc_recent(gc, i)); i++)
        gc_cycle(p, c, most);
}

static void gc_all(struct pager *p, const struct gm_model *model)
{
    const struct gm_live_picture *pic = model->picture;
    if (!pic->gc->kinds[0].collections && !pic->gc_blocks[0].born.blocks &&
        !pic->gc_blocks[1].born.blocks) {
        pager_text(p, 1, GM_STYLE_DIM,
            "no collection yet: a program has collections where it uses libgeomem");
        return;
    }
    gc_kinds(p, pic->gc);
    gc_generations(p, pic->gc_blocks);
    gc_recent(p, pic->gc);
}

int gm_view_gc_lines(const struct gm_model *model)
{
    struct pager p = {0};
    gc_all(&p, model);
    return p.line;
}

void gm_view_gc(
    struct gm_grid *grid, const struct gm_model *model, const struct gm_ui *ui, int y, int h)
{
    char text[64], a[GM_SHORT_BYTES];
    const struct gm_gc_cycle *last = gm_gc_recent(model->picture->gc, 0);
    struct pager p = {.grid = grid, .first = ui->scroll, .y = y + 1, .h = h - 1};
    *text = 0;
    if (last)
        snprintf(text, sizeof text, "footprint %s",
            gm_short_count(a, (double)last->figures[GM_CYCLE_footprint_bytes]));
    gm_view_bar(grid, y, "collector", text);
    gc_all(&p, model);
}
