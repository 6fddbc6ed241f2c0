/* recorder_stress.c - many targets at once, come and go while the recorder runs; a plain program, so that it
 * can run under ThreadSanitizer. Every event of every target must be counted, whichever of the doorman's and
 * the main thread's doings overlap. */
#include <stdlib.h>
#include <sys/wait.h>

#include "collector/recorder.h"
#include "fake_target.h"

#define CHILDREN 60
#define EVENTS 400

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static void child_run(const char *socket, uint64_t parent)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_FORK, parent);
    for (uint64_t i = 0; i < EVENTS; i++) {
        fake_alloc(&t, i % 2, 0x1000 + i * 16, 10);
        if (i % 2)
            fake_free(&t, 0, 0x1000 + i * 16);
    }
    _exit(0);
}

static void root_run(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    fake_alloc(&t, 0, 0x1000, 10);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        if (pid == 0)
            child_run(socket, t.session->session_id);
        if (i % 8 == 7)
            waitpid(pid, NULL, 0);
    }
    while (wait(NULL) > 0)
        ;
    _exit(0);
}

int main(void)
{
    struct gm_recorder_options options;
    struct gm_recorder *recorder = NULL;
    struct gm_recorder_figures f = {0};
    int status = 0;
    bool reaped = false;
    gm_recorder_options_init(&options);
    for (int i = 0; i < GM_SESSION_SIZES; i++)
        options.session.shape[i] = (struct gm_session_shape){.ring_count = 2, .ring_bytes = 4096};
    CHECK(gm_recorder_create(&options, &recorder) == 0);
    pid_t pid = fork();
    if (pid == 0)
        root_run(gm_recorder_socket(recorder));
    CHECK(gm_recorder_start(recorder, NULL, pid) == 0);
    while (!reaped || f.processes_living > 0) {
        CHECK(gm_recorder_step(recorder, NULL, 0) == 0);
        if (!reaped && waitpid(pid, &status, WNOHANG) == pid) {
            reaped = true;
            gm_recorder_child_ended(recorder, pid, status);
        }
        gm_recorder_figures(recorder, &f);
    }
    CHECK(gm_recorder_finish(recorder) == 0);
    gm_recorder_figures(recorder, &f);
    CHECK(status == 0);
    CHECK(f.processes_seen == CHILDREN + 1);
    CHECK(f.processes_refused == 0 && f.bad_hellos == 0);
    CHECK(f.allocs == CHILDREN * EVENTS + 1);
    CHECK(f.frees == CHILDREN * EVENTS / 2);
    CHECK(f.corrupt_records == 0 && f.lost_events == 0);
    gm_recorder_free(recorder);
    return 0;
}
