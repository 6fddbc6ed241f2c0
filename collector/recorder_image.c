/* recorder_image.c - see recorder_image.h. */
#include "collector/recorder_image.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/proc.h"
#include "collector/timebase.h"

#define FATE_PATIENCE_NS 3000000000ll /* how long after its end a process may still be reaped */

void gm_images_init(struct gm_images *images, struct gm_rollup *rollup, struct gm_doorman *doorman)
{
    *images = (struct gm_images){.rollup = rollup, .doorman = doorman};
}

static void image_unmap(struct gm_image *image)
{
    if (!image->drain.session.header)
        return;
    gm_doorman_session_gone(image->doorman, image->drain.session.bytes);
    gm_drain_unmap(&image->drain);
}

static void image_free(struct gm_image *image)
{
    image_unmap(image);
    gm_drain_done(&image->drain);
    if (image->pidfd >= 0)
        close(image->pidfd);
    free(image);
}

void gm_images_done(struct gm_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        image_free(images->v[i]);
    free(images->v);
    images->v = NULL;
    images->count = images->room = 0;
}

/* ---- arrival ---- */

/* The latest image of a process that has not ended. */
static struct gm_image *images_find_pid(const struct gm_images *images, pid_t pid)
{
    for (size_t i = images->count; i-- > 0;)
        if (images->v[i]->pid == pid && images->v[i]->state != GM_IMAGE_GONE)
            return images->v[i];
    return NULL;
}

static struct gm_image *images_find_session(const struct gm_images *images, uint64_t session_id)
{
    for (size_t i = images->count; i-- > 0;)
        if (images->v[i]->session_id == session_id)
            return images->v[i];
    return NULL;
}

static bool pidfd_is_dead(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && p.revents & POLLIN;
}

/* An image of this very process that the newcomer takes the place of; not one of an earlier process that
 * had the same number. */
static struct gm_image *images_find_replaced(
    const struct gm_images *images, const struct gm_newcomer *newcomer)
{
    struct gm_image *image = images_find_pid(images, newcomer->pid);
    return image && image->start_ticks == newcomer->start_ticks ? image : NULL;
}

static struct gm_image *images_find_parent(
    const struct gm_images *images, const struct gm_newcomer *newcomer)
{
    struct gm_image *parent = NULL;
    if (newcomer->hello_kind == GM_HELLO_FORK)
        parent = images_find_session(images, newcomer->parent_session_id);
    for (size_t i = 0; !parent && i < newcomer->ancestor_count; i++)
        parent = images_find_pid(images, newcomer->ancestors[i]);
    return parent;
}

static const char *newcomer_origin(const struct gm_images *images,
    const struct gm_newcomer *newcomer, const struct gm_image *replaced)
{
    bool root =
        images->root_process_id == 0 && (!images->root_pid || newcomer->pid == images->root_pid);
    if (root)
        return "root";
    if (replaced)
        return "exec";
    return newcomer->hello_kind == GM_HELLO_FORK ? "fork" : "spawn";
}

static int images_reserve(struct gm_images *images)
{
    if (images->count < images->room)
        return 0;
    size_t room = images->room ? images->room * 2 : 16;
    struct gm_image **v = reallocarray(images->v, room, sizeof *v);
    if (!v)
        return -ENOMEM;
    images->v = v;
    images->room = room;
    return 0;
}

static int image_create(
    struct gm_images *images, struct gm_newcomer *newcomer, struct gm_image **ret_image)
{
    struct gm_image *image = calloc(1, sizeof *image);
    if (!image)
        return -ENOMEM;
    int r = gm_drain_init(&image->drain, &newcomer->session, newcomer->stamp);
    if (r < 0) {
        free(image);
        return r;
    }
    image->doorman = images->doorman;
    image->session_id = image->drain.session.session_id;
    image->pid = newcomer->pid;
    image->start_ticks = newcomer->start_ticks;
    image->cpu_before_ns = newcomer->session.sample_bytes ? gm_proc_cpu_ns(newcomer->pid) : 0;
    image->pidfd = newcomer->pidfd;
    newcomer->pidfd = -1;
    *ret_image = image;
    return 0;
}

