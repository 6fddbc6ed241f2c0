/* report_flame.c - folded stacks: one line per stack, "main;parse;new_node 4096", for flame graph
 * tools.
 *
 * The outermost function comes first; inlined functions are frames of their own. Readers split at
 * ';' and take what follows the last space as the weight, so a ';' inside of a name is written as
 * \x3b. With --json the same stacks as lists of names.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/core/stacks.h"
#include "analyzer/report/show.h"

static void flame_name(FILE *file, const char *name)
{
    for (; *name; name++) {
        if (*name == ';')
            fputs("\\x3b", file);
        else
            putc(*name, file);
    }
}

/* Nodes of one stack, innermost first; returns their number. */
static uint32_t flame_path(const struct gm_stack_tree *tree, uint32_t stack_id, uint32_t *path)
{
    uint32_t n = 0;
    for (uint32_t i = gm_stack_tree_find(tree, stack_id);
         i != GM_NODE_NONE && n < GM_STACK_MAX_NODES; i = tree->v[i].parent)
        path[n++] = i;
    return n;
}

static int flame_line(struct report *r, const struct gm_stack_tree *tree, FILE *file,
    const struct gm_site_group *g, uint64_t weight)
{
    uint32_t path[GM_STACK_MAX_NODES], n = flame_path(tree, g->sum.stack_id, path);
    if (n == 0)
        fputs("[no stack]", file);
    for (uint32_t i = n; i-- > 0;) {
        const struct gm_frame *v = NULL;
        size_t count = 0;
        int e = gm_frame_load(r->recording, tree->v[path[i]].frame_id, &v, &count);
        if (e < 0)
            return e;
        for (size_t k = count; k-- > 0;) {
            flame_name(file, v[k].function);
            if (i > 0 || k > 0)
                putc(';', file);
        }
    }
    fprintf(file, " %" PRIu64 "\n", weight);
    return 0;
}

static int flame_json_stack(struct report *r, const struct gm_stack_tree *tree,
    const struct gm_site_group *g, uint64_t weight)
{
    uint32_t path[GM_STACK_MAX_NODES], n = flame_path(tree, g->sum.stack_id, path);
    struct json *j = &r->json;
    json_put_object(j, NULL, true);
    json_put_count(j, "weight", weight);
    json_put_array(j, "frames", true);
    int e = 0;
    for (uint32_t i = n; i-- > 0 && e == 0;) {
        const struct gm_frame *v = NULL;
        size_t count = 0;
        e = gm_frame_load(r->recording, tree->v[path[i]].frame_id, &v, &count);
        for (size_t k = e < 0 ? 0 : count; k-- > 0;)
            json_put_text(j, NULL, v[k].function);
    }
    json_put_close(j);
    json_put_close(j);
    return e;
}

static int flame_json(struct report *r, const struct selection *s)
{
    int e = 0;
    uint64_t total = 0;
    show_json_head(r, "flame");
    json_put_text(&r->json, "weight", report_weight_names[r->options->weight]);
    json_put_array(&r->json, "stacks", false);
    for (size_t i = 0; e == 0 && i < s->n; i++) {
        uint64_t weight = selection_weight(s->list[i], r->options->weight);
        total += weight;
        if (weight)
            e = flame_json_stack(r, &s->tree, s->list[i], weight);
    }
    json_put_close(&r->json);
    json_put_count(&r->json, "total", total);
    json_put_close(&r->json);
    json_end(&r->json);
    return e;
}

static int flame_open(struct report *r, FILE **ret_file)
{
    const char *path = r->options->output;
    if (!path || strcmp(path, "-") == 0) {
        *ret_file = r->out.file;
        return REPORT_DONE;
    }
    int fd =
        open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (r->options->force ? O_TRUNC : O_EXCL), 0666);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return report_fail(REPORT_USAGE, "%s: %s%s", path, strerror(errno),
            errno == EEXIST ? "; -f overwrites it" : "");
    *ret_file = file;
    return REPORT_DONE;
}

static int flame_write(struct report *r, const struct selection *s, FILE *file)
{
    int e = 0;
    for (size_t i = 0; e == 0 && i < s->n; i++) {
        uint64_t weight = selection_weight(s->list[i], r->options->weight);
        if (weight)
            e = flame_line(r, &s->tree, file, s->list[i], weight);
    }
    return e;
}

int report_flame(struct report *report)
{
    struct selection s;
    FILE *file = NULL;
    int e = flame_open(report, &file);
    if (e != REPORT_DONE)
        return e;
    e = selection_load(report, SELECT_TREE, report->options->weight, &s);
    if (e == 0) {
        selection_sort(&s, GM_SITE_BY_id, 0);
        report->json.file = file;
        e = report->options->json ? flame_json(report, &s) : flame_write(report, &s, file);
        selection_done(&s);
    }
    if (file != report->out.file && fclose(file) != 0 && e == 0)
        e = report_fail(REPORT_UNREADABLE, "%s: %s", report->options->output, strerror(errno));
    return e;
}
