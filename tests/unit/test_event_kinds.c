/* The tables of schemas/event_kinds.h and the packing of schemas/wire.h: codes once given stay. */
#include <criterion/criterion.h>

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