static void images_note_interval(
    struct gm_images *images, struct gm_image *image, uint64_t sample_bytes)
{
    if (!sample_bytes)
        return;
    image->sample_log2 = (uint32_t)__builtin_ctzll(sample_bytes);
    if (images->sample_min_bytes == 0 || sample_bytes < images->sample_min_bytes)
        images->sample_min_bytes = sample_bytes;
    if (sample_bytes > images->sample_max_bytes)
        images->sample_max_bytes = sample_bytes;
}

static int images_enter(struct gm_images *images, struct gm_newcomer *newcomer, int64_t ns)
{
    struct gm_image *replaced = images_find_replaced(images, newcomer), *image = NULL;
    struct gm_image *parent = replaced ? replaced : images_find_parent(images, newcomer);
    const char *origin = newcomer_origin(images, newcomer, replaced);
    struct gm_process_start start = {.pid = newcomer->pid,
        .origin = origin,
        .parent = parent ? parent->process : NULL,
        .exe = newcomer->exe,
        .command = newcomer->command,
        .start_ns = ns,
        .ring_count = newcomer->session.ring_count,
        .sample_bytes = newcomer->session.sample_bytes,
        .sample_seed = newcomer->session.sample_seed};
    int r = images_reserve(images);
    if (r == 0)
        r = image_create(images, newcomer, &image);
    if (r == 0)
        r = gm_rollup_add_process(images->rollup, &start, &image->process);
    if (r < 0) {
        if (image)
            image_free(image);
        return r;
    }
    if (replaced) {
        replaced->state = GM_IMAGE_DYING;
        replaced->replaced = true;
        replaced->replaced_stamp = newcomer->stamp;
    }
    images_note_interval(images, image, start.sample_bytes);
    image->drain.group.owner = image->process;
    image->process->group = &image->drain.group;
    images->v[images->count++] = image;
    if (!strcmp(origin, "root"))
        images->root_process_id = image->process->row.process_id;
    return 0;
}

int gm_images_add(struct gm_images *images, struct gm_newcomer *newcomer, int64_t ns)
{
    int r = images_enter(images, newcomer, ns);
    if (newcomer->session.header)
        gm_doorman_session_gone(images->doorman, newcomer->session.bytes);
    gm_newcomer_free(newcomer);
    return r;
}

/* ---- life ---- */

static void image_read_end(struct gm_image *image)
{
    struct gm_session *h = image->drain.session.header;
    if (!h)
        return;
    /* acquire: pairs with the target's release of end_kind after end_value */
    image->end_kind = atomic_load_explicit(&h->end_kind, memory_order_acquire);
    image->end_value =
        atomic_load_explicit(&h->end_value, memory_order_relaxed); /* ordered by it */
}

void gm_image_drain(
    struct gm_image *image, const struct gm_drain_terms *terms, struct gm_drain_round *ret_round)
{
    bool dying = image->state == GM_IMAGE_DYING;
    struct gm_drain_terms own = *terms;
    own.last |= dying;
    gm_drain_beat(&image->drain);
    gm_drain_run(&image->drain, &own, ret_round);
    gm_process_lost(image->process, ret_round->dropped, ret_round->lost_unringed);
    gm_process_corrupt(image->process, ret_round->corrupt);
    gm_process_ring_fill(image->process, ret_round->fill);
    image->sampled_ticks += ret_round->sample_ticks;
    if (!dying || image->drained_last)
        return;
    /* Its process can write no more, so this was all. */
    image_read_end(image);
    image_unmap(image);
    image->drained_last = true;
}

bool gm_image_is_told(const struct gm_image *image)
{
    for (uint32_t i = 0; i < image->drain.group.count; i++)
        if (gm_reader_left(&image->drain.group.readers[i]) > 0)
            return false;
    return image->drained_last;
}

