/* scribble.c SEED ROUNDS - writes nonsense into its own recording, at full speed, until it ends.
 *
 * A thread finds the session that this process shares with its recorder (schemas/wire.h) and writes random words over
 * it: SEED % 4 says where. Meanwhile main and another thread allocate, ROUNDS times each; then the program ends with
 * the scribbler at work. Status 0: what a program does to its own recording must not change what it does.
 *
 *   0 anywhere but the recorder's stop word    1 the rings' data
 *   2 the rings' headers: heads, busy and lock words, tails    3 heads moved on a little, over words that were never
 *     written as records; the counters of the session's header */
#include <pthread.h>
#include <stdatomic.h>

#include "schemas/wire.h"
#include "target.h"

static struct gm_session *session;
static uint64_t seed, data_start, data_words, rings;
static int rounds;

static uint64_t next_random(void)
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void session_find(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    REQUIRE(maps);
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "memfd:geomem") && !session)
            session = (struct gm_session *)strtoull(line, NULL, 16); /* NOLINT */
    fclose(maps);
    REQUIRE(session && session->magic == GM_SESSION_MAGIC);
    rings = session->ring_count;
    data_start = session->ring_data_offset / 8;
    data_words = rings * session->ring_words;
}

/* A word that may be a record: few kinds, plausible lengths and addresses, now and then anything. */
static uint64_t plausible_word(void)
{
    uint64_t r = next_random();
    switch (r % 4) {
    case 0:
        return gm_rec_word0((enum gm_event_kind)(r >> 8 & 15), r >> 16 & 15, r >> 20);
    case 1:
        return r >> 40 << 4;
    case 2:
        return r >> 60;
    default:
        return r;
    }
}

static struct gm_ring *any_ring(void)
{
    char *first = (char *)session + GM_SESSION_HEADER_BYTES;
    return (struct gm_ring *)(void *)first + next_random() % rings;
}

static void scribble_anywhere(void)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)session;
    uint64_t at = next_random() % (data_start + data_words);
    if (at != offsetof(struct gm_session, stop) / 8)
        atomic_store_explicit(&words[at], plausible_word(), memory_order_relaxed);
}

static void scribble_data(void)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)session;
    uint64_t at = data_start + next_random() % data_words;
    for (int i = 0; i < 64; i++)
        atomic_store_explicit(&words[data_start + (at + (uint64_t)i) % data_words],
            plausible_word(), memory_order_relaxed);
}

static void scribble_ring_header(void)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)any_ring();
    atomic_store_explicit(&words[next_random() % (sizeof(struct gm_ring) / 8)], plausible_word(),
        memory_order_relaxed);
}

static void scribble_heads(void)
{
    struct gm_ring *ring = any_ring();
    atomic_fetch_add_explicit(
        &ring->head, next_random() % session->ring_words, memory_order_release);
    atomic_store_explicit(&ring->busy, (uint32_t)(next_random() & 1), memory_order_relaxed);
    atomic_store_explicit(&session->lost_unringed, next_random(), memory_order_relaxed);
    atomic_store_explicit(&session->end_kind, (uint32_t)next_random(), memory_order_relaxed);
    scribble_data();
}

static void *scribbler(void *unused)
{
    static void (*const ways[])(void) = {
        scribble_anywhere, scribble_data, scribble_ring_header, scribble_heads};
    void (*way)(void) = ways[seed % 4];
    for (;;)
        way();
    return unused;
}

static NOINLINE void *allocate(void *unused)
{
    static _Thread_local void *kept[64];
    for (int i = 0; i < rounds; i++) {
        void **place = &kept[i % 64];
        free(*place);
        *place = malloc((size_t)(i % 1000 + 1));
        REQUIRE(*place);
    }
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t ids[2];
    REQUIRE(argc == 3);
    seed = strtoull(argv[1], NULL, 10);
    rounds = atoi(argv[2]);
    free(target_opaque(malloc(1)));
    session_find();
    REQUIRE(pthread_create(&ids[0], NULL, scribbler, NULL) == 0);
    REQUIRE(pthread_create(&ids[1], NULL, allocate, NULL) == 0);
    allocate(NULL);
    REQUIRE(pthread_join(ids[1], NULL) == 0);
    return 0;
}
