/* Chunks of the event log: what goes in comes out, whatever it is; what is damaged is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/crc32c.h"
#include "schemas/event_chunk.h"
#include "wire_words.h"

struct chunk {
    struct gm_chunk_info info;
    uint8_t *data;
    size_t bytes;
    uint32_t checksum;
};

static void events_expect_equal(
    const struct gm_log_event *a, const struct gm_log_event *b, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        bool equal = a[i].time_ns == b[i].time_ns && a[i].address == b[i].address &&
                     a[i].size_bytes == b[i].size_bytes && a[i].process_id == b[i].process_id &&
                     a[i].thread_id == b[i].thread_id && a[i].site_id == b[i].site_id &&
                     a[i].kind == b[i].kind && a[i].function == b[i].function &&
                     a[i].flags == b[i].flags;
        cr_assert(equal, "event %zu of %zu, seed %llu", i, n, (unsigned long long)seed);
    }
}

static struct chunk chunk_write(struct gm_chunk_builder *builder)
{
    struct chunk c = {0};
    void *data = NULL;
    cr_assert_eq(gm_chunk_builder_write(builder, &c.info, &data, &c.bytes), 0);
    c.data = data;
    c.checksum = gm_chunk_checksum(&c.info, c.data, c.bytes);
    return c;
}

static struct chunk chunk_of(const struct gm_log_event *events, size_t n)
{
    struct gm_chunk_builder *builder = gm_chunk_builder_create(3);
    cr_assert(builder);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(gm_chunk_builder_add(builder, &events[i]), i + 1 == GM_CHUNK_EVENTS);
    struct chunk c = chunk_write(builder);
    gm_chunk_builder_free(builder);
    return c;
}

static int chunk_decode(
    struct gm_chunk_reader *reader, const struct chunk *c, const struct gm_log_event **ret_events)
{
    return gm_chunk_decode(reader, &c->info, c->checksum, c->data, c->bytes, ret_events);
}

static void round_trip(const struct gm_log_event *events, size_t n, uint64_t seed)
{
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    const struct gm_log_event *got = NULL;
    cr_assert(reader);
    for (size_t from = 0; from < n; from += GM_CHUNK_EVENTS) {
        size_t count = n - from < GM_CHUNK_EVENTS ? n - from : GM_CHUNK_EVENTS;
        struct chunk c = chunk_of(events + from, count);
        cr_assert_eq(c.info.events, count);
        cr_assert_eq(chunk_decode(reader, &c, &got), 0, "%s, seed %llu",
            gm_chunk_reader_reason(reader), (unsigned long long)seed);
        events_expect_equal(got, events + from, count, seed);
        free(c.data);
    }
    gm_chunk_reader_free(reader);
}

/* ---- made events ---- */

/* Nothing but the rules of struct gm_log_event. */
static struct gm_log_event event_wild(struct rng *rng, int64_t *now)
{
    uint64_t masks[] = {0, 0xff, 0xffff, 0xffffffff, UINT64_MAX};
#define WILD() (rng_next(rng) & masks[rng_below(rng, 5)])
    struct gm_log_event e = {.kind = (uint8_t)(1 + rng_below(rng, 7)),
        .flags = (uint8_t)rng_below(rng, 4),
        .process_id = (uint32_t)WILD(),
        .thread_id = (uint32_t)WILD()};
    if (e.kind == GM_LOG_alloc || e.kind == GM_LOG_free) {
        *now += (int64_t)(WILD() >> 24);
        e.address = WILD();
        e.size_bytes = WILD();
        e.site_id = (uint32_t)WILD();
    }
    if (e.kind == GM_LOG_alloc)
        e.function = (uint8_t)WILD();
#undef WILD
    e.time_ns = *now;
    if (e.kind != GM_LOG_alloc && e.kind != GM_LOG_free)
        e.time_ns += (int64_t)rng_below(rng, 1000) - 500;
    return e;
}

#define PLACES 512

/* Threads that allocate and free each other's blocks, as a program does. */
struct model {
    struct rng rng;
    int64_t now;
    struct gm_log_event live[PLACES];
};

