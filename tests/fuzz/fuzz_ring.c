/* fuzz_ring.c - hostile ring contents: whatever a target writes, the recorder neither crashes nor reads out of
 * range, and what it keeps stays consistent.
 *
 * An input is a list of portions: a ring (1 byte), words (1 byte), then the words. Each portion is drained,
 * every eighth time all is merged. Built with libFuzzer (preset fuzz) it is a fuzzer; without, a program that
 * runs the files it is given, or, given none, inputs made from a seed: real records with some bits turned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "machine.h"

#define RINGS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine m;
    uint64_t words[256], now = 1000;
    size_t at = 0, portions = 0;
    struct gm_reader readers[RINGS] = {0};
    struct gm_reader_group group = {.readers = readers, .count = RINGS};
    for (uint32_t i = 0; i < RINGS; i++) {
        readers[i].group = &group;
        readers[i].index = i;
        readers[i].ring_words = 1024;
    }
    machine_init(&m, &group);
    while (at + 2 <= size) {
        size_t ring = data[at] % RINGS, n = data[at + 1];
        at += 2;
        if (n * 8 > size - at)
            n = (size - at) / 8;
        memcpy(words, data + at, n * 8);
        at += n * 8;
        if (n > 0)
            put_words(&readers[ring], words, n, now += 5000);
        if (++portions % 8 == 0)
            machine_merge(&m, now, false);
    }
    machine_done(&m);
    for (uint32_t i = 0; i < RINGS; i++)
        gm_reader_done(&readers[i]);
    return 0;
}

#ifndef GM_LIBFUZZER

static size_t record_random(struct rng *rng, uint64_t *w, uint64_t now)
{
    struct gm_reader r = {.now = now};
    uint64_t address = 0x1000 + rng_below(rng, 64) * 16, pc = 0x1000 + rng_below(rng, 32) * 64;
    static uint64_t last_hash = GM_STACK_ROOT;
    switch (rng_below(rng, 12)) {
    case 0:
    case 1:
        put_alloc(&r, now, address, rng_below(rng, 100000), rng_below(rng, 3) ? last_hash : 0);
        break;
    case 2:
    case 3:
        put_free(&r, now, address);
        break;
    case 4:
        put_realloc(&r, now, now + 3, address, address + 16 * rng_below(rng, 3), 100, last_hash);
        break;
    case 8:
    case 9:
        put_short_lived(&r, now, rng_below(rng, 1000), last_hash, 4 + rng_below(rng, 100), 17);
        break;
    case 10: {
        uint64_t promoted = rng_next(rng) & rng_next(rng);
        put_words(&r,
            (uint64_t[]){gm_rec_word0(GM_EV_SWEEP, 5, now), address, 16,
                rng_next(rng) & rng_next(rng) & ~promoted, promoted},
            5, now);
        break;
    }
    case 11:
        put_words(&r,
            (uint64_t[]){
                gm_rec_word0(GM_EV_GC_BEGIN, 4, now), 1, now, gm_gc_pack(1 + rng_below(rng, 3), 1)},
            4, now);
        break;
    case 5:
        last_hash = put_stack(&r, rng_below(rng, 3) ? last_hash : GM_STACK_ROOT, pc);
        break;
    case 6:
        put_module(
            &r, pc & ~0xfffull, (pc & ~0xfffull) + 0x1000 * (1 + rng_below(rng, 3)), 0, "/lib/x");
        break;
    default:
        put_words(&r, (uint64_t[]){gm_rec_word0(GM_EV_THREAD_START, 4, now), 7, 0x61, 0}, 4, now);
        break;
    }
    size_t n = r.n;
    memcpy(w, r.words, n * 8);
    gm_reader_done(&r);
    return n;
}

static size_t input_random(uint64_t seed, uint8_t *data, size_t room)
{
    struct rng rng = {seed};
    uint64_t words[256], now = 1000;
    size_t at = 0;
    while (at + 2 + 200 * 8 < room) {
        size_t n = 0;
        while (n < 100)
            n += record_random(&rng, words + n, now += rng_below(&rng, 100));
        while (rng_below(&rng, 3) == 0) /* a bit turned here and there */
            words[rng_below(&rng, n)] ^= 1ull << rng_below(&rng, 64);
        data[at] = (uint8_t)rng_below(&rng, RINGS);
        data[at + 1] = (uint8_t)n;
        memcpy(data + at + 2, words, n * 8);
        at += 2 + n * 8;
    }
    return at;
}

int main(int argc, char **argv)
{
    static uint8_t data[1 << 16];
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= fuzz_input_file(argv[i]);
    for (uint64_t seed = 1; argc == 1 && seed <= 300; seed++)
        LLVMFuzzerTestOneInput(data, input_random(seed, data, sizeof data));
    return failed;
}

#endif
