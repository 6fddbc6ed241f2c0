/* ranges.c - see roots.h. */
#include <errno.h>
#include <string.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/roots.h"

static int ranges_reserve(struct gm_ranges *r)
{
    if (r->count < r->room)
        return 0;
    size_t room = r->room ? r->room * 2 : 256;
    struct gm_range_pair *rows = gm_sys_map(room * sizeof *rows);
    if (!rows)
        return -ENOMEM;
    if (r->rows) {
        memcpy(rows, r->rows, r->count * sizeof *rows);
        gm_sys2(SYS_munmap, r->rows, r->room * sizeof *rows);
    }
    r->rows = rows;
    r->room = room;
    return 0;
}

/* The first that does not end before `address`. */
static size_t ranges_find(const struct gm_ranges *r, uintptr_t address)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->rows[middle].end < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Rows [at, at + old) become `fresh` rows, to be filled by the caller; there is room. */
static void rows_replace(struct gm_ranges *r, size_t at, size_t old, size_t fresh)
{
    memmove(r->rows + at + fresh, r->rows + at + old, (r->count - at - old) * sizeof *r->rows);
    r->count = r->count - old + fresh;
}

int gm_ranges_add(struct gm_ranges *r, uintptr_t start, size_t bytes)
{
    uintptr_t end = start + bytes;
    if (!bytes || end < start)
        return -EINVAL;
    int err = ranges_reserve(r);
    if (err < 0)
        return err;
    size_t at = ranges_find(r, start), past = at;
    for (; past < r->count && r->rows[past].start <= end; past++) {
        if (r->rows[past].start < start)
            start = r->rows[past].start;
        if (r->rows[past].end > end)
            end = r->rows[past].end;
    }
    rows_replace(r, at, past - at, 1);
    r->rows[at] = (struct gm_range_pair){start, end};
    return 0;
}

int gm_ranges_remove(struct gm_ranges *r, uintptr_t start, size_t bytes)
{
    uintptr_t end = start + bytes;
    if (!bytes || end < start)
        return -EINVAL;
    int err = ranges_reserve(r);
    if (err < 0)
        return err;
    size_t at = ranges_find(r, start), past = at, fresh = 0;
    while (past < r->count && r->rows[past].start < end)
        past++;
    if (past == at)
        return 0;
    struct gm_range_pair kept[2], first = r->rows[at], last = r->rows[past - 1];
    if (first.start < start)
        kept[fresh++] = (struct gm_range_pair){first.start, first.end < start ? first.end : start};
    if (last.end > end)
        kept[fresh++] = (struct gm_range_pair){last.start > end ? last.start : end, last.end};
    rows_replace(r, at, past - at, fresh);
    memcpy(r->rows + at, kept, fresh * sizeof *kept);
    return 0;
}
