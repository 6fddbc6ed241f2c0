/* The tables of schemas/event_kinds.h and the packing of schemas/wire.h: codes once given stay. */
#include <criterion/criterion.h>

#include "libgeomem/include/geomem/listener.h"
#include "schemas/event_kinds.h"
#include "schemas/wire.h"

Test(event_kinds, codes_given_in_version_1_stay)
{
    cr_assert_eq(GM_EV_ALLOC, 1);
    cr_assert_eq(GM_EV_FREE, 2);
    cr_assert_eq(GM_EV_REALLOC, 3);
    cr_assert_eq(GM_EV_STACK, 4);
    cr_assert_eq(GM_EV_MODULE, 5);
    cr_assert_eq(GM_EV_MODULE_EPOCH, 6);
    cr_assert_eq(GM_EV_THREAD_START, 7);
    cr_assert_eq(GM_EV_THREAD_END, 8);
    cr_assert_eq(GM_EV_PROCESS_END, 9);
    cr_assert_eq(GM_EV_MARK, 10);
    cr_assert_eq(GM_EV_PROMOTION, 11);
    cr_assert_eq(GM_EV_GC_CYCLE, 12);
    cr_assert_eq(GM_EV_CACHE, 13);
    cr_assert_eq(GM_EV_SWEEP, 14);
    cr_assert_eq(GM_EV_GC_BEGIN, 15);
    cr_assert_eq(GM_EV_CACHE_USE, 16);
    cr_assert_eq(GM_EV_CACHE_EVICT, 17);
    cr_assert_eq(GM_EV_GC_STOP, 18);
    cr_assert_eq(GM_EV_CACHE_CLASS, 19);
}

Test(event_kinds, a_packed_state_of_a_cache_gives_back_what_went_in)
{
    uint64_t packed = gm_cache_pack(255, 1, 65535, UINT32_MAX);
    cr_assert_eq(gm_cache_policy(packed), 255);
    cr_assert(gm_cache_closed(packed));
    cr_assert_eq(gm_cache_choice(packed), 65535);
    cr_assert_eq(gm_cache_switches(packed), UINT32_MAX);
    cr_assert_not(gm_cache_closed(gm_cache_pack(1, 0, 7, 3)));
    packed = gm_cache_key_pack(GM_ADDRESS_MASK, GM_USE_unpin);
    cr_assert_eq(gm_cache_key_cache(packed), GM_ADDRESS_MASK);
    cr_assert_eq(gm_cache_key_what(packed), GM_USE_unpin);
}

/* The names in the tables of the schema are those of geomem/listener.h, with its codes. */
Test(event_kinds, causes_uses_and_policies_of_caches_are_those_of_the_listener)
{
    cr_assert_eq(GM_CAUSE_COUNT, GEOMEM_CACHE_CAUSE_COUNT);
    cr_assert_eq(GM_CAUSE_size, GEOMEM_CACHE_SIZE);
    cr_assert_eq(GM_CAUSE_expired, GEOMEM_CACHE_EXPIRED);
    cr_assert_eq(GM_CAUSE_replaced, GEOMEM_CACHE_REPLACED);
    cr_assert_eq(GM_CAUSE_removed, GEOMEM_CACHE_REMOVED);
    cr_assert_eq(GM_CAUSE_pressure, GEOMEM_CACHE_PRESSURE);
    cr_assert_eq(GM_CAUSE_rejected, GEOMEM_CACHE_REJECTED);
    cr_assert_eq(GM_CAUSE_closed, GEOMEM_CACHE_CLOSED);
    cr_assert_eq(GM_USE_hit, GEOMEM_CACHE_HIT);
    cr_assert_eq(GM_USE_unpin, GEOMEM_CACHE_UNPIN);
    cr_assert_str_eq(gm_cache_policy_name(GEOMEM_POLICY_ADAPTIVE), "adaptive");
    cr_assert_str_eq(gm_cache_policy_name(GEOMEM_POLICY_LRU), "lru");
    cr_assert_str_eq(gm_cache_policy_name(GEOMEM_POLICY_S3FIFO), "s3fifo");
    cr_assert_str_eq(gm_cache_policy_name(GEOMEM_POLICY_OTHER), "other");
    cr_assert_null(gm_cache_policy_name(3));
    cr_assert_null(gm_cache_cause_name(0));
}

Test(event_kinds, no_code_is_given_twice)
{
    bool seen[256] = {false};
#define GM_X(code, NAME, words, text) \
    cr_assert(code >= 1 && code <= 255 && !seen[code], "code %d of " #NAME, code); \
    seen[code] = true;
    GM_EVENT_KINDS(GM_X)
#undef GM_X
}

Test(event_kinds, word_0_gives_back_kind_length_and_stamp)
{
    uint64_t stamps[] = {0, 1, 0x123456789abcull, GM_STAMP_MASK};
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        uint64_t word0 = gm_rec_word0(GM_EV_REALLOC, 6, stamps[i]);
        cr_assert_eq(gm_rec_kind(word0), GM_EV_REALLOC);
        cr_assert_eq(gm_rec_words(word0), 6);
        cr_assert_eq(gm_rec_stamp(word0), stamps[i]);
    }
}

Test(event_kinds, a_packed_size_gives_back_bytes_function_and_alignment)
{
    uint64_t packed = gm_size_pack(4096, GM_FN_memalign, 12);
    cr_assert_eq(gm_size_bytes(packed), 4096);
    cr_assert_eq(gm_size_function(packed), GM_FN_memalign);
    cr_assert_eq(gm_size_align_log2(packed), 12);
}

Test(event_kinds, a_size_of_2_to_the_48_or_more_is_clamped)
{
    cr_assert_eq(gm_size_bytes(gm_size_pack(UINT64_MAX, GM_FN_malloc, 0)), GM_SIZE_MAX);
    cr_assert_eq(gm_size_function(gm_size_pack(UINT64_MAX, GM_FN_calloc, 0)), GM_FN_calloc);
}