size_t gm_images_poll_set(struct gm_images *images, struct pollfd *ret_polled)
{
    size_t n = 0;
    for (size_t i = 0; i < images->count; i++) {
        struct gm_image *image = images->v[i];
        image->polled = image->state == GM_IMAGE_LIVING;
        if (image->polled)
            ret_polled[n++] = (struct pollfd){.fd = image->pidfd, .events = POLLIN};
    }
    return n;
}

/* What is known stays once the process is reaped. */
static void image_read_cpu(struct gm_image *image)
{
    uint64_t cpu_ns = image->sample_log2 && !image->replaced ? gm_proc_cpu_ns(image->pid) : 0;
    if (cpu_ns > image->cpu_before_ns)
        image->cpu_ns = cpu_ns - image->cpu_before_ns;
}

static void image_is_dead(struct gm_image *image)
{
    image->state = GM_IMAGE_DYING;
    image_read_cpu(image);
    /* Now or never, where its parent reaps it at once. */
    if (!image->has_status)
        image->has_status = gm_proc_wait_status(image->pid, &image->status);
}

void gm_images_poll_seen(struct gm_images *images, const struct pollfd *polled)
{
    size_t n = 0;
    for (size_t i = 0; i < images->count; i++) {
        struct gm_image *image = images->v[i];
        if (image->polled && polled[n++].revents)
            image_is_dead(image);
        image->polled = false;
    }
}

void gm_images_poll_now(struct gm_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        if (images->v[i]->state == GM_IMAGE_LIVING && pidfd_is_dead(images->v[i]->pidfd))
            image_is_dead(images->v[i]);
}

/* ---- what sampling costs ---- */

static void image_decide(struct gm_images *images, struct gm_image *image)
{
    uint32_t log2 =
        gm_budget_decide(&image->cost_decided, &image->cost, images->budget, image->sample_log2);
    if (log2 == image->sample_log2)
        return;
    gm_drain_sample(&image->drain, log2);
    image->process->row.sample_bytes = 1ull << log2;
    image->process->changed = true;
    images_note_interval(images, image, 1ull << log2);
}

static void image_watch_cost(struct gm_images *images, struct gm_image *image)
{
    const struct gm_row_process *row = &image->process->row;
    image_read_cpu(image);
    const struct gm_budget_reading before = image->cost,
                                   now = {.cpu_ns = image->cpu_ns,
                                       .sampled_ns = (uint64_t)((double)image->sampled_ticks *
                                                                images->ns_per_tick),
                                       .hooks = row->allocs + gm_process_frees(image->process)};
    image->cost = now;
    images->cost.cpu_ns += now.cpu_ns - before.cpu_ns;
    images->cost.sampled_ns += now.sampled_ns - before.sampled_ns;
    images->cost.hooks += now.hooks - before.hooks;
    if (images->budget > 0 && image->state == GM_IMAGE_LIVING)
        image_decide(images, image);
}

void gm_images_watch_cost(struct gm_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        if (images->v[i]->sample_log2 && images->v[i]->state != GM_IMAGE_GONE)
            image_watch_cost(images, images->v[i]);
}

void gm_images_read_rss(struct gm_images *images, long page_bytes)
{
    for (size_t i = 0; i < images->count; i++) {
        struct gm_image *image = images->v[i];
        uint64_t rss =
            image->state == GM_IMAGE_LIVING ? gm_proc_rss_bytes(image->pid, page_bytes) : 0;
        if (rss)
            gm_process_rss(image->process, rss);
    }
}

void gm_images_beat(struct gm_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        gm_drain_beat(&images->v[i]->drain);
}

void gm_images_stop(struct gm_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        gm_drain_stop(&images->v[i]->drain);
}

bool gm_images_any_dying(const struct gm_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        if (images->v[i]->state == GM_IMAGE_DYING)
            return true;
    return false;
}

