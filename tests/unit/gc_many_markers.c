/* gc_many_markers.c - linked into a test beside it: its collections mark with three helpers, however little there is to mark. */
#include "libgeomem/gc/markers.h"

__attribute__((constructor)) static void markers_begin(void)
{
    gm_markers_always(3);
}
