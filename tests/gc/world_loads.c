/* world_loads.c CASE: stops and searches while other threads load and unload modules, ask for host names, fork. The secrets that
 * stay are always found. One case a run; figures of the stops are printed. */
#include <dlfcn.h>
#include <link.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/wait.h>

#include "libgeomem/base/sys.h"
#include "tests/gc/world.h"

static _Atomic int done;
static _Atomic uint64_t rounds;
static volatile uint64_t kept_global = 0;

/* Loads, keeps a secret in the module and its thread-local storage while loaded, and unloads. */
static void *loads(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        void *library = dlopen(getenv("GM_TEST_LIBRARY"), RTLD_NOW);
        CHECK(library);
        volatile uint64_t *(*word)(void) =
            (volatile uint64_t * (*)(void))(uintptr_t)dlsym(library, "word_of_thread");
        CHECK(word);
        *word() = ~secret_hidden(2);
        CHECK(secret_find(2, GM_ROOTS_ALL).found > 0);
        dlclose(library);
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

/* A callback that waits for a collector: with the loader's lock held. */
static int stops_inside(struct dl_phdr_info *info, size_t bytes, void *arg)
{
    (void)info;
    (void)bytes;
    (void)arg;
    CHECK(secret_find(1, GM_ROOTS_GLOBALS).found > 0);
    atomic_fetch_add(&rounds, 1);
    return 1;
}

static void *iterates(void *arg)
{
    while (!atomic_load(&done))
        dl_iterate_phdr(stops_inside, arg);
    return NULL;
}

static void *asks(void *arg)
{
    (void)arg;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *list;
    while (!atomic_load(&done)) {
        if (getaddrinfo("127.0.0.1", "80", &hints, &list) == 0)
            freeaddrinfo(list);
        struct gaicb request = {.ar_name = "localhost"}, *requests[] = {&request};
        if (getaddrinfo_a(GAI_WAIT, requests, 1, NULL) == 0 && request.ar_result)
            freeaddrinfo(request.ar_result);
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static void *forks(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            CHECK(secret_find(1, GM_ROOTS_ALL).found > 0);
            _exit(0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static const struct {
    const char *name;
    void *(*run[2])(void *);
} cases[] = {
    {"dlopen", {loads, loads}},
    {"callback", {iterates, loads}},
    {"getaddrinfo", {asks, asks}},
    {"fork", {forks, forks}},
};

static void storm(void *(*const run[2])(void *))
{
    pthread_t threads[4];
    uint64_t stops = 0, deadline = gm_sys_monotonic_ns() + 1500000000u;
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, run[i % 2], NULL) == 0);
    while (gm_sys_monotonic_ns() < deadline) {
        CHECK(secret_find(1, GM_ROOTS_ALL).found > 0);
        gm_sys_sleep_ns(50000);
        stops++;
    }
    atomic_store(&done, 1);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&rounds) > 0);
    printf("ok: %llu stops, %llu rounds\n", (unsigned long long)stops,
        (unsigned long long)atomic_load(&rounds));
}

int main(int argc, char **argv)
{
    kept_global = ~secret_hidden(1);
    CHECK(argc == 2 && gm_world_init() == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        storm(cases[i].run);
        return 0;
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
