/* The recorder from the socket to its figures, with targets that are written for the test: honest ones, ones
 * that die, ones that lie. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "collector/recorder.h"
#include "fake_target.h"

typedef void target_program(const char *socket);

static struct gm_recorder *recorder;

static void setup(void)
{
    struct gm_recorder_options options;
    gm_recorder_options_init(&options);
    for (int i = 0; i < GM_SESSION_SIZES; i++)
        options.session.shape[i] = (struct gm_session_shape){.ring_count = 4, .ring_bytes = 16384};
    cr_assert_eq(gm_recorder_create(&options, &recorder), 0);
}

static void teardown(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s", gm_recorder_socket(recorder));
    gm_recorder_free(recorder);
    cr_assert(access(path, F_OK) < 0, "the socket is gone");
    *strrchr(path, '/') = '\0';
    cr_assert(access(path, F_OK) < 0, "so is its folder");
}

TestSuite(recorder, .init = setup, .fini = teardown, .timeout = 60);

static pid_t launch(target_program *program)
{
    pid_t pid = fork();
    if (pid == 0) {
        program(gm_recorder_socket(recorder));
        _exit(0);
    }
    return pid;
}

static struct gm_recorder_figures figures(void)
{
    struct gm_recorder_figures f;
    gm_recorder_figures(recorder, &f);
    return f;
}

/* Steps until the child is reaped and no image lives. */
static struct gm_recorder_figures run_to_end(pid_t pid, int *ret_status)
{
    bool reaped = false;
    while (!reaped || figures().processes_living > 0) {
        cr_assert_eq(gm_recorder_step(recorder, NULL, 0), 0);
        if (!reaped && waitpid(pid, ret_status, WNOHANG) == pid) {
            reaped = true;
            gm_recorder_child_ended(recorder, pid, *ret_status);
        }
    }
    cr_assert_eq(gm_recorder_finish(recorder), 0);
    return figures();
}

static struct gm_recorder_figures record(target_program *program, int *ret_status)
{
    pid_t pid = launch(program);
    cr_assert_eq(gm_recorder_start(recorder, NULL, pid), 0);
    return run_to_end(pid, ret_status);
}

static void program_honest(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    for (uint64_t i = 0; i < 50000; i++) { /* many times round the ring */
        fake_alloc(&t, i % 4, 0x1000 + i * 16, 10);
        if (i >= 100)
            fake_free(&t, i % 4, 0x1000 + (i - 100) * 16);
    }
    fake_end(&t, GM_END_EXIT, 0);
}

Test(recorder, what_a_target_wrote_is_counted_to_the_last_event)
{
    int status = 0;
    struct gm_recorder_figures f = record(program_honest, &status);
    cr_assert_eq(status, 0);
    cr_assert(f.root_seen && f.root_ended && f.processes_seen == 1);
    cr_assert_eq(f.events, 99900);
    cr_assert(f.allocs == 50000 && f.frees == 49900 && f.alloc_bytes == 500000);
    cr_assert(f.end_live_blocks == 100 && f.end_live_bytes == 1000 && f.peak_blocks == 101);
    cr_assert(f.lost_events == 0 && f.corrupt_records == 0 && f.late_events == 0);
}

static void program_killed(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    for (uint64_t i = 0; i < 1000; i++)
        fake_alloc(&t, 0, 0x1000 + i * 16, 10);
    atomic_store(&fake_ring(&t, 1)->busy, 1); /* killed in the middle of an event */
    raise(SIGKILL);
}

Test(recorder, a_target_killed_in_mid_event_loses_nothing_it_had_published)
{
    int status = 0;
    struct gm_recorder_figures f = record(program_killed, &status);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_assert(f.allocs == 1000 && f.end_live_blocks == 1000 && f.processes_living == 0);
}

static void program_family(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    fake_alloc(&t, 0, 0x1000, 100);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct fake_target c = fake_hello(socket, GM_HELLO_FORK, t.session->session_id);
            fake_free(&c, 0, 0x1000); /* inherited: not of this image */
            fake_alloc(&c, 0, 0x2000, 7);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        ;
    struct fake_target next = fake_hello(socket, GM_HELLO_START, 0); /* as after execve */
    fake_alloc(&next, 0, 0x3000, 50);
}

Test(recorder, children_and_further_images_are_processes_of_the_same_recording)
{
    int status = 0;
    struct gm_recorder_figures f = record(program_family, &status);
    cr_assert_eq(f.processes_seen, 22);
    cr_assert(f.allocs == 22 && f.frees == 0);
    cr_assert_eq(f.end_live_bytes, 100 + 20 * 7 + 50);
    cr_assert(f.root_ended && f.processes_living == 0);
    /* The first image is no part of the peak once the second has taken its place. */
    cr_assert(f.peak_bytes >= 107 && f.peak_bytes <= 100 + 20 * 7);
}

static void program_liar(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    uint64_t nonsense[] = {gm_rec_word0(GM_EV_ALLOC, 4, 0), 0, ~0ull, ~0ull};
    fake_alloc(&t, 0, 0x1000, 10);
    fake_put(&t, 0, nonsense, 4);
    fake_alloc(&t, 0, 0x2000, 10);
    atomic_store(&fake_ring(&t, 1)->head, 1ull << 40);    /* a head from nowhere */
    atomic_store(&fake_ring(&t, 2)->dropped, UINT64_MAX); /* a loss beyond belief */
    memset(&t.session->magic, 0xff, 256);                 /* the constant part of the header */
    t.session->ring_count = 3;
    for (int i = 0; i < 50; i++) { /* heads that go to and fro while they are read */
        atomic_store(&fake_ring(&t, 3)->head, (uint64_t)i * 77777777777ull);
        usleep(1000);
    }
}