static struct gm_log_event event_likely(struct model *m)
{
    uint64_t place = rng_below(&m->rng, PLACES);
    struct gm_log_event *block = &m->live[place], e;
    uint32_t thread = 1 + (uint32_t)rng_below(&m->rng, 3);
    m->now += (int64_t)rng_below(&m->rng, 400);
    if (block->kind) {
        e = *block;
        e.kind = GM_LOG_free;
        e.function = 0;
        block->kind = 0;
    } else {
        e = (struct gm_log_event){.kind = GM_LOG_alloc,
            .function = 1,
            .process_id = 1 + (uint32_t)rng_below(&m->rng, 2),
            .address = 0x7f0000000000 + place * 48 + rng_below(&m->rng, 2) * 16,
            .size_bytes = 8 + rng_below(&m->rng, 5) * 100,
            .site_id = 1 + (uint32_t)rng_below(&m->rng, 40)};
        *block = e;
    }
    e.thread_id = thread;
    e.time_ns = m->now;
    e.flags = rng_below(&m->rng, 10) == 0 ? GM_LOG_REALLOC : 0;
    if (rng_below(&m->rng, 50) == 0) { /* freed, of unknown origin */
        e = (struct gm_log_event){.kind = GM_LOG_free,
            .time_ns = m->now,
            .process_id = 1,
            .thread_id = thread,
            .address = 0x1000 + rng_below(&m->rng, 1000)};
    }
    return e;
}

Test(event_chunk, any_events_come_out_as_they_went_in)
{
    static struct gm_log_event events[GM_CHUNK_EVENTS + 1000];
    static const size_t sizes[] = {
        1, 2, 3, 17, 300, 5000, GM_CHUNK_EVENTS, sizeof events / sizeof *events};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct rng rng = {seed};
        int64_t now = (int64_t)rng_below(&rng, 1000000);
        size_t n = sizes[seed % 8];
        for (size_t i = 0; i < n; i++)
            events[i] = event_wild(&rng, &now);
        round_trip(events, n, seed);
    }
}

Test(event_chunk, likely_events_come_out_as_they_went_in_and_are_small)
{
    static struct gm_log_event events[3 * GM_CHUNK_EVENTS];
    size_t n = sizeof events / sizeof *events;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct model m = {.rng = {seed}};
        for (size_t i = 0; i < n; i++)
            events[i] = event_likely(&m);
        round_trip(events, n, seed);
        struct chunk c = chunk_of(events, GM_CHUNK_EVENTS);
        cr_expect_lt(c.bytes, 10 * GM_CHUNK_EVENTS, "%zu bytes, seed %llu", c.bytes,
            (unsigned long long)seed);
        free(c.data);
    }
}

/* The extremes of every field, in every order of two. */
Test(event_chunk, extreme_values_come_out_as_they_went_in)
{
    static const uint64_t values[] = {
        0, 1, 15, 16, 254, 255, 256, 0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX};
    static struct gm_log_event events[400];
    size_t n = 0;
    for (size_t i = 0; i < 10; i++)
        for (size_t k = 0; k < 10; k++) {
            const struct gm_log_event e = {.kind = k % 2 ? GM_LOG_alloc : GM_LOG_free,
                .time_ns = n ? INT64_MAX : 0,
                .address = values[i],
                .size_bytes = values[k],
                .process_id = (uint32_t)values[i],
                .thread_id = (uint32_t)values[k],
                .site_id = (uint32_t)values[k],
                .function = k % 2 ? (uint8_t)values[i] : 0};
            events[n++] = e;
            events[n] = e;
            events[n].kind = GM_LOG_free;
            events[n++].function = 0;
        }
    round_trip(events, n, 0);
}

Test(event_chunk, a_chunk_that_grows_can_be_written_again_and_again)
{
    struct model m = {.rng = {7}};
    static struct gm_log_event events[3000];
    struct gm_chunk_builder *builder = gm_chunk_builder_create(1);
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    for (size_t i = 0; i < 3000; i++) {
        events[i] = event_likely(&m);
        cr_assert_not(gm_chunk_builder_add(builder, &events[i]));
        if (i % 500 != 0)
            continue;
        struct chunk c = chunk_write(builder);
        const struct gm_log_event *got = NULL;
        cr_assert_eq(chunk_decode(reader, &c, &got), 0, "%s", gm_chunk_reader_reason(reader));
        events_expect_equal(got, events, i + 1, 7);
        free(c.data);
    }
    gm_chunk_builder_clear(builder);
    cr_expect_eq(gm_chunk_builder_events(builder), 0);
    gm_chunk_builder_free(builder);
    gm_chunk_reader_free(reader);
}

