/* control.c - see control.h. */
#include "tui/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "analyzer/core/recording.h"
#include "schemas/registry.h"

#define ANSWER_WAIT_MS 1000

struct search {
    long pid;
    bool found;
    struct gm_registry_entry entry;
};

static bool search_recorder(void *context, const struct gm_registry_entry *entry)
{
    struct search *search = context;
    if (entry->recorder_pid != search->pid)
        return true;
    search->found = true;
    search->entry = *entry;
    return false;
}

static bool recording_has_process(const char *file, long pid)
{
    char message[512];
    struct gm_recording *recording;
    struct gm_processes processes;
    bool found = false;
    if (gm_recording_open(file, &recording, message, sizeof message) < 0)
        return false;
    if (gm_recording_begin(recording) == 0 && gm_processes_load(recording, &processes) == 0) {
        for (size_t i = 0; i < processes.n; i++)
            found = found || (processes.v[i].pid == pid && processes.v[i].end_ns < 0);
        gm_processes_done(&processes);
    }
    gm_recording_end(recording);
    gm_recording_close(recording);
    return found;
}

static bool search_process(void *context, const struct gm_registry_entry *entry)
{
    struct search *search = context;
    if (!recording_has_process(entry->file, search->pid))
        return true;
    search->found = true;
    search->entry = *entry;
    return false;
}

int gm_control_find_file(long pid, char *ret_file, size_t room)
{
    struct search search = {.pid = pid};
    gm_registry_list(search_recorder, &search);
    if (!search.found)
        gm_registry_list(search_process, &search);
    if (!search.found || strlen(search.entry.file) >= room)
        return -ESRCH;
    strcpy(ret_file, search.entry.file);
    return 0;
}

/* {"ok":false,"error":"..."} */
static int answer_check(const char *answer, char *message, size_t message_bytes)
{
    json_t *json = json_loads(answer, 0, NULL);
    bool ok = json_is_true(json_object_get(json, "ok"));
    const char *why = json_string_value(json_object_get(json, "error"));
    if (!ok)
        snprintf(message, message_bytes, "the recorder says: %s", why ? why : "no");
    json_decref(json);
    return ok ? 0 : -EPROTO;
}

int gm_control_request(const struct gm_run *run, const char *request, const char *argument,
    char *message, size_t message_bytes)
{
    char line[1024], answer[4096];
    struct search search = {.pid = run->recorder_pid};
    gm_registry_list(search_recorder, &search);
    if (!search.found) {
        snprintf(message, message_bytes,
            "its recorder (process %lld) cannot be found in this user's list",
            (long long)run->recorder_pid);
        return -ESRCH;
    }
    snprintf(line, sizeof line, "%s%s%s", request, argument ? " " : "", argument ? argument : "");
    int n = gm_control_ask(search.entry.socket, line, ANSWER_WAIT_MS, answer, sizeof answer);
    if (n < 0) {
        snprintf(message, message_bytes, "the recorder does not answer (%s)", strerror(-n));
        return n;
    }
    return answer_check(answer, message, message_bytes);
}
