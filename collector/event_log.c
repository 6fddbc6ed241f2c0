/* event_log.c - see event_log.h. */
#include "collector/event_log.h"

static void log_put(struct gm_rollup *rollup, const struct gm_log_event *event)
{
    struct gm_log_event *row = gm_rows_add(&rollup->batch->events);
    if (row)
        *row = *event;
    else
        rollup->out_of_memory = true;
}

void gm_event_log_add(struct gm_process *process, const struct gm_process_thread *thread,
    const struct gm_log_event *event)
{
    struct gm_log_event whole = *event;
    whole.process_id = process->row.process_id;
    whole.thread_id = thread ? thread->row.thread_id : 0;
    log_put(process->rollup, &whole);
}

void gm_event_log_mark(struct gm_rollup *rollup, const struct gm_process *process, int64_t ns)
{
    if (rollup->log_events)
        log_put(rollup, &(struct gm_log_event){.time_ns = ns,
                            .process_id = process ? process->row.process_id : 0,
                            .kind = GM_LOG_mark});
}
