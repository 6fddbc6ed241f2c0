/* model.c - see model.h. */
#include "tui/model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/estimate.h"
#include "analyzer/core/where.h"

#define NS_PER_S 1e9

static bool model_reserve(void **v, size_t *room, size_t n, size_t element_bytes)
{
    if (n <= *room)
        return true;
    size_t grown_room = n + n / 2 + 16;
    void *grown = realloc(*v, grown_room * element_bytes);
    if (!grown)
        return false;
    *v = grown;
    *room = grown_room;
    return true;
}
#define MODEL_RESERVE(v, room, n) model_reserve((void **)&(v), &(room), (n), sizeof *(v))

static void model_drop_detail(struct gm_model *model)
{
    for (size_t i = 0; i < model->detail_count; i++)
        gm_stack_done(&model->detail[i].stack);
    free(model->detail);
    model->detail = NULL;
    model->detail_count = 0;
    model->detail_row = 0;
}

void gm_model_done(struct gm_model *model)
{
    model_drop_detail(model);
    for (size_t i = 0; i < model->row_count; i++)
        free(model->rows[i].where);
    free(model->rows);
    free(model->next_site);
    free(model->order);
    free(model->points);
    *model = (struct gm_model){0};
}

/* ---- rows ------------------------------------------------------------------------------------------- */

static char *place_text(const struct gm_live_place *place)
{
    char text[512];
    struct gm_frame frame = {.function = place->function,
        .file = place->file,
        .module = place->module,
        .line = place->line,
        .named = place->named};
    return strdup(gm_frame_text(&frame, text, sizeof text));
}

static int model_add_rows(struct gm_model *model, const struct gm_live_picture *pic)
{
    if (!MODEL_RESERVE(model->rows, model->row_room, pic->place_count))
        return -ENOMEM;
    for (size_t i = model->row_count; i < pic->place_count; i++) {
        char *where = place_text(&pic->places[i]);
        if (!where)
            return -ENOMEM;
        model->rows[i] = (struct gm_row){.where = where, .placed_value = NAN, .placed_live = NAN};
        model->row_count = i + 1;
    }
    return 0;
}

static void row_clear(struct gm_row *row, const struct gm_live_place *place)
{
    *row = (struct gm_row){.where = row->where,
        .place = place,
        .placed_value = row->placed_value,
        .placed_live = row->placed_live,
        .promotion_rate = -1,
        .mean_age_ns = -1,
        .last_free_ns = -1,
        .min_bytes = UINT64_MAX,
        .first_ns = INT64_MAX};
}

static void row_add(struct gm_row *row, const struct gm_site *s, const struct gm_live_picture *pic)
{
    double minutes = (double)pic->window_ns / NS_PER_S / 60;
    int64_t age_ns = gm_site_mean_age_ns(s, pic->at_ns);
    row->stacks++;
    row->live_bytes += s->live_bytes;
    row->live_blocks += s->live_blocks;
    row->allocs += s->allocs;
    row->alloc_bytes += s->alloc_bytes;
    row->promoted += s->promoted[0];
    row->estimated = gm_run_is_estimated(pic->run);
    row->samples += s->samples;
    row->live_bytes_var +=
        pic->at_end ? s->live_bytes_var : gm_estimate_bytes_variance_bound(pic->run, s->live_bytes);
    if (minutes > 0) {
        row->growth_bytes_per_min += (double)gm_site_growth_bytes(s) / minutes;
        row->allocs_per_s += (double)s->window.allocs / minutes / 60;
        row->frees_per_s += (double)s->window.frees / minutes / 60;
    }
    if (age_ns > 0)
        row->age_sum_ns += (double)age_ns * (double)s->live_blocks;
    if (s->allocs && s->min_bytes < row->min_bytes)
        row->min_bytes = s->min_bytes;
    if (s->max_bytes > row->max_bytes)
        row->max_bytes = s->max_bytes;
    if (s->first_ns < row->first_ns)
        row->first_ns = s->first_ns;
    if (s->last_ns > row->last_ns)
        row->last_ns = s->last_ns;
    if (s->last_free_ns > row->last_free_ns)
        row->last_free_ns = s->last_free_ns;
}

