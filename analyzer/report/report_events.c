/* report_events.c - the log of events as it was recorded: a table, or a JSON object a line. Written as it is read, so
 * that its length does not matter. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/events.h"
#include "analyzer/report/show.h"

#define PLACES_CACHED 1024u
#define PLACE_COLUMNS 64 /* far more than the table has room for */

struct events_report {
    struct report *report;
    struct gm_threads threads;
    struct gm_marks marks;
    bool pids; /* there is more than one process: say whose thread it is */
    uint64_t told;
    struct {
        uint32_t stack_id;
        char text[4 * PLACE_COLUMNS];
    } places[PLACES_CACHED]; /* WHERE of a stack, by its number */
};

static const struct gm_thread *thread_find(const struct gm_threads *threads, uint32_t thread_id)
{
    size_t low = 0, high = threads->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (threads->v[middle].thread_id == thread_id)
            return &threads->v[middle];
        if (threads->v[middle].thread_id < thread_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The text of a mark; several at one moment are told by the first. */
static const char *mark_text(const struct events_report *t, const struct gm_logged_event *e)
{
    for (size_t i = 0; i < t->marks.n; i++)
        if (t->marks.v[i].ns == e->time_ns && t->marks.v[i].process_id == e->process_id)
            return t->marks.v[i].text;
    return NULL;
}

/* ---- JSON ---- */

static void put_id(struct json *j, const char *key, uint32_t id)
{
    if (id)
        json_put_count(j, key, id);
    else
        json_put_null(j, key);
}

static void put_pid(struct json *j, const char *key, bool known, int64_t pid)
{
    if (known)
        json_put_integer(j, key, pid);
    else
        json_put_null(j, key);
}

static void json_block(struct json *j, const struct gm_logged_event *e)
{
    json_put_count(j, "address", e->address);
    if (e->has_size)
        json_put_count(j, "size_bytes", e->size_bytes);
    else
        json_put_null(j, "size_bytes");
    put_id(j, "site_id", e->site_id);
    put_id(j, "stack_id", e->stack_id);
    json_put_bool(j, "realloc", e->realloc);
    if (e->function) {
        json_put_text(j, "function", e->function);
    } else {
        json_put_bool(j, "implicit", e->implicit);
        json_put_bool(j, "collected", e->collected);
    }
}

static void event_json(struct events_report *t, const struct gm_logged_event *e)
{
    struct json *j = &t->report->json;
    const struct gm_process *process = gm_process_find(&t->report->processes, e->process_id);
    const struct gm_thread *thread = thread_find(&t->threads, e->thread_id);
    json_begin(j, t->report->out.file);
    json_put_object(j, NULL, true);
    json_put_integer(j, "time_ns", e->time_ns);
    json_put_text(j, "kind", e->kind);
    put_id(j, "process_id", e->process_id);
    put_pid(j, "pid", process, process ? process->pid : 0);
    put_id(j, "thread_id", e->thread_id);
    put_pid(j, "tid", thread, thread ? thread->tid : 0);
    if (e->is_block)
        json_block(j, e);
    else if (strcmp(e->kind, "mark") == 0)
        json_put_text(j, "text", mark_text(t, e));
    json_put_close(j);
    json_end(j);
}

/* ---- the table ---- */

static void events_head(struct events_report *t)
{
    struct out *o = &t->report->out;
    out_styled(o, OUT_BOLD, "\n%14s  %-14s", "SECONDS", "EVENT");
    if (t->pids)
        out_styled(o, OUT_BOLD, " %7s", "PID");
    out_styled(
        o, OUT_BOLD, " %7s %14s %9s %6s  %s\n", "THREAD", "ADDRESS", "BYTES", "SITE", "WHERE");
}

/* What is said of an event in the last column. */
static int event_where(
    struct events_report *t, const struct gm_logged_event *e, const char **ret_text)
{
    size_t place = e->stack_id % PLACES_CACHED;
    *ret_text = "";
    if (strcmp(e->kind, "mark") == 0) {
        const char *text = mark_text(t, e);
        *ret_text = text ? text : "";
    } else if (e->is_block && !e->has_size) {
        *ret_text = "[allocation not seen]";
    } else if (e->stack_id) {
        if (t->places[place].stack_id != e->stack_id) {
            int r = show_where(
                t->report, e->stack_id, t->places[place].text, sizeof t->places[place].text);
            if (r < 0)
                return r;
            t->places[place].stack_id = e->stack_id;
        }
        *ret_text = t->places[place].text;
    }
    return 0;
}

static const char *event_name(const struct gm_logged_event *e)
{
    if (e->function)
        return e->function;
    if (e->implicit)
        return "free, unseen";
    if (e->collected)
        return "free, gc";
    return e->realloc ? "free, realloc" : e->kind;
}

static void put_number(struct out *o, int width, bool known, int64_t value)
{
    if (known)
        out_printf(o, " %*" PRId64, width, value);
    else
        out_printf(o, " %*s", width, "");
}

static int event_row(struct events_report *t, const struct gm_logged_event *e)
{
    struct out *o = &t->report->out;
    const struct gm_process *process = gm_process_find(&t->report->processes, e->process_id);
    const struct gm_thread *thread = thread_find(&t->threads, e->thread_id);
    const char *where = "";
    int r = event_where(t, e, &where);
    if (r < 0)
        return r;
    out_printf(o, "%4" PRId64 ".%09" PRId64 "  %-14s", e->time_ns / 1000000000,
        e->time_ns % 1000000000, event_name(e));
    if (t->pids)
        put_number(o, 7, process, process ? process->pid : 0);
    bool more = e->is_block || *where;
    if (thread || more)
        put_number(o, 7, thread, thread ? thread->tid : 0);
    if (!more) {
        out_printf(o, "\n");
        return 0;
    }
    if (e->is_block)
        out_printf(o, " %#14" PRIx64, e->address);
    else
        out_printf(o, " %14s", "");
    put_number(o, 9, e->has_size, (int64_t)e->size_bytes);
    put_number(o, 6, e->site_id, e->site_id);
    out_printf(o, "  ");
    out_cut(o, where, OUT_COLUMNS - 72 - (t->pids ? 8 : 0));
    out_printf(o, "\n");
    return 0;
}

/* ---- both ---- */

static int event_tell(void *data, const struct gm_logged_event *event)
{
    struct events_report *t = data;
    const struct report_options *o = t->report->options;
    if (o->top && t->told == o->top)
        return 1;
    t->told++;
    if (ferror(t->report->out.file)) /* nobody reads any more; out_close says why */
        return 1;
    if (!o->json)
        return event_row(t, event);
    event_json(t, event);
    return 0;
}

static int events_tell(struct events_report *t)
{
    struct report *r = t->report;
    const struct gm_event_filter filter = {
        .processes = &r->set,
        .from_ns = r->from_ns,
        .to_ns = r->options->to.set && r->to_ns < r->run.duration_ns ? r->to_ns : 0,
        .site_id = r->options->site_id,
        .address = r->options->address,
        .kind = r->options->kind,
    };
    int e = r->options->json ? 0 : show_head(r, "events");
    if (e < 0)
        return e;
    if (!r->options->json)
        events_head(t);
    e = gm_events_walk(r->recording, &filter, event_tell, t);
    if (e == 0 && t->told == 0 && !r->options->json)
        out_printf(&r->out, "%14s  no event is left by the filters\n", "");
    return e;
}

int report_events(struct report *report)
{
    struct events_report *t = calloc(1, sizeof *t);
    if (!t)
        return report_fail(REPORT_UNREADABLE, "not enough memory");
    t->report = report;
    t->pids = report->processes.n > 1;
    int e = gm_events_check(report->recording);
    if (e == 0)
        e = gm_threads_load(report->recording, &t->threads);
    if (e == 0)
        e = gm_marks_load(report->recording, &t->marks);
    if (e == 0)
        e = events_tell(t);
    gm_threads_done(&t->threads);
    gm_marks_done(&t->marks);
    free(t);
    if (e == -ENODATA)
        return report_fail(REPORT_USAGE, "%s", gm_recording_message(report->recording));
    return e;
}
