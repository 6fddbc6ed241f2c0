/* test_heap_layout.c - the arithmetic between addresses, spans and size classes. */
#include <criterion/criterion.h>

#include "libgeomem/heap/size_class.h"

Test(size_class, each_size_has_the_smallest_class_that_holds_it)
{
    for (size_t bytes = 1; bytes <= GM_SIZE_CLASS_MAX_BYTES; bytes++) {
        uint32_t size_class = gm_size_class(bytes);
        cr_assert_lt(size_class, GM_SIZE_CLASSES);
        cr_assert_geq(gm_size_class_bytes(size_class), bytes);
        if (size_class > 0)
            cr_assert_lt(gm_size_class_bytes(size_class - 1), bytes);
    }
    cr_assert_eq(gm_size_class(0), 0u);
}

Test(size_class, powers_of_two_are_classes)
{
    for (uint32_t bytes = 16; bytes <= GM_SIZE_CLASS_MAX_BYTES; bytes *= 2)
        cr_assert_eq(gm_size_class_bytes(gm_size_class(bytes)), bytes);
}

Test(size_class, waste_is_bounded)
{
    for (uint32_t c = 0; c < GM_SIZE_CLASSES; c++) {
        uint32_t bytes = gm_size_class_bytes(c);
        size_t span = gm_size_class_slices(c) * GM_SLICE_BYTES;
        cr_assert_leq(span % bytes * 16, span, "class %u", c);
        cr_assert_geq(span / bytes, 8u, "class %u", c);
        cr_assert_eq(bytes % GM_GRANULE_BYTES, 0u);
    }
}

/* Every offset of every span: the index, and the test of geomem_free for "is the beginning of a block". */
Test(span, multiplication_gives_the_index_and_finds_beginnings)
{
    for (uint32_t c = 0; c < GM_SIZE_CLASSES; c++) {
        struct gm_span span = {.block_bytes = gm_size_class_bytes(c)};
        span.reciprocal = gm_span_reciprocal(span.block_bytes);
        size_t end = gm_size_class_slices(c) * GM_SLICE_BYTES;
        for (size_t offset = 0; offset < end; offset++) {
            uint64_t product = (uint64_t)offset * span.reciprocal;
            bool beginning = (uint32_t)product < span.reciprocal;
            if (gm_span_index(&span, offset) != offset / span.block_bytes ||
                beginning != (offset % span.block_bytes == 0))
                cr_assert_fail("class %u offset %zu", c, offset);
        }
    }
}
