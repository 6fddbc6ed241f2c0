/* report_tree.c - the call tree by weight, from the roots or from the allocating functions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/call_tree.h"
#include "analyzer/core/estimate.h"
#include "analyzer/core/figures.h"
#include "analyzer/core/where.h"
#include "analyzer/report/show.h"

static void json_row_begin(
    struct json *j, const struct gm_call_row *row, const struct gm_call_tree *tree)
{
    json_put_object(j, NULL, false);
    json_put_text(j, "function", row->frame.function);
    json_put_text(j, "file", row->frame.file);
    if (row->frame.line)
        json_put_count(j, "line", row->frame.line);
    else
        json_put_null(j, "line");
    json_put_text(j, "module", row->frame.module);
    json_put_bool(j, "inlined", row->frame.inlined);
    json_put_count(j, "weight", row->weight);
    json_put_count(j, "self", row->self);
    json_put_real(
        j, "percent", tree->total ? 100.0 * (double)row->weight / (double)tree->total : 0);
    json_put_count(j, "hidden", row->hidden);
    json_put_count(j, "hidden_weight", row->hidden_weight);
    json_put_array(j, "children", false);
}

/* Rows stand depth first; each object stays open until a row of its depth or above comes. */
static void tree_json(struct report *r, const struct gm_call_tree *tree)
{
    struct json *j = &r->json;
    size_t open = 0;
    show_json_head(r, "tree");
    json_put_text(j, "weight", report_weight_names[r->options->weight]);
    json_put_bool(j, "bottom_up", r->options->bottom_up);
    json_put_count(j, "total", tree->total);
    json_put_count(j, "unstacked", tree->unstacked);
    json_put_count(j, "hidden", tree->hidden);
    json_put_count(j, "hidden_weight", tree->hidden_weight);
    json_put_array(j, "roots", false);
    for (size_t i = 0; i < tree->n; i++) {
        for (; open > tree->v[i].depth; open--) {
            json_put_close(j);
            json_put_close(j);
        }
        json_row_begin(j, &tree->v[i], tree);
        open++;
    }
    for (; open > 0; open--) {
        json_put_close(j);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
    json_end(j);
}

static char *weight_text(const struct report *r, uint64_t weight, char text[static GM_FIGURE_BYTES])
{
    return r->options->weight == WEIGHT_ALLOCATIONS ? show_count(r, text, weight)
                                                    : show_bytes(r, text, weight);
}

/* A chain of rows without branches is not indented: only a row with brothers moves its children
 * right. */
static void tree_indents(const struct gm_call_tree *tree, uint16_t *indents)
{
    uint16_t level[GM_CALL_MAX_DEPTH + 1] = {0};
    bool branches[GM_CALL_MAX_DEPTH + 1] = {false};
    for (size_t i = 0; i < tree->n; i++) {
        const struct gm_call_row *row = &tree->v[i];
        uint32_t d = row->depth;
        if (d == 0)
            level[0] = 0;
        else
            level[d] = (uint16_t)(level[d - 1] + (branches[d - 1] ? 1 : 0));
        indents[i] = level[d];
        /* does this row have more than one branch? */
        size_t children = row->hidden ? 1 : 0;
        for (size_t k = i + 1; k < tree->n && tree->v[k].depth > d && children < 2; k++)
            if (tree->v[k].depth == d + 1)
                children++;
        branches[d] = children > 1 || row->self || d == 0;
    }
}

/* Bytes have a bound; the counts of a branch have no margin of their own. */
static double tree_variance(const struct report *r, uint64_t weight)
{
    return r->options->weight == WEIGHT_ALLOCATIONS
               ? -1
               : gm_estimate_bytes_variance_bound(&r->run, weight);
}

static void tree_row(struct report *r, const struct gm_call_tree *tree, size_t i, unsigned indent)
{
    const struct gm_call_row *row = &tree->v[i];
    char weight[GM_FIGURE_BYTES], share[GM_FIGURE_BYTES], text[512];
    unsigned columns = indent > 25 ? 50 : indent * 2;
    out_printf(&r->out, "%11s %6s  ", weight_text(r, row->weight, weight),
        show_percent(r, share, (double)row->weight, (double)tree->total));
    show_margin(r, row->weight, tree_variance(r, row->weight), UINT64_MAX);
    out_printf(&r->out, "%*s", (int)columns, "");
    if (indent > 25)
        out_printf(&r->out, ">");
    out_cut(&r->out, gm_frame_text(&row->frame, text, sizeof text),
        OUT_COLUMNS - 20 - show_margin_columns(r) - columns - (indent > 25) -
            (row->frame.inlined ? 4 : 0));
    out_printf(&r->out, "%s\n", row->frame.inlined ? " (i)" : "");
}

static int tree_text(struct report *r, const struct gm_call_tree *tree, double min_percent)
{
    char title[96], weight[GM_FIGURE_BYTES];
    uint16_t *indents = calloc(tree->n + 1, sizeof *indents);
    snprintf(title, sizeof title, "call tree by %s, %s", report_weight_names[r->options->weight],
        r->options->bottom_up ? "allocating functions first" : "main first");
    int e = indents ? show_head(r, title) : -1;
    if (e < 0) {
        free(indents);
        return e;
    }
    tree_indents(tree, indents);
    out_styled(&r->out, OUT_BOLD, "\n%11s %6s  %s%s\n",
        r->options->weight == WEIGHT_ALLOCATIONS ? "ALLOCATIONS" : "BYTES", "%",
        show_margin_title(r), r->options->bottom_up ? "FUNCTION < CALLED BY" : "FUNCTION > CALLS");
    for (size_t i = 0; i < tree->n; i++)
        tree_row(r, tree, i, indents[i]);
    if (tree->unstacked)
        out_printf(&r->out, "%11s         [no stack]\n", weight_text(r, tree->unstacked, weight));
    if (tree->total == 0)
        out_printf(&r->out, "%11s         nothing to show\n", "0");
    out_printf(&r->out, "\n  %s in all; branches below %g%% are left out (--min-percent)\n",
        weight_text(r, tree->total, weight), min_percent);
    free(indents);
    return 0;
}

static int tree_build(
    struct report *r, const struct selection *s, double min_percent, struct gm_call_tree *ret_tree)
{
    size_t n = 0;
    double total = 0;
    struct gm_call_weight *weights = malloc((s->sites.n + 1) * sizeof *weights);
    if (!weights)
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        total += (double)selection_weight(s->list[i], r->options->weight);
        weights[n++] = (struct gm_call_weight){
            s->list[i]->sum.stack_id, selection_weight(s->list[i], r->options->weight)};
    }
    uint64_t least = (uint64_t)(total * min_percent / 100);
    int e = gm_call_tree_build(
        r->recording, &s->tree, weights, n, r->options->bottom_up, least, ret_tree);
    free(weights);
    return e;
}

int report_tree(struct report *report)
{
    struct selection s;
    struct gm_call_tree tree;
    double min_percent = report->options->min_percent < 0 ? 1 : report->options->min_percent;
    int e = selection_load(report, SELECT_TREE, report->options->weight, &s);
    if (e < 0)
        return e;
    e = tree_build(report, &s, min_percent, &tree);
    if (e == 0) {
        if (report->options->json)
            tree_json(report, &tree);
        else
            e = tree_text(report, &tree, min_percent);
        gm_call_tree_done(&tree);
    }
    selection_done(&s);
    return e;
}
