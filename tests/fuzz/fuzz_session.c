/* fuzz_session.c - a hostile session: whatever a target writes into the memory it shares, at whatever moment, the
 * recorder neither crashes nor reads out of range, and what it keeps adds up.
 *
 * An input is a list of steps on a real session of four small rings: words written over ring data, heads, busy and
 * lock words, tails and counters set, rings told apart by a byte, and rounds of the recorder (drain, decode, order,
 * roll-up). With libFuzzer (preset fuzz) it is a fuzzer; without, a program that runs the files it is given, or, given
 * none, inputs made from seeds: real records, nonsense, and steps that put heads where no target would. */
#include <unistd.h>

#include "fuzz_input.h"
#include "collector/drain.h"
#include "collector/session.h"
#include "machine.h"

#define OWN_RINGS 2u
#define RINGS (OWN_RINGS + GM_SHARED_RINGS)
#define RING_BYTES 4096u

enum step { STEP_WORDS, STEP_HEAD, STEP_HEADER, STEP_SESSION, STEP_ROUND, STEPS };

struct input {
    const uint8_t *p, *end;
};

static uint8_t input_byte(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static uint64_t input_word(struct input *in)
{
    uint64_t v = 0;
    size_t n = (size_t)(in->end - in->p) < 8 ? (size_t)(in->end - in->p) : 8;
    memcpy(&v, in->p, n);
    in->p += n;
    return v;
}

/* Writes words where the target would, and publishes them. */
static void step_words(struct gm_shared_session *s, uint32_t ring, struct input *in)
{
    struct gm_ring *r = gm_session_ring(s, ring);
    uint64_t *data = (uint64_t *)(void *)((char *)s->header + s->ring_data_offset) +
                     (size_t)ring * s->ring_words;
    uint64_t head = atomic_load(&r->head);
    for (unsigned n = input_byte(in); n > 0; n--)
        data[head++ & (s->ring_words - 1)] = input_word(in);
    atomic_store(&r->head, head);
}

/* Any word of a ring's header, its tail too, which is the recorder's. */
static void step_header(struct gm_shared_session *s, uint32_t ring, struct input *in)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)gm_session_ring(s, ring);
    size_t at = input_byte(in) % (sizeof(struct gm_ring) / 8);
    atomic_store(&words[at], input_word(in));
}

/* Any word of the session's header but what the mapping itself hangs on, which the recorder keeps for itself. */
static void step_session(struct gm_shared_session *s, struct input *in)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)s->header;
    size_t at = input_byte(in) % (sizeof(struct gm_session) / 8);
    atomic_store(&words[at], input_word(in));
}

static void step_round(struct gm_drain *drain, struct machine *m, uint64_t now, bool last)
{
    struct gm_drain_round round;
    struct gm_drain_terms terms = {
        .now = now, .slack_ticks = 1000, .stall_ticks = 20000, .age_ticks = 10000, .last = last};
    gm_drain_beat(drain);
    gm_drain_run(drain, &terms, &round);
    gm_process_lost(m->process, round.dropped, round.lost_unringed);
    gm_process_corrupt(m->process, round.corrupt);
    machine_merge(m, round.watermark, false);
}

