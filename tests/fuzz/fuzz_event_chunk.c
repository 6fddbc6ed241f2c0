/* fuzz_event_chunk.c - hostile chunks of the event log: decoding neither crashes nor reads out of range, whatever a
 * file holds.
 *
 * An input is a struct gm_chunk_info and the data of a chunk; the checksum is made to agree, or little would get
 * past it. Built with libFuzzer (preset fuzz) it is a fuzzer; without, a program that runs the files it is given,
 * or, given none, inputs made from a seed: small chunks, whose columns are too short to be worth compressing, with
 * some bytes changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "schemas/event_chunk.h"
#include "wire_words.h"

static struct gm_chunk_reader *reader;
static size_t accepted;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gm_chunk_info info;
    const struct gm_log_event *events = NULL;
    if (!reader && !(reader = gm_chunk_reader_create()))
        abort();
    if (size < sizeof info)
        return 0;
    memcpy(&info, data, sizeof info);
    size -= sizeof info;
    /* A copy of just that size, so that a read past its end is noticed. */
    uint8_t *chunk = malloc(size + 1);
    if (!chunk)
        abort();
    memcpy(chunk, data + sizeof info, size);
    uint32_t checksum = gm_chunk_checksum(&info, chunk, size);
    if (gm_chunk_decode(reader, &info, checksum, chunk, size, &events) == 0) {
        accepted++;
        for (uint32_t i = 0; i < info.events; i++)
            if (events[i].time_ns < info.first_ns || events[i].time_ns > info.last_ns)
                abort();
    }
    free(chunk);
    return 0;
}

#ifndef GM_LIBFUZZER

static struct gm_log_event event_random(struct rng *rng, uint64_t live[16], int64_t now)
{
    uint64_t *block = &live[rng_below(rng, 16)];
    struct gm_log_event e = {.time_ns = now,
        .process_id = 1,
        .thread_id = 1 + (uint32_t)rng_below(rng, 3),
        .kind = *block ? GM_LOG_free : GM_LOG_alloc,
        .size_bytes = 100,
        .site_id = 1};
    if (rng_below(rng, 10) == 0) {
        e.kind = (uint8_t)(3 + rng_below(rng, 5));
        e.size_bytes = e.site_id = 0;
        return e;
    }
    if (!*block && rng_below(rng, 5))
        *block = 0x1000 + rng_below(rng, 64) * 16;
    e.address = *block;
    if (e.kind == GM_LOG_free)
        *block = 0;
    return e;
}

static size_t input_random(
    struct rng *rng, struct gm_chunk_builder *builder, uint8_t *data, size_t room)
{
    struct gm_chunk_info info;
    void *chunk = NULL;
    size_t bytes = 0, n = 1 + rng_below(rng, 200);
    uint64_t live[16] = {0};
    int64_t now = 0;
    gm_chunk_builder_clear(builder);
    for (size_t i = 0; i < n; i++) {
        struct gm_log_event e = event_random(rng, live, now += (int64_t)rng_below(rng, 1000));
        gm_chunk_builder_add(builder, &e);
    }
    if (gm_chunk_builder_write(builder, &info, &chunk, &bytes) < 0 || sizeof info + bytes > room)
        abort();
    memcpy(data, &info, sizeof info);
    memcpy(data + sizeof info, chunk, bytes);
    free(chunk);
    bytes += sizeof info;
    for (uint64_t changes = rng_below(rng, 5); changes; changes--)
        data[rng_below(rng, bytes)] = (uint8_t)rng_next(rng);
    return rng_below(rng, 20) ? bytes : rng_below(rng, bytes);
}

int main(int argc, char **argv)
{
    static uint8_t data[1 << 16];
    int failed = 0;
    struct gm_chunk_builder *builder = gm_chunk_builder_create(3);
    for (int i = 1; i < argc; i++)
        failed |= fuzz_input_file(argv[i]);
    for (uint64_t seed = 1; argc == 1 && seed <= 20000; seed++) {
        struct rng rng = {seed};
        LLVMFuzzerTestOneInput(data, input_random(&rng, builder, data, sizeof data));
    }
    if (argc == 1) {
        printf("fuzz_event_chunk: seeds 1 to 20000, %zu inputs were whole chunks\n", accepted);
        failed |= accepted == 0;
    }
    gm_chunk_builder_free(builder);
    gm_chunk_reader_free(reader);
    return failed;
}

#endif
