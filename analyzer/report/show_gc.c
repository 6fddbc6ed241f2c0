/* show_gc.c - see show_gc.h. */
#include "analyzer/report/show_gc.h"

#include <stdio.h>

#include "analyzer/core/figures.h"
#include "analyzer/report/show.h"

static void generation_row(struct report *r, const struct gm_gc_generation *g, bool old)
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES], d[GM_FIGURE_BYTES],
        e[GM_FIGURE_BYTES], f[GM_FIGURE_BYTES];
    out_printf(&r->out, "  %-8s %12s %12s %11s %12s %7s %12s\n", old ? "old" : "young",
        show_count(r, a, g->born.blocks), show_count(r, b, g->died.blocks),
        show_count(r, c, g->freed.blocks), old ? "-" : show_count(r, d, g->promoted.blocks),
        old ? "-" : show_percent(r, e, (double)g->promoted.blocks, (double)g->born.blocks),
        show_count(r, f, g->live.blocks));
}

void show_gc_generations(struct report *r, const struct gm_gc_generation g[static 2])
{
    char a[GM_FIGURE_BYTES], b[GM_FIGURE_BYTES], c[GM_FIGURE_BYTES];
    const struct gm_gc_sum *promoted = &g[0].promoted, *premature = &g[1].premature;
    out_styled(&r->out, OUT_BOLD, "  %-8s %12s %12s %11s %12s %7s %12s\n", "", "ALLOCATED",
        "FOUND DEAD", "FREED", "PROMOTED", "RATE", "LIVE BLOCKS");
    generation_row(r, &g[0], false);
    generation_row(r, &g[1], true);
    if (promoted->blocks)
        out_printf(&r->out,
            "  promoted %s; dead by the next full collection: %s (%s of the blocks)\n",
            show_bytes(r, a, promoted->bytes), show_bytes(r, b, premature->bytes),
            show_percent(r, c, (double)premature->blocks, (double)promoted->blocks));
    if (g[1].nepotism.blocks)
        out_printf(&r->out,
            "  of these at most %s (%s) were kept by old blocks that were dead too\n",
            show_count(r, a, g[1].nepotism.blocks), show_bytes(r, b, g[1].nepotism.bytes));
}

void show_json_gc_sum(struct json *j, const char *key, const struct gm_gc_sum *sum)
{
    char name[64];
    snprintf(name, sizeof name, "%s_blocks", key);
    json_put_count(j, name, sum->blocks);
    snprintf(name, sizeof name, "%s_bytes", key);
    json_put_count(j, name, sum->bytes);
}

void show_json_gc_generations(struct json *j, const struct gm_gc_generation g[static 2])
{
    json_put_array(j, "gc_generations", false);
    for (int i = 0; i < 2; i++) {
        json_put_object(j, NULL, true);
        json_put_text(j, "generation", i ? "old" : "young");
        show_json_gc_sum(j, "born", &g[i].born);
        show_json_gc_sum(j, "died", &g[i].died);
        show_json_gc_sum(j, "freed", &g[i].freed);
        show_json_gc_sum(j, "promoted", &g[i].promoted);
        show_json_gc_sum(j, "premature", &g[i].premature);
        show_json_gc_sum(j, "nepotism_at_most", &g[i].nepotism);
        show_json_gc_sum(j, "live", &g[i].live);
        json_put_close(j);
    }
    json_put_close(j);
}