Test(event_chunk, times_of_blocks_never_go_back)
{
    const struct gm_log_event events[] = {
        {.kind = GM_LOG_alloc, .time_ns = 100, .process_id = 1, .address = 16},
        {.kind = GM_LOG_mark, .time_ns = 5000},
        {.kind = GM_LOG_free, .time_ns = 90, .process_id = 1, .address = 16},
        {.kind = GM_LOG_process_start, .time_ns = 50, .process_id = 2}};
    struct chunk c = chunk_of(events, 4);
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    const struct gm_log_event *got = NULL;
    cr_assert_eq(chunk_decode(reader, &c, &got), 0);
    cr_expect(got[0].time_ns == 100 && got[1].time_ns == 5000 && got[2].time_ns == 100 &&
              got[3].time_ns == 50);
    cr_expect(c.info.first_ns == 50 && c.info.last_ns == 5000);
    cr_expect(c.info.min_process_id == 0 && c.info.max_process_id == 2);
    gm_chunk_reader_free(reader);
    free(c.data);
}

/* ---- damage ---- */

static struct chunk chunk_some(void)
{
    struct model m = {.rng = {3}};
    static struct gm_log_event events[2000];
    for (size_t i = 0; i < 2000; i++)
        events[i] = event_likely(&m);
    return chunk_of(events, 2000);
}

static void expect_refused(
    struct gm_chunk_reader *reader, const struct chunk *c, int error, const char *what)
{
    const struct gm_log_event *got = NULL;
    cr_expect_eq(
        chunk_decode(reader, c, &got), error, "%s: %s", what, gm_chunk_reader_reason(reader));
    cr_expect(*gm_chunk_reader_reason(reader), "%s", what);
    cr_expect_null(got);
}

Test(event_chunk, every_flipped_bit_is_noticed)
{
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    struct chunk c = chunk_some();
    for (size_t i = 0; i < c.bytes; i++) {
        uint8_t whole = c.data[i];
        c.data[i] ^= (uint8_t)(1u << i % 8);
        const struct gm_log_event *got = NULL;
        int error = chunk_decode(reader, &c, &got);
        cr_expect(error == -EBADMSG || (i == 4 && error == -ENOTSUP), "byte %zu: %d", i, error);
        c.data[i] = whole;
    }
    free(c.data);
    gm_chunk_reader_free(reader);
}

Test(event_chunk, a_cut_chunk_is_noticed_even_if_its_checksum_agrees)
{
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    struct chunk c = chunk_some();
    size_t whole = c.bytes;
    for (c.bytes = 0; c.bytes < whole; c.bytes += 1 + c.bytes / 50) {
        c.checksum = gm_chunk_checksum(&c.info, c.data, c.bytes);
        expect_refused(reader, &c, -EBADMSG, "cut");
    }
    free(c.data);
    gm_chunk_reader_free(reader);
}

Test(event_chunk, a_row_that_lies_is_noticed_even_if_its_checksum_agrees)
{
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    struct chunk c = chunk_some();
    struct gm_chunk_info lies[10];
    for (size_t i = 0; i < 10; i++)
        lies[i] = c.info;
    lies[0].events--;
    lies[1].events = UINT32_MAX;
    lies[2].allocs++;
    lies[3].frees++;
    lies[4].first_ns++;
    lies[5].last_ns--;
    lies[6].min_process_id++;
    lies[7].max_process_id--;
    lies[8].min_thread_id++;
    lies[9].max_thread_id++;
    for (size_t i = 0; i < 10; i++) {
        c.info = lies[i];
        c.checksum = gm_chunk_checksum(&c.info, c.data, c.bytes);
        expect_refused(reader, &c, -EBADMSG, "lie");
    }
    free(c.data);
    gm_chunk_reader_free(reader);
}

Test(event_chunk, a_newer_format_is_told_from_damage)
{
    struct gm_chunk_reader *reader = gm_chunk_reader_create();
    struct chunk c = chunk_some();
    c.data[4] = GM_CHUNK_FORMAT + 1;
    c.checksum = gm_chunk_checksum(&c.info, c.data, c.bytes);
    expect_refused(reader, &c, -ENOTSUP, "newer");
    cr_expect(strstr(gm_chunk_reader_reason(reader), "newer"));
    c.data[4] = 0;
    expect_refused(reader, &c, -EBADMSG, "older than the first");
    free(c.data);
    gm_chunk_reader_free(reader);
}

/* The check value of the catalogue of parametrised CRC algorithms, and RFC 3720, B.4. */
Test(event_chunk, the_checksum_is_crc32c)
{
    uint8_t zeros[32] = {0};
    cr_expect_eq(gm_crc32c(0, "123456789", 9), 0xe3069283u);
    cr_expect_eq(gm_crc32c(0, zeros, 32), 0x8a9136aau);
    cr_expect_eq(gm_crc32c(gm_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}