/* The heaviest site comes first, the others follow in any order. */
static void row_link(struct gm_model *model, struct gm_row *row, size_t site)
{
    const struct gm_site *sites = model->picture->sites->v;
    if (row->first_site && sites[row->first_site - 1].live_bytes >= sites[site].live_bytes) {
        model->next_site[site] = model->next_site[row->first_site - 1];
        model->next_site[row->first_site - 1] = (uint32_t)site + 1;
    } else {
        model->next_site[site] = row->first_site;
        row->first_site = (uint32_t)site + 1;
    }
}

static void row_settle(struct gm_row *row, bool past)
{
    row->present = row->stacks > 0;
    row->past = past;
    if (row->min_bytes > row->max_bytes)
        row->min_bytes = row->max_bytes;
    if (past)
        return;
    if (row->allocs)
        row->promotion_rate = (double)row->promoted / (double)row->allocs;
    if (row->live_blocks)
        row->mean_age_ns = (int64_t)(row->age_sum_ns / (double)row->live_blocks);
}

static int model_group(struct gm_model *model, const struct gm_live_picture *pic)
{
    int r = model_add_rows(model, pic);
    if (r < 0 || !MODEL_RESERVE(model->next_site, model->next_room, pic->sites->n))
        return -ENOMEM;
    for (size_t i = 0; i < model->row_count; i++)
        row_clear(&model->rows[i], &pic->places[i]);
    for (size_t i = 0; i < pic->sites->n; i++) {
        if (!pic->site_shown[i])
            continue;
        struct gm_row *row = &model->rows[pic->site_place[i]];
        row_add(row, &pic->sites->v[i], pic);
        row_link(model, row, i);
    }
    model->present_count = 0;
    for (size_t i = 0; i < model->row_count; i++) {
        row_settle(&model->rows[i], pic->past);
        model->present_count += model->rows[i].present;
    }
    return 0;
}

/* ---- header and chart ------------------------------------------------------------------------------- */

/* Of several processes the file has no common peak, only a sum of peaks at different moments. */
static int model_take_points(struct gm_model *model, const struct gm_live_picture *pic)
{
    const struct gm_slices *slices = pic->slices;
    if (!MODEL_RESERVE(model->points, model->point_room, slices->n))
        return -ENOMEM;
    model->point_count = 0;
    for (size_t i = 0; i < slices->n && slices->v[i].start_ns < pic->at_ns; i++) {
        const struct gm_slice *s = &slices->v[i];
        uint64_t peak = pic->run->processes > 1 ? s->live_bytes : s->peak_bytes;
        model->points[model->point_count++] =
            (struct gm_chart_point){s->end_ns, s->live_bytes, peak};
    }
    return 0;
}

static enum gm_top_state model_state(const struct gm_live_picture *pic, bool watched)
{
    if (!pic->at_end)
        return GM_TOP_REPLAY;
    switch (pic->run->state) {
    case GM_RUN_RUNNING:
        return GM_TOP_LIVE;
    case GM_RUN_CUT:
        return GM_TOP_CUT;
    case GM_RUN_COMPLETE:
        break;
    }
    return watched ? GM_TOP_EXITED : GM_TOP_REPLAY;
}

int gm_model_update(struct gm_model *model, const struct gm_live_picture *picture, bool watched)
{
    model->picture = picture;
    model->state = model_state(picture, watched);
    snprintf(model->program, sizeof model->program, "%s", picture->run->program);
    int r = model_take_points(model, picture);
    return r < 0 ? r : model_group(model, picture);
}

/* ---- order ------------------------------------------------------------------------------------------ */

struct arrange {
    const struct gm_row *rows;
    const struct gm_sorting *sorting;
};

static int compare_doubles(double a, double b)
{
    return (a > b) - (a < b);
}

static int arrange_compare(const void *left, const void *right, void *context)
{
    const struct arrange *a = context;
    uint32_t l = *(const uint32_t *)left, r = *(const uint32_t *)right;
    const struct gm_row *lr = &a->rows[l], *rr = &a->rows[r];
    int order = a->sorting->column == GM_COLUMN_where
                    ? strcmp(lr->where, rr->where)
                    : compare_doubles(rr->placed_value, lr->placed_value);
    if (a->sorting->invert)
        order = -order;
    if (order == 0)
        order = compare_doubles(rr->placed_live, lr->placed_live);
    return order ? order : (l > r) - (l < r);
}

/* The value a row stands by, moved only when it differs enough: rows that jump to and fro with every
 * refresh cannot be read. */
static double placed(double before, double now, bool steady)
{
    if (steady && fabs(now - before) <= 0.05 * fabs(before))
        return before;
    return now;
}