uint32_t gm_images_living(const struct gm_images *images)
{
    uint32_t n = 0;
    for (size_t i = 0; i < images->count; i++)
        n += images->v[i]->state != GM_IMAGE_GONE;
    return n;
}

bool gm_images_root_ended(const struct gm_images *images)
{
    if (!images->root_process_id)
        return false;
    for (size_t i = 0; i < images->count; i++)
        if (images->v[i]->state != GM_IMAGE_GONE &&
            (images->v[i]->pid == images->root_pid ||
                images->v[i]->process->row.process_id == images->root_process_id))
            return false;
    return true;
}

/* ---- the end ---- */

static void image_tell_status(struct gm_image *image, int status)
{
    if (WIFSIGNALED(status))
        gm_process_fate(image->process, "signal", WTERMSIG(status));
    else
        gm_process_fate(image->process, "exit", WEXITSTATUS(status));
}

/* What the image said of itself, where nobody knows better. */
static void image_tell_own_account(struct gm_image *image)
{
    switch ((enum gm_end_kind)image->end_kind) {
    case GM_END_EXIT:
    case GM_END_EXIT_NOW:
    case GM_END_QUICK_EXIT:
        gm_process_fate(image->process, "exit", image->end_value & 0xff);
        return;
    case GM_END_ABORT:
        gm_process_fate(image->process, "signal", SIGABRT);
        return;
    case GM_END_EXEC:
        gm_process_fate(image->process, "exec", 0);
        return;
    case GM_END_NONE:
        break;
    }
    gm_process_fate(image->process, "unknown", 0);
}

static void image_tell_fate(struct gm_image *image)
{
    /* An image that was replaced, by one that is recorded or not, did not end with the process. */
    if (image->replaced)
        gm_process_fate(image->process, "exec", 0);
    else if (image->has_status && image->end_kind != GM_END_EXEC)
        image_tell_status(image, image->status);
    else
        image_tell_own_account(image);
}

void gm_image_report(struct gm_image *image)
{
    struct gm_drain_round round;
    gm_drain_report(&image->drain, &round);
    gm_process_corrupt(image->process, round.corrupt);
}

void gm_image_end(struct gm_image *image, int64_t ns)
{
    gm_image_report(image);
    gm_process_ended(image->process, ns, "unknown", 0);
    image_tell_fate(image);
    image->process->group = NULL;
    image->state = GM_IMAGE_GONE;
    image->gone_mono_ns = gm_mono_ns();
    image_unmap(image);
    gm_drain_done(&image->drain);
}

void gm_images_child_ended(struct gm_images *images, pid_t pid, int wait_status)
{
    for (size_t i = images->count; i-- > 0;) {
        struct gm_image *image = images->v[i];
        if (image->pid != pid || image->replaced)
            continue;
        image->has_status = true;
        image->status = wait_status;
        if (image->state == GM_IMAGE_LIVING)
            image_is_dead(image);
        else if (image->state == GM_IMAGE_GONE)
            image_tell_fate(image);
        return;
    }
}

/* True when no more will be known of it. */
static bool image_is_settled(struct gm_image *image)
{
    if (image->state != GM_IMAGE_GONE || image->process->changed)
        return false;
    if (image->replaced || image->has_status)
        return true;
    image->has_status = gm_pidfd_wait_status(image->pidfd, &image->status);
    if (image->has_status)
        image_tell_fate(image);
    return !image->process->changed && gm_mono_ns() - image->gone_mono_ns > FATE_PATIENCE_NS;
}

void gm_images_forget_gone(struct gm_images *images)
{
    size_t kept = 0;
    for (size_t i = 0; i < images->count; i++) {
        struct gm_image *image = images->v[i];
        if (!image_is_settled(image)) {
            images->v[kept++] = image;
            continue;
        }
        gm_rollup_forget(images->rollup, image->process);
        image_free(image);
    }
    images->count = kept;
}