static void step_take(struct gm_drain *drain, struct machine *m, struct input *in, uint64_t *now)
{
    struct gm_shared_session *s = &drain->session;
    uint8_t first = input_byte(in);
    uint32_t ring = first / STEPS % RINGS;
    switch ((enum step)(first % STEPS)) {
    case STEP_WORDS:
        step_words(s, ring, in);
        break;
    case STEP_HEAD:
        atomic_fetch_add(&gm_session_ring(s, ring)->head, input_word(in) >> (input_byte(in) & 63));
        break;
    case STEP_HEADER:
        step_header(s, ring, in);
        break;
    case STEP_SESSION:
        step_session(s, in);
        break;
    case STEP_ROUND:
    case STEPS:
        step_round(drain, m, *now += 5000, false);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine m;
    struct input in = {data, data + size};
    struct gm_shared_session session;
    struct gm_session_options options;
    struct gm_drain drain;
    uint64_t now = 1000;
    int fd = -1;
    gm_session_options_init(&options);
    options.clock = GM_CLOCK_MONOTONIC;
    options.shape[GM_SESSION_SMALL] =
        (struct gm_session_shape){.ring_count = OWN_RINGS, .ring_bytes = RING_BYTES};
    if (gm_session_make(&options, GM_SESSION_SMALL, &session, &fd) < 0 ||
        gm_drain_init(&drain, &session, now) < 0)
        abort();
    close(fd);
    machine_init(&m, &drain.group);
    while (in.p < in.end)
        step_take(&drain, &m, &in, &now);
    step_round(&drain, &m, now += 5000, true);
    gm_drain_unmap(&drain);
    machine_done(&m);
    gm_drain_done(&drain);
    return 0;
}

#ifndef GM_LIBFUZZER

struct output {
    uint8_t data[1 << 15];
    size_t n;
};

static void output_byte(struct output *o, uint64_t byte)
{
    o->data[o->n++] = (uint8_t)byte;
}

static void output_word(struct output *o, uint64_t word)
{
    memcpy(o->data + o->n, &word, 8);
    o->n += 8;
}

static uint64_t number_random(struct rng *rng)
{
    uint64_t r = rng_next(rng);
    return rng_below(rng, 3) ? r >> rng_below(rng, 64) : r;
}

/* Of three caches, and a few keys that are asked for again and again. */
static unsigned cache_random(struct rng *rng, uint64_t *w, unsigned kind, unsigned words)
{
    w[1] = rng_below(rng, 3);
    if (kind == GM_EV_CACHE) {
        words = 33;
        for (unsigned i = 4; i < words; i++)
            w[i] = rng_below(rng, 4) ? rng_below(rng, 10000) : number_random(rng) >> 8;
        w[2] = gm_cache_pack(
            (uint32_t)rng_below(rng, 4), rng_below(rng, 20) == 0, (uint32_t)rng_below(rng, 3), 1);
        w[3] = 0;
        w[4] = UINT64_MAX >> rng_below(rng, 3);
        return words;
    }
    if (words < 7)
        return words;
    w[1] = gm_cache_key_pack(w[1], (unsigned)rng_below(rng, 8));
    w[2] = rng_below(rng, 4) ? gm_stack_hash(rng_below(rng, 50), 1) : number_random(rng);
    w[3] = rng_below(rng, 4) ? rng_below(rng, 2000) : number_random(rng) >> 16;
    w[4] = w[5] = rng_below(rng, 100);
    return words;
}

/* A record of any kind, of about the right length, with addresses and stamps that may be true. */
static unsigned record_random(struct rng *rng, uint64_t *w, uint64_t stamp)
{
    unsigned kind = (unsigned)rng_below(rng, 24), words = 2 + (unsigned)rng_below(rng, 6);
    for (unsigned i = 1; i < words; i++)
        w[i] = rng_below(rng, 2) ? 0x1000 + rng_below(rng, 64) * 16 : number_random(rng);
    if (kind == GM_EV_STACK && words >= 4)
        w[1] = gm_stack_hash(w[2], w[3]);
    if (kind == GM_EV_ALLOC && words >= 4) {
        w[2] =
            gm_size_pack(number_random(rng), rng_below(rng, 2) ? GM_FN_malloc : GM_FN_geomem_gc, 0);
        if (rng_below(rng, 2)) /* died in the ring */
            w[1] = gm_death_pack(4 + rng_below(rng, 600), rng_below(rng, 9999),
                rng_below(rng, 2) ? GM_DEATH_REALLOC : 0);
    }
    if (kind == GM_EV_SWEEP && words >= 5) {
        w[2] = rng_below(rng, 4) ? 16 : number_random(rng);
        w[3] &= ~w[4];
    }
    if ((kind == GM_EV_GC_BEGIN && words >= 4) || kind == GM_EV_GC_CYCLE) {
        words = kind == GM_EV_GC_CYCLE ? 29 : words;
        for (unsigned i = 1; i < words; i++)
            w[i] = rng_below(rng, 100);
        w[1] &= 3;
        w[3] = gm_gc_pack(rng_below(rng, 5), rng_below(rng, 7));
    }
    if (kind >= GM_EV_CACHE && kind != GM_EV_SWEEP && kind != GM_EV_GC_BEGIN)
        words = cache_random(rng, w, kind, words);
    w[0] = gm_rec_word0((enum gm_event_kind)kind, words, stamp & GM_STAMP_MASK);
    return words;
}

static void words_random(struct rng *rng, struct output *o, uint64_t stamp)
{
    uint64_t w[80];
    unsigned n = 0;
    while (n < 40)
        n += record_random(rng, w + n, stamp + n);
    for (uint64_t flips = rng_below(rng, 4); flips > 1; flips--)
        w[rng_below(rng, n)] ^= 1ull << rng_below(rng, 64);
    output_byte(o, n);
    for (unsigned i = 0; i < n; i++)
        output_word(o, w[i]);
}

static void step_random(struct rng *rng, struct output *o, uint64_t *stamp)
{
    static const enum step often[] = {STEP_WORDS, STEP_WORDS, STEP_WORDS, STEP_WORDS, STEP_ROUND,
        STEP_ROUND, STEP_HEAD, STEP_HEADER, STEP_SESSION};
    enum step step = often[rng_below(rng, sizeof often / sizeof *often)];
    output_byte(o, (uint64_t)step + STEPS * rng_below(rng, RINGS));
    if (step == STEP_WORDS) {
        words_random(rng, o, *stamp);
    } else if (step == STEP_HEAD) {
        output_word(o, rng_next(rng));
        output_byte(o, rng_below(rng, 64));
    } else if (step == STEP_ROUND) {
        *stamp += 5000;
    } else {
        output_byte(o, rng_below(rng, 256));
        output_word(o, number_random(rng));
    }
}

static void seed_run(uint64_t seed)
{
    static struct output o;
    struct rng rng = {seed};
    uint64_t stamp = 1000;
    o.n = 0;
    while (o.n + 1024 < sizeof o.data)
        step_random(&rng, &o, &stamp);
    LLVMFuzzerTestOneInput(o.data, o.n);
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= fuzz_input_file(argv[i]);
    for (uint64_t seed = 1; argc == 1 && seed <= 2000; seed++) {
        fprintf(
            stderr, "\rseed %lu", (unsigned long)seed); /* the last one is the one that failed */
        seed_run(seed);
    }
    return failed;
}

#endif