Test(recorder, a_target_that_lies_harms_its_own_figures_only)
{
    int status = 0;
    struct gm_recorder_figures f = record(program_liar, &status);
    cr_assert_eq(f.allocs, 2);
    cr_assert_geq(f.corrupt_records, 2);
    cr_assert_gt(f.lost_events, 0);
    cr_assert_lt(f.lost_events, 1ull << 60);
}

static void program_intruders(const char *socket)
{
    struct gm_hello hello = {.magic = GM_SESSION_MAGIC, .version = GM_WIRE_VERSION, .kind = 99};
    int silent = fake_connect(socket), noise = fake_connect(socket), kind = fake_connect(socket);
    send(noise, "GET / HTTP/1.0\r\n\r\n", 18, 0);
    send(kind, &hello, sizeof hello, 0);
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0); /* is not kept waiting by them */
    fake_alloc(&t, 0, 0x1000, 10);
    close(silent);
}

Test(recorder, callers_that_are_no_targets_are_counted_and_delay_nobody)
{
    int status = 0;
    pid_t pid = launch(program_intruders);
    cr_assert_eq(gm_recorder_start(recorder, NULL, pid), 0);
    while (figures().bad_hellos < 3)
        cr_assert_eq(gm_recorder_step(recorder, NULL, 0), 0);
    struct gm_recorder_figures f = run_to_end(pid, &status);
    cr_assert(f.allocs == 1 && f.processes_seen == 1);
    cr_assert_eq(f.bad_hellos, 3);
}

static void program_other_version(const char *socket)
{
    struct gm_hello hello = {
        .magic = GM_SESSION_MAGIC, .version = GM_WIRE_VERSION + 1, .kind = GM_HELLO_START};
    struct gm_welcome welcome;
    int fd = fake_connect(socket);
    send(fd, &hello, sizeof hello, 0);
    if (recv(fd, &welcome, sizeof welcome, 0) != sizeof welcome || welcome.status != EPROTO)
        _exit(1);
}

Test(recorder, a_target_of_another_version_is_told_to_run_unrecorded)
{
    int status = 0;
    pid_t pid = launch(program_other_version);
    cr_assert_eq(gm_recorder_start(recorder, NULL, pid), 0);
    struct gm_recorder_figures f = run_to_end(pid, &status);
    cr_assert_eq(status, 0);
    cr_assert(f.processes_refused == 1 && f.processes_seen == 0 && !f.root_seen);
}

static void program_waits_for_stop(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    fake_alloc(&t, 0, 0x1000, 10);
    while (!atomic_load(&t.session->stop))
        usleep(1000);
    struct fake_target late = fake_hello(socket, GM_HELLO_FORK, 0);
    _exit(late.status == ECANCELED ? 0 : 1);
}

Test(recorder, after_a_stop_targets_are_told_and_newcomers_turned_away)
{
    int status = 0;
    pid_t pid = launch(program_waits_for_stop);
    cr_assert_eq(gm_recorder_start(recorder, NULL, pid), 0);
    while (figures().allocs == 0)
        cr_assert_eq(gm_recorder_step(recorder, NULL, 0), 0);
    gm_recorder_stop(recorder);
    struct gm_recorder_figures f = run_to_end(pid, &status);
    cr_assert_eq(status, 0);
    cr_assert(f.allocs == 1 && f.processes_seen == 1);
}

static void program_heartbeat(const char *socket)
{
    struct fake_target t = fake_hello(socket, GM_HELLO_START, 0);
    uint64_t first = atomic_load(&t.session->heartbeat);
    while (atomic_load(&t.session->heartbeat) < first + 3)
        usleep(1000);
}

Test(recorder, its_heart_beats_while_it_lives)
{
    int status = 1;
    record(program_heartbeat, &status);
    cr_assert_eq(status, 0);
}

Test(recorder, the_socket_is_for_its_owner_only_or_as_root_for_who_is_told_its_name)
{
    struct stat st;
    char path[256];
    snprintf(path, sizeof path, "%s", gm_recorder_socket(recorder));
    cr_assert_eq(stat(path, &st), 0);
    bool root = geteuid() == 0;
    cr_assert_eq(st.st_mode & 0777, root ? 0666 : 0600);
    cr_assert_eq(strlen(strrchr(path, '/')), strlen("/session-0123456789abcdef"));
    *strrchr(path, '/') = '\0';
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, root ? 0711 : 0700, "others can never list it");
}

Test(recorder, the_callers_descriptors_wake_it)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(gm_recorder_start(recorder, NULL, 0), 0);
    struct pollfd fd = {.fd = ends[0], .events = POLLIN};
    cr_assert_eq(gm_recorder_step(recorder, &fd, 1), 0);
    cr_assert_eq(fd.revents, 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(gm_recorder_step(recorder, &fd, 1), 0);
    cr_assert_eq(fd.revents, POLLIN);
}