static int model_collect(struct gm_model *model, const struct gm_filter *filter)
{
    if (!MODEL_RESERVE(model->order, model->order_room, model->row_count + 1))
        return -ENOMEM;
    model->order_count = 0;
    for (size_t i = 0; i < model->row_count; i++)
        if (model->rows[i].present && gm_filter_passes(filter, &model->rows[i]))
            model->order[model->order_count++] = (uint32_t)i;
    return 0;
}

static int frozen_compare(const void *left, const void *right, void *context)
{
    const double *rank = context;
    return compare_doubles(rank[*(const uint32_t *)left], rank[*(const uint32_t *)right]);
}

/* Rows keep the rank they had; those that had none come last. */
static int model_arrange_frozen(struct gm_model *model, const struct gm_filter *filter)
{
    double *rank = malloc((model->row_count + 1) * sizeof *rank);
    if (!rank)
        return -ENOMEM;
    for (size_t i = 0; i < model->row_count; i++)
        rank[i] = (double)(model->row_count + i);
    for (size_t i = 0; i < model->order_count; i++)
        rank[model->order[i]] = (double)i;
    int r = model_collect(model, filter);
    if (r == 0 && model->order_count > 1)
        qsort_r(model->order, model->order_count, sizeof *model->order, frozen_compare, rank);
    free(rank);
    return r;
}

int gm_model_arrange(
    struct gm_model *model, const struct gm_sorting *sorting, const struct gm_filter *filter)
{
    if (sorting->frozen)
        return model_arrange_frozen(model, filter);
    int r = model_collect(model, filter);
    if (r < 0)
        return r;
    for (size_t i = 0; i < model->order_count; i++) {
        struct gm_row *row = &model->rows[model->order[i]];
        bool steady = sorting->steady && model->placed_by == sorting->column;
        row->placed_value =
            placed(row->placed_value, gm_column_value(row, sorting->column), steady);
        row->placed_live = placed(row->placed_live, (double)row->live_bytes, steady);
    }
    model->placed_by = sorting->column;
    struct arrange arrange = {model->rows, sorting};
    if (model->order_count > 1)
        qsort_r(model->order, model->order_count, sizeof *model->order, arrange_compare, &arrange);
    return 0;
}

size_t gm_model_find(const struct gm_model *model, uint32_t row)
{
    size_t i = 0;
    while (i < model->order_count && model->order[i] != row)
        i++;
    return i;
}

/* ---- detail ----------------------------------------------------------------------------------------- */

static int site_compare(const void *left, const void *right)
{
    const struct gm_site *l = *(const struct gm_site *const *)left,
                         *r = *(const struct gm_site *const *)right;
    if (l->live_bytes != r->live_bytes)
        return l->live_bytes < r->live_bytes ? 1 : -1;
    if (l->alloc_bytes != r->alloc_bytes)
        return l->alloc_bytes < r->alloc_bytes ? 1 : -1;
    return (l->site_id > r->site_id) - (l->site_id < r->site_id);
}

static int detail_fill(struct gm_model *model, struct gm_recording *recording,
    const struct gm_site *const *sites, size_t n)
{
    double minutes = (double)model->picture->window_ns / NS_PER_S / 60;
    model->detail = calloc(n ? n : 1, sizeof *model->detail);
    if (!model->detail)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct gm_detail_stack *d = &model->detail[i];
        int r = gm_stack_load(recording, sites[i]->stack_id, &d->stack);
        if (r < 0)
            return r;
        model->detail_count = i + 1;
        d->site = *sites[i];
        d->growth_bytes_per_min =
            minutes > 0 ? (double)gm_site_growth_bytes(sites[i]) / minutes : 0;
    }
    return 0;
}

int gm_model_load_detail(
    struct gm_model *model, struct gm_recording *recording, uint32_t row, size_t most)
{
    model_drop_detail(model);
    if (row >= model->row_count || !model->rows[row].stacks)
        return 0;
    size_t n = 0;
    const struct gm_site **sites = malloc(model->rows[row].stacks * sizeof(struct gm_site *));
    if (!sites)
        return -ENOMEM;
    for (uint32_t i = model->rows[row].first_site; i; i = model->next_site[i - 1])
        sites[n++] = &model->picture->sites->v[i - 1];
    qsort(sites, n, sizeof *sites, site_compare);
    int r = detail_fill(model, recording, sites, n < most ? n : most);
    free(sites);
    model->detail_row = row + 1;
    return r;
}
