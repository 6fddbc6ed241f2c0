/* events.c - see events.h. */
#include "analyzer/core/events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/core/events_plan.h"
#include "analyzer/core/query.h"

bool gm_event_kind_is(const char *word)
{
    return gm_log_kind_code(word) != 0;
}

static int events_prepare(
    struct gm_recording *rec, const struct gm_event_filter *f, sqlite3_stmt **ret_stmt)
{
    char sql[512];
    snprintf(sql, sizeof sql,
        "SELECT time_ns, kind, function, process_id, thread_id, site_id, stack_id, address, "
        "size_bytes,"
        " realloc, implicit, collected FROM gm_events(?1, ?2, ?3) WHERE 1%s%s%s",
        f->site_id ? " AND site_id = ?4" : "", f->address ? " AND address = ?5" : "",
        f->kind ? " AND kind = ?6" : "");
    int code = sqlite3_prepare_v2(rec->db, sql, -1, ret_stmt, NULL);
    if (code != SQLITE_OK)
        return gm_recording_fail(rec, code);
    if (f->processes->n == 1)
        sqlite3_bind_int64(*ret_stmt, 1, f->processes->ids[0]);
    if (f->from_ns)
        sqlite3_bind_int64(*ret_stmt, 2, f->from_ns);
    if (f->to_ns)
        sqlite3_bind_int64(*ret_stmt, 3, f->to_ns);
    if (f->site_id)
        sqlite3_bind_int64(*ret_stmt, 4, f->site_id);
    if (f->address)
        sqlite3_bind_int64(*ret_stmt, 5, (int64_t)f->address);
    if (f->kind)
        sqlite3_bind_text(*ret_stmt, 6, f->kind, -1, SQLITE_STATIC);
    return 0;
}

static uint32_t column_id(sqlite3_stmt *stmt, int column)
{
    int64_t id = sqlite3_column_int64(stmt, column);
    return id > 0 && id <= UINT32_MAX ? (uint32_t)id : 0;
}

static struct gm_logged_event event_read(sqlite3_stmt *s)
{
    const char *kind = (const char *)sqlite3_column_text(s, 1);
    return (struct gm_logged_event){
        .time_ns = sqlite3_column_int64(s, 0),
        .kind = kind ? kind : "",
        .function = (const char *)sqlite3_column_text(s, 2),
        .process_id = column_id(s, 3),
        .thread_id = column_id(s, 4),
        .site_id = column_id(s, 5),
        .stack_id = column_id(s, 6),
        .is_block = sqlite3_column_type(s, 7) != SQLITE_NULL,
        .address = (uint64_t)sqlite3_column_int64(s, 7),
        .has_size = sqlite3_column_type(s, 8) != SQLITE_NULL,
        .size_bytes = (uint64_t)sqlite3_column_int64(s, 8),
        .realloc = sqlite3_column_int(s, 9),
        .implicit = sqlite3_column_int(s, 10),
        .collected = sqlite3_column_int(s, 11),
    };
}

/* An error of gm_events itself, not of the file. */
static int events_fail(struct gm_recording *rec, int code)
{
    const char *reason = sqlite3_errmsg(rec->db), prefix[] = "gm_events: ";
    if (code != SQLITE_ERROR)
        return gm_recording_fail(rec, code);
    if (strncmp(reason, prefix, sizeof prefix - 1) == 0)
        reason += sizeof prefix - 1;
    return gm_recording_fail_text(rec, -ENODATA, reason);
}

int gm_events_walk(struct gm_recording *recording, const struct gm_event_filter *filter,
    int (*event)(void *data, const struct gm_logged_event *event), void *data)
{
    sqlite3_stmt *stmt = NULL;
    int code = SQLITE_DONE, r = events_prepare(recording, filter, &stmt);
    while (r == 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct gm_logged_event e = event_read(stmt);
        if (filter->processes->n > 1 && !gm_process_set_has(filter->processes, e.process_id))
            continue;
        r = event(data, &e);
    }
    if (r == 0 && code != SQLITE_DONE)
        r = events_fail(recording, code);
    sqlite3_finalize(stmt);
    return r < 0 ? r : 0;
}

static int event_ends(void *data, const struct gm_logged_event *event)
{
    (void)data, (void)event;
    return 1;
}

int gm_events_check(struct gm_recording *recording)
{
    /* A time that no event has: the chunks are not touched. */
    static const struct gm_process_set all = {0};
    const struct gm_event_filter filter = {.processes = &all, .from_ns = INT64_MAX};
    return gm_events_walk(recording, &filter, event_ends, NULL);
}
